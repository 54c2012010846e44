"""Everything that a plugin may import. Names listed here are stable; nothing else of the kernel is.

Most are the contracts of the stages. Commands also get what it takes to run a profile (`run_profile`, or
`load_profile` or `parse_profile` with `Registry`, `Session`, `Listener`, `Outcome`, `Summary`, `Quantiles`), what an
evaluation report says of itself (`Coverage`, with `recognition_settings` and `most_looks` of a profile; `Basis` is how
it is judged), the mathematics of recognition (alignment, quality, embedding, pooling, vetting: what is measured must be
what runs) and the bare runtime (`Actor`, `Source`, `Consumes`, `Policy`, `Edge`, `System`).
"""

from lfr_kernel.citation import most_looks, recognition_settings
from lfr_kernel.cli.run import run_profile
from lfr_kernel.enrolment import read_photograph
from lfr_kernel.governance.basis import Basis, Coverage
from lfr_kernel.governance.vetting import Finding, outliers, pool_photographs, resemblances
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
from lfr_kernel.profile import load_profile, parse_profile
from lfr_kernel.runtime import Actor, Consumes, Edge, Policy, Source, System
from lfr_kernel.runtime.errors import LfrError, PassingError, PermanentError, describe
from lfr_kernel.session import Listener, Session
from lfr_kernel.stages.alignment import mirror, similarity_transforms
from lfr_kernel.stages.camera import Camera, EndOfInput, Pace, Reading
from lfr_kernel.stages.detector import Detections, Detector
from lfr_kernel.stages.embedder import Embedder, embed_crops
from lfr_kernel.stages.index import Candidates, Index
from lfr_kernel.stages.measure import Quantiles
from lfr_kernel.stages.pooling import Added, Pool, required_similarity
from lfr_kernel.stages.quality import EnrolmentGates, FaceQualities, Gate, Gates, face_qualities, gated
from lfr_kernel.stages.retention import RecordClass, Retention
from lfr_kernel.stages.sink import AlertSink, Evidence, SinkContext
from lfr_kernel.stages.tracker import TrackEnded, Tracker, TrackOpened, TrackUpdate, Wanted
from lfr_kernel.telemetry import Summary

__all__ = [
    "API_VERSION",
    "Actor",
    "Added",
    "Alert",
    "AlertSink",
    "Basis",
    "Biometric",
    "Camera",
    "CameraPlugin",
    "Candidates",
    "CommandPlugin",
    "Consumes",
    "Coverage",
    "Detections",
    "Detector",
    "DetectorPlugin",
    "Edge",
    "Embedder",
    "EmbedderPlugin",
    "EndOfInput",
    "EnrolmentGates",
    "Evidence",
    "FaceQualities",
    "Faces",
    "Finding",
    "Frame",
    "Gate",
    "Gates",
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
    "Pool",
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
    "describe",
    "embed_crops",
    "face_qualities",
    "gated",
    "hookimpl",
    "load_profile",
    "mirror",
    "most_looks",
    "outliers",
    "parse_profile",
    "pool_photographs",
    "read_photograph",
    "recognition_settings",
    "required_similarity",
    "resemblances",
    "run_profile",
    "similarity_transforms",
]
