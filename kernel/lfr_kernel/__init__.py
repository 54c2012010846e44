"""lfr-kernel: an actor-based microkernel for live facial recognition that keeps its promises."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("lfr-kernel")
