"""What a detector says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lfr_kernel.messages.biometric import Biometric
    from lfr_kernel.messages.frames import Picture

__all__ = ["Faces"]


class Faces(Struct, frozen=True, kw_only=True, eq=False, tag=True):
    """The faces of one frame, possibly none.

    Sender: the detector's host, in order per camera. Receiver: the tracker. Delivery: bounded.
    """

    camera: str
    sequence: int
    missed: int
    """The gap marker: how many frames of this camera were dropped since the previous `Faces`."""
    picture: Picture
    captured_at_ns: int
    captured_monotonic_ns: int
    stream_ns: int
    decoded_at_ns: int = 0
    boxes: NDArray[np.float32]
    """float32 [N, 4], xyxy in px of the source picture."""
    landmarks: NDArray[np.float32]
    """float32 [N, 5, 2], px of the source picture: the eye at the image's left, the other eye, nose tip, the
    mouth corner at the image's left, the other one."""
    confidences: NDArray[np.float32]
    """float32 [N] in [0, 1]: of the detection, not of any identity."""
    crops: Biometric
    """uint8 [N, H, W, 3] RGB, each aligned to the embedder's landmark template."""
    affines: NDArray[np.float64] | None = None
    """float64 [N, 2, 3]: each maps (x, y, 1) of the source picture to (x, y) of its crop; None where there is no
    telling."""

    def __len__(self) -> int:
        return len(self.boxes)

    def erase(self) -> None:
        """Overwrite the crops."""
        self.crops.erase()

    def __repr__(self) -> str:
        return f"Faces({self.camera} #{self.sequence}: {len(self)})"
