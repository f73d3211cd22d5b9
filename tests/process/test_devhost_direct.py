"""`debugtool health`, `query` and `resource`: calls to a running plugin over its own socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from devhost_host import DEBUGTOOL, PLUGIN_ID, make_project, run_target, running_host

NAME = "sample-datasource"


@pytest.fixture(scope="module")
def pid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    project = tmp_path_factory.mktemp("direct")
    make_project(project, run_target("sample_plugin.py"))
    with running_host(project) as host:
        yield str(host.wait_event("started")["pid"])


def debugtool(*arguments: str, code: int = 0, stdin: bytes = b"") -> tuple[str, str]:
    done = subprocess.run([DEBUGTOOL, *arguments], input=stdin, capture_output=True, timeout=60, check=False)
    assert done.returncode == code, done
    return done.stdout.decode(), done.stderr.decode()


def test_health(pid: str) -> None:
    stdout, stderr = debugtool("health", PLUGIN_ID, "--pid", pid)
    document = json.loads(debugtool("health", NAME, "--pid", pid, "--json")[0])

    assert stdout.startswith("OK sample is healthy\n") and stderr == ""
    assert (document["pid"], document["name"], document["status"]) == (int(pid), NAME, "OK")
    assert document["details"]["pid"] == int(pid)


def test_query_prints_a_table(pid: str) -> None:
    stdout, _ = debugtool("query", NAME, "rows=30", "--from", "0", "--to", "60000", "--rows", "2", "--pid", pid)

    assert stdout == (
        "A: 30 rows\n  time                 value\n  1970-01-01 00:00:00    0.0\n  1970-01-01 00:00:01    1.0\n"
        "  ... 28 more rows: --rows 0 shows all\n"
    )


def test_query_as_json(pid: str) -> None:
    stdout, _ = debugtool(
        *("query", NAME, "rows=1", "--query", '{"rows": 9, "x": 1}', "--ref-id", "Q", "--from", "5", "--to", "6"),
        *("--pid", pid, "--json"),
    )

    (frame,) = json.loads(stdout)["results"]["Q"]["frames"]
    assert frame["data"]["values"] == [[5], [0.0]]


def test_a_query_that_fails(pid: str) -> None:
    stdout, stderr = debugtool("query", NAME, "fail=no such table", "status=502", "--pid", pid, code=1)
    document = json.loads(debugtool("query", NAME, "fail=x", "--pid", pid, "--json", code=1)[0])

    assert stdout == ""
    assert stderr == f"Query A failed in pid {pid} ({NAME}): 502, no such table\n"
    assert document["results"]["A"]["error"] == "x"


def test_resource(pid: str, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"\x00from a file\xff")
    binary = subprocess.run(
        [DEBUGTOOL, "resource", NAME, "echo", "-d", f"@{body}", "--pid", pid], capture_output=True, check=True
    )
    from_stdin, _ = debugtool("resource", NAME, "/echo", "-d", "@-", "--pid", pid, stdin=b"piped")
    streamed, head = debugtool("resource", NAME, "stream/2", "-i", "--pid", pid)
    document = json.loads(debugtool("resource", NAME, "context?x=%20y", "--json", "--pid", pid)[0])
    _, missing = debugtool("resource", NAME, "nope", "--pid", pid, code=1)

    assert binary.stdout == b"\x00from a file\xff"
    assert from_stdin == "piped"
    assert streamed == "part 0\npart 1\n"
    assert head.startswith("201\n") and "X-Many: a\nX-Many: b\n" in head
    assert document["status"] == 200 and document["body"]["url"] == "context?x=%20y"
    assert missing == f"pid {pid} ({NAME}) answered 404.\n"


def test_no_answer_in_time(pid: str) -> None:
    _, stderr = debugtool("query", NAME, "sleep_s=30", "--timeout", "0.3", "--pid", pid, code=5)

    assert stderr.splitlines() == [
        f"Error: pid {pid} ({NAME}) did not answer within 0.3 s.",
        "  why:  The call was sent; no answer came back.",
        "  next: If it stands at a breakpoint, let it continue; or give it more time with --timeout.",
    ]


def test_a_plugin_that_cannot_answer_because_it_is_stopped(tmp_path: Path) -> None:
    make_project(tmp_path, run_target("sample_plugin.py"))
    with running_host(tmp_path) as host:
        pid = host.wait_event("started")["pid"]
        os.kill(pid, signal.SIGSTOP)
        debugtool("health", "--pid", str(pid), "--timeout", "0.5", code=5)
        os.kill(pid, signal.SIGCONT)
        debugtool("health", "--pid", str(pid))


def test_calls_that_a_plugin_does_not_have(tmp_path: Path) -> None:
    make_project(tmp_path, run_target("stubborn_plugin.py", "answers"))
    with running_host(tmp_path) as host:
        pid = str(host.wait_event("started")["pid"])
        host.wait_event("listening")
        health, _ = debugtool("health", "--pid", pid, code=1)
        _, query = debugtool("query", NAME, "--pid", pid, code=7)
        _, resource = debugtool("resource", NAME, "x", "--pid", pid, code=7)

    assert health == "UNKNOWN Health check is not implemented by this plugin\n"
    assert f"Error: pid {pid} ({NAME}) does not implement this call." in query
    assert "UNIMPLEMENTED" in query and "UNIMPLEMENTED" in resource


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("health", "no-such-plugin-anywhere"), 3, "no-such-plugin-anywhere"),
        (("query", NAME, "notapair"), 2, "'notapair' is not KEY=VALUE"),
        (("query", NAME, "--query", "[1]"), 2, "not a JSON object"),
        (("query", NAME, "--query", "{"), 2, "not JSON"),
        (("query", NAME, "--from", "yesterday"), 2, "is no time"),
        (("resource", NAME), 2, "Missing argument 'PATH'"),
        (("resource", NAME, "x", "-H", "no colon"), 1, "is no header"),
        (("health", NAME, "--timeout", "0"), 2, "--timeout"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], code: int, text: str) -> None:
    assert text in debugtool(*arguments, code=code)[1]


def test_an_unknown_data_source(pid: str) -> None:
    _, stderr = debugtool("health", NAME, "--pid", pid, "--datasource", "other", code=3)

    assert f"Known: {PLUGIN_ID}." in stderr
