"""A hostile editor at the relay: it gets lawful answers or is sent away, and the next editor is served."""

from __future__ import annotations

from fuzzing import flags, run
from relay_stage import ATTACH, CONFIGURE, Debugger, Stage


def fuzz_one(data: bytes) -> None:
    """Send lines as an editor's messages.

    Args:
        data: A byte of flags (1: it has attached properly before; 2: the relay follows restarts; 4: the target is
            restarted afterwards), then the messages (`fuzzing.framed`).
    """
    run(lambda: _visit(data[1:].split(b"\n"), *flags(data)))


async def _visit(lines: list[bytes], attaches: bool, follows: bool, restarts: bool) -> None:
    stage = Stage(follows=follows)
    await stage.relay.serve_target(first := Debugger(is_obedient=True))
    second = Debugger(is_obedient=True)
    async with stage.editor() as editor:
        editor.send([*ATTACH, *CONFIGURE] if attaches else [])
        editor.send(lines)
        if restarts:
            await editor.wait_until_taken()
            await stage.relay.lose_target("it ended")
            await stage.relay.serve_target(second)
    for debugger in (first, second):
        await debugger.tasks.close(grace_s=1)
    await stage.check()
