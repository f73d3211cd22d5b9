"""The embedded host: starts and restarts a plugin as Grafana does, with Grafana's HTTP API in front."""
