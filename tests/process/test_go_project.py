"""A Go plugin from nothing to a breakpoint: `new`, `build`, `run`, `attach`, on Grafana's newest SDK."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attach_driver import attached, run_debugtool
from dap_client import DapClient
from devhost_host import call_json, running_host
from go_driver import delve_environment, delves_on, find_dlv, tracer

from debugtool.dev.builder import choose_builder
from debugtool.dev.changes import Changes
from debugtool.errors import DebugtoolError

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="no Go: what needs it is left out")

GO = {**os.environ, "GOFLAGS": "-mod=readonly"}  # what `new` wrote must be complete


def run_go(directory: Path, *arguments: str, code: int = 0) -> Any:
    done = run_debugtool(*arguments, "--json", cwd=directory, env=GO)
    assert done.returncode == code, done.stderr
    answer = json.loads(done.stdout)
    return answer["error"] if code else answer


def stop_and_look(
    editor: DapClient, query: Callable[[], None], source: Path, *, resume: bool = True
) -> threading.Thread:
    """Run a query into the breakpoint in `source` and look at a variable; give the query's thread."""
    asking = threading.Thread(target=query)
    asking.start()
    stop = editor.wait_for_stop()
    frame = editor.stack(stop["threadId"])[0]
    assert (frame["name"], frame["source"]["path"]) == ("plugin.answer", str(source))
    assert editor.evaluate("asked.Rows", frame) == "3"
    if resume:
        editor.resume(stop["threadId"])
    return asking


