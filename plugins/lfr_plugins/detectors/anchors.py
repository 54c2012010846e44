"""The grids that an anchor-based detector lays over its canvas. Pure numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["anchors"]


def anchors(canvas: tuple[int, int], stride: int, units: Sequence[float], *, at: float) -> NDArray[np.float32]:
    """Return the anchors of one level, in the order of the model's output: by row, column, anchor of the cell.

    Args:
        canvas: (width, height) in px, multiples of `stride`.
        stride: from one cell to the next, px.
        units: of each anchor of a cell: what its offsets are measured in, px.
        at: where in a cell its anchors lie: 0 at the left upper corner, 0.5 in the middle.

    Returns:
        float32 [A, 3]: x, y and unit, px of the canvas.
    """
    columns, rows = canvas[0] // stride, canvas[1] // stride
    grid = np.empty((rows, columns, len(units), 3), np.float32)
    grid[..., 0] = ((np.arange(columns) + at) * stride)[np.newaxis, :, np.newaxis]
    grid[..., 1] = ((np.arange(rows) + at) * stride)[:, np.newaxis, np.newaxis]
    grid[..., 2] = units
    return grid.reshape(-1, 3)
