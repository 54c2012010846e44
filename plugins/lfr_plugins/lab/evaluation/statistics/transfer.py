"""The transferred operating point: a threshold from some people and a list, tried on other people and another list.

Rates at a threshold that the same people chose are what the choice made them. Here half of the non-mated people and
half of the listed ones (with their mated probes) choose, the other halves are counted, then the other way round, many
times over; every person is tried with thresholds that he or she had no part in. The price is the list: rates are those
of a list half as long. In simulations like those of `twoway` 94 to 96 of 100 intervals cover the true FPIR and 94 to 98
the true TPIR, and the one-sided bound of FPIR holds in 93 to 98, with 50 listed people and a coefficient of 1 in 91.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from lfr_plugins.lab.evaluation.statistics import _checks
from lfr_plugins.lab.evaluation.statistics.listsize import expected_fpir
from lfr_plugins.lab.evaluation.statistics.pairs import hits_at
from lfr_plugins.lab.evaluation.statistics.rates import Rate, not_measurable, rate
from lfr_plugins.lab.evaluation.statistics.thresholds import above, allowed_people
from lfr_plugins.lab.evaluation.statistics.twoway import ListRate, rate_over_lists

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from lfr_plugins.lab.evaluation.statistics.pairs import Pairs

__all__ = ["BelowFloorError", "Transferred", "transferred"]


class BelowFloorError(ValueError):
    """A fitted threshold lies where the pairs are not known."""


class Transferred(Struct, frozen=True, kw_only=True):
    """What thresholds for an FPIR do on people and lists that had no part in choosing them."""

    target: float
    """FPIR that each half's threshold was fitted to, descriptively."""
    repeats: int
    """Splits; each gives two thresholds, and tries every person once (but for one left over from an odd number)."""
    half_nonmated: int
    half_listed: int
    threshold: float | None = None
    """The fitted one with the achieved FPIR, averaged over lists of half the length (mostly a little below the median);
    None where half the people set no threshold."""
    thresholds: tuple[float, float] | None = None
    """5th and 95th percentile of the fitted ones."""
    tpir: Rate | None = None
    """Achieved, mean of all repeats; interval of the TPIR at that threshold, by people."""
    tpir_spread: tuple[float, float] | None = None
    """5th and 95th percentile over repeats: the luck of the split, no interval."""
    fpir: ListRate | None = None
    """Achieved, likewise; interval of the FPIR at that threshold, by people and lists of half the length."""
    fpir_spread: tuple[float, float] | None = None
    note: str | None = None


def transferred(
    mated: ArrayLike, mated_listed: ArrayLike, pairs: Pairs, target: float, *, repeats: int = 200, seed: int = 0
) -> Transferred:
    """Fit thresholds on halves, and count on the other halves.

    Intervals are Clopper and Pearson's at the mean count over all people (each is tried about once a repeat, so that
    more repeats do not narrow them); for FPIR over people and lists, as in `twoway`.

    Args:
        mated: [n_m], similarity of each mated person to the right listed person, -inf for a person never searched.
        mated_listed: [n_m], who that is, from 0 to N - 1, each once.
        pairs: the non-mated people and the listed ones they resemble; the floor must lie below the thresholds of lists
            half as long.
        target: FPIR for the half that chooses.
        repeats: splits.
        seed: of the splits.

    Raises:
        ValueError: scores are empty or NaN, a listed person has two mated people, the target is no share, there is
            no repeat, or fewer than two people or listed ones.
        BelowFloorError: a fitted threshold lies below the floor.
    """
    theirs = _checks.scores(mated, "mated")
    listed = _checks.counts(mated_listed, "mated_listed", pairs.listed - 1)
    target = _checks.share(target, "target")
    if listed.size != theirs.size or np.unique(listed).size != listed.size:
        raise ValueError(
            f"mated_listed: expected one listed person for each of {theirs.size} mated people and nobody twice, "
            f"got {listed.size} with {np.unique(listed).size} different ones; keep one score a person"
        )
    if repeats < 1 or min(pairs.people, pairs.listed) < _LEAST:
        raise ValueError(
            f"expected 1 repeat and {_LEAST} non-mated and listed people or more, "
            f"got {repeats}, {pairs.people} and {pairs.listed}"
        )
    half, half_listed = pairs.people // 2, pairs.listed // 2
    allowed = allowed_people(half, target)
    if not allowed:
        few = f"half of the people: {not_measurable(half, math.ceil(1 / target - 1e-9))}"
        return Transferred(target=target, repeats=repeats, half_nonmated=half, half_listed=half_listed, note=few)
    thresholds, found, tried, false = _splits((theirs, listed), pairs, allowed, repeats, seed)
    tpir, fpir = found.sum() / max(int(tried.sum()), 1), false.mean() / (2 * half)
    threshold = _typical(np.sort(thresholds), pairs, half_listed, float(fpir))
    return Transferred(
        target=target,
        repeats=repeats,
        half_nonmated=half,
        half_listed=half_listed,
        threshold=threshold,
        thresholds=_spread(thresholds),
        tpir=rate(float(tpir * theirs.size), theirs.size),
        tpir_spread=_spread(found / np.maximum(tried, 1)),
        fpir=rate_over_lists(float(fpir * pairs.people), pairs, threshold, half_listed),
        fpir_spread=_spread(false / (2 * half)),
    )


_LEAST = 2


def _splits(
    mated: tuple[NDArray[np.float64], NDArray[np.int64]], pairs: Pairs, allowed: int, repeats: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the thresholds [2 repeats]; and for each repeat the mated people found and tried, and the false alerts."""
    rng = np.random.default_rng(seed)
    theirs, listed = mated
    thresholds = np.empty((repeats, 2))
    found, tried, false = (np.zeros(repeats, np.int64) for _ in range(3))
    for repeat in range(repeats):
        side, listed_side = _halves(rng, pairs.people), _halves(rng, pairs.listed)
        together = side[pairs.rows] == listed_side[pairs.columns]
        best = np.full(pairs.people, -np.inf)
        np.maximum.at(best, pairs.rows[together], pairs.similarities[together])
        for chooser in (0, 1):
            other = 1 - chooser
            threshold = above(best[side == chooser], allowed)
            if threshold <= pairs.floor:
                raise BelowFloorError(
                    f"pairs: expected a floor below the thresholds of lists half as long, got {pairs.floor:g} with "
                    f"too few pairs above it for {allowed} people of a half; keep the pairs above a lower floor"
                )
            thresholds[repeat, chooser] = threshold
            probes = theirs[listed_side[listed] == other]
            found[repeat] += (probes >= threshold).sum()
            tried[repeat] += probes.size
            false[repeat] += (best[side == other] >= threshold).sum()
    return thresholds.ravel(), found, tried, false


def _typical(thresholds: NDArray[np.float64], pairs: Pairs, listed: int, fpir: float) -> float:
    """Return the lowest of the rising thresholds at which lists of a length have at most that FPIR on average."""
    low, high = -1, thresholds.size - 1
    while high - low > 1:
        middle = (low + high) // 2
        hits = hits_at(pairs, float(thresholds[middle]))
        low, high = (low, middle) if expected_fpir(hits, pairs.listed, [listed])[0] <= fpir else (middle, high)
    return float(thresholds[high])


def _halves(rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    """Return 0 or 1 for each of so many, equally often; -1 for the one left over from an odd number."""
    side = np.full(size, -1)
    order = rng.permutation(size)
    side[order[: size // 2]], side[order[size // 2 : size // 2 * 2]] = 0, 1
    return side


def _spread(values: NDArray[np.floating]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.05, 0.95))
    return float(low), float(high)
