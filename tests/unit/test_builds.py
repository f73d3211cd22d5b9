from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from debugtool import builds
from debugtool.builds.assets import copy_assets
from debugtool.builds.editable import launcher_text
from debugtool.cli import main
from debugtool.editors import debugpy_entry, write_launch_json
from debugtool.errors import DebugtoolError, ExitCode
from debugtool.manifest import EDITABLE_MARKER, editable_source, find_manifest, read_manifest

PYTHON = Path("/opt/venv/bin/python")
ENTRY = Path("/src/backend/main.py")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return builds.create_project("my-datasource", tmp_path / "my-datasource").directory


# --- debugtool new


def test_a_project_is_complete(project: Path) -> None:
    manifest = find_manifest(project)
    assert manifest is not None
    assert (manifest.id, manifest.executable, manifest.backend) == ("my-datasource", "my-datasource", True)
    assert (manifest.name, manifest.type, manifest.version) == ("My Datasource", "datasource", "0.1.0")
    assert builds.find_entry(project) == project / "backend" / "main.py"
    for path in project.rglob("*"):
        assert not path.is_file() or "{{" not in path.read_text()
    assert {".gitignore", ".vscode", "README.md", "pyproject.toml", "tests"} < {path.name for path in project.iterdir()}


def test_its_launch_json_is_what_attach_would_write(project: Path) -> None:
    assert not write_launch_json(project, debugpy_entry()).changed


@pytest.mark.parametrize("name", ["x", "my-datasource", "acme2-weather-datasource", "a" * 64])
def test_good_names(name: str) -> None:
    assert builds.name_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "My", "my_datasource", "-x", "x-", "x--y", "2x", "../x", "x/y", "x y", "é", "x\n", "a" * 65]
)
def test_bad_names_end_with_a_usage_error_before_anything_is_touched(name: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["new", "--dir", str(tmp_path / "out"), "--", name])
    assert result.exit_code == ExitCode.USAGE
    assert "a name " in result.output
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="a name "):
        builds.create_project(name, tmp_path / "out")


def test_another_runtime_is_not_offered(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["new", "x", "--runtime", "rust", "--dir", str(tmp_path / "x")])
    assert result.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("runtime", ["python", "go"])
def test_a_project_has_nothing_left_to_fill_in(tmp_path: Path, runtime: str) -> None:
    project = builds.create_project("my-first-datasource", tmp_path / "x", runtime)
    assert [path for path in project.files if "{{" in (project.directory / path).read_text()] == []
    assert json.loads((project.directory / "src/plugin.json").read_text())["executable"] == "my-first-datasource"


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DebugtoolError) as caught:
        builds.create_project("x", tmp_path)
    assert caught.value.why == "It exists and holds notes.txt, for one."
    assert list(tmp_path.iterdir()) == [tmp_path / "notes.txt"]


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(DebugtoolError, match="Could not create"):
        builds.create_project("x", tmp_path / "x")
    assert (tmp_path / "x").read_text() == "mine"


def test_an_empty_directory_is_filled_in_place(tmp_path: Path) -> None:
    inode = tmp_path.stat().st_ino
    builds.create_project("x", tmp_path)
    assert tmp_path.stat().st_ino == inode, "a shell that stands in it stays in it"
    assert (tmp_path / "src" / "plugin.json").is_file()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".x.")]


def test_a_failure_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename, calls = Path.rename, []

    def full_disk(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 4:
            raise OSError(28, "No space left on device", str(target))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full_disk)
    with pytest.raises(DebugtoolError) as caught:
        builds.create_project("x", tmp_path / "x")
    assert caught.value.why.startswith("No space left on device: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_leaves_nothing_of_its_own_in_another_users_directory(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12346)
    project = builds.create_project("x", tmp_path / "x").directory
    for path in (project, *project.rglob("*")):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346), path


def test_new_as_json(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["new", "x", "--dir", str(tmp_path / "y"), "--json"])
    document = json.loads(result.stdout)
    assert document.pop("files")
    assert document == {"directory": str(tmp_path / "y"), "plugin_id": "x", "runtime": "python"}


# --- the launcher


