"""Conditions outside of those that were tested: they are seen, soon, and hardly ever seen where there are none."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.governance.conditions import (
    FEWEST,
    MEASURES,
    WINDOW,
    Conditions,
    Range,
    SeenConditions,
    conditions_of,
    needed,
    outside,
    sentence,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

TESTED = Conditions(
    passages=400, face_px=Range(p5=60, p95=180), highlight=Range(p5=90, p95=240), sharpness=Range(p5=0.4, p95=0.8)
)
WAYS = ("smaller", "larger", "darker", "brighter", "more blurred", "sharper")
BUSY_HOUR = 3_000
"""Passages."""


def seen(passages: int, *, below: Any = (0, 0, 0), above: Any = (0, 0, 0)) -> SeenConditions:
    return SeenConditions(passages=passages, below=below, above=above, medians=(100.4, 41.2, 0.512))


# ---- what was tested ----


def test_the_bounds_are_passages_that_one_in_twenty_lies_beyond() -> None:
    passages = [(float(number), 1000.0 - number, 0.5) for number in range(1, 101)]
    tested = conditions_of(passages[::-1])
    assert tested is not None
    assert tested.passages == 100
    assert (tested.face_px.p5, tested.face_px.p95) == (5, 96)
    assert (tested.highlight.p5, tested.highlight.p95) == (904, 995)
    assert (tested.sharpness.p5, tested.sharpness.p95) == (0.5, 0.5)


def test_a_small_test_is_bounded_by_its_extremes_and_a_smaller_one_says_nothing() -> None:
    passages = [(float(number), 0.0, 0.0) for number in range(FEWEST)]
    tested = conditions_of(passages)
    assert tested is not None
    assert (tested.face_px.p5, tested.face_px.p95) == (0, FEWEST - 1)
    assert conditions_of(passages[1:]) is None
    assert conditions_of([]) is None


@given(st.lists(st.tuples(*[st.floats(0, 300)] * 3), min_size=FEWEST, max_size=90))
def test_at_most_one_tested_passage_in_twenty_lies_beyond_a_bound(passages: list[tuple[float, ...]]) -> None:
    tested = conditions_of(passages)
    assert tested is not None
    for measure, name in enumerate(MEASURES):
        within: Range = getattr(tested, name)
        values = [one[measure] for one in passages]
        assert min(values) <= within.p5 <= within.p95 <= max(values)
        assert sum(value < within.p5 for value in values) <= len(values) / 20
        assert sum(value > within.p95 for value in values) <= len(values) / 20


def test_what_is_no_range_is_refused() -> None:
    with pytest.raises(ValueError, match="expected p5 <= p95, got 2 and 1"):
        Range(p5=2, p95=1)


# ---- how many are too many ----


def by_brute_force(passages: int, tested: int, count: int) -> Fraction:
    """Return the chance of `count` passages below the lowest tested one, or more: by every order there is."""
    orders = list(combinations(range(passages + tested), tested))
    lower = sum(places[0] >= count for places in orders)
    return Fraction(lower, len(orders))


def chance(passages: int, tested: int, count: int) -> float:
    """Return the same for p5 of a larger test, as a beta mixture of binomials, by numerical integration."""
    rank = max(1, tested // 20)
    p = (np.arange(200_000) + 0.5) / 200_000
    log_beta = (rank - 1) * np.log(p) + (tested - rank) * np.log1p(-p)
    log_beta += math.lgamma(tested + 1) - math.lgamma(rank) - math.lgamma(tested - rank + 1)
    total = 0.0
    for k in range(count, passages + 1):
        log_binomial = math.log(math.comb(passages, k)) + k * np.log(p) + (passages - k) * np.log1p(-p)
        total += float(np.exp(log_beta + log_binomial).mean())
    return total


def test_what_the_next_test_relies_on_is_what_writing_out_every_order_comes_to() -> None:
    for passages, tested, count in ((4, 6, 2), (5, 5, 5), (6, 3, 1)):
        assert chance(passages, tested, count) == pytest.approx(float(by_brute_force(passages, tested, count)))


@pytest.mark.parametrize(("passages", "tested"), [(20, 20), (20, 400), (45, 60), (45, 3_000), (100, 25)])
def test_as_many_as_are_needed_come_by_chance_once_in_two_million(passages: int, tested: int) -> None:
    enough = needed(passages, tested)
    assert enough is not None
    assert chance(passages, tested, enough) <= 1 / 2_000_000
    assert enough > passages / 4
    assert chance(passages, tested, enough - 1) > 1 / 2_000_000


@given(passages=st.integers(0, WINDOW), tested=st.integers(FEWEST, 5_000))
def test_a_larger_test_needs_no_more_and_never_less_than_a_quarter(passages: int, tested: int) -> None:
    enough = needed(passages, tested)
    if passages < FEWEST:
        assert enough is None
    else:
        assert enough is not None
        assert passages / 4 <= enough <= passages
        assert enough <= (needed(passages, FEWEST) or 0)


def false_alarms(rng: np.random.Generator, tested: int, hours: int) -> int:
    """Return in how many of so many hours, each against a test of its own, six sides raise a warning or more."""
    low = np.array([needed(passages, tested) or WINDOW + 1 for passages in range(WINDOW + 1)])
    alarmed = np.zeros(hours, np.bool_)
    for hour in range(hours):
        for _ in MEASURES:
            rank = max(1, tested // 20)
            before = np.sort(rng.random(tested))
            values = rng.random(BUSY_HOUR)
            for beyond in (values < before[rank - 1], values > before[tested - rank]):
                alarmed[hour] |= _alarms(beyond, low)
    return int(alarmed.sum())


def _alarms(beyond: NDArray[np.bool_], low: NDArray[np.int64]) -> bool:
    rising = np.concatenate(([0], np.cumsum(beyond)))
    last = np.arange(1, len(rising))
    looked = np.minimum(last, WINDOW)
    return bool((rising[last] - rising[last - looked] >= low[looked]).any())


@pytest.mark.parametrize("tested", [20, 45, 400, 2_284])
def test_a_false_warning_comes_in_less_than_one_busy_hour_of_a_hundred(tested: int) -> None:
    hours = 1_000
    assert false_alarms(np.random.default_rng(tested), tested, hours) < hours / 100


@pytest.mark.parametrize(("share", "within"), [(0.4, WINDOW), (1.0, 40)])
def test_a_true_departure_is_seen_within_a_hundred_passages(share: float, within: int) -> None:
    rng = np.random.default_rng(5)
    low = np.array([needed(passages, 400) or WINDOW + 1 for passages in range(WINDOW + 1)])
    found = [_alarms(np.concatenate((rng.random(200) < 0.05, rng.random(within) < share)), low) for _ in range(400)]
    assert np.mean(found) > 0.99


# ---- the rule ----


def test_nothing_is_outside_before_enough_passages_came() -> None:
    assert outside(TESTED, seen(19, below=(19, 19, 19))) == ()
    assert outside(TESTED, seen(20, below=(20, 20, 20))) == ("smaller", "darker", "more blurred")


def test_each_side_has_its_word() -> None:
    for measure in range(3):
        counts = tuple(50 * (number == measure) for number in range(3))
        assert outside(TESTED, seen(100, below=counts)) == (WAYS[2 * measure],)
        assert outside(TESTED, seen(100, above=counts)) == (WAYS[2 * measure + 1],)


def test_it_begins_at_a_quarter_and_ends_at_a_tenth() -> None:
    dark = [seen(100, below=(0, count, 0)) for count in range(101)]
    assert outside(TESTED, dark[24]) == ()
    assert outside(TESTED, dark[25]) == ("darker",)
    assert outside(TESTED, dark[11], ("darker",)) == ("darker",)
    assert outside(TESTED, dark[10], ("darker",)) == ()
    assert outside(TESTED, dark[11], ("smaller",)) == ()


@given(
    passages=st.integers(0, WINDOW),
    counts=st.lists(st.integers(0, WINDOW), min_size=6, max_size=6),
    before=st.sets(st.sampled_from(WAYS)),
    tested=st.integers(FEWEST, 3_000),
)
def test_having_been_outside_never_hides_a_departure(
    passages: int, counts: list[int], before: set[Any], tested: int
) -> None:
    counts = [min(count, passages) for count in counts]
    there = seen(passages, below=tuple(counts[:3]), above=tuple(counts[3:]))
    kept = Conditions(passages=tested, face_px=TESTED.face_px, highlight=TESTED.highlight, sharpness=TESTED.sharpness)
    fresh, after = set(outside(kept, there)), set(outside(kept, there, before))
    assert fresh <= after <= fresh | before


def test_the_sentence_says_how_many_of_how_many_and_what_was_tested() -> None:
    there = seen(40, below=(0, 12, 30), above=(11, 0, 0))
    assert [sentence("gate", way, TESTED, there) for way in ("larger", "darker", "more blurred")] == [
        "camera gate: faces larger than tested (11 of 40 passages above width 180 px, median 100)",
        "camera gate: faces darker than tested (12 of 40 passages below highlight 90, median 41)",
        "camera gate: faces more blurred than tested (30 of 40 passages below sharpness 0.40, median 0.51)",
    ]
