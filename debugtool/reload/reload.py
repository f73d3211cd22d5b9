"""`debugtool reload`: one process of a plugin ended, the next one started by its host and answering."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from debugtool import devhost
from debugtool.model import Target
from debugtool.reload.ending import Ending, end_instance, speaks_go_plugin
from debugtool.reload.host import HostRef, NotRestarted, restarting_host
from debugtool.reload.instances import Instances

_ANSWER_S = 1.0
_POLL_S = 0.05


@dataclass(frozen=True)
class Reload:
    """A reload that was done; times in milliseconds.

    Attributes:
        old: The process that was ended.
        new: The one that the host started.
        host: Who started it.
        ending: How the old one ended.
        ended_ms: From the beginning to the end of the old one.
        started_ms: From there until the new one was there.
        answered_ms: From there until it answered.
    """

    old: Target
    new: Target
    host: HostRef
    ending: Ending
    ended_ms: float
    started_ms: float
    answered_ms: float


async def reload_plugin(target: Target, timeout_s: float) -> Reload:
    """End a plugin's process and wait until its host has started the next one, and that answers.

    Args:
        target: The process.
        timeout_s: How long the host and the new process may take.

    Raises:
        NotRestarted: Nobody would start it again, and it was left running; or nobody has in time.
        DebugtoolError: It could not be ended, see `end_instance`.
    """
    host = restarting_host(target)
    instances = Instances(target, host)
    began = time.monotonic()
    ending = await end_instance(target)
    ended = time.monotonic()
    watch = _Watch(target, host, ended)
    try:
        async with asyncio.timeout(timeout_s):
            new = await watch.wait_for_answer(instances)
    except TimeoutError:
        raise watch.failure(f"{timeout_s:g} s") from None
    answered = time.monotonic()
    return Reload(
        old=target,
        new=new,
        host=host,
        ending=ending,
        ended_ms=_ms(ended - began),
        started_ms=_ms(watch.started - ended),
        answered_ms=_ms(answered - watch.started),
    )


class _Watch:
    """Waits for a successor that answers; knows how far it got.

    Attributes:
        started: When a successor was first seen, on the monotonic clock.
    """

    def __init__(self, old: Target, host: HostRef, ended: float) -> None:
        self._old = old
        self._host = host
        self._new: Target | None = None
        self.started = ended

    async def wait_for_answer(self, instances: Instances) -> Target:
        """Look at the newest successor again and again: it may crash, and a onefile program goes on in a child."""
        while True:
            self._new, before = await instances.next_one(), self._new
            if self._new is None:
                raise self.failure("")
            if before is None:
                self.started = time.monotonic()
            if await self._answers(self._new):
                return self._new
            await asyncio.sleep(_POLL_S)

    async def _answers(self, new: Target) -> bool:
        if self._old.grpc_address is None:
            return True
        if new.grpc_address is None:
            return False
        if not speaks_go_plugin(new):
            return True
        async with devhost.open_channel(new.grpc_address) as channel:
            return await devhost.answers_calls(channel, _ANSWER_S)

    def failure(self, waited: str) -> NotRestarted:
        """Say why there is no new process that answers."""
        host, name = self._host, self._old.name
        if not host.is_running:
            why = f"Its host {host} has ended too."
        elif self._new is None:
            why = f"Its host {host} has not started it again within {waited}."
        else:
            why = f"Its host {host} has started pid {self._new.pid}, which does not answer after {waited}."
        return NotRestarted(
            f"{self._old} was ended, and no new {name} answers.",
            why=why,
            next_step=f"See the log of {host.name}; debugtool ps {name} shows when it is back.",
            details={"old_pid": self._old.pid, "new_pid": self._new.pid if self._new else None},
        )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
