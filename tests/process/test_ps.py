"""`debugtool ps` and what it knows of real processes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from process_targets import NOBODY, WAITING, Running, run_debugtool, running

from debugtool.errors import Ambiguous, NotFound, ProcessGone
from debugtool.manifest import EDITABLE_MARKER, artefact_name
from debugtool.model import Build, Runtime
from debugtool.output import error_text
from debugtool.plugin.agent import paths
from debugtool.processes import find_target, find_targets, list_targets
from debugtool.system import SessionRecord, namespace_mark, registered, start_ticks

COOKIE = {"PLUGIN_PROTOCOL_VERSIONS": "2", "grafana_plugin_type": "datasource"}
PYENV = Path.home() / ".pyenv/versions"

Start = Callable[..., Running]


@pytest.fixture
def start() -> Any:
    """Start a program as `running` does, until the end of the test."""
    with ExitStack() as stack:
        yield lambda *command, **options: stack.enter_context(running(command, **options))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A plugin project whose names nothing else on this machine has."""
    root = tmp_path / "project"
    for directory in ("src", "dist", "backend"):
        (root / directory).mkdir(parents=True)
    manifest = {"id": plugin_id(root), "type": "datasource", "backend": True, "executable": executable(root)}
    for directory in ("src", "dist"):
        (root / directory / "plugin.json").write_text(json.dumps(manifest))
    return root


def plugin_id(root: Path) -> str:
    return f"acme-weather{os.getpid()}-datasource"


def executable(root: Path) -> str:
    return f"gpx_weather{os.getpid()}"


def script(path: Path, *, interpreter: str | Path = sys.executable, comment: str = "") -> Path:
    """Make a program that runs tests/targets/waiting.py in its own process."""
    path.write_text(f"#!{interpreter}\n{comment}\nimport runpy\nrunpy.run_path({str(WAITING)!r})\n")
    path.chmod(0o755)
    return path


def ps(*arguments: str) -> list[dict[str, Any]]:
    result = run_debugtool("ps", *arguments, "--json")
    assert result.stderr == ""
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def row_of(pid: int, *arguments: str) -> dict[str, Any] | None:
    return next((row for row in ps(*arguments) if row["pid"] == pid), None)


def test_a_plugin_from_source_is_found_by_its_hosts_cookie_with_all_its_facts(start: Start, project: Path) -> None:
    main = script(project / "backend/main.py")
    address = project / "plugin123"
    before = time.time()
    target = start(sys.executable, "main.py", "--unix", address, env=COOKIE, cwd=project / "backend")
    row = row_of(target.pid)
    assert row is not None
    assert abs(row.pop("started_at") - before) < 5
    assert 0 <= row.pop("uptime_s") < 60
    assert row.pop("host")["pid"] == os.getpid()
    assert row == {
        "pid": target.pid,
        "go": None,
        "name": "main",
        "plugin_id": plugin_id(project),
        "runtime": "cpython",
        "runtime_version": ".".join(map(str, sys.version_info[:3])),
        "build": "source",
        "user": "root" if os.geteuid() == 0 else row["user"],
        "uid": os.geteuid(),
        "grpc_address": f"unix://{address}",
        "debugger": None,
        "executable": str(Path(sys.executable).resolve()),
        "script": str(main),
        "cwd": str(project / "backend"),
        "plugin_dir": str(project / "src"),
        "venv": sys.prefix,
        "command_line": [sys.executable, "main.py", "--unix", str(address)],
    }


def test_an_editable_debug_build_answers_to_each_of_its_names(start: Start, project: Path) -> None:
    program = script(project / "dist" / artefact_name(executable(project)), comment=EDITABLE_MARKER)
    target = start(program)
    for name in (plugin_id(project), executable(project), program.name):
        (found,) = find_targets(name)
        assert (found.pid, found.name, found.build) == (target.pid, executable(project), Build.DEBUG)
        assert (found.plugin_dir, found.script) == (program.parent, program)
    for almost in (plugin_id(project)[:-1], executable(project) + "_", program.name.upper()):
        assert find_targets(almost, missing_ok=True) == []


def test_without_a_name_the_plugin_json_of_the_working_directory_names_it(start: Start, project: Path) -> None:
    target = start(script(project / "dist" / artefact_name(executable(project))))
    for directory in (project, project / "src", project / "dist", project / "backend"):
        assert find_target(None, directory=directory).pid == target.pid
    (project.parent / "elsewhere").mkdir()
    with pytest.raises(NotFound, match="No plugin was named") as missing:
        find_target(None, directory=project.parent / "elsewhere")
    assert "there is none in" in missing.value.why


