"""What travels between tracker, embedder and index: faces to embed, and their templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from lfr_kernel.messages.biometric import Biometric

__all__ = ["Probe", "ProbeLost", "ProbeRequest"]


class ProbeRequest(Struct, frozen=True, kw_only=True, eq=False, tag=True):
    """One face of a passage that is worth embedding.

    Sender: the tracker's host. Receiver: the embedder. Delivery: bounded; a request that is dropped becomes
    a `ProbeLost`.
    """

    passage: str
    number: int
    """Which probe of the passage this is, from 0."""
    camera: str
    crop: Biometric
    """uint8 [H, W, 3] RGB, aligned."""
    quality: float
    """In [0, 1]; the weight of this face in its passage's pool."""
    box: tuple[float, float, float, float]
    """xyxy in px of the source picture."""
    others: tuple[tuple[float, float, float, float], ...] = ()
    """Faces of others that reach into the crop, xyxy in px of it: made unrecognisable before anything is kept."""
    captured_at_ns: int
    captured_monotonic_ns: int
    decoded_at_ns: int = 0

    def erase(self) -> None:
        """Overwrite the crop."""
        self.crop.erase()

    def __repr__(self) -> str:
        return f"ProbeRequest({self.passage} #{self.number})"


class Probe(Struct, frozen=True, kw_only=True, eq=False, tag=True):
    """The template of one face.

    Sender: the embedder's host. Receiver: the index. Delivery: bounded.
    """

    passage: str
    number: int
    camera: str
    template: Biometric
    """float32 [D], L2-normalised."""
    crop: Biometric
    """uint8 [H, W, 3] RGB, aligned: evidence if this passage alerts, erased if it does not."""
    quality: float
    box: tuple[float, float, float, float]
    others: tuple[tuple[float, float, float, float], ...] = ()
    captured_at_ns: int
    captured_monotonic_ns: int
    decoded_at_ns: int = 0
    embedded_monotonic_ns: int

    def erase(self) -> None:
        """Overwrite template and crop."""
        self.template.erase()
        self.crop.erase()

    def __repr__(self) -> str:
        return f"Probe({self.passage} #{self.number})"


class ProbeLost(Struct, frozen=True, kw_only=True, tag=True):
    """A probe that was asked for and will not come.

    Sender: the embedder's host. Receiver: the index, which counts it against its passage. Delivery: lossless.
    """

    passage: str
    number: int
    camera: str
    reason: str
