"""`debugtool dev`: a save restarts the plugin under the debugger, and nothing that is saved takes it down for good."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import threading
from pathlib import Path

from attach_driver import DEADLINE_S, DEBUGTOOL, run_debugtool
from dap_client import DapClient
from debug_driver import is_listening
from dev_driver import QUERY, UID, DevSession, developing, family, kill, new_project, save, wait_for_ends
from devhost_host import call, call_json, is_running, running_host


def health(dev: DevSession) -> tuple[int, object]:
    status, answer = call_json(f"{dev.url}/api/datasources/uid/{UID}/health")
    return status, answer["message"]


def amplitude(editor: DapClient) -> str:
    stopped = editor.wait_for_stop()
    return editor.variables(editor.stack(stopped["threadId"])[0])["amplitude"]


def test_edit_save_debug(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    plugin, query = (project / "backend" / "datasource" / name for name in ("plugin.py", "query.py"))
    environment = project / "other" / "bin"  # told by its pyvenv.cfg, whatever it is called
    environment.mkdir(parents=True)
    (project / "other" / "pyvenv.cfg").touch()
    with developing(project) as dev:
        port = dev.wait_for("ready")["port"]
        assert health(dev) == (200, "Data source is working")

        # A save is what an editor makes of it: written beside, renamed, several files at once.
        (environment / "never.py").touch()
        (project / "src" / "module.ts").write_text("export {};\n")
        save(query, "amplitude = float", "amplitude = 3 * float")
        save(plugin, "is working", "works well")
        assert dev.wait_for("saved")["files"] == ["backend/datasource/plugin.py", "backend/datasource/query.py"]
        old = dev.wait_for("ended")
        assert old["by"] == "Shutdown"
        armed = dev.wait_for("rearmed")
        assert armed["pid"] != old["pid"] and armed["before_first_request"] and armed["save_ms"] > 0
        dev.wait_for("restarted")
        assert health(dev) == (200, "Data source works well")

        # The debugger knows what was saved, and the editor's session goes on in the next process.
        line = next(n for n, text in enumerate(query.read_text().splitlines(), 1) if "values = " in text)
        asking = threading.Thread(target=call, args=(f"{dev.url}/api/ds/query", QUERY))
        with DapClient(port) as editor:
            editor.attach({str(query): [line]})
            assert dev.wait_for("client")["connected"]
            asking.start()
            assert amplitude(editor) == "3.0"
            # Saved while it stands at the breakpoint: the new code runs all the same.
            save(query, "amplitude = 3", "amplitude = 5")
            dev.wait_for("restarted")
            asking.join(30)
            asking = threading.Thread(target=call, args=(f"{dev.url}/api/ds/query", QUERY))
            asking.start()
            assert amplitude(editor) == "5.0"
            editor.disconnect()
        asking.join(30)

        # What does not compile does not take the plugin down.
        save(plugin, 'message="Data', 'message=="Data"" "')
        error = dev.wait_any("error")
        assert "plugin.py cannot be compiled" in error["what"] and "SyntaxError" in error["why"]
        assert error["kept_pid"] == dev.last("rearmed")["pid"]
        assert health(dev) == (200, "Data source works well")
        save(query, "amplitude = 5", "amplitude = 4")  # another file's save does not hide it
        assert dev.wait_any("error", "reloading")["event"] == "error"
        save(plugin, 'message=="Data"" "', 'message="Data')
        assert dev.wait_for("rearmed")["pid"] != error["kept_pid"]

        # What fails at the plugin's start is shown, and the next save starts it.
        save(query, "import math", "import math_")
        error = dev.wait_any("error")
        assert "No module named 'math_'" in error["why"] and "query.py" in error["why"]
        save(query, "import math_", "import math")
        dev.wait_for("rearmed")
        assert health(dev)[0] == 200

        # plugin.json is copied, and the host reads it anew.
        save(project / "src" / "plugin.json", '"type"', '"preload": true, "type"')
        assert str(project / "dist" / "plugin.json") in dev.wait_for("built")["copied"]
        last = dev.wait_for("rearmed")["pid"]
        assert health(dev)[0] == 200

        # New directories are watched too.
        (project / "backend" / "extra").mkdir()
        (project / "backend" / "extra" / "__init__.py").touch()
        assert dev.wait_for("rearmed")["pid"] != last

        below = family(dev.process.pid)
        assert dev.stop(signal.SIGINT) == 130
        assert dev.error_text() == ""
    wait_for_ends(below)
    assert not is_listening(port)


def test_a_plugin_that_is_broken_from_the_beginning_starts_when_it_is_mended(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    plugin = project / "backend" / "datasource" / "plugin.py"
    save(plugin, "class Datasource", "1 / 0\n\n\nclass Datasource")
    with developing(project) as dev:
        assert "ZeroDivisionError" in dev.wait_any("error")["why"]
        save(plugin, "1 / 0\n\n\n", "")
        dev.wait_for("ready")
        assert health(dev)[0] == 200


def test_a_port_in_use_ends_it(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for options in (("--http-port", port), ("--port", port)):
            with developing(project, *options) as dev:
                assert dev.process.wait(30) == 8
                assert f"Could not listen on 127.0.0.1:{port}" in dev.error_text()


def test_kill_9_leaves_nothing_running(tmp_path: Path) -> None:
    with developing(new_project(tmp_path)) as dev:
        port = dev.wait_for("ready")["port"]
        below = family(dev.process.pid)
        assert {dev.last("started")["pid"]} < below
        kill(dev)
        wait_for_ends(below)
    assert not is_listening(port)


def test_a_host_that_is_there_already_stays(tmp_path: Path) -> None:
    """Grafana, or a `debugtool run`: it restarts the plugin, and goes on without us."""
    project = new_project(tmp_path)
    assert run_debugtool("build", "--debug", "--editable", project).returncode == 0
    with running_host(project) as host:
        host.wait_event("listening")
        with developing(project) as dev:
            assert dev.wait_for("hosted")["host_pid"] == host.process.pid
            dev.wait_for("ready")
            save(project / "backend" / "datasource" / "plugin.py", "is working", "works")
            armed = dev.wait_for("rearmed")
            assert armed["pid"] == host.wait_event("restarted")["pid"]
            assert dev.stop() == 0
        assert is_running(armed["pid"])
        status, answer = call_json(f"{host.url}/api/datasources/uid/{UID}/health")
        assert (status, answer["message"]) == (200, "Data source works")


def test_on_a_terminal_it_is_one_screen(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    ours, theirs = os.openpty()
    # Ctrl-C on a controlling terminal reaches all of its foreground process group.
    command = ["setsid", "--ctty", str(DEBUGTOOL), "dev", str(project), "--port", "0", "--http-port", "0"]
    variables = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables) as process:
        os.close(theirs)
        try:
            read_screen(ours, b"running, pid", b"debugtool run, http://127.0.0.1:", b"(agent)", b"not connected")
            below = family(process.pid)
            save(project / "backend" / "datasource" / "plugin.py", "class Datasource", "class Datasource(")
            read_screen(ours, b"SyntaxError", b"The plugin runs on as it was")
            os.write(ours, b"\x03")
            shown = read_screen(ours)
            assert process.wait(DEADLINE_S) == 130
            assert b"Traceback" not in shown
        finally:
            process.kill()
            os.close(ours)
    wait_for_ends(below)


def read_screen(terminal: int, *words: bytes) -> bytes:
    """Read what a program shows until all these words were among it; without words, until it ends."""
    shown = b""
    while not words or not all(word in shown for word in words):
        assert select.select([terminal], [], [], DEADLINE_S)[0], shown.decode(errors="replace")
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # nobody has the other end any more
            assert not words, shown.decode(errors="replace")
            break
    return shown
