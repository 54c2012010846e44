"""Intervals, exact tests and their power against sums of binomial probabilities, done by hand."""

from __future__ import annotations

import math
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.governance.record import phrases
from lfr_kernel.governance.record.figures import Spread
from lfr_kernel.governance.record.statements import Calibration, Counted
from lfr_kernel.governance.record.statistics import (
    FOOTFALL,
    ShareTest,
    figures_of,
    people_of,
    rate,
    spread,
    unsurprising_from,
)

COUNTS = st.integers(1, 80).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
EXACT_FOOTFALL = [Fraction(percent, 100) for percent in range(10, 65, 5)]


def probability(count: int, n: int, share: float | Fraction) -> float | Fraction:
    return math.comb(n, count) * share**count * (1 - share) ** (n - count)


def at_least(count: int, n: int, share: float) -> float:
    return math.fsum(float(probability(one, n, share)) for one in range(count, n + 1))


def at_most(count: int, n: int, share: float) -> float:
    return math.fsum(float(probability(one, n, share)) for one in range(count + 1))


def poisson_at_most(count: int, mean: float) -> float:
    return math.fsum(math.exp(-mean + one * math.log(mean) - math.lgamma(one + 1)) for one in range(count + 1))


def halved(is_below: object, low: float, high: float) -> float:
    """Return where `is_below`, true at `low`, becomes false."""
    assert callable(is_below)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return low


def p_of(count: int, n: int, share: float | Fraction) -> float | Fraction:
    """Return the two-sided p, as it is defined: all counts that are as unlikely as this one, or more."""
    seen = probability(count, n, share)
    tie = 1 if isinstance(share, Fraction) else 1 + 1e-7
    found = [one for one in (probability(other, n, share) for other in range(n + 1)) if one <= seen * tie]
    return sum(found) if isinstance(share, Fraction) else math.fsum(map(float, found))


# Rates


def test_the_published_rates_come_with_the_intervals_that_their_counts_allow() -> None:
    per_alert, per_face = rate(10, 2_077), rate(10, 3_147_436)
    assert f"{100 * (per_alert.value or 0):.2f}" == "0.48"
    assert f"{100 * (per_alert.low or 0):.1f} to {100 * (per_alert.high or 0):.1f}" == "0.2 to 0.9"
    assert f"{100 * (per_face.value or 0):.4f}" == "0.0003"
    # Clopper and Pearson's bounds for 10 events approach Poisson's: 4.795 and 18.39, in every table.
    assert per_face.low == pytest.approx(4.7954 / 3_147_436, rel=1e-4)
    assert per_face.high == pytest.approx(18.3904 / 3_147_436, rel=1e-4)


@given(COUNTS)
def test_an_interval_ends_where_what_was_seen_has_two_and_a_half_per_cent(count: tuple[int, int]) -> None:
    events, n = count
    found = rate(events, n)
    low = halved(lambda share: at_least(events, n, share) < 0.025, 0, 1) if events else 0.0
    high = halved(lambda share: at_most(events, n, share) > 0.025, 0, 1) if events < n else 1.0
    upper = halved(lambda share: at_most(events, n, share) > 0.05, 0, 1) if events < n else 1.0
    assert (found.low, found.high, found.upper) == pytest.approx((low, high, upper), rel=1e-9, abs=1e-12)


@given(st.integers(1, 10**9))
def test_without_events_the_upper_bound_is_the_rule_of_three(n: int) -> None:
    found = rate(0, n)
    assert (found.value, found.low) == (0, 0)
    assert found.upper == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-6, abs=1e-15)
    if n >= 100:
        assert found.upper == pytest.approx(3 / n, rel=0.02)


