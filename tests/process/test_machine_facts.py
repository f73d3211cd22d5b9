"""Owners of real connections and ports, and the end of real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest
from process_targets import DEADLINE_S, NOBODY, WAITING, running

from debugtool.errors import ProcessGone
from debugtool.processes import list_targets
from debugtool.system import (
    is_same_process,
    listener_owner,
    loopback_peer_uid,
    opened_pidfd,
    peer_uid,
    start_ticks,
    wait_for_exit,
)

CONNECT = """
import os, socket, sys
port, uid = map(int, sys.argv[1:])
os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
connection = socket.socket()
connection.connect(("127.0.0.1", port))
print("ready", flush=True)
connection.recv(1)
"""


@pytest.mark.parametrize("uid", [os.geteuid(), NOBODY])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_user_at_the_other_end_of_a_connection(uid: int, family: socket.AddressFamily) -> None:
    if uid != os.geteuid() and os.geteuid() != 0:
        pytest.skip("takes root to become another user")
    dual = family == socket.AF_INET6
    with socket.create_server(("", 0), family=family, dualstack_ipv6=dual) as server:
        server.settimeout(DEADLINE_S)
        port = server.getsockname()[1]
        with running([sys.executable, "-c", CONNECT, str(port), str(uid)]):
            connection, address = server.accept()
            with connection:
                assert loopback_peer_uid(connection) == uid
                assert peer_uid(port, address[1]) == uid
                assert peer_uid(address[1], port) == os.geteuid()
                assert peer_uid(port, address[1], remote_host="127.0.0.3") is None


def test_a_peer_that_has_gone_is_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        connection, _ = server.accept()
        with connection:
            assert loopback_peer_uid(connection) == os.geteuid()
            connection.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
            client.close()
            assert connection.recv(1) == b""
            assert loopback_peer_uid(connection) is None


def test_who_listens_on_a_port() -> None:
    with running([sys.executable, WAITING, "--tcp"]) as target:
        port = int(target.words[1])
        owner = listener_owner(port)
        assert owner is not None
        assert owner.process is not None
        assert (owner.uid, owner.process.pid) == (os.geteuid(), target.pid)
        assert owner.process.name.startswith("python")
    assert listener_owner(port) is None


def test_waiting_for_a_process_that_is_not_our_child() -> None:
    script = "sleep 300 & echo $!; wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        ticks = start_ticks(pid)
        assert ticks is not None
        assert not wait_for_exit(pid, 0.05)
        assert is_same_process(pid, ticks)
        with opened_pidfd(pid, started_ticks=ticks) as descriptor:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        assert wait_for_exit(pid, DEADLINE_S, started_ticks=ticks)
    assert not is_same_process(pid, ticks)


def test_a_pid_that_went_to_another_process_is_not_the_one_that_was_meant() -> None:
    ticks = start_ticks(os.getpid())
    assert ticks is not None
    assert wait_for_exit(os.getpid(), 5, started_ticks=ticks - 1)
    with pytest.raises(ProcessGone, match=f"Process {os.getpid()} is gone"), opened_pidfd(os.getpid(), started_ticks=1):
        pass


def test_processes_that_come_and_go_during_the_scan_do_no_harm() -> None:
    churn = "echo ready; while :; do (exec python3 -S -c '' &) ; (exec true &); (exec sleep 0.01 &) ; done"
    with running(["bash", "-c", churn]):
        for _ in range(25):
            assert all(target.pid for target in list_targets(everything=True))
