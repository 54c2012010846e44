"""The detector stage: its contract, and the actor that hosts a plugin of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lfr_kernel.messages import Picture

__all__ = ["Detections", "Detector"]


class Detections(Struct, frozen=True, kw_only=True, eq=False):
    """The faces found in one picture, strongest first, possibly none."""

    boxes: NDArray[np.float32]
    """float32 [N, 4], xyxy in px of the source picture."""
    landmarks: NDArray[np.float32]
    """float32 [N, 5, 2] in px of the source picture: the eye at the image's left, the other eye, nose tip, the
    mouth corner at the image's left, the other one."""
    confidences: NDArray[np.float32]
    """float32 [N] in [0, 1]."""

    def __len__(self) -> int:
        return len(self.boxes)


class Detector(Protocol):
    """Finds faces. One instance, shared by all cameras; calls run on the compute lane.

    An exception from `detect` loses that picture and restarts the stage: `close`, then a new instance.
    """

    max_concurrency: int
    """How many calls of `detect` may overlap."""
    digest: str
    """SHA-256 of the weights, hexadecimal."""

    def detect(self, picture: Picture) -> Detections:
        """Find the faces of one picture."""

    def smallest_face_px(self, width: int, height: int) -> float:
        """Return the width in px of the smallest face it can find in a picture of `width` x `height` px."""

    def close(self) -> None:
        """Release everything; must not raise."""
