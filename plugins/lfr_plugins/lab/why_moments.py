"""The best moment of each passage, as a picture in which every face is pixelated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from msgspec import Struct

from lfr_kernel.api import PermanentError
from lfr_plugins.lab.why_pixelate import pixelated
from lfr_plugins.sinks.lettering import Lettering

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from lfr_kernel.api import Picture

__all__ = ["Fate", "Moments"]

_BETTER = 1.1
"""A moment must be so much better than the one kept: people who come nearer get a little better in every frame."""
_STRIP_PX = 44
_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]
_COLOURS = {"alerted": (255, 191, 64), "not_matched": (140, 200, 255), "lost": (255, 110, 100)}
_INK, _PAPER = (240, 240, 240), (24, 26, 30)


class Fate(Struct, frozen=True, kw_only=True):
    """What is written under a picture."""

    tone: str
    title: str
    text: str


class Moments:
    """Keeps one picture a passage on disk, in a folder for drafts. What it writes shows no face.

    `offer` runs on the tracker's lane and writes files; `finish` runs afterwards.
    """

    def __init__(self, drafts: Path) -> None:
        """Write into `drafts`, a folder that is there."""
        self._drafts = drafts
        self._kept: dict[str, tuple[float, tuple[float, ...]]] = {}

    def offer(
        self, picture: Picture, hidden: NDArray[np.float32], candidates: Sequence[tuple[str, int, float]]
    ) -> None:
        """Keep this frame for those passages for which it is clearly better than what they have.

        Args:
            picture: the frame; not held.
            hidden: float32 [N, 4], xyxy in px of it: every face that is to be hidden, those of the frame first.
            candidates: (key of the passage, number of its box in `hidden`, quality).
        """
        better = [one for one in candidates if one[2] > _BETTER * self._kept.get(one[0], (0.0, ()))[0]]
        if not better:
            return
        canvas, scale = pixelated(picture, hidden)
        encoded = _png(canvas, _FAST)
        for key, number, quality in better:
            self._kept[key] = (quality, tuple(float(edge) * scale for edge in hidden[number]))
            (self._drafts / f"{key}.png").write_bytes(encoded)

    def finish(self, key: str, fate: Fate) -> bytes | None:
        """Return the picture of a passage with its box and fate, as PNG; None if it has none."""
        if key not in self._kept:
            return None
        canvas = cv2.cvtColor(
            np.asarray(cv2.imread(str(self._drafts / f"{key}.png")), dtype=np.uint8), cv2.COLOR_BGR2RGB
        )
        return _png(_drawn(np.asarray(canvas, np.uint8), self._kept[key][1], fate))


def _drawn(canvas: NDArray[np.uint8], box: tuple[float, ...], fate: Fate) -> NDArray[np.uint8]:
    """Return the picture with a frame around the face and a strip of text under it."""
    height, width = canvas.shape[:2]
    colour = _COLOURS.get(fate.tone, _INK)
    left, top, right, bottom = (round(edge) for edge in box)
    whole = np.full((height + _STRIP_PX, width, 3), _PAPER, np.uint8)
    whole[:height] = canvas
    picture = whole[:height]
    # Dark beneath the colour: it shows on any background.
    cv2.rectangle(picture, (left - 2, top - 2), (right + 2, bottom + 2), _PAPER, 5)
    cv2.rectangle(picture, (left - 2, top - 2), (right + 2, bottom + 2), colour, 2)
    letters = Lettering(whole)
    cv2.rectangle(whole, (0, height), (6, height + _STRIP_PX), colour, -1)
    end = letters.write(fate.title, (18, height + 28), 18, colour, weight=700)
    room = width - end - 30
    letters.write(letters.fitted(fate.text, 16, 400, room), (end + 14, height + 28), 16, _INK)
    return whole


def _png(canvas: NDArray[np.uint8], options: Sequence[int] = ()) -> bytes:
    encoded, png = cv2.imencode(".png", canvas[..., ::-1], list(options))
    if not encoded:
        raise PermanentError("a picture cannot be encoded as PNG")
    return bytes(png.tobytes())
