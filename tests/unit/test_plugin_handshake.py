"""What the runtime reads from a host's environment, and the line it answers with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debugtool.plugin import listener
from debugtool.plugin.handshake import (
    HostSettings,
    NotHosted,
    StartRefused,
    handshake_line,
    negotiate,
    read_settings,
)

COOKIE = {"grafana_plugin_type": "datasource"}


@pytest.mark.parametrize("environment", [{}, {"grafana_plugin_type": ""}, {"grafana_plugin_type": "Datasource"}])
def test_without_the_cookie_there_is_no_host(environment: dict[str, str]) -> None:
    with pytest.raises(NotHosted, match="does nothing when run by hand"):
        read_settings(environment)


def test_everything_a_host_may_ask_for() -> None:
    asked = {
        "PLUGIN_PROTOCOL_VERSIONS": "2,1",
        "PLUGIN_UNIX_SOCKET_DIR": "/run/x",
        "PLUGIN_UNIX_SOCKET_GROUP": "grafana",
        "PLUGIN_MIN_PORT": "10000",
        "PLUGIN_MAX_PORT": "25000",
        "PLUGIN_MULTIPLEX_GRPC": "true",
    }
    assert read_settings({**COOKIE, **asked}) == HostSettings("2,1", "/run/x", "grafana", 10000, 25000, True)
    assert read_settings(COOKIE) == HostSettings("", "", "", 0, 0, False)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("PLUGIN_CLIENT_CERT", "-----BEGIN", "AutoMTLS"),
        ("PLUGIN_MIN_PORT", "ten", "PLUGIN_MIN_PORT is not a port number: 'ten'"),
        ("PLUGIN_MAX_PORT", "65536", "PLUGIN_MAX_PORT is not a port number"),
        ("PLUGIN_MAX_PORT", "-1", "PLUGIN_MAX_PORT is not a port number"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(name: str, value: str, reason: str) -> None:
    with pytest.raises(StartRefused, match=reason):
        read_settings({**COOKIE, name: value})


@pytest.mark.parametrize(
    ("offered", "own", "version", "bad"),
    [
        ("2", (2,), 2, []),
        ("3,2,1", (2, 1), 2, []),  # the host's order means nothing
        ("1,3", (1, 2, 3), 3, []),
        ("3", (2,), 2, []),  # nothing in common: our lowest, which the host refuses
        ("", (3, 2), 2, []),
        ("x, 2,,-1", (2,), 2, ["x", "-1"]),
    ],
)
def test_negotiation(offered: str, own: tuple[int, ...], version: int, bad: list[str]) -> None:
    assert negotiate(offered, own) == (version, bad)


@given(st.sets(st.integers(0, 20), min_size=1), st.lists(st.integers(0, 20)))
def test_negotiation_takes_the_highest_in_common(own: set[int], offered: list[int]) -> None:
    version, bad = negotiate(",".join(map(str, offered)), tuple(own))
    common = own & set(offered)
    assert version == (max(common) if common else min(own))
    assert bad == []


def test_the_line_has_a_seventh_field_only_for_hosts_that_multiplex() -> None:
    assert handshake_line(2, "unix", "/tmp/plugin1", multiplex=False) == b"1|2|unix|/tmp/plugin1|grpc|\n"
    assert handshake_line(2, "tcp", "127.0.0.1:1", multiplex=True) == b"1|2|tcp|127.0.0.1:1|grpc||false\n"


def settings(*, low: int = 0, high: int = 0, group: str = "") -> HostSettings:
    return HostSettings("2", "", group, low, high, False)


def test_tcp_takes_the_first_free_port_of_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("socket.AF_UNIX")
    tried: list[str] = []

    def bind(target: str) -> None:
        tried.append(target)
        if len(tried) < 3:
            raise RuntimeError("taken")

    address = listener.listen(settings(low=10000, high=10005), bind)
    assert (address.network, address.address, address.grpc_target) == ("tcp", "127.0.0.1:10002", "127.0.0.1:10002")
    assert tried == ["127.0.0.1:10000", "127.0.0.1:10001", "127.0.0.1:10002"]


def test_tcp_ranges_that_cannot_be_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("socket.AF_UNIX")

    def taken(target: str) -> None:
        raise RuntimeError(target)

    with pytest.raises(StartRefused, match="no free port from 10000 to 10001"):
        listener.listen(settings(low=10000, high=10001), taken)
    with pytest.raises(StartRefused, match="PLUGIN_MIN_PORT 2 is above PLUGIN_MAX_PORT 1"):
        listener.listen(settings(low=2, high=1), taken)


def test_a_socket_that_cannot_be_bound_says_where() -> None:
    def refuse(target: str) -> None:
        raise RuntimeError("Permission denied")

    with pytest.raises(StartRefused, match=r"cannot listen on /.*/plugin[0-9a-f]{10}: Permission denied"):
        listener.listen(settings(), refuse)


def test_socket_paths_fit_the_smallest_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = listener.MAX_SOCKET_PATH_BYTES - len("/plugin0123456789")
    fits = "/" + "d" * (room - 1)
    monkeypatch.setattr("os.path.isdir", lambda _: True)
    assert len(os.fsencode(listener.socket_path(fits))) == listener.MAX_SOCKET_PATH_BYTES
    with pytest.raises(StartRefused, match="too long"):
        listener.socket_path(fits + "d")
    monkeypatch.setenv("TMPDIR", fits + "d")
    assert listener.socket_path("").startswith("/tmp/plugin")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert Path(listener.socket_path("")).parent == tmp_path
