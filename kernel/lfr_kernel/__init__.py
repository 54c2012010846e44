"""lfr-kernel: an actor-based microkernel for live facial recognition that keeps its promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Return the version, looked up when somebody asks: reading what is installed takes a command 40 ms."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415  (see above)

    return version("lfr-kernel")
