"""What one pass over a /proc tree finds, and what it leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from debugtool.errors import Unsupported
from debugtool.processes import find_targets, list_targets
from debugtool.processes.plugins import PluginFinder, has_go_plugin_variables
from debugtool.processes.scan import see_all
from debugtool.processes.table import ProcessTable, parse_environ


def write(proc: Path, pid: int, argv: str, *, state: str = "S", ppid: int = 1) -> None:
    directory = proc / str(pid)
    directory.mkdir()
    comm = argv.split(" ")[0].rpartition("/")[2][:15]
    (directory / "stat").write_text(f"{pid} ({comm}) {state} {ppid} " + "0 " * 17 + "12345 0 0\n")
    (directory / "cmdline").write_text(argv.replace(" ", "\0") + "\0" if argv else "")
    (directory / "status").write_text("Uid:\t4242\t4242\t4242\t4242\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Processes of another user: nothing but what everybody may read."""
    (tmp_path / "stat").write_text("cpu 0\nbtime 1000\n")
    (tmp_path / "self").mkdir()
    write(tmp_path, 1, "/sbin/init")
    write(tmp_path, 2, "", ppid=0)
    write(tmp_path, 400, "/usr/sbin/grafana server")
    write(tmp_path, 500, "/opt/venv/bin/python /d/my-datasource_linux_amd64", ppid=400)
    write(tmp_path, 501, "/opt/venv/bin/python /d/my-datasource_linux_amd64", ppid=400, state="Z")
    write(tmp_path, 600, "/opt/venv/bin/python other.py")
    (tmp_path / "700").mkdir()  # ended between the listing and the look
    return tmp_path


def test_what_ended_meanwhile_is_left_out(proc: Path) -> None:
    assert sorted(seen.pid for seen in see_all(proc)) == [1, 2, 400, 500, 501, 600]


def test_kernel_threads_and_zombies_are_no_candidates(proc: Path) -> None:
    assert sorted(seen.pid for seen in ProcessTable(proc).candidates()) == [1, 400, 500, 600]


def test_another_users_plugin_is_told_by_its_command_line_alone(proc: Path) -> None:
    (target,) = list_targets(proc=proc)
    assert (target.pid, target.name, target.uid, target.user) == (500, "my-datasource", 4242, "4242")
    assert (target.runtime, target.runtime_version, target.build) == ("cpython", None, "source")
    assert target.host is not None
    assert (target.host.pid, target.host.name) == (400, "grafana")
    assert (target.executable, target.cwd, target.grpc_address, target.debugger) == (None, None, None, None)
    assert [found.pid for found in find_targets("my-datasource_linux_amd64", proc=proc)] == [500]


def test_all_adds_what_is_python_by_its_command_line(proc: Path) -> None:
    assert [target.pid for target in list_targets(everything=True, proc=proc)] == [500, 600]


def test_a_process_alone_is_told_to_be_what_it_is_among_all(proc: Path) -> None:
    """Its own signs and its family's give the same as the look at all: a plugin, its launcher, a fork of it, others."""
    write(proc, 510, "/bin/sh /d/other_linux_amd64", ppid=400)
    write(proc, 511, "/opt/venv/bin/python /d/run.py", ppid=510)
    write(proc, 502, "/opt/venv/bin/python /d/my-datasource_linux_amd64", ppid=500)
    write(proc, 503, "/opt/venv/bin/python -c spawned", ppid=500)
    table = ProcessTable(proc)
    plugins = PluginFinder(table).plugins()
    assert [(plugin.launcher.pid, plugin.seen.pid) for plugin in plugins] == [(500, 500), (510, 511)]
    for pid in (400, 500, 502, 503, 510, 511, 600):
        among_all = next((one for one in plugins if pid in (one.seen.pid, one.launcher.pid)), None)
        assert PluginFinder(table).plugin(pid) == among_all, pid


def test_a_process_that_ends_before_the_dear_facts_are_read_is_left_out(proc: Path) -> None:
    (proc / "500/status").unlink()
    assert list_targets(proc=proc) == []


def test_a_machine_without_procfs(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="Linux only") as unsupported:
        list_targets(proc=tmp_path / "nowhere")
    assert unsupported.value.exit_code == 7


def test_environment_bytes() -> None:
    assert parse_environ(b"A=1\0B=x=y\0broken\0") == {"A": "1", "B": "x=y"}
    assert has_go_plugin_variables(b"A=1\0PLUGIN_PROTOCOL_VERSIONS=2\0")
    assert has_go_plugin_variables(b"grafana_plugin_type=datasource\0")
    assert not has_go_plugin_variables(b"NOT_PLUGIN_PROTOCOL_VERSIONS=2\0X=grafana_plugin_type=\0")
