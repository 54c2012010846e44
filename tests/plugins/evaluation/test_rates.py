"""Rates, bounds, thresholds and list sizes against published tables, scipy and brute force."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lfr_plugins.lab.evaluation import statistics
from lfr_plugins.lab.evaluation.statistics import (
    Pairs,
    Rate,
    alerted,
    curve,
    expected_fpir,
    extrapolated_fpir,
    fpir_over_lists,
    highest,
    hits_at,
    interval,
    is_recommendable,
    list_sizes,
    pairs_above,
    people_needed,
    quantile_bounds,
    rate,
    size_exponent,
    threshold_at,
    upper_bound,
)

counts = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
scores = st.lists(st.floats(-1, 1), min_size=1, max_size=300)


def test_everything_is_exported_and_documented() -> None:
    functions = [getattr(statistics, name) for name in statistics.__all__ if callable(getattr(statistics, name))]
    assert len(functions) > 40
    assert not [one.__name__ for one in functions if not (one.__doc__ or "").strip()]


@pytest.mark.parametrize(
    ("events", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.3085),
        (1, 10, 0.0025, 0.4450),
        (5, 10, 0.1871, 0.8129),
        (4, 20, 0.0573, 0.4366),
        (10, 10, 0.6915, 1.0),
        (0, 100, 0.0, 0.0362),
    ],
)
def test_intervals_of_the_published_tables(events: int, n: int, low: float, high: float) -> None:
    assert interval(events, n) == pytest.approx((low, high), abs=5e-5)


@settings(deadline=None)
@given(count=counts, confidence=st.sampled_from([0.9, 0.95, 0.99]))
def test_whole_counts_agree_with_scipy(count: tuple[int, int], confidence: float) -> None:
    expected = stats.binomtest(*count).proportion_ci(confidence_level=confidence, method="exact")
    assert interval(*count, confidence) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-12)
    one_sided = stats.binomtest(*count, alternative="less").proportion_ci(confidence_level=confidence, method="exact")
    assert upper_bound(*count, confidence) == pytest.approx(one_sided.high, rel=1e-6)


@settings(deadline=None)
@given(count=counts, more=st.integers(1, 500), fraction=st.floats(0, 1))
def test_bounds_bracket_and_are_monotone_and_symmetric(count: tuple[int, int], more: int, fraction: float) -> None:
    events, n = count
    low, high = interval(events, n)
    upper = upper_bound(events, n)
    assert 0 <= low <= events / n <= upper <= high <= 1
    assert interval(n - events, n) == pytest.approx((1 - high, 1 - low), abs=1e-9)
    longer = interval(events, n + more)
    assert longer[0] <= low
    assert longer[1] <= high
    if events + fraction <= n:
        between = interval(events + fraction, n)
        assert between[0] >= low - 1e-12
        assert between[1] >= high - 1e-12


def test_no_event_is_a_bound_and_not_a_zero() -> None:
    found = rate(0, 100)
    assert (found.value, found.low, found.upper) == (0.0, 0.0, pytest.approx(1 - 0.05**0.01))
    assert found.upper == pytest.approx(3 / 100, rel=0.02), "the rule of three"
    assert "no event among 100 people: 95% upper bound 0.03" in (found.note or "")
    assert upper_bound(0, 1) == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("target", "events", "needed"),
    [(0.01, 0, 299), (0.001, 0, 2995), (0.00017, 0, 17_621), (0.01, 1, 473), (0.5, 0, 5)],
)
def test_how_many_people_a_rate_takes(target: float, events: int, needed: int) -> None:
    assert people_needed(target, events) == needed


@settings(deadline=None)
@given(target=st.floats(0.0005, 0.9), events=st.integers(0, 20))
def test_so_many_people_suffice_and_one_less_does_not(target: float, events: int) -> None:
    needed = people_needed(target, events)
    assert upper_bound(events, needed) <= target
    if needed > events + 1:
        assert upper_bound(events, needed - 1) > target


def test_what_cannot_be_measured_has_no_value() -> None:
    small = rate(3, 100, target=0.001)
    assert small.value is None
    assert small.note == "not measurable with 100 people: it would take 2995"
    assert (small.low, small.high) == interval(3, 100)
    assert rate(0, 0, target=0.01) == Rate(
        events=0, n=0, value=None, low=None, high=None, upper=None,
        note="not measurable with 0 people: it would take 299",
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(small), type=Rate) == small


def test_results_go_into_json_also_when_counts_came_from_numpy() -> None:
    people = np.array([0.3, 0.5, 0.6, 0.61, 0.7] * 20)
    hits = np.array([0, 1, 2, 0, 3] * 20)
    results = [
        rate(np.int64(3), int(np.int64(100))),
        rate(float(np.float64(2.5)), 100, target=0.1),
        threshold_at(people, np.float64(0.1)),
        curve(people, people),
        *list_sizes(hits, 50, [10, 50, 54]),
        fpir_over_lists(_pairs([1, 1, 2, 3]), np.float64(0.6), 50),
    ]
    for one in results:
        assert msgspec.json.decode(msgspec.json.encode(one), type=type(one)) == one


@pytest.mark.parametrize(("events", "n"), [(-1, 10), (11, 10), (0, 0), (float("nan"), 10), (1, float("inf"))])
def test_impossible_counts_are_refused(events: float, n: float) -> None:
    with pytest.raises(ValueError, match="expected events from 0 to n and n above 0"):
        interval(events, n)


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, float("nan")])
def test_a_target_is_a_share(target: float) -> None:
    for refused in (lambda: people_needed(target), lambda: threshold_at([0.5], target)):
        with pytest.raises(ValueError, match="target: expected a share between 0 and 1"):
            refused()


def test_ties_alert() -> None:
    assert alerted([0.1, 0.5, 0.5, -np.inf], [0.5, np.nextafter(0.5, 1), -1.0, 0.1]).tolist() == [2, 0, 3, 3]


@settings(deadline=None)
@given(people=scores, target=st.floats(0.01, 0.6))
def test_a_threshold_is_the_smallest_that_keeps_its_target(people: list[float], target: float) -> None:
    found = threshold_at(people, target)
    if found.threshold is None:
        assert len(people) * target < 1
        assert "not measurable" in (found.note or "")
        return
    assert found.fpir is not None
    assert found.fpir.events == alerted(people, found.threshold)
    assert found.fpir.events / len(people) <= target + 1e-9
    assert alerted(people, np.nextafter(found.threshold, -np.inf)) > len(people) * target or found.threshold == -1


def test_wilks_smallest_sample() -> None:
    """59 people show 95 % content with 95 % confidence (Wilks 1941), and then nobody may alert; 93 allow one."""
    assert (people_needed(0.05), people_needed(0.05, events=1)) == (59, 93)


def test_bounds_of_a_quantile_are_binomial_order_statistics() -> None:
    """For n = 100 and p = 0.9 the 95 % interval runs from the 84th to the 96th."""
    low, high = quantile_bounds(np.arange(1, 101) / 100, 0.1)
    assert (low, high) == (0.84, 0.96)
    below, within = stats.binom.cdf([83, 95], 100, 0.9)
    assert within - below >= 0.95
    assert quantile_bounds(np.arange(100) / 100, 0.001) == (pytest.approx(0.97, abs=0.011), None)


def test_people_never_searched_stay_in_the_denominator() -> None:
    found = threshold_at([-np.inf] * 90 + [0.3] * 5 + [0.6] * 5, 0.05)
    assert found.threshold == np.nextafter(0.3, 1)
    assert found.fpir is not None
    assert (found.fpir.events, found.fpir.n) == (5, 100)
    nobody = threshold_at([-np.inf] * 100, 0.05)
    assert nobody.threshold == -1
    assert nobody.fpir is not None
    assert nobody.fpir.events == 0


def test_an_anecdote_says_so() -> None:
    assert threshold_at(np.arange(1840) / 2000, 0.001).note == "rests on 1 person"
    assert threshold_at(np.arange(2284) / 2300, 0.001).note == "rests on 2 people"
    assert threshold_at(np.arange(700) / 700, 0.01).note is None


@pytest.mark.parametrize(
    ("people", "said"),
    [([], "at least one person"), ([[0.1]], "one score a person"), ([0.1, float("nan")], "NaN for 1 of 2 people")],
)
def test_scores_that_are_none_are_refused(people: Any, said: str) -> None:
    for function in (lambda: threshold_at(people, 0.1), lambda: curve(people, [0.1]), lambda: alerted(people, 0.1)):
        with pytest.raises(ValueError, match=said):
            function()


@settings(deadline=None)
@given(mated=scores, nonmated=scores, points=st.integers(2, 50))
def test_a_curve_falls_with_the_threshold_and_counts_right(
    mated: list[float], nonmated: list[float], points: int
) -> None:
    found = curve(mated, nonmated, points)
    assert len(found.thresholds) <= points + 1
    assert (np.diff(found.thresholds) > 0).all()
    assert (np.diff(found.fpir) <= 0).all()
    assert (np.diff(found.tpir) <= 0).all()
    assert found.fpir[-1] == found.tpir[-1] == 0
    for threshold, fpir, tpir in zip(found.thresholds, found.fpir, found.tpir, strict=True):
        assert fpir == np.mean(np.array(nonmated) >= threshold)
        assert tpir == np.mean(np.array(mated) >= threshold)


@settings(deadline=None)
@given(hits=st.lists(st.integers(0, 6), min_size=1, max_size=8), size=st.integers(0, 6))
def test_rarefaction_is_the_mean_over_all_sub_lists(hits: list[int], size: int) -> None:
    listed = 6
    reached = [set(range(count)) for count in hits]
    shares = [np.mean([bool(one & set(sub)) for one in reached]) for sub in combinations(range(listed), size)]
    assert expected_fpir(hits, listed, [size])[0] == pytest.approx(np.mean(shares), abs=1e-12)


def test_rarefaction_of_the_whole_list_is_what_was_measured_and_of_none_is_none() -> None:
    hits = np.array([0] * 1820 + [1] * 18 + [2] * 2)
    assert expected_fpir(hits, 444, [444, 222, 0]) == pytest.approx(
        [20 / 1840, (18 / 2 + 2 * (1 - 222 * 221 / (444 * 443))) / 1840, 0], rel=1e-9
    )
    assert expected_fpir(np.zeros(10), 444, [100])[0] == 0


def test_longer_lists_are_extrapolated_and_not_recommended() -> None:
    hits = np.array([0] * 990 + [1] * 10)
    rows = list_sizes(hits, 400, [100, 400, 440, 441, 4000])
    assert [row.how for row in rows] == ["rarefied", "measured", "extrapolated", "extrapolated", "extrapolated"]
    assert [row.is_recommendable for row in rows] == [True, True, True, False, False]
    assert rows[0].fpir.value == pytest.approx(0.0025)
    assert rows[1].fpir == rate(10, 1000)
    assert rows[4].fpir.value == pytest.approx(1 - 0.99**10)
    assert rows[4].fpir.upper == pytest.approx(1 - (1 - upper_bound(10, 1000)) ** 10)
    assert "as if false alerts added up independently" in (rows[4].fpir.note or "")
    assert extrapolated_fpir(1.0, 10, 20) == 1.0
    assert is_recommendable(488, 444)
    assert not is_recommendable(489, 444)


def test_the_exponent_tells_independent_alerts_from_people_who_resemble_everybody() -> None:
    assert size_exponent([0] * 990 + [1] * 10, 400) == pytest.approx(1, abs=0.01)
    assert size_exponent([0] * 990 + [400] * 10, 400) == pytest.approx(0, abs=0.01)
    assert size_exponent([0] * 10, 400) is None
    with pytest.raises(ValueError, match="at least 8 people to see a trend"):
        size_exponent([0], 7)


def test_hits_beyond_the_list_are_refused() -> None:
    with pytest.raises(ValueError, match="hits: expected whole numbers from 0 to 5, got 0 to 6"):
        expected_fpir([0, 6], 5, [3])
    with pytest.raises(ValueError, match="sizes: expected whole numbers from 0 to 5"):
        expected_fpir([0, 5], 5, [6])
    with pytest.raises(ValueError, match="hits: expected whole numbers"):
        expected_fpir([0.5], 5, [3])


def test_pairs_keep_what_a_matrix_says() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(0, 0.2, (200, 30))
    matrix[3] = -np.inf
    pairs = pairs_above(matrix, 0.2)
    assert (pairs.people, pairs.listed) == (200, 30)
    assert hits_at(pairs, 0.3).tolist() == (matrix >= 0.3).sum(axis=1).tolist()
    best = matrix.max(axis=1)
    assert highest(pairs).tolist() == np.where(best >= 0.2, best, -np.inf).tolist()
    with pytest.raises(ValueError, match=r"at least 0\.2, the floor of the pairs, got 0\.1"):
        hits_at(pairs, 0.1)
    with pytest.raises(ValueError, match=r"at least 0\.2, the floor of the pairs, got 0\.1"):
        fpir_over_lists(pairs, 0.1)
    assert pairs_above(matrix).similarities.size == 199 * 30
    with pytest.raises(ValueError, match="got NaN"):
        pairs_above(np.array([[np.nan]]))
    with pytest.raises(ValueError, match="expected a matrix"):
        pairs_above(np.zeros(3))


@pytest.mark.parametrize(
    ("rows", "columns", "said"),
    [([0, 0], [1, 1], "each pair of people once"), ([0, 2], [0, 0], "rows from 0 to 1"), ([0], [0, 1], "one length")],
)
def test_pairs_that_cannot_be_are_refused(rows: list[int], columns: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Pairs(
            people=2, listed=2, rows=np.array(rows), columns=np.array(columns), similarities=np.ones(2), floor=0.0
        )  # fmt: skip


def _pairs(columns: list[int], people: int = 1000, listed: int = 100) -> Pairs:
    """Return pairs of as many different people with the listed ones named."""
    return Pairs(
        people=people,
        listed=listed,
        rows=np.arange(len(columns)),
        columns=np.array(columns, np.int64),
        similarities=np.full(len(columns), 0.7),
        floor=0.5,
    )


def test_false_alerts_spread_over_the_list_give_the_interval_by_people() -> None:
    found = fpir_over_lists(_pairs(list(range(20))), 0.6)
    assert (found.low, found.high) == pytest.approx(interval(20, 1000))
    assert found.upper == pytest.approx(upper_bound(20, 1000))
    assert (found.design_effect, found.worst_listed, found.pairs) == (pytest.approx(1.0), 1, 20)


def test_false_alerts_of_one_listed_person_make_it_wide() -> None:
    found = fpir_over_lists(_pairs([7] * 20), 0.6)
    low, high = interval(20, 1000)
    assert found.value == 0.02
    assert found.low < low / 5
    assert found.high > 2 * high
    assert found.worst_listed == 20
    assert found.design_effect > 10


def test_no_false_alert_falls_back_to_the_people_and_says_so() -> None:
    found = fpir_over_lists(_pairs([]), 0.6)
    assert (found.value, found.low, found.upper) == (0.0, 0.0, pytest.approx(upper_bound(0, 1000)))
    assert "what other lists would do cannot be seen without a false alert" in (found.note or "")


def test_everybody_alerting_is_no_division_by_nothing() -> None:
    found = fpir_over_lists(_pairs([0] * 50, people=50, listed=2), 0.6)
    assert (found.value, found.high) == (1.0, 1.0)
    half = fpir_over_lists(_pairs([0] * 50, people=50, listed=2), 0.6, 1)
    assert half.value == pytest.approx(0.5)
    assert half.low < 0.5 < half.high


def test_a_list_of_one_and_longer_lists_tell_nothing_over_lists() -> None:
    with pytest.raises(ValueError, match="at least 2 non-mated and 2 listed people"):
        fpir_over_lists(_pairs([0], people=5, listed=1), 0.6)
    with pytest.raises(ValueError, match="sizes: expected whole numbers from 0 to 100"):
        fpir_over_lists(_pairs([0]), 0.6, 101)
