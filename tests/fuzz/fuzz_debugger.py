"""A hostile debugger inside the target: the editor is sent only what is lawful, and the next process is served."""

from __future__ import annotations

from fuzzing import flags, run
from relay_stage import ATTACH, CONFIGURE, MORE, Debugger, Stage


def fuzz_one(data: bytes) -> None:
    """Answer an editor's requests with lines.

    Args:
        data: A byte of flags (1: the debugger does the handshake properly; 2: the relay follows restarts; 4: the
            target is restarted, with the same lines once more), then the messages (`relay_stage.Debugger`).
    """
    run(lambda: _serve(data[1:].split(b"\n"), *flags(data)))


async def _serve(lines: list[bytes], is_good: bool, follows: bool, restarts: bool) -> None:
    stage = Stage(follows=follows)
    first, second = [Debugger(lines, is_good=is_good) for _ in range(2)]
    await stage.relay.serve_target(first)
    async with stage.editor() as editor:
        editor.send([*ATTACH, *CONFIGURE, *MORE])
        await editor.wait_until_taken()
        if restarts:
            await stage.relay.lose_target("it ended")
            await stage.relay.serve_target(second)
    for debugger in (first, second):
        await debugger.tasks.close(grace_s=1)
    await stage.check()
