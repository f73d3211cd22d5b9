"""Programs and hosts that the process tests share."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from build_lock import build_lock
from go_driver import build_plugin, find_dlv
from gohost_driver import GoHost, StartGoHost

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ROOT / "tests" / "targets"
BUILD_LIMIT_S = 600


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what is too long for CI: `scripts/test tests/process/test_faults.py --all-faults`."""
    parser.addoption("--all-faults", action="store_true", help="every fault at every point, and the long stops")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI nothing may be skipped that the machine can do: a skip fails, but for a CPython that is not to be had."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and "no CPython" not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def go_programs() -> Path:
    """The directory with the built programs of tests/gohost: `host`, `frames`, `sdkplugin`. No Go is an error in CI."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no Go: what needs it is left out, see tests/gohost/go.mod for its version")
    directory = ROOT / ".cache" / "gohost"
    command = [go, "build", "-o", f"{directory}/", "./cmd/..."]
    with build_lock(directory):
        built = subprocess.run(
            command, cwd=ROOT / "tests/gohost", capture_output=True, text=True, timeout=BUILD_LIMIT_S, check=False
        )
    assert built.returncode == 0, built.stderr
    return directory


@pytest.fixture(scope="session")
def debug_plugin(go_programs: Path) -> Path:
    """A plugin on Grafana's Go SDK, built for debugging."""
    find_dlv()
    return build_plugin("sdkplugin_debug", "-gcflags=all=-N -l")


@pytest.fixture(scope="module")
def host(go_programs: Path, debug_plugin: Path) -> Iterator[GoHost]:
    """A host whose plugin serves all tests of a file that do not end it: it must survive every one of them."""
    with GoHost(go_programs / "host", [debug_plugin]) as running:
        yield running


@pytest.fixture
def start_go_host(go_programs: Path) -> Iterator[StartGoHost]:
    """Starts a target of tests/targets (or any command) under the Go host, ended with the test."""
    with contextlib.ExitStack() as stack:

        def start(*plugin: str | Path, **settings: Any) -> GoHost:
            command = [sys.executable, TARGETS / plugin[0], *plugin[1:]] if str(plugin[0]).endswith(".py") else plugin
            return stack.enter_context(GoHost(go_programs / "host", command, **settings))

        yield start
