"""YuNet (Wu et al. 2023), as libfacedetection.train exports it: one anchor point at the corner of each cell.

Middles and landmarks are offsets in strides, sizes are logarithms of strides; the score is the geometric mean of the
class's and the object's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lfr_plugins.detectors.heads.head import Array, Found, Head, corners

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HEAD", "decode"]


def decode(outputs: Sequence[Array], anchors: Array, least: float) -> Found:
    """Return the faces of one level that reach a score.

    Args:
        outputs: boxes [A, 4], offsets of the middle (x, y) and logarithms of the size (width, height); classes [A, 1];
            objects [A, 1]; landmarks [A, 10], offsets of five times (x, y); lengths in strides.
        anchors: float32 [A, 3]: x, y and stride, px.
        least: score of what is returned.
    """
    offsets, classes, objects, points = outputs
    faces = np.sqrt(np.clip(classes[:, 0], 0, 1) * np.clip(objects[:, 0], 0, 1))
    likely = np.flatnonzero(faces >= least)
    offsets, at, strides = offsets[likely], anchors[likely, :2], anchors[likely, 2:]
    return Found(
        boxes=corners(at + offsets[:, :2] * strides, np.exp(offsets[:, 2:]) * strides),
        landmarks=at[:, np.newaxis, :] + points[likely].reshape(-1, 5, 2) * strides[:, :, np.newaxis],
        scores=faces[likely],
    )


HEAD = Head(anchors_at=0.0, is_per_level=True, is_in_strides=True, decode=decode)
