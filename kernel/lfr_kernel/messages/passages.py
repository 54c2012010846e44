"""The unit of counting: one person's pass through a camera's view."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

__all__ = ["Outcome", "Passage", "PassageSplit", "Reasons", "Verdict"]

Reasons: TypeAlias = tuple[tuple[str, int], ...]
"""(reason, how often), the most frequent first."""


class Passage(Struct, frozen=True, kw_only=True, tag=True):
    """A passage is over: this many probes were asked for in all.

    Sender: the tracker's host. Receiver: the index, which closes the passage when as many probes were answered,
    lost or timed out (this message can overtake them). Delivery: lossless.
    """

    passage: str
    camera: str
    began_stream_ns: int
    ended_stream_ns: int
    frames: int
    """In how many frames its face was detected."""
    probes: int
    """How many probes were asked for."""
    ended: str
    """Why it ended: `age`, `cut`, `split`, `end` of the input, `restart` of the tracker, or `stopped`."""
    gated: str | None = None
    """If no face of it was good enough to embed: the most frequent reason."""
    refused: Reasons = ()
    """How many of its faces were not good enough to embed, by reason."""
    track: int | None = None
    """What the camera's tracker calls it."""
    first_probe_ns: int | None = None
    """Stream time from the first detection to the first probe; None when there was none."""


class PassageSplit(Struct, frozen=True, kw_only=True, tag=True):
    """The templates of a passage stopped agreeing: two people were followed as one.

    Sender: the index. Receiver: the tracker, which ends the passage and starts a new one for what it sees now.
    Delivery: bounded; a feedback edge that never blocks.
    """

    passage: str
    camera: str


class Verdict(StrEnum):
    """How a passage ended, as far as the machine is concerned."""

    ALERTED = "alerted"
    NOT_MATCHED = "not_matched"
    LOST = "lost"


class Outcome(Struct, frozen=True, kw_only=True, tag=True):
    """What became of one passage. Exactly one for each passage seen.

    Sender: the index. Receiver: the record. Delivery: lossless.
    """

    passage: str
    camera: str
    verdict: Verdict
    reason: str | None = None
    """For `lost`: why nothing could be searched."""
    probes: int = 0
    """How many templates were pooled."""
    seconds: float = 0.0
    first_probe_s: float | None = None
    best_similarity: float | None = None
    """The highest pooled similarity to anybody listed that counted: after the last face, or earlier, less what an early
    look must have over the threshold. So it reaches the threshold only if the passage alerted. None when nothing was
    searched."""
    asked: int = 0
    """How many faces were asked to be embedded; 0 also where the end of the passage is not known."""
    outliers: int = 0
    """How many templates disagreed with the rest and were left out of the pool."""
    probes_lost: Reasons = ()
    """How many of those asked for never came, by reason."""
    refused: Reasons = ()
    """How many faces were not good enough to embed, by reason."""
    frames: int = 0
    """In how many frames its face was seen."""
    ended: str | None = None
    """Why it ended, see `Passage`; None where its outcome came first."""
    track: int | None = None
    """What the camera's tracker calls it; with `began_stream_ns` the camera's only one."""
    began_stream_ns: int | None = None
