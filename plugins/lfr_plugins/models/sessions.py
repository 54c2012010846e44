"""Weights become an inference session, after their digest has been checked."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import onnxruntime as ort  # type: ignore[import-untyped]

from lfr_kernel.api import PermanentError, describe
from lfr_plugins.models.cards import built_in, load_card
from lfr_plugins.models.rewriting import without_prelu

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

from lfr_plugins.models.cards import Card

__all__ = ["load_session", "overlapping_runs"]

_DIRECTML = "DmlExecutionProvider"
_CPU = "CPUExecutionProvider"
_ERRORS_ONLY = 3


def load_session(name: str, *, threads: int = 1, folder: Traversable | None = None) -> ort.InferenceSession:
    """Load `<name>.onnx` into a session of ONNX Runtime.

    It runs on the CPU, or on Windows through DirectML where that is installed. The digest is taken of the very bytes
    that are handed to the runtime.

    Args:
        name: of the model; its card says which file and which digest.
        threads: within one run. Throughput comes from runs that overlap: one thread each keeps two cores at 0.95 of
            what they can do, where two threads in one run keep them at 0.75.
        folder: where card and weights lie; the built-in models when None.

    Raises:
        PermanentError: no card, no weights, weights with another digest than the card's, or weights that the runtime
            refuses.
    """
    folder = folder or built_in()
    card = load_card(name, folder=folder)
    weights = _verified(card, folder)
    available = ort.get_available_providers()
    providers = [one for one in (_DIRECTML, _CPU) if one in available]
    try:
        if providers == [_CPU]:
            weights = without_prelu(weights)
        return ort.InferenceSession(weights, _options(threads), providers=providers)
    except Exception as error:
        # ONNX Runtime's exceptions share no base class but Exception.
        raise PermanentError(
            f"ONNX Runtime {ort.__version__} cannot load {folder / card.file} of model {name!r}: {describe(error)}; "
            "its digest is right, so install a version of onnxruntime that knows its operators"
        ) from error


def overlapping_runs(session: ort.InferenceSession) -> int:
    """Return how many calls of `session.run` may overlap: one through DirectML, as many as anyone has cores on a CPU.

    DirectML's execution provider forbids concurrent runs of one session.
    """
    return 1 if _DIRECTML in session.get_providers() else 64


def _verified(card: Card, folder: Traversable) -> bytes:
    path = folder / card.file
    try:
        weights = path.read_bytes()
    except FileNotFoundError as error:
        raise PermanentError(
            f"the weights of model {card.name!r} are missing: expected {path}; put them there or reinstall lfr-kernel"
        ) from error
    digest = hashlib.sha256(weights).hexdigest()
    if digest != card.sha256:
        raise PermanentError(
            f"the weights of model {card.name!r} are not those its card describes: {path} should have SHA-256 "
            f"{card.sha256}, but has {digest}; restore the file (reinstall lfr-kernel), never the digest"
        )
    return weights


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # A pattern is one block for every shape that was ever seen, on top of what the arena holds; it gained no speed
    # here, and DirectML cannot have it.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = _ERRORS_ONLY
    return options
