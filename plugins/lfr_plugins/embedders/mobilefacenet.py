"""The built-in embedder: MobileFaceNet, 192 numbers a face."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from lfr_kernel.api import PermanentError
from lfr_plugins.models import load_card, load_session, overlapping_runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lfr_kernel.api import NoConfig
    from lfr_plugins.models import Card

__all__ = ["MobileFaceNet", "fill_input"]

MODEL = "mobilefacenet"


class MobileFaceNet:
    """Turns one aligned crop into a template; the contract is `lfr_kernel.api.Embedder`.

    Calls may overlap: they share one session, usually with one thread a run. The normalised crop lies in a buffer of
    the thread that runs the call, and is overwritten when the call ends; the runtime writes the template straight into
    the caller's array. What the layers in between leave behind stays in the runtime's memory until its next run.

    Args:
        config: nothing.
        threads: within one run of the session; see `load_session`.
    """

    max_concurrency: int
    batch_size = 1
    digest: str
    dimension: int
    crop_size: tuple[int, int]
    landmark_template: NDArray[np.float64]

    def __init__(self, config: NoConfig, *, threads: int = 1) -> None:  # noqa: ARG002  (what every plugin is created with)
        card = load_card(MODEL)
        self.dimension, self.crop_size, self.landmark_template = _geometry(card)
        self.digest = card.sha256
        self._session = load_session(MODEL, threads=threads)
        self._pixels = card.pixels
        self._shape = (self.batch_size, 3, self.crop_size[1], self.crop_size[0])
        self._buffers = threading.local()
        self.max_concurrency = overlapping_runs(self._session)

    def embed(self, crops: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Write one L2-normalised template a crop into `out`.

        Args:
            crops: uint8 [1, 112, 112, 3] RGB, aligned to `landmark_template`.
            out: float32 [1, 192], C-contiguous, written in place.

        Raises:
            ValueError: an array of another shape, dtype or layout.
        """
        batch, channels, height, width = self._shape
        _expect("crops", crops, (batch, height, width, channels), np.uint8)
        _expect("out", out, (batch, self.dimension), np.float32)
        if not (out.flags.c_contiguous and out.flags.writeable):
            raise ValueError("out must be writeable and C-contiguous: the runtime writes into its memory")
        tensor = self._buffer()
        try:
            fill_input(tensor, crops, self._pixels.mean[0], self._pixels.scale)
            binding = self._session.io_binding()
            binding.bind_cpu_input("input", tensor)
            binding.bind_output("embedding", "cpu", 0, np.float32, out.shape, out.ctypes.data)
            self._session.run_with_iobinding(binding)
        finally:
            tensor.fill(0)

    def close(self) -> None:
        """Let go of the input buffers, which hold zeros; the session goes with the instance."""
        self._buffers = threading.local()

    def _buffer(self) -> NDArray[np.float32]:
        buffer: NDArray[np.float32] | None = getattr(self._buffers, "tensor", None)
        if buffer is None:
            buffer = self._buffers.tensor = np.zeros(self._shape, np.float32)
        return buffer


def fill_input(tensor: NDArray[np.float32], crops: NDArray[np.uint8], mean: float, scale: float) -> None:
    """Write (crops - mean) / scale into `tensor`, channels first, without a temporary.

    Args:
        tensor: float32 [N, 3, H, W], overwritten.
        crops: uint8 [N, H, W, 3].
        mean: of every channel, for values from 0 to 255.
        scale: likewise.
    """
    np.copyto(tensor, crops.transpose(0, 3, 1, 2))
    tensor -= mean
    tensor /= scale


def _geometry(card: Card) -> tuple[int, tuple[int, int], NDArray[np.float64]]:
    if card.dimension is None or card.crop_size is None or card.landmark_template is None:
        raise PermanentError(
            f"the card of embedding model {card.name!r} must state dimension, crop_size and landmark_template; add them"
        )
    template = np.array(card.landmark_template, np.float64)
    template.flags.writeable = False
    return card.dimension, card.crop_size, template


def _expect(name: str, array: NDArray[Any], shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name} must be {dtype.__name__} {list(shape)}, got {array.dtype} {list(array.shape)}")
