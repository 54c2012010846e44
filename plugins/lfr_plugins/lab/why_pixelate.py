"""Pictures in which nobody can be recognised: made that way before anything is written, with no way round it.

A face becomes the means of 8 by 8 blocks over a box a good deal larger than the face, so that some 5 by 5 of them lie
on it. Nothing finer is kept. Everything else is reduced to 320 columns, so that a face that was not found is not sharp
either.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lfr_kernel.api import Picture

__all__ = ["BLOCKS", "DETAIL_PX", "SIDE_PX", "pixelate", "pixelated", "widened"]

BLOCKS = 8
"""How many blocks a hidden face has across and down, at most."""
SIDE_PX = 960
"""The longer side of a picture that is written."""
DETAIL_PX = 320
"""How many px the longer side is reduced to before it is enlarged to `SIDE_PX`: nothing finer is in it."""
_WIDER = 0.3
"""By how much of its width and height a box grows on each side: chin, hair and ears are part of a face."""

Box = tuple[int, int, int, int]


def widened(boxes: NDArray[np.float32], scale: float, size: tuple[int, int]) -> list[Box]:
    """Return whole-px boxes (left, top, right, bottom), widened and cut to the picture; without those outside of it.

    A box that is no box (not finite) becomes the whole picture: where a face is unknown, all is hidden.

    Args:
        boxes: float32 [N, 4], xyxy in px of the source.
        scale: from the source to the picture that is written.
        size: (width, height) of that, in px.
    """
    found = []
    for left, top, right, bottom in np.asarray(boxes, np.float64).reshape(-1, 4) * scale:
        if not np.isfinite((left, top, right, bottom)).all():
            found.append((0, 0, *size))
            continue
        wider, higher = _WIDER * (right - left), _WIDER * (bottom - top)
        box = (
            max(0, int(np.floor(left - wider))),
            max(0, int(np.floor(top - higher))),
            min(size[0], int(np.ceil(right + wider))),
            min(size[1], int(np.ceil(bottom + higher))),
        )
        if box[0] < box[2] and box[1] < box[3]:
            found.append(box)
    return found


def pixelate(canvas: NDArray[np.uint8], boxes: Sequence[Box]) -> None:
    """Overwrite each box of `canvas` (uint8 [H, W, 3]) with the means of at most 8 by 8 blocks, in place."""
    for left, top, right, bottom in boxes:
        columns = np.linspace(left, right, min(BLOCKS, right - left) + 1).round().astype(int)
        rows = np.linspace(top, bottom, min(BLOCKS, bottom - top) + 1).round().astype(int)
        for above, below in pairwise(rows):
            for before, after in pairwise(columns):
                block = canvas[above:below, before:after]
                block[:] = block.reshape(-1, 3).mean(axis=0).round()


def pixelated(picture: Picture, boxes: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float]:
    """Return a picture with every face in `boxes` hidden, and its scale to the source.

    Args:
        picture: the source.
        boxes: float32 [N, 4], xyxy in px of the source: every face that is known to be there.

    Returns:
        uint8 [H, W, 3] RGB, its longer side `SIDE_PX`; px of the source times the scale are px of this.
    """
    longest = max(picture.size)
    detail = min(DETAIL_PX, longest) / longest
    scale = SIDE_PX / longest
    small = picture.rgb(*(max(1, round(side * detail)) for side in picture.size))
    size = max(1, round(picture.size[0] * scale)), max(1, round(picture.size[1] * scale))
    canvas = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    small.fill(0)
    pixelate(canvas, widened(boxes, scale, size))
    return canvas, scale
