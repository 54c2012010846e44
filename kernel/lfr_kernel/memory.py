"""Keeping the process small where the C library would not."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["limit_arenas"]

M_ARENA_MAX = -8
ARENAS = 2


def limit_arenas() -> None:
    """Let all threads share two heaps.

    glibc gives each of the first threads a heap of its own, and memory that was freed in one is of no use to the
    others: with a lane for every camera and store that is some 25 MB of nothing. See mallopt(3), M_ARENA_MAX. Other C
    libraries have no such thing, and are left alone.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_ARENA_MAX, ARENAS)
