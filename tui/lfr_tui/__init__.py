"""The terminal dashboard: talks to a kernel only through its sockets."""

from lfr_tui.app import main

__all__ = ["main"]
