"""Telemetry: frozen snapshots of a run."""

from lfr_kernel.telemetry.funnel import CameraFunnel, FaceFunnel, PassageFunnel
from lfr_kernel.telemetry.summary import ModelSummary, Summary, summarise

__all__ = ["CameraFunnel", "FaceFunnel", "ModelSummary", "PassageFunnel", "Summary", "summarise"]
