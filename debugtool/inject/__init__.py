"""Run one small Python payload inside a live interpreter."""

from debugtool.inject.bootstrap import Bootstrap
from debugtool.inject.injectors import METHODS, Injected, Injector, choose_injectors, inject
from debugtool.inject.readiness import check_state, wait_until_ready

__all__ = [
    "METHODS",
    "Bootstrap",
    "Injected",
    "Injector",
    "check_state",
    "choose_injectors",
    "inject",
    "wait_until_ready",
]
