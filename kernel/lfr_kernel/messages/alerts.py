"""A proposal to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from lfr_kernel.messages.biometric import Biometric

__all__ = ["Alert", "Box", "Match", "Notice"]

Box: TypeAlias = tuple[float, float, float, float]
"""xyxy in px."""


class Match(Struct, frozen=True, kw_only=True, eq=False, tag=True):
    """A passage's pooled template reached the threshold for somebody listed: once per passage and person.

    Sender: the index. Receiver: the alert desk. Delivery: lossless.
    """

    passage: str
    camera: str
    person: str
    entry: int
    """The row of the watchlist that was nearest."""
    generation: int
    """Of the gallery that was searched."""
    similarity: float
    """Cosine of the pooled template and the listed one, in [-1, 1]; higher is nearer; not a probability."""
    threshold: float
    faces: int
    """How many faces were pooled when the threshold was reached."""
    quality: float
    box: Box
    crop: Biometric
    """uint8 [H, W, 3] RGB: the probe's aligned crop; evidence, once the faces of others in it are unrecognisable."""
    others: tuple[Box, ...] = ()
    """Faces of others that reach into the crop, in px of it."""
    captured_at_ns: int
    captured_monotonic_ns: int
    decoded_at_ns: int = 0
    """UTC; 0 where it is not known."""

    def erase(self) -> None:
        """Overwrite the crop."""
        self.crop.erase()

    def __repr__(self) -> str:
        return f"Match({self.passage})"


class Alert(Struct, frozen=True, kw_only=True, tag=True):
    """A proposed match for a person to decide on. It is not a decision, and nothing adverse may follow from it alone.

    Sender: the alert desk, once it is kept. Receivers: the record, and every sink's outbox, which lets out a `Notice`
    of it. Delivery: lossless. It carries ids and a reference to evidence, never pixels or templates.
    """

    id: str
    passage: str
    camera: str
    person: str
    similarity: float
    threshold: float
    faces: int
    quality: float
    box: Box
    """xyxy in px of the source picture, of the face that took the pool over the threshold."""
    captured_at_ns: int
    captured_monotonic_ns: int
    decoded_at_ns: int = 0
    """UTC; 0 where it is not known."""
    alerted_at_ns: int
    alerted_monotonic_ns: int
    act_by_ns: int | None = None
    """UTC: the latest delivery on which anybody may act, since the person has gone; None: nobody said."""
    model: str
    """SHA-256 of the embedder's weights."""
    list: str = ""
    """Root of the sealed watchlist; empty for a folder of photographs."""
    evidence: str
    """The evidence store's reference to probe and listed photograph."""
    permit: str
    """Which permit the system ran under."""
    basis: str
    """What the threshold rests on: the evaluation report by its digest, and whether this run is within it."""


class Notice(Struct, frozen=True, kw_only=True, tag=True):
    """What a sink is given of an alert: that there is one. More only where the profile says so.

    Sender: the outbox of the sink. It is no message between actors.
    """

    id: str
    """Of the alert: a sink that has it already takes it again as one."""
    camera: str
    captured_at_ns: int
    alerted_at_ns: int
    state: str = "open"
    """Of the alert, when this left: see `lfr_kernel.governance.alerts.states`."""
    act_by_ns: int | None = None
    is_actionable: bool = True
    """False: it comes too late for anybody to act on it."""
    permit: str
    alert: Alert | None = None
    """The whole alert: only for a sink with `details = true`."""
