"""One-point perspective, and polygons filled in it.

Lengths are in metres: x to the right, height above the floor, and depth away from the camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SUBPIXEL_BITS", "Colour", "Point", "View", "fill_quad", "to_fixed", "upright"]

SUBPIXEL_BITS = 4
"""How many bits of a drawn coordinate are behind the point."""

Colour: TypeAlias = Sequence[float]
"""Blue, green, red in [0, 255]."""
Point: TypeAlias = tuple[float, float, float]
"""To the right, up, away, in metres."""


class View(Struct, frozen=True, kw_only=True):
    """A level camera that looks along the depth axis."""

    width: int
    height: int
    focal_px: float
    horizon_px: float
    """The row at which the horizon lies."""
    camera_height_m: float

    def scale(self, depth_m: float) -> float:
        """Return how many px a metre across the view takes at this depth."""
        return self.focal_px / depth_m

    def project(self, x_m: float, height_m: float, depth_m: float) -> tuple[float, float]:
        """Return where a point lies in the picture, in px."""
        scale = self.scale(depth_m)
        return self.width / 2 + scale * x_m, self.horizon_px + scale * (self.camera_height_m - height_m)

    def times(self, factor: int) -> View:
        """Return the same view with `factor` times as many px each way."""
        return View(
            width=self.width * factor,
            height=self.height * factor,
            focal_px=self.focal_px * factor,
            horizon_px=self.horizon_px * factor,
            camera_height_m=self.camera_height_m,
        )


def to_fixed(points: Sequence[tuple[float, float]]) -> NDArray[np.int32]:
    """Return points in px as OpenCV's drawing functions take them with `SUBPIXEL_BITS`."""
    return np.rint(np.asarray(points, np.float64) * (1 << SUBPIXEL_BITS)).astype(np.int32)


def fill_quad(canvas: NDArray[np.uint8], view: View, corners: Sequence[Point], colour: Colour) -> None:
    """Fill a convex polygon given by its corners in space."""
    points = [view.project(*corner) for corner in corners]
    cv2.fillConvexPoly(canvas, to_fixed(points), colour, cv2.LINE_AA, SUBPIXEL_BITS)


def upright(x: float, bottom: float, top: float, near: float, far: float) -> list[Point]:
    """Return the corners of a rectangle on a wall that runs along the view."""
    return [(x, bottom, near), (x, top, near), (x, top, far), (x, bottom, far)]