def test_the_launcher_is_python_and_names_its_source(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(launcher_text(PYTHON, ENTRY, Path("/src"), [ENTRY.parent]))
    first, marker, *_ = program.read_text().splitlines()
    assert (first, marker) == ("#!/opt/venv/bin/python", EDITABLE_MARKER)
    assert editable_source(program) == ENTRY
    compile(program.read_bytes(), program, "exec")


@pytest.mark.parametrize("directory", ["/opt/with space", "/opt/" + "x" * 120, "/opt/tab\there", "/opt/;rm -rf &"])
def test_an_interpreter_that_the_kernel_would_cut_is_run_by_the_shell(directory: str) -> None:
    text = launcher_text(Path(directory, "python"), ENTRY, Path("/src"), [ENTRY.parent]).decode()
    compile(text, "program", "exec")
    line = next(line for line in text.splitlines() if "exec'" in line)
    assert text.startswith("#!/bin/sh\n")
    assert shlex.split(line) == ["exec", f"{directory}/python", "$0", "$@"]


@pytest.mark.parametrize("length", [125, 126])
def test_the_longest_interpreter_for_a_first_line(length: int) -> None:
    interpreter = Path("/" + "x" * (length - 3))  # with #! this many bytes
    text = launcher_text(interpreter, ENTRY, Path("/src"), [ENTRY.parent]).decode()
    assert text.startswith(f"#!{interpreter}\n")
    assert launcher_text(Path(f"{interpreter}xx"), ENTRY, Path("/src"), [ENTRY.parent]).startswith(b"#!/bin/sh\n")


@pytest.mark.parametrize("character", ['"', "$", "`", "\\", "'", "\n"])
def test_an_interpreter_that_needs_quoting_is_refused(character: str) -> None:
    with pytest.raises(DebugtoolError, match="Could not write a launcher"):
        launcher_text(Path(f"/a {character}/python"), ENTRY, Path("/src"), [ENTRY.parent])


def test_source_paths_of_any_text(tmp_path: Path) -> None:
    entry = Path('/src/it\'s "quoted" \\ {braces} é/main.py')
    program = tmp_path / "program"
    program.write_bytes(launcher_text(PYTHON, entry, entry.parent, [entry.parent]))
    compile(program.read_bytes(), program, "exec")
    assert editable_source(program) == entry


@pytest.mark.parametrize("entry", [Path("/a\nb/main.py"), Path(os.fsdecode(b"/\xff/main.py"))])
def test_source_paths_that_no_script_can_name(entry: Path) -> None:
    with pytest.raises(DebugtoolError, match="Could not write a launcher"):
        launcher_text(PYTHON, entry, entry.parent, [entry.parent])


def test_other_programs_are_no_editable_builds(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF\x00" * 3000)
    assert editable_source(program) is None
    program.write_text(f"#!/usr/bin/python3\nprint({EDITABLE_MARKER!r})\n")
    assert editable_source(program) is None
    assert editable_source(tmp_path / "gone") is None


# --- dist/


def test_assets_follow_src(project: Path) -> None:
    dist, manifest = project / "dist", read_manifest(project / "src" / "plugin.json")
    (project / "src" / "module.ts").write_text("")
    written = copy_assets(manifest, dist)
    assert [str(path.relative_to(dist)) for path in written] == ["README.md", "img/logo.svg", "plugin.json"]
    assert copy_assets(manifest, dist) == []
    (project / "src" / "img" / "logo.svg").write_text("<svg/>")
    assert copy_assets(manifest, dist) == [dist / "img" / "logo.svg"]


def test_what_a_bundler_made_stays(project: Path) -> None:
    dist, manifest = project / "dist", read_manifest(project / "src" / "plugin.json")
    dist.mkdir()
    (dist / "module.js").write_text("")
    (dist / "plugin.json").write_text('{"id": "x", "info": {"version": "1.0.0"}}')
    copy_assets(manifest, dist)
    assert read_manifest(dist / "plugin.json").version == "1.0.0"
    assert (dist / "img" / "logo.svg").is_file()


def test_a_plugin_json_at_the_root_takes_only_its_own_with_it(tmp_path: Path) -> None:
    (tmp_path / "plugin.json").write_text('{"id": "x"}')
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "logo.png").write_bytes(b"\x89PNG")
    copy_assets(read_manifest(tmp_path / "plugin.json"), tmp_path / "dist")
    assert sorted(str(path.relative_to(tmp_path / "dist")) for path in (tmp_path / "dist").rglob("*.*")) == [
        "img/logo.png",
        "plugin.json",
    ]


@pytest.mark.parametrize(
    ("fields", "what", "why", "advice"),
    [
        (
            {"executable": None},
            "The plugin my-datasource has no backend to build.",
            "it names no `executable`",
            '"my-d',
        ),
        ({"backend": False}, "The plugin my-datasource has no backend to build.", "`backend` is not true", '"my-d'),
        ({"executable": "../../x"}, "would be built outside of", "`executable` in ", "Name a program inside"),
    ],
)
def test_a_plugin_json_that_names_no_program_to_build(
    project: Path, fields: dict[str, object], what: str, why: str, advice: str
) -> None:
    path = project / "src" / "plugin.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    with pytest.raises(DebugtoolError) as caught:
        builds.build_editable(project)
    assert what in caught.value.what
    assert why in caught.value.why
    assert advice in caught.value.next_step
    assert not (project / "dist").exists()
