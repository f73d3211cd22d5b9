// Command host starts a plugin as Grafana does and calls it: the genuine article for the runtime's tests.
package main

import (
	"fmt"

	_ "github.com/grafana/grafana-plugin-sdk-go/backend/grpcplugin"
	_ "github.com/grafana/grafana-plugin-sdk-go/data"
	_ "github.com/hashicorp/go-hclog"
	_ "github.com/hashicorp/go-plugin"
	_ "google.golang.org/grpc"
)

func main() { fmt.Println("host") }
