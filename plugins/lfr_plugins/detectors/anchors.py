"""From the raw output of an anchor-based face detector to faces: priors, decoding, suppression. Pure numpy.

The scheme is that of SSD (Liu et al. 2016) with the parameters of RetinaFace-MobileNet0.25: strides 8, 16 and 32,
two square priors a cell, variances 0.1 and 0.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SMALLEST_PRIOR_PX", "decode", "nms", "priors"]

LEVELS = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
"""(stride, sides of the priors) in px of the canvas, finest first."""
SMALLEST_PRIOR_PX = float(LEVELS[0][1][0])
CENTRE_VARIANCE = 0.1
SIZE_VARIANCE = 0.2


def priors(height: int, width: int) -> NDArray[np.float32]:
    """Return the priors of a canvas, in the order of the model's output: by level, row, column, side.

    Args:
        height: of the canvas in px, a multiple of 32.
        width: likewise.

    Returns:
        float32 [A, 3]: centre x, centre y and side, px.
    """
    levels = []
    for stride, sides in LEVELS:
        rows, columns = height // stride, width // stride
        grid = np.empty((rows, columns, len(sides), 3), np.float32)
        grid[..., 0] = ((np.arange(columns) + 0.5) * stride)[np.newaxis, :, np.newaxis]
        grid[..., 1] = ((np.arange(rows) + 0.5) * stride)[:, np.newaxis, np.newaxis]
        grid[..., 2] = sides
        levels.append(grid.reshape(-1, 3))
    return np.concatenate(levels)


def decode(
    offsets: NDArray[np.float32], landmark_offsets: NDArray[np.float32], anchors: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Turn offsets into boxes and landmarks.

    Args:
        offsets: float32 [N, 4]: of the centre (x, y) and, as logarithms, of the size (width, height).
        landmark_offsets: float32 [N, 10]: five times (x, y).
        anchors: float32 [N, 3]: the prior of each row; see `priors`.

    Returns:
        Boxes, float32 [N, 4] xyxy, and landmarks, float32 [N, 5, 2]; px of the canvas.
    """
    centres, sides = anchors[:, :2], anchors[:, 2:]
    middle = centres + offsets[:, :2] * (CENTRE_VARIANCE * sides)
    half = 0.5 * sides * np.exp(offsets[:, 2:] * SIZE_VARIANCE)
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    steps = landmark_offsets.reshape(-1, 5, 2) * (CENTRE_VARIANCE * sides)[:, :, np.newaxis]
    return boxes, centres[:, np.newaxis, :] + steps


def nms(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], overlap: float = 0.4, most: int | None = None
) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: take the best box, drop those that overlap it, and so on.

    Args:
        boxes: float32 [N, 4] xyxy.
        scores: float32 [N]; ties go to the earlier row.
        overlap: intersection over union above which a box is dropped.
        most: stop after so many boxes; None takes all.

    Returns:
        intp [K]: the rows that are kept, best first.
    """
    rest = np.argsort(-scores, kind="stable")
    low, high = boxes[:, :2], boxes[:, 2:]
    areas = np.maximum(high - low, 0).prod(axis=1)
    kept: list[int] = []
    while rest.size and (most is None or len(kept) < most):
        best, rest = rest[0], rest[1:]
        kept.append(int(best))
        sides = np.minimum(high[best], high[rest]) - np.maximum(low[best], low[rest])
        shared = np.maximum(sides, 0).prod(axis=1)
        rest = rest[shared <= overlap * (areas[best] + areas[rest] - shared)]
    return np.asarray(kept, np.intp)
