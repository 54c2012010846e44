"""What a camera says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Frame", "Picture"]


class Picture(Protocol):
    """One picture, in whatever form the camera keeps it. Thread-safe by contract.

    The camera plugin implements it, so that the kernel needs no image library, conversion happens only where
    it is needed, and crops are cut from full resolution.
    """

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return the whole picture scaled to `width` x `height` px as RGB, uint8 [height, width, 3].

        Every call returns an array of its own.
        """

    def patch(self, affine: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return a patch cut from full resolution as RGB, uint8 [size[1], size[0], 3].

        Args:
            affine: float64 [2, 3], maps px of the picture (x, y, 1) to px of the patch.
            size: (width, height) of the patch in px; what lies outside the picture is black.
        """


class Frame(Struct, frozen=True, kw_only=True, eq=False, tag=True):
    """One picture from one camera.

    Sender: the camera's host. Receiver: the detector. Delivery: freshest (the newest wins, older ones are
    dropped and counted), or block when the source is a file that is not paced.
    """

    camera: str
    sequence: int
    """Counts the frames this camera has delivered, from 0, without gaps."""
    picture: Picture
    captured_at_ns: int
    """UTC, nanoseconds since 1970: for records."""
    captured_monotonic_ns: int
    """On the system's monotonic clock: for latency and order; rises across loops and reconnects."""
    stream_ns: int
    """Position on the camera's own time line: for motion and age; rises across loops and reconnects."""
    decoded_at_ns: int = 0
    """UTC, nanoseconds since 1970: when the camera's host had it; 0 where it is not known."""

    def erase(self) -> None:
        """Nothing to overwrite: a decoder's planes are its reference frames. Their promise is a bounded life."""

    def __repr__(self) -> str:
        return f"Frame({self.camera} #{self.sequence})"
