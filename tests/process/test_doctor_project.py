"""`debugtool doctor` in a plugin's project: what stops a build, brought about."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from doctor_driver import DEBUGTOOL, Report, doctor, prepared, with_scope
from frozen_driver import frozen_program

from debugtool.manifest import artefact_name

ROOT = Path(__file__).resolve().parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root to make a mount namespace")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    command = [str(DEBUGTOOL), "new", "my-datasource"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    return tmp_path / "my-datasource"


@pytest.fixture
def program(project: Path) -> Path:
    command = [str(DEBUGTOOL), "build", "--debug", "--editable"]
    subprocess.run(command, cwd=project, check=True, capture_output=True, timeout=60)
    return project / "dist" / artefact_name("my-datasource")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_new_project_can_be_built(project: Path) -> None:
    report = doctor(cwd=project)
    assert report.problems == []
    assert report.document["plugin_json"] == str(project / "src" / "plugin.json")
    assert report["entry-point"] == ("ok", f"{project / 'backend' / 'main.py'}.")
    assert report["artefact"][0] == "info"
    assert report["running"] == ("info", "The plugin my-datasource does not run.")
    assert not report.has("stale-build")


def test_the_projects_own_name_need_not_run(project: Path) -> None:
    assert doctor("my-datasource", cwd=project)["running"][0] == "info"


def test_a_built_project(program: Path) -> None:
    report = doctor(cwd=program.parent)
    assert report.problems == []
    assert report["artefact"] == ("ok", f"{program} can be started: an editable debug build.")
    assert report.document["plugin_json"].endswith("/src/plugin.json"), "dist/ holds a copy only"


@as_root
def test_a_debug_build_needs_no_ptrace(program: Path) -> None:
    report = doctor(cwd=program.parent, through=with_scope(3))
    assert report["ptrace"][0] == "info"
    assert report.problems == []


def test_plugin_json_is_broken(project: Path) -> None:
    (project / "src" / "plugin.json").write_text("{")
    report = doctor(cwd=project)
    assert report.problems == ["plugin-json"]
    assert report.finding("plugin-json")["why"].startswith("It is not valid JSON: ")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"backend": true', '"backend": false', "`backend` is not true"),
        ('"executable": "my-datasource"', '"x": 1', "`executable` is missing"),
    ],
)
def test_plugin_json_names_no_backend(project: Path, old: str, new: str, why: str) -> None:
    edit(project / "src" / "plugin.json", old, new)
    report = doctor(cwd=project)
    assert report.problems == ["plugin-json"]
    assert report.finding("plugin-json")["why"] == f"in {project / 'src' / 'plugin.json'} {why}"


def test_there_is_no_entry_point(project: Path) -> None:
    (project / "backend" / "main.py").unlink()
    report = doctor(cwd=project)
    assert report.problems == ["entry-point"]
    assert "[tool.debugtool] entry" in report.finding("entry-point")["next"]


def own_environment(project: Path) -> Path:
    """Give the project a virtual environment that has what ours has."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project / ".venv"], check=True, timeout=60)
    site_packages = next((project / ".venv").glob("lib/python*/site-packages"))
    here = [path for path in sys.path if path.endswith("site-packages")]
    (site_packages / "shared.pth").write_text("\n".join([*here, str(ROOT)]) + "\n")
    return site_packages


def test_the_projects_own_environment(project: Path) -> None:
    own_environment(project)
    report = doctor(cwd=project)
    assert str(project / ".venv" / "bin" / "python") in report["interpreter"][1]
    assert report.problems == []


def test_the_environment_has_no_debugtool(project: Path) -> None:
    (own_environment(project) / "shared.pth").unlink()
    report = doctor(cwd=project)
    assert report.problems == ["interpreter"]
    assert report.finding("interpreter")["next"].endswith("/.venv/bin/python -m pip install debugtool")


def test_the_environments_python_is_gone(project: Path) -> None:
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "bin" / "python").symlink_to(project / "gone")
    report = doctor(cwd=project)
    assert report.problems == ["interpreter"]
    assert "Make the virtual environment anew" in report.finding("interpreter")["next"]


def test_a_python_without_its_library_cannot_be_frozen(project: Path) -> None:
    """A Python says where its library is; this one names one that is not there, as Debian's does without libpython."""
    spoil = "import sysconfig; sysconfig.get_config_vars().update(INSTSONAME='libpython-gone.so', Py_ENABLE_SHARED=1)"
    (own_environment(project) / "library.pth").write_text(f"{spoil}\n")
    report = doctor(cwd=project)
    assert report.problems == ["pyinstaller"]
    assert "--enable-shared" in report.finding("pyinstaller")["next"]


