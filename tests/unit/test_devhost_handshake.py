"""The handshake line: what go-plugin takes, and what it refuses and why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debugtool.devhost.handshake import Handshake, HandshakeRefused, grpc_target, parse_handshake


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1|2|unix|/tmp/plugin123456|grpc|", Handshake("unix", "/tmp/plugin123456")),  # Go's own, with its last bar
        ("1|2|tcp|127.0.0.1:10000|grpc", Handshake("tcp", "127.0.0.1:10000")),  # Rust SDK, Go standalone locator
        ("1|2|unix|/tmp/p|grpc||false", Handshake("unix", "/tmp/p")),
        ("1|2|unix|/tmp/p|grpc|too short to be a certificate", Handshake("unix", "/tmp/p")),
        ("  1|2|unix|/tmp/p|grpc \t", Handshake("unix", "/tmp/p")),
        ("1|2|tcp|:10000|grpc", Handshake("tcp", ":10000")),
        ("+1|02|tcp|[::1]:10000|grpc|||more|fields", Handshake("tcp", "[::1]:10000")),
    ],
)
def test_lines_that_hosts_take(line: str, expected: Handshake) -> None:
    assert parse_handshake(line) == expected


@pytest.mark.parametrize(
    ("line", "reason", "advice"),
    [
        ("", "an empty line on stdout before", "log to stderr"),
        ("Loading model...", "instead of its handshake line: Loading model...", "stderr"),
        ("1|2|unix", "instead of its handshake line", "stderr"),
        ("x|2|unix|/tmp/p|grpc", "instead of its handshake line", "stderr"),
        ("2|2|unix|/tmp/p|grpc", "speaks version 2 of go-plugin's core protocol; hosts speak 1", "Update"),
        ("1|1|unix|/tmp/p|grpc", "announced protocol version '1'; Grafana offers only 2", "version 2"),
        ("1|two|unix|/tmp/p|grpc", "announced protocol version 'two'", "version 2"),
        ("1|2_|unix|/tmp/p|grpc", "announced protocol version '2_'", "version 2"),
        ("1|2|udp|/tmp/p|grpc", "names the network 'udp'", "1|2|unix|"),
        ("1|2|tcp4|127.0.0.1:1|grpc", "names the network 'tcp4'", "1|2|unix|"),
        ("1|2|unix||grpc", "unix address is ''", "unix socket"),
        ("1|2|tcp|localhost|grpc", "tcp address is 'localhost'", "host:port"),
        ("1|2|tcp|127.0.0.1:0|grpc", "tcp address is '127.0.0.1:0'", "host:port"),
        ("1|2|tcp|127.0.0.1:99999|grpc", "tcp address is", "host:port"),
        ("1|2|unix|/tmp/p", "four fields means netrpc", "Serve gRPC"),
        ("1|2|unix|/tmp/p|netrpc", "'netrpc'; Grafana allows grpc only", "Serve gRPC"),
        ("1|2|unix|/tmp/p|", "announces no protocol", "Serve gRPC"),
        ("1|2|unix|/tmp/p|grpc|" + "A" * 51, "carries a TLS certificate", "PLUGIN_CLIENT_CERT"),
    ],
)
def test_lines_that_hosts_refuse(line: str, reason: str, advice: str) -> None:
    with pytest.raises(HandshakeRefused) as refused:
        parse_handshake(line)

    assert reason in refused.value.reason
    assert advice in refused.value.next_step


def test_a_long_text_before_the_handshake_is_cut() -> None:
    with pytest.raises(HandshakeRefused) as refused:
        parse_handshake("x" * 5000)

    assert refused.value.reason.endswith("x" * 200 + "...")


@given(st.text())
def test_any_text_is_a_handshake_or_refused_with_a_reason(text: str) -> None:
    try:
        found = parse_handshake(text)
    except HandshakeRefused as refused:
        assert refused.reason and refused.next_step
    else:
        assert text.strip().startswith(f"{text.strip().split('|')[0]}|") and found.address


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("unix:///tmp/plugin1", "unix:/tmp/plugin1"),
        ("unix:///tmp/with space%20", "unix:/tmp/with%20space%2520"),
        ("unix://@abstract", "unix-abstract:abstract"),
        ("127.0.0.1:10000", "127.0.0.1:10000"),
        (":10000", "localhost:10000"),
    ],
)
def test_addresses_as_grpc_dials_them(address: str, target: str) -> None:
    assert grpc_target(address) == target
