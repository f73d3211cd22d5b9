"""The arithmetic and the table of the benchmarks; no time is measured here."""

from __future__ import annotations

import io

import pytest
from benchmarks.measure import Row, Samples, Table, percentile, short
from benchmarks.report import print_table


def row(ours: list[float], peers: list[float] | None = None, **wanted: float) -> Row:
    return Row("what", "ms", Samples(ours), "peer", Samples(peers) if peers else None, **wanted)


def test_ratio_is_of_the_rounds_so_that_a_slow_moment_of_the_machine_hits_both() -> None:
    # GIVEN a machine that was ten times slower in the second round
    measured = row([10, 100, 12], [40, 400, 48])
    # THEN the ratio does not notice
    assert measured.ratio == 0.25


@pytest.mark.parametrize(
    ("measured", "reached", "reach"),
    [
        (row([10], [40], at_most=0.25), True, "<= 0.25x"),
        (row([11], [40], at_most=0.25), False, "<= 0.25x"),
        (row([15], limit=15), True, "<= 15 ms"),
        (row([16], limit=15), False, "<= 15 ms"),
        (row([10], [1000], at_most=0.03, limit=15), True, "<= 0.03x, <= 15 ms"),
        (row([16], [1000], at_most=0.03, limit=15), False, "<= 0.03x, <= 15 ms"),
        (row([10], [100], at_most=0.03, limit=15), False, "<= 0.03x, <= 15 ms"),
        (row([400, 410], [100, 115], more=300), True, "<= +300 ms"),
        (row([500, 400], [190, 90], more=300), False, "<= +300 ms"),
        (row([5], [0], more=0), False, "<= +0 ms"),
        (row([10], [100]), None, ""),
    ],
)
def test_a_figure_is_reached_when_all_of_it_is(measured: Row, reached: bool | None, reach: str) -> None:
    assert measured.reached is reached
    assert measured.reach == reach


def test_nothing_is_no_multiple_of_none() -> None:
    assert row([5], [0]).ratio is None


def test_document_has_median_and_spread() -> None:
    assert row([3, 1, 2], [6, 2, 4], at_most=0.6).document() == {
        "what": "what",
        "unit": "ms",
        "ours": {"median": 2, "min": 1, "max": 3, "rounds": 3, "samples": [3, 1, 2]},
        "against": "peer",
        "peer": {"median": 4, "min": 2, "max": 6, "rounds": 3, "samples": [6, 2, 4]},
        "ratio": 0.5,
        "reach": "<= 0.6x",
        "reached": True,
    }


def test_document_of_a_figure_that_stands_alone() -> None:
    document = Row("what", "x", Samples([1.0]), limit=1.02).document()
    assert (document["against"], document["peer"], document["ratio"]) == (None, None, None)
    assert (document["reach"], document["reached"]) == ("<= 1.02x", True)


def test_table_in_a_pipe_is_plain_lines() -> None:
    stream = io.StringIO()
    print_table("attach", [row([10, 30, 20], [100, 300, 200], at_most=0.05), row([1])], stream)
    assert stream.getvalue().splitlines() == [
        "",
        "attach: medians (smallest..largest), ratio of each round",
        "what  debugtool       against  it                 ratio  to reach",
        "what  20 (10..30) ms  peer     200 (100..300) ms  0.1x   <= 0.05x  MISSED",
        "what  1 ms            peer",
    ]


def test_samples_are_kept_by_name() -> None:
    table = Table()
    for value in (1.0, 2.0):
        table.add("a", value)
    assert table["a"].values == [1.0, 2.0]
    assert table.find("b") is None


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 51), (0.99, 100), (1.0, 100)])
def test_percentile(share: float, value: float) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


@pytest.mark.parametrize(("number", "text"), [(2015.4, "2015"), (99.94, "99.9"), (9.6, "9.6"), (0.01234, "0.0123")])
def test_numbers_have_three_digits_that_count(number: float, text: str) -> None:
    assert short(number) == text
