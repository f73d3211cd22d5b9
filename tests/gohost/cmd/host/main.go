// Command host starts a plugin as Grafana does and calls it: the genuine article for the runtime's tests.
//
//	host [flags] -- EXECUTABLE [ARGUMENT...]
//
// It prints one JSON object per line on stdout: first {"event": "started"} or {"event": "failed"}, then an answer for
// each JSON command read from stdin. Its own log, which carries the plugin's, goes to stderr as hclog JSON. When stdin
// ends it stops the plugin as go-plugin does and exits. See calls.go and lifecycle.go for the commands.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend/grpcplugin"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

// settings are the ways in which a test host may differ from Grafana.
type settings struct {
	env       []string
	cookie    string
	version   int
	autoMTLS  bool
	mux       bool
	syncStdio bool
	timeout   time.Duration
	restart   time.Duration
}

// answers prints one JSON object per line, from any goroutine.
type answers struct {
	mutex   sync.Mutex
	encoder *json.Encoder
}

func (a *answers) print(answer map[string]any) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if err := a.encoder.Encode(answer); err != nil {
		os.Exit(1)
	}
}

// syncWriter shows what arrives over GRPCStdio.
type syncWriter struct {
	out  *answers
	name string
}

func (w syncWriter) Write(data []byte) (int, error) {
	w.out.print(map[string]any{"event": w.name, "data": string(data)})
	return len(data), nil
}

// grafanaPlugins is the plugin set Grafana dispenses from.
func grafanaPlugins() plugin.PluginSet {
	return plugin.PluginSet{
		"diagnostics": &grpcplugin.DiagnosticsGRPCPlugin{},
		"resource":    &grpcplugin.ResourceGRPCPlugin{},
		"data":        &grpcplugin.DataGRPCPlugin{},
		"stream":      &grpcplugin.StreamGRPCPlugin{},
		"admission":   &grpcplugin.AdmissionGRPCPlugin{},
		"conversion":  &grpcplugin.ConversionGRPCPlugin{},
	}
}

// newClient configures go-plugin as Grafana 12.4 does: gRPC only, no AutoMTLS, no environment of our own.
func newClient(set settings, command *exec.Cmd, out *answers) *plugin.Client {
	config := &plugin.ClientConfig{
		HandshakeConfig:     plugin.HandshakeConfig{MagicCookieKey: grpcplugin.MagicCookieKey, MagicCookieValue: set.cookie},
		VersionedPlugins:    map[int]plugin.PluginSet{set.version: grafanaPlugins()},
		Cmd:                 command,
		AllowedProtocols:    []plugin.Protocol{plugin.ProtocolGRPC},
		SkipHostEnv:         true,
		AutoMTLS:            set.autoMTLS,
		GRPCBrokerMultiplex: set.mux,
		StartTimeout:        set.timeout,
		Logger:              hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, JSONFormat: true, Output: os.Stderr}),
	}
	if set.syncStdio {
		config.SyncStdout = syncWriter{out, "sync_stdout"}
		config.SyncStderr = syncWriter{out, "sync_stderr"}
	}
	return plugin.NewClient(config)
}

func parseFlags() (settings, []string) {
	var set settings
	flag.Func("env", "KEY=VALUE for the plugin; it gets nothing else (repeatable)", func(text string) error {
		if !strings.Contains(text, "=") {
			return errors.New("want KEY=VALUE")
		}
		set.env = append(set.env, text)
		return nil
	})
	flag.StringVar(&set.cookie, "cookie", grpcplugin.MagicCookieValue, "value of the magic cookie")
	flag.IntVar(&set.version, "version", grpcplugin.ProtocolVersion, "protocol version to offer")
	flag.BoolVar(&set.autoMTLS, "automtls", false, "ask for AutoMTLS")
	flag.BoolVar(&set.mux, "mux", false, "ask for broker multiplexing")
	flag.BoolVar(&set.syncStdio, "sync-stdio", false, "print what arrives over GRPCStdio")
	flag.DurationVar(&set.timeout, "start-timeout", time.Minute, "how long the plugin may take to start")
	flag.DurationVar(&set.restart, "restart", 0, "look that often whether the plugin has ended and start it again; Grafana: 1s")
	flag.Parse()
	return set, flag.Args()
}

func main() {
	set, arguments := parseFlags()
	if len(arguments) == 0 {
		flag.Usage()
		os.Exit(2)
	}
	out := &answers{encoder: json.NewEncoder(os.Stdout)}
	s := &session{out: out}
	defer func() { s.client.Kill() }()
	if !start(s, set, arguments, "started") {
		return
	}
	if set.restart > 0 {
		go keep(s, set, arguments)
	}
	serve(s)
}

// start starts the plugin and prints the event of that name, or "failed".
func start(s *session, set settings, arguments []string, event string) bool {
	s.command = exec.Command(arguments[0], arguments[1:]...)
	s.command.Env = set.env
	s.client = newClient(set, s.command, s.out)
	begin := time.Now()
	address, err := s.client.Start()
	if err == nil {
		s.protocol, err = s.client.Client()
	}
	if err != nil {
		s.out.print(map[string]any{"event": "failed", "error": err.Error(), "elapsed_ms": since(begin)})
		return false
	}
	s.out.print(map[string]any{
		"event": event, "elapsed_ms": since(begin), "pid": s.command.Process.Pid,
		"network": address.Network(), "address": address.String(), "version": s.client.NegotiatedVersion(),
	})
	return true
}

// keep starts the plugin again whenever it has ended, as Grafana's process manager does: no back-off, no limit.
func keep(s *session, set settings, arguments []string) {
	for range time.Tick(set.restart) {
		s.mutex.Lock()
		if s.client.Exited() {
			s.client.Kill() // collects the process
			start(s, set, arguments, "restarted")
		}
		s.mutex.Unlock()
	}
}

// serve answers the commands on stdin until it ends.
func serve(s *session) {
	decoder := json.NewDecoder(os.Stdin)
	for {
		var c command
		err := decoder.Decode(&c)
		s.mutex.Lock() // not while the plugin is being restarted
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.out.print(map[string]any{"event": "bad_command", "error": err.Error()})
			}
			return
		}
		if c.Async {
			go s.answer(c)
		} else {
			s.answer(c)
		}
		s.mutex.Unlock()
	}
}

func since(begin time.Time) float64 {
	return float64(time.Since(begin).Microseconds()) / 1000
}
