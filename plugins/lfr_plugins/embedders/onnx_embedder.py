"""The built-in embedder: any ONNX model in the style of ArcFace, as its card describes it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from lfr_kernel.api import PassingError, PermanentError
from lfr_plugins.models import load_model, overlapping_runs
from lfr_plugins.models.pixels import fill_crops

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lfr_plugins.embedders.config import OnnxEmbedderConfig
    from lfr_plugins.models import Card

__all__ = ["OnnxEmbedder", "normalise"]


class OnnxEmbedder:
    """Turns aligned crops into templates; the contract is `lfr_kernel.api.Embedder`.

    Calls may overlap where the device allows it: they share one session, usually with one thread a run. The normalised
    crops lie in a buffer of the thread that runs the call, and are overwritten when the call ends; the runtime writes
    the templates straight into the caller's array. What the layers in between leave behind stays in the runtime's
    memory until its next run; the host makes one with blank crops when it has nothing to do.

    Args:
        config: see `OnnxEmbedderConfig`.
        threads: within one run of the session; see `load_model`.
    """

    max_concurrency: int
    batch_size: int
    digest: str
    device: str
    dimension: int
    crop_size: tuple[int, int]
    landmark_template: NDArray[np.float64]

    def __init__(self, config: OnnxEmbedderConfig, *, threads: int = 1) -> None:
        loaded = load_model(config.model, device=config.device, threads=threads)
        card = loaded.card
        self.dimension, self.crop_size, self.landmark_template = _geometry(card)
        (pictures,) = card.inputs
        # One size, always: a batch that varies would double what the runtime holds, and gain nothing on a CPU.
        self.batch_size = pictures.shape[0] if isinstance(pictures.shape[0], int) else 1
        self.digest = card.sha256
        self.device = loaded.device
        self.max_concurrency = overlapping_runs(loaded.device)
        self._session = loaded.session
        self._pixels = card.pixels
        self._is_normalised = card.is_normalised
        self._input = pictures.name
        (self._output,) = (one.name for one in card.outputs if one.role == "template")
        self._shape = (self.batch_size, 3, self.crop_size[1], self.crop_size[0])
        self._buffers = threading.local()

    def embed(self, crops: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Write one L2-normalised template a crop into `out`.

        Args:
            crops: uint8 [N, H, W, 3] RGB, aligned to `landmark_template`, N = `batch_size`.
            out: float32 [N, D], C-contiguous, written in place.

        Raises:
            ValueError: an array of another shape, dtype or layout.
            PassingError: the model, which does not normalise, gave a template of length 0 or none at all.
        """
        batch, channels, height, width = self._shape
        _expect("crops", crops, (batch, height, width, channels), np.uint8)
        _expect("out", out, (batch, self.dimension), np.float32)
        if not (out.flags.c_contiguous and out.flags.writeable):
            raise ValueError("out must be writeable and C-contiguous: the runtime writes into its memory")
        tensor = self._buffer()
        try:
            fill_crops(tensor, crops, self._pixels)
            binding = self._session.io_binding()
            binding.bind_cpu_input(self._input, tensor)
            binding.bind_output(self._output, "cpu", 0, np.float32, out.shape, out.ctypes.data)
            self._session.run_with_iobinding(binding)
        finally:
            tensor.fill(0)
        if not self._is_normalised:
            normalise(out)

    def close(self) -> None:
        """Let go of the input buffers, which hold zeros; the session goes with the instance."""
        self._buffers = threading.local()

    def _buffer(self) -> NDArray[np.float32]:
        buffer: NDArray[np.float32] | None = getattr(self._buffers, "tensor", None)
        if buffer is None:
            buffer = self._buffers.tensor = np.zeros(self._shape, np.float32)
        return buffer


def normalise(templates: NDArray[np.float32]) -> None:
    """Give each template the length 1, in place.

    Args:
        templates: float32 [N, D], overwritten.

    Raises:
        PassingError: one has length 0, or one that is not finite. All are overwritten with zeros then.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(np.einsum("nd,nd->n", templates, templates))
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        worst = lengths[~(np.isfinite(lengths) & (lengths > 0))][0]
        templates.fill(0)
        raise PassingError(f"the model gave a template of length {worst:.4g}, which has no direction")
    templates /= lengths[:, np.newaxis]


def _geometry(card: Card) -> tuple[int, tuple[int, int], NDArray[np.float64]]:
    if card.dimension is None or card.crop_size is None or card.landmark_template is None:
        raise PermanentError(
            f'model {card.name!r} is for {card.task}, and an embedder needs one with task = "embedding"; choose '
            "another `model`: see `lfr-kernel models list`"
        )
    template = np.array(card.landmark_template, np.float64)
    template.flags.writeable = False
    return card.dimension, card.crop_size, template


def _expect(name: str, array: NDArray[Any], shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name} must be {dtype.__name__} {list(shape)}, got {array.dtype} {list(array.shape)}")
