"""Plugin projects of the shapes that people have, made by the tools that they make them with; no network is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from attach_driver import ROOT

BIN = Path(sys.executable).parent
BASE_PYTHON = Path(os.path.realpath(sys.executable))
LIMIT_S = 60.0

MANIFEST = {"id": "acme-shape-datasource", "type": "datasource", "backend": True, "executable": "gpx_shape"}

ENTRY = """\
from debugtool.plugin import serve

from {package}.answer import answer


class Datasource:
    def query_data(self, ctx, time_range, data_source, queries):
        found = {{query.ref_id: answer() for query in queries}}
        return found  # IN THE ENTRY


if __name__ == "__main__":
    serve(Datasource)
"""
PLAIN = """\
def answer():
    value = 1.0
    return {"value": [value]}  # IN A MODULE
"""
ARRAYS = """\
import numpy
import pyarrow


def answer():
    value = numpy.full(3, 1.0)
    return pyarrow.table({"value": value})  # IN A MODULE
"""
EXTENSION = """\
from .fast import add


def answer():
    value = add(0.5, 0.5) * 1.0
    return {"value": [value]}  # IN A MODULE
"""
FAST_C = """\
#include <Python.h>

static PyObject *add(PyObject *self, PyObject *args) {
    double a, b;
    return PyArg_ParseTuple(args, "dd", &a, &b) ? PyFloat_FromDouble(a + b) : NULL;
}
static PyMethodDef methods[] = {{"add", add, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "fast", NULL, -1, methods};
PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&module); }
"""
SETUP_PY = """\
from setuptools import Extension, setup

setup(name="shape", packages=["shape"], ext_modules=[Extension("shape.fast", ["shape/fast.c"])])
"""


@dataclass(frozen=True)
class ShapedProject:
    """A project.

    Attributes:
        root: The plugin's project.
        entry: The source that starts it.
        answer: The source that a query's answer comes from: each `1.0` in it is that answer.
        environment: The virtual environment that it is to run in.
        variables: Environment variables that the tools were run with.
    """

    root: Path
    entry: Path
    answer: Path
    environment: Path
    variables: dict[str, str]


Shape = Callable[[Path], ShapedProject]


def uv_application(directory: Path) -> ShapedProject:
    """An application of uv's: backend/main.py and a package beside it; numpy and pyarrow."""
    project = _lay_out(directory / "project", "backend/main.py", "backend/shape", ARRAYS, directory)
    _write(
        project.root / "pyproject.toml", '[project]\nname = "shape"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n'
    )
    _uv_sync(project, project.root)
    return project


def uv_package(directory: Path) -> ShapedProject:
    """A package of uv's in the src layout, beside the frontend's sources; it runs as `python -m shape`."""
    project = _lay_out(directory / "project", "src/shape/__main__.py", "src/shape", PLAIN, directory)
    _write(project.root / "src" / "module.ts", "export const plugin = null;\n")
    _write(project.root / "pyproject.toml", _uv_package("shape"))
    _uv_sync(project, project.root)
    return project


def uv_workspace(directory: Path) -> ShapedProject:
    """A member of a uv workspace, whose one environment lies at the workspace's root."""
    root = directory / "work space"
    project = _lay_out(root / "plugins" / "shape", "backend/main.py", "backend/shape", PLAIN, directory, root / ".venv")
    _write(root / "pyproject.toml", '[tool.uv.workspace]\nmembers = ["plugins/*"]\n')
    _write(
        project.root / "pyproject.toml",
        '[project]\nname = "shape"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n',
    )
    _uv_sync(project, root)
    return project


def poetry_package(directory: Path) -> ShapedProject:
    """A package of Poetry's in backend/, in the src layout; its environment is where Poetry puts it by itself."""
    project = _lay_out(directory / "project", "backend/src/shape/__main__.py", "backend/src/shape", PLAIN, directory)
    _write(project.root / "package.json", "{}")
    _write(
        project.root / "backend" / "pyproject.toml",
        '[tool.poetry]\nname = "My Shape"\nversion = "0.1.0"\ndescription = ""\nauthors = []\n'
        'packages = [{ include = "shape", from = "src" }]\n[tool.poetry.dependencies]\npython = ">=3.11"\n'
        '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n',
    )
    environments = directory / "home" / ".cache" / "pypoetry" / "virtualenvs"
    return _poetry_install(project, project.root / "backend", environments)


