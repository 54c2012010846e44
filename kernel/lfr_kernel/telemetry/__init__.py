"""Telemetry: frozen snapshots of a run."""

from lfr_kernel.telemetry.summary import Summary, summarise

__all__ = ["Summary", "summarise"]
