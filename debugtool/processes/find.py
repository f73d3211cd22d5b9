"""From a name to the one process that is meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from debugtool.errors import Ambiguous, NotFound, ProcessGone
from debugtool.manifest import Manifest, find_manifest
from debugtool.model import Runtime, Target
from debugtool.processes.describe import describe
from debugtool.processes.naming import base_name, is_pool_helper
from debugtool.processes.plugins import Candidate, PluginFinder
from debugtool.processes.rows import target_document, target_table
from debugtool.processes.scan import PROC, Seen
from debugtool.processes.table import ProcessTable
from debugtool.system import printable


def list_targets(*, everything: bool = False, proc: Path = PROC) -> list[Target]:
    """List the running plugins.

    Args:
        everything: Every CPython and Go process of the machine instead, debuggers and debugtool itself left out.
        proc: Where procfs is mounted.

    Returns:
        The plugins, oldest first.
    """
    table = ProcessTable(proc)
    finder = PluginFinder(table)
    plugins = finder.plugins()
    if not everything:
        return _described(plugins, table)
    taken = _taken(plugins)
    code = (seen for seen in table.candidates() if table.program(seen).runtime is not Runtime.OTHER)
    return _described(plugins + finder.others(seen for seen in code if seen.pid not in taken), table)


def find_targets(
    name: str | None, *, missing_ok: bool = False, directory: Path | None = None, proc: Path = PROC
) -> list[Target]:
    """List the processes that have a name.

    Args:
        name: Plugin id, `executable` of a plugin.json, process name with or without `_<os>_<arch>`, or a script's or
            module's name. Exact. None: what the plugin.json of `directory` is called.
        missing_ok: Give an empty list when there is none, for who asks again and again until there is one.
        directory: Where to look for a plugin.json when there is no name; the working directory by default.
        proc: Where procfs is mounted.

    Returns:
        The matches, oldest first.

    Raises:
        NotFound: Nothing of that name runs (names like it are in the message), or there is no name and no plugin.json.
        DebugtoolError: No name was given and the plugin.json is broken.
    """
    names = {name} if name is not None else names_of_project(directory or Path.cwd())
    table = ProcessTable(proc)
    finder = PluginFinder(table)
    targets = _described(_named(names, finder, table), table)
    if not targets and not missing_ok:
        raise _not_found(name or " or ".join(sorted(names)), names, finder, table)
    return targets


def find_family(name: str, proc: Path = PROC) -> list[Target]:
    """List the processes that have a name, and those below them that run the same interpreter: workers of a pool.

    Args:
        name: As for `find_targets`.
        proc: Where procfs is mounted.

    Returns:
        All of them, oldest first; none when nothing of that name runs.
    """
    table = ProcessTable(proc)
    finder = PluginFinder(table)
    named = _named({name}, finder, table)
    below = {child.pid: child for one in named for child in _workers(one.seen, one.seen, table)}
    for pid in _taken(named):
        below.pop(pid, None)
    return _described(named + [finder.exactly(child) for child in below.values()], table)


def _workers(program: Seen, parent: Seen, table: ProcessTable) -> Iterator[Seen]:
    for child in table.children(parent):
        is_python = table.program(child).runtime in (Runtime.CPYTHON, Runtime.FROZEN)
        # what multiprocessing's fork server forks has its command line
        is_helper = is_pool_helper(child.argv) and child.argv != parent.argv
        if is_python and table.is_same_file(program, child) and not is_helper:
            yield child
        yield from _workers(program, child, table)


def find_target(
    name: str | None, *, pid: int | None = None, directory: Path | None = None, proc: Path = PROC
) -> Target:
    """Find the one process that is meant.

    Args:
        name: As for `find_targets`.
        pid: The process itself, or its launcher; `name` is not looked at then.
        directory: As for `find_targets`.
        proc: Where procfs is mounted.

    Raises:
        NotFound: Nothing of that name runs (names like it are in the message), or there is no name and no plugin.json.
        Ambiguous: Several processes have that name; the message holds their table.
        ProcessGone: There is no process `pid`, or it is a zombie.
        DebugtoolError: No name was given and the plugin.json is broken.
    """
    if pid is not None:
        return _by_pid(pid, proc)
    targets = find_targets(name, directory=directory, proc=proc)
    if len(targets) > 1:
        raise _ambiguous(name or targets[0].name, targets)
    return targets[0]


def names_of_project(directory: Path) -> set[str]:
    """Give the names that the plugin of a project directory runs under: its id and its `executable`.

    Raises:
        NotFound: There is no plugin.json in the directory, its `src/` or `dist/`, or above.
        DebugtoolError: It is broken.
    """
    manifest: Manifest | None = find_manifest(directory)
    if manifest is None:
        raise NotFound(
            "No plugin was named.",
            why=f"Without a NAME the plugin.json of the working directory names it; there is none in {directory}, "
            "its src/ or dist/, or above it.",
            next_step="Name the plugin, as `debugtool ps` lists it, or go to its directory.",
        )
    return {manifest.id} | ({base_name(manifest.executable)} if manifest.executable else set())


def _named(names: set[str], finder: PluginFinder, table: ProcessTable) -> list[Candidate]:
    plugins = [candidate for candidate in finder.plugins() if names & candidate.names]
    taken = _taken(plugins) | finder.helpers
    others = [seen for seen in table.candidates() if seen.pid not in taken and names & finder.names(seen)]
    found = plugins + finder.others(others)
    # A script's editor, its log's `tail` and the like do not have its name, but a shell loop around it may.
    code = [candidate for candidate in found if table.program(candidate.seen).runtime is not Runtime.OTHER]
    return code or found


def _taken(plugins: list[Candidate]) -> set[int]:
    return {pid for candidate in plugins for pid in (candidate.seen.pid, candidate.launcher.pid)}


def _described(candidates: Iterable[Candidate], table: ProcessTable) -> list[Target]:
    candidates = list(candidates)
    if not candidates:
        return []
    from debugtool.system import find_sessions  # needs the agent's package, which takes longer than the scan

    sessions = find_sessions()
    found = [target for candidate in candidates if (target := describe(candidate, table, sessions))]
    return sorted(found, key=lambda target: (target.started_at, target.pid))


def _by_pid(pid: int, proc: Path) -> Target:
    table = ProcessTable(proc)
    seen = table.get(pid)
    target = None
    if seen and seen.state not in "ZX":
        finder = PluginFinder(table)
        target = next(iter(_described([finder.plugin(pid) or finder.exactly(seen)], table)), None)
    if target is None:
        why = "It has ended; its parent has not collected it yet." if seen else "There is no process of that number."
        raise ProcessGone(f"Process {pid} is gone.", why=why, next_step="List the running plugins: debugtool ps")
    return target


def _not_found(name: str, names: set[str], finder: PluginFinder, table: ProcessTable) -> NotFound:
    import difflib

    plugins = finder.plugins()
    known = {one for candidate in plugins for one in candidate.names}
    known |= {one for seen in table.candidates() for one in finder.names(seen)}
    close = [near for one in sorted(names) for near in difflib.get_close_matches(one, sorted(known), n=3)]
    running = printable(", ".join(sorted({_label(candidate) for candidate in plugins}))) or "none"
    advice = f"Did you mean {printable(' or '.join(close))}?" if close else "Start it through its host."
    return NotFound(
        f"No process is called {printable(name)}.",
        why=f"Names are compared as a whole. Running plugins: {running}.",
        next_step=f"{advice} All Python and Go processes: debugtool ps --all",
        details={"close": close},
    )


def _label(candidate: Candidate) -> str:
    return candidate.manifest.id if candidate.manifest else min(candidate.names, key=len)


def _ambiguous(name: str, targets: list[Target]) -> Ambiguous:
    return Ambiguous(
        f"{len(targets)} processes are called {name}.",
        why="\n".join(["Each of these has that name:", *target_table(targets)]),
        next_step=f"Choose one by its number, for example: --pid {targets[-1].pid}. `attach --all` takes all of them",
        details={"targets": [target_document(target) for target in targets]},
    )
