"""The embedder stage: its contract, and the actor that hosts a plugin of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Embedder"]


class Embedder(Protocol):
    """Turns aligned crops into templates. One instance; calls run on the compute lane.

    An exception from `embed` loses those crops (a batch is first retried one by one) and restarts the stage.
    """

    max_concurrency: int
    """How many calls of `embed` may overlap."""
    batch_size: int
    """The one N that `embed` is called with; the host fills up the last batch with zeros. On a CPU: 1."""
    digest: str
    """SHA-256 of the weights, hexadecimal. A gallery is pinned to it."""
    dimension: int
    """D, the length of a template."""
    crop_size: tuple[int, int]
    """(width, height) of a crop in px."""
    landmark_template: NDArray[np.float64]
    """float64 [5, 2]: where the five landmarks lie in a crop, px."""

    def embed(self, crops: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Write one L2-normalised template a crop into `out`.

        Args:
            crops: uint8 [N, H, W, 3] RGB, aligned to `landmark_template`, N = `batch_size`.
            out: float32 [N, D], written in place, so that the host can overwrite it later.
        """

    def close(self) -> None:
        """Release everything; must not raise."""