def poetry_elsewhere(directory: Path) -> ShapedProject:
    """A project of Poetry's that is no package, with environments where poetry.toml says: Poetry must be asked."""
    project = _lay_out(directory / "project", "backend/main.py", "backend/shape", PLAIN, directory)
    _write(
        project.root / "pyproject.toml",
        '[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\npython = ">=3.11"\n',
    )
    _write(project.root / "poetry.toml", f'[virtualenvs]\npath = "{directory / "environments"}"\n')
    return _poetry_install(project, project.root, directory / "environments")


def requirements_and_extension(directory: Path) -> ShapedProject:
    """A plain requirements.txt, venv/, and a package with a C extension that lies at the project's root."""
    root = directory / "project"
    project = _lay_out(root, "shape/__main__.py", "shape", EXTENSION, directory, root / "venv")
    _write(root / "pyproject.toml", '[tool.debugtool]\nentry = "shape"\n')
    _write(root / "requirements.txt", "debugtool\nnumpy>=2\npyarrow\n")
    _write(root / "shape" / "fast.c", FAST_C)
    _write(root / "setup.py", SETUP_PY)
    _run(project, [sys.executable, "-m", "venv", "--without-pip", "venv"], root)
    _share_packages(project.environment)
    pip = [sys.executable, "-m", "pip", "--python", "venv/bin/python", "--disable-pip-version-check"]
    _run(project, [*pip, "install", "--no-index", "-r", "requirements.txt"], root)
    _run(project, ["venv/bin/python", "setup.py", "-q", "build_ext", "--inplace"], root)
    return project


def _lay_out(
    root: Path, entry: str, package: str, answer: str, directory: Path, environment: Path | None = None
) -> ShapedProject:
    _write(root / "src" / "plugin.json", json.dumps(MANIFEST))
    _write(root / package / "__init__.py", "")
    _write(root / package / "answer.py", answer)
    _write(root / entry, ENTRY.format(package=Path(package).name))
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("UV_", "POETRY_", "XDG_"))}
    clean.pop("VIRTUAL_ENV", None)
    variables = clean | {"HOME": str(directory / "home"), "PATH": f"{BIN}{os.pathsep}{clean['PATH']}"}
    return ShapedProject(root, root / entry, root / package / "answer.py", environment or root / ".venv", variables)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _uv_package(name: str) -> str:
    """uv builds such a package by itself: `uv_build` is part of it."""
    return (
        f'[project]\nname = "{name}"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n'
        '[build-system]\nrequires = ["uv_build>=0.13,<0.14"]\nbuild-backend = "uv_build"\n'
    )


def _uv_sync(project: ShapedProject, directory: Path) -> None:
    _run(project, [BIN / "uv", "sync", "--offline", "--no-python-downloads", "--python", BASE_PYTHON], directory)
    _share_packages(project.environment)


def _poetry_install(project: ShapedProject, directory: Path, environments: Path) -> ShapedProject:
    _run(project, [BIN / "poetry", "install", "--no-interaction"], directory)
    (environment,) = environments.glob("*-py3*")
    _share_packages(environment)
    return replace(project, environment=environment)


def _run(project: ShapedProject, command: list[str | Path], directory: Path) -> None:
    done = subprocess.run(
        command, cwd=directory, env=project.variables, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def _share_packages(environment: Path) -> None:
    """Let an environment see what is installed in the one of the tests, debugtool, numpy and pyarrow among it."""
    (site_packages,) = environment.glob("lib/python*/site-packages")
    shared = [path for path in sys.path if path.endswith("site-packages")]
    (site_packages / "shared.pth").write_text("\n".join([*shared, str(ROOT)]) + "\n")
