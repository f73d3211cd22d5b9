"""The editable debug build: a launcher in dist/ that runs the source tree with the debug agent."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from debugtool.builds.assets import copy_assets
from debugtool.builds.backend import find_python_backend
from debugtool.errors import DebugtoolError, Unsupported
from debugtool.files import make_directory, replace_file, write_failure
from debugtool.manifest import EDITABLE_MARKER, EDITABLE_SOURCE
from debugtool.system import goos_goarch

# Linux reads 256 bytes of a first line since 5.1 and 128 before, the newline among them.
_SHEBANG_MAX = 127
_NO_PLAIN_QUOTES = re.compile(r"[\"$`\\'\n]")

_HEAD = """\
{shebang}
{marker}
{source}{entry}
{exec_line}# It runs the source tree, so an edit needs only a restart, and lets `debugtool attach` in: not for release.
"""
_TAIL = """

start_agent({agent!r})
run({entry!r}, project={project!r}, roots={roots!r})
"""


@dataclass(frozen=True)
class EditableBuild:
    """What an editable build made.

    Attributes:
        plugin_id: `id` of its plugin.json.
        artefact: The program in dist/ that the host starts.
        entry: The source file that it runs.
        interpreter: The Python that runs it.
        copied: The files of dist/ that were brought up to date.
        elapsed_ms: How long the build took, milliseconds.
    """

    plugin_id: str
    artefact: Path
    entry: Path
    interpreter: Path
    copied: tuple[Path, ...]
    elapsed_ms: int


def build_editable(directory: Path) -> EditableBuild:
    """Make `dist/<executable>_<os>_<arch>` of a Python plugin, which runs its sources with the debug agent.

    The program is replaced in one step: a plugin that runs from the old one runs on. `VIRTUAL_ENV` is read, see
    `find_interpreter`.

    Args:
        directory: The project, or a directory in it.

    Raises:
        NotFound: There is no plugin.json, or no entry point.
        DebugtoolError: plugin.json names no backend, no Python can run it, or dist/ cannot be written.
        Unsupported: On Windows, where a program cannot be a script.
    """
    started = time.monotonic()
    if goos_goarch()[0] == "windows":
        raise Unsupported(
            f"No editable build of {directory} on Windows.",
            why="Windows starts only real programs, and an editable build is a script.",
            next_step="Build and run the plugin in WSL.",
        )
    backend = find_python_backend(directory)
    text = launcher_text(backend.interpreter, backend.entry, backend.project, backend.roots)
    try:
        make_directory(backend.artefact.parent)
        copied = copy_assets(backend.manifest, backend.dist)
        replace_file(backend.artefact, text, mode=0o755)
    except OSError as error:
        advice = "Make it writable for this user, or remove what is in the way."
        raise write_failure(f"Could not write {backend.dist}.", backend.dist, error, advice) from error
    elapsed_ms = round((time.monotonic() - started) * 1000)
    return EditableBuild(
        backend.manifest.id, backend.artefact, backend.entry, backend.interpreter, tuple(copied), elapsed_ms
    )


def launcher_text(interpreter: Path, entry: Path, root: Path, roots: list[Path]) -> bytes:
    """Write the program: a script with an absolute interpreter, because the host passes no environment to find one by.

    Args:
        interpreter: The Python that runs it.
        entry: The source file that it runs.
        root: The project.
        roots: What `source_roots` gives.

    Raises:
        DebugtoolError: A path has a character that such a script cannot hold.
    """
    shebang, exec_line = f"#!{interpreter}", ""
    if len(os.fsencode(shebang)) > _SHEBANG_MAX - 1 or re.search(r"\s", str(interpreter)):
        # The kernel would cut it. To the shell this line runs Python; to Python it is a string without effect.
        shebang, exec_line = "#!/bin/sh", f"'''exec' \"{interpreter}\" \"$0\" \"$@\"\n' '''\n"
        if _NO_PLAIN_QUOTES.search(str(interpreter)):
            raise _unusable_path(interpreter, "it has a quote, a backslash, a dollar sign or a line break in it")
    if "\n" in f"{entry}{root}":
        raise _unusable_path(entry, "it has a line break in it")
    head = _HEAD.format(
        shebang=shebang, marker=EDITABLE_MARKER, source=EDITABLE_SOURCE, entry=entry, exec_line=exec_line
    )
    here = Path(__file__).resolve()
    body = here.with_name("launcher.py").read_text(encoding="utf-8")
    agent = str(here.parents[1] / "plugin" / "agent")
    tail = _TAIL.format(agent=agent, entry=str(entry), project=str(root), roots=[str(path) for path in roots])
    try:
        return (head + body + tail).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _unusable_path(entry, "it is not UTF-8") from error


def _unusable_path(path: Path, why: str) -> DebugtoolError:
    return DebugtoolError(
        f"Could not write a launcher for {str(path)!r}.",
        why=f"A script cannot name this path: {why}.",
        next_step="Move the project, or its virtual environment, to a directory with a plainer name.",
    )
