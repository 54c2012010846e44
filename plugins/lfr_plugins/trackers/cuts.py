"""Scene cuts, seen on a tiny thumbnail of each picture."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["THUMBNAIL", "CutDetector", "change", "equalised"]

THUMBNAIL = (48, 27)
"""(width, height) in px of the thumbnail that `CutDetector.see` takes."""

_SHIFT = (8, 4)
"""By how many px of the thumbnail, sideways and up or down, a pan may move the picture between two looks."""
_MIN_CONTRAST = 3.0
_HISTORY, _FEWEST = 12, 3
_FACTOR = 3.0
_LOWEST, _HIGHEST = 0.2, 0.45
_MAX_GROWTH = 3.0
_FORGET_S = 2.0


def equalised(thumbnail: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Return the thumbnail's luma with its histogram equalised, so that lights going up or down hardly show.

    Args:
        thumbnail: uint8 [H, W, 3] RGB.

    Returns:
        uint8 [H, W]; None when the picture is so flat (black, or glare) that it says nothing.
    """
    luma = cv2.cvtColor(thumbnail, cv2.COLOR_RGB2GRAY)
    if float(luma.std()) < _MIN_CONTRAST:
        return None
    return np.asarray(cv2.equalizeHist(luma), dtype=np.uint8)


def change(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> float:
    """Return how much of the picture changed, in [0, 1]: 0 is the same picture, possibly panned.

    One minus the normalised cross-correlation (Lewis, Fast Normalized Cross-Correlation, 1995) of either
    picture's middle with the other picture, at the shift where they agree best.

    Args:
        before: uint8 [H, W], as `equalised` returns it.
        now: the same shape.
    """
    x, y = _SHIFT
    forth = cv2.matchTemplate(now, before[y:-y, x:-x], cv2.TM_CCOEFF_NORMED)
    back = cv2.matchTemplate(before, now[y:-y, x:-x], cv2.TM_CCOEFF_NORMED)
    return float(np.clip(1.0 - max(float(forth.max()), float(back.max())), 0.0, 1.0))


class CutDetector:
    """Tells a cut from motion by comparing each change with those just before it.

    A crowd that walks by or a camera that swings changes every picture; a cut changes one. It holds
    one thumbnail of 48 by 27 grey values and a dozen numbers.
    """

    def __init__(self) -> None:
        self._before: NDArray[np.uint8] | None = None
        self._before_s = 0.0
        self._changes: deque[tuple[float, float]] = deque(maxlen=_HISTORY)

    def see(self, thumbnail: NDArray[np.uint8], at_s: float) -> bool:
        """Take in the next picture and return whether a new scene begins with it.

        Args:
            thumbnail: uint8 [27, 48, 3] RGB; not kept.
            at_s: its stream time in seconds. After a silence of more than two seconds there is nothing to
                compare with, and the answer is no.
        """
        now = equalised(thumbnail)
        if now is None:
            return False
        before, elapsed_s = self._before, at_s - self._before_s
        self._before, self._before_s = now, at_s
        if before is None or not 0.0 <= elapsed_s <= _FORGET_S:
            self._changes.clear()
            return False
        changed = change(before, now)
        if changed > self._limit(elapsed_s):
            self._changes.clear()
            return True
        self._changes.append((changed, elapsed_s))
        return False

    def _limit(self, elapsed_s: float) -> float:
        """Return the change that motion as it was just now may explain after `elapsed_s` seconds."""
        if len(self._changes) < _FEWEST:
            return _HIGHEST
        changes, gaps = np.array(self._changes).T
        growth = np.sqrt(max(elapsed_s, 1e-3) / np.maximum(gaps, 1e-3)).clip(1.0 / _MAX_GROWTH, _MAX_GROWTH)
        return min(max(_FACTOR * float((changes * growth).max()), _LOWEST), _HIGHEST)
