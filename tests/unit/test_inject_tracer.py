"""Which threads may be borrowed: system calls as /proc/PID/task/TID/syscall shows them."""

from __future__ import annotations

import pytest

from debugtool.inject.tracer import is_parked

INTERPRETER = [(0x7F1C5C000000, 0x7F1C5C4D0000)]
GIL, ELSEWHERE = 0x7F1C5C4A0010, 0x5581AB000A30
# FUTEX_WAIT_BITSET with FUTEX_PRIVATE_FLAG, and with FUTEX_CLOCK_REALTIME besides; FUTEX_WAIT with FUTEX_PRIVATE_FLAG
WAIT_BITSET, WAIT_BITSET_REALTIME, WAIT = 0x89, 0x189, 0x80


@pytest.mark.parametrize("number", [0, 7, 23, 35, 43, 45, 47, 61, 130, 230, 232, 270, 271, 281, 288, 299, 441])
def test_calls_that_wait_for_the_outside(number: int) -> None:
    assert is_parked(number, (ELSEWHERE, 0), INTERPRETER)


@pytest.mark.parametrize(
    "number", [1, 3, 9, 10, 11, 12, 28, 56, 59, 231, -1]
)  # write, close, mmap ... exit_group, none
def test_calls_that_may_be_made_with_a_lock_held(number: int) -> None:
    assert not is_parked(number, (0, 0), INTERPRETER)


@pytest.mark.parametrize("operation", [WAIT_BITSET, WAIT_BITSET_REALTIME])
def test_a_python_lock(operation: int) -> None:
    assert is_parked(202, (ELSEWHERE, operation), INTERPRETER)


@pytest.mark.parametrize("operation", [WAIT_BITSET, WAIT_BITSET_REALTIME])
def test_a_wait_for_the_gil(operation: int) -> None:
    assert not is_parked(202, (GIL, operation), INTERPRETER)


def test_the_edges_of_the_interpreters_data() -> None:
    start, end = INTERPRETER[0]
    assert not is_parked(202, (start, WAIT_BITSET), INTERPRETER)
    assert not is_parked(202, (end - 1, WAIT_BITSET), INTERPRETER)
    assert is_parked(202, (end, WAIT_BITSET), INTERPRETER)


def test_a_mutex_of_malloc_or_the_loader() -> None:
    assert not is_parked(202, (ELSEWHERE, WAIT), INTERPRETER)


def test_a_wake_is_no_wait() -> None:
    assert not is_parked(202, (ELSEWHERE, 0x81), INTERPRETER)
