"""RetinaFace (Deng et al. 2020): the scheme of SSD (Liu et al. 2016), with variances 0.1 and 0.2.

Offsets are relative to square priors in the middle of their cells; sizes are logarithms; scores have been through a
softmax.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lfr_plugins.detectors.heads.head import Array, Found, Head, corners

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HEAD", "decode"]

CENTRE_VARIANCE = 0.1
SIZE_VARIANCE = 0.2


def decode(outputs: Sequence[Array], anchors: Array, least: float) -> Found:
    """Return the faces that reach a score.

    Args:
        outputs: boxes [A, 4], offsets of the middle (x, y) and logarithms of the size (width, height); scores [A, 1],
            or [A, 2] of background and face; landmarks [A, 10], offsets of five times (x, y).
        anchors: float32 [A, 3]: middle x, middle y and side, px.
        least: score of what is returned.
    """
    offsets, scores, points = outputs
    faces = scores[:, -1]
    likely = np.flatnonzero(faces >= least)
    offsets, at, sides = offsets[likely], anchors[likely, :2], anchors[likely, 2:]
    steps = points[likely].reshape(-1, 5, 2) * (CENTRE_VARIANCE * sides)[:, :, np.newaxis]
    return Found(
        boxes=corners(at + offsets[:, :2] * (CENTRE_VARIANCE * sides), sides * np.exp(offsets[:, 2:] * SIZE_VARIANCE)),
        landmarks=at[:, np.newaxis, :] + steps,
        scores=faces[likely],
    )


HEAD = Head(anchors_at=0.5, is_per_level=False, is_in_strides=False, decode=decode)
