"""A simulated system with known true rates is covered by the reported 95 % intervals in 93 to 97 of 100 runs.

People and listed people differ: each has a propensity to false alerts, gamma-distributed, shared by all of his or her
pairs, so that who is listed matters. Similarities above a floor fall off exponentially. True rates are then known in
closed form over lists, and by quadrature over people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec import Struct
from scipy import stats

from lfr_plugins.lab.evaluation.statistics import (
    Pairs,
    expected_fpir,
    fpir_over_lists,
    highest,
    hits_at,
    interval,
    paired_difference,
    quantile_bounds,
    threshold_at,
    transferred,
    upper_bound,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FLOOR, FALL_OFF = 0.4, 0.04
MATED = stats.norm(0.62, 0.09)


class System(Struct, frozen=True):
    """Non-mated people and listed people drawn from populations whose rates are known."""

    people: int
    listed: int
    fpir: float
    """About; at `threshold`."""
    variation: float = 0.7
    """Standard deviation over mean of the propensities, of people and of listed people."""
    threshold: float = 0.48

    @property
    def shape(self) -> float:
        return self.variation**-2

    @property
    def rate(self) -> float:
        """False pairs above the threshold, of all pairs."""
        return self.fpir / self.listed

    def true_fpir(self, threshold: float, listed: int) -> float:
        """Over all people and all lists of a length: the Laplace transform of a gamma distribution, twice."""
        propensity = stats.gamma.ppf((np.arange(2000) + 0.5) / 2000, self.shape, scale=1 / self.shape)
        pairs = self.rate * np.exp((self.threshold - threshold) / FALL_OFF) * propensity
        return float(1 - np.mean((1 + pairs / self.shape) ** (-self.shape * listed)))

    def true_fpir_of(self, on_list: NDArray[np.float64], threshold: float) -> float:
        """Over all people, for one list."""
        pairs = self.rate * np.exp((self.threshold - threshold) / FALL_OFF) * on_list.sum()
        return float(1 - (1 + pairs / self.shape) ** -self.shape)

    def draw(self, rng: np.random.Generator) -> tuple[Pairs, NDArray[np.float64]]:
        """Return one sample, and the propensities of those on its list."""
        propensity, on_list = (rng.gamma(self.shape, 1 / self.shape, size=size) for size in (self.people, self.listed))
        mean = self.rate * np.exp((self.threshold - FLOOR) / FALL_OFF) * propensity.sum() * on_list.sum()
        total = rng.poisson(mean)
        rows, columns = (
            np.searchsorted(np.cumsum(one), rng.random(total) * one.sum()) for one in (propensity, on_list)
        )
        cells = np.unique(rows * self.listed + columns)
        return Pairs(
            people=self.people,
            listed=self.listed,
            rows=cells // self.listed,
            columns=cells % self.listed,
            similarities=FLOOR + rng.exponential(FALL_OFF, cells.size),
            floor=FLOOR,
        ), on_list


def covered(runs: int, once: Callable[[np.random.Generator], tuple[bool, ...]], seed: int = 1) -> NDArray[np.float64]:
    """Return the share of runs in which each interval or bound held."""
    rng = np.random.default_rng(seed)
    return np.mean([once(rng) for _ in range(runs)], axis=0)


def holds(share: float) -> bool:
    return 0.93 <= share <= 0.97


@pytest.mark.parametrize(("n", "p"), [(444, 0.93), (1000, 0.85), (2284, 0.97)])
def test_tpir(n: int, p: float) -> None:
    events = np.random.default_rng(3).binomial(n, p, size=20_000)
    known = {int(k): (*interval(int(k), n), upper_bound(int(k), n)) for k in np.unique(events)}
    low, high, upper = np.array([known[int(k)] for k in events]).T
    assert holds(float(np.mean((low <= p) & (p <= high))))
    assert np.mean(upper >= p) >= 0.93


def test_images_in_place_of_people_would_promise_too_much() -> None:
    """The test above can fail: five images of each person, counted as five people."""
    people, images, true = 300, 5, 0.9
    rng = np.random.default_rng(4)
    own = rng.beta(2.7, 0.3, size=(4000, people))
    by_image = rng.binomial(images, own).sum(axis=1)
    by_person = rng.binomial(1, own).sum(axis=1)
    wrong, right = (
        np.mean([low <= true <= high for low, high in (interval(int(k), n) for k in counted)])
        for counted, n in ((by_image, people * images), (by_person, people))
    )
    assert wrong < 0.85
    assert holds(float(right))


def test_fpir_given_the_list() -> None:
    system = System(people=1840, listed=444, fpir=0.012)

    def once(rng: np.random.Generator) -> tuple[bool, ...]:
        pairs, on_list = system.draw(rng)
        events = int(np.count_nonzero(hits_at(pairs, system.threshold)))
        true = system.true_fpir_of(on_list, system.threshold)
        low, high = interval(events, system.people)
        return low <= true <= high, true <= upper_bound(events, system.people)

    two_sided, one_sided = covered(2000, once)
    assert holds(two_sided)
    assert one_sided >= 0.93


@pytest.mark.parametrize(
    "system",
    [
        System(people=1840, listed=444, fpir=0.01),
        System(people=2000, listed=50, fpir=0.05),
        System(people=2000, listed=50, fpir=0.02, variation=1.0),
        System(people=1000, listed=100, fpir=0.02, variation=1.0),
        System(people=2000, listed=500, fpir=0.05, variation=1.0),
        System(people=500, listed=50, fpir=0.05, variation=0.3),
    ],
)
def test_fpir_over_people_and_lists(system: System) -> None:
    true = system.true_fpir(system.threshold, system.listed)

    def once(rng: np.random.Generator) -> tuple[bool, ...]:
        found = fpir_over_lists(system.draw(rng)[0], system.threshold)
        return found.low <= true <= found.high, true <= found.upper

    two_sided, one_sided = covered(1500, once)
    assert holds(two_sided)
    assert one_sided >= 0.93


@pytest.mark.parametrize("listed", [50, 25])
def test_few_false_alerts_make_it_wider_than_need_be_and_never_narrower(listed: int) -> None:
    system = System(people=500, listed=50, fpir=0.005)
    true = system.true_fpir(system.threshold, listed)

    def once(rng: np.random.Generator) -> tuple[bool, ...]:
        found = fpir_over_lists(system.draw(rng)[0], system.threshold, listed)
        return found.low <= true <= found.high, true <= found.upper

    two_sided, one_sided = covered(1000, once)
    assert two_sided >= 0.95
    assert one_sided >= 0.93


def test_fpir_of_shorter_lists() -> None:
    system = System(people=2000, listed=200, fpir=0.02, variation=1.0)
    true = system.true_fpir(system.threshold, 100)

    def once(rng: np.random.Generator) -> tuple[bool, ...]:
        found = fpir_over_lists(system.draw(rng)[0], system.threshold, 100)
        return found.low <= true <= found.high, true <= found.upper

    two_sided, one_sided = covered(1500, once)
    assert holds(two_sided)
    assert one_sided >= 0.93


def test_an_interval_by_people_alone_would_not_hold_over_lists() -> None:
    system = System(people=2000, listed=50, fpir=0.05)
    true = system.true_fpir(system.threshold, system.listed)

    def once(rng: np.random.Generator) -> tuple[bool, ...]:
        events = int(np.count_nonzero(hits_at(system.draw(rng)[0], system.threshold)))
        low, high = interval(events, system.people)
        return (low <= true <= high,)

    assert covered(1000, once)[0] < 0.9


def test_rarefaction_has_no_bias_over_lists() -> None:
    system = System(people=1000, listed=60, fpir=0.1)
    rng = np.random.default_rng(5)
    means = np.mean(
        [expected_fpir(hits_at(system.draw(rng)[0], system.threshold), 60, [60, 30, 10]) for _ in range(1000)], axis=0
    )
    true = [system.true_fpir(system.threshold, size) for size in (60, 30, 10)]
    assert means == pytest.approx(true, rel=0.03)


@pytest.mark.parametrize(
    "system", [System(people=1840, listed=444, fpir=0.02), System(people=1000, listed=444, fpir=0.04, variation=1.0)]
)
def test_the_transferred_point(system: System) -> None:
    """The threshold comes from halves of the sample, so the true rates at it are those of lists of half the length."""

    def once(rng: np.random.Generator) -> tuple[bool, ...]:
        pairs, _ = system.draw(rng)
        mated = MATED.rvs(system.listed, random_state=rng)
        found = transferred(mated, np.arange(system.listed), pairs, system.fpir / 2, repeats=10)
        assert found.threshold is not None
        assert found.tpir is not None
        assert found.fpir is not None
        true = system.true_fpir(found.threshold, system.listed // 2)
        true_tpir = MATED.sf(found.threshold)
        return (
            found.fpir.low <= true <= found.fpir.high,
            (found.tpir.low or 0) <= true_tpir <= (found.tpir.high or 0),
            true <= found.fpir.upper,
        )

    fpir, tpir, upper = covered(800, once)
    assert holds(fpir)
    assert holds(tpir)
    assert upper >= 0.93


def test_a_described_threshold_promises_nothing_and_its_bounds_hold() -> None:
    system = System(people=1840, listed=444, fpir=0.02)

    def once(rng: np.random.Generator) -> tuple[bool, ...]:
        pairs, on_list = system.draw(rng)
        scores = highest(pairs)
        described = threshold_at(scores, 0.01)
        low, high = quantile_bounds(scores, 0.01)
        assert None not in (described.threshold, low, high)
        return (
            system.true_fpir_of(on_list, described.threshold or 0) <= 0.01,
            system.true_fpir_of(on_list, high or 0) <= 0.01 <= system.true_fpir_of(on_list, low or 0),
        )

    described, bounds = covered(1000, once)
    assert described < 0.6  # a description is no promise
    assert holds(bounds)


def test_the_paired_difference() -> None:
    """Two configurations on the same people; one of them a little better."""
    gain, noise, target = 0.02, 0.04, 0.02
    stranger, mate = stats.norm(0.2, 0.1), stats.norm(0.55, 0.1)
    wide = np.hypot(0.1, noise)
    true = [stats.norm(0.55 + shift, wide).sf(stats.norm(0.2, wide).isf(target)) for shift in (0.0, gain)]

    def once(rng: np.random.Generator) -> tuple[bool, ...]:
        mated, others = mate.rvs(400, random_state=rng), stranger.rvs(1000, random_state=rng)
        pair = [
            (mated + shift + rng.normal(0, noise, 400), others + rng.normal(0, noise, 1000)) for shift in (0.0, gain)
        ]
        found = paired_difference(pair[0], pair[1], target, replicates=200)
        difference = true[1] - true[0]
        return (
            (found.low or 0) <= difference <= (found.high or 0),
            (found.lower or 0) <= difference,
        )

    two_sided, one_sided = covered(400, once)
    assert 0.92 <= two_sided <= 0.98
    assert one_sided >= 0.92
