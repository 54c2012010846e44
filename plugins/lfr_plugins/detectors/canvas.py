"""Which fixed input shape a picture is put on, and how large.

A picture is scaled down, never up, and put into the upper left corner of one of a few canvases; the rest stays
empty. Few shapes keep ONNX Runtime's memory bounded: it plans and holds blocks for every shape it meets. A model whose
input has a fixed size has one canvas.
"""

from __future__ import annotations

from typing import NamedTuple

from lfr_plugins.models.rules import CELL

__all__ = ["Placement", "canvases", "place"]

KEEP = 0.97
"""A canvas may cost so much of the scale that the longest side alone would allow."""
SHAPES = ((16, 9), (4, 3), (1, 1), (3, 4), (9, 16))


class Placement(NamedTuple):
    """Where a picture lies on its canvas."""

    canvas: tuple[int, int]
    """(width, height) in px, multiples of 32."""
    size: tuple[int, int]
    """(width, height) in px that the picture is scaled to."""
    scale: float
    """Px of the canvas for one px of the picture, before `size` is rounded to whole px."""


def canvases(longest_side: int) -> tuple[tuple[int, int], ...]:
    """Return the canvases, (width, height) in px, smallest area first.

    Args:
        longest_side: in px; rounded to the nearest multiple of 32.
    """
    longest = max(CELL, CELL * round(longest_side / CELL))
    sizes = {
        (longest, _cells(longest * tall / wide)) if wide >= tall else (_cells(longest * wide / tall), longest)
        for wide, tall in SHAPES
    }
    return tuple(sorted(sizes, key=lambda one: (one[0] * one[1], one)))


def place(size: tuple[int, int], among: tuple[tuple[int, int], ...]) -> Placement:
    """Choose the smallest canvas that leaves a picture nearly as large as the longest side allows.

    Args:
        size: (width, height) of the picture in px.
        among: from `canvases`.

    Raises:
        ValueError: the picture is empty.
    """
    width, height = size
    if width < 1 or height < 1:
        raise ValueError(f"a picture must have at least one px each way, got {width}x{height}")
    wanted = min(1.0, max(map(max, among)) / max(size))
    for canvas in among:
        scale = min(1.0, canvas[0] / width, canvas[1] / height)
        # The last one is the square that holds everything, or the only one there is.
        if scale >= KEEP * wanted or canvas == among[-1]:
            return Placement(canvas, (max(1, round(width * scale)), max(1, round(height * scale))), scale)
    raise ValueError("expected one canvas or more, got none")


def _cells(side: float) -> int:
    """Round to a multiple of 32: down where that costs at most what `KEEP` allows, else up."""
    down = int(side // CELL) * CELL
    return down if down >= KEEP * side else down + CELL
