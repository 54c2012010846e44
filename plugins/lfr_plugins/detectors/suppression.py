"""Of boxes that show the same face, the best one. Pure numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["nms"]


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
