"""Which file starts a Python plugin, and where its own modules are imported from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from debugtool.builds.pyproject import python_projects, read_names, read_settings, unusable_setting
from debugtool.errors import Ambiguous, NotFound

_MAIN_FILES = ("main.py", "__main__.py")
_NEXT_STEP = 'Create it, or name the file in pyproject.toml: [tool.debugtool] entry = "path/to/main.py"'


def find_entry(root: Path) -> Path:
    """Find the file that starts the plugin.

    Args:
        root: The plugin's project. `[tool.debugtool] entry = "path"` in its pyproject.toml, or in that of `backend/`,
            names a file or a directory, relative to that pyproject.toml. Else it is `backend/main.py`,
            `backend/__main__.py`, or, in the src layout, the only `backend/src/*/__main__.py` or `src/*/__main__.py`.

    Returns:
        An absolute path; symlinks in it stay.

    Raises:
        NotFound: There is no such file.
        Ambiguous: In the src layout there are several.
        DebugtoolError: A pyproject.toml is broken.
    """
    project, settings = read_settings(root)
    entry = settings.get("entry")
    if entry is not None:
        if not isinstance(entry, str) or not entry:
            raise unusable_setting(project, "entry", f"is {entry!r}, not a path", 'entry = "backend/main.py"')
        path = Path(os.path.normpath(project / entry))
        return _first_file(root, [path] if path.suffix == ".py" else [path / name for name in _MAIN_FILES])
    packages = [main for layout in _src_layouts(root) for main in sorted(layout.glob("*/__main__.py"))]
    candidates = [root.absolute() / "backend" / name for name in _MAIN_FILES]
    if len(packages) > 1 and not any(path.is_file() for path in candidates):
        raise Ambiguous(
            f"The plugin in {root} has several entry points.",
            why=f"There are {' and '.join(map(str, packages))}.",
            next_step='Name one in pyproject.toml: [tool.debugtool] entry = "path/to/__main__.py"',
        )
    return _first_file(root, candidates + packages)


def source_roots(root: Path, entry: Path) -> list[Path]:
    """List the directories that the user's own modules are imported from, first the one that `entry` puts first.

    Args:
        root: The plugin's project. After the entry's own directory come those that `[tool.debugtool] paths = [...]`
            names, relative to its pyproject.toml, and each `backend/src/` and `src/` that has Python modules in it.
        entry: What `find_entry` found. A `__main__.py` in a package runs as `python -m` runs it: the directory above
            the package counts.

    Returns:
        Absolute directories, each once. What the environment's own .pth files add is not among them.

    Raises:
        NotFound: A directory in `paths` does not exist.
        DebugtoolError: A pyproject.toml is broken.
    """
    first = entry.parent
    while entry.name == "__main__.py" and (first / "__init__.py").is_file():
        first = first.parent
    found = [first, *_configured_paths(root)]
    found += [layout for layout in _src_layouts(root) if _has_modules(layout)]
    return list(dict.fromkeys(found))


def _first_file(root: Path, candidates: list[Path]) -> Path:
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise NotFound(
        f"The plugin in {root} has no entry point.",
        why=f"There is no {' and no '.join(map(str, candidates))}.",
        next_step=_NEXT_STEP,
    )


def _configured_paths(root: Path) -> Iterator[Path]:
    project, paths = read_names(root, "paths", example='paths = ["lib"]')
    for path in paths:
        directory = Path(os.path.normpath(project / path))
        if not directory.is_dir():
            raise NotFound(
                f"There is no directory {directory}.",
                why=f"`paths` in [tool.debugtool] of {project / 'pyproject.toml'} names it.",
                next_step="Correct it there; it is relative to the pyproject.toml.",
            )
        yield directory


def _src_layouts(root: Path) -> list[Path]:
    return [project / "src" for project in reversed(python_projects(root))]


def _has_modules(directory: Path) -> bool:
    """Whether Python modules lie in it: a plugin's src/ may be its frontend's alone."""
    return any(True for pattern in ("*.py", "*/__init__.py", "*/__main__.py") for _ in directory.glob(pattern))
