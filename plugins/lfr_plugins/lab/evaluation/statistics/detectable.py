"""What a test of groups could have found: power at a ratio that was set beforehand, never at the one observed.

Power at the observed difference is the p-value in other words (Hoenig and Heisey, The abuse of power, The American
Statistician 55, 2001), so nothing here takes observed events of the groups compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from lfr_plugins.lab.evaluation.statistics import _checks

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["power", "smallest_ratio"]

_NEGLIGIBLE = 1e-9
_CERTAIN = 1e-3
_TIED = 1 + 1e-7
"""Tables count as equally likely within this factor, as in `scipy.stats.fisher_exact`."""


def power(people: int, others: int, base: float, ratio: float, alpha: float = 0.05) -> float:
    """Return the chance that Fisher's exact two-sided test tells a group from all others.

    By enumeration of both binomial distributions: exact but for tables that are less likely than 1e-9 altogether.

    Args:
        people: in the group.
        others: everybody else.
        base: true rate of the others.
        ratio: true rate of the group over it; their product at most 1.
        alpha: the level at which the test rejects.

    Raises:
        ValueError: no people on a side, base or alpha no shares, or a rate above 1.
    """
    _check(people, others, base, alpha)
    if not 0 <= ratio * base <= 1:
        raise ValueError(f"ratio: expected a rate of the group within 0 and 1, got {ratio:g} times {base:g}")
    return _chance(_region(people, others, base, alpha), people, others, base, ratio)


def smallest_ratio(people: int, others: int, base: float, wanted: float = 0.8, alpha: float = 0.05) -> float | None:
    """Return the smallest ratio above 1 that `power` finds with a chance of 80 %, or None where none is found so often.

    To within 0.1 %. Arguments and errors as for `power`, and `wanted`, a share.
    """
    _check(people, others, base, alpha)
    _checks.share(wanted, "wanted")
    region = _region(people, others, base, alpha)
    low, high = 1.0, 1 / base
    if _chance(region, people, others, base, high) < wanted:
        return None
    while high / low > _PRECISION:
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if _chance(region, people, others, base, middle) >= wanted else (middle, high)
    return high


_PRECISION = 1.001


def _check(people: int, others: int, base: float, alpha: float) -> None:
    if min(people, others) < 1:
        raise ValueError(f"expected people in the group and besides, got {people} and {others}")
    _checks.share(base, "base")
    _checks.share(alpha, "alpha")


def _range(n: int, rate: float) -> NDArray[np.int64]:
    """Return the counts that a binomial distribution does not practically rule out."""
    low, high = stats.binom.ppf(_NEGLIGIBLE, n, rate), stats.binom.isf(_NEGLIGIBLE, n, rate)
    return np.arange(int(low), int(high) + 1)


def _region(people: int, others: int, base: float, alpha: float) -> NDArray[np.bool_]:
    """Say which tables Fisher's test rejects, bool [people + 1, counts of the others]."""
    theirs = _range(others, base)
    region = np.zeros((people + 1, theirs.size), np.bool_)
    for total in range(int(theirs[0]), people + int(theirs[-1]) + 1):
        possible = np.arange(max(0, total - others), min(people, total) + 1)
        likely = stats.hypergeom.pmf(possible, people + others, total, people)
        order = np.argsort(likely)
        summed = np.append(0.0, np.cumsum(likely[order]))
        p = summed[np.searchsorted(likely[order], likely * _TIED, side="right")]
        kept = (total - possible >= theirs[0]) & (total - possible <= theirs[-1])
        mine, rest = possible[kept], total - possible[kept] - theirs[0]
        region[mine, rest] = (p <= alpha)[kept]
        if mine.size == theirs.size and mine[0] * others > theirs[-1] * people and p[kept].max() < alpha * _CERTAIN:
            for column, first in enumerate(mine[::-1]):  # more events in the group are rejected all the more
                region[first:, column] = True
            break
    return region


def _chance(region: NDArray[np.bool_], people: int, others: int, base: float, ratio: float) -> float:
    group = stats.binom.pmf(np.arange(people + 1), people, min(ratio * base, 1.0))
    rest = stats.binom.pmf(_range(others, base), others, base)
    return float(group @ region @ rest)
