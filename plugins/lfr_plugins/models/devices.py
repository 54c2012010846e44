"""On what a model runs: the names of profiles, and the execution providers of ONNX Runtime behind them.

Nothing here imports the runtime: a config is read at every start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, Struct

from lfr_kernel.api import PermanentError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DEVICES", "Asked", "Device", "DeviceError", "candidates", "overlapping_runs", "provider_options"]

Device = Literal["cpu", "cuda", "directml", "openvino"]
Asked = Annotated[
    Literal["auto", "cpu", "directml", "cuda", "openvino"],
    Meta(
        description="On what the model runs. What is asked for and missing is an error, never a silent fallback; "
        "`auto` takes the best there is (cuda, directml, openvino, cpu, in this order) and says which it took."
    ),
]


class Provider(Struct, frozen=True):
    """An execution provider of ONNX Runtime."""

    name: str
    install: str
    """What to do where it is missing."""
    needs: str
    """What it needs to work."""


DEVICES: dict[Device, Provider] = {
    "cuda": Provider(
        "CUDAExecutionProvider",
        "replace onnxruntime by onnxruntime-gpu (pip uninstall onnxruntime; pip install onnxruntime-gpu)",
        "an NVIDIA GPU with its driver, and the CUDA and cuDNN that this version of onnxruntime was built for",
    ),
    "directml": Provider(
        "DmlExecutionProvider",
        "on Windows, replace onnxruntime by onnxruntime-directml (pip uninstall onnxruntime; pip install "
        "onnxruntime-directml)",
        "a GPU with a driver for DirectX 12",
    ),
    "openvino": Provider(
        "OpenVINOExecutionProvider",
        "replace onnxruntime by onnxruntime-openvino (pip uninstall onnxruntime; pip install onnxruntime-openvino)",
        "an Intel CPU or GPU and, on Windows, OpenVINO's own libraries on the PATH",
    ),
    "cpu": Provider("CPUExecutionProvider", "install onnxruntime anew", "nothing but a CPU"),
}
"""By the name that profiles use, best first."""

MANY = 64


class DeviceError(PermanentError):
    """A device that was asked for cannot be had; the text says what there is and what to do."""


def candidates(asked: str, available: Sequence[str], runtime: str) -> list[Device]:
    """Return the devices to try, best first.

    Args:
        asked: a device, or `auto`.
        available: the providers that the runtime was built with.
        runtime: name and version, for messages.

    Raises:
        DeviceError: the one that was asked for is not among them.
    """
    there = [device for device, provider in DEVICES.items() if provider.name in available]
    if asked == "auto":
        return there
    wanted = [device for device in there if device == asked]
    if not wanted:
        (provider,) = [one for device, one in DEVICES.items() if device == asked]
        raise DeviceError(
            f'device = "{asked}" needs {provider.name}, but {runtime} has only {", ".join(available)}; '
            f'{provider.install}, or set device = "{there[0] if there else "auto"}"'
        )
    return wanted


def provider_options(device: Device) -> dict[str, Any]:
    """Return what a provider is told: to take no more memory than a shape needs, where it would double it."""
    return {"arena_extend_strategy": "kSameAsRequested"} if device == "cuda" else {}


def overlapping_runs(device: Device) -> int:
    """Return how many runs of one session may overlap.

    DirectML's execution provider supports one at a time; those of CPU, CUDA and OpenVINO any number (ONNX Runtime's
    `IExecutionProvider::ConcurrentRunSupported`), so that whoever has cores or threads decides.
    """
    return 1 if device == "directml" else MANY
