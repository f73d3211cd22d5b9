"""The build of a Go plugin: what `go build` makes of it, for release or for debugging, for any platform."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from debugtool.builds.assets import copy_assets
from debugtool.builds.backend import artefact_in_dist, backend_manifest
from debugtool.builds.staging import build_lock, give_to_owner, make_build_directory, staging_beside, swap
from debugtool.errors import DebugtoolError, NotFound, Unsupported
from debugtool.files import write_failure
from debugtool.manifest import Manifest
from debugtool.system import goos_goarch

# Source: grafana-plugin-sdk-go build/common.go, which builds ./pkg; older plugins and ours have ./backend.
_PACKAGES = ("pkg", "backend")
# Compressed, its debug information keeps the plugin standing a third longer at each attach.
DEBUG_FLAGS = ("-gcflags=all=-N -l", "-ldflags=-compressdwarf=false")
_RELEASE = ("-ldflags=-w -s",)
_MAGEFILES = ("Magefile.go", "magefile.go", "magefiles")


@dataclass(frozen=True)
class GoBuildRequest:
    """What `debugtool build` was asked for.

    Attributes:
        directory: The project, or a directory in it.
        debug: Without optimisation and with debug information.
        target: `os/arch` in Go's words; None for this machine.
    """

    directory: Path
    debug: bool = False
    target: str | None = None


@dataclass(frozen=True)
class BuiltGo:
    """What the build made.

    Attributes:
        plugin_id: `id` of its plugin.json.
        artefact: The program in dist/ that the host starts.
        package: The directory of its main package.
        command: What was run in the module's directory, the program's place left out.
        copied: The files of dist/ that were brought up to date.
        elapsed_ms: How long the build took, milliseconds.
    """

    plugin_id: str
    artefact: Path
    package: Path
    command: tuple[str, ...]
    copied: tuple[Path, ...]
    elapsed_ms: int


def is_go_project(directory: Path) -> bool:
    """Tell whether the backend of a project is in Go.

    Raises:
        NotFound: There is no plugin.json.
        DebugtoolError: It names no backend.
    """
    return is_go_plugin(backend_manifest(directory))


def is_go_plugin(manifest: Manifest) -> bool:
    """Tell whether a plugin's backend is in Go: a go.mod beside its plugin.json, in its root, or in its package."""
    return _module_directory(manifest) is not None


def _module_directory(manifest: Manifest) -> Path | None:
    root = manifest.project_root
    places = (manifest.directory, root, *(root / package for package in _PACKAGES))
    return next((place for place in places if (place / "go.mod").is_file()), None)


def build_go(request: GoBuildRequest, say: Callable[[str], None]) -> BuiltGo:
    """Make `dist/<executable>_<os>_<arch>` of a Go plugin.

    It is built beside dist/'s program and put into its place in one step: a plugin that runs is not disturbed.

    Args:
        request: What to build.
        say: Told what happens just now.

    Raises:
        NotFound: There is no plugin.json, no main package, or no Go.
        Unsupported: The project is built by mage, or Go does not know the target.
        DebugtoolError: Go's compiler failed, in its words, or dist/ cannot be written. What was in dist/ is as it was.
    """
    started = time.monotonic()
    manifest = backend_manifest(request.directory)
    root, module = manifest.project_root, _module_directory(manifest)
    assert module is not None
    _refuse_mage(root)
    package = _main_package(root, module)
    goos, goarch = _platform(request.target)
    dist = root / "dist"
    artefact = artefact_in_dist(manifest, dist, goos, goarch)
    command = [find_go(root), "build", *(DEBUG_FLAGS if request.debug else _RELEASE)]
    say(f"Building {package} for {goos}/{goarch}")
    try:
        base = root / "build" / "debugtool"
        make_build_directory(base)
        with build_lock(base), staging_beside(artefact) as staging:
            built = staging / artefact.name
            _run([*command, "-o", str(built), f"./{package.relative_to(module)}"], module, goos, goarch)
            give_to_owner(staging)
            copied = copy_assets(manifest, dist)
            swap(built, None, artefact)
    except OSError as error:
        advice = "Make it writable for this user, or remove what is in the way."
        raise write_failure(f"Could not write {dist}.", dist, error, advice) from error
    elapsed_ms = round((time.monotonic() - started) * 1000)
    return BuiltGo(manifest.id, artefact, package, tuple(command), tuple(copied), elapsed_ms)


def _refuse_mage(root: Path) -> None:
    found = next((name for name in _MAGEFILES if (root / name).exists()), None)
    if found is not None:
        raise Unsupported(
            f"{root} is built by mage, and is left as it is.",
            why=f"It has a {found}, which decides how its backend is built.",
            next_step="Run: mage -v build:debug (to attach a debugger), or mage -v (for release)",
        )


def _main_package(root: Path, module: Path) -> Path:
    for directory in (*(root / name for name in _PACKAGES), module):
        if directory.is_relative_to(module) and any(_is_main(path) for path in directory.glob("*.go")):
            return directory
    raise NotFound(
        f"Could not build {root}.",
        why=f"Go's module is in {module}, but neither pkg/ nor backend/ of the plugin has a package main.",
        next_step="Put the backend's main.go into pkg/",
    )


def _is_main(path: Path) -> bool:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
    return any(line.split("//")[0].split() == ["package", "main"] for line in lines)


def _platform(target: str | None) -> tuple[str, str]:
    goos, slash, goarch = (target or "/".join(goos_goarch())).partition("/")
    if not (goos and slash and goarch) or "/" in goarch:
        raise Unsupported(
            f"Cannot build for {target!r}.", why="A target is OS/ARCH.", next_step="For one: --target linux/arm64"
        )
    return goos, goarch


def find_go(project: Path) -> str:
    """Find Go's own command.

    Raises:
        NotFound: It is not on the PATH.
    """
    go = shutil.which("go")
    if go is None:
        raise NotFound(
            f"Could not build {project}.",
            why="It is written in Go, and there is no `go` on the PATH.",
            next_step="Install Go: https://go.dev/doc/install",
        )
    return go


def _run(command: list[str], module: Path, goos: str, goarch: str) -> None:
    """Run Go's compiler.

    Raises:
        DebugtoolError: It failed.
    """
    # A plugin without C runs on any machine of its platform, whatever its libc. Source: the SDK's build/common.go.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOOS": goos, "GOARCH": goarch}
    done = subprocess.run(
        command, cwd=module, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DebugtoolError(
            f"Go could not build {module}; dist/ is as it was.",
            why=done.stderr.strip() or f"go ended with {done.returncode}",
            next_step="Correct that and build again. What is missing in go.mod or go.sum: go mod tidy",
        )
