from __future__ import annotations

import json
from pathlib import Path

import pytest

from debugtool.errors import DebugtoolError, ExitCode, NotFound
from debugtool.manifest import (
    Manifest,
    artefact_name,
    artefact_path,
    find_manifest,
    read_manifest,
    strip_platform,
)
from debugtool.output import error_text
from debugtool.system import goos_goarch


def write_manifest(directory: Path, **fields: object) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "plugin.json"
    path.write_text(json.dumps({"id": "acme-weather-datasource", **fields}), encoding="utf-8")
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    return tmp_path


def test_reads_what_the_backend_needs(tmp_path: Path) -> None:
    path = write_manifest(
        tmp_path, name="Wetter", type="datasource", executable="gpx_weather", backend=True, info={"version": "1.2.3"}
    )
    assert read_manifest(path) == Manifest(
        path, "acme-weather-datasource", "Wetter", "datasource", "gpx_weather", True, "1.2.3"
    )


def test_absent_fields_and_fields_of_the_wrong_type_are_as_if_not_said(tmp_path: Path) -> None:
    path = write_manifest(tmp_path, name=7, type=None, executable="", backend="true", info=[])
    assert read_manifest(path) == Manifest(
        path, "acme-weather-datasource", "acme-weather-datasource", "", None, False, ""
    )


def test_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_manifest(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert read_manifest(Path("plugin.json")).directory == tmp_path


def test_missing_file_is_a_three_line_error_and_exit_code_3(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        read_manifest(tmp_path / "plugin.json")
    assert caught.value.exit_code is ExitCode.NOT_FOUND
    assert error_text(caught.value) == (
        f"Error: There is no {tmp_path}/plugin.json.\n"
        "  why:  A plugin is described by its plugin.json; the file does not exist.\n"
        "  next: Name the plugin's directory, or create a plugin with: debugtool new my-datasource"
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"id": "x",}', "It is not valid JSON: Illegal trailing comma"),
        (b"\xff\xfe", "It is not valid JSON: 'utf-8' codec can't decode"),
        (b"[]", "It is valid JSON, but not an object."),
        (b'{"name": "x"}', "It has no `id`, or one that is not text."),
        (b'{"id": 5}', "It has no `id`, or one that is not text."),
    ],
)
def test_broken_file_names_itself_and_the_reason(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "plugin.json"
    path.write_bytes(content)
    with pytest.raises(DebugtoolError) as caught:
        read_manifest(path)
    assert caught.value.what == f"{path} is not a usable plugin.json."
    # The json module words it differently before Python 3.13.
    assert caught.value.why.startswith(why) or caught.value.why.startswith("It is not valid JSON: Expecting property")
    assert caught.value.next_step


def test_a_directory_in_its_place_is_an_error_not_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "plugin.json").mkdir()
    with pytest.raises(DebugtoolError, match="Could not read"):
        read_manifest(tmp_path / "plugin.json")


@pytest.mark.parametrize("layout", [".", "src", "dist"])
@pytest.mark.parametrize("start", [".", "backend/weather"])
def test_found_from_anywhere_in_the_project(project: Path, layout: str, start: str) -> None:
    path = write_manifest(project / layout)
    (project / start).mkdir(parents=True, exist_ok=True)
    found = find_manifest(project / start)
    assert found is not None
    assert found.path == path
    assert found.project_root == project


def test_src_is_believed_before_its_copy_in_dist(project: Path) -> None:
    write_manifest(project / "dist")
    source = write_manifest(project / "src")
    assert (found := find_manifest(project)) and found.path == source


def test_the_start_may_be_the_file_itself(project: Path) -> None:
    path = write_manifest(project / "dist")
    assert find_manifest(path) == read_manifest(path)


def test_nothing_above_the_git_root_counts(project: Path) -> None:
    write_manifest(project)
    inner = project / "other"
    (inner / ".git").mkdir(parents=True)
    assert find_manifest(inner) is None