@given(st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_rate(count: tuple[int, int]) -> None:
    found = rate(*count)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.upper is not None
    assert 0 <= found.low <= found.value <= found.upper <= found.high <= 1


@given(st.integers(2, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_more_events_move_every_bound_up_and_more_faces_move_it_down(count: tuple[int, int]) -> None:
    events, n = count
    here, more, wider = rate(events, n), rate(events + 1, n), rate(events, n + 1)
    for name in ("value", "low", "high", "upper"):
        assert getattr(here, name) <= getattr(more, name)
        assert getattr(wider, name) <= getattr(here, name)


@pytest.mark.parametrize(("events", "n"), [(0, 0), (3, 0), (3, 2)])
def test_nothing_is_known_of_a_rate_whose_faces_were_not_counted_to_the_end(events: int, n: int) -> None:
    found = rate(events, n)
    assert (found.events, found.n) == (events, n)
    assert (found.value, found.low, found.high, found.upper) == (None, None, None, None)


@pytest.mark.parametrize(("events", "n"), [(-1, 5), (1, -5)])
def test_a_count_below_nothing_is_refused(events: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"expected counts of 0 or more, got {events} events among {n}"):
        rate(events, n)


# Spreads and people


def test_nine_of_ten_do_not_exceed_the_ninth_value() -> None:
    assert spread(tuple(range(1, 11))) == Spread(n=10, median=5.5, p90=9)
    assert spread((7,)) == Spread(n=1, median=7, p90=7)
    assert spread(()) == Spread(n=0, median=None, p90=None)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60).map(sorted))
def test_the_ninetieth_per_cent_is_the_least_value_that_covers_them(values: list[int]) -> None:
    found = spread(values)
    assert found.p90 in values
    assert 10 * sum(one <= found.p90 for one in values) >= 9 * len(values)
    assert 10 * sum(one < found.p90 for one in values) < 9 * len(values)


def by_hand(people: int, passages: int) -> Calibration:
    return Calibration(people=people, passages=passages, by="fay", how="north entrance, 20 minutes")


def test_counting_by_hand_turns_passages_into_people_with_poissons_interval() -> None:
    each, people = people_of([by_hand(50, 60), by_hand(50, 90)], 30_000)
    assert each is not None
    assert people is not None
    assert each.high is not None
    assert each.value == 1.5
    assert poisson_at_most(149, each.low * 100) == pytest.approx(0.975)
    assert poisson_at_most(150, each.high * 100) == pytest.approx(0.025)
    assert (people.value, people.low, people.high) == pytest.approx((20_000, 30_000 / each.high, 30_000 / each.low))


def test_without_a_passage_counted_by_hand_there_may_be_any_number_of_people() -> None:
    each, people = people_of([by_hand(20, 0)], 30_000)
    assert each is not None
    assert each.low == 0
    assert each.high == pytest.approx(-math.log(0.025) / 20)
    assert people is None
    assert people_of([], 30_000) == (None, None)


# Tests of a group's share


@pytest.mark.parametrize("n", [1, 2, 3, 10, 24])
def test_p_is_the_sum_of_all_counts_that_are_as_unlikely(n: int) -> None:
    for exact, share in zip(EXACT_FOOTFALL, FOOTFALL, strict=True):
        expected = [float(p_of(count, n, exact)) for count in range(n + 1)]
        assert ShareTest.of(n, share).p == pytest.approx(expected, rel=1e-9)


def test_power_is_the_probability_of_a_count_that_is_rejected() -> None:
    for exact, share in zip(EXACT_FOOTFALL, FOOTFALL, strict=True):
        rejected = [count for count in range(11) if p_of(count, 10, exact) < Fraction(1, 20)]
        for ratio in (1, 2, 5):
            moved = ratio * exact / (ratio * exact + 1 - exact)
            expected = float(sum(probability(count, 10, moved) for count in rejected))
            assert ShareTest.of(10, share).power(ratio) == pytest.approx(expected, rel=1e-9)


@given(st.integers(1, 400), st.sampled_from(FOOTFALL))
def test_the_smallest_ratio_is_seen_four_times_of_five_and_no_smaller_one(n: int, share: float) -> None:
    test = ShareTest.of(n, share)
    assert test.power(1) < 0.05
    found = test.smallest_ratio()
    if found is None:
        assert max(test.power(10**step) for step in range(1, 12)) < 0.8
        return
    assert test.power(found) == pytest.approx(0.8)
    assert all(test.power(1 + (found - 1) * step / 50) < 0.8 for step in range(50))


def test_one_false_alert_can_show_nothing_and_many_show_little() -> None:
    assert ShareTest.of(1, 0.5).smallest_ratio() is None
    assert ShareTest.of(1, 0.5).power(1_000) == 0
    ratios = [ShareTest.of(n, 0.3).smallest_ratio() for n in (10, 100, 1_000)]
    assert ratios == pytest.approx([7.4, 1.9, 1.2], abs=0.1)


# From which share on a count is no surprise


def test_eight_of_ten_stop_being_significant_at_a_footfall_of_45_per_cent() -> None:
    """The published eight of ten: p falls below 0.05 in every footfall up to 40 %, and in none from 45 % on."""
    ps = dict(zip(FOOTFALL, (ShareTest.of(10, share).p[8] for share in FOOTFALL), strict=True))
    assert [share for share, p in ps.items() if p < 0.05] == [0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4]
    assert [round(ps[share], 4) for share in (0.3, 0.4, 0.45, 0.5, 0.6)] == [0.0016, 0.0183, 0.0506, 0.1094, 0.3335]
    # There one false alert in the group becomes as unlikely as eight: 10 q (1 - q)^9 = 45 q^8 (1 - q)^2.
    odds = (10 / 45) ** (1 / 7)
    assert unsurprising_from(8, 10) == pytest.approx(odds / (1 + odds), rel=1e-6)


def test_p_rises_and_falls_on_the_way_and_the_last_rise_counts() -> None:
    """29 of 30: p is 0.05 or more at 82.3 %, is not at 83 %, and is for good from 83.7 % on."""
    assert [p_of(29, 30, share) >= 0.05 for share in (0.82, 0.823, 0.83, 0.836, 0.837, 0.9, 29 / 30)] == [
        *(False, True, False, False),
        *(True, True, True),
    ]
    assert unsurprising_from(29, 30) == pytest.approx(0.8368, abs=1e-4)


@given(COUNTS)
def test_from_that_share_on_p_stays_up_and_just_below_it_is_down(count: tuple[int, int]) -> None:
    events, n = count
    start = unsurprising_from(events, n)
    assert start is not None
    if events == 0:
        assert start == 0
        return
    assert 0 < start < events / n
    assert p_of(events, n, start * (1 - 1e-6)) < 0.05
    end = events / n
    for step in range(61):
        share = start + (end - start) * step / 60 + (1e-9 if step == 0 else 0)
        assert p_of(events, n, share) >= 0.05 - 1e-9


@pytest.mark.parametrize("n", range(1, 41))
def test_the_share_that_is_printed_is_no_surprise_either(n: int) -> None:
    for events in range(1, n + 1):
        start = unsurprising_from(events, n)
        assert start is not None
        printed = phrases.at_least(start)
        assert float(printed.removesuffix(" %")) / 100 == pytest.approx(start, rel=0.11)
        share = float(printed.removesuffix(" %")) / 100
        assert p_of(events, n, share) >= 0.05 - 1e-9, (events, printed)
        for step in range(1, 9):
            between = share + max(0, events / n - share) * step / 8
            assert between == 1 or ShareTest.of(n, between).p[events] >= 0.05 - 1e-9, (events, printed)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.05, "5.0 %"), (0.2811, "29 %"), (0.28, "28 %"), (0.00401, "0.41 %"), (0.997, "99.7 %"), (0.99999, "99.999 %")],
)
def test_a_share_from_which_on_something_holds_is_rounded_up(share: float, text: str) -> None:
    assert phrases.at_least(share) == text


