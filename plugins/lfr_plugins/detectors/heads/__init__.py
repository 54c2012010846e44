"""How the outputs of a detector become faces: one module a head, each a pure function over arrays."""

from __future__ import annotations

from lfr_plugins.detectors.heads import retinaface, scrfd, yunet
from lfr_plugins.detectors.heads.head import Found, Head

__all__ = ["HEADS", "Found", "Head"]

HEADS: dict[str, Head] = {"retinaface": retinaface.HEAD, "scrfd": scrfd.HEAD, "yunet": yunet.HEAD}
"""By the name that cards use."""
