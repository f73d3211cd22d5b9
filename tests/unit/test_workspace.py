from __future__ import annotations

import json
from pathlib import Path

import pytest

from debugtool.editors import PathMapping, find_workspace, path_mappings
from debugtool.manifest import EDITABLE_MARKER, EDITABLE_SOURCE, artefact_name
from debugtool.model import Build, Runtime, Target

NO_PROCESS = 2**31 - 1  # no process has this pid, so /proc is not consulted


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "my-datasource"
    write_plugin(root / "src")
    write_source(root / "backend" / "main.py")
    (root / ".git").mkdir()
    return root


def write_plugin(directory: Path, plugin_id: str = "my-datasource", **fields: str) -> None:
    directory.mkdir(parents=True)
    (directory / "plugin.json").write_text(json.dumps({"id": plugin_id, **fields}))


def write_source(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


def target(script: Path | None, *, cwd: Path = Path("/"), command_line: tuple[str, ...] = ()) -> Target:
    return Target(
        NO_PROCESS, "my-datasource", None, Runtime.CPYTHON, "3.11", Build.SOURCE, None, "root", 0, 0.0,
        script=script, cwd=cwd, command_line=command_line,
    )  # fmt: skip


def test_the_workspace_is_the_project_of_the_running_plugin(workspace: Path, tmp_path: Path) -> None:
    assert find_workspace(tmp_path, workspace / "src") == workspace


def test_the_workspace_is_the_project_the_user_is_in(workspace: Path) -> None:
    assert find_workspace(workspace / "backend", None) == workspace


def test_the_project_is_known_by_its_id_when_the_host_runs_a_copy(workspace: Path, tmp_path: Path) -> None:
    write_plugin(tmp_path / "grafana" / "plugins" / "my-datasource")
    assert find_workspace(workspace / "backend", tmp_path / "grafana" / "plugins" / "my-datasource") == workspace


def test_a_copied_editable_build_leads_to_its_sources(workspace: Path, tmp_path: Path) -> None:
    copy = tmp_path / "grafana" / "plugins" / "my-datasource"
    write_plugin(copy, executable="x")
    program = copy / artefact_name("x")
    program.write_text(f"#!/x/python\n{EDITABLE_MARKER}\n{EDITABLE_SOURCE}{workspace}/backend/main.py\n")
    assert find_workspace(tmp_path, copy) == workspace
    (workspace / "backend" / "main.py").unlink()  # the sources are in a container
    assert find_workspace(tmp_path, copy) == copy


def test_another_plugins_project_is_not_the_workspace(workspace: Path, tmp_path: Path) -> None:
    write_plugin(tmp_path / "other" / "src", "other")
    assert find_workspace(workspace, tmp_path / "other" / "src") == tmp_path / "other"


def test_grafanas_symlink_to_dist_leads_to_the_project(workspace: Path, tmp_path: Path) -> None:
    write_plugin(workspace / "dist")
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "my-datasource").symlink_to(workspace / "dist")
    assert find_workspace(tmp_path, tmp_path / "plugins" / "my-datasource") == workspace


def test_a_plugin_directory_inside_a_container_is_not_ours(workspace: Path) -> None:
    assert find_workspace(workspace, Path("/nowhere/plugins/my-datasource")) == workspace