def test_a_worktree_has_a_git_file_as_its_root(project: Path) -> None:
    write_manifest(project)
    inner = project / "worktree"
    inner.mkdir()
    (inner / ".git").write_text("gitdir: elsewhere\n")
    assert find_manifest(inner) is None


def test_a_shared_sticky_directory_decides_nothing(tmp_path: Path) -> None:
    write_manifest(tmp_path)
    tmp_path.chmod(0o1777)
    inner = tmp_path / "mine"
    inner.mkdir()
    assert find_manifest(inner) is None
    assert find_manifest(tmp_path) is not None


def test_a_start_that_does_not_exist_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no directory"):
        find_manifest(tmp_path / "nowhere")


def test_an_app_gives_way_to_its_one_nested_data_source(project: Path) -> None:
    write_manifest(project / "src", type="app")
    nested = write_manifest(project / "src" / "datasource", executable="../gpx_x", backend=True)
    found = find_manifest(project)
    assert found is not None
    assert found.path == nested
    assert found.project_root == project
    assert artefact_path(found, "linux", "arm64") == project / "src" / "gpx_x_linux_arm64"


def test_an_app_with_two_nested_data_sources_stays_itself(project: Path) -> None:
    app = write_manifest(project / "src", type="app")
    for name in ("one", "two"):
        write_manifest(project / "src" / name, executable="../gpx_x", backend=True)
    assert (found := find_manifest(project)) and found.path == app


def test_an_app_with_its_own_program_stays_itself(project: Path) -> None:
    app = write_manifest(project / "src", type="app", executable="gpx_app", backend=True)
    write_manifest(project / "src" / "datasource", executable="../gpx_x", backend=True)
    assert (found := find_manifest(project)) and found.path == app


def test_artefact_path_of_a_plugin_without_program(tmp_path: Path) -> None:
    assert artefact_path(read_manifest(write_manifest(tmp_path))) is None


@pytest.mark.parametrize(
    ("executable", "goos", "goarch", "name"),
    [
        ("my-datasource", "linux", "amd64", "my-datasource_linux_amd64"),
        ("gpx_x", "windows", "amd64", "gpx_x_windows_amd64.exe"),
        ("../gpx_x", "darwin", "arm64", "../gpx_x_darwin_arm64"),
    ],
)
def test_artefact_name(executable: str, goos: str, goarch: str, name: str) -> None:
    assert artefact_name(executable, goos, goarch) == name
    assert strip_platform(name) == executable


def test_artefact_name_of_this_machine() -> None:
    assert artefact_name("x") == artefact_name("x", *goos_goarch())


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("my-datasource", "my-datasource"),
        ("my-datasource.exe", "my-datasource"),
        ("gpx_my_thing", "gpx_my_thing"),
        ("gpx_linux_thing", "gpx_linux_thing"),
        ("_linux_amd64", "_linux_amd64"),
        ("terraform-provider-x_linux_riscv64", "terraform-provider-x"),
        ("", ""),
    ],
)
def test_strip_platform_takes_only_a_real_platform(filename: str, name: str) -> None:
    assert strip_platform(filename) == name


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("linux", "x86_64", ("linux", "amd64")),
        ("win32", "AMD64", ("windows", "amd64")),
        ("win32", "ARM64", ("windows", "arm64")),
        ("darwin", "arm64", ("darwin", "arm64")),
        ("linux", "aarch64", ("linux", "arm64")),
        ("linux", "armv6l", ("linux", "arm")),
        ("linux", "armv7l", ("linux", "arm")),
        ("linux", "i686", ("linux", "386")),
        ("linux", "ppc64le", ("linux", "ppc64le")),
        ("linux", "s390x", ("linux", "s390x")),
        ("linux", "riscv64", ("linux", "riscv64")),
        ("freebsd14", "amd64", ("freebsd", "amd64")),
    ],
)
def test_goos_goarch(system: str, machine: str, expected: tuple[str, str]) -> None:
    assert goos_goarch(system, machine) == expected
