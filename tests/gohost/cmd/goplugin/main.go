// Command goplugin is a small data source on Grafana's own Go SDK: what our embedded host and our benchmarks are measured against.
//
// A query's JSON may hold `rows` (how many, default 1000) and `fail` (text of an error).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/datasource"
	"github.com/grafana/grafana-plugin-sdk-go/backend/instancemgmt"
	"github.com/grafana/grafana-plugin-sdk-go/backend/log"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

const defaultRows = 1000

type instance struct {
	uid string
}

type wanted struct {
	Rows *int   `json:"rows"`
	Fail string `json:"fail"`
}

func newInstance(_ context.Context, settings backend.DataSourceInstanceSettings) (instancemgmt.Instance, error) {
	log.DefaultLogger.Info("instance created", "uid", settings.UID)
	return &instance{uid: settings.UID}, nil
}

// QueryData answers each query with a frame of a time and a number column.
func (i *instance) QueryData(_ context.Context, request *backend.QueryDataRequest) (*backend.QueryDataResponse, error) {
	response := backend.NewQueryDataResponse()
	for _, query := range request.Queries {
		response.Responses[query.RefID] = answer(query)
	}
	return response, nil
}

func answer(query backend.DataQuery) backend.DataResponse {
	rows := defaultRows
	var asked wanted
	if err := json.Unmarshal(query.JSON, &asked); err != nil {
		return backend.ErrDataResponse(backend.StatusBadRequest, err.Error())
	}
	if asked.Fail != "" {
		return backend.DataResponse{
			Error: errors.New(asked.Fail), Status: backend.StatusBadGateway, ErrorSource: backend.ErrorSourceDownstream,
		}
	}
	if asked.Rows != nil {
		rows = *asked.Rows
	}
	times, values := make([]time.Time, rows), make([]float64, rows)
	for row := range rows {
		times[row] = query.TimeRange.From.Add(time.Duration(row) * time.Second)
		values[row] = float64(row)
	}
	frame := data.NewFrame("rows", data.NewField("time", nil, times), data.NewField("value", nil, values))
	return backend.DataResponse{Frames: data.Frames{frame}}
}

// CheckHealth says that all is well, and for whom.
func (i *instance) CheckHealth(_ context.Context, _ *backend.CheckHealthRequest) (*backend.CheckHealthResult, error) {
	details, err := json.Marshal(map[string]any{"pid": os.Getpid(), "uid": i.uid})
	return &backend.CheckHealthResult{Status: backend.HealthStatusOk, Message: "go plugin is healthy", JSONDetails: details}, err
}

// CallResource answers with what it was asked: method, path, body.
func (i *instance) CallResource(_ context.Context, request *backend.CallResourceRequest, sender backend.CallResourceResponseSender) error {
	if request.Path == "print" {
		fmt.Println("printed by the plugin")
	}
	body, err := json.Marshal(map[string]string{"method": request.Method, "path": request.Path, "url": request.URL, "body": string(request.Body)})
	if err != nil {
		return err
	}
	return sender.Send(&backend.CallResourceResponse{Status: 202, Headers: map[string][]string{"X-Go": {"yes"}}, Body: body})
}

func main() {
	if err := datasource.Manage("acme-go-datasource", newInstance, datasource.ManageOpts{}); err != nil {
		log.DefaultLogger.Error(err.Error())
		os.Exit(1)
	}
}