def test_in_a_monorepo_the_nearest_directory_with_vscode_is_the_workspace(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    plugin = tmp_path / "plugins" / "one"
    write_plugin(plugin / "src")
    assert find_workspace(plugin, None) == plugin
    (tmp_path / ".vscode").mkdir()
    assert find_workspace(plugin, None) == tmp_path
    (plugin / ".vscode").mkdir()
    assert find_workspace(plugin, None) == plugin


def test_vscode_outside_of_the_git_root_does_not_count(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / ".vscode").mkdir()
    assert find_workspace(workspace, None) == workspace


def test_without_a_plugin_json_it_is_the_git_root_else_the_directory(tmp_path: Path) -> None:
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    (tmp_path / "repo" / "app").mkdir()
    (tmp_path / "plain").mkdir()
    assert find_workspace(tmp_path / "repo" / "app", None) == tmp_path / "repo"
    assert find_workspace(tmp_path / "plain", None) == tmp_path / "plain"


def test_the_working_directory_bears_the_name_the_shell_has_for_it(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(workspace)
    monkeypatch.chdir(tmp_path / "link")
    monkeypatch.setenv("PWD", str(tmp_path / "link"))
    assert find_workspace(None, None) == tmp_path / "link"
    monkeypatch.setenv("PWD", str(tmp_path))  # left over from elsewhere
    assert find_workspace(None, None) == workspace
    monkeypatch.setenv("PWD", "/nowhere")
    assert find_workspace(None, None) == workspace


def test_equal_paths_need_no_mapping(workspace: Path) -> None:
    assert path_mappings(target(workspace / "backend" / "main.py"), workspace) == []


def test_a_relative_script_is_relative_to_its_working_directory(workspace: Path) -> None:
    script = Path("backend/main.py")
    assert path_mappings(target(script, cwd=workspace), workspace) == []
    assert path_mappings(target(script, cwd=Path("/app")), workspace) == [PathMapping("${workspaceFolder}", "/app")]


def test_a_workspace_reached_through_a_symlink(workspace: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(workspace)
    expected = [PathMapping("${workspaceFolder}", str(workspace))]
    assert path_mappings(target(workspace / "backend" / "main.py"), link) == expected
    assert path_mappings(target(link / "backend" / "main.py"), link) == []


def test_a_process_started_through_a_symlink(workspace: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(workspace)
    # The kernel's view of the script is resolved; its code objects bear the name on the command line.
    seen = target(workspace / "backend" / "main.py", command_line=("python", f"{link}/backend/main.py"))
    assert path_mappings(seen, workspace) == [PathMapping("${workspaceFolder}", str(link))]


@pytest.mark.parametrize(
    ("remote", "local_root", "remote_root"),
    [
        ("/app/backend/main.py", "${workspaceFolder}", "/app"),
        ("/srv/plugin/main.py", "${workspaceFolder}/backend", "/srv/plugin"),
        ("/main.py", "${workspaceFolder}/backend", "/"),
    ],
)
def test_sources_that_the_process_sees_elsewhere(
    workspace: Path, remote: str, local_root: str, remote_root: str
) -> None:
    assert path_mappings(target(Path(remote)), workspace) == [PathMapping(local_root, remote_root)]


def test_the_longest_common_end_decides(workspace: Path) -> None:
    write_source(workspace / "main.py")
    assert path_mappings(target(Path("/app/backend/main.py")), workspace) == [PathMapping("${workspaceFolder}", "/app")]


def test_a_source_tree_deployed_without_its_src(workspace: Path) -> None:
    write_source(workspace / "src" / "plugin" / "start.py")
    mappings = path_mappings(target(Path("/app/plugin/start.py")), workspace)
    assert mappings == [PathMapping("${workspaceFolder}/src", "/app")]


def test_a_script_elsewhere_on_this_machine_is_not_taken_for_one_of_the_same_name(
    workspace: Path, tmp_path: Path
) -> None:
    other = write_source(tmp_path / "other" / "backend" / "main.py")
    assert path_mappings(target(other), workspace) == []


def test_a_script_without_a_counterpart_needs_no_mapping(workspace: Path) -> None:
    assert path_mappings(target(Path("/app/else.py")), workspace) == []


def test_an_editable_build_is_mapped_by_the_source_it_runs(workspace: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(workspace)
    program = write_source(workspace / "dist" / "my-datasource_linux_amd64")
    program.write_text(f"#!/x/python\n{EDITABLE_MARKER}\n{EDITABLE_SOURCE}{workspace}/backend/main.py\n")
    assert path_mappings(target(program), workspace) == []
    assert path_mappings(target(program), link) == [PathMapping("${workspaceFolder}", str(workspace))]


def test_a_program_without_sources_has_no_mapping(workspace: Path) -> None:
    program = write_source(workspace / "dist" / "my-datasource_linux_amd64")
    program.write_bytes(b"\x7fELF" + b"\xff" * 5000)
    assert path_mappings(target(program), workspace) == []
    assert path_mappings(target(None), workspace) == []
