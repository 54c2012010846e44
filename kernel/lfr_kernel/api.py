"""Everything that a plugin may import. Names listed here are stable; nothing else of the kernel is.

Most are the contracts of the stages. Commands also get what it takes to run a profile (`run_profile`, or
`parse_profile` with `Registry`, `Session`, `Listener`, `Outcome`, `Summary`, `Quantiles`), the bare runtime
(`Actor`, `Source`, `Consumes`, `Policy`, `Edge`, `System`), and what reads a TOML file with every mistake at once
(`decode`, `Problem`, `suggest`).
"""

from lfr_kernel.cli.run import run_profile
from lfr_kernel.decoding import Problem, decode, suggest
from lfr_kernel.messages import Alert, Biometric, Faces, Frame, Outcome, Picture
from lfr_kernel.plugins import (
    API_VERSION,
    CameraPlugin,
    CommandPlugin,
    DetectorPlugin,
    EmbedderPlugin,
    IndexPlugin,
    NoConfig,
    Plugin,
    Registry,
    RetentionPlugin,
    SinkPlugin,
    TrackerPlugin,
    hookimpl,
)
from lfr_kernel.profile import parse_profile
from lfr_kernel.runtime import Actor, Consumes, Edge, Policy, Source, System
from lfr_kernel.runtime.errors import LfrError, PassingError, PermanentError, describe
from lfr_kernel.session import Listener, Session
from lfr_kernel.stages.alignment import similarity_transforms
from lfr_kernel.stages.camera import Camera, EndOfInput, Pace, Reading
from lfr_kernel.stages.detector import Detections, Detector
from lfr_kernel.stages.embedder import Embedder
from lfr_kernel.stages.index import Candidates, Index
from lfr_kernel.stages.measure import Quantiles
from lfr_kernel.stages.retention import RecordClass, Retention
from lfr_kernel.stages.sink import AlertSink, Evidence, SinkContext
from lfr_kernel.stages.tracker import TrackEnded, Tracker, TrackOpened, TrackUpdate, Wanted
from lfr_kernel.telemetry import Summary

__all__ = [
    "API_VERSION",
    "Actor",
    "Alert",
    "AlertSink",
    "Biometric",
    "Camera",
    "CameraPlugin",
    "Candidates",
    "CommandPlugin",
    "Consumes",
    "Detections",
    "Detector",
    "DetectorPlugin",
    "Edge",
    "Embedder",
    "EmbedderPlugin",
    "EndOfInput",
    "Evidence",
    "Faces",
    "Frame",
    "Index",
    "IndexPlugin",
    "LfrError",
    "Listener",
    "NoConfig",
    "Outcome",
    "Pace",
    "PassingError",
    "PermanentError",
    "Picture",
    "Plugin",
    "Policy",
    "Problem",
    "Quantiles",
    "Reading",
    "RecordClass",
    "Registry",
    "Retention",
    "RetentionPlugin",
    "Session",
    "SinkContext",
    "SinkPlugin",
    "Source",
    "Summary",
    "System",
    "TrackEnded",
    "TrackOpened",
    "TrackUpdate",
    "Tracker",
    "TrackerPlugin",
    "Wanted",
    "decode",
    "describe",
    "hookimpl",
    "parse_profile",
    "run_profile",
    "similarity_transforms",
    "suggest",
]
