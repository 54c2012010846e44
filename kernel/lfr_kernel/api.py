"""Everything that a plugin may import. Names listed here are stable; nothing else of the kernel is."""

from lfr_kernel.messages import Alert, Biometric, Faces, Frame, Picture
from lfr_kernel.plugins import (
    API_VERSION,
    CameraPlugin,
    CommandPlugin,
    DetectorPlugin,
    EmbedderPlugin,
    IndexPlugin,
    NoConfig,
    Plugin,
    RetentionPlugin,
    SinkPlugin,
    TrackerPlugin,
    hookimpl,
)
from lfr_kernel.runtime.errors import LfrError, PassingError, PermanentError, describe
from lfr_kernel.stages.alignment import similarity_transforms
from lfr_kernel.stages.camera import Camera, EndOfInput, Pace, Reading
from lfr_kernel.stages.detector import Detections, Detector
from lfr_kernel.stages.embedder import Embedder
from lfr_kernel.stages.index import Candidates, Index
from lfr_kernel.stages.retention import RecordClass, Retention
from lfr_kernel.stages.sink import AlertSink, Evidence, SinkContext
from lfr_kernel.stages.tracker import TrackEnded, Tracker, TrackOpened, TrackUpdate, Wanted

__all__ = [
    "API_VERSION",
    "Alert",
    "AlertSink",
    "Biometric",
    "Camera",
    "CameraPlugin",
    "Candidates",
    "CommandPlugin",
    "Detections",
    "Detector",
    "DetectorPlugin",
    "Embedder",
    "EmbedderPlugin",
    "EndOfInput",
    "Evidence",
    "Faces",
    "Frame",
    "Index",
    "IndexPlugin",
    "LfrError",
    "NoConfig",
    "Pace",
    "PassingError",
    "PermanentError",
    "Picture",
    "Plugin",
    "Reading",
    "RecordClass",
    "Retention",
    "RetentionPlugin",
    "SinkContext",
    "SinkPlugin",
    "TrackEnded",
    "TrackOpened",
    "TrackUpdate",
    "Tracker",
    "TrackerPlugin",
    "Wanted",
    "describe",
    "hookimpl",
    "similarity_transforms",
]
