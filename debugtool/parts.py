"""Packages whose modules are imported when one of their names is first asked for.

An attach needs a few names of many packages before it can begin to do anything, and importing all of each takes longer
than what it does.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence


def imported_when_asked_for(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], object]:
    """Give the `__getattr__` of a package.

    Args:
        package: Its full name.
        homes: The names that each of its modules defines for the package.
    """

    def get(name: str) -> object:
        for home, names in homes.items():
            if name in names:
                module = importlib.import_module(f"{package}.{home}")
                # all of them: the import alone has given the package the module, whose name one of them may have
                for each in names:
                    setattr(sys.modules[package], each, getattr(module, each))
                return getattr(module, name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get
