"""The tracker stage: its contract, and the actor that hosts a plugin of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from lfr_kernel.messages import Faces

__all__ = ["TrackEnded", "TrackOpened", "TrackUpdate", "Tracker", "Wanted"]


class TrackOpened(Struct, frozen=True):
    """A person came into view; `track` is a number this instance has not used before."""

    track: int
    stream_ns: int


class Wanted(Struct, frozen=True):
    """Face number `face` of the update's `Faces` belongs to `track` and should be embedded."""

    track: int
    face: int
    quality: float
    """In (0, 1]; the weight of this face in its passage's pool."""


class TrackEnded(Struct, frozen=True):
    """A track is over."""

    track: int
    stream_ns: int
    """When its face was last seen."""
    frames: int
    """In how many frames it was seen."""
    why: Literal["age", "cut", "split", "end"]
    gated: str | None = None
    """When no face of it was wanted: the most frequent reason, such as `too_small` or `turned_away`."""


class TrackUpdate(Struct, frozen=True, kw_only=True):
    """What one frame changed. A track may be opened, wanted and ended in one update."""

    opened: tuple[TrackOpened, ...] = ()
    wanted: tuple[Wanted, ...] = ()
    ended: tuple[TrackEnded, ...] = ()


class Tracker(Protocol):
    """Says who is who across frames. One instance a camera; calls run one at a time on the tracker's lane.

    It goes by motion in time and by distance relative to face size, never by box overlap (which breaks when
    frames are dropped), and never by appearance. A failure ends all open tracks as lost and starts a new instance.
    """

    def update(self, faces: Faces) -> TrackUpdate:
        """Take in the faces of one frame (possibly none). `faces.stream_ns` rises from call to call."""

    def split(self, track: int) -> None:
        """Be told that the track's templates stopped agreeing: end it (`split`) at the next update.

        What is seen there from then on belongs to a new track. Unknown and ended tracks are ignored.
        """

    def finish(self) -> TrackUpdate:
        """End every open track (`end`): the input is over."""
