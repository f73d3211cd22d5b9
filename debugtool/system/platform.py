"""The machine in Go's words: GOOS and GOARCH."""

from __future__ import annotations

import platform as _platform

from debugtool.system import PLATFORM

_GOARCH = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv6l": "arm",
    "armv7l": "arm",
    "armv8l": "arm",
    "i386": "386",
    "i486": "386",
    "i586": "386",
    "i686": "386",
    "x86": "386",
}


def goos_goarch(system: str = PLATFORM, machine: str | None = None) -> tuple[str, str]:
    """Name an operating system and processor as Grafana does when it looks for a plugin's program.

    Args:
        system: A `sys.platform` value.
        machine: What `platform.machine()` gives; this machine's by default.

    Returns:
        GOOS and GOARCH. Names without an entry in the table (ppc64le, s390x, riscv64) are the same in Go.

    Source:
        grafana-plugin-sdk-go build/common.go; machine names: uname(2) of each platform.
    """
    goos = "windows" if system == "win32" else system.rstrip("0123456789")  # freebsd14
    name = (machine or _platform.machine()).lower()
    return goos, _GOARCH.get(name, name)
