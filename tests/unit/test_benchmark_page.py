"""docs/benchmarks.md, made of figures that were measured earlier; no time is measured here."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks import page
from benchmarks.measure import Row, Samples
from benchmarks.plots import figures_of
from benchmarks.results import Result, read_results, write_results

PYTHONS = [
    Row(f"{version} attach", "ms", Samples([10, 12, 11]), "debugpy", Samples([20, 24, 22]), at_most=limit)
    for version, limit in (("3.11", 0.25), ("3.12", 0.75))
]
ALONE = Row("start", "ms", Samples([1.5]))


def result(*rows: Row) -> Result:
    return Result("2026-01-02", "abc1234", {"processor": "P, 2 cores"}, 90.0, list(rows))


def test_results_are_the_same_when_read_back(tmp_path: Path) -> None:
    kept = {"attach": result(*PYTHONS, ALONE)}
    write_results(tmp_path / "kept" / "results.json", kept)
    assert read_results(tmp_path / "kept" / "results.json") == kept


def test_no_file_holds_no_results(tmp_path: Path) -> None:
    assert read_results(tmp_path / "results.json") == {}


def test_a_plot_has_one_figure_of_all_pythons() -> None:
    figures = figures_of([*PYTHONS, ALONE])
    assert [(figure.title, [version for version, _ in figure.rows]) for figure in figures] == [
        ("attach", ["3.11", "3.12"])
    ]


def test_page_has_figures_verdicts_and_plots(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    stale = tmp_path / "benchmarks" / "attach-of-old.svg"
    stale.touch()
    page.write_page(tmp_path, {"attach": result(*PYTHONS, ALONE), "dev": result(ALONE)})
    text = (tmp_path / "benchmarks.md").read_text()
    assert "1 of 2 figures" in text
    assert (
        "| 3.11 attach | 11 (10..12) ms | debugpy | 22 (20..24) ms | 0.5x | <= 0.25x | **missed**: why is not" in text
    )
    assert "| 3.12 attach | 11 (10..12) ms | debugpy | 22 (20..24) ms | 0.5x | <= 0.75x | reached |" in text
    assert "Measured 2026-01-02 at commit abc1234 in 2 min. processor P, 2 cores." in text
    assert text.count("![attach](benchmarks/attach-attach.svg)") == 1
    assert not stale.exists()


def test_plot_is_the_same_for_the_same_samples(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        page.write_page(tmp_path / name, {"attach": result(*PYTHONS)})
    plots = [tmp_path / name / "benchmarks" / "attach-attach.svg" for name in ("one", "two")]
    assert plots[0].read_text() == plots[1].read_text()
    words = {"".join(element.itertext()).strip() for element in ElementTree.parse(plots[0]).iter()}
    assert {"attach", "debugtool", "debugpy", "to reach: below", "0"} <= words


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("3.12 loop, after detach", "CPython 3.12 loses its superinstructions"),
        ("3.13 loop, after detach", "why is not known yet"),
    ],
)
def test_reasons_are_found_by_what_was_measured(what: str, reason: str) -> None:
    row = Row(what, "x", Samples([1.1]), limit=1.02)
    assert page.reason_for("overhead", row, page.read_reasons()).startswith(reason)


def test_every_benchmark_has_words() -> None:
    import bench

    assert set(page.WORDS) == set(bench.NAMES)


@pytest.mark.parametrize(
    ("name", "counted", "reached"),
    [
        ("plugin, file descriptors", [7] * 100, True),
        ("plugin, file descriptors", [7] * 60 + [8] * 40, False),
        ("plugin, MB", [100 + number % 6 for number in range(100)], True),
        ("plugin, MB", [100 + number % 6 + number / 10 for number in range(100)], False),
        ("session, MB", [30 + number / 20 for number in range(100)], False),
    ],
)
def test_endurance_tells_what_grows_from_what_swings(name: str, counted: list[float], reached: bool) -> None:
    from benchmarks import endurance

    (row,) = endurance.rows_of("100 attaches", [{name: number} for number in counted])
    assert row.reached is reached
