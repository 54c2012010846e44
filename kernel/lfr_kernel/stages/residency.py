"""Residency: how long crops and templates of whoever passes live in this process, and whether any lived too long."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from msgspec import Struct

from lfr_kernel.stages.measure import Durations

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_RESIDENCY_S", "Residency", "ResidencyFacts"]

MAX_RESIDENCY_S = 300.0
"""How long what identifies somebody who passes may live, unless a rule says less."""


class ResidencyFacts(Struct, frozen=True, kw_only=True):
    """A snapshot. Milliseconds, from capture to overwriting; None where nothing was measured."""

    count: int
    """Arrays that were overwritten."""
    p50: float | None
    p95: float | None
    max: float | None
    live: int
    """Arrays that are there now."""
    oldest: float | None
    """Age of the oldest of those."""
    bound: float
    """How long any may live."""
    over_bound: int
    """How many lived longer all the same, or do so now."""


class Residency:
    """Counts the lives of `Biometric`s of passers-by, in bounded memory: one number each while it lives."""

    def __init__(self, now_ns: Callable[[], int], *, bound_s: float = MAX_RESIDENCY_S) -> None:
        """Count from now on.

        Args:
            now_ns: the system's monotonic clock, on which captures are dated.
            bound_s: how long one may live.
        """
        self._now_ns = now_ns
        self._bound_ns = bound_s * 1e9
        self._since_ns: dict[int, int] = {}
        self._lives = Durations()
        self._over_bound = 0
        # An array that is let go of in the middle of counting another is overwritten, and counted, by that very thread.
        self._lock = threading.RLock()

    def began(self, owner: int, since_ns: int | None) -> None:
        """See `Watch.began`."""
        now_ns = self._now_ns()
        with self._lock:
            self._since_ns[owner] = now_ns if since_ns is None else since_ns

    def ended(self, owner: int) -> None:
        """See `Watch.ended`."""
        now_ns = self._now_ns()
        with self._lock:
            lived_ns = now_ns - self._since_ns.pop(owner, now_ns)
            self._lives.add(lived_ns / 1e9)
            self._over_bound += lived_ns > self._bound_ns

    def facts(self) -> ResidencyFacts:
        """Return a snapshot."""
        now_ns = self._now_ns()
        with self._lock:
            ages_ns = [now_ns - since_ns for since_ns in self._since_ns.values()]
            lived, over_bound = self._lives.quantiles(), self._over_bound
        return ResidencyFacts(
            count=lived.count,
            p50=lived.p50,
            p95=lived.p95,
            max=lived.max,
            live=len(ages_ns),
            oldest=round(max(ages_ns) / 1e6, 3) if ages_ns else None,
            bound=round(self._bound_ns / 1e6, 3),
            over_bound=over_bound + sum(age_ns > self._bound_ns for age_ns in ages_ns),
        )
