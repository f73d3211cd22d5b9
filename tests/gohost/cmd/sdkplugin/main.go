// Command sdkplugin is a plugin on Grafana's own Go SDK: what the Python runtime is measured against.
package main

import (
	"context"
	"os"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

const rows = 1000

// queryData answers each query with a frame of 1,000 rows, as tests/targets/sample_plugin.py does.
func queryData(_ context.Context, request *backend.QueryDataRequest) (*backend.QueryDataResponse, error) {
	response := backend.NewQueryDataResponse()
	for _, query := range request.Queries {
		times := make([]time.Time, rows)
		values := make([]float64, rows)
		for i := range times {
			times[i] = query.TimeRange.From.Add(time.Duration(i) * time.Second)
			values[i] = float64(i)
		}
		frame := data.NewFrame("rows", data.NewField("time", nil, times), data.NewField("value", nil, values))
		response.Responses[query.RefID] = backend.DataResponse{Frames: data.Frames{frame}}
	}
	return response, nil
}

func main() {
	if err := backend.Serve(backend.ServeOpts{QueryDataHandler: backend.QueryDataHandlerFunc(queryData)}); err != nil {
		os.Exit(1)
	}
}
