"""Run one small Python payload inside a live interpreter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from debugtool.parts import imported_when_asked_for

if TYPE_CHECKING:
    from debugtool.inject.attempt import Attempt
    from debugtool.inject.bootstrap import Bootstrap
    from debugtool.inject.injectors import METHODS, Injected, Injector, all_injectors, choose_injectors, inject
    from debugtool.inject.readiness import check_state, find_py_spy, wait_until_ready

__all__ = [
    "METHODS",
    "Attempt",
    "Bootstrap",
    "Injected",
    "Injector",
    "all_injectors",
    "check_state",
    "choose_injectors",
    "find_py_spy",
    "inject",
    "wait_until_ready",
]

_HOMES = {
    "attempt": ("Attempt",),
    "bootstrap": ("Bootstrap",),
    "injectors": ("METHODS", "Injected", "Injector", "all_injectors", "choose_injectors", "inject"),
    "readiness": ("check_state", "find_py_spy", "wait_until_ready"),
}

__getattr__ = imported_when_asked_for(__name__, _HOMES)
