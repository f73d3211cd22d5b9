"""What the host reads beside the program: plugin.json, logos and the like, copied from src/ to dist/."""

from __future__ import annotations

from pathlib import Path

from debugtool.files import make_directory, replace_file
from debugtool.manifest import Manifest

# Source: grafana/plugin-tools, templates/common/.config/bundler/copyFiles.ts. Logos and screenshots by their kind.
_FROM_SRC = ("**/*.json", "**/query_help.md", "README.md", "**/*.svg", "**/*.png", "img/**/*")
_FROM_ROOT = ("README.md", "CHANGELOG.md", "LICENSE")
_BUNDLE = "module.js"


def copy_assets(manifest: Manifest, dist: Path) -> list[Path]:
    """Bring `dist/` up to date with what the frontend's bundler would copy there.

    A file that is the same already is not written. Where a bundler has been (there is a `module.js`), what it put there
    stays: it has filled in version and date.

    Args:
        manifest: A plugin.json in the project, below `src/` or beside it.
        dist: The project's `dist/`.

    Returns:
        The files that were written.

    Raises:
        OSError: One could not be read or written.
    """
    root = dist.parent
    bundled = (dist / _BUNDLE).exists()
    written = []
    for relative, source in _assets(manifest, root).items():
        target = dist / relative
        if target.exists() and (bundled or target.read_bytes() == source.read_bytes()):
            continue
        make_directory(target.parent)
        replace_file(target, source.read_bytes())
        written.append(target)
    return written


def _assets(manifest: Manifest, root: Path) -> dict[Path, Path]:
    """Give the path below dist/ of each file to copy, and the file."""
    assets = {Path(name): root / name for name in _FROM_ROOT if (root / name).is_file()}
    source = root / "src"
    if manifest.directory.is_relative_to(source):
        found = {path for pattern in _FROM_SRC for path in source.glob(pattern) if path.is_file()}
        assets |= {path.relative_to(source): path for path in sorted(found)}
    elif manifest.directory == root:
        # No src/: the rest of the project lies around it, so only what plugin.json itself needs.
        found = {path for path in (root / "img").rglob("*") if path.is_file()}
        assets |= {path.relative_to(root): path for path in (manifest.path, *sorted(found))}
    return assets
