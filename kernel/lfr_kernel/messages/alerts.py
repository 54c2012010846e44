"""A proposal to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from lfr_kernel.messages.biometric import Biometric

__all__ = ["Alert", "Match"]


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
    box: tuple[float, float, float, float]
    crop: Biometric
    """uint8 [H, W, 3] RGB: the probe's aligned crop; the desk puts it into the evidence store."""
    captured_at_ns: int
    captured_monotonic_ns: int

    def erase(self) -> None:
        """Overwrite the crop."""
        self.crop.erase()

    def __repr__(self) -> str:
        return f"Match({self.passage})"


class Alert(Struct, frozen=True, kw_only=True, tag=True):
    """A proposed match for a person to decide on. It is not a decision, and nothing adverse may follow from it alone.

    Sender: the alert desk. Receivers: every sink, each through an outbox of its own. Delivery: lossless.
    It carries ids and a reference to evidence, never pixels or templates.
    """

    id: str
    passage: str
    camera: str
    person: str
    similarity: float
    threshold: float
    faces: int
    quality: float
    box: tuple[float, float, float, float]
    """xyxy in px of the source picture, of the face that took the pool over the threshold."""
    captured_at_ns: int
    captured_monotonic_ns: int
    alerted_at_ns: int
    alerted_monotonic_ns: int
    model: str
    """SHA-256 of the embedder's weights."""
    evidence: str
    """The evidence store's reference to probe and listed photograph."""
    permit: str
    """Which permit the system ran under."""
    basis: str
    """What the threshold rests on: the evaluation report by its digest, and whether this run is within it."""
