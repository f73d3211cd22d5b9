from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest

from debugtool.editors import (
    LaunchJsonError,
    PathMapping,
    check_launch_json,
    debugpy_entry,
    templates_directory,
    write_launch_json,
)
from debugtool.editors.jsonc import JsoncError, parse
from debugtool.errors import ExitCode
from debugtool.output import error_document, error_text

ENTRY = debugpy_entry()
ENTRY_LINES = (templates_directory() / "attach-python.json").read_text().rstrip().split("\n")


@pytest.fixture
def launch_json(tmp_path: Path) -> Path:
    (tmp_path / ".vscode").mkdir()
    return tmp_path / ".vscode" / "launch.json"


def indented(lines: list[str], indent: str) -> str:
    return "\n".join(indent + line for line in lines)


def test_the_entry_is_the_template(tmp_path: Path) -> None:
    assert (
        json.loads("\n".join(ENTRY_LINES))
        == ENTRY
        == {
            "name": "Debug backend plugin",
            "type": "debugpy",
            "request": "attach",
            "connect": {"host": "127.0.0.1", "port": 3222},
            "pathMappings": [],
            "justMyCode": True,
        }
    )


def test_the_entry_takes_what_the_session_has() -> None:
    entry = debugpy_entry("::1", 4000, [PathMapping("${workspaceFolder}", "/app")], just_my_code=False)
    assert entry["connect"] == {"host": "::1", "port": 4000}
    assert entry["pathMappings"] == [{"localRoot": "${workspaceFolder}", "remoteRoot": "/app"}]
    assert entry["justMyCode"] is False


def test_a_missing_file_is_created_as_vs_code_does(tmp_path: Path) -> None:
    written = write_launch_json(tmp_path, ENTRY)
    assert written.changed
    assert written.path == tmp_path / ".vscode" / "launch.json"
    assert written.path.read_text() == (
        '{\n    "version": "0.2.0",\n    "configurations": [\n' + indented(ENTRY_LINES, " " * 8) + "\n    ]\n}\n"
    )


def test_the_second_run_does_not_even_write(tmp_path: Path) -> None:
    path = write_launch_json(tmp_path, ENTRY).path
    os.utime(path, ns=(1, 1))
    before = path.stat()
    assert not write_launch_json(tmp_path, ENTRY).changed
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (1, before.st_ino)


def test_only_the_port_changes(launch_json: Path) -> None:
    write_launch_json(launch_json.parents[1], ENTRY)
    before = launch_json.read_text()
    write_launch_json(launch_json.parents[1], debugpy_entry(port=4000))
    assert launch_json.read_text() == before.replace("3222", "4000")


def test_what_the_user_added_to_our_configuration_stays(launch_json: Path) -> None:
    text = """{
\t// mine
\t"configurations": [{
\t\t"name": "Debug backend plugin", // keep the name
\t\t"justMyCode": false,
\t\t"preLaunchTask": "build",
\t\t"connect": { "port": 1 },
\t\t"pathMappings": [
\t\t\t{ "localRoot": "/opt/lib", "remoteRoot": "/usr/lib" }, // mine too
\t\t],
\t}],
}
"""
    launch_json.write_text(text)
    write_launch_json(launch_json.parents[1], debugpy_entry(mappings=[PathMapping("${workspaceFolder}", "/app")]))
    assert launch_json.read_text() == text.replace('"port": 1 }', '"port": 3222, "host": "127.0.0.1" }').replace(
        "// mine too\n",
        '// mine too\n\t\t\t{\n\t\t\t\t"localRoot": "${workspaceFolder}",\n\t\t\t\t"remoteRoot": "/app"\n\t\t\t},\n',
    ).replace("\t\t],\n", '\t\t],\n\t\t"type": "debugpy",\n\t\t"request": "attach",\n')


def test_a_mapping_of_the_workspace_from_an_earlier_container_sends_no_breakpoint_there_any_more(
    launch_json: Path,
) -> None:
    workspace = launch_json.parents[1]
    write_launch_json(workspace, debugpy_entry(mappings=[PathMapping("${workspaceFolder}", "/app")]))
    write_launch_json(workspace, ENTRY)
    assert parse(launch_json.read_text())
    assert json.loads(launch_json.read_text())["configurations"][0]["pathMappings"] == [
        {"localRoot": "${workspaceFolder}", "remoteRoot": "${workspaceFolder}"}
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"configurations": []}', '{"configurations": [@]}'),
        ('{"a": [1],}', '{"a": [1], "configurations": [@],}'),
        ('{"configurations": [{"name": "x"}]}', '{"configurations": [{"name": "x"}, @]}'),
    ],
)
def test_a_file_of_one_line_stays_one_line(launch_json: Path, before: str, after: str) -> None:
    launch_json.write_text(before)
    write_launch_json(launch_json.parents[1], ENTRY)
    assert launch_json.read_text() == after.replace("@", json.dumps(ENTRY))


