"""Editable debug builds of plugin projects of every usual shape: built, run, edited, run again, debugged."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import project_shapes
import pytest
from attach_driver import DEADLINE_S, attached, run_debugtool
from dap_client import DapClient
from devhost_host import RunningHost, call_json, running_host
from project_shapes import ShapedProject

SHAPES = [
    project_shapes.uv_application,
    project_shapes.uv_package,
    project_shapes.uv_workspace,
    project_shapes.poetry_package,
    project_shapes.poetry_elsewhere,
    project_shapes.requirements_and_extension,
]


def build(project: ShapedProject) -> dict[str, str]:
    done = run_debugtool("build", "--debug", "--editable", "--json", cwd=project.root, env=project.variables)
    assert done.returncode == 0, done.stderr
    document: dict[str, str] = json.loads(done.stdout)
    return document


def query(host: RunningHost) -> list[float]:
    body = {"from": "0", "to": "1", "queries": [{"refId": "A"}]}
    status, answer = call_json(f"{host.url}/api/ds/query", body)
    assert status == 200, answer
    values: list[float] = answer["results"]["A"]["frames"][0]["data"]["values"][0]
    return values


def line_of(mark: str, source: Path) -> int:
    return next(n for n, text in enumerate(source.read_text().splitlines(), 1) if text.endswith(f"# {mark}"))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_project_is_built_run_edited_and_debugged(tmp_path: Path, shape: Callable[[Path], ShapedProject]) -> None:
    project = shape(tmp_path)
    built = build(project)
    assert built["entry"] == str(project.entry)
    assert Path(built["interpreter"]).parents[1].samefile(project.environment)
    with running_host(project.root, environment={}) as host:
        started = host.wait_event("started")
        assert set(query(host)) == {1.0}

        project.answer.write_text(project.answer.read_text().replace("1.0", "2.0"))
        os.kill(started["pid"], signal.SIGTERM)
        restarted = host.wait_event("restarted")
        assert set(query(host)) == {2.0}

        marks = {project.answer: "IN A MODULE", project.entry: "IN THE ENTRY"}
        with attached("--pid", restarted["pid"], "--method", "agent") as session, DapClient(session.port) as editor:
            editor.attach({source: [line_of(mark, source)] for source, mark in marks.items()})
            with ThreadPoolExecutor() as pool:
                asked = pool.submit(query, host)
                for source, mark in marks.items():
                    thread = editor.wait_for_stop()["threadId"]
                    frame = editor.stack(thread)[0]
                    assert (frame["source"]["path"], frame["line"]) == (str(source), line_of(mark, source))
                    editor.resume(thread)
                assert set(asked.result(DEADLINE_S)) == {2.0}
            editor.disconnect()
            assert session.stop() == 0
