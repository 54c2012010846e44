"""Early alerts, transferred points and paired comparisons do what they say."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_plugins.lab.evaluation.statistics import (
    Transferred,
    calibrated_threshold,
    first_alerts,
    highest,
    paired_difference,
    pairs_above,
    rule_scores,
    running_maxima,
    scaled_margins,
    threshold_at,
    transferred,
    with_looks,
)

NAN = float("nan")


def looked(seed: int, people: int = 300, looks: int = 6, never: int = 0) -> Any:
    """Return pooled similarities of people seen 1 to so many times (`never` of them not once), [n, K]."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(0.3, 0.1, (people, looks))
    matrix[np.arange(looks)[None] >= rng.integers(1, looks + 1, people)[:, None]] = NAN
    matrix[:never] = NAN
    return matrix


def test_maxima_run_and_stay() -> None:
    found = running_maxima([[0.2, 0.5, 0.3], [0.4, NAN, NAN], [NAN, NAN, NAN]])
    assert found.tolist() == [[0.2, 0.5, 0.5], [0.4, 0.4, 0.4], [-np.inf] * 3]


def test_an_early_look_asks_for_more() -> None:
    similarities = [[0.65, 0.5], [0.65, 0.62], [0.75, 0.1], [0.5, NAN]]
    assert first_alerts(similarities, 0.6, [0.1, 0]).tolist() == [0, 2, 1, 0]
    assert first_alerts(similarities, 0.6).tolist() == [1, 1, 1, 0]
    assert rule_scores(similarities, [0.1, 0]) == pytest.approx([0.55, 0.62, 0.65, 0.4])


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 1000), margins=st.lists(st.floats(0, 0.3), min_size=6, max_size=6), target=st.floats(0.02, 0.3)
)
def test_a_calibrated_rule_lets_through_what_its_target_allows(seed: int, margins: list[float], target: float) -> None:
    early = sorted(margins, reverse=True)
    nonmated = looked(seed, never=5)
    found = calibrated_threshold(nonmated, target, early)
    assert found.threshold is not None
    alerts = first_alerts(nonmated, found.threshold, early)
    assert (alerts > 0).sum() <= 300 * target + 1e-9
    lower = float(np.nextafter(found.threshold, -1))
    assert (first_alerts(nonmated, lower, early) > 0).sum() > (alerts > 0).sum()


def test_a_threshold_of_whole_passages_lets_more_through_when_every_look_may_alert() -> None:
    nonmated = looked(1, people=2000, looks=6)
    last = np.array([row[~np.isnan(row)][-1] for row in nonmated])
    naive = threshold_at(last, 0.02).threshold
    assert naive is not None
    assert (first_alerts(nonmated, naive) > 0).mean() > 0.04
    guaranteed = calibrated_threshold(nonmated, 0.02, guaranteed=True).threshold
    described = calibrated_threshold(nonmated, 0.02).threshold
    assert guaranteed is not None
    assert described is not None
    assert guaranteed > described > naive


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 1000), target=st.floats(0.02, 0.3), threshold=st.floats(0.3, 0.6))
def test_scaled_margins_are_the_smallest_that_keep_the_target(seed: int, target: float, threshold: float) -> None:
    nonmated, shape = looked(seed), [3.0, 2.0, 1.0, 0.5, 0.01, 0.0]
    found = scaled_margins(nonmated, threshold, target, shape)
    always = (np.nan_to_num(nonmated[:, -1], nan=-1) >= threshold).sum()
    allowed = int(300 * target + 1e-9)
    if found is None:
        assert always > allowed
        return
    assert found.fpir.events == (first_alerts(nonmated, threshold, found.early) > 0).sum() <= allowed
    assert found.early == pytest.approx(np.array(shape) * found.early[0] / 3)
    if found.early[0] > 1e-6:
        smaller = [one * (1 - 1e-6) for one in found.early]
        assert (first_alerts(nonmated, threshold, smaller) > 0).sum() > allowed


def test_similarities_right_at_the_threshold_need_a_margin_too() -> None:
    found = scaled_margins([[0.5, 0.1]] * 10, 0.5, 0.1, [0.001, 0.0])
    assert found is not None
    assert found.fpir.events == 0
    assert 0 < found.early[0] < 1e-9


def test_people_are_compared_after_as_many_looks() -> None:
    kept = with_looks([[0.2, 0.5, 0.3], [0.4, NAN, NAN], [0.1, 0.6, NAN]], 2)
    assert kept.tolist() == [[0.2, 0.5], [0.1, 0.6]]
    with pytest.raises(ValueError, match="expected somebody with 2 faces or more, got nobody among 1 people"):
        with_looks([[0.4, NAN]], 2)
    with pytest.raises(ValueError, match="looks: expected 1 to 2, got 3"):
        with_looks([[0.4, NAN]], 3)


@pytest.mark.parametrize(
    ("early", "said"), [([0.1], "expected 2 margins"), ([0.0, 0.1], "never rise"), ([0.1, -0.1], "0 or more")]
)
def test_margins_that_make_no_rule_are_refused(early: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rule_scores([[0.1, 0.2]], early)


def test_a_gap_between_looks_is_refused() -> None:
    with pytest.raises(ValueError, match="a gap in row 1"):
        running_maxima([[0.1, 0.2], [NAN, 0.2]])
    with pytest.raises(ValueError, match="expected a matrix"):
        running_maxima([0.1, 0.2])


def crowd(seed: int, people: int = 600, listed: int = 120) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.13, (people, listed)), rng.normal(0.7, 0.1, listed)


