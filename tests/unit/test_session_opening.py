"""The beginning of an attach: what it must not wait for, and signals that come before anybody can act on them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys

import pytest

from debugtool.debuggers import GuardProcess
from debugtool.errors import AddressInUse
from debugtool.relay import listen_on
from debugtool.session.ending import stop_signals
from debugtool.session.opening import STOP_SIGNALS, EarlySignals

# Each takes longer to import than the beginning of an attach takes; it is the target's turn by then.
LATE = ("asyncio", "debugtool.relay.relay", "debugtool.debuggers.dap", "elftools", "grpc", "sysconfig")


def test_an_attach_begins_before_the_dear_modules_are_imported() -> None:
    program = (
        "import sys, debugtool.cli, debugtool.commands.attach\n"
        "from debugtool.session import choose, command\n"
        "from debugtool import inject\n"
        "inject.all_injectors()\n"
        f"print([name for name in {LATE} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_before_there_is_an_event_loop_ends_the_session_when_there_is_one(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in STOP_SIGNALS]

    async def session(early: EarlySignals) -> signal.Signals:
        with stop_signals(early) as stop:
            return await asyncio.wait_for(stop, 10)

    with EarlySignals() as early:
        os.kill(os.getpid(), number)
        assert asyncio.run(session(early)) is number
    assert [signal.getsignal(each) for each in STOP_SIGNALS] == before


def test_a_name_of_several_addresses_has_one_port() -> None:
    listeners = listen_on("localhost", 0, allow_remote=False)
    try:
        hosts = {info[4][0] for info in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
        assert {listener.getsockname()[0] for listener in listeners} == hosts
        assert len({listener.getsockname()[1] for listener in listeners}) == 1
    finally:
        for listener in listeners:
            listener.close()


def test_a_port_in_use_names_who_listens() -> None:
    (taken,) = listen_on("127.0.0.1", 0, allow_remote=False)
    with taken, pytest.raises(AddressInUse, match="the address is in use") as caught:
        listen_on("127.0.0.1", taken.getsockname()[1], allow_remote=False)
    assert f"pid {os.getpid()} " in caught.value.why


def test_a_guard_that_was_started_ahead_and_is_not_needed_ends() -> None:
    guard = GuardProcess(os.getpid())
    guard.close()
    assert guard.process.stdout is not None
    with guard.process.stdout as output:
        assert guard.process.wait(60) == 0
        assert output.read() == b""
