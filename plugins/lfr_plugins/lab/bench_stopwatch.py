"""What a benchmark measures while plugins run: the time of their calls, and how long faces wait for their embedding.

It keeps plain numbers in arrays, since its own memory counts as that of the run.
"""

from __future__ import annotations

import threading
import time
import zlib
from array import array
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from lfr_plugins.lab.bench_report import quantiles

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lfr_kernel.api import Quantiles

__all__ = ["STAGES", "Delays", "Stopwatch"]

STAGES = ("decode", "detect", "track", "embed", "search")
_FIELDS = 3


class Stopwatch:
    """The calls of each stage's plugin, from whatever thread they come."""

    def __init__(self) -> None:
        self._calls = {stage: array("q") for stage in STAGES}
        self._lock = threading.Lock()

    def restart(self) -> None:
        """Forget what came before, such as the enrolment of photographs."""
        self._calls = {stage: array("q") for stage in STAGES}

    def note(self, stage: str, began_ns: int, items: int = 1) -> int:
        """Note that a call of `stage`, which dealt with `items`, began then and ends now; return now."""
        now_ns = time.monotonic_ns()
        with self._lock:
            self._calls[stage].extend((began_ns, now_ns, items))
        return now_ns

    def calls(self, stage: str) -> int:
        """Return how many calls there were."""
        return len(self._calls[stage]) // _FIELDS

    def items(self, stage: str) -> int:
        """Return how many items they dealt with."""
        return sum(self._calls[stage][2::_FIELDS])

    def seconds(self) -> float:
        """Return the time from the beginning of the first call to the end of the last one."""
        known = [calls for calls in self._calls.values() if calls]
        if not known:
            return 0.0
        return (max(max(calls[1::_FIELDS]) for calls in known) - min(min(calls[::_FIELDS]) for calls in known)) / 1e9

    def stages_ms(self) -> dict[str, Quantiles]:
        """Return how long calls took, by stage."""
        return {
            stage: quantiles([(end - begin) / 1e6 for begin, end in zip(calls[::3], calls[1::3], strict=True)])
            for stage, calls in self._calls.items()
        }


class Delays:
    """How long faces take from their capture to their embedding; they are known again by a checksum of their crops."""

    def __init__(self) -> None:
        self._asked: defaultdict[int, deque[tuple[int, int | None]]] = defaultdict(deque)
        self._captured_ns = array("q")
        self._delays_ms = array("d")
        self._first_ms = array("d")
        self._first_wanted_ms = array("d")
        self._lock = threading.Lock()

    def ask(self, crop: NDArray[np.uint8], captured_ns: int, since_first_ns: int | None) -> None:
        """Note that a crop, uint8 [H, W, 3], is to be embedded.

        Args:
            crop: C-contiguous.
            captured_ns: monotonic.
            since_first_ns: for the first face of a passage, how long ago its person was first seen.
        """
        key = zlib.crc32(crop.data)
        with self._lock:
            self._asked[key].append((captured_ns, since_first_ns))

    def embed(self, crop: NDArray[np.uint8], now_ns: int) -> None:
        """Note that it has been; others than those asked for are passed over."""
        key = zlib.crc32(crop.data)
        with self._lock:
            waiting = self._asked.get(key)
            if not waiting:
                return
            captured_ns, since_first_ns = waiting.popleft()
            if not waiting:
                del self._asked[key]
            delay_ms = (now_ns - captured_ns) / 1e6
            self._captured_ns.append(captured_ns)
            self._delays_ms.append(delay_ms)
            if since_first_ns is not None:
                self._first_ms.append(delay_ms + since_first_ns / 1e6)
                self._first_wanted_ms.append(delay_ms)

    def halves_ms(self) -> tuple[Quantiles, Quantiles]:
        """Return the delays of the faces captured in the first and in the second half of the time."""
        captured_ns = self._captured_ns
        middle_ns = (min(captured_ns) + max(captured_ns)) / 2 if captured_ns else 0
        halves: tuple[list[float], list[float]] = ([], [])
        for at_ns, delay_ms in zip(captured_ns, self._delays_ms, strict=True):
            halves[at_ns >= middle_ns].append(delay_ms)
        return quantiles(halves[0]), quantiles(halves[1])

    def first_ms(self) -> Quantiles:
        """Return the delays of the passages' first embeddings, counted from their first detection's capture."""
        return quantiles(self._first_ms)

    def first_wanted_ms(self) -> Quantiles:
        """Return the same delays, counted from the capture of the face that was embedded first."""
        return quantiles(self._first_wanted_ms)
