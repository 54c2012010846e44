"""SCRFD (Guo et al. 2021), as InsightFace exports it: distances from anchor points that lie at the corners of cells.

Boxes are the distances to their four edges, landmarks are offsets, both in strides; scores have been through a sigmoid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lfr_plugins.detectors.heads.head import Array, Found, Head

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HEAD", "decode"]


def decode(outputs: Sequence[Array], anchors: Array, least: float) -> Found:
    """Return the faces of one level that reach a score.

    Args:
        outputs: boxes [A, 4], the distances to the left, upper, right and lower edge; scores [A, 1], or [A, 2] of
            background and face; landmarks [A, 10], offsets of five times (x, y); lengths in strides.
        anchors: float32 [A, 3]: x, y and stride, px.
        least: score of what is returned.
    """
    distances, scores, points = outputs
    faces = scores[:, -1]
    likely = np.flatnonzero(faces >= least)
    at, strides = anchors[likely, :2], anchors[likely, 2:]
    edges = distances[likely] * strides
    return Found(
        boxes=np.concatenate([at - edges[:, :2], at + edges[:, 2:]], axis=1),
        landmarks=at[:, np.newaxis, :] + points[likely].reshape(-1, 5, 2) * strides[:, :, np.newaxis],
        scores=faces[likely],
    )


HEAD = Head(anchors_at=0.0, is_per_level=True, is_in_strides=True, decode=decode)
