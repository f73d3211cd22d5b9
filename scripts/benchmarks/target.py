"""What the benchmarks attach to: threads that existed before, and a clock that notices when they stand still.

Runs on CPython 3.11 and later, standard library only. Prints `ready PID`; each line on stdin is a command, each line on
stdout the answer:

    watch                begin to record the longest gap between two ticks of the 1 ms ticker
    gap                  give that gap in ms and the length of time it was looked for
    work KIND SIZE       do KIND (`calls`, `loop`) in an old thread; give its wall time
    monitor              have functions' starts monitored for a moment, without any debugger (CPython 3.12 and later)
    listen DIRECTORY     debugpy.listen() with the debugpy in DIRECTORY; give the port

With `--agent DIRECTORY` the debug agent of the checkout in DIRECTORY is started first.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import sys
import threading
import time
from typing import Any


class Ticker:
    """A thread that does nothing but look at the clock each millisecond."""

    def __init__(self) -> None:
        self.began = self.longest = 0.0
        threading.Thread(target=self.run, name="ticker", daemon=True).start()

    def run(self) -> None:
        """Tick for ever."""
        last = time.perf_counter()
        while True:
            time.sleep(0.001)
            now = time.perf_counter()
            if now - last > self.longest:
                self.longest = now - last
            last = now

    def watch(self) -> dict[str, float]:
        """Forget what was, record from now on."""
        self.began, self.longest = time.perf_counter(), 0.0
        return {}

    def gap(self) -> dict[str, float]:
        """Give what was recorded."""
        return {"gap_ms": self.longest * 1000, "watched_s": time.perf_counter() - self.began}


def untouched() -> None:
    """Be where the editor's breakpoint is: in the same file, never called."""
    print("never")  # BREAKPOINT


def fib(number: int) -> int:
    """Call a lot."""
    return number if number < 2 else fib(number - 1) + fib(number - 2)


def calls(size: int) -> int:
    """Work that is mostly calls: `size` times 465 of them."""
    return sum(fib(12) for _ in range(size))


def loop(size: int) -> int:
    """Work that is one loop of `size` thousand turns.

    Its numbers are small enough to exist already: how quickly others are made changes by 10 % with the state of the
    allocator's pools, which any import leaves changed, a debugger's or not.
    """
    total = 0
    for _ in range(size):
        for number in SMALL:
            if number & 1:
                total = (total + number) & 63
            else:
                total ^= number
    return total


SMALL = tuple(number % 64 for number in range(1000))

KINDS = {"calls": calls, "loop": loop}


def work(kind: str, size: int) -> dict[str, float]:
    """Do some work in the calling thread and time it."""
    began = time.perf_counter()
    KINDS[kind](size)
    return {"wall_s": time.perf_counter() - began}


def monitor() -> dict[str, int]:
    """Do the least that a debugger does for a breakpoint, and undo it: each code object that runs is told of once."""
    monitoring: Any = vars(sys)["monitoring"]  # 3.12 and later, where types are checked for 3.11
    monitoring.use_tool_id(monitoring.DEBUGGER_ID, "bench")
    start = monitoring.events.PY_START
    monitoring.register_callback(monitoring.DEBUGGER_ID, start, lambda code, offset: monitoring.DISABLE)
    monitoring.set_events(monitoring.DEBUGGER_ID, start)
    for action in KINDS.values():
        action(1)
    monitoring.set_events(monitoring.DEBUGGER_ID, 0)
    monitoring.free_tool_id(monitoring.DEBUGGER_ID)
    return {}


def listen(directory: str) -> dict[str, int]:
    """Do what a program does today that wants to be debugged."""
    sys.path.insert(0, directory)
    import debugpy

    return {"port": debugpy.listen(("127.0.0.1", 0))[1]}


def serve(pool: concurrent.futures.ThreadPoolExecutor, ticker: Ticker | None) -> None:
    """Carry out the commands until stdin ends, which ends the process."""
    for line in sys.stdin:
        command, *words = line.split()
        answer: dict[str, Any]
        if command == "work":
            answer = pool.submit(work, words[0], int(words[1])).result()
        elif command == "listen":
            answer = listen(words[0])
        elif command == "monitor":
            answer = monitor()
        else:
            assert ticker is not None
            answer = ticker.watch() if command == "watch" else ticker.gap()
        print(json.dumps(answer), flush=True)
    os._exit(0)


def main() -> None:
    """Start the threads, say so, and wait."""
    if "--agent" in sys.argv:
        sys.path.insert(0, sys.argv[sys.argv.index("--agent") + 1])
        from debugtool.plugin import agent

        agent.start(__file__)
    pool = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="pool")
    list(pool.map(fib, range(8)))  # the pool's threads exist before anybody attaches
    ticker = Ticker() if "--ticker" in sys.argv else None
    threading.Thread(target=serve, args=(pool, ticker), name="commands", daemon=True).start()
    print("ready", os.getpid(), flush=True)
    while True:
        time.sleep(0.05)


if __name__ == "__main__":
    main()
