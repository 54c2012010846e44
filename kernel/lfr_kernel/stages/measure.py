"""Durations: their quantiles in bounded memory, and how long to wait before trying again."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct

__all__ = ["Durations", "Quantiles", "backoff_s"]

_LOWEST_S = 1e-6
_STEP = math.log(1.01)
_BUCKETS = 2_100  # 1 µs to some 20 minutes
_DOUBLINGS = 64
"""More would overflow, some hours into an outage."""


class Quantiles(Struct, frozen=True, kw_only=True):
    """Quantiles of durations in milliseconds, to one per cent; None where nothing was measured."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


class Durations:
    """Counts durations in buckets that grow by one per cent."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BUCKETS, np.int64)
        self._longest_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration; negative ones count as zero."""
        bucket = int(math.log(max(seconds, _LOWEST_S) / _LOWEST_S) / _STEP)
        self._counts[min(bucket, _BUCKETS - 1)] += 1
        self._longest_s = max(self._longest_s, seconds)

    def quantiles(self) -> Quantiles:
        """Return the quantiles so far."""
        total = int(self._counts.sum())
        if not total:
            return Quantiles(count=0, p50=None, p95=None, p99=None, max=None)
        rising = np.cumsum(self._counts)

        def at(share: float) -> float:
            bucket = int(np.searchsorted(rising, max(1, math.ceil(share * total))))
            return round(min(_LOWEST_S * math.exp(_STEP * (bucket + 0.5)), self._longest_s) * 1e3, 3)

        return Quantiles(count=total, p50=at(0.5), p95=at(0.95), p99=at(0.99), max=round(self._longest_s * 1e3, 3))


def backoff_s(failures: int, first_s: float, most_s: float) -> float:
    """Return the wait after `failures` earlier failures in a row: `first_s`, doubled each time, at most `most_s`."""
    return min(most_s, math.ldexp(first_s, min(failures, _DOUBLINGS)))
