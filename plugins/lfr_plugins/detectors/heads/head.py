"""What the heads have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Array", "Found", "Head", "corners"]

Array: TypeAlias = NDArray[np.float32]


class Found(NamedTuple):
    """Faces before suppression, px of the canvas."""

    boxes: Array
    """float32 [N, 4] xyxy."""
    landmarks: Array
    """float32 [N, 5, 2], in the order of the model."""
    scores: Array
    """float32 [N] in [0, 1]."""


class Head(NamedTuple):
    """A way to decode."""

    anchors_at: float
    """Where in a cell its anchors lie; see `anchors`."""
    is_per_level: bool
    """Whether each level has outputs of its own; else one output holds all levels, one after the other."""
    is_in_strides: bool
    """Whether offsets are measured in strides; else in sides of the anchors."""
    decode: Callable[[Sequence[Array], Array, float], Found]
    """Takes the outputs, each float32 [A, n], in the order of `lfr_plugins.models.rules.ROLES`; the anchors, float32
    [A, 3]; and the least score."""


def corners(middles: Array, sizes: Array) -> Array:
    """Return boxes float32 [N, 4] xyxy of middles and sizes, each float32 [N, 2]."""
    half = 0.5 * sizes
    return np.concatenate([middles - half, middles + half], axis=1)
