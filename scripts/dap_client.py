"""A small scripted DAP client, for the demo, the benchmarks and the tests: it does what an editor does, and waits."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Message = dict[str, Any]


class DapError(Exception):
    """A request failed, or the adapter hung up."""


class DapClient:
    """One debug session, driven step by step; a context manager that disconnects and closes.

    Args:
        port: Where the adapter listens, on `host`.
        host: See `port`.
        timeout_s: Deadline of each wait.

    Attributes:
        events: Every event that came, oldest first.
    """

    def __init__(self, port: int, host: str = "127.0.0.1", timeout_s: float = 20.0) -> None:
        self.timeout_s = timeout_s
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self.stream = self.socket.makefile("rb")
        self.events: list[Message] = []
        self.requests: list[Message] = []
        self._responses: dict[int, Message] = {}
        self._sequence = 0
        self._taken = 0

    def __enter__(self) -> DapClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection without a word, as an editor does that is killed."""
        self.stream.close()
        self.socket.close()

    def send(self, command: str, arguments: object = None) -> int:
        """Send a request and give its sequence number.

        Raises:
            DapError: The adapter has told that the session is over, and this is not its end.
        """
        if command != "disconnect" and any(seen["event"] == "terminated" for seen in self.events):
            raise DapError(f"{command} after `terminated`: VS Code has ended the session")
        self._sequence += 1
        message = {"type": "request", "seq": self._sequence, "command": command, "arguments": arguments or {}}
        body = json.dumps(message).encode()
        self.socket.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return self._sequence

    def response(self, sequence: int) -> Message:
        """Wait for the response to a request and give its body.

        Raises:
            DapError: It failed.
            TimeoutError: It did not come in time.
        """
        self._read_until(lambda: sequence in self._responses, f"the response to request {sequence}")
        response = self._responses.pop(sequence)
        if not response["success"]:
            raise DapError(f"{response['command']}: {response.get('message')}")
        body: Message = response.get("body") or {}
        return body

    def request(self, command: str, arguments: object = None) -> Message:
        """Send a request, wait for its response, give its body."""
        return self.response(self.send(command, arguments))

    def wait_for(self, event: str, accept: Callable[[Message], bool] = lambda body: True) -> Message:
        """Wait for an event that has not been waited for yet, and give its body; earlier ones are passed over."""
        found: list[int] = []

        def arrived() -> bool:
            for index in range(self._taken, len(self.events)):
                message = self.events[index]
                if message["event"] == event and accept(message.get("body") or {}):
                    found.append(index)
                    return True
            return False

        self._read_until(arrived, f"the event {event!r}")
        self._taken = found[0] + 1
        body: Message = self.events[found[0]].get("body") or {}
        return body

    def _read_until(self, arrived: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self.timeout_s
        while not arrived():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError(f"{what} did not come within {self.timeout_s:g} s")
            self.socket.settimeout(remaining)
            self._take(self._read_message(what))

    def _take(self, message: Message) -> None:
        if message["type"] == "response":
            self._responses[message["request_seq"]] = message
        elif message["type"] == "event":
            if message["event"] == "initialized" and any(seen["event"] == "initialized" for seen in self.events):
                raise DapError("a second `initialized`: VS Code configures again, is refused and ends the session")
            self.events.append(message)
        else:
            self.requests.append(message)

    def _read_message(self, what: str) -> Message:
        length = 0
        while (line := self.stream.readline().strip()) or not length:
            if not line:
                raise DapError(f"the adapter hung up while {what} was waited for")
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        message: Message = json.loads(self.stream.read(length))
        return message

    def initialize(self, **extra: object) -> Message:
        """Say hello; give the adapter's capabilities."""
        arguments = {"clientID": "dap_client", "adapterID": "debugpy", "pathFormat": "path", "linesStartAt1": True}
        return self.request("initialize", {**arguments, "columnsStartAt1": True, **extra})

    def attach(
        self,
        breakpoints: dict[str | Path, Sequence[int | Message]] | None = None,
        *,
        exceptions: Sequence[str] = (),
        initialize: Message | None = None,
        **arguments: object,
    ) -> dict[str, list[Message]]:
        """Begin a session as an editor does; give what the adapter says of each file's breakpoints.

        Args:
            breakpoints: For each source file its lines, or whole DAP SourceBreakpoints.
            exceptions: Exception filters to set.
            initialize: More arguments for `initialize`.
            arguments: More arguments for `attach`, such as `justMyCode`.
        """
        capabilities = self.initialize(**(initialize or {}))
        attached = self.send("attach", {"justMyCode": True, **arguments})
        self.wait_for("initialized")
        verified = {str(path): self.set_breakpoints(path, lines) for path, lines in (breakpoints or {}).items()}
        for kind in ("Function", "Instruction", "Data"):  # VS Code shows the user any refusal
            if capabilities.get(f"supports{kind}Breakpoints"):
                self.request(f"set{kind}Breakpoints", {"breakpoints": []})
        self.request("setExceptionBreakpoints", {"filters": list(exceptions)})
        self.request("configurationDone")
        self.response(attached)
        return verified

    def set_breakpoints(self, path: str | Path, lines: Sequence[int | Message]) -> list[Message]:
        """Set a file's breakpoints; give what the adapter says of them."""
        points = [{"line": line} if isinstance(line, int) else line for line in lines]
        answer = self.request("setBreakpoints", {"source": {"path": str(path)}, "breakpoints": points})
        verified: list[Message] = answer["breakpoints"]
        return verified

    def wait_for_stop(self) -> Message:
        """Wait until a thread has stopped; give the event's body."""
        return self.wait_for("stopped")

    def stack(self, thread: int) -> list[Message]:
        """Give the frames of a stopped thread, innermost first."""
        frames: list[Message] = self.request("stackTrace", {"threadId": thread})["stackFrames"]
        return frames

    def variables(self, frame: Message) -> dict[str, str]:
        """Give the local variables of a frame, as the adapter shows them."""
        scopes = self.request("scopes", {"frameId": frame["id"]})["scopes"]
        listed = self.request("variables", {"variablesReference": scopes[0]["variablesReference"]})["variables"]
        return {variable["name"]: variable["value"] for variable in listed}

    def evaluate(self, expression: str, frame: Message, context: str = "repl") -> str:
        """Evaluate an expression in a frame; give its value as text."""
        answer = self.request("evaluate", {"expression": expression, "frameId": frame["id"], "context": context})
        return str(answer["result"])

    def resume(self, thread: int) -> None:
        """Let the process continue."""
        self.request("continue", {"threadId": thread})

    def disconnect(self) -> None:
        """End the session as an editor's Stop does, and close."""
        self.request("disconnect", {"terminateDebuggee": False})
        self.close()