def test_from_nothing_to_a_breakpoint(tmp_path: Path) -> None:
    find_dlv()
    run_go(tmp_path, "new", "go-demo", "--runtime", "go")
    project = tmp_path / "go-demo"
    built = run_go(project, "build", "--debug")
    assert Path(built["artefact"]).parent == project / "dist"
    source = project / "pkg" / "plugin" / "datasource.go"
    line = next(n for n, text in enumerate(source.read_text().splitlines(), 1) if "frame := data" in text)
    answers: list[tuple[int, Any]] = []

    with running_host(project) as host:
        assert call_json(f"{host.url}/api/datasources/uid/go-demo/health")[0] == 200

        def query() -> None:
            body = {"from": "0", "to": "60000", "queries": [{"refId": "A", "rows": 3}]}
            answers.append(call_json(f"{host.url}/api/ds/query", body))

        with attached("go-demo", env=delve_environment()) as session, DapClient(session.port) as editor:
            target = session.events[0]
            assert (target["build"], target["go"]["module"]) == ("debug", "example.org/go-demo")
            editor.attach({source: [line]})
            stop_and_look(editor, query, source).join(30)
            reloaded = json.loads(run_debugtool("reload", "go-demo", "--json").stdout)
            assert session.wait_for("rearmed")["pid"] == reloaded["new_pid"]
            asking = stop_and_look(editor, query, source, resume=False)  # the breakpoint is there in the next process
            editor.disconnect()
            asking.join(30)
            assert session.stop() == 0
        for pid in (target["pid"], reloaded["new_pid"]):
            assert delves_on(pid) == []
        assert tracer(reloaded["new_pid"]) == 0
        query()
        done = run_debugtool("query", "go-demo", "rows=2")
        assert "2 rows" in done.stdout, done.stderr
    assert [status for status, _ in answers] == [200] * 3
    assert len(answers[0][1]["results"]["A"]["frames"][0]["data"]["values"][0]) == 3


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A Go project without the SDK, which compiles fast, with its program in backend/."""
    run_go(tmp_path, "new", "small", "--runtime", "go")
    project = tmp_path / "small"
    shutil.rmtree(project / "pkg")
    (project / "go.mod").write_text("module example.org/small\n\ngo 1.26\n")
    (project / "go.sum").unlink()
    (project / "backend").mkdir()
    (project / "backend" / "main.go").write_text("// A plugin.\npackage main\n\nfunc main() {}\n")
    return project


def test_a_build_for_another_platform_and_for_release(small: Path) -> None:
    built = run_go(small, "build", "--target", "windows/amd64")
    assert Path(built["artefact"]).read_bytes()[:2] == b"MZ"
    assert sorted(path.name for path in (small / "dist").iterdir() if path.is_file()) == [
        "README.md",
        "plugin.json",
        "small_windows_amd64.exe",
    ]


def test_what_go_refuses_leaves_dist_as_it_was(small: Path) -> None:
    program = Path(run_go(small, "build")["artefact"])
    before = program.read_bytes()
    (small / "backend" / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    failed = run_go(small, "build", code=1)
    assert "undefined: undefined" in failed["why"]
    assert program.read_bytes() == before
    assert [path.name for path in program.parent.iterdir() if path.name.startswith(".")] == []


def test_what_cannot_be_built(small: Path) -> None:
    assert "OS/ARCH" in run_go(small, "build", "--target", "linux", code=7)["why"]
    assert run_debugtool("build", "--debug", "--editable", cwd=small).returncode == 2
    (small / "Magefile.go").write_text("//go:build mage\n")
    assert "mage -v build:debug" in run_go(small, "build", "--debug", code=7)["next"]
    (small / "Magefile.go").unlink()
    (small / "backend" / "main.go").unlink()
    assert "package main" in run_go(small, "build", code=3)["why"]


def test_a_machine_without_go(small: Path) -> None:
    done = run_debugtool("build", cwd=small, env={**os.environ, "PATH": "/usr/bin:/bin"})
    assert done.returncode == 3 and "https://go.dev/doc/install" in done.stderr


def test_a_save_restarts_a_plugin_whose_program_it_changes(tmp_path: Path) -> None:
    """What `debugtool dev` builds, with a program that takes a second to build instead of the SDK's ten."""
    (tmp_path / "pkg").mkdir()
    manifest = {"id": "tiny", "type": "datasource", "backend": True, "executable": "tiny"}
    (tmp_path / "plugin.json").write_text(json.dumps(manifest))
    (tmp_path / "go.mod").write_text("module example.org/tiny\n\ngo 1.24\n")
    source = tmp_path / "pkg" / "main.go"
    source.write_text('package main\n\nfunc main() { println("one") }\n')
    builder = choose_builder(tmp_path, editable=False, say=lambda step: None)
    assert (builder.first.restart, builder.source_roots) == (True, [tmp_path / "pkg"])
    saved = Changes((source,), ())

    (tmp_path / "pkg" / "main_test.go").write_text("package main\n")
    assert not builder.rebuild(saved).restart
    source.write_text(source.read_text().replace("one", "two"))
    assert builder.rebuild(saved).restart
    source.write_text(source.read_text().replace("{", "{{"))
    with pytest.raises(DebugtoolError, match="Go could not build"):
        builder.rebuild(saved)
    ran = subprocess.run([builder.first.artefact], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stderr == "two\n"


def test_a_standalone_plugin_is_known_by_its_project(tmp_path: Path) -> None:
    """As an editor starts it, in the SDK's own debug mode; that kills whatever has its name, so among its own."""
    run_go(tmp_path, "new", "go-alone", "--runtime", "go")
    project = tmp_path / "go-alone"
    program = shutil.move(run_go(project, "build", "--debug")["artefact"], tmp_path / "__debug_bin")
    own = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with subprocess.Popen([*own, program, "-standalone"], cwd=project / "pkg", stderr=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + 60
            rows: list[dict[str, Any]] = []
            while not (rows and rows[0]["grpc_address"]):
                assert time.monotonic() < deadline, rows
                rows = json.loads(run_debugtool("ps", "go-alone", "--json").stdout or "[]")
                rows = rows if isinstance(rows, list) else []
        finally:
            process.kill()
    assert [(row["plugin_id"], row["build"]) for row in rows] == [("go-alone", "debug")]
    assert rows[0]["grpc_address"].startswith(("127.0.0.1:", "[::1]:"))
