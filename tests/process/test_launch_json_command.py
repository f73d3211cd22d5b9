"""launch.json for real processes: an editor that follows it stops at the breakpoint."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import Any

import pytest
from attach_driver import (
    BREAK_LINE,
    DEBUGTOOL,
    WORKER,
    AttachSession,
    Worker,
    attached,
    run_debugtool,
    running_worker,
)
from dap_client import DapClient

WORKSPACE = "${workspaceFolder}"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A worker in a workspace, under a name that no other process has."""
    path = tmp_path / "plugin" / "backend" / f"worker_{uuid.uuid4().hex}.py"
    path.parent.mkdir(parents=True)
    (tmp_path / "plugin" / ".git").mkdir()
    shutil.copy(WORKER, path)
    return path


@pytest.fixture
def workspace(source: Path) -> Path:
    return source.parents[1]


@pytest.fixture
def link(workspace: Path) -> Path:
    """Another name of the workspace."""
    path = workspace.with_name("link")
    path.symlink_to(workspace)
    return path


def written_entry(name: str, folder: Path, port: int) -> dict[str, Any]:
    """Have launch.json written for a running plugin, and read it as VS Code does with this folder open."""
    done = run_debugtool("launch-json", name, "--workspace", folder, "--port", port)
    assert (done.returncode, done.stdout) == (0, f"{folder}/.vscode/launch.json\n"), done.stderr
    text = (folder / ".vscode" / "launch.json").read_text().replace(WORKSPACE, str(folder))
    entries: list[dict[str, Any]] = json.loads(text)["configurations"]
    assert len(entries) == 1
    return entries[0]


def stop_at_breakpoint(worker: Worker, entry: dict[str, Any], source: Path) -> None:
    """Do what an editor does with the entry: connect, set a breakpoint in the file it shows, stop there."""
    with DapClient(entry["connect"]["port"], entry["connect"]["host"]) as editor:
        editor.attach({source: [BREAK_LINE]}, pathMappings=entry["pathMappings"], justMyCode=entry["justMyCode"])
        worker.send(1)
        thread = editor.wait_for_stop()["threadId"]
        frame = editor.stack(thread)[0]
        assert (frame["source"]["path"], frame["line"]) == (str(source), BREAK_LINE)
        editor.resume(thread)
        assert worker.answer()["answer"] == 3


@pytest.mark.parametrize("started", ["by its path", "through a symlink", "by a relative path"])
@pytest.mark.parametrize("opened", ["workspace", "link"])
def test_an_editor_that_follows_launch_json_stops(
    source: Path, workspace: Path, link: Path, opened: str, started: str
) -> None:
    below = source.relative_to(workspace)
    script = {"by its path": source, "through a symlink": link / below, "by a relative path": below}[started]
    folder = {"workspace": workspace, "link": link}[opened]
    with running_worker("idle", script=script, cwd=workspace) as worker, attached("--pid", worker.pid) as session:
        entry = written_entry(source.name, folder, session.port)
        same_names = (opened == "link") == (started == "through a symlink")
        assert (entry["pathMappings"] == []) is same_names
        stop_at_breakpoint(worker, entry, folder / below)


@pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace needs root here")
def test_sources_that_the_process_sees_under_another_path(source: Path, workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    inside: list[str | Path] = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount --bind "$0" "$1" && shift && exec "$@"',
        workspace,
        tmp_path / "app",
    ]
    script = tmp_path / "app" / source.relative_to(workspace)
    with running_worker("idle", script=script, command=inside):
        entry = written_entry(source.name, workspace, 3222)
    assert entry["pathMappings"] == [{"localRoot": str(workspace), "remoteRoot": str(tmp_path / "app")}]


