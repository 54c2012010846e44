"""A rate among people, with the interval that so many people allow.

Intervals are Clopper and Pearson's (The use of confidence or fiducial limits illustrated in the case of the binomial,
Biometrika 26, 1934), from quantiles of the beta distribution: they hold what they promise for every n and every true
rate, and are somewhat wider than need be for small counts. They hold for people who are independent of each other: an n
that counts several images or passages of the same person promises more than it can keep.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct
from scipy import stats

from lfr_plugins.lab.evaluation.statistics import _checks

__all__ = ["CONFIDENCE", "Rate", "interval", "not_measurable", "people_needed", "rate", "upper_bound"]

CONFIDENCE = 0.95
"""Of every interval and bound that does not name another."""
_MOST_PEOPLE = 10**12
_NOTHING = 1e-9
"""Of an event counts as none: the beta distribution overflows there, and its lower bound is 0 long before."""


class Rate(Struct, frozen=True, kw_only=True):
    """Events among people. What cannot be measured has no value, and a note that says why."""

    events: float
    """People to whom it happened; fractional where counts were averaged."""
    n: int
    """People to whom it could have happened."""
    value: float | None
    """events / n."""
    low: float | None
    high: float | None
    """Two-sided interval, 95 % unless asked for another."""
    upper: float | None
    """One-sided upper bound of the same confidence."""
    note: str | None = None


def interval(events: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return Clopper and Pearson's two-sided interval for a rate.

    For whole events it is `scipy.stats.binomtest(events, n).proportion_ci(method="exact")`; the quantiles of the beta
    distribution carry it on to fractional counts, which means and effective numbers of people need (Korn and Graubard,
    Survey Methodology 24, 1998).

    Args:
        events: from 0 to n, need not be whole.
        n: people, more than 0, need not be whole.
        confidence: a share.

    Raises:
        ValueError: out of range.
    """
    tail = (1 - _checks.share(confidence, "confidence")) / 2
    _check(events, n)
    return _low(events, n, tail), _high(events, n, tail)


def upper_bound(events: float, n: float, confidence: float = CONFIDENCE) -> float:
    """Return Clopper and Pearson's one-sided upper bound: the largest rate at which so few events are not too few.

    Without events it is 1 - (1 - confidence)^(1/n), at 95 % about 3/n: the rule of three (Hanley and Lippman-Hand, If
    nothing goes wrong, is everything all right?, JAMA 249, 1983). Arguments and errors as for `interval`.
    """
    tail = 1 - _checks.share(confidence, "confidence")
    _check(events, n)
    return _high(events, n, tail)


def people_needed(target: float, events: int = 0, confidence: float = CONFIDENCE) -> int:
    """Return the smallest n at which `events` among n people put the one-sided upper bound at or below `target`.

    For no events that is ln(1 - confidence) / ln(1 - target), rounded up: 17,621 for 0.017 %.

    Raises:
        ValueError: the target or the confidence is no share, or `events` is negative.
    """
    _checks.share(target, "target")
    _checks.share(confidence, "confidence")
    if events < 0:
        raise ValueError(f"events: expected 0 or more, got {events}")
    low, high = events, events + 1
    while upper_bound(events, high, confidence) > target:
        low, high = high, 2 * high
        if high > _MOST_PEOPLE:
            raise ValueError(f"target: expected one that fewer than {_MOST_PEOPLE:g} people can show, got {target:g}")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if upper_bound(events, middle, confidence) > target else (low, middle)
    return high


def not_measurable(n: int, needed: int) -> str:
    """Return the words for a rate that n people cannot show."""
    return f"not measurable with {n} people: it would take {needed}"


def rate(events: float, n: int, *, target: float | None = None, confidence: float = CONFIDENCE) -> Rate:
    """Return a rate with its interval and bound.

    Args:
        events: people to whom it happened, from 0 to n; fractional for a mean over repeats.
        n: people to whom it could have happened.
        target: a rate that the measurement is meant to show. When even no event at all among n people would leave the
            upper bound above it, the rate has no value, and a note says how many people it would take.
        confidence: a share.

    Raises:
        ValueError: out of range.
    """
    if n == 0 and events == 0:
        needed = people_needed(target, confidence=confidence) if target is not None else 1
        return Rate(events=0, n=0, value=None, low=None, high=None, upper=None, note=not_measurable(0, needed))
    low, high = interval(events, n, confidence)
    upper = upper_bound(events, n, confidence)
    value: float | None = float(events) / n
    note = None
    if target is not None and (needed := people_needed(target, confidence=confidence)) > n:
        value, note = None, not_measurable(n, needed)
    elif events == 0:
        bound = f"{confidence:.0%} upper bound {upper:.2g}, exactly 1 - {1 - confidence:.2g}^(1/n)"
        note = f"no event among {n} people: {bound}" + (", about 3/n" if confidence == CONFIDENCE else "")
    return Rate(events=float(events), n=int(n), value=value, low=low, high=high, upper=upper, note=note)


def _check(events: float, n: float) -> None:
    if not (np.isfinite(n) and n > 0 and 0 <= events <= n):
        raise ValueError(f"expected events from 0 to n and n above 0, got {events:g} events among {n:g} people")


def _low(events: float, n: float, tail: float) -> float:
    bound: Any = stats.beta.ppf(tail, events, n - events + 1) if events > _NOTHING else 0.0
    return float(bound)


def _high(events: float, n: float, tail: float) -> float:
    bound: Any = stats.beta.isf(tail, events + 1, n - events) if events < n else 1.0
    return float(bound)
