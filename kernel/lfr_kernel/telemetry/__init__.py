"""Telemetry: frozen snapshots of a run."""

from lfr_kernel.telemetry.summary import ModelSummary, Summary, summarise

__all__ = ["ModelSummary", "Summary", "summarise"]