def test_an_editable_build_needs_no_mapping(tmp_path: Path) -> None:
    name = f"plugin-{uuid.uuid4().hex}"
    assert run_debugtool("new", name, "--dir", tmp_path / "p").returncode == 0
    program = run_debugtool("build", tmp_path / "p", "--debug", "--editable").stdout.rstrip("\n")
    environment = {"grafana_plugin_type": "datasource", "PLUGIN_PROTOCOL_VERSIONS": "2"}
    with subprocess.Popen([program], cwd="/", env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as host:
        try:
            assert host.stdout is not None
            assert host.stdout.readline().startswith(b"1|2|unix|")
            done = run_debugtool("launch-json", name, "--json", cwd="/")
        finally:
            host.kill()
    document = json.loads(done.stdout)
    assert document["path"] == f"{tmp_path}/p/.vscode/launch.json", "found from the plugin, not from where we stand"
    assert document["entry"]["pathMappings"] == []
    assert document["changed"] is False, "debugtool new has written it already"


def test_a_plugin_that_does_not_run_gets_its_launch_json_too(workspace: Path) -> None:
    name = f"plugin-{uuid.uuid4().hex}"
    (workspace / "src").mkdir()
    (workspace / "src" / "plugin.json").write_text(json.dumps({"id": name}))
    done = run_debugtool("launch-json", name, cwd=workspace / "backend")
    assert (done.returncode, done.stdout) == (0, f"{workspace}/.vscode/launch.json\n"), done.stderr
    assert done.stderr == 'Wrote "Debug backend plugin" for port 3222. Choose it under Run and Debug, and press F5.\n'
    done = run_debugtool("launch-json", cwd=workspace)
    assert done.stderr.startswith('No change: there was "Debug backend plugin" for port 3222.')


def test_a_name_that_nothing_has_is_not_found(workspace: Path) -> None:
    name = f"plugin-{uuid.uuid4().hex}"
    done = run_debugtool("launch-json", name, cwd=workspace)
    assert done.returncode == 3
    assert done.stderr.startswith(f"Error: No process is called {name}.\n  why:  ")
    assert not (workspace / ".vscode").exists()


def test_print_writes_nothing(workspace: Path) -> None:
    done = run_debugtool("launch-json", "--print", "--port", "4000", cwd=workspace)
    assert json.loads(done.stdout)["connect"] == {"host": "127.0.0.1", "port": 4000}
    assert not (workspace / ".vscode").exists()


def test_a_broken_file_is_left_alone_and_the_entry_printed(workspace: Path) -> None:
    path = workspace / ".vscode" / "launch.json"
    path.parent.mkdir()
    path.write_text('{"configurations": [}')
    done = run_debugtool("launch-json", cwd=workspace)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"Error: {path} was left as it is.\n"
        "  why:  It is not a launch.json that VS Code reads: A value is missing at line 1, column 21.\n"
        "  next: Add this to its `configurations` yourself, or correct that and run debugtool launch-json:\n"
        "         {\n"
    )
    assert path.read_text() == '{"configurations": [}'
    document = json.loads(run_debugtool("launch-json", "--json", cwd=workspace).stdout)
    assert document["error"]["entry"]["name"] == "Debug backend plugin"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    ("directory_mode", "file_mode", "why"),
    [
        (0o755, 0o644, "Permission denied: {path}."),
        # He may write it, but a file that is replaced would become his.
        (0o777, 0o666, "The file of another user can only be replaced by root: {path}."),
    ],
)
def test_another_users_file_is_refused_with_the_entry(directory_mode: int, file_mode: int, why: str) -> None:
    with tempfile.TemporaryDirectory() as directory:  # tmp_path is closed to other users
        workspace = Path(directory)
        workspace.chmod(0o755)
        path = workspace / ".vscode" / "launch.json"
        path.parent.mkdir()
        path.parent.chmod(directory_mode)
        path.write_text("{}")
        path.chmod(file_mode)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(DEBUGTOOL), "launch-json"]
        done = subprocess.run(command, cwd=workspace, capture_output=True, text=True, timeout=60, check=False)
        assert path.read_text() == "{}"
        assert list(path.parent.iterdir()) == [path]
    assert done.returncode == 4, done.stderr
    assert done.stderr.startswith(f"Error: {path} was left as it is.\n  why:  {why.format(path=path)}\n")
    assert '"name": "Debug backend plugin"' in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_full_disk_leaves_the_file_whole_and_the_entry_printed(workspace: Path) -> None:
    (workspace / ".vscode").mkdir()
    script = """
        mount -t tmpfs -o size=8k none .vscode && printf "{}" > .vscode/launch.json
        head -c 1M /dev/zero > .vscode/fill 2>/dev/null
        "$0" launch-json; echo "rc $?"; cat .vscode/launch.json; ls -A .vscode
    """
    command = ["unshare", "--mount", "sh", "-c", script, str(DEBUGTOOL)]
    done = subprocess.run(command, cwd=workspace, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "rc 1\n{}fill\nlaunch.json\n", done.stderr
    assert "why:  No space left on device" in done.stderr
    assert '"name": "Debug backend plugin"' in done.stderr


def test_a_go_plugin_that_does_not_run_gets_its_own_kind_of_entry(tmp_path: Path) -> None:
    manifest = {"id": "launch-json-go", "type": "datasource", "backend": True, "executable": "launch-json-go"}
    (tmp_path / "plugin.json").write_text(json.dumps(manifest))
    (tmp_path / "go.mod").write_text("module example.org/launch\n")
    entry = json.loads(run_debugtool("launch-json", "--print", cwd=tmp_path).stdout)
    assert (entry["type"], entry["mode"], entry["port"]) == ("go", "remote", 3222)


def test_a_program_from_an_environment_has_its_project_where_it_was_started(tmp_path: Path) -> None:
    """gunicorn, for example: the editor has its application open, and not the environment's `bin`."""
    tool = tmp_path / "application" / ".venv" / "bin" / f"tool_{uuid.uuid4().hex}"
    tool.parent.mkdir(parents=True)
    shutil.copy(WORKER, tool)
    application = tmp_path / "application"
    with running_worker("idle", script=tool, cwd=application) as worker:
        command = [str(DEBUGTOOL), "attach", "--json", "--pid", str(worker.pid), "--port", "0"]
        with subprocess.Popen(
            command, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                session = AttachSession(process)
                written = session.wait_for("launch_json")["path"]
                assert session.stop() == 0
            finally:
                process.kill()
    assert written == str(application / ".vscode" / "launch.json")
