"""Figures are what they say: thresholds with a promise that is kept, descriptions with none, and everybody counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_plugins.lab.evaluation.figures import TARGETS, describe, growth, histogram, recommend, transfer
from lfr_plugins.lab.evaluation.report import Report
from lfr_plugins.lab.evaluation.scoring import FLOOR, Scores
from lfr_plugins.lab.evaluation.statistics import (
    Pairs,
    expected_fpir,
    extrapolated_fpir,
    fpir_over_lists,
    hits_at,
    pairs_above,
    people_needed,
    rate,
    transferred,
    upper_bound,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


def scores_of(similarities: Any, own: Any = (0.9, 0.8), columns: Any = None, **changed: Any) -> Scores:
    """Return the scores of non-mated people with these similarities [n, N]; a row of -inf was never searched."""
    matrix = np.asarray(similarities, np.float64)
    theirs = np.asarray(own, np.float64)
    fields: dict[str, Any] = {
        "mated": tuple(f"m{number}" for number in range(len(theirs))),
        "own": theirs,
        "own_column": np.arange(len(theirs)) if columns is None else np.asarray(columns),
        "ranked_first": theirs > -np.inf,
        "others": np.full(len(theirs), -np.inf),
        "nonmated": tuple(f"n{number}" for number in range(len(matrix))),
        "nearest": matrix.max(axis=1),
        "pairs": pairs_above(matrix, FLOOR),
        "looks_mated": np.ones(len(theirs), np.int64),
        "looks_nonmated": np.ones(len(matrix), np.int64),
    }
    return Scores(**{**fields, **changed})


def random_scores(seed: int, people: int = 200, listed: int = 12, spread: float = 0.12) -> Scores:
    rng = np.random.default_rng(seed)
    lambs = rng.normal(scale=0.05, size=listed)
    matrix = rng.normal(0.1, spread, (people, listed)) + lambs
    matrix[rng.random(people) < 0.05] = -np.inf
    own = rng.normal(0.6, 0.1, listed)
    own[0] = -np.inf
    return scores_of(np.clip(matrix, -1, 1), own)


def upper(scores: Scores, threshold: float, size: int) -> float:
    """The higher of both one-sided bounds, as their definitions have it."""
    n, tested = scores.pairs.people, scores.pairs.listed
    events = float(expected_fpir(hits_at(scores.pairs, threshold), tested, [min(size, tested)])[0]) * n
    worst = max(upper_bound(min(events, n), n), fpir_over_lists(scores.pairs, threshold, min(size, tested)).upper)
    return worst if size <= tested else extrapolated_fpir(worst, tested, size)


def advice(scores: Scores, target: float, size: int | None = None, **more: Any) -> Any:
    return recommend({1: scores}, **{"target": target, "listed": size, "wanted_looks": 1, **more})


# ---- what may be recommended ---------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000), target=st.sampled_from((0.02, 0.05, 0.1, 0.3)), size=st.sampled_from((3, 12, 13)))
def test_it_is_the_smallest_thousandth_from_which_on_both_bounds_meet_the_target(
    seed: int, target: float, size: int
) -> None:
    scores = random_scores(seed)
    steps = [number / 1000 for number in range(200, round(1000 * scores.nearest.max()) + 3)]  # and nobody alerts beyond
    met = [upper(scores, step, size) <= target for step in steps]
    wanted = next((step for number, step in enumerate(steps) if all(met[number:])), None)
    found = advice(scores, target, size)
    assert found.threshold == wanted
    if wanted is not None:
        assert found.looks == 1
        assert found.fpir == rate(int((scores.nearest >= wanted).sum()), 200)
        assert found.fpir.upper <= target or size < 12
        assert found.fpir_over_lists == fpir_over_lists(scores.pairs, wanted, min(size, 12))
        assert found.tpir == rate(int((scores.own >= wanted).sum()), 12)


def test_a_tie_at_a_thousandth_counts_as_an_alert() -> None:
    for thousandth in range(560, 640):
        matrix = np.full((60, 2), -np.inf)
        matrix[0, 0] = thousandth / 1000
        found = advice(scores_of(matrix), 0.05)
        assert found.threshold == (thousandth + 1) / 1000
        assert found.fpir.events == 0


def test_nothing_is_recommended_beyond_a_tenth_more_than_the_tested_list() -> None:
    scores = random_scores(1, people=400, listed=20)
    assert advice(scores, 0.05, 22).threshold is not None
    found = advice(scores, 0.05, 23)
    assert (found.threshold, found.looks, found.fpir, found.tpir) == (None, None, None, None)
    assert found.note == "a list of 23 is more than 1.1 times the tested one of 20: test with a longer list"


def test_a_longer_list_asks_for_a_higher_threshold_and_a_shorter_one_allows_a_lower() -> None:
    scores = random_scores(2, people=600, listed=40, spread=0.1)
    thresholds = [advice(scores, 0.03, size).threshold for size in (5, 20, 40, 44)]
    assert thresholds == sorted(thresholds)
    assert len(set(thresholds)) >= 3


@pytest.mark.parametrize(("target", "people"), [(0.05, 58), (0.005, 597), (0.00017, 5000)])
def test_too_few_people_are_told_how_many_it_takes(target: float, people: int) -> None:
    quiet = scores_of(np.full((people, 3), -np.inf))
    found = advice(quiet, target)
    assert found.threshold is None
    assert found.note == f"not measurable with {people} people: it would take {people_needed(target)}"
    enough = advice(scores_of(np.full((people_needed(target), 3), -np.inf)), target)
    assert enough.threshold == FLOOR
    assert enough.fpir.events == 0


def test_a_longer_list_takes_more_people_and_the_number_is_enough() -> None:
    target, tested, size = 0.05, 10, 11
    few = advice(scores_of(np.full((59, tested), -np.inf)), target, size)
    assert few.threshold is None
    needed = int(few.note.rpartition(" ")[2])
    assert needed > 59
    assert advice(scores_of(np.full((needed - 1, tested), -np.inf)), target, size).threshold is None
    assert advice(scores_of(np.full((needed, tested), -np.inf)), target, size).threshold is not None


def test_a_stranger_with_a_listed_persons_template_leaves_no_threshold() -> None:
    matrix = np.full((60, 4), 0.1)
    matrix[7, 2] = 1.0
    found = advice(scores_of(matrix), 0.05)
    assert found.threshold is None
    assert "look at their photographs" in found.note
    assert advice(scores_of(np.vstack((matrix, np.full((60, 4), 0.1)))), 0.05).threshold <= 1.0


def test_a_list_of_one_tells_nothing_of_other_lists() -> None:
    found = advice(scores_of(np.full((100, 1), 0.1), own=[0.9]), 0.05)
    assert found.threshold is None
    assert found.note == "a list of 1 tells nothing of other lists: test with a longer list"


def test_it_is_shown_for_the_most_looks_that_can_be_shown_and_are_wanted() -> None:
    many, few = random_scores(3, people=400), random_scores(4, people=30)
    by_looks = {1: many, 2: random_scores(5, people=300), 4: random_scores(6, people=200), 8: few}

    def found(wanted: int | None) -> Any:
        return recommend(by_looks, target=0.05, listed=None, wanted_looks=wanted)

    assert [found(wanted).looks for wanted in (1, 2, 3, 4, 9, None)] == [1, 2, 2, 4, 4, 4]
    assert [found(wanted).note for wanted in (1, 2, 4)] == [None, None, None]
    assert found(3).note == "shown for passages of 2 faces; the profile pools up to 3 faces"
    assert found(None).note == "shown for passages of 4 faces; the profile pools as many faces as there are"
    assert [(one.looks, one.nonmated) for one in found(1).by_looks] == [(1, 400), (2, 300), (4, 200), (8, 30)]
    assert found(1).by_looks[3].note == "not measurable with 30 people: it would take 59"
    assert found(4).tpir.n == len(by_looks[4].mated)


def test_a_threshold_for_more_looks_does_for_fewer_too() -> None:
    """A passage of up to two faces may end after one."""
    first, second = scores_of(np.full((60, 2), 0.5), own=[0.9]), scores_of(np.full((60, 2), 0.4), own=[0.9])
    for by_looks in ({1: first, 2: second}, {1: second, 2: first}):
        found = recommend(by_looks, target=0.05, listed=None, wanted_looks=2)
        assert (found.looks, found.threshold) == (2, pytest.approx(0.501))
    few = random_scores(4, people=30)
    assert recommend({1: few, 2: first}, target=0.05, listed=None, wanted_looks=2).threshold is None


def test_mated_people_who_alert_as_somebody_else_are_counted_apart() -> None:
    others = np.array([0.7, -np.inf])
    found = advice(scores_of(np.full((60, 2), 0.3), own=[0.1, 0.9], others=others), 0.05)
    assert found.threshold == pytest.approx(0.301)
    assert (found.tpir.events, found.wrong_person.events, found.wrong_person.n) == (1, 1, 2)


def test_what_is_promised_holds_in_nineteen_of_twenty_evaluations() -> None:
    """Two hundred and fifty evaluations of people whose true FPIR is known at every threshold."""
    people, listed, target, runs = 240, 12, 0.05, 250
    base, fall_off, mean = 0.3, 0.02, 1.0  # pairs above the base of one person, Poisson
    rng = np.random.default_rng(20)
    broken = 0
    for _ in range(runs):
        cells = np.unique(rng.integers(0, people * listed, rng.poisson(people * mean)))
        pairs = Pairs(
            people=people, listed=listed, rows=cells // listed, columns=cells % listed,
            similarities=base + rng.exponential(fall_off, len(cells)), floor=FLOOR,
        )  # fmt: skip
        nearest = np.full(people, -np.inf)
        np.maximum.at(nearest, pairs.rows, pairs.similarities)
        scores = scores_of(np.full((people, listed), -np.inf), pairs=pairs, nearest=nearest)
        threshold = advice(scores, target).threshold
        chance = len(cells) / (people * listed) * np.exp(-(threshold - base) / fall_off)  # of one pair
        broken += 1 - (1 - chance) ** listed > target
    assert broken / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
    assert broken, "a promise that is never broken asks for more than it needs to"


# ---- what describes, and what was transferred ----------------------------------------------------------------------


def test_a_description_is_of_everybody_and_its_thresholds_of_those_very_people() -> None:
    scores = random_scores(7, people=1000)
    found = describe(scores, None, "a note")
    assert (found.mated, found.nonmated, found.looks, found.note) == (12, 1000, None, "a note")
    assert [point.target for point in found.points] == list(TARGETS)
    for point in found.points[:2]:
        threshold = point.threshold.threshold
        assert (scores.nearest >= threshold).mean() <= point.target
        assert (scores.nearest >= np.nextafter(threshold, -1)).mean() > point.target
        assert point.tpir == rate(int((scores.own >= threshold).sum()), 12)
    assert found.points[3].threshold.threshold is None
    assert found.points[3].tpir is None
    assert found.rank_one == rate(11, 12)
    assert found.curve.nonmated == 1000


def test_people_far_from_everybody_are_no_reason_for_a_threshold_of_nothing() -> None:
    scores = scores_of(np.full((200, 3), 0.15))
    (point, *_) = describe(scores, 1).points
    assert point.threshold.threshold == np.nextafter(0.15, 1)
    assert point.threshold.fpir.events == 0


def test_transferred_is_what_the_statistics_say_for_people_who_are_listed() -> None:
    scores = random_scores(8, people=400)
    found = transfer(scores, 0.05)
    assert found == transferred(scores.own, scores.own_column, scores.pairs, 0.05)
    assert found.tpir.n == 12


def test_who_could_not_be_listed_is_missed_in_every_half() -> None:
    scores = random_scores(8, people=400)
    alone = transfer(scores, 0.05)
    unlisted = msgspec.structs.replace(
        scores, own=np.append(scores.own, [-np.inf] * 6), own_column=np.append(scores.own_column, [-1] * 6)
    )
    found = transfer(unlisted, 0.05)
    assert found.tpir.n == 18
    assert found.tpir.events == pytest.approx(alone.tpir.events)
    assert found.tpir_spread == pytest.approx([end * 12 / 18 for end in alone.tpir_spread])
    assert (found.fpir, found.threshold) == (alone.fpir, alone.threshold)
    nobody = msgspec.structs.replace(unlisted, own=np.full(18, -np.inf), own_column=np.full(18, -1))
    assert (transfer(nobody, 0.05).tpir.events, transfer(nobody, 0.05).tpir.n) == (0, 18)


@pytest.mark.parametrize(
    ("matrix", "target", "note"),
    [
        (np.full((100, 1), 0.5), 0.1, "100 non-mated and 1 listed people cannot be halved"),
        (np.full((1, 10), 0.5), 0.1, "1 non-mated and 10 listed people cannot be halved"),
        (np.full((100, 4), 0.1), 0.1, "the target is met below 0.2, the least threshold that a profile may set"),
        (np.full((100, 4), 0.5), 0.01, "half of the people: not measurable with 50 people: it would take 100"),
    ],
)
def test_what_cannot_be_transferred_says_why(matrix: NDArray[np.float64], target: float, note: str) -> None:
    found = transfer(scores_of(matrix, own=[0.9]), target)
    assert (found.note, found.tpir, found.fpir) == (note, None, None)


def test_the_two_kinds_of_figure_share_no_section() -> None:
    fields = {field.name: str(field.type) for field in msgspec.structs.fields(Report)}
    assert "Transferred" not in fields["descriptive"]
    assert "Descriptive" not in fields["transferred"]
    assert not {"threshold", "tpir", "fpir"} & fields.keys(), (
        "no figure stands outside of a section that names its kind"
    )


# ---- lists and histograms ------------------------------------------------------------------------------------------


def test_growth_is_measured_up_to_the_list_and_extrapolated_beyond() -> None:
    scores = random_scores(9, people=500, listed=40)
    found = growth(scores, 1, 0.3, [15, 43])
    assert found is not None
    assert [one.listed for one in found.sizes] == [5, 10, 15, 20, 40, 43, 80, 10_000]
    assert [one.how for one in found.sizes] == ["rarefied"] * 4 + ["measured"] + ["extrapolated"] * 3
    assert [one.is_recommendable for one in found.sizes] == [True] * 6 + [False] * 2
    assert found.sizes[4].fpir.events == pytest.approx((scores.nearest >= 0.3).sum())
    values = [one.fpir.value for one in found.sizes]
    assert values == sorted(values)
    assert growth(random_scores(9, listed=7), 1, 0.3, []) is None


@given(seed=st.integers(0, 1000))
def test_everybody_is_in_a_histogram_once(seed: int) -> None:
    scores = random_scores(seed, spread=0.3)
    found = histogram(scores, 1)
    assert sum(found.mated) + found.unsearched_mated == len(scores.mated)
    assert sum(found.nonmated) + found.unsearched_nonmated == len(scores.nonmated)
    assert found.unsearched_nonmated == np.isneginf(scores.nearest).sum()
    assert len(found.edges) == len(found.mated) + 1 == len(found.nonmated) + 1
    inner = (scores.nearest >= found.edges[30]) & (scores.nearest < found.edges[31])
    assert abs(found.nonmated[30] - inner.sum()) <= 1
    assert found.nonmated[0] >= ((scores.nearest > -np.inf) & (scores.nearest < FLOOR)).sum()
