"""Everything that a plugin may import. Names listed here are stable; nothing else of the kernel is.

Most are the contracts of the stages. Commands also get what it takes to run a profile (`run_profile`, or
`load_profile`, `read_profile` or `parse_profile` with `Profile`, `Registry`, `Session`, `Listener`, `Outcome`,
`Verdict`, `Summary`, `Quantiles`), what shows it (`funnel_tables` of each `CameraFunnel`, `printable`), what an
evaluation report says of itself (`Coverage`, with `recognition_settings` and `most_looks` of a profile, and
`Conditions`, which `conditions_of` makes of the `seen_conditions` of faces; `Basis` is how it is judged), what shows an
anchor of the audit (`qr_of`), the mathematics of recognition (alignment, quality, embedding, pooling, vetting, the time
line of a stream: what is measured must be what runs), the bare runtime (`Actor`, `Source`, `Consumes`, `Policy`,
`Edge`, `System`), and what reads a TOML file with every mistake at once (`decode`, `Problem`, `suggest`). Sinks also
get what seals a file to somebody's key (`recipient_of`, `fingerprint_of`, `seal_for`, and `header_of` with its
`SealedHeader`).
"""

from lfr_kernel.citation import most_looks, recognition_settings
from lfr_kernel.cli.funnel import funnel_tables
from lfr_kernel.cli.printing import printable
from lfr_kernel.cli.run import run_profile
from lfr_kernel.decoding import Problem, decode, suggest
from lfr_kernel.enrolment import find_photos, read_photograph
from lfr_kernel.governance.audit.anchors import AnchorSink, qr_of
from lfr_kernel.governance.basis import Basis, Coverage
from lfr_kernel.governance.conditions import Conditions, conditions_of
from lfr_kernel.governance.keys.recipient import SealedHeader, fingerprint_of, header_of, recipient_of, seal_for
from lfr_kernel.governance.vetting import Finding, outliers, pool_photographs, resemblances
from lfr_kernel.messages import Alert, Biometric, Faces, Frame, Notice, Outcome, Picture, Verdict
from lfr_kernel.plugins import (
    API_VERSION,
    AnchorPlugin,
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
from lfr_kernel.profile import Profile, load_profile, parse_profile, read_profile
from lfr_kernel.runtime import Actor, Consumes, Edge, Policy, Source, System
from lfr_kernel.runtime.errors import LfrError, PassingError, PermanentError, describe
from lfr_kernel.session import Listener, Session
from lfr_kernel.stages.alignment import mean_template, mirror, similarity_transforms
from lfr_kernel.stages.camera import Camera, EndOfInput, Pace, Reading, StillCodec
from lfr_kernel.stages.detector import Detections, Detector
from lfr_kernel.stages.embedder import Embedder, embed_crops
from lfr_kernel.stages.index import Candidates, Index
from lfr_kernel.stages.measure import Quantiles
from lfr_kernel.stages.pooling import Added, Pool, early_margin_of
from lfr_kernel.stages.quality import (
    EnrolmentGates,
    FaceQualities,
    Gate,
    Gates,
    face_qualities,
    gated,
    seen_conditions,
)
from lfr_kernel.stages.retention import RecordClass, Retention
from lfr_kernel.stages.sink import AlertSink, Evidence, SinkContext
from lfr_kernel.stages.timeline import Timeline
from lfr_kernel.stages.tracker import Seen, TrackEnded, Tracker, TrackOpened, TrackUpdate, Wanted
from lfr_kernel.telemetry import CameraFunnel, Summary

__all__ = [
    "API_VERSION",
    "Actor",
    "Added",
    "Alert",
    "AlertSink",
    "AnchorPlugin",
    "AnchorSink",
    "Basis",
    "Biometric",
    "Camera",
    "CameraFunnel",
    "CameraPlugin",
    "Candidates",
    "CommandPlugin",
    "Conditions",
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
    "Notice",
    "Outcome",
    "Pace",
    "PassingError",
    "PermanentError",
    "Picture",
    "Plugin",
    "Policy",
    "Pool",
    "Problem",
    "Profile",
    "Quantiles",
    "Reading",
    "RecordClass",
    "Registry",
    "Retention",
    "RetentionPlugin",
    "SealedHeader",
    "Seen",
    "Session",
    "SinkContext",
    "SinkPlugin",
    "Source",
    "StillCodec",
    "Summary",
    "System",
    "Timeline",
    "TrackEnded",
    "TrackOpened",
    "TrackUpdate",
    "Tracker",
    "TrackerPlugin",
    "Verdict",
    "Wanted",
    "conditions_of",
    "decode",
    "describe",
    "early_margin_of",
    "embed_crops",
    "face_qualities",
    "find_photos",
    "fingerprint_of",
    "funnel_tables",
    "gated",
    "header_of",
    "hookimpl",
    "load_profile",
    "mean_template",
    "mirror",
    "most_looks",
    "outliers",
    "parse_profile",
    "pool_photographs",
    "printable",
    "qr_of",
    "read_photograph",
    "read_profile",
    "recipient_of",
    "recognition_settings",
    "resemblances",
    "run_profile",
    "seal_for",
    "seen_conditions",
    "similarity_transforms",
    "suggest",
]
