"""Groups are counted as people said, compared with one correction for all, and never flattered by a zero."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.plugins.evaluation.test_figures import scores_of

from lfr_plugins.lab.evaluation.equity import MARGIN, PRESET_RATIO, group_figures
from lfr_plugins.lab.evaluation.protocol import Protocol, Row
from lfr_plugins.lab.evaluation.statistics import group_rates, holm, homogeneity, power, smallest_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfr_plugins.lab.evaluation.report import GroupFigures
    from lfr_plugins.lab.evaluation.scoring import Scores

THRESHOLD = 0.5


def scores(mated: Mapping[str, float], nonmated: Mapping[str, float]) -> Scores:
    return scores_of(
        [[score] for score in nonmated.values()],
        own=list(mated.values()),
        mated=tuple(mated),
        nonmated=tuple(nonmated),
    )


def figures(said: Mapping[str, tuple[str, ...]], held: Scores, names: tuple[str, ...]) -> tuple[GroupFigures, ...]:
    """Return the figures for people who said this of themselves, one word a column."""
    rows = tuple(
        Row(line=line, path=Path(f"{line}.jpg"), name=f"{line}.jpg", identity=person, role="mated",
            groups=dict(zip(names, words, strict=True)))
        for line, (person, words) in enumerate(said.items())
    )  # fmt: skip
    protocol = Protocol(path=Path("p.csv"), digest="0" * 64, rows=rows, group_names=names)
    return group_figures(protocol, held, 1, THRESHOLD, "said so")


def people(prefix: str, count: int, word: str) -> dict[str, tuple[str]]:
    return {f"{prefix} {word} {number}": (word,) for number in range(count)}


def test_who_is_missed_and_who_is_alerted_is_counted_by_group_over_everybody() -> None:
    said = {"a": ("x",), "b": ("x",), "c": ("y",), "d": ("x",), "e": ("y",), "f": ("y",)}
    held = scores({"a": 0.5, "b": -np.inf, "c": 0.49}, {"d": 0.5, "e": 0.49, "f": -np.inf})
    (found,) = figures(said, held, ("kind",))
    assert (found.group, found.known, found.threshold) == ("kind", "said so", THRESHOLD)
    assert {name: (one.events, one.n) for name, one in found.missed.items()} == {"x": (1, 2), "y": (1, 1)}
    assert {name: (one.events, one.n) for name, one in found.alerted.items()} == {"x": (1, 1), "y": (0, 2)}
    assert found.missed == group_rates({"x": (1, 2), "y": (1, 1)})
    assert found.note is None


def test_no_event_is_a_bound_and_not_equality() -> None:
    said = {**people("m", 30, "x"), **people("m", 30, "y")}
    held = scores(dict.fromkeys(said, 0.9), {"n": 0.1})
    (found,) = figures({**said, "n": ("x",)}, held, ("kind",))
    assert found.missed["x"].value == 0
    assert found.missed["x"].upper == pytest.approx(1 - 0.05 ** (1 / 30))
    assert found.missed_test is not None
    assert found.missed_test.ratio.value is None
    assert not found.missed_test.equivalence.is_shown
    assert found.missed_test.power is None
    assert found.missed_test.smallest_ratio is None


def test_a_group_with_nobody_on_one_side_is_said_to_be_so() -> None:
    said = {"a": ("x",), "b": ("y",), "c": ("x",)}
    (found,) = figures(said, scores({"a": 0.9, "b": 0.9}, {"c": 0.1}), ("kind",))
    assert found.note == "y has no non-mated people: not measurable"
    assert found.missed_test is not None
    assert found.alerted_test is None
    (found,) = figures(said, scores({"a": 0.9}, {"b": 0.1, "c": 0.1}), ("kind",))
    assert found.note == "y has no mated people: not measurable"


def test_one_correction_holds_for_all_tests_of_a_report() -> None:
    rng = np.random.default_rng(4)
    words = rng.integers(0, 3, (240, 2))
    said = {f"p{number}": (f"a{first}", f"b{second % 2}") for number, (first, second) in enumerate(words.tolist())}
    names = list(said)
    mated = {name: float(rng.random() > 0.2 + 0.2 * (said[name][0] == "a0")) for name in names[:120]}
    nonmated = {name: float(rng.random() < 0.1 + 0.2 * (said[name][1] == "b0")) for name in names[120:]}
    found = figures(said, scores(mated, nonmated), ("first", "second"))
    tests = [test for one in found for test in (one.missed_test, one.alerted_test)]
    assert all(test is not None for test in tests)
    p = [test.homogeneity.p for test in tests if test]
    assert [test.p_holm for test in tests if test] == pytest.approx(holm(p).tolist())
    assert len(p) == 4
    counts = {name: (int(one.events), one.n) for name, one in found[0].missed.items()}
    assert tests[0] is not None
    assert tests[0].homogeneity == homogeneity(counts)
    smallest = min(counts, key=lambda name: counts[name][1])
    n, rest = counts[smallest][1], 120 - counts[smallest][1]
    base = sum(events for events, _ in counts.values()) / 120
    assert tests[0].power == power(n, rest, base, PRESET_RATIO)
    assert tests[0].smallest_ratio == smallest_ratio(n, rest, base)
    assert (tests[0].preset_ratio, tests[0].equivalence.margin) == (PRESET_RATIO, MARGIN)


def test_who_did_not_say_is_counted_and_compared_with_nobody() -> None:
    said = {**people("m", 20, "x"), **people("m", 20, "y"), **people("m", 20, "not stated"), "n": ("Not stated",)}
    mated = {name: float(word != ("not stated",)) for name, word in said.items() if name != "n"}
    (found,) = figures(said, scores(mated, {"n": 0.1}), ("kind",))
    assert found.missed["not stated"].events == 20
    assert found.missed_test is not None
    assert found.missed_test.homogeneity.groups == 2
    assert found.missed_test.homogeneity.p == 1.0
    (found,) = figures(
        {**people("m", 9, "x"), **people("m", 9, "not stated"), "n": ("x",)},
        scores(dict.fromkeys({**people("m", 9, "x"), **people("m", 9, "not stated")}, 0.4), {"n": 0.1}),
        ("kind",),
    )
    assert found.missed_test is None


def test_without_groups_there_is_nothing() -> None:
    assert figures({"a": (), "b": ()}, scores({"a": 0.9}, {"b": 0.1}), ()) == ()
