"""What a benchmark measures while plugins run: the time of their calls, and how long faces wait for their embedding."""

from __future__ import annotations

import time
import zlib
from collections import defaultdict, deque
from typing import TYPE_CHECKING, NamedTuple

from lfr_plugins.lab.bench_report import quantiles

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lfr_kernel.api import Quantiles

__all__ = ["STAGES", "Delays", "Lap", "Stopwatch"]

STAGES = ("decode", "detect", "track", "embed", "search")


class Lap(NamedTuple):
    """One call; times are monotonic."""

    began_ns: int
    ended_ns: int
    items: int


class Stopwatch:
    """The calls of each stage's plugin, from whatever thread they come."""

    def __init__(self) -> None:
        self._laps: defaultdict[str, list[Lap]] = defaultdict(list)

    def restart(self) -> None:
        """Forget what came before, such as the enrolment of photographs."""
        self._laps.clear()

    def note(self, stage: str, began_ns: int, items: int = 1) -> int:
        """Note that a call of `stage`, which dealt with `items`, began then and ends now; return now."""
        now_ns = time.monotonic_ns()
        self._laps[stage].append(Lap(began_ns, now_ns, items))
        return now_ns

    def calls(self, stage: str) -> int:
        """Return how many calls there were."""
        return len(self._laps[stage])

    def items(self, stage: str) -> int:
        """Return how many items they dealt with."""
        return sum(lap.items for lap in self._laps[stage])

    def seconds(self) -> float:
        """Return the time from the beginning of the first call to the end of the last one."""
        laps = [lap for laps in self._laps.values() for lap in laps]
        return (max(lap.ended_ns for lap in laps) - min(lap.began_ns for lap in laps)) / 1e9 if laps else 0.0

    def stages_ms(self) -> dict[str, Quantiles]:
        """Return how long calls took, by stage."""
        return {
            stage: quantiles([(lap.ended_ns - lap.began_ns) / 1e6 for lap in self._laps[stage]]) for stage in STAGES
        }


class _Asked(NamedTuple):
    captured_ns: int
    since_first_ns: int | None
    """For the first face of a passage: stream time since its person was first seen."""


class Delays:
    """How long faces take from their capture to their embedding; they are known again by a checksum of their crops."""

    def __init__(self) -> None:
        self._asked: defaultdict[int, deque[_Asked]] = defaultdict(deque)
        self._embedded: list[tuple[int, float]] = []
        self._first_ms: list[float] = []
        self._first_wanted_ms: list[float] = []

    def ask(self, crop: NDArray[np.uint8], captured_ns: int, since_first_ns: int | None) -> None:
        """Note that a crop, uint8 [H, W, 3], is to be embedded."""
        self._asked[zlib.crc32(crop.data)].append(_Asked(captured_ns, since_first_ns))

    def embed(self, crop: NDArray[np.uint8], now_ns: int) -> None:
        """Note that it has been; others than those asked for are passed over."""
        key = zlib.crc32(crop.data)
        waiting = self._asked.get(key)
        if not waiting:
            return
        asked = waiting.popleft()
        if not waiting:
            del self._asked[key]
        delay_ns = now_ns - asked.captured_ns
        self._embedded.append((asked.captured_ns, delay_ns / 1e6))
        if asked.since_first_ns is not None:
            self._first_ms.append((delay_ns + asked.since_first_ns) / 1e6)
            self._first_wanted_ms.append(delay_ns / 1e6)

    def halves_ms(self) -> tuple[Quantiles, Quantiles]:
        """Return the delays of the faces captured in the first and in the second half of the time."""
        captures = [captured_ns for captured_ns, _ in self._embedded]
        middle_ns = (min(captures) + max(captures)) / 2 if captures else 0
        first = [delay_ms for captured_ns, delay_ms in self._embedded if captured_ns < middle_ns]
        second = [delay_ms for captured_ns, delay_ms in self._embedded if captured_ns >= middle_ns]
        return quantiles(first), quantiles(second)

    def first_ms(self) -> Quantiles:
        """Return the delays of the passages' first embeddings, counted from their first detection's capture."""
        return quantiles(self._first_ms)

    def first_wanted_ms(self) -> Quantiles:
        """Return the same delays, counted from the capture of the face that was embedded first."""
        return quantiles(self._first_wanted_ms)
