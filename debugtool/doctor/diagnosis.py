"""All checks, in the order in which an attach and a build meet what they look at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from debugtool import builds, processes
from debugtool.doctor import artefact, go_target, machine, places, project, target, tools
from debugtool.doctor.finding import Finding, Status, at_most, of_error
from debugtool.errors import DebugtoolError, NotFound
from debugtool.manifest import Manifest, find_manifest
from debugtool.model import Runtime, Target


@dataclass(frozen=True)
class DoctorRequest:
    """What `debugtool doctor` was asked for.

    Attributes:
        name: The plugin, as `debugtool attach` takes it; None looks for a plugin.json in `directory`.
        pid: The process itself.
        port: The port that an attach would listen on.
        directory: Where the user is.
    """

    name: str | None
    pid: int | None
    port: int
    directory: Path


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        findings: One for each check that had something to look at.
        target: The running plugin, None when none was named or it does not run.
        manifest: The project's plugin.json, None when there is none.
    """

    findings: tuple[Finding, ...]
    target: Target | None
    manifest: Manifest | None

    @property
    def problems(self) -> int:
        """How many things stand in the way of an attach or a build."""
        return sum(finding.status is Status.PROBLEM for finding in self.findings)

    @property
    def document(self) -> dict[str, object]:
        """Give it as `doctor --json` prints it."""
        return {
            "ok": self.problems == 0,
            "checks": [finding.document for finding in self.findings],
            "target": processes.target_document(self.target) if self.target else None,
            "plugin_json": str(self.manifest.path) if self.manifest else None,
        }


def diagnose(request: DoctorRequest) -> Diagnosis:
    """Look at the machine, at the project in the working directory, and at the plugin that is named.

    Nothing is changed in the plugin, and nothing is connected to.

    Raises:
        NotFound: Nothing of that name runs, and it is not the project's either.
        ProcessGone: There is no process of that pid.
        Ambiguous: Several processes have that name.
    """
    broken, manifest = _find_project(request.directory)
    running = _find_target(request, manifest)
    if running is not None and manifest is not None and (request.name or request.pid):
        manifest = manifest if running.plugin_id == manifest.id else None  # we only happen to stand in another project
    findings = [
        *_machine(request, running, manifest),
        *([broken] if broken else ()),
        *(_project(manifest) if manifest else ()),
        *(_target(running) if running else _not_running(manifest)),
    ]
    return Diagnosis(tuple(findings), running, manifest)


def _find_project(directory: Path) -> tuple[Finding | None, Manifest | None]:
    try:
        found = find_manifest(directory)
        # From within dist/ its copy is found first; the project's own is what counts.
        return None, find_manifest(found.project_root) if found else None
    except DebugtoolError as error:
        return of_error("plugin-json", error), None


def _find_target(request: DoctorRequest, manifest: Manifest | None) -> Target | None:
    if request.name is None and request.pid is None and manifest is None:
        return None
    try:
        return processes.find_target(request.name, pid=request.pid, directory=request.directory)
    except NotFound:
        own = processes.names_of_project(request.directory) if manifest else set()
        if request.pid is None and (request.name is None or request.name in own):
            return None
        raise


def _machine(request: DoctorRequest, running: Target | None, manifest: Manifest | None) -> Iterator[Finding]:
    permission = machine.read_permission(os.getpid())
    program = artefact.find_program(manifest) if manifest else None
    # What is true of every process does not stop an attach to one that lets us in by itself.
    by_itself = not target.needs_ptrace(running) if running else bool(program and artefact.is_debug_build(program))
    tracing = Status.INFO if by_itself else Status.PROBLEM
    is_go_project = manifest is not None and builds.is_go_plugin(manifest)
    is_go = is_go_project or (running is not None and running.runtime is Runtime.GO)
    found = [
        machine.check_platform(),
        at_most(tracing, machine.check_ptrace(permission)) if running is None else None,  # else `permission` has it
        machine.check_users(permission),
        at_most(tracing, machine.check_seccomp(permission)),
        machine.check_namespaces(permission),
        tools.check_python(),
        tools.check_debugpy(),
        at_most(tracing, tools.check_py_spy()),
        tools.check_gdb(),
        tools.check_compiler(),
        tools.check_go(is_go_project),
        tools.check_delve(is_go),
        at_most(Status.WARNING if manifest is None or is_go_project else Status.PROBLEM, tools.check_build_programs()),
        places.check_port(request.port, running),
        # root meets a plugin in the plugin's own user's directory
        places.check_runtime_directory(running.uid if running and os.geteuid() == 0 else os.geteuid()),
        places.check_sessions(),
    ]
    plugin_dir = running.plugin_dir if running else None
    if running or manifest:
        found.append(places.check_launch_json(plugin_dir or (manifest.directory if manifest else None)))
    yield from filter(None, found)


def _project(manifest: Manifest) -> Iterator[Finding]:
    root = manifest.project_root
    yield project.check_plugin_json(manifest)
    yield project.check_dist(root)
    roots = [root / "pkg"]  # of a Go plugin, as Grafana's templates lay it out
    if not builds.is_go_plugin(manifest):
        finding, entry = project.check_entry_point(root)
        yield finding
        roots = builds.source_roots(root, entry) if entry else []
        if entry:
            yield from _interpreter(root, entry)
    program = artefact.find_program(manifest)
    if program:
        yield from filter(None, (artefact.check_artefact(program), artefact.check_freshness(program, roots)))


def _interpreter(root: Path, entry: Path) -> Iterator[Finding]:
    finding, interpreter = project.check_interpreter(root, entry)
    yield finding
    if interpreter:
        yield project.check_pyinstaller(interpreter)


def _not_running(manifest: Manifest | None) -> Iterator[Finding]:
    if manifest:
        advice = f"start it through its host, or wait for it: debugtool attach --wait {manifest.id}"
        yield Finding("running", Status.INFO, f"The plugin {manifest.id} does not run.", "", advice)


def _target(running: Target) -> Iterator[Finding]:
    if running.runtime is Runtime.GO:
        yield target.check_state(running)
        for check in (go_target.check_runtime, go_target.check_ways_in, go_target.check_permission):
            yield check(running)
        yield go_target.check_build(running)
        return
    found = [
        target.check_state(running),
        target.check_runtime(running),
        target.check_ways_in(running),
        target.check_permission(running),
        target.check_surroundings(running),
        target.check_agent(running),
        target.check_build(running),
        target.check_standard_library(running),
        target.check_optimised(running),
        target.check_frozen_modules(running),
        target.check_children(running),
    ]
    yield from filter(None, found)
