package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend/grpcplugin"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
)

// ping asks the gRPC health service, as go-plugin's Ping does.
func ping(_ context.Context, s *session, _ command) (map[string]any, error) {
	return nil, s.protocol.Ping()
}

// kill stops the plugin as go-plugin does: Shutdown, two seconds, SIGKILL.
func kill(_ context.Context, s *session, _ command) (map[string]any, error) {
	begin := time.Now()
	s.client.Kill()
	answer := s.exit()
	answer["kill_ms"] = since(begin)
	return answer, nil
}

// sigkill ends the plugin's process and waits until go-plugin has noticed.
func sigkill(ctx context.Context, s *session, c command) (map[string]any, error) {
	if err := s.command.Process.Kill(); err != nil {
		return nil, err
	}
	return waitExit(ctx, s, c)
}

// waitExit waits until go-plugin has noticed the process's exit, at most timeout_ms (default 5 s).
func waitExit(_ context.Context, s *session, c command) (map[string]any, error) {
	begin, limit := time.Now(), 5*time.Second
	if c.TimeoutMS > 0 {
		limit = time.Duration(c.TimeoutMS) * time.Millisecond
	}
	for !s.client.Exited() {
		if time.Since(begin) > limit {
			return nil, errors.New("the host has not noticed an exit")
		}
		time.Sleep(time.Millisecond)
	}
	answer := s.exit()
	answer["noticed_ms"] = since(begin)
	return answer, nil
}

// exit tells how the process ended: exit_code is -1 when a signal ended it.
func (s *session) exit() map[string]any {
	answer := map[string]any{"exited": s.client.Exited()}
	if state := s.command.ProcessState; state != nil {
		answer["exit_code"], answer["state"] = state.ExitCode(), state.String()
	}
	return answer
}

// bench calls QueryData `calls` times from `concurrency` goroutines and gives the rate and the latencies.
func bench(ctx context.Context, s *session, c command) (map[string]any, error) {
	client, err := dispense[grpcplugin.DataClient](s, "data")
	if err != nil {
		return nil, err
	}
	request := &pluginv2.QueryDataRequest{}
	if err := parse(c.Request, request); err != nil {
		return nil, err
	}
	var next atomic.Int64
	var group sync.WaitGroup
	latencies, failures := make([]float64, c.Calls), make([]error, c.Calls)
	begin := time.Now()
	for range max(c.Concurrency, 1) {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(c.Calls); i = next.Add(1) - 1 {
				start := time.Now()
				response, err := client.QueryData(ctx, request)
				latencies[i], failures[i] = since(start), err
				if err == nil && i == 0 {
					failures[i] = oneFrameEach(request, response)
				}
			}
		})
	}
	group.Wait()
	elapsed := time.Since(begin).Seconds()
	slices.Sort(latencies)
	return map[string]any{
		"per_second": float64(c.Calls) / elapsed,
		"p50_ms":     latencies[c.Calls/2],
		"p99_ms":     latencies[c.Calls*99/100],
		"max_ms":     latencies[c.Calls-1],
	}, errors.Join(failures...)
}

// oneFrameEach checks that the first answer is a real one, so that no one measures failures.
func oneFrameEach(request *pluginv2.QueryDataRequest, response *pluginv2.QueryDataResponse) error {
	for _, query := range request.Queries {
		one := response.Responses[query.RefId]
		if one == nil || one.Error != "" || len(one.Frames) != 1 {
			return fmt.Errorf("refId %s has no frame: %v", query.RefId, one.GetError())
		}
		if _, err := data.UnmarshalArrowFrame(one.Frames[0]); err != nil {
			return err
		}
	}
	return nil
}
