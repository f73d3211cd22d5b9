"""`debugtool run` with plugins that do not start: every trap of the handshake, explained."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from devhost_host import BARE_PYTHON, DEBUGTOOL, is_running, make_project, running_host

HANDSHAKE = "print('1|2|unix|/nowhere|grpc', flush=True)\n"


def run_failing(project: Path, *options: str) -> tuple[int, str]:
    """Run the host until it gives up; gives exit code and stderr."""
    done = subprocess.run(
        [DEBUGTOOL, "run", project, "--port", "0", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("program", "code", "texts"),
    [
        (
            "print('Loading model...', flush=True)\nimport time; time.sleep(60)",
            1,
            ["instead of its handshake line: Loading model...", "next: Print nothing on stdout before the handshake"],
        ),
        (
            "import sys; print('no such table: users', file=sys.stderr); sys.exit(3)",
            1,
            ["It ended (exit code 3) before it printed its handshake", "Its stderr:", "no such table: users"],
        ),
        (
            "raise SystemExit(0)",
            1,
            ["It ended (exit code 0)", "next: Run it by hand", "grafana_plugin_type=datasource"],
        ),
        ("import os; os.kill(os.getpid(), 11)", 1, ["It ended (killed by SIGSEGV)"]),
        ("1/0", 1, ["ZeroDivisionError: division by zero", "next: Correct what its stderr shows."]),
        ("print('1|1|unix|/tmp/x|grpc', flush=True)\nimport time; time.sleep(60)", 1, ["Grafana offers only 2"]),
        ("print('1|2|unix|/tmp/x', flush=True)\nimport time; time.sleep(60)", 1, ["four fields means netrpc"]),
        ("print(flush=True)\nimport time; time.sleep(60)", 1, ["an empty line on stdout"]),
        ("import os, time\nos.close(1)\ntime.sleep(60)", 1, ["It closed its stdout without printing a handshake line"]),
        (
            "#!/no/such/python\n",
            1,
            ["names the interpreter '/no/such/python', which does not exist", "debugtool build"],
        ),
        ("#!/bin/sh\r\nexit\n", 1, ["carriage return"]),
        (b"\x7fELF\x02\x01\x01" + b"\0" * 11 + b"\xb7\x00" + b"\0" * 60, 1, ["a program for arm64"]),
    ],
)
def test_a_plugin_that_does_not_start_says_why(
    tmp_path: Path, program: str | bytes, code: int, texts: list[str]
) -> None:
    make_project(tmp_path, program)

    found, stderr = run_failing(tmp_path)

    assert found == code, stderr
    assert stderr.count("Traceback") == stderr.count("ZeroDivisionError:")
    for text in texts:
        assert text in stderr


def test_a_plugin_that_never_says_its_handshake_is_killed_at_the_start_limit(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    make_project(
        tmp_path,
        f"import os, time\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\n"
        "print('1|2|unix|/tmp', end='', flush=True)\ntime.sleep(60)",
    )

    begin = time.monotonic()
    code, stderr = run_failing(tmp_path, "--start-timeout", "1")

    assert code == 5
    assert time.monotonic() - begin < 20
    assert "did not start within 1 s, and was killed" in stderr
    assert "Its stdout says so far, without a newline: 1|2|unix|/tmp" in stderr
    assert "--start-timeout 600" in stderr
    assert not is_running(int(pid_file.read_text()))


def test_the_kernels_refusals(tmp_path: Path) -> None:
    executable = make_project(tmp_path, HANDSHAKE)
    executable.write_bytes(b"print('no first line')\n")
    code, stderr = run_failing(tmp_path)
    assert code == 1 and "a script without a #! line" in stderr

    executable.write_bytes(b"")
    assert "it is empty" in run_failing(tmp_path)[1]

    executable.chmod(0o644)
    code, stderr = run_failing(tmp_path)
    assert code == 4
    assert f"next: Run: chmod +x {executable}" in stderr and "its mode is 0o644" in stderr

    executable.unlink()
    executable.mkdir()
    assert "It is a directory." in run_failing(tmp_path)[1]

    executable.rmdir()
    code, stderr = run_failing(tmp_path)
    assert code == 3
    assert f"There is no {executable}" in stderr and "next: Build it: debugtool build" in stderr


def test_env_in_the_first_line_is_explained(tmp_path: Path) -> None:
    make_project(tmp_path, "#!/usr/bin/env no-such-python-anywhere\n")

    code, stderr = run_failing(tmp_path)

    assert code == 1
    assert "next: Name the interpreter by its absolute path" in stderr


@pytest.mark.parametrize(
    ("manifest", "code", "text"),
    [
        ({"backend": False}, 1, '`"backend": true`'),
        ({"executable": None}, 1, "`executable`"),
        ({"id": 12}, 1, "It has no `id`"),
    ],
)
def test_a_manifest_without_a_backend(tmp_path: Path, manifest: dict[str, object], code: int, text: str) -> None:
    make_project(tmp_path, HANDSHAKE, **manifest)

    found, stderr = run_failing(tmp_path)

    assert found == code and text in stderr


def test_no_plugin_at_all(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()  # the search ends at the git root

    code, stderr = run_failing(tmp_path)

    assert code == 3 and "There is no plugin.json in" in stderr


def test_the_error_as_json_has_the_plugins_stderr(tmp_path: Path) -> None:
    make_project(tmp_path, "import sys; print('[ERROR] no licence', file=sys.stderr); sys.exit(1)")

    with running_host(tmp_path) as host:
        host.wait_event("log", level="error", message="[ERROR] no licence")
        error = host.wait_event("error")
        code = host.process.wait(30)

    assert code == error["code"] == 1
    assert error["stderr"] == ["[ERROR] no licence"]
    assert "(pid " in error["what"] and error["next"]


def dumped_environment(root: Path, *options: str, **environment: str) -> dict[str, str]:
    """Give the environment that a plugin of a host with this environment sees."""
    dump = root / "environment.json"
    make_project(
        root,
        f"import json, os, time\njson.dump(dict(os.environ), open({str(dump)!r}, 'w'))\n"
        + HANDSHAKE
        + "time.sleep(60)",
    )
    with running_host(root, *options, environment=environment) as host:
        host.wait_event("started")
    found: dict[str, str] = json.loads(dump.read_text())
    found.pop("LC_CTYPE", None)  # Python's own: it coerces the C locale
    return found


def test_the_environment_is_grafanas_and_nothing_else(tmp_path: Path) -> None:
    found = dumped_environment(
        tmp_path, "-e", "GF_PLUGIN_TOKEN=a=b", PATH=os.environ["PATH"], HOME="/somewhere", https_proxy="http://p:1"
    )

    assert found == {
        "grafana_plugin_type": "datasource",
        "PLUGIN_MIN_PORT": "10000",
        "PLUGIN_MAX_PORT": "25000",
        "PLUGIN_PROTOCOL_VERSIONS": "2",
        "GF_VERSION": "12.4.0",
        "GF_EDITION": "Open Source",
        "GF_ENTERPRISE_LICENSE_PATH": "",
        "GF_ENTERPRISE_APP_URL": "http://localhost:3000/",
        "GF_PLUGIN_TOKEN": "a=b",
        "https_proxy": "http://p:1",
    }


def test_an_old_grafanas_environment_is_the_hosts_own_too(tmp_path: Path) -> None:
    found = dumped_environment(tmp_path, "--forward-env", PATH=os.environ["PATH"], HOME="/h", GF_VERSION="9.0.0")

    assert (found["HOME"], found["PATH"]) == ("/h", os.environ["PATH"])
    assert found["GF_VERSION"] == "9.0.0"  # the host's values beat Grafana's
    assert found["grafana_plugin_type"] == "datasource"


def test_the_plugin_runs_without_a_shell_where_the_host_runs(tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    executable = make_project(
        tmp_path,
        BARE_PYTHON + "import json, os, sys, time\n"
        f"json.dump([os.getppid(), os.getpgid(0), os.getcwd(), sys.argv], open({str(facts)!r}, 'w'))\n"
        + HANDSHAKE
        + "time.sleep(60)",
    )

    with running_host(tmp_path) as host:
        host.wait_event("started")
        parent, group, cwd, argv = json.loads(facts.read_text())

    assert parent == group == host.process.pid
    assert cwd == str(Path.cwd())
    assert argv == [str(executable)]