def test_where_nothing_was_recorded_there_is_no_such_share() -> None:
    assert unsurprising_from(0, 0) is None


# All figures


def test_figures_give_both_denominators_and_the_best_and_the_worst_case() -> None:
    counted = Counted(
        seen=20_000,
        raised=40,
        truth={"true": 25, "false": 3, "not-established": 10},
        unread=2,
        states={"open": 1, "viewed": 2, "assessed": 1, "dismissed": 9, "engage": 2, "engaged": 3, "outcome": 22},
        decision_s=(4, 9, 11),
        looked_s=(0.4, 3.5, 8.0),
        engagement_min=(2.5,),
    )
    found = figures_of(counted, group_ratio=2)
    assert found.false_per_face == rate(3, 20_000)
    assert found.false_per_alert == rate(3, 40)
    assert found.false_per_face_worst == rate(15, 20_000)
    assert found.false_per_alert_worst == rate(15, 40)
    assert found.true_per_alert == rate(25, 40)
    assert found.dismissed == rate(9, 36)
    assert found.decision_s == Spread(n=3, median=9, p90=11)
    assert found.looked_s == Spread(n=3, median=3.5, p90=8.0)
    assert found.engagement_min == Spread(n=1, median=2.5, p90=2.5)
    assert (found.passages_per_person, found.people) == (None, None)
    assert found.groups == ()
    assert found.recorded == {"sex": 0, "age": 0, "ethnicity": 0}


