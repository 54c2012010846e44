"""Groups: published examples, exact enumeration, and words for what too few people cannot tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lfr_plugins.lab.evaluation.statistics import (
    equivalence,
    group_rates,
    holm,
    homogeneity,
    power,
    ratio_interval,
    smallest_ratio,
    worst_to_best,
)

group = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_fisher_and_the_lady_tasting_tea() -> None:
    found = homogeneity({"milk first": (3, 4), "tea first": (1, 4)})
    assert found.p == pytest.approx(0.4857, abs=5e-5)
    assert found.method == "Fisher's exact test, two-sided"
    one_sided = stats.fisher_exact([[3, 1], [1, 3]], alternative="greater").pvalue
    assert one_sided == pytest.approx(0.2429, abs=5e-5)


def test_more_groups_are_tested_by_random_tables_of_the_same_margins() -> None:
    groups = {"a": (2, 10), "b": (3, 10), "c": (8, 10)}
    found = homogeneity(groups, permutations=20_000, seed=1)
    assert found == homogeneity(groups, permutations=20_000, seed=1)
    margins = [
        (first, second, 13 - first - second)
        for first in range(11)
        for second in range(11)
        if 0 <= 13 - first - second <= 10
    ]
    chances = np.array([np.prod([stats.binom.pmf(events, 10, 0.5) for events in table]) for table in margins])
    chances /= chances.sum()
    exact = chances[chances <= chances[margins.index((2, 3, 8))] * (1 + 1e-9)].sum()
    assert found.p == pytest.approx(exact, abs=0.004)
    assert "20000 random tables" in found.method


def test_groups_alike_are_rejected_no_more_often_than_the_level_says() -> None:
    rng = np.random.default_rng(2)
    drawn = rng.binomial([150, 90, 60], 0.08, size=(200, 3))
    p = [homogeneity({"a": (a, 150), "b": (b, 90), "c": (c, 60)}, permutations=400).p for a, b, c in drawn.tolist()]
    assert np.mean(np.array(p) <= 0.05) <= 0.09


@pytest.mark.parametrize("events", [0, 1])
def test_nothing_to_compare_is_said(events: int) -> None:
    found = homogeneity({"a": (events * 10, 10), "b": (events * 20, 20), "c": (events * 5, 5)})
    assert (found.p, found.note) == (1.0, "the same happened to everybody, in every group")


def test_holms_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    with pytest.raises(ValueError, match="within 0 and 1"):
        holm([0.5, 1.5])


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_adjusts_upwards_in_order_and_less_than_bonferroni(p: list[float]) -> None:
    adjusted = holm(p)
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= np.minimum(np.array(p) * len(p), 1) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_koopmans_example() -> None:
    """36 of 40 against 16 of 80: from 2.94 to 7.15 (Koopman 1984)."""
    assert ratio_interval((36, 40), (16, 80)) == pytest.approx((2.94, 7.15), abs=0.005)


@settings(deadline=None)
@given(first=group, second=group)
def test_a_ratios_interval_brackets_it_and_turns_over(first: tuple[int, int], second: tuple[int, int]) -> None:
    low, high = ratio_interval(first, second)
    if second[0]:
        assert high is not None
        value = first[0] * second[1] / (first[1] * second[0])
        assert low <= value * (1 + 1e-9)
        assert high >= value * (1 - 1e-9)
    other_low, other_high = ratio_interval(second, first)
    assert low == pytest.approx(0 if other_high is None else 1 / other_high, rel=1e-6)
    assert (high is None) == (other_low == 0)


def test_the_ratios_interval_covers_the_true_ratio() -> None:
    rng = np.random.default_rng(3)
    drawn = rng.binomial([400, 1200], [0.03, 0.015], size=(1500, 2)).tolist()
    ends = [ratio_interval((first, 400), (second, 1200)) for first, second in drawn]
    assert 0.93 <= np.mean([low <= 2 <= (high or np.inf) for low, high in ends]) <= 0.97


def test_worst_to_best() -> None:
    found = worst_to_best({"a": (3, 200), "b": (20, 1500)})
    assert (found.worst, found.best, found.value) == ("a", "b", pytest.approx(1.125))
    assert (found.low, found.high) == ratio_interval((3, 200), (20, 1500))
    three = worst_to_best({"a": (3, 200), "b": (20, 1500), "c": (20, 1400)})
    assert "Bonferroni for 3 pairs" in three.method
    low, high = ratio_interval((3, 200), (20, 1500))
    assert (three.low or 0) < low
    assert (three.high or 0) > (high or 0)


def test_a_group_without_events_bounds_the_ratio_from_below_only() -> None:
    found = worst_to_best({"a": (30, 200), "b": (0, 150)})
    assert (found.value, found.high) == (None, None)
    assert (found.low or 0) > 5
    assert "no event among 150 people of b: the ratio is at least" in (found.note or "")
    nothing = worst_to_best({"a": (0, 200), "b": (0, 150)})
    assert (nothing.value, nothing.low, nothing.high) == (None, None, None)
    assert nothing.note == "no event in any of 2 groups: the ratio is unknown"


def test_small_groups_have_no_value_and_empty_ones_are_refused() -> None:
    rates = group_rates({"a": (1, 400), "b": (0, 20)}, target=0.01)
    assert rates["a"].value == 0.0025
    assert rates["b"].value is None
    assert rates["b"].note == "not measurable with 20 people: it would take 299"
    with pytest.raises(ValueError, match="group 'b': expected at least one person, got 0; leave out an empty group"):
        group_rates({"a": (1, 400), "b": (0, 0)})
    with pytest.raises(ValueError, match="group 'a': expected events from 0 to its 4 people, got 5"):
        worst_to_best({"a": (5, 4), "b": (0, 1)})
    with pytest.raises(ValueError, match="expected 2 or more, got 1"):
        homogeneity({"a": (5, 40)})


def test_equivalence_takes_many_people_and_every_pair() -> None:
    assert equivalence({"a": (1000, 5000), "b": (1010, 5000)}, 1.25).is_shown
    assert not equivalence({"a": (10, 50), "b": (10, 50)}, 1.25).is_shown
    assert not equivalence({"a": (1000, 5000), "b": (1010, 5000), "c": (1, 5)}, 1.25).is_shown
    assert not equivalence({"a": (0, 50), "b": (0, 50)}, 1.25).is_shown
    with pytest.raises(ValueError, match="margin: expected a ratio above 1, got 1"):
        equivalence({"a": (1, 5), "b": (1, 5)}, 1.0)


@pytest.mark.parametrize(
    ("people", "others", "base", "ratio"), [(30, 60, 0.1, 4.0), (80, 40, 0.2, 2.0), (20, 20, 0.5, 1.5)]
)
def test_power_is_the_share_of_simulated_tests_that_reject(people: int, others: int, base: float, ratio: float) -> None:
    rng = np.random.default_rng(4)
    drawn = rng.binomial([people, others], [base * ratio, base], size=(4000, 2))
    cells, times = np.unique(drawn, axis=0, return_counts=True)
    p = [stats.fisher_exact([[a, people - a], [b, others - b]]).pvalue for a, b in cells.tolist()]
    share = times[np.array(p) <= 0.05].sum() / 4000
    assert power(people, others, base, ratio) == pytest.approx(share, abs=0.025)


def test_without_a_difference_power_is_at_most_the_level_and_it_grows_with_ratio_and_people() -> None:
    assert power(200, 1640, 0.02, 1.0) <= 0.05
    by_ratio = [power(200, 1640, 0.02, ratio) for ratio in (1, 1.5, 2, 3, 4, 6)]
    assert by_ratio == sorted(by_ratio)
    by_people = [power(people, 1640, 0.02, 3.0) for people in (20, 60, 200, 600)]
    assert by_people == sorted(by_people)


def test_the_smallest_ratio_is_found_four_times_in_five() -> None:
    ratio = smallest_ratio(200, 1640, 0.02)
    assert ratio is not None
    assert power(200, 1640, 0.02, ratio) >= 0.8
    assert power(200, 1640, 0.02, ratio / 1.005) < 0.8
    assert smallest_ratio(3, 1640, 0.4) is None


def test_power_wants_people_and_rates() -> None:
    with pytest.raises(ValueError, match="expected people in the group and besides, got 0 and 5"):
        power(0, 5, 0.1, 2)
    with pytest.raises(ValueError, match=r"a rate of the group within 0 and 1, got 3 times 0\.5"):
        power(5, 5, 0.5, 3)


def test_fewer_people_than_cells_are_tested_like_any_others() -> None:
    # Of the tables with these margins 1 in 6 is this one and 1 in 6 its mirror image; the others are likelier.
    found = homogeneity({"a": (0, 2), "b": (1, 1), "c": (1, 1)})
    assert found.p == pytest.approx(1 / 3, abs=0.02)
    assert homogeneity({"a": (0, 1), "b": (1, 1), "c": (1, 1)}).p == 1.0
