"""Painted people, pictures of them, and a camera that plays a script."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from msgspec import Struct

from lfr_kernel.stages.camera import EndOfInput, Pace, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["FRAME_NS", "FakeCamera", "FakeFace", "FakePicture", "Step"]

FRAME_NS = 40_000_000
"""From one picture of a script to the next, as long as nothing else is said."""


class FakeFace(Struct, frozen=True):
    """A square of one colour that stands for a face; who it is is its colour."""

    x: float
    y: float
    """Its left upper corner, in px."""
    size: float
    """Its width and height, in px."""
    colour: tuple[int, int, int]
    confidence: float = 0.99

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Its bbox, xyxy in px."""
        return (self.x, self.y, self.x + self.size, self.y + self.size)


class FakePicture:
    """A picture in an array; `faces` are what a `FakeDetector` finds in it. See `lfr_kernel.messages.Picture`."""

    def __init__(self, pixels: NDArray[np.uint8], faces: Sequence[FakeFace] = ()) -> None:
        """Show `pixels` (uint8 [H, W, 3] RGB; shared, not copied)."""
        self._pixels = pixels
        self.faces = tuple(faces)

    @classmethod
    def of(cls, faces: Sequence[FakeFace], size: tuple[int, int] = (320, 180)) -> FakePicture:
        """Paint faces on grey; `size` is (width, height) in px."""
        pixels = np.full((size[1], size[0], 3), 96, np.uint8)
        for face in faces:
            left, top, right, bottom = (max(0, round(edge)) for edge in face.box)
            pixels[top:bottom, left:right] = face.colour
        return cls(pixels, faces)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        return self._pixels.shape[1], self._pixels.shape[0]

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return the picture scaled to `width` x `height` px, nearest pixel; uint8 [height, width, 3]."""
        rows = np.arange(height) * self._pixels.shape[0] // height
        columns = np.arange(width) * self._pixels.shape[1] // width
        scaled: NDArray[np.uint8] = self._pixels[rows[:, None], columns]
        return scaled

    def patch(self, affine: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return a patch, nearest pixel, black outside of the picture; uint8 [size[1], size[0], 3]."""
        to_picture = np.linalg.inv(np.vstack((affine, (0, 0, 1))))[:2]
        y, x = np.mgrid[: size[1], : size[0]]
        found = np.rint(to_picture @ np.stack((x.ravel(), y.ravel(), np.ones(x.size)))).astype(np.intp)
        inside = ((found >= 0) & (found < np.array(self.size)[:, None])).all(axis=0)
        patch = np.zeros((x.size, 3), np.uint8)
        patch[inside] = self._pixels[found[1, inside], found[0, inside]]
        return patch.reshape(size[1], size[0], 3)


Step: TypeAlias = FakePicture | Reading | Exception | Callable[[], object] | None
"""One call of `FakeCamera.read` or `open`: a picture, nothing yet, an exception, or a call made before the next."""


class FakeCamera:
    """Plays a script, one step a call of `read`, then ends. See `lfr_kernel.stages.camera.Camera`.

    To script what several instances do one after the other, let them share one iterator.
    """

    def __init__(
        self,
        script: Iterable[Step],
        *,
        pace: Pace = "unpaced",
        opening: Iterable[Step] = (),
        frame_ns: int = FRAME_NS,
        first_ns: int = 0,
    ) -> None:
        """Write the script.

        Args:
            script: of `read`; a plain picture is `frame_ns` after the one before.
            pace: as the contract has it.
            opening: of `open`; when it is over, opening succeeds.
            frame_ns: between two pictures in the stream.
            first_ns: position of the first picture.
        """
        self.pace: Pace = pace
        self.opened = self.closed = self.reads = 0
        """Calls so far."""
        self._script = iter(script)
        self._opening = iter(opening)
        self._frame_ns = frame_ns
        self._position_ns = first_ns

    def open(self) -> None:
        """Play one step of `opening`."""
        self.opened += 1
        for step in self._opening:
            if isinstance(step, Exception):
                raise step
            if callable(step):
                step()
                continue
            return

    def read(self) -> Reading | None:
        """Play one step of the script; raise EndOfInput after the last."""
        self.reads += 1
        for step in self._script:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, FakePicture):
                reading = Reading(picture=step, position_ns=self._position_ns)
                self._position_ns += self._frame_ns
                return reading
            if step is None or isinstance(step, Reading):
                return step
            step()
        raise EndOfInput

    def close(self) -> None:
        """Count it."""
        self.closed += 1
