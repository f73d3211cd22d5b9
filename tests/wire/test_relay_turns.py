"""A relay whose process ends while an editor is just being given its debugger."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from relay_stage import ATTACH, CONFIGURE, Debugger, Stage, request

from debugtool.debuggers import DebuggerChannel

LIMIT_S = 20


class LateDebugger(Debugger):
    """A debugger that is up only once `may_come` is set."""

    def __init__(self) -> None:
        super().__init__(is_obedient=True)
        self.asked, self.may_come = asyncio.Event(), asyncio.Event()

    async def connect(self, own_code: Sequence[str] = ()) -> DebuggerChannel:
        self.asked.set()
        await self.may_come.wait()
        return await super().connect(own_code)


def test_a_process_that_ends_while_its_debugger_comes_up_for_an_editor() -> None:
    """The editor waits for the next process, which it gets; it is not sent away for the end of the first one."""

    async def scene() -> None:
        stage, first, second = Stage(follows=True), LateDebugger(), Debugger(is_obedient=True)
        await stage.relay.serve_target(first)
        async with stage.editor() as editor:
            editor.send([*ATTACH, *CONFIGURE])
            await first.asked.wait()
            await stage.relay.lose_target("it ended")
            first.may_come.set()
            await editor.wait_until_taken()
            await stage.relay._tasks.close(grace_s=1)  # whoever waits for the first one's end has seen it
            await stage.relay.serve_target(second)
            editor.send([request("disconnect")])
        told = await editor.reading
        changed = [each["body"]["breakpoint"] for each in told if each.get("event") == "breakpoint"]
        assert [(point["id"], point["verified"]) for point in changed] == [(1, True), (2, True), (3, True)], told
        assert told[-2]["command"] == "disconnect" and told[-1]["event"] == "terminated", told
        for debugger in (first, second):
            await debugger.tasks.close(grace_s=1)

    async def in_time() -> None:
        async with asyncio.timeout(LIMIT_S):
            await scene()

    asyncio.run(in_time())
