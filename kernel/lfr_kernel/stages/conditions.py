"""What each camera sees, held against the conditions that were tested, passage by passage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from lfr_kernel.governance.conditions import MEASURES, WINDOW, SeenConditions, outside, sentence

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lfr_kernel.governance.conditions import Conditions, Way

__all__ = ["CameraConditions", "ConditionsWatch", "Window"]


class CameraConditions(Struct, frozen=True, kw_only=True):
    """A snapshot of the conditions at one camera: over its last passages of which faces were used."""

    passages: int
    """How many those are."""
    face_px: float
    """Median width of the face, px of the picture."""
    highlight: float
    """Median, in [0, 255]: see `lfr_kernel.stages.quality.exposure`."""
    sharpness: float
    """Median, in [0, 1]."""
    outside: tuple[Way, ...]
    """How faces are other than tested now."""
    ever: tuple[Way, ...]
    """How they were so at any time of the run."""


class Window:
    """The values of the last passages of one camera, float64 [WINDOW, M], written over in turn."""

    def __init__(self, tested: Conditions) -> None:
        """Compare with `tested`."""
        ranges = [getattr(tested, name) for name in MEASURES]
        self._low = np.array([one.p5 for one in ranges])
        self._high = np.array([one.p95 for one in ranges])
        self._kept = np.zeros((WINDOW, len(MEASURES)))
        self._added = 0

    def add(self, values: NDArray[np.float64]) -> None:
        """Take in one passage: float64 [M], in the order of `MEASURES`."""
        self._kept[self._added % WINDOW] = values
        self._added += 1

    def seen(self) -> SeenConditions:
        """Return what there is, of one passage or more."""
        kept = self._kept[: self._added]
        return SeenConditions(
            passages=len(kept),
            below=tuple((kept < self._low).sum(axis=0).tolist()),
            above=tuple((kept > self._high).sum(axis=0).tolist()),
            medians=tuple(np.median(kept, axis=0).tolist()),
        )


class _Watched:
    """One camera."""

    def __init__(self, tested: Conditions) -> None:
        self.window = Window(tested)
        self.now: dict[Way, str] = {}
        self.ever: dict[Way, str] = {}


class ConditionsWatch:
    """Says of each camera where it is outside of the tested conditions. It is one thread's; tuples are for any."""

    def __init__(self, tested: Conditions | None, log: Callable[..., None] = lambda *_, **__: None) -> None:
        """Watch for departures from `tested`; for none, where no report says what was tested."""
        self.tested = tested
        self.reasons: tuple[str, ...] = ()
        """A sentence for each departure there is now, worded as it began. Replaced whole: read it from any thread."""
        self.ever: tuple[str, ...] = ()
        """A sentence for each departure that there was at any time, as it first began. Likewise."""
        self._log = log
        self._cameras: dict[str, _Watched] = {}

    def add(self, camera: str, values: NDArray[np.float64]) -> None:
        """Take in a passage of which faces were used, and log what has changed by it.

        Args:
            camera: whose.
            values: float64 [M], means over the faces that were used, in the order of `MEASURES`.
        """
        if self.tested is None:
            return
        watched = self._cameras.setdefault(camera, _Watched(self.tested))
        watched.window.add(values)
        seen = watched.window.seen()
        found = outside(self.tested, seen, watched.now)
        if found == tuple(watched.now):
            return
        began = {way: sentence(camera, way, self.tested, seen) for way in found if way not in watched.now}
        for way in watched.now.keys() - set(found):
            self._log("conditions_inside", camera=camera, was=watched.now[way])
        for reason in began.values():
            self._log("conditions_outside", camera=camera, reason=reason)
        watched.now = {way: watched.now.get(way) or began[way] for way in found}
        watched.ever = began | watched.ever
        self.reasons = tuple(text for one in self._cameras.values() for text in one.now.values())
        self.ever = tuple(text for one in self._cameras.values() for text in one.ever.values())

    def facts(self) -> dict[str, CameraConditions]:
        """Return a snapshot of each camera that had a passage of which faces were used."""
        return {name: _facts(watched) for name, watched in self._cameras.items()}


def _facts(watched: _Watched) -> CameraConditions:
    seen = watched.window.seen()
    medians = {name: round(median, 3) for name, median in zip(MEASURES, seen.medians, strict=True)}
    return CameraConditions(passages=seen.passages, outside=tuple(watched.now), ever=tuple(watched.ever), **medians)
