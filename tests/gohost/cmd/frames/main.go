// Command frames reads Arrow frames as Grafana does and says exactly what it saw.
//
// Each request on stdin is a big-endian uint32 length and one Arrow file; each answer is one JSON line on stdout.
// What the SDK refuses is answered as {"error": "..."}, and the next request is read.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
)

type fieldDump struct {
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	Nullable bool              `json:"nullable"`
	Labels   map[string]string `json:"labels"`
	Config   *data.FieldConfig `json:"config"`
	Values   []any             `json:"values"`
}

type answer struct {
	Error  string          `json:"error,omitempty"`
	Name   string          `json:"name"`
	RefID  string          `json:"refId"`
	Meta   *data.FrameMeta `json:"meta"`
	Fields []fieldDump     `json:"fields"`
	JSON   json.RawMessage `json:"json,omitempty"`
	Arrow  string          `json:"arrow,omitempty"`
}

func main() {
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for {
		request, err := readRequest(in)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "frames:", err)
			os.Exit(1)
		}
		if err := out.Encode(respond(request)); err != nil {
			fmt.Fprintln(os.Stderr, "frames:", err)
			os.Exit(1)
		}
	}
}

func readRequest(in io.Reader) ([]byte, error) {
	var size uint32
	if err := binary.Read(in, binary.BigEndian, &size); err != nil {
		return nil, err
	}
	request := make([]byte, size)
	_, err := io.ReadFull(in, request)
	return request, err
}

func respond(request []byte) (result answer) {
	// The Arrow library panics on some broken files; a host would lose the one answer, not the process.
	defer func() {
		if problem := recover(); problem != nil {
			result = answer{Error: fmt.Sprint("panic: ", problem)}
		}
	}()
	frame, err := data.UnmarshalArrowFrame(request)
	if err != nil {
		return answer{Error: err.Error()}
	}
	asJSON, err := data.FrameToJSON(frame, data.IncludeAll)
	if err != nil {
		return answer{Error: "FrameToJSON: " + err.Error()}
	}
	again, err := frame.MarshalArrow()
	if err != nil {
		return answer{Error: "MarshalArrow: " + err.Error()}
	}
	result = answer{Name: frame.Name, RefID: frame.RefID, Meta: frame.Meta, JSON: asJSON}
	result.Arrow = base64.StdEncoding.EncodeToString(again)
	for _, field := range frame.Fields {
		result.Fields = append(result.Fields, dumpField(field))
	}
	return result
}

func dumpField(field *data.Field) fieldDump {
	dump := fieldDump{
		Name:     field.Name,
		Type:     field.Type().NonNullableType().ItemTypeString(),
		Nullable: field.Nullable(),
		Labels:   field.Labels,
		Config:   field.Config,
		Values:   make([]any, field.Len()),
	}
	for row := range dump.Values {
		if value, ok := field.ConcreteAt(row); ok {
			dump.Values[row] = exact(value)
		}
	}
	return dump
}

// exact names a value without loss: floats by their bits, times in nanoseconds, JSON by its bytes.
func exact(value any) any {
	switch typed := value.(type) {
	case float64:
		return strconv.FormatUint(math.Float64bits(typed), 16)
	case float32:
		return strconv.FormatUint(uint64(math.Float32bits(typed)), 16)
	case time.Time:
		return strconv.FormatInt(typed.UnixNano(), 10)
	case json.RawMessage:
		return base64.StdEncoding.EncodeToString(typed)
	case string, bool:
		return typed
	default: // integers of every width, and enum items
		return fmt.Sprint(typed)
	}
}
