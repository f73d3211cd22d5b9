"""The editor's configuration, as a session writes it."""

from __future__ import annotations

from pathlib import Path

from debugtool.errors import DebugtoolError
from debugtool.model import Target
from debugtool.session.report import Report
from debugtool.session.request import AttachRequest
from debugtool.system import explain_os_error


def _start(target: Target) -> Path | None:
    """Give where the project of a process is looked for, None for the directory that the user is in.

    Without a plugin.json the program's own directory tells it, not the one we happen to stand in. Of a program that an
    installer put into an environment (gunicorn, celery) it is the directory where it was started.
    """
    if target.script is None or target.plugin_dir:
        return None
    directory = target.script.parent
    if directory.name != "bin":
        return directory
    return target.cwd if target.cwd is not None and target.cwd != Path("/") else None


def write_configuration(request: AttachRequest, port: int, report: Report) -> None:
    """Write the editor's attach configuration; a failure is reported and does not end the session."""
    if request.workspace is False:
        return
    from debugtool import editors
    from debugtool.session.sources import editor_entry

    target = request.target
    try:
        if isinstance(request.workspace, Path):
            workspace = request.workspace
        else:
            workspace = editors.find_workspace(_start(target), target.plugin_dir)
        entry = editor_entry(target, workspace, request.host, port)
        written = editors.write_launch_json(workspace, entry)
    except (DebugtoolError, OSError) as failure:
        error = explain_os_error("launch.json was left alone.", failure) if isinstance(failure, OSError) else failure
        report("launch_json", path=None, changed=False, why=f"{error.what} {error.why}", next=error.next_step)
    else:
        report("launch_json", path=str(written.path), changed=written.changed)