def test_a_transferred_point_is_counted_on_the_other_half() -> None:
    """Against a slow reference: the same splits, fitted and counted on dense blocks."""
    similarities, mated = crowd(5)
    found = transferred(mated, np.arange(120), pairs_above(similarities, 0.2), 0.02, repeats=3, seed=9)
    rng = np.random.default_rng(9)
    hits = false = 0
    for _ in range(3):
        order, list_order = rng.permutation(600), rng.permutation(120)
        blocks = [(order[:300], list_order[:60]), (order[300:], list_order[60:])]
        for (people, on_list), (others, other_list) in (blocks, blocks[::-1]):
            threshold = threshold_at(similarities[np.ix_(people, on_list)].max(axis=1), 0.02).threshold
            assert threshold is not None
            false += (similarities[np.ix_(others, other_list)].max(axis=1) >= threshold).sum()
            hits += (mated[other_list] >= threshold).sum()
    assert found.fpir is not None
    assert found.tpir is not None
    assert found.fpir.value == pytest.approx(false / (3 * 600))
    assert found.tpir.value == pytest.approx(hits / (3 * 120))
    assert (found.half_nonmated, found.half_listed, found.fpir.listed, found.tpir.n) == (300, 60, 60, 120)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Transferred) == found


def test_more_repeats_do_not_narrow_the_interval() -> None:
    similarities, mated = crowd(6)
    pairs = pairs_above(similarities, 0.2)
    few, many = (transferred(mated, np.arange(120), pairs, 0.02, repeats=repeats) for repeats in (10, 200))
    assert few.tpir is not None
    assert many.tpir is not None
    widths = [(one.high or 0) - (one.low or 0) for one in (few.tpir, many.tpir)]
    assert widths[1] == pytest.approx(widths[0], rel=0.2)


def test_odd_numbers_leave_one_out_and_too_few_have_no_point() -> None:
    similarities, mated = crowd(7, people=601, listed=121)
    found = transferred(mated, np.arange(121), pairs_above(similarities, 0.2), 0.02, repeats=5)
    assert (found.half_nonmated, found.half_listed) == (300, 60)
    nothing = transferred(mated, np.arange(121), pairs_above(similarities, 0.2), 0.001)
    assert (nothing.threshold, nothing.tpir, nothing.fpir) == (None, None, None)
    assert nothing.note == "half of the people: not measurable with 300 people: it would take 1000"


def test_a_transferred_point_wants_a_low_floor_and_one_mated_score_a_person() -> None:
    similarities, mated = crowd(8)
    with pytest.raises(ValueError, match=r"floor below the thresholds of lists half as long, got 0\.5"):
        transferred(mated, np.arange(120), pairs_above(similarities, 0.5), 0.02)
    with pytest.raises(ValueError, match="nobody twice, got 120 with 119 different ones; keep one score a person"):
        transferred(mated, np.r_[0, 0:119], pairs_above(similarities, 0.2), 0.02)
    with pytest.raises(ValueError, match="mated_listed: expected whole numbers from 0 to 119"):
        transferred(mated, np.arange(1, 121), pairs_above(similarities, 0.2), 0.02)


def test_the_same_configuration_twice_does_not_differ() -> None:
    similarities, mated = crowd(9)
    scores = similarities.max(axis=1)
    found = paired_difference((mated, scores), (mated, scores), 0.05)
    assert (found.difference, found.low, found.high, found.lower) == (0, 0, 0, 0)


def test_a_shift_of_all_similarities_is_no_gain() -> None:
    similarities, mated = crowd(10)
    scores = similarities.max(axis=1)
    found = paired_difference((mated, scores), (mated + 0.1, scores + 0.1), 0.05)
    assert found.difference == pytest.approx(0, abs=0.01)
    assert (found.low or 0) <= 0 <= (found.high or 0)


def test_each_replicate_fits_its_threshold_anew() -> None:
    """With all mated people alike, TPIR varies only as the thresholds do."""
    rng = np.random.default_rng(11)
    others = rng.normal(0, 0.1, 1000)
    threshold = threshold_at(others, 0.05).threshold
    assert threshold is not None
    found = paired_difference((np.full(50, threshold + 1e-9), others), (np.full(50, 0.9), others), 0.05)
    assert (found.first, found.second, found.difference) == (1, 1, 0)
    assert (found.low, found.high) == (0, 1)


def test_a_comparison_wants_the_same_people_and_a_measurable_target() -> None:
    with pytest.raises(ValueError, match="the same mated people, got 2 and 3"):
        paired_difference(([1, 1], [0] * 9), ([1, 1, 1], [0] * 9), 0.2)
    with pytest.raises(ValueError, match="the same non-mated people, got 9 and 8"):
        paired_difference(([1, 1], [0] * 9), ([1, 1], [0] * 8), 0.2)
    nothing = paired_difference(([1, 1], [0] * 9), ([1, 1], [0] * 9), 0.1)
    assert nothing.difference is None
    assert nothing.note == "not measurable with 9 people: it would take 10"


def test_the_whole_evaluation_takes_seconds() -> None:
    similarities, mated = crowd(12, people=1840, listed=444)
    began = time.process_time()
    pairs = pairs_above(similarities, 0.25)
    scores = highest(pairs)
    transferred(mated, np.arange(444), pairs, 0.01)
    paired_difference((mated, scores), (mated + 0.01, scores), 0.01)
    assert time.process_time() - began < 5
