"""Frozen builds of real projects, under the embedded host and the genuine one, wherever they are put."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import project_shapes
import pytest
from attach_driver import DEADLINE_S, DEBUGTOOL, attached
from dap_client import DapClient
from devhost_host import call_json, running_host
from frozen_driver import CACHE, line_of
from gohost_driver import StartGoHost, queries
from project_shapes import ShapedProject

BUILD_S = 170.0
NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
NAME = "gpx_shape_linux_amd64"
# The environment of the tests is much larger than a plugin's; what the plugin does without is not read.
LEFT_OUT = 'excludes = ["pandas", "grpc_tools", "cryptography", "yaml", "psutil", "aiohttp"]\n'


def build(project: ShapedProject, *options: str) -> dict[str, Any]:
    settings = project.root / "pyproject.toml"
    text = settings.read_text()
    table = "[tool.debugtool]\n"
    settings.write_text(text.replace(table, table + LEFT_OUT) if table in text else f"{text}{table}{LEFT_OUT}")
    done = subprocess.run(
        [DEBUGTOOL, "build", "--json", *options],
        cwd=project.root,
        env={**project.variables, "XDG_CACHE_HOME": str(CACHE)},
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["start_ms"] > 0
    return document


def number_of(text: str, source: Path) -> int:
    return source.read_text().splitlines().index(text) + 1


def query(url: str) -> list[float]:
    body = {"from": "0", "to": "1", "queries": [{"refId": "A"}]}
    status, answer = call_json(f"{url}/api/ds/query", body)
    assert status == 200, answer
    values: list[float] = answer["results"]["A"]["frames"][0]["data"]["values"][0]
    return values


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A directory that every user can get to."""
    directory = Path("/tmp") / f"frozen shapes {os.getpid()}"
    directory.mkdir(mode=0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to be several users")
@pytest.mark.timeout(240)
def test_a_release_with_numpy_and_pyarrow_anywhere(tmp_path: Path, elsewhere: Path, start_go_host: StartGoHost) -> None:
    project = project_shapes.uv_application(tmp_path)
    build(project)
    with running_host(project.root, environment={}) as host:
        assert set(query(host.url)) == {1.0}
    # GIVEN it in a directory with a space in its name, of files that nobody may write
    program = shutil.copytree(project.root / "dist", elsewhere / "dist", symlinks=True) / NAME
    for path in (elsewhere / "dist").rglob("*"):
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444)
    (elsewhere / "dist").chmod(0o555)
    # WHEN the genuine host starts it as another user THEN it answers with what its libraries made
    host_of_nobody = start_go_host(*AS_NOBODY, program)
    (frame,) = host_of_nobody.good("QueryData", queries())["frames"]["A"]
    assert set(frame["data"]["values"][0]) == {1.0}
    assert Path(f"/proc/{host_of_nobody.pid}").stat().st_uid == NOBODY


@pytest.mark.timeout(240)
def test_a_debug_build_of_a_package_with_an_extension_is_debugged(tmp_path: Path, start_go_host: StartGoHost) -> None:
    project = project_shapes.requirements_and_extension(tmp_path)
    document = build(project, "--debug")
    assert list(Path(document["support"]).glob("shape/fast*.so"))
    marks = {project.answer: "IN A MODULE", project.entry: "IN THE ENTRY"}
    host = start_go_host(Path(document["artefact"]), flags=["-restart=100ms"])
    with attached("--pid", host.pid, "--wait-at-start", cwd="/") as session:
        assert session.wait_for("ready")["method"] == "agent"
        with DapClient(session.port) as editor, ThreadPoolExecutor() as pool:
            editor.attach({source: [line_of(mark, source)] for source, mark in marks.items()})
            asked = pool.submit(host.good, "QueryData", queries())
            for source, mark in marks.items():
                thread = editor.wait_for_stop()["threadId"]
                frame = editor.stack(thread)[0]
                assert (frame["source"]["path"], frame["line"]) == (str(source), line_of(mark, source))
                editor.resume(thread)
            (frame,) = asked.result(DEADLINE_S)["frames"]["A"]
            assert frame["data"]["values"][0] == [1.0]
            # WHEN it is started again THEN it is held, and stops before its first request only
            os.kill(host.pid, signal.SIGKILL)
            assert session.wait_for("hold_ended")["by"] == "editor"
            stopped = editor.wait_for_stop()
            frame = editor.stack(stopped["threadId"])[0]
            assert (stopped["reason"], frame["source"]["path"]) == ("entry", str(project.entry))
            assert frame["line"] == number_of("    serve(Datasource)", project.entry)
            host.wait_event("restarted")
            editor.disconnect()
            assert host.good("ping")["ok"]
        assert session.stop() == 0
