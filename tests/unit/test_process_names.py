"""Names read from command lines, and what they must not match."""

from __future__ import annotations

import pytest

from debugtool.processes.naming import (
    Kind,
    base_name,
    display_name,
    has_platform_suffix,
    is_debugger,
    is_our_own,
    names_of,
    understand,
)
from debugtool.processes.scan import parse_stat

PYTHON = "/srv/venv/bin/python3.11"


@pytest.mark.parametrize(
    ("argv", "script", "module"),
    [
        ([PYTHON, "backend/main.py", "--port", "1"], "backend/main.py", None),
        ([PYTHON, "-u", "-X", "dev", "-Wignore", "main.py"], "main.py", None),
        ([PYTHON, "-W", "error", "-B", "dist/my-datasource_linux_amd64"], "dist/my-datasource_linux_amd64", None),
        ([PYTHON, "-m", "weather.server", "x.py"], None, "weather.server"),
        ([PYTHON, "-Im", "weather"], None, "weather"),
        ([PYTHON, "-mweather"], None, "weather"),
        ([PYTHON, "-c", "import x", "main.py"], None, None),
        ([PYTHON, "-uc", "import x"], None, None),
        ([PYTHON, "--check-hash-based-pycs", "never", "main.py"], "main.py", None),
        ([PYTHON, "-"], None, None),
        ([PYTHON], None, None),
        ([PYTHON, "-m", "debugpy", "--listen", "5678", "main.py"], "main.py", None),
        ([PYTHON, "-m", "debugpy", "--listen", "5678", "--pid", "4711"], "debugpy", None),
    ],
)
def test_python_arguments_are_read_as_python_reads_them(
    argv: list[str], script: str | None, module: str | None
) -> None:
    command = understand(argv)
    assert (command.kind, command.script, command.module) == (Kind.PYTHON, script, module)


@pytest.mark.parametrize(
    ("argv", "name", "also"),
    [
        (["/d/my-datasource_linux_amd64"], "my-datasource", {"my-datasource_linux_amd64"}),
        (["C:/d/gpx_weather_windows_amd64.exe"], "gpx_weather", {"gpx_weather_windows_amd64"}),
        ([PYTHON, "/d/my-datasource_linux_amd64"], "my-datasource", {"my-datasource_linux_amd64", "python3.11"}),
        ([PYTHON, "backend/main.py"], "main", {"main.py"}),
        ([PYTHON, "-m", "weather.__main__"], "weather.__main__", {"weather"}),
        ([PYTHON, "/srv/weather/__main__.py"], "weather", {"__main__"}),
        ([PYTHON, "/srv/weather/"], "weather", set()),
        (["bash", "/d/my-datasource_linux_amd64"], "my-datasource", {"bash"}),
        (["gunicorn: worker [app]"], "gunicorn: worker [app]", set()),
        (["-bash"], "-bash", set()),
    ],
)
def test_a_process_answers_to_its_name_with_and_without_suffix(argv: list[str], name: str, also: set[str]) -> None:
    command = understand(argv)
    assert display_name(command, "comm") == name
    assert {name, "comm"} | also <= names_of(command, "comm")


def test_a_name_on_somebody_elses_command_line_is_not_a_name() -> None:
    for argv in (["tail", "-f", "my-datasource.log"], ["vim", "my-datasource"], ["pgrep", "-f", "my-datasource"]):
        assert "my-datasource" not in names_of(understand(argv), argv[0])


@pytest.mark.parametrize("name", ["a_linux_amd64", "gpx_weather_darwin_arm64", "x_windows_amd64.exe"])
def test_platform_suffixes(name: str) -> None:
    assert has_platform_suffix(f"/dist/{name}")
    assert not has_platform_suffix(base_name(name))


def test_debuggers_and_debugtool_itself_are_told_from_what_they_debug() -> None:
    for argv in (
        ["dlv", "attach", "4711"],
        ["/usr/bin/gdb", "-p", "4711"],
        [PYTHON, "/site/debugpy/adapter", "--for-server", "5"],
        [PYTHON, "-m", "debugpy", "--listen", "5678", "--pid", "4711"],
    ):
        assert is_debugger(understand(argv)), argv
    assert not is_debugger(understand([PYTHON, "-m", "debugpy", "--listen", "5678", "main.py"]))
    assert is_our_own(understand([PYTHON, "/srv/venv/bin/debugtool", "run", "my-datasource"]))
    assert is_our_own(understand([PYTHON, "-m", "debugtool.cli"]))
    assert not is_our_own(understand([PYTHON, "/d/debugtool-demo_linux_amd64"]))


def test_stat_of_a_process_whose_name_has_brackets_and_spaces() -> None:
    text = "4711 (a) R (b) S 12 4711 4711 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 4096 1 18446744073709551615 0"
    assert parse_stat(text) == ("a) R (b", "S", 12, 98765)
