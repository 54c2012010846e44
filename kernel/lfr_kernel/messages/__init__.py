"""Typed facts that travel between actors: frozen, keyword-only, one type per fact.

Those that hold pixels or templates compare by identity, show no content when printed, and are never encoded.
Each docstring says who sends it, who receives it and how it is delivered.
"""

from lfr_kernel.messages.alerts import Alert, Box, Match, Notice
from lfr_kernel.messages.biometric import Biometric, BiometricErasedError
from lfr_kernel.messages.control import Expire, Recall, Receipt, Relist, SetThreshold, Wipe
from lfr_kernel.messages.faces import Faces
from lfr_kernel.messages.frames import Frame, Picture
from lfr_kernel.messages.passages import Outcome, Passage, PassageSplit, Verdict
from lfr_kernel.messages.probes import Probe, ProbeLost, ProbeRequest

__all__ = [
    "Alert",
    "Biometric",
    "BiometricErasedError",
    "Box",
    "Expire",
    "Faces",
    "Frame",
    "Match",
    "Notice",
    "Outcome",
    "Passage",
    "PassageSplit",
    "Picture",
    "Probe",
    "ProbeLost",
    "ProbeRequest",
    "Recall",
    "Receipt",
    "Relist",
    "SetThreshold",
    "Verdict",
    "Wipe",
]
