"""Who would start a plugin again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from debugtool import system
from debugtool.errors import TimedOut
from debugtool.model import Target

# Programs that start others and do not start them again. A shell's script has the script's name, and may do so.
_SHELLS = frozenset({"ash", "bash", "csh", "dash", "fish", "ksh", "sh", "tcsh", "zsh"})
_INITS = frozenset({"catatonit", "docker-init", "dumb-init", "init", "s6-svscan", "systemd", "tini"})
_TERMINALS = frozenset({"screen", "SCREEN", "sshd", "su", "sudo", "tmux", "tmux: server"})
_NO_HOSTS = _SHELLS | _INITS | _TERMINALS


class NotRestarted(TimedOut):
    """Nobody starts the plugin again, or nobody has in time."""


@dataclass(frozen=True)
class HostRef:
    """The process that is to start the plugin again: its start time in ticks since boot tells it from a later one."""

    pid: int
    name: str
    started_ticks: int

    @property
    def is_running(self) -> bool:
        """Whether it still runs."""
        return system.is_same_process(self.pid, self.started_ticks)

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


def restarting_host(target: Target) -> HostRef:
    """Give the process that started a plugin, if that is one which may start it again.

    Pid 1 counts when it is no init: in Grafana's container, Grafana is pid 1.

    Raises:
        NotRestarted: It is evident that nobody does: the parent is an init, a shell or a terminal.
    """
    host = _parent(target)
    if host is None or host.name.lstrip("-") in _NO_HOSTS:
        parent = str(host) if host else "no process that can be seen from here"
        raise NotRestarted(
            f"{target} was left running: nobody would start it again.",
            why=f"Its parent is {parent}, which starts no plugin a second time.",
            next_step=f"Start it through its host, such as debugtool run; or end it for good: kill {target.pid}",
        )
    return host


def _parent(target: Target) -> HostRef | None:
    pid = target.host.pid if target.host else 1
    if target.host is None and _parent_pid(target.launcher_pid or target.pid) != 1:
        return None
    ticks = system.start_ticks(pid)
    if ticks is None:
        return None
    return HostRef(pid, target.host.name if target.host else _process_name(pid), ticks)


def _parent_pid(pid: int) -> int:
    # Source: field 4 of /proc/PID/stat, proc(5); 0 is a parent in another pid namespace.
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _process_name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
