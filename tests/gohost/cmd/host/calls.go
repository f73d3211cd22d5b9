package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend/grpcplugin"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// command is one line of stdin. Do is the name of an RPC (`QueryData`) or a step of lifecycle.go.
type command struct {
	ID            any               `json:"id"`
	Do            string            `json:"do"`
	Request       json.RawMessage   `json:"request"`         // the RPC's request in protobuf's JSON form
	Metadata      map[string]string `json:"metadata"`        // gRPC metadata to send along
	TimeoutMS     int               `json:"timeout_ms"`      // gRPC deadline of the call
	CancelAfterMS int               `json:"cancel_after_ms"` // cancel the call then, without a deadline
	MaxMessages   int               `json:"max_messages"`    // of a stream: cancel after so many
	Quiet         bool              `json:"quiet"`           // answer sizes only
	Async         bool              `json:"async"`           // answer later, take the next command now
	Concurrency   int               `json:"concurrency"`     // bench only
	Calls         int               `json:"calls"`           // bench only
}

// The mutex is held by who uses the other fields, so that a restart does not change them meanwhile.
type session struct {
	mutex    sync.Mutex
	client   *plugin.Client
	protocol plugin.ClientProtocol
	command  *exec.Cmd
	out      *answers
}

type method func(context.Context, *session, command) (map[string]any, error)

var methods map[string]method

func init() { // not a literal: bench looks a method up in it
	methods = map[string]method{
		"QueryData":         queryData,
		"QueryChunkedData":  stream("data", newOf[pluginv2.QueryChunkedDataRequest], grpcplugin.DataClient.QueryChunkedData),
		"CheckHealth":       unary("diagnostics", newOf[pluginv2.CheckHealthRequest], grpcplugin.DiagnosticsClient.CheckHealth),
		"CollectMetrics":    unary("diagnostics", newOf[pluginv2.CollectMetricsRequest], grpcplugin.DiagnosticsClient.CollectMetrics),
		"CallResource":      stream("resource", newOf[pluginv2.CallResourceRequest], callResource),
		"SubscribeStream":   unary("stream", newOf[pluginv2.SubscribeStreamRequest], grpcplugin.StreamClient.SubscribeStream),
		"PublishStream":     unary("stream", newOf[pluginv2.PublishStreamRequest], grpcplugin.StreamClient.PublishStream),
		"RunStream":         stream("stream", newOf[pluginv2.RunStreamRequest], runStream),
		"ValidateAdmission": unary("admission", newOf[pluginv2.AdmissionRequest], grpcplugin.AdmissionClient.ValidateAdmission),
		"MutateAdmission":   unary("admission", newOf[pluginv2.AdmissionRequest], grpcplugin.AdmissionClient.MutateAdmission),
		"ConvertObjects":    unary("conversion", newOf[pluginv2.ConversionRequest], grpcplugin.ConversionClient.ConvertObjects),
		"ping":              ping,
		"kill":              kill,
		"sigkill":           sigkill,
		"wait_exit":         waitExit,
		"bench":             bench,
	}
}

// Their SDK types these two streams by interfaces of their own; the receiver is the same.
type receiver[Reply any] interface{ Recv() (*Reply, error) }

func callResource(c grpcplugin.ResourceClient, ctx context.Context, request *pluginv2.CallResourceRequest, options ...grpc.CallOption) (grpc.ServerStreamingClient[pluginv2.CallResourceResponse], error) {
	return c.CallResource(ctx, request, options...)
}

func runStream(c grpcplugin.StreamClient, ctx context.Context, request *pluginv2.RunStreamRequest, options ...grpc.CallOption) (grpc.ServerStreamingClient[pluginv2.StreamPacket], error) {
	return c.RunStream(ctx, request, options...)
}

func newOf[T any]() *T { return new(T) }

func dispense[Client any](s *session, name string) (Client, error) {
	var client Client
	raw, err := s.protocol.Dispense(name)
	if err != nil {
		return client, err
	}
	client, ok := raw.(Client)
	if !ok {
		return client, fmt.Errorf("%s is a %T", name, raw)
	}
	return client, nil
}

func parse(raw json.RawMessage, request proto.Message) error {
	if len(raw) == 0 {
		return nil
	}
	return protojson.Unmarshal(raw, request)
}

func asJSON(message proto.Message) (json.RawMessage, error) {
	return protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(message)
}

func reply(message proto.Message, quiet bool) (map[string]any, error) {
	answer := map[string]any{"size": proto.Size(message)}
	if quiet {
		return answer, nil
	}
	text, err := asJSON(message)
	answer["reply"] = text
	return answer, err
}

