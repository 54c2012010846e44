"""Where a patch lies in a picture. Affines are float64 [2, 3]; centres of pixels have integer coordinates."""

from __future__ import annotations

from math import isfinite, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Box",
    "Size",
    "box_of",
    "corners_of",
    "expanded",
    "inverse_of",
    "is_inside",
    "on_grid",
    "outside_of",
    "scale_of",
]

Size = tuple[int, int]
"""(width, height) in px."""
Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in px, right and bottom not included."""

_HALF_PX: Final = 0.5
"""From a pixel's centre to its edge."""
_FARTHEST_PX: Final = 1e9
"""No picture is that large."""
_SINGULAR: Final = 1e-12
"""Determinants below this share of the largest coefficient squared are rounding errors."""


def scale_of(affine: NDArray[np.float64]) -> float:
    """Return by how much an affine enlarges: the root of its area ratio."""
    (a, b, _), (c, d, _) = affine.tolist()
    return sqrt(abs(a * d - b * c))


def inverse_of(affine: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the affine that leads back, or None when it would lead out of every picture."""
    (a, b, x), (c, d, y) = affine.tolist()
    determinant, size = a * d - b * c, max(abs(a), abs(b), abs(c), abs(d))
    if not isfinite(size * size) or abs(determinant) <= _SINGULAR * size * size:
        return None
    forward = (d, -b, b * y - d * x), (-c, a, c * x - a * y)
    back = np.array([[number / determinant for number in row] for row in forward])
    return back if (np.abs(back) < _FARTHEST_PX).all() else None


def on_grid(affine: NDArray[np.float64], step: tuple[float, float], origin: tuple[float, float]) -> NDArray[np.float64]:
    """Adapt an affine from px of the picture to samples that lie `step` px apart, the first one at `origin`."""
    linear, shift = affine[:, :2], affine[:, 2]
    return np.column_stack([linear * step, linear @ origin + shift])


def corners_of(size: Size, to_picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where the centres of a patch's four corner pixels lie in the picture, float64 [4, 2]."""
    right, bottom = size[0] - 1, size[1] - 1
    return np.array([[0, 0, 1], [right, 0, 1], [0, bottom, 1], [right, bottom, 1]], np.float64) @ to_picture.T


def box_of(corners: NDArray[np.float64], picture: Size) -> Box | None:
    """Return the part of the picture that lies between the corners, or None when there is none."""
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, picture).astype(int).tolist()
    right, bottom = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, picture).astype(int).tolist()
    return (left, top, right, bottom) if left < right and top < bottom else None


def expanded(box: Box, margin: int, picture: Size) -> Box:
    """Widen a part of the picture by `margin` px where there is that much, to an even left and top."""
    left, top, right, bottom = box
    return (
        max(0, left - margin) // 2 * 2,
        max(0, top - margin) // 2 * 2,
        min(picture[0], (right + margin + 1) // 2 * 2),
        min(picture[1], (bottom + margin + 1) // 2 * 2),
    )


def is_inside(corners: NDArray[np.float64], picture: Size) -> bool:
    """Say whether all corners lie on px of the picture."""
    return bool((corners >= -_HALF_PX).all() and (corners <= np.array(picture) - _HALF_PX).all())


def outside_of(size: Size, to_picture: NDArray[np.float64], picture: Size) -> NDArray[np.bool_]:
    """Return which px of a patch have their centre outside the picture, bool [size[1], size[0]]."""
    columns, rows = np.arange(size[0])[np.newaxis, :], np.arange(size[1])[:, np.newaxis]
    outside = np.zeros((size[1], size[0]), np.bool_)
    for (along, down, start), limit in zip(to_picture, picture, strict=True):
        position = along * columns + down * rows + start
        outside |= (position < -_HALF_PX) | (position > limit - _HALF_PX)
    return outside