def test_indentation_and_line_ends_are_those_of_the_file(launch_json: Path) -> None:
    launch_json.write_bytes(b'\xef\xbb\xbf{\r\n\t"configurations": [\r\n\t\t{ "name": "x" } // last\r\n\t]\r\n}')
    write_launch_json(launch_json.parents[1], ENTRY)
    entry = json.dumps(ENTRY, indent="\t").replace("\n", "\r\n\t\t")
    assert launch_json.read_bytes().decode("utf-8") == (
        '\ufeff{\r\n\t"configurations": [\r\n\t\t{ "name": "x" }, // last\r\n\t\t' + entry + "\r\n\t]\r\n}"
    )


def test_a_file_of_comments_alone_keeps_them(launch_json: Path) -> None:
    launch_json.write_bytes(b"// nothing yet\r\n")
    write_launch_json(launch_json.parents[1], ENTRY)
    assert launch_json.read_bytes().startswith(b'// nothing yet\r\n{\r\n    "version": "0.2.0",\r\n')


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b" \n"])
def test_an_empty_file_is_filled(launch_json: Path, content: bytes) -> None:
    launch_json.write_bytes(content)
    write_launch_json(launch_json.parents[1], ENTRY)
    assert launch_json.read_bytes().startswith(content + b"{\n")


def test_a_broken_file_is_left_alone_and_the_entry_printed(launch_json: Path) -> None:
    launch_json.write_text('{\n  "configurations": [\n    {"name": "x"\n  ]\n}\n')
    with pytest.raises(LaunchJsonError) as caught:
        write_launch_json(launch_json.parents[1], ENTRY)
    assert launch_json.read_text() == '{\n  "configurations": [\n    {"name": "x"\n  ]\n}\n'
    assert error_text(caught.value) == (
        f"Error: {launch_json} was left as it is.\n"
        "  why:  It is not a launch.json that VS Code reads: A comma or } is missing at line 4, column 3.\n"
        "  next: Add this to its `configurations` yourself, or correct that and run debugtool launch-json:\n"
        + indented(ENTRY_LINES, " " * 9)
    )
    assert error_document(caught.value)["entry"] == ENTRY


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[]", "its document is not an object"),
        (b'{"configurations": {}}', "its `configurations` is not an array"),
        (b'{"configurations": null}', "its `configurations` is not an array"),
        (b'{"a": "\xff"}', "It is not UTF-8: invalid start byte at byte 7."),
        (b"\xff\xfe{\x00}\x00", "It is not UTF-8: invalid start byte at byte 0."),
        (b'{"a": 1} x', "Text after the end of the document at line 1, column 10"),
        (b"{'a': 1}", "A name in double quotes is missing at line 1, column 2"),
        (b'{"a": "x\n"}', "String without an end at line 1, column 7"),
        (b'{"a": "\\q"}', "Invalid \\escape"),
        (b"{} /* x", "Comment without an end at line 1, column 4"),
        (b"[" * 5000, "Nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "Number with too many digits"),
        (b'{"a": 01}', "A comma or } is missing"),
        (b'{"a": }', "A value is missing"),
        (b'{"a": 1,,}', "A name in double quotes is missing"),
    ],
)
def test_files_that_vs_code_would_not_read_are_left_alone(launch_json: Path, content: bytes, why: str) -> None:
    launch_json.write_bytes(content)
    with pytest.raises(LaunchJsonError) as caught:
        write_launch_json(launch_json.parents[1], ENTRY)
    assert why in caught.value.why
    with pytest.raises(LaunchJsonError) as foreseen:
        check_launch_json(launch_json.parents[1], ENTRY)
    assert foreseen.value.why == caught.value.why
    assert launch_json.read_bytes() == content
    assert list(launch_json.parent.iterdir()) == [launch_json]


