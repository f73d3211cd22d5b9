"""launch.json: one configuration of ours in the user's file, and every other byte as it was."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from debugtool.editors.jsonc import JsoncError, Node, parse
from debugtool.editors.jsonc_edit import DEFAULT_INDENT, Edit, Layout
from debugtool.errors import DebugtoolError, ExitCode
from debugtool.files import make_directory, replace_file

WORKSPACE_FOLDER = "${workspaceFolder}"
_ATTEMPTS = 3  # an editor that saves between our read and our write is read again


@dataclass(frozen=True)
class LaunchJson:
    """What became of a launch.json.

    Attributes:
        path: The file, as the workspace names it.
        changed: False when it said all this already; it was not written then.
        entry: The configuration that was asked for.
    """

    path: Path
    changed: bool
    entry: dict[str, object]


class LaunchJsonError(DebugtoolError):
    """launch.json was left alone; the entry to add by hand is part of the message.

    Attributes:
        entry: The configuration that was asked for.
    """

    def __init__(self, path: Path, why: str, entry: dict[str, object], code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(
            f"{path} was left as it is.",
            why=why,
            next_step="Add this to its `configurations` yourself, or correct that and run debugtool launch-json:\n"
            + entry_text(entry),
            details={"path": str(path), "entry": entry},
        )
        self.exit_code = code
        self.entry = entry


def entry_text(entry: dict[str, object]) -> str:
    """Lay an entry out as a user pastes it."""
    return json.dumps(entry, indent=DEFAULT_INDENT, ensure_ascii=False)


def write_launch_json(workspace: Path, entry: dict[str, object]) -> LaunchJson:
    """Add a configuration to `.vscode/launch.json` of a workspace, or bring it up to date.

    Only its own keys change in a configuration of its name: what the user added there stays, and so does `justMyCode`
    once it is there. In `pathMappings` the mapping of each local root named by the entry, and that of the workspace
    itself, are ours. A file that says all this is not written.

    Args:
        workspace: The directory that the editor has open. A multi-root `.code-workspace` is not looked at: VS Code
            reads the launch.json of each of its folders too.
        entry: From `debugpy_entry`.

    Raises:
        LaunchJsonError: The file is broken, or cannot be read or written. It is as it was.
    """
    path = workspace / ".vscode" / "launch.json"
    with _failures(path, entry):
        for _ in range(_ATTEMPTS):
            before = _read(path)
            after = merge_entry(before, entry)
            if after == before:
                return LaunchJson(path, False, entry)
            _refuse_read_only(path)
            if _read(path) == before:
                _write(path, after)
                return LaunchJson(path, True, entry)
    raise LaunchJsonError(path, "Another program kept writing it.", entry)


def check_launch_json(workspace: Path, entry: dict[str, object]) -> Path:
    """See that `write_launch_json` could do its work, as far as that shows without writing; give the file's path.

    Raises:
        LaunchJsonError: It could not.
    """
    path = workspace / ".vscode" / "launch.json"
    with _failures(path, entry):
        merge_entry(_read(path), entry)
        _refuse_read_only(path)
        nearest = next(place for place in (path.parent, *path.parent.parents) if place.exists())
        if not os.access(nearest, os.W_OK):  # a file is replaced, so its directory counts
            raise PermissionError(errno.EACCES, "The directory cannot be written", str(nearest))
    return path


@contextlib.contextmanager
def _failures(path: Path, entry: dict[str, object]) -> Iterator[None]:
    """Put what goes wrong with a launch.json into words."""
    try:
        yield
    except (JsoncError, _NotOurShape) as error:
        raise LaunchJsonError(path, f"It is not a launch.json that VS Code reads: {error}.", entry) from error
    except UnicodeDecodeError as error:
        raise LaunchJsonError(path, f"It is not UTF-8: {error.reason} at byte {error.start}.", entry) from error
    except PermissionError as error:
        why = f"{error.strerror}: {error.filename or path}."
        raise LaunchJsonError(path, why, entry, ExitCode.REFUSED) from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symlinks, before Python 3.13
        why = f"{error.strerror}: {error.filename or path}." if isinstance(error, OSError) else f"{error}."
        raise LaunchJsonError(path, why, entry) from error


class _NotOurShape(ValueError):
    """JSON, but not laid out as a launch.json."""


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _refuse_read_only(path: Path) -> None:
    """Refuse a file without any write bit: a rename would get past it, and so would root."""
    if path.exists() and not path.stat().st_mode & 0o222:
        raise PermissionError(errno.EACCES, "The file is read-only", str(path))


def _write(path: Path, data: bytes) -> None:
    if path.parents[1].is_dir():  # a workspace that is not there is an error
        make_directory(path.parent)
    replace_file(path, data)


def merge_entry(before: bytes | None, entry: dict[str, object]) -> bytes:
    """Give the content of a launch.json with our configuration in it; see `write_launch_json`.

    Args:
        before: Its content so far, None for a file that does not exist.
        entry: From `debugpy_entry`.

    Raises:
        ValueError: It is not UTF-8, not JSON with comments, or not laid out as a launch.json.
    """
    text = (before or b"").decode("utf-8")
    root = parse(text)
    if root is None:
        # Blanks and comments that stood there alone stay in front.
        layout = Layout("\r\n" if "\r\n" in text else "\n", DEFAULT_INDENT)
        lead = text if not text or text.endswith(("\n", "\ufeff")) else text + layout.newline
        document = layout.dump({"version": "0.2.0", "configurations": [entry]}, "")
        return (lead + document + layout.newline).encode("utf-8")
    if not isinstance(root.value, dict):
        raise _NotOurShape("its document is not an object")
    edit = Edit(text, Layout.of(text, root))
    configurations = root.get("configurations")
    if configurations is None:
        edit.set(root, {"configurations": [entry]})
    elif not isinstance(configurations.value, list):
        raise _NotOurShape("its `configurations` is not an array")
    elif (ours := _configuration(configurations, entry["name"])) is None:
        edit.append(configurations, [entry])
    else:
        _update(edit, ours, entry)
    return edit.apply().encode("utf-8")


def _configuration(configurations: Node, name: object) -> Node | None:
    for item in configurations.items:
        if isinstance(item.value, dict) and item.value.get("name") == name:
            return item
    return None


def _update(edit: Edit, ours: Node, entry: dict[str, object]) -> None:
    values = dict(entry)
    if ours.get("justMyCode") is not None:
        values.pop("justMyCode", None)
    connect, wanted = ours.get("connect"), values.get("connect")
    if connect is not None and isinstance(connect.value, dict) and isinstance(wanted, dict):
        edit.set(connect, wanted)
        del values["connect"]
    mappings = ours.get("pathMappings")
    if mappings is not None and isinstance(mappings.value, list):
        _update_mappings(edit, mappings, values.pop("pathMappings", []))
    edit.set(ours, values)


def _update_mappings(edit: Edit, mappings: Node, wanted: object) -> None:
    assert isinstance(wanted, list)
    roots = {mapping["localRoot"]: mapping["remoteRoot"] for mapping in wanted}
    found = {}
    for item in mappings.items:
        local = item.value.get("localRoot") if isinstance(item.value, dict) else None
        if local in roots:
            found[local] = item
            edit.set(item, {"remoteRoot": roots[local]})
        elif local == WORKSPACE_FOLDER:
            # From a plugin that ran elsewhere: it would send every breakpoint there. The workspace maps to itself now.
            edit.set(item, {"remoteRoot": WORKSPACE_FOLDER})
    missing = [mapping for mapping in wanted if mapping["localRoot"] not in found]
    edit.append(mappings, missing)