def test_a_module_run_with_m(start: Start, project: Path) -> None:
    package = project / "backend" / f"weather{os.getpid()}"
    package.mkdir()
    script(package / "__main__.py")
    target = start(sys.executable, "-m", package.name, env=COOKIE, cwd=project / "backend")
    found = find_target(package.name)
    assert (found.pid, found.name, found.script) == (target.pid, package.name, package / "__main__.py")
    assert found.plugin_id == plugin_id(project)


def test_a_shell_script_and_the_python_it_starts_are_one_plugin(start: Start, project: Path) -> None:
    main = script(project / "backend/main.py")
    launcher = project / "dist" / artefact_name(executable(project))
    launcher.write_text(f"#!/bin/sh\n{sys.executable} {main}\nexit\n")
    launcher.chmod(0o755)
    shell = start(launcher, env=COOKIE)
    (found,) = [target for target in list_targets() if target.plugin_id == plugin_id(project)]
    assert found.pid != shell.pid
    assert found.name == executable(project)
    assert found.runtime is Runtime.CPYTHON
    assert found.host is not None
    assert found.host.pid == os.getpid()
    for name in (executable(project), plugin_id(project), "main.py"):
        assert [target.pid for target in find_targets(name) if target.plugin_id] == [found.pid]
    assert find_target(None, pid=shell.pid).pid == found.pid


@pytest.mark.parametrize("inheriting", ["--helper", "--fork"])
def test_what_inherits_the_cookie_is_no_plugin(start: Start, project: Path, inheriting: str) -> None:
    target = start(script(project / "dist" / artefact_name(executable(project))), inheriting, env=COOKIE)
    assert [row["pid"] for row in ps() if row["plugin_id"] == plugin_id(project)] == [target.pid]


def test_a_host_that_is_named_like_a_plugin_does_not_hide_its_plugin(start: Start, project: Path) -> None:
    main = script(project / "backend/main.py")
    host = project / artefact_name(f"hosting{os.getpid()}")
    host.write_text(
        f"#!{sys.executable}\nimport subprocess\nsubprocess.run([{sys.executable!r}, {str(main)!r}], env={COOKIE!r})\n"
    )
    host.chmod(0o755)
    parent = start(host)
    (found,) = find_targets(plugin_id(project))
    assert found.host is not None
    assert (found.name, found.host.pid, found.host.name) == ("main", parent.pid, f"hosting{os.getpid()}")


def test_a_name_with_an_escape_sequence_or_half_a_character_is_made_printable(start: Start, project: Path) -> None:
    name = f"evil{os.getpid()}\x1b[31m\nroot\udcff"
    program = project / artefact_name(name)
    target = start(script(program))
    result = run_debugtool("ps")
    (line,) = [line for line in result.stdout.splitlines() if line.startswith(f"{target.pid} ")]
    assert f"  evil{os.getpid()}?[31m?root?  " in line
    assert find_target(name).pid == target.pid
    row = row_of(target.pid)
    assert row is not None
    assert row["script"] == str(program)
    missing = run_debugtool("ps", name + "x")
    assert (missing.returncode, missing.stdout) == (3, "")
    assert missing.stderr.startswith(f"Error: No process is called evil{os.getpid()}?[31m?root?x.\n")


def test_a_script_from_a_pipe_is_not_read(start: Start, project: Path) -> None:
    """GIVEN `python <(...)`, WHEN it is looked at, THEN nothing waits for the other end of its pipe."""
    pipe = project / f"pipe{os.getpid()}"
    os.mkfifo(pipe)
    target = start(
        "bash", "-c", f'echo "import runpy; runpy.run_path({str(WAITING)!r})" >{pipe} & exec {sys.executable} {pipe}'
    )
    assert find_target(pipe.name).pid == target.pid


def test_a_debug_agent_that_listens_makes_a_debug_build(start: Start) -> None:
    target = start(sys.executable, WAITING)
    assert find_target(None, pid=target.pid).build == Build.SOURCE
    paths.make_runtime_dir(os.geteuid())
    path = Path(paths.agent_socket(os.geteuid(), target.pid))
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            assert find_target(None, pid=target.pid).build == Build.DEBUG
    finally:
        path.unlink()


