"""new -> build -> start, as Grafana starts a plugin: by its absolute path, with a cookie and nothing else."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attach_driver import BREAK_LINE, ROOT, WORKER, attached, find_pythons, running_worker
from dap_client import DapClient

from debugtool.builds import build_editable
from debugtool.builds.editable import launcher_text
from debugtool.errors import DebugtoolError
from debugtool.manifest import EDITABLE_MARKER, artefact_name, editable_source

DEBUGTOOL = Path(sys.executable).with_name("debugtool")
HOST_ENVIRONMENT = {"grafana_plugin_type": "datasource", "PLUGIN_PROTOCOL_VERSIONS": "2"}
DEADLINE_S = 30.0


def debugtool(
    *arguments: str, cwd: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    return subprocess.run(
        [DEBUGTOOL, *arguments],
        cwd=cwd,
        env=clean | (environment or {}),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@contextmanager
def started(program: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [program], cwd="/", env=HOST_ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=DEADLINE_S)


def handshake(process: subprocess.Popen[bytes]) -> list[str]:
    assert process.stdout is not None
    assert process.stderr is not None
    assert select.select([process.stdout], [], [], DEADLINE_S)[0], "no handshake line within its deadline"
    line = process.stdout.readline().decode()
    assert line, process.stderr.read().decode()
    return line.rstrip("\n").split("|")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def program_output(program: Path) -> Any:
    done = subprocess.run([program], cwd="/", env={}, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    done = debugtool("new", "my-datasource", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/my-datasource\n"), done.stderr
    return tmp_path / "my-datasource"


@pytest.fixture
def program(project: Path) -> Path:
    done = debugtool("build", "--debug", "--editable", cwd=project)
    path = project / "dist" / artefact_name("my-datasource")
    assert (done.returncode, done.stdout) == (0, f"{path}\n"), done.stderr
    return path


def plain_venv(directory: Path, base: str | Path = sys.executable) -> Path:
    """Make a virtual environment with nothing in it, and give its Python."""
    subprocess.run([base, "-m", "venv", "--without-pip", directory], check=True, timeout=DEADLINE_S)
    return directory / "bin" / "python"


def venv_with_debugtool(directory: Path) -> Path:
    """Make a virtual environment that has what this one has, without asking a network."""
    python = plain_venv(directory)
    site_packages = next(directory.glob("lib/python*/site-packages"))
    here = [path for path in sys.path if path.endswith("site-packages")]
    import debugtool as package

    assert package.__file__ is not None
    (site_packages / "shared.pth").write_text("\n".join([*here, str(Path(package.__file__).parents[1])]) + "\n")
    return python


def test_the_plugin_starts_with_an_empty_environment(program: Path) -> None:
    with started(program) as process:
        fields = handshake(process)
        assert fields[:3] == ["1", "2", "unix"]
        assert fields[4] == "grpc"
        assert Path(fields[3]).is_socket()


def test_dist_is_what_grafana_reads(project: Path, program: Path) -> None:
    assert json.loads((project / "dist" / "plugin.json").read_text())["executable"] == "my-datasource"
    assert (project / "dist" / "img" / "logo.svg").is_file()
    assert program.stat().st_mode & 0o777 == 0o755
    assert EDITABLE_MARKER in program.read_text().splitlines()[:3]
    assert editable_source(program) == project / "backend" / "main.py"


def test_a_build_after_which_nothing_has_changed_writes_the_program_alone(project: Path, program: Path) -> None:
    done = debugtool("build", "--debug", "--editable", "--json", cwd=project)
    assert json.loads(done.stdout)["copied"] == []


def test_a_build_does_not_disturb_the_running_plugin(project: Path, program: Path) -> None:
    with started(program) as process:
        handshake(process)
        inode = program.stat().st_ino
        assert debugtool("build", "--debug", "--editable", cwd=project).returncode == 0
        assert program.stat().st_ino != inode, "a new file, so the old program keeps its own"
        assert process.poll() is None


def test_an_error_in_an_edit_names_the_source_line(project: Path, program: Path) -> None:
    edit(project / "backend" / "main.py", "serve(Datasource)", "serve(Nothing)")
    with started(program) as process:
        _, stderr = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert f'File "{project}/backend/main.py", line 8'.encode() in stderr
    assert b"NameError" in stderr


REPORT = """\
import json, os, sys
print(json.dumps({
    "file": __file__, "name": __name__, "package": __package__, "spec": __spec__ and __spec__.name,
    "code": sys._getframe().f_code.co_filename, "path": sys.path[0], "argv": sys.argv,
    "main": sys.modules["__main__"].__dict__ is globals(), "globals": sorted(globals()),
}))
"""


def test_a_script_sees_what_it_sees_when_python_runs_it(project: Path, program: Path) -> None:
    entry = project / "backend" / "main.py"
    entry.write_text(REPORT)
    plain = subprocess.run([sys.executable, entry], capture_output=True, text=True, check=True, timeout=DEADLINE_S)
    assert program_output(program) == json.loads(plain.stdout)


@pytest.mark.parametrize("python", find_pythons(), ids=lambda python: python.parents[1].name)
def test_every_python_runs_the_launcher_without_debugtool_in_its_environment(project: Path, python: Path) -> None:
    entry = project / "backend" / "main.py"
    entry.write_text("VALUE: int = 1\n" + REPORT)
    program = project / "program"
    program.write_bytes(launcher_text(python, entry, project, [entry.parent]))
    program.chmod(0o755)
    plain = subprocess.run([python, entry], capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    assert program_output(program) == json.loads(plain.stdout)
    entry.write_text("import json, threading\nprint(json.dumps([t.name for t in threading.enumerate()]))\n")
    assert program_output(program) == ["MainThread", "debugtool agent"]


def test_an_old_python_without_debugtool_is_attached_to_by_its_agent(tmp_path: Path) -> None:
    oldest = find_pythons()[0]
    program = tmp_path / "program"
    program.write_bytes(launcher_text(oldest, WORKER, tmp_path, [WORKER.parent]))
    with (
        running_worker("idle", python=oldest, script=program, env={}) as worker,
        attached("--pid", worker.pid, "--method", "agent") as session,
        DapClient(session.port) as editor,
    ):
        editor.attach({WORKER: [BREAK_LINE]})
        worker.send(4)
        stopped = editor.wait_for_stop()
        assert editor.stack(stopped["threadId"])[0]["source"]["path"] == str(WORKER)
        editor.resume(stopped["threadId"])
        assert worker.answer()["answer"] == 9


def test_a_launcher_whose_agent_cannot_be_read_runs_the_plugin_all_the_same(project: Path) -> None:
    python = plain_venv(project / ".venv")
    entry = project / "backend" / "main.py"
    entry.write_text("import json\nprint(json.dumps('serving'))\n")
    program = build_editable(project).artefact
    assert str(python) in program.read_text()
    edit(program, f"start_agent('{ROOT}", "start_agent('/nowhere")
    done = subprocess.run([program], cwd="/", env={}, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    assert json.loads(done.stdout) == "serving"
    assert done.stderr.startswith("debugtool: no debug agent in this process: [Errno 2] No such file or directory")


def test_a_package_sees_what_it_sees_when_python_m_runs_it(project: Path) -> None:
    package = project / "backend"
    (package / "main.py").unlink()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("from .sibling import VALUE\n" + REPORT)
    (package / "sibling.py").write_text("VALUE = 1\n")
    assert debugtool("build", "--debug", "--editable", cwd=project).returncode == 0
    plain = subprocess.run(
        [sys.executable, "-m", "backend"], cwd=project, capture_output=True, text=True, check=True, timeout=DEADLINE_S
    )
    built, expected = program_output(project / "dist" / artefact_name("my-datasource")), json.loads(plain.stdout)
    assert built.pop("path") == str(project)
    assert expected.pop("path") == str(project)
    assert built == expected


def test_an_edit_within_the_same_second_and_of_the_same_size_is_seen(project: Path, program: Path) -> None:
    entry, module = project / "backend" / "main.py", project / "backend" / "answer.py"
    entry.write_text("import json, answer\nprint(json.dumps({'answer': answer.VALUE}))\n")
    module.write_text("VALUE = 1\n")
    os.utime(module, (10**9, 10**9))
    plain = [sys.executable, str(entry)]
    # Without PYTHONDONTWRITEBYTECODE: this run leaves its bytecode behind.
    subprocess.run(plain, env={}, check=True, capture_output=True, timeout=DEADLINE_S)
    module.write_text("VALUE = 2\n")
    os.utime(module, (10**9, 10**9))
    stale = subprocess.run(plain, env={}, check=True, capture_output=True, text=True, timeout=DEADLINE_S)
    assert json.loads(stale.stdout) == {"answer": 1}, "this is the trap that Python itself falls into"
    assert program_output(program) == {"answer": 2}


@pytest.mark.parametrize("directory", ["with a space", "n" * 130])
def test_an_interpreter_that_no_first_line_can_name(tmp_path: Path, project: Path, directory: str) -> None:
    venv_with_debugtool(tmp_path / directory / "venv")
    done = debugtool(
        "build", "--debug", "--editable", cwd=project, environment={"VIRTUAL_ENV": str(tmp_path / directory / "venv")}
    )
    assert done.returncode == 0, done.stderr
    program = Path(done.stdout.rstrip("\n"))
    assert program.read_text().startswith("#!/bin/sh\n" + EDITABLE_MARKER)
    with started(program) as process:
        assert handshake(process)[4] == "grpc"
        # exec, not a child: the host's pid is the plugin, so it can be found and killed.
        assert Path(f"/proc/{process.pid}/exe").samefile(sys.executable)


def test_the_projects_own_venv_comes_first(tmp_path: Path, project: Path) -> None:
    own = venv_with_debugtool(project / ".venv")
    other = venv_with_debugtool(tmp_path / "other")
    done = debugtool(
        "build", "--debug", "--editable", "--json", cwd=project, environment={"VIRTUAL_ENV": str(other.parents[1])}
    )
    assert json.loads(done.stdout)["interpreter"] == str(own)
    entry = project / "backend" / "main.py"
    entry.write_text("import json, sys\nprint(json.dumps({'prefix': sys.prefix}))\n")
    assert program_output(project / "dist" / artefact_name("my-datasource")) == {"prefix": str(project / ".venv")}


def test_a_venv_without_debugtool_is_named_with_what_to_do(project: Path) -> None:
    python = plain_venv(project / ".venv")
    done = debugtool("build", "--debug", "--editable", cwd=project)
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: {python} cannot run the plugin.\n"
        "  why:  Importing debugtool.plugin failed: ModuleNotFoundError: No module named 'debugtool'\n"
        f"  next: Install debugtool for the plugin: {python} -m pip install debugtool\n"
    )
    assert not (project / "dist").exists()
    for lock, tool in (("poetry.lock", "poetry"), ("uv.lock", "uv")):
        (project / lock).write_text("")
        done = debugtool("build", "--debug", "--editable", cwd=project)
        assert done.stderr.endswith(f"  next: Install debugtool for the plugin: {tool} add debugtool\n")


def test_a_venv_that_cannot_have_debugtool_is_named_with_what_to_do(project: Path) -> None:
    old = [python for python in find_pythons() if python.parents[1].name.startswith(("3.8.", "3.9.", "3.10."))]
    if not old:
        pytest.skip("no CPython before 3.11")
    python = plain_venv(project / "venv", old[0])
    done = debugtool("build", "--debug", "--editable", cwd=project)
    assert done.stderr == (
        f"Error: {python} cannot run the plugin.\n"
        "  why:  Importing debugtool.plugin failed: ModuleNotFoundError: No module named 'debugtool'\n"
        "  next: Make the plugin's environment with Python 3.11 or later, which debugtool.plugin needs.\n"
    )


def test_a_broken_venv_is_named_with_what_to_do(project: Path) -> None:
    python = project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/nowhere/python3")
    done = debugtool("build", "--debug", "--editable", cwd=project)
    assert (done.returncode, done.stderr) == (
        1,
        f"Error: Could not run {python}.\n  why:  No such file or directory.\n"
        f"  next: Make the virtual environment anew: python3 -m venv {project}/.venv\n",
    )


def test_the_new_projects_own_tests_and_checks_pass(project: Path) -> None:
    for command in (["pytest", "-q"], ["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=project, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def test_sigterm_ends_the_plugin_under_the_shell_form_too(tmp_path: Path, project: Path) -> None:
    venv_with_debugtool(tmp_path / "a b" / "venv")
    done = debugtool(
        "build", "--debug", "--editable", cwd=project, environment={"VIRTUAL_ENV": str(tmp_path / "a b" / "venv")}
    )
    with started(Path(done.stdout.rstrip("\n"))) as process:
        handshake(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0


def test_only_a_debug_build_has_the_agent(project: Path, program: Path) -> None:
    for source in (project / "backend").rglob("*.py"):
        assert "agent" not in source.read_text()
    loaded = (
        "import sys; sys.path.insert(0, 'backend');"
        "import debugtool.plugin, debugtool.plugin.server, datasource.plugin;"
        "print({name for name in sys.modules if 'agent' in name})"
    )
    done = subprocess.run(
        [sys.executable, "-c", loaded], cwd=project, capture_output=True, text=True, check=True, timeout=DEADLINE_S
    )
    assert done.stdout == "set()\n"
    assert "\nstart_agent(" in program.read_text()


def test_wrong_projects(project: Path, tmp_path: Path) -> None:
    (tmp_path / "empty" / ".git").mkdir(parents=True)
    done = debugtool("build", "--debug", "--editable", "empty", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        3,
        f"Error: There is no plugin in {tmp_path}/empty.\n"
        "  why:  No plugin.json there, in its src/ or dist/, or above it up to the git root.\n"
        "  next: Name the plugin's directory, or create a plugin with: debugtool new my-datasource\n",
    )
    assert debugtool("build", "--editable", cwd=project).returncode == 2, "an editable build is one to debug"
    (project / "backend" / "main.py").unlink()
    done = debugtool("build", "--debug", "--editable", "--json", cwd=project)
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["what"] == f"The plugin in {project} has no entry point."


def test_a_nested_plugin_builds_where_its_plugin_json_points(project: Path) -> None:
    nested = project / "src" / "datasource"
    nested.mkdir()
    (project / "src" / "plugin.json").rename(nested / "plugin.json")
    document = json.loads((nested / "plugin.json").read_text()) | {"executable": "../gpx_x"}
    (nested / "plugin.json").write_text(json.dumps(document))
    (project / "src" / "plugin.json").write_text('{"id": "app", "type": "app"}')
    built = build_editable(project)
    assert built.artefact.parent == project / "dist"
    assert built.artefact.name.startswith("gpx_x_")
    assert built.plugin_id == "my-datasource"
    assert build_editable(project / "dist").entry == built.entry, "from its copy in dist/ too"


def test_a_directory_in_place_of_the_program_is_an_error(project: Path) -> None:
    artefact = build_editable(project).artefact
    artefact.unlink()
    artefact.mkdir()
    with pytest.raises(DebugtoolError) as caught:
        build_editable(project)
    assert caught.value.why.startswith("Is a directory: ")
    assert [path.name for path in artefact.parent.iterdir() if path.name.endswith(".tmp")] == []
