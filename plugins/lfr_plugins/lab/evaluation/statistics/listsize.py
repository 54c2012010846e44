"""How FPIR depends on how many people are listed, from how many of them each non-mated person reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from msgspec import Struct
from scipy.special import gammaln

from lfr_plugins.lab.evaluation.statistics import _checks
from lfr_plugins.lab.evaluation.statistics.rates import Rate, rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "MOST_BEYOND",
    "ListSize",
    "expected_fpir",
    "extrapolated_fpir",
    "is_recommendable",
    "list_sizes",
    "size_exponent",
]

MOST_BEYOND = 1.1
"""Nothing is recommended for a list longer than so many times the tested one."""


class ListSize(Struct, frozen=True, kw_only=True):
    """FPIR at one threshold for a list of so many people."""

    listed: int
    fpir: Rate
    how: Literal["measured", "rarefied", "extrapolated"]
    is_recommendable: bool
    """Whether a threshold may be recommended for a list of this length."""


def expected_fpir(hits: ArrayLike, listed: int, sizes: ArrayLike) -> NDArray[np.float64]:
    """Return the mean FPIR over all sub-lists of so many of the listed people: rarefaction, exact.

    A person who reaches h of the N listed people reaches nobody on a random sub-list of m with the probability
    C(N-h, m) / C(N, m) (hypergeometric; Hurlbert, The nonconcept of species diversity, Ecology 52, 1971), here from
    logarithms of the gamma function.

    Args:
        hits: [n], how many of the listed people each non-mated person reaches at the threshold.
        listed: N.
        sizes: [M], lengths of sub-lists, each from 0 to N.

    Returns:
        float64 [M].

    Raises:
        ValueError: hits or sizes are empty, not whole or out of range.
    """
    reached = _checks.counts(hits, "hits", listed)
    lengths = _checks.counts(sizes, "sizes", listed)
    distinct, people = np.unique(reached, return_counts=True)
    missed, length = (listed - distinct)[:, None].astype(np.float64), lengths[None].astype(np.float64)
    possible = missed >= length
    rest = np.where(possible, missed - length, 0.0)
    logarithm = gammaln(missed + 1) - gammaln(rest + 1) - gammaln(listed + 1.0) + gammaln(listed - length + 1)
    alert = np.where(possible, -np.expm1(np.minimum(logarithm, 0.0)), 1.0)
    alert[distinct == 0] = 0.0  # and not what rounding leaves
    return np.asarray(people @ alert / reached.size, np.float64)


def extrapolated_fpir(fpir: float, listed: int, size: int) -> float:
    """Return FPIR for a longer list, *assuming* that false alerts of listed people add up independently.

    1 - (1 - FPIR)^(size / listed). Further people on a list are taken to be like those on it, and to reach other people
    than they do; neither was measured.

    Raises:
        ValueError: FPIR is not within 0 and 1, or a length is less than 1.
    """
    if not 0 <= fpir <= 1 or listed < 1 or size < 1:
        raise ValueError(f"expected FPIR within 0 and 1 and lists of 1 or more, got {fpir:g}, {listed} and {size}")
    return -float(np.expm1(size / listed * np.log1p(-fpir))) if fpir < 1 else 1.0


def size_exponent(hits: ArrayLike, listed: int) -> float | None:
    """Return b of FPIR ~ N^b, least squares over rarefied lists of N/8, N/4, N/2 and N people; None without a hit.

    1 when every listed person brings false alerts of his or her own; less when people reach several listed ones.

    Raises:
        ValueError: hits are empty, not whole or out of range, or fewer than 8 people are listed.
    """
    if listed < _PARTS[0]:
        raise ValueError(f"listed: expected at least {_PARTS[0]} people to see a trend over list sizes, got {listed}")
    if not _checks.counts(hits, "hits", listed).any():
        return None
    sizes = np.array([listed // part for part in _PARTS])
    return float(np.polyfit(np.log(sizes), np.log(expected_fpir(hits, listed, sizes)), 1)[0])


def is_recommendable(size: int, listed: int) -> bool:
    """Say whether a threshold may be recommended for a list of `size` people when `listed` were tested."""
    return size <= MOST_BEYOND * listed


def list_sizes(hits: ArrayLike, listed: int, sizes: Sequence[int]) -> list[ListSize]:
    """Return FPIR for lists of several lengths: rarefied up to N, extrapolated beyond.

    The interval is Clopper and Pearson's at the expected number of people, which is conservative for rarefied counts (a
    mean of probabilities varies less than one of zeros and ones); extrapolated bounds are the measured ones carried on.

    Args:
        hits: [n], how many of the listed people each non-mated person reaches at the threshold.
        listed: N.
        sizes: lengths, each 1 or more.

    Raises:
        ValueError: hits are empty, not whole or out of range; a length is less than 1.
    """
    n = _checks.counts(hits, "hits", listed).size
    rows = []
    for size in sizes:
        expected = expected_fpir(hits, listed, [min(size, listed)])[0]
        measured = rate(min(float(expected) * n, n), n)
        if size > listed:
            measured = _carried(measured, listed, size)
        how: Literal["measured", "rarefied", "extrapolated"] = (
            "measured" if size == listed else "rarefied" if size < listed else "extrapolated"
        )
        rows.append(ListSize(listed=size, fpir=measured, how=how, is_recommendable=is_recommendable(size, listed)))
    return rows


_PARTS = (8, 4, 2, 1)


def _carried(measured: Rate, listed: int, size: int) -> Rate:
    value, low, high, upper = (
        None if one is None else extrapolated_fpir(one, listed, size)
        for one in (measured.value, measured.low, measured.high, measured.upper)
    )
    note = f"extrapolated from {listed} listed people, as if false alerts added up independently"
    return Rate(
        events=(value or 0.0) * measured.n, n=measured.n, value=value, low=low, high=high, upper=upper, note=note
    )
