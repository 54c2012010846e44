"""Other cuts of the same face: what an average over them is worth, before anybody pays for it in a run.

Test-time augmentation is the usual way to get more out of an embedder. `evaluate --choices` cuts every face as each of
these views says, plain and mirrored, and tries averages of them, on both sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from lfr_kernel.api import similarity_transforms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lfr_kernel.api import Detector, Picture

__all__ = ["VIEWS", "VIEW_SETS", "View", "cut", "steadied"]


class View(Struct, frozen=True):
    """How a crop departs from the usual one, about its middle."""

    scale: float = 1.0
    degrees: float = 0.0
    right: float = 0.0
    """Of the crop's width."""
    down: float = 0.0
    is_steadied: bool = False
    """Whether the landmarks are averaged with those found on the mirrored picture."""


VIEWS: dict[str, View] = {
    "smaller": View(scale=0.93),
    "larger": View(scale=1.07),
    "turned left": View(degrees=5.0),
    "turned right": View(degrees=-5.0),
    "to the right": View(right=0.027),
    "to the left": View(right=-0.027),
    "down": View(down=0.027),
    "up": View(down=-0.027),
    "steadied": View(is_steadied=True),
}
VIEW_SETS: dict[str, tuple[str, ...]] = {
    "cut 7 % smaller and larger, too": ("smaller", "larger"),
    "turned by 5 degrees either way, too": ("turned left", "turned right"),
    "moved by 3 of 112 px in four directions, too": ("to the right", "to the left", "down", "up"),
    "by landmarks averaged with those of the mirrored picture, too": ("steadied",),
    "all of these averaged": tuple(VIEWS),
}


class _Mirrored:
    """A picture with left and right exchanged, for detectors: see `lfr_kernel.api.Picture`."""

    def __init__(self, picture: Picture) -> None:
        self.size = picture.size
        self._picture = picture

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        return np.ascontiguousarray(self._picture.rgb(width, height)[:, ::-1])

    def patch(self, affine: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
        across = np.array([[-1.0, 0.0, self.size[0] - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        return self._picture.patch(affine @ across, size)


def steadied(picture: Picture, landmarks: NDArray[np.float32], detector: Detector) -> NDArray[np.float32]:
    """Return landmarks [5, 2] averaged with those that the detector finds on the mirrored picture, where it finds them.

    Args:
        picture: on which the face was found.
        landmarks: float32 [5, 2], px of the picture.
        detector: that found it.
    """
    found = detector.detect(_Mirrored(picture))
    if not len(found):
        return landmarks
    back = found.landmarks[:, [1, 0, 2, 4, 3]].copy()
    back[..., 0] = picture.size[0] - 1 - back[..., 0]
    apart = np.linalg.norm(back - landmarks, axis=2).mean(axis=1)
    nearest = int(apart.argmin())
    is_same = apart[nearest] < 0.25 * np.linalg.norm(landmarks[1] - landmarks[0])
    return np.asarray((landmarks + back[nearest]) / 2, np.float32) if is_same else landmarks


def cut(
    picture: Picture, landmarks: NDArray[np.float32], view: View, template: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return the crop of a face as a view says, uint8 [H, W, 3] RGB.

    Args:
        picture: that holds it.
        landmarks: float32 [5, 2], px of the picture.
        view: how to depart from the usual crop.
        template: float64 [5, 2]: where landmarks lie in it.
        size: (width, height) of a crop, px.
    """
    (affine,) = similarity_transforms(landmarks[np.newaxis], template)
    angle = np.radians(view.degrees)
    turn = view.scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = template.mean(axis=0)
    moved = np.array([view.right * size[0], view.down * size[1]])
    matrix = np.column_stack((turn, middle - turn @ middle + moved))
    return picture.patch(matrix @ np.vstack((affine, (0.0, 0.0, 1.0))), size)