def test_groups_are_shares_of_those_that_somebody_recorded() -> None:
    counted = Counted(
        seen=1_000,
        raised=12,
        truth={"false": 12},
        false_by_sex={"male": 9, "female": 1, "not-recorded": 2},
        false_by_age={"not-recorded": 12},
        false_by_ethnicity={"white": 2, "black": 8, "asian": 0, "not-recorded": 2},
    )
    found = figures_of(counted, group_ratio=2)
    assert found.recorded == {"sex": 10, "age": 0, "ethnicity": 10}
    named = {(one.attribute, one.group): one for one in found.groups}
    assert list(named) == [
        ("sex", "male"),
        ("sex", "female"),
        ("ethnicity", "black"),
        ("ethnicity", "white"),
        ("ethnicity", "asian"),
    ]
    black = named["ethnicity", "black"]
    assert black.share == rate(8, 10)
    assert [test.share for test in black.tests] == pytest.approx([percent / 100 for percent in range(10, 65, 5)])
    assert [test.p for test in black.tests] == [ShareTest.of(10, share).p[8] for share in FOOTFALL]
    assert [test.power for test in black.tests] == [ShareTest.of(10, share).power(2) for share in FOOTFALL]
    assert black.unsurprising_from == unsurprising_from(8, 10)
    assert named["ethnicity", "asian"].unsurprising_from == 0


def test_the_power_is_that_of_the_ratio_that_the_pack_asks_about() -> None:
    counted = Counted(truth={"false": 50}, raised=50, seen=90_000, false_by_sex={"male": 30, "female": 20})
    weak, strong = (figures_of(counted, group_ratio=ratio).groups[0].tests[8].power for ratio in (1.2, 3))
    assert weak < 0.2
    assert strong > 0.9


def test_thousands_of_false_alerts_are_no_reason_to_wait() -> None:
    thousand = {str(number): 1_000 for number in range(5)}
    counted = Counted(
        seen=10**7,
        raised=6_000,
        truth={"false": 5_000},
        false_by_sex={"male": 3_000, "female": 2_000},
        false_by_age=thousand,
        false_by_ethnicity=thousand,
    )
    begun = time.perf_counter()
    assert len(figures_of(counted, group_ratio=2).groups) == 12
    assert time.perf_counter() - begun < 5  # about 0.4 s; quadratic in the number of false alerts takes minutes
