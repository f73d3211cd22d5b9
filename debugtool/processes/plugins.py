"""Which processes are plugins: what go-plugin, a name or a plugin.json says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from debugtool.errors import DebugtoolError
from debugtool.manifest import Manifest, find_manifest
from debugtool.model import Runtime
from debugtool.processes.naming import base_name, has_platform_suffix, names_of
from debugtool.processes.runtime import read_link
from debugtool.processes.scan import Seen
from debugtool.processes.sockets import is_go_plugin_socket, unix_listeners
from debugtool.processes.table import ProcessTable
from debugtool.system import socket_inodes

# go-plugin gives each plugin the versions it speaks, whatever its cookie is called; Grafana's cookie is the second.
# Source: wire specification 1.1 and 2.1.
_GO_PLUGIN_VARIABLES = (b"PLUGIN_PROTOCOL_VERSIONS=", b"grafana_plugin_type=")
# A plugin on Grafana's Go SDK that its author started alone, from an editor: no host, no cookie, gRPC on a TCP port.
# Source: wire specification 2.9; Go's flag package takes all of these.
_STANDALONE = {"-standalone", "--standalone", "-standalone=true", "--standalone=true"}


@dataclass(frozen=True)
class Candidate:
    """A process that may be meant, with the launcher it was started through.

    Attributes:
        seen: The process that runs the code.
        launcher: The process the host started: the same one, or a shell script or bootloader above it.
        manifest: The plugin.json it belongs to, if there is one.
        names: All names that it and its launcher answer to, with its plugin id and `executable`.
        is_plugin: Something says that it is a plugin.
    """

    seen: Seen
    launcher: Seen
    manifest: Manifest | None
    names: frozenset[str]
    is_plugin: bool


class PluginFinder:
    """Finds the plugins among the processes of a table; reads each plugin.json once.

    Attributes:
        helpers: Pids of processes that plugins started and that only look like plugins: forks, and a frozen program
            that is its own worker. Known once `plugins` was called.
    """

    def __init__(self, table: ProcessTable) -> None:
        self._table = table
        self._manifests: dict[Path, Manifest | None] = {}
        self._plugins: list[Candidate] | None = None
        self.helpers: set[int] = set()

    def plugins(self) -> list[Candidate]:
        """Give the plugins: told by the host's environment, the program's name, its plugin.json, or its socket."""
        if self._plugins is None:
            self._plugins = self._find_plugins()
        return self._plugins

    def plugin(self, pid: int) -> Candidate | None:
        """Give the plugin that a process is, or that it launched; None when it is none.

        Its own signs and those of the processes above and below it tell in most cases; the whole machine is looked at
        where they do not.
        """
        family = self._table.family(pid)
        told = {seen.pid: seen for seen in self._table.candidates() if seen.pid in family and self._is_told(seen)}
        found = self._without_helpers(told)[0] if pid in told else self.plugins()
        return next((one for one in found if pid in (one.seen.pid, one.launcher.pid)), None)

    def _find_plugins(self) -> list[Candidate]:
        told = {seen.pid: seen for seen in self._table.candidates() if self._is_told(seen)}
        for seen in self._listening(told):
            told[seen.pid] = seen
        plugins, self.helpers = self._without_helpers(told)
        return plugins

    def _without_helpers(self, told: dict[int, Seen]) -> tuple[list[Candidate], set[int]]:
        helpers = {pid for pid, seen in told.items() if self._inherited(seen, told)}
        return self._merged((seen for pid, seen in told.items() if pid not in helpers), is_plugin=True), helpers

    def others(self, wanted: Iterable[Seen]) -> list[Candidate]:
        """Give processes as candidates that nothing says to be plugins."""
        return self._merged(wanted, is_plugin=False)

    def exactly(self, seen: Seen) -> Candidate:
        """Give this very process as a candidate, whatever it is; of a bootloader the program that it started."""
        worker = self._table.worker(seen, is_plugin=False) if self._table.program(seen).bootloader else seen
        return self._candidate(worker, seen, is_plugin=False)

    def names(self, seen: Seen) -> frozenset[str]:
        """Give the names in a process's own command line."""
        return names_of(self._table.command(seen), seen.comm)

    def _is_told(self, seen: Seen) -> bool:
        return self._is_named(seen) or self._has_variables(seen) or self._is_standalone(seen)

    def _is_standalone(self, seen: Seen) -> bool:
        return not _STANDALONE.isdisjoint(seen.argv[1:]) and self._table.program(seen).runtime is Runtime.GO

    def _is_named(self, seen: Seen) -> bool:
        command = self._table.command(seen)
        return has_platform_suffix(command.script or command.program) or self._named_by_manifest(seen)

    def _has_variables(self, seen: Seen) -> bool:
        return has_go_plugin_variables(self._table.environ_bytes(seen))

    def _named_by_manifest(self, seen: Seen) -> bool:
        manifest = self.manifest(seen)
        return bool(manifest and manifest.executable and base_name(manifest.executable) in self.names(seen))

    def manifest(self, seen: Seen) -> Manifest | None:
        """Find the plugin.json of a process's script or program, None without one or when it is broken.

        A standalone plugin's program lies anywhere, often in /tmp; the SDK itself looks from its working directory.
        """
        if self._is_standalone(seen):
            cwd = self._table.cwd(seen)
            return self._manifest_near(cwd) if cwd else None
        command = self._table.command(seen)
        text = command.script or ("" if command.module else command.program)
        if not text and command.module:
            directory = self._table.cwd(seen)
        elif "/" in text or command.script:
            path = self._table.path(seen, text)
            directory = path.parent if path else None
        else:
            return None  # found through PATH: no plugin lies there
        return self._manifest_near(directory) if directory else None

    def _manifest_near(self, directory: Path) -> Manifest | None:
        if directory not in self._manifests:
            try:
                self._manifests[directory] = find_manifest(directory)
            except (DebugtoolError, OSError):  # somebody's broken or unreadable plugin.json must not hide the others
                self._manifests[directory] = None
        return self._manifests[directory]

    def _listening(self, told: dict[int, Seen]) -> list[Seen]:
        """Find what listens on a go-plugin socket, in any network namespace, and was not told by cheaper signs."""
        hosts = {seen.ppid for seen in told.values()}  # a host may listen on such a socket for its plugin's callbacks
        spaces: dict[str, list[Seen]] = {}
        for seen in self._table.candidates():
            if seen.pid in hosts:
                continue
            space = read_link(f"{self._table.proc}/{seen.pid}/ns/net") or "unreadable"
            spaces.setdefault(space, []).append(seen)
        found = []
        for space, members in spaces.items():
            if space == "unreadable":
                continue
            sockets = {
                inode
                for inode, path in unix_listeners(members[0].pid, self._table.proc).items()
                if is_go_plugin_socket(path)
            }
            for seen in told.values():
                sockets -= socket_inodes(seen.pid, proc=self._table.proc) if sockets else set()
            rest = (seen for seen in members if sockets and seen.pid not in told)
            found += [seen for seen in rest if self._holds(seen, sockets)]
        return found

    def _holds(self, seen: Seen, sockets: set[int]) -> bool:
        if self._table.program(seen).runtime is Runtime.OTHER:
            return False
        return not sockets.isdisjoint(socket_inodes(seen.pid, proc=self._table.proc))

    def _inherited(self, seen: Seen, told: dict[int, Seen]) -> bool:
        """Tell whether a process has its signs from its parent only: a helper with its environment, or a fork of it."""
        parent = told.get(seen.ppid)
        if parent is None:
            return False
        if seen.argv == parent.argv or self._table.is_same_frozen(seen, parent):
            return True
        return not self._is_named(seen) and self._has_variables(seen) and self._has_variables(parent)

    def _merged(self, found: Iterable[Seen], *, is_plugin: bool) -> list[Candidate]:
        """Make one candidate of each worker and its launchers."""
        candidates: dict[int, Candidate] = {}
        for seen in sorted(found, key=lambda seen: (seen.started_ticks, seen.pid)):
            worker = self._table.worker(seen, is_plugin=is_plugin)
            if worker.pid not in candidates:
                candidates[worker.pid] = self._candidate(worker, seen, is_plugin=is_plugin)
        return list(candidates.values())

    def _candidate(self, worker: Seen, launcher: Seen, *, is_plugin: bool) -> Candidate:
        manifest = self.manifest(launcher) or self.manifest(worker)
        names = self.names(worker) | self.names(launcher)
        named = bool(manifest and manifest.executable and base_name(manifest.executable) in names)
        named |= self._is_standalone(worker)
        command = self._table.command(launcher)
        if not named and (not is_plugin or has_platform_suffix(command.script or command.program)):
            manifest = None  # it only lies in a plugin's project, or is named as another plugin is
        if manifest:
            names |= {manifest.id} | ({base_name(manifest.executable)} if manifest.executable else set())
        return Candidate(worker, launcher, manifest, names, is_plugin)


def has_go_plugin_variables(environ: bytes) -> bool:
    """Tell from the bytes of /proc/PID/environ whether a go-plugin host started the process."""
    return any(environ.startswith(name) or b"\0" + name in environ for name in _GO_PLUGIN_VARIABLES)