def test_what_pyinstaller_runs_is_missing(project: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("ldd", "objdump", "objcopy"):
        (programs / name).symlink_to(shutil.which(name) or name)
    assert doctor(cwd=project, environment={"PATH": str(programs)})["build-programs"][0] == "warning"
    (programs / "objcopy").unlink()
    report = doctor(cwd=project, environment={"PATH": str(programs)})
    assert report.problems == ["build-programs"]
    assert report.finding("build-programs")["next"] == "apt-get install binutils"


@as_root
def test_dist_cannot_be_written(project: Path) -> None:
    read_only = prepared(f'mount --bind "{project}" "{project}"; mount -o remount,bind,ro "{project}"; cd "{project}"')
    report = doctor(cwd=project, through=read_only)
    assert report.problems == ["dist"]
    assert report["launch-json"][0] == "warning"


def test_dist_is_a_file(project: Path) -> None:
    (project / "dist").write_text("")
    assert doctor(cwd=project).problems == ["dist"]


def test_the_program_is_not_executable(program: Path) -> None:
    program.chmod(0o644)
    report = doctor(cwd=program.parent)
    assert report.problems == ["artefact"]
    assert report.finding("artefact")["next"] == f"chmod +x {program}"


def test_the_program_is_another_platforms(program: Path) -> None:
    other = artefact_name("my-datasource", "darwin", "arm64")
    program.rename(program.with_name(other))
    finding = doctor(cwd=program.parent).finding("artefact")
    assert (finding["status"], finding["what"]) == ("warning", f"There is no {program.name}.")
    assert other in finding["why"]


def unstartable(program: Path, data: bytes) -> str:
    program.write_bytes(data)
    report = doctor(cwd=program.parent)
    assert report.problems == ["artefact"]
    return report.finding("artefact")["why"]


def test_the_program_does_not_start_here(program: Path) -> None:
    header = bytearray(Path(sys.executable).read_bytes()[:256])
    header[18:20] = (22).to_bytes(2, "little")
    assert unstartable(program, bytes(header)).startswith("it is for s390x, this is ")
    assert unstartable(program, b"PK\x03\x04") == "it is no program: neither ELF nor a script"
    assert unstartable(program, b"#!/nowhere/python\n") == "its interpreter /nowhere/python is gone"
    program.unlink()
    program.mkdir()
    assert doctor(cwd=program.parent)["artefact"] == ("problem", f"{program} is a directory.")


def test_an_editable_build_whose_source_has_moved(program: Path) -> None:
    project = program.parents[1]
    (project / "backend" / "main.py").rename(project / "backend" / "__main__.py")
    report = doctor(cwd=project)
    assert report.problems == ["artefact"]
    assert report.finding("artefact")["why"].endswith("/backend/main.py, which is gone")


def test_a_build_that_is_older_than_its_sources(project: Path, go_programs: Path) -> None:
    """Any program that is no editable build will do: it is the times that count."""
    program = project / "dist" / artefact_name("my-datasource")
    program.parent.mkdir()
    shutil.copy(go_programs / "sdkplugin", program)
    lock = project / "backend" / ".#main.py"  # an editor's
    lock.symlink_to("somebody@elsewhere.7")
    later = program.stat().st_mtime + 10
    os.utime(lock, (later, later), follow_symlinks=False)
    report = doctor(cwd=project)
    assert report["stale-build"][0] == "ok"
    assert report["artefact"][1].startswith(f"{program} can be started: a release build of go1.")
    source = project / "backend" / "datasource" / "query.py"
    os.utime(source, (later, later))
    finding = doctor(cwd=project).finding("stale-build")
    assert (finding["status"], finding["why"]) == ("warning", f"{source} was written later")


def test_a_frozen_build(project: Path) -> None:
    program = project / "dist" / artefact_name("my-datasource")
    program.parent.mkdir()
    shutil.copy(frozen_program(), program)
    version = ".".join(map(str, sys.version_info[:2]))
    assert doctor(cwd=project)["artefact"] == (
        "ok",
        f"{program} can be started: PyInstaller's, with CPython {version}.",
    )


@pytest.mark.parametrize("path", ["", "/usr/bin:/bin"], ids=["Go", "no Go"])
def test_a_go_project(project: Path, path: str) -> None:
    shutil.rmtree(project / "backend")
    (project / "go.mod").write_text("module example.org/plugin\n\ngo 1.24\n")
    report = doctor(cwd=project, environment={"PATH": path} if path else {})
    wanted = [] if not path and shutil.which("go") else ["go"]
    wanted += [] if not path and shutil.which("dlv") else ["delve"]
    assert report.problems == wanted
    assert not report.has("entry-point")


@pytest.mark.parametrize("content", ["{", "[]"])
def test_launch_json_cannot_be_brought_up_to_date(project: Path, content: str) -> None:
    (project / ".vscode").mkdir(exist_ok=True)
    (project / ".vscode" / "launch.json").write_text(content)
    report = doctor(cwd=project)
    assert report["launch-json"][0] == "warning"
    assert report.problems == [], "an attach goes on without it"
    assert (project / ".vscode" / "launch.json").read_text() == content


def test_in_another_project_than_the_one_of_the_process(project: Path, tmp_path: Path) -> None:
    report: Report = doctor("--pid", os.getpid(), cwd=project)
    assert report.document["plugin_json"] is None
    assert not report.has("entry-point")
