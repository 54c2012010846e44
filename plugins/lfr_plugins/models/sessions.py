"""Weights become an inference session on the device that was asked for, after their digest has been checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnxruntime as ort  # type: ignore[import-untyped]
import structlog
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from msgspec import Struct

from lfr_kernel.api import PermanentError, describe
from lfr_plugins.models.devices import DEVICES, DeviceError, candidates, provider_options
from lfr_plugins.models.rewriting import has_external_data, without_prelu
from lfr_plugins.models.store import find_model, read_weights

if TYPE_CHECKING:
    from lfr_plugins.models.cards import Card
    from lfr_plugins.models.devices import Device

__all__ = ["Loaded", "load_model", "open_session"]

_ERRORS_ONLY = 3


class Loaded(Struct, frozen=True, kw_only=True):
    """A model that is ready to run."""

    card: Card
    session: ort.InferenceSession
    device: Device
    """The one that it really runs on."""


def load_model(name: str, *, device: str = "auto", threads: int = 1) -> Loaded:
    """Load a model of the store.

    The digest is taken of the very bytes that are handed to the runtime.

    Args:
        name: of the model; its card says which file and which digest.
        device: one of `DEVICES`, or `auto` for the best there is.
        threads: within one run on a CPU. Throughput comes from runs that overlap: one thread each keeps two cores at
            0.95 of what they can do, where two threads in one run keep them at 0.75.

    Raises:
        PermanentError: no such model, weights with another digest than the card's, a licence reference that is missing,
            a device that cannot be had, or weights that the runtime refuses.
    """
    model = find_model(name)
    session, used = open_session(read_weights(model), model.weights, device=device, threads=threads)
    return Loaded(card=model.card, session=session, device=used)


def open_session(
    weights: bytes, source: str, *, device: str = "auto", threads: int = 1
) -> tuple[ort.InferenceSession, Device]:
    """Make a session of weights, on the device that was asked for and on no other.

    Args:
        weights: an ONNX model.
        source: the file, for messages.
        device: see `load_model`.
        threads: likewise.

    Returns:
        The session, and the device that it runs on.

    Raises:
        DeviceError: the device cannot be had.
        PermanentError: the runtime refuses the weights.
    """
    runtime = f"onnxruntime {ort.__version__}"
    try:
        if has_external_data(weights):
            raise PermanentError(
                f"{source} keeps some of its weights in other files, which its digest says nothing about; save it as "
                "one file (onnx.save_model without save_as_external_data)"
            )
        plain = without_prelu(weights)
    except DecodeError as error:
        raise PermanentError(
            f"{source} is no ONNX model: {describe(error)}; give the weights as an .onnx file"
        ) from error
    for candidate in candidates(device, ort.get_available_providers(), runtime):
        try:
            session = _session(plain if candidate == "cpu" else weights, candidate, threads)
        except DeviceError as error:
            if device != "auto":
                raise DeviceError(f'{error}, or set device = "cpu"') from error
            structlog.get_logger().warning("device_passed_over", device=candidate, reason=str(error))
        except Exception as error:
            # ONNX Runtime's exceptions share no base class but Exception.
            raise PermanentError(
                f"{runtime} cannot load {source} on {candidate}: {describe(error)}; give a model that it can run, or "
                "install a version of onnxruntime that knows its operators"
            ) from error
        else:
            return session, candidate
    raise DeviceError(f"{runtime} has no provider that works; {DEVICES['cpu'].install}")


def _session(weights: bytes, device: Device, threads: int) -> ort.InferenceSession:
    """Make a session, and see that the runtime did what it was told: with libraries missing it takes the CPU."""
    provider = DEVICES[device]
    try:
        session = ort.InferenceSession(
            weights, _options(threads), providers=[(provider.name, provider_options(device))], enable_fallback=0
        )
        session.disable_fallback()
        used = session.get_providers()[0]
    except Exception as error:
        if device == "cpu":
            raise
        what = f"failed: {describe(error)}"
    else:
        if used == provider.name:
            return session
        what = f"does not work here, and {used} took its place"
    raise DeviceError(
        f'device = "{device}": {provider.name} of onnxruntime {ort.__version__} {what}; it needs {provider.needs}'
    )


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