def test_several_builds_are_ambiguous_and_shown_as_a_table(start: Start, project: Path) -> None:
    program = script(project / "dist" / artefact_name(executable(project)))
    pids = [start(program).pid, start(program).pid]
    with pytest.raises(Ambiguous) as several:
        find_target(executable(project))
    text = error_text(several.value)
    lines = text.splitlines()
    assert several.value.exit_code == 6
    assert lines[0] == f"Error: 2 processes are called {executable(project)}."
    assert lines[2].split()[:2] == ["PID", "NAME"]
    assert [int(line.split()[0]) for line in lines[3:5]] == pids
    choose = f"Choose one by its number, for example: --pid {pids[1]}"
    assert lines[5] == f"  next: {choose}. `attach --all` takes all of them"
    assert find_target("anything", pid=pids[0]).pid == pids[0]


def test_a_name_that_does_not_run_is_exit_3_with_names_like_it(start: Start, project: Path) -> None:
    start(script(project / "dist" / artefact_name(executable(project))))
    misspelt = executable(project).replace("weather", "waether")
    result = run_debugtool("ps", misspelt)
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.startswith(f"Error: No process is called {misspelt}.\n")
    assert f"Did you mean {executable(project)}" in result.stderr


def test_a_process_that_is_gone_or_a_zombie(start: Start) -> None:
    target = start(sys.executable, WAITING)
    target.process.kill()
    os.waitid(os.P_PID, target.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has collected it
    with pytest.raises(ProcessGone, match=f"Process {target.pid} is gone") as zombie:
        find_target(None, pid=target.pid)
    assert "has not collected it" in zombie.value.why
    target.process.wait()
    with pytest.raises(ProcessGone) as gone:
        find_target(None, pid=target.pid)
    assert "no process of that number" in gone.value.why


def test_all_lists_what_is_no_plugin_too(start: Start) -> None:
    target = start(sys.executable, WAITING, "--tcp")
    assert row_of(target.pid) is None
    row = row_of(target.pid, "--all")
    assert row is not None
    assert (row["name"], row["plugin_id"], row["build"]) == ("waiting", None, "source")
    assert row["grpc_address"] == f"127.0.0.1:{target.words[1]}"


def test_debugtool_and_other_debuggers_are_not_what_they_debug(start: Start, project: Path, tmp_path: Path) -> None:
    """GIVEN processes with the plugin's name on their command line, WHEN it is looked for, THEN only it is found."""
    name = executable(project)
    target = start(script(project / "dist" / artefact_name(name)))
    others = [
        start(script(tmp_path / "debugtool"), "run", name),
        start(script(tmp_path / "dlv"), "attach", name),
        start(sys.executable, WAITING, name),
    ]
    assert [found.pid for found in find_targets(name)] == [target.pid]
    rows = {row["pid"] for row in ps("--all")}
    assert others[0].pid not in rows
    assert others[2].pid in rows


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"])
def test_the_version_of_each_python_is_read_from_its_files(start: Start, version: str) -> None:
    interpreters = sorted(PYENV.glob(f"{version}.*/bin/python{version}"))
    if not interpreters:
        pytest.skip(f"no CPython {version} under {PYENV}")
    target = find_target(None, pid=start(interpreters[-1], WAITING).pid)
    assert (target.runtime, target.runtime_version) == (Runtime.CPYTHON, interpreters[-1].parts[-3])


def test_a_virtual_environment_named_by_path_or_found_through_path(start: Start, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=60)
    by_path = start(venv / "bin/python", WAITING)
    through_path = start("python", WAITING, env={"PATH": f"{venv / 'bin'}:/usr/bin:/bin"})
    for target in (by_path, through_path):
        assert find_target(None, pid=target.pid).venv == venv


GO_PROGRAM = """
package main
import ("fmt"; "os")
func main() { fmt.Println("ready"); os.Stdin.Read(make([]byte, 1)) }
"""


@pytest.mark.skipif(not shutil.which("go"), reason="no Go on this machine")
@pytest.mark.parametrize(
    ("flags", "build"), [(["-ldflags=-s -w"], "release"), (["-gcflags=-N -l"], "debug")], ids=["release", "debug"]
)
def test_a_go_plugin_says_its_version_and_build(
    start: Start, project: Path, tmp_path: Path, flags: list[str], build: str
) -> None:
    (tmp_path / "main.go").write_text(GO_PROGRAM)
    program = project / "dist" / artefact_name(executable(project))
    subprocess.run(["go", "build", *flags, "-o", program, tmp_path / "main.go"], check=True, timeout=170)
    version = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout.strip()
    target = start(program)
    found = find_target(plugin_id(project))
    assert (found.pid, found.runtime, found.runtime_version) == (target.pid, Runtime.GO, version)
    assert found.build == build


def test_who_debugs_it_a_session_a_tracer_or_debugpy(start: Start, project: Path, tmp_path: Path) -> None:
    target = start(script(project / "dist" / artefact_name(executable(project))))
    assert find_target(None, pid=target.pid).debugger is None
    ticks = start_ticks(target.pid), start_ticks(os.getpid())
    assert ticks[0] is not None
    assert ticks[1] is not None
    record = SessionRecord(
        os.getpid(), ticks[1], target.pid, ticks[0], "x", "127.0.0.1", 3222, "ptrace", namespace_mark()
    )
    with registered(record):
        assert find_target(None, pid=target.pid).debugger == f"debugtool on 127.0.0.1:3222 (pid {os.getpid()})"
    tracer = start(sys.executable, WAITING.with_name("tracing.py"), str(target.pid))
    name = Path(f"/proc/{tracer.pid}/comm").read_text().strip()
    assert find_target(None, pid=target.pid).debugger == f"{name} (pid {tracer.pid})"


def test_debugpy_listening_is_told_with_its_port(start: Start, tmp_path: Path) -> None:
    program = tmp_path / f"under_debugpy{os.getpid()}.py"
    program.write_text(
        "import debugpy, signal\nprint('ready', debugpy.listen(('127.0.0.1', 0))[1], flush=True)\nsignal.pause()\n"
    )
    environment = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    target = start(sys.executable, "-Xfrozen_modules=off", program, env=environment)
    words = find_target(program.stem).debugger
    assert words is not None
    assert words.startswith(f"debugpy on 127.0.0.1:{target.words[1]} (pid ")


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to start another user's process")
def test_another_users_plugin_as_root(start: Start, project: Path) -> None:
    target = start(script(project / "dist" / artefact_name(executable(project))), "--uid", str(NOBODY))
    found = find_target(plugin_id(project))
    assert (found.pid, found.uid, found.user) == (target.pid, NOBODY, "nobody")


AS_NOBODY = f"""
import os, sys
import debugtool.commands.ps, debugtool.output, debugtool.processes, debugtool.plugin.agent.paths, debugtool.system
for name in debugtool.system.__all__: getattr(debugtool.system, name)
from debugtool.cli import main
os.setgroups([]); os.setresgid(*[{NOBODY}] * 3); os.setresuid(*[{NOBODY}] * 3)
main(["ps", *sys.argv[1:], "--json"])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become another user")
def test_a_plugin_whose_files_we_may_not_read_is_shown_with_what_is_readable(start: Start, project: Path) -> None:
    target = start(script(project / "dist" / artefact_name(executable(project))), "--tcp", env=COOKIE)
    command = [sys.executable, "-c", AS_NOBODY, artefact_name(executable(project))]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    (row,) = json.loads(result.stdout)
    assert (row["pid"], row["name"], row["user"]) == (target.pid, executable(project), "root")
    assert row["runtime"] == "cpython"
    for hidden in ("executable", "cwd", "grpc_address", "runtime_version"):
        assert row[hidden] is None, hidden


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to make namespaces")
def test_a_plugin_in_a_network_and_mount_namespace_of_its_own(start: Start, project: Path) -> None:
    """GIVEN a process nothing but its socket tells to be a plugin, in other namespaces, THEN it can be connected to."""
    address = project / "plugin777"
    target = start("unshare", "--net", "--mount", sys.executable, WAITING, "--unix", address)
    row = row_of(target.pid)
    assert row is not None
    assert row["grpc_address"] == f"unix:///proc/{target.pid}/root{address}"
    assert Path(row["grpc_address"].removeprefix("unix://")).is_socket()


def test_one_plugin_among_two_thousand_processes(start: Start, project: Path) -> None:
    target = start(script(project / "dist" / artefact_name(executable(project))), env=COOKIE)
    crowd = "for i in $(seq 2000); do sleep 300 & done; echo ready; wait"
    start("bash", "-c", crowd)
    assert len([entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]) > 2000
    result = run_debugtool("ps", executable(project))
    assert result.returncode == 0
    assert result.stdout.splitlines()[1].split()[:2] == [str(target.pid), executable(project)]
