"""A new plugin project, from the templates beside this file."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from debugtool.errors import DebugtoolError
from debugtool.files import make_directory, take_owner, write_failure

RUNTIMES = {"python": "Python", "go": "Go"}
"""What a backend may be written in, with its name for people."""

_SUFFIX = ".tmpl"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_NAME_MAX = 64
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class Project:
    """A project that was created.

    Attributes:
        directory: Its root, absolute.
        plugin_id: `id` and `executable` of its plugin.json.
        files: What it consists of, relative to the root.
    """

    directory: Path
    plugin_id: str
    files: tuple[Path, ...]


def name_problem(name: str) -> str | None:
    """Say what is wrong with a project's name; None when it will do as a plugin id and as a file name.

    Source:
        Grafana's plugin.schema.json: ids are lower case letters and digits in parts joined by hyphens.
    """
    if not _NAME.fullmatch(name):
        return "a name is lower case letters and digits, in parts joined by hyphens, and begins with a letter"
    if len(name) > _NAME_MAX:
        return f"a name has at most {_NAME_MAX} characters"
    return None


def create_project(name: str, directory: Path, runtime: str = "python") -> Project:
    """Write a working plugin project.

    It is written beside its place and moved there when it is whole.

    Args:
        name: See `name_problem`.
        directory: Its root: absent or empty so far.
        runtime: What its backend is written in, one of RUNTIMES.

    Raises:
        ValueError: The name will not do.
        DebugtoolError: The directory holds something, or cannot be written.
    """
    if problem := name_problem(name):
        raise ValueError(problem)
    directory = directory.absolute()
    try:
        _refuse_used(directory)
        beside = directory if directory.is_dir() else directory.parent  # a rename needs the same file system
        make_directory(beside)
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=beside) as staging:
            files = _render(Path(staging), name, runtime)
            _move(Path(staging), directory)
    except OSError as error:
        advice = "Choose a directory that you may write, with --dir."
        raise write_failure(f"Could not create {directory}.", directory, error, advice) from error
    return Project(directory, name, files)


def _refuse_used(directory: Path) -> None:
    found = next(directory.iterdir(), None) if directory.is_dir() else None
    if found is not None or (not directory.is_dir() and directory.exists()):
        raise DebugtoolError(
            f"Could not create {directory}.",
            why=f"It exists and holds {found.name}, for one." if found else "It exists and is no directory.",
            next_step="Choose another name, or another place with --dir.",
        )


def _render(staging: Path, name: str, runtime: str) -> tuple[Path, ...]:
    values = {"name": name, "title": name.replace("-", " ").title(), "today": f"{datetime.now(UTC):%Y-%m-%d}"}
    values["language"] = RUNTIMES[runtime]
    templates = Path(__file__).with_name("templates")
    found = {
        template.relative_to(base): template
        for base in (templates / "common", templates / runtime)
        for template in base.rglob(f"*{_SUFFIX}")
    }
    files = []
    for relative, template in sorted(found.items()):
        relative = relative.with_name(relative.name.removesuffix(_SUFFIX))
        text = _PLACEHOLDER.sub(lambda match: values[match[1]], template.read_text(encoding="utf-8"))
        path = staging / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        files.append(relative)
    return tuple(files)


def _move(staging: Path, directory: Path) -> None:
    owner = directory.parent.stat()
    for path in staging.rglob("*"):
        take_owner(path, owner)
    made = not directory.is_dir()
    make_directory(directory)
    moved = []
    try:
        for path in sorted(staging.iterdir()):
            path.rename(directory / path.name)
            moved.append(directory / path.name)
    except OSError:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if made:
            directory.rmdir()
        raise
