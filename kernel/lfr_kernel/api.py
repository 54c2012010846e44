"""Everything that a plugin may import. Names listed here are stable; nothing else of the kernel is.

Most are the contracts of the stages. Commands also get what it takes to run a profile (`run_profile`, or
`read_profile` and `parse_profile` with `Profile`, `Registry`, `Session`, `Listener`, `Outcome`, `Verdict`, `Summary`,
`Quantiles`), to show it (`funnel_tables` of each `CameraFunnel`, `printable`), and the bare runtime (`Actor`,
`Source`, `Consumes`, `Policy`, `Edge`, `System`).
"""

from lfr_kernel.cli.funnel import funnel_tables
from lfr_kernel.cli.run import run_profile
from lfr_kernel.cli.screen import printable
from lfr_kernel.messages import Alert, Biometric, Faces, Frame, Outcome, Picture, Verdict
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
from lfr_kernel.profile import Profile, parse_profile, read_profile
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
from lfr_kernel.stages.tracker import Seen, TrackEnded, Tracker, TrackOpened, TrackUpdate, Wanted
from lfr_kernel.telemetry import CameraFunnel, Summary

__all__ = [
    "API_VERSION",
    "Actor",
    "Alert",
    "AlertSink",
    "Biometric",
    "Camera",
    "CameraFunnel",
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
    "Profile",
    "Quantiles",
    "Reading",
    "RecordClass",
    "Registry",
    "Retention",
    "RetentionPlugin",
    "Seen",
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
    "Verdict",
    "Wanted",
    "describe",
    "funnel_tables",
    "hookimpl",
    "parse_profile",
    "printable",
    "read_profile",
    "run_profile",
    "similarity_transforms",
]
