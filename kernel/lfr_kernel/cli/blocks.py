"""Pictures on a terminal: two pixels a character, one over the other, in its colours; or in shades of ink without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.color import Color
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["blocks", "shrunk"]

UPPER = "\N{UPPER HALF BLOCK}"
INK = " .:-=+*#%@"
"""From dark to light, as on a dark terminal."""
LUMA = np.array([0.2126, 0.7152, 0.0722])
"""Of red, green and blue as they are, not made linear: luma by ITU-R BT.709."""


def shrunk(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return a picture of another size, each pixel the mean of those that it covers; enlarged by repeating them.

    Args:
        picture: uint8 [H, W, 3] RGB.
        width: in px; at least 1.
        height: likewise.

    Returns:
        uint8 [height, width, 3].
    """
    rows, columns = (_edges(size, wanted) for size, wanted in ((picture.shape[0], height), (picture.shape[1], width)))
    summed = np.add.reduceat(picture.astype(np.float64), rows[0], axis=0)[rows[2]]
    summed = np.add.reduceat(summed, columns[0], axis=1)[:, columns[2]]
    counts = rows[1][rows[2], None, None] * columns[1][None, columns[2], None]
    return np.asarray(np.rint(summed / counts), np.uint8)


def _edges(size: int, wanted: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return where each part of `size` pixels begins, how many it has, and which part each wanted pixel shows."""
    starts = (np.arange(wanted) * size) // wanted
    first, part = np.unique(starts, return_inverse=True)
    return first, np.diff(np.append(first, size)), part


def blocks(picture: NDArray[np.uint8], width: int, height: int, *, has_colours: bool) -> list[Text]:
    """Return a picture as lines of characters.

    Args:
        picture: uint8 [H, W, 3] RGB.
        width: columns.
        height: lines, each of two pixels.
        has_colours: whether the terminal shows colours; without, a line is one row of shades.
    """
    if has_colours:
        small = shrunk(picture, width, 2 * height)
        return [_coloured(small[row], small[row + 1]) for row in range(0, 2 * height, 2)]
    light = shrunk(picture, width, height) @ LUMA / 255
    shades = np.minimum((light * len(INK)).astype(int), len(INK) - 1)
    return [Text("".join(INK[shade] for shade in row)) for row in shades]


def _coloured(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> Text:
    line = Text()
    for top, bottom in zip(upper.tolist(), lower.tolist(), strict=True):
        line.append(UPPER, Style(color=Color.from_rgb(*top), bgcolor=Color.from_rgb(*bottom)))
    return line