def test_a_symlink_stays_a_symlink(launch_json: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared" / "launch.json"
    shared.parent.mkdir()
    shared.write_text("{}")
    launch_json.symlink_to("../shared/launch.json")
    assert write_launch_json(tmp_path, ENTRY).path == launch_json
    assert launch_json.is_symlink()
    assert json.loads(shared.read_text())["configurations"] == [ENTRY]


def test_a_loop_of_symlinks_is_an_error_with_the_entry(launch_json: Path) -> None:
    launch_json.symlink_to("launch.json")
    with pytest.raises(LaunchJsonError, match="was left as it is"):
        write_launch_json(launch_json.parents[1], ENTRY)


def test_a_directory_of_that_name_is_an_error_with_the_entry(launch_json: Path) -> None:
    launch_json.mkdir()
    with pytest.raises(LaunchJsonError) as caught:
        write_launch_json(launch_json.parents[1], ENTRY)
    assert caught.value.why.startswith("Is a directory: ")


def test_a_file_in_place_of_the_directory_is_an_error_with_the_entry(tmp_path: Path) -> None:
    (tmp_path / ".vscode").write_text("")
    with pytest.raises(LaunchJsonError) as caught:
        write_launch_json(tmp_path, ENTRY)
    assert "Not a directory" in caught.value.why or "File exists" in caught.value.why


def test_a_workspace_that_is_not_there_is_an_error_with_the_entry(tmp_path: Path) -> None:
    with pytest.raises(LaunchJsonError) as caught:
        write_launch_json(tmp_path / "gone", ENTRY)
    assert caught.value.why.startswith("No such file or directory: ")


def test_a_read_only_file_is_refused_for_root_too(launch_json: Path) -> None:
    launch_json.write_text("{}")
    launch_json.chmod(0o444)
    with pytest.raises(LaunchJsonError) as caught:
        write_launch_json(launch_json.parents[1], ENTRY)
    assert caught.value.exit_code is ExitCode.REFUSED
    assert caught.value.why == f"The file is read-only: {launch_json}."
    with pytest.raises(LaunchJsonError, match="was left as it is"):
        check_launch_json(launch_json.parents[1], ENTRY)
    assert launch_json.read_text() == "{}"


def test_a_look_whether_it_could_be_written_writes_nothing(tmp_path: Path) -> None:
    assert check_launch_json(tmp_path, ENTRY) == tmp_path / ".vscode" / "launch.json"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o640])
def test_the_mode_is_kept(launch_json: Path, mode: int) -> None:
    launch_json.write_text("{}")
    launch_json.chmod(mode)
    write_launch_json(launch_json.parents[1], ENTRY)
    assert launch_json.stat().st_mode & 0o7777 == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_leaves_nothing_of_its_own_in_another_users_project(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12346)
    path = write_launch_json(tmp_path, ENTRY).path
    for made in (path, path.parent):
        assert (made.stat().st_uid, made.stat().st_gid) == (12345, 12346)
    os.chown(path, 12347, 12348)
    write_launch_json(tmp_path, debugpy_entry(port=1))
    assert (path.stat().st_uid, path.stat().st_gid) == (12347, 12348)


def test_a_path_that_is_not_utf_8_goes_in_escaped(tmp_path: Path) -> None:
    remote = os.fsdecode(b"/srv/\xff")
    path = write_launch_json(tmp_path, debugpy_entry(mappings=[PathMapping("${workspaceFolder}", remote)])).path
    assert "/srv/\\udcff" in path.read_text("utf-8")


def test_what_an_editor_saves_meanwhile_is_not_lost(launch_json: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launch_json.write_text("{}")
    read, versions = Path.read_bytes, [b"{}", b'{"a": 1}\n', b'{"a": 2}\n']

    def saved_before_each_read(path: Path) -> bytes:
        if versions:
            path.write_bytes(versions.pop(0))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", saved_before_each_read)
    assert write_launch_json(launch_json.parents[1], ENTRY).changed
    assert json.loads(launch_json.read_text()) == {"a": 2, "configurations": [ENTRY]}


def test_a_program_that_never_stops_saving_wins(launch_json: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, numbers = Path.read_bytes, itertools.count()

    def saved_before_each_read(path: Path) -> bytes:
        path.write_text(f'{{"a": {next(numbers)}}}')
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", saved_before_each_read)
    with pytest.raises(LaunchJsonError) as caught:
        write_launch_json(launch_json.parents[1], ENTRY)
    assert caught.value.why == "Another program kept writing it."


def test_real_depths_are_read(launch_json: Path) -> None:
    launch_json.write_text('{"a": ' * 100 + "1" + "}" * 100)
    assert write_launch_json(launch_json.parents[1], ENTRY).changed


def test_positions_count_lines_of_every_kind() -> None:
    with pytest.raises(JsoncError) as caught:
        parse('{\r\n"a": 1,\r"b": 2,\n  c}')
    assert (caught.value.line, caught.value.column) == (4, 3)
