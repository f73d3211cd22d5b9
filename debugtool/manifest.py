"""plugin.json: reading it, finding it, and the names of the programs it stands for."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from debugtool.errors import DebugtoolError, NotFound
from debugtool.system import goos_goarch

FILENAME = "plugin.json"

EDITABLE_MARKER = "# debugtool: editable debug build"
"""Stands in the first lines of a program that `debugtool build --debug --editable` made."""

EDITABLE_SOURCE = "# source: "
"""Begins the line of such a program that names the source file it runs, absolute."""

_LAUNCHER_HEAD = 4096  # bytes that hold both lines

# Where a plugin.json lies below a project's root, in the order in which they are believed: dist/ is a copy of src/.
_LAYOUTS = (".", "src", "dist")

# Source: `go tool dist list` of Go 1.26.
_PLATFORM_SUFFIX = re.compile(
    r"(?<=.)_(aix|android|darwin|dragonfly|freebsd|illumos|ios|js|linux|netbsd|openbsd|plan9|solaris|wasip1|windows)"
    r"_(386|amd64|arm|arm64|loong64|mips|mips64|mips64le|mipsle|ppc64|ppc64le|riscv64|s390x|wasm)$"
)


@dataclass(frozen=True)
class Manifest:
    """What a plugin.json says about the plugin's backend.

    Attributes:
        path: The plugin.json itself, absolute.
        id: Plugin id.
        name: Its human name; the id when it has none.
        type: `datasource`, `app`, `panel`, ...; empty when it is not said.
        executable: Program without its `_<os>_<arch>`, relative to the plugin.json (`../gpx_x` in a nested plugin).
        backend: Whether Grafana starts a backend for it.
        version: `info.version`; empty when it is not said.
    """

    path: Path
    id: str
    name: str
    type: str
    executable: str | None
    backend: bool
    version: str

    @property
    def directory(self) -> Path:
        """The directory of the plugin.json."""
        return self.path.parent

    @property
    def project_root(self) -> Path:
        """The directory a developer has open: above `src/` or `dist/`, also for a plugin nested in them."""
        for directory in (self.directory, self.directory.parent):
            if directory.name in _LAYOUTS:
                return directory.parent
        return self.directory


def read_manifest(path: Path) -> Manifest:
    """Read a plugin.json.

    Raises:
        NotFound: There is no such file.
        DebugtoolError: It cannot be read, is no JSON object, or has no `id`.

    Source:
        Fields: Grafana's plugin.json reference. Grafana reads strict JSON, so comments are errors here too.
    """
    path = path.absolute()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(
            f"There is no {path}.",
            why="A plugin is described by its plugin.json; the file does not exist.",
            next_step="Name the plugin's directory, or create a plugin with: debugtool new my-datasource",
        ) from None
    except OSError as error:
        raise DebugtoolError(
            f"Could not read {path}.", why=f"{error.strerror}.", next_step="Make it readable for this user."
        ) from error
    except ValueError as error:  # not UTF-8, or not JSON
        raise _broken(path, f"It is not valid JSON: {error}.") from error
    if not isinstance(data, dict):
        raise _broken(path, "It is valid JSON, but not an object.")
    plugin_id = data.get("id")
    if not isinstance(plugin_id, str) or not plugin_id:
        raise _broken(path, "It has no `id`, or one that is not text.")
    info = data.get("info")
    return Manifest(
        path=path,
        id=plugin_id,
        name=_text(data, "name") or plugin_id,
        type=_text(data, "type"),
        executable=_text(data, "executable") or None,
        backend=data.get("backend") is True,
        version=_text(info, "version") if isinstance(info, dict) else "",
    )


def _broken(path: Path, why: str) -> DebugtoolError:
    return DebugtoolError(f"{path} is not a usable plugin.json.", why=why, next_step="Correct the file and try again.")


def _text(data: dict[str, object], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""


def find_manifest(start: Path) -> Manifest | None:
    """Find the plugin.json that a directory, or a file in a project, belongs to.

    Looks in the directory, in its `src/` and `dist/`, and then in the same places of each directory above, up to the
    git root. A plugin without a program that contains exactly one with a program (an app with a nested data source)
    gives way to that one.

    Args:
        start: A plugin.json, or a directory.

    Returns:
        The manifest; None when there is none.

    Raises:
        NotFound: `start` does not exist.
        DebugtoolError: The first one found is broken.
    """
    start = start.absolute()
    if start.name == FILENAME and not start.is_dir():
        return read_manifest(start)
    if not start.is_dir():
        raise NotFound(
            f"There is no directory {start}.",
            why="A plugin.json is looked for in a directory and in its src/ and dist/.",
            next_step="Name the plugin's directory or its plugin.json.",
        )
    for directory in _upwards(start):
        for layout in _LAYOUTS:
            path = directory / layout / FILENAME
            if path.is_file():
                return _with_program(read_manifest(path))
    return None


def _upwards(start: Path) -> Iterator[Path]:
    """Give the directory and those above it, up to the git root.

    Ends below a sticky directory such as /tmp: what another user put there must not decide what we run.
    """
    for directory in (start, *start.parents):
        if directory != start and directory.stat().st_mode & stat.S_ISVTX:
            return
        yield directory
        if (directory / ".git").exists():
            return


def _with_program(manifest: Manifest) -> Manifest:
    if manifest.executable:
        return manifest
    nested = [read_manifest(path) for path in sorted(manifest.directory.glob(f"*/{FILENAME}"))]
    with_program = [other for other in nested if other.executable and other.backend]
    return with_program[0] if len(with_program) == 1 else manifest


def artefact_name(executable: str, goos: str | None = None, goarch: str | None = None) -> str:
    """Give the file name of a plugin's program on a platform: `<executable>_<os>_<arch>[.exe]`.

    Args:
        executable: As plugin.json says it; a leading `../` stays, so the result is relative to the plugin.json.
        goos: Go's name of the operating system, this machine's by default.
        goarch: Go's name of the processor, this machine's by default.

    Source:
        Grafana starts exactly this name and falls back to no other.
    """
    here = goos_goarch()
    goos, goarch = goos or here[0], goarch or here[1]
    return f"{executable}_{goos}_{goarch}" + (".exe" if goos == "windows" else "")


def artefact_path(manifest: Manifest, goos: str | None = None, goarch: str | None = None) -> Path | None:
    """Give the program beside a plugin.json, whether it exists or not; None when plugin.json names none."""
    if manifest.executable is None:
        return None
    return Path(os.path.normpath(manifest.directory / artefact_name(manifest.executable, goos, goarch)))


def strip_platform(filename: str) -> str:
    """Take `_<os>_<arch>` and `.exe` from a file name: `my-datasource_linux_amd64.exe` is `my-datasource`."""
    return _PLATFORM_SUFFIX.sub("", filename.removesuffix(".exe"))


def editable_source(program: Path) -> Path | None:
    """Give the source file that an editable build runs; None when the program is none, or cannot be read."""
    try:
        with program.open("rb") as file:
            head = file.read(_LAUNCHER_HEAD).decode("utf-8", "surrogateescape")
    except OSError:
        return None
    lines = head.split("\n")
    if EDITABLE_MARKER not in lines:
        return None
    source = next((line.removeprefix(EDITABLE_SOURCE) for line in lines if line.startswith(EDITABLE_SOURCE)), None)
    return Path(source) if source else None