// unary calls an RPC with one answer: {"reply": ...}.
func unary[Client any, Request, Reply proto.Message](name string, create func() Request, call func(Client, context.Context, Request, ...grpc.CallOption) (Reply, error)) method {
	return func(ctx context.Context, s *session, c command) (map[string]any, error) {
		client, err := dispense[Client](s, name)
		if err != nil {
			return nil, err
		}
		request := create()
		if err := parse(c.Request, request); err != nil {
			return nil, err
		}
		message, err := call(client, ctx, request)
		if err != nil {
			return nil, err
		}
		return reply(message, c.Quiet)
	}
}

// stream calls an RPC with many answers: {"messages": [...], "first_ms": ...}. Chunks of data show their frames too.
func stream[Client any, Request proto.Message, Reply any](name string, create func() Request, call func(Client, context.Context, Request, ...grpc.CallOption) (grpc.ServerStreamingClient[Reply], error)) method {
	return func(ctx context.Context, s *session, c command) (map[string]any, error) {
		client, err := dispense[Client](s, name)
		if err != nil {
			return nil, err
		}
		request := create()
		if err := parse(c.Request, request); err != nil {
			return nil, err
		}
		begin := time.Now()
		replies, err := call(client, ctx, request)
		if err != nil {
			return nil, err
		}
		return receiveAll[Reply](replies, c, begin)
	}
}

func receiveAll[Reply any](replies receiver[Reply], c command, begin time.Time) (map[string]any, error) {
	messages, frames := []json.RawMessage{}, []any{}
	answer := map[string]any{}
	for c.MaxMessages == 0 || len(messages) < c.MaxMessages {
		message, err := replies.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		answer["messages"], answer["frames"] = messages, frames
		if err != nil {
			return answer, err
		}
		if len(messages) == 0 {
			answer["first_ms"] = since(begin)
		}
		text, err := asJSON(any(message).(proto.Message))
		if err != nil {
			return answer, err
		}
		messages = append(messages, text)
		if chunk, ok := any(message).(*pluginv2.QueryChunkedDataResponse); ok {
			decoded, err := decode(chunk.Frame, chunk.Format)
			if err != nil {
				return answer, err
			}
			frames = append(frames, decoded)
		}
	}
	answer["messages"], answer["frames"] = messages, frames
	return answer, nil
}

// decode reads a frame with the SDK's own reader and gives it in the SDK's own JSON form.
func decode(raw []byte, format pluginv2.DataFrameFormat) (json.RawMessage, error) {
	if format == pluginv2.DataFrameFormat_JSON {
		return raw, nil
	}
	frame, err := data.UnmarshalArrowFrame(raw)
	if err != nil {
		return nil, fmt.Errorf("UnmarshalArrowFrame: %w", err)
	}
	return data.FrameToJSON(frame, data.IncludeAll)
}

// queryData answers {"reply": ..., "frames": {refId: [frame, ...]}}.
func queryData(ctx context.Context, s *session, c command) (map[string]any, error) {
	client, err := dispense[grpcplugin.DataClient](s, "data")
	if err != nil {
		return nil, err
	}
	request := &pluginv2.QueryDataRequest{}
	if err := parse(c.Request, request); err != nil {
		return nil, err
	}
	response, err := client.QueryData(ctx, request)
	if err != nil {
		return nil, err
	}
	answer, err := reply(response, c.Quiet)
	if err != nil || c.Quiet {
		return answer, err
	}
	frames := map[string][]json.RawMessage{}
	for refID, one := range response.Responses {
		frames[refID] = []json.RawMessage{}
		for _, raw := range one.Frames {
			frame, err := decode(raw, one.Format)
			if err != nil {
				return answer, err
			}
			frames[refID] = append(frames[refID], frame)
		}
	}
	answer["frames"] = frames
	return answer, nil
}

// answer runs one command and prints {"id", "ok", "elapsed_ms", ...} with the error's gRPC code when it failed.
func (s *session) answer(c command) {
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(context.Background(), metadata.New(c.Metadata)))
	defer cancel()
	if c.TimeoutMS > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(c.TimeoutMS)*time.Millisecond)
		defer cancel()
	}
	if c.CancelAfterMS > 0 {
		defer time.AfterFunc(time.Duration(c.CancelAfterMS)*time.Millisecond, cancel).Stop()
	}
	begin := time.Now()
	run, found := methods[c.Do]
	if !found {
		s.out.print(map[string]any{"id": c.ID, "ok": false, "error": "no such command: " + c.Do})
		return
	}
	answer, err := run(ctx, s, c)
	if answer == nil {
		answer = map[string]any{}
	}
	answer["id"], answer["ok"], answer["elapsed_ms"] = c.ID, err == nil, since(begin)
	if err != nil {
		answer["error"], answer["code"] = err.Error(), status.Code(err).String()
		details := []string{}
		for _, detail := range status.Convert(err).Proto().GetDetails() {
			details = append(details, string(detail.Value))
		}
		answer["details"] = details
	}
	s.out.print(answer)
}
