"""What became of the faces and passages of one camera: a share of the loss funnel, as each host counts it.

A face that is no good is no error, and is counted all the same: by the tracker's own word for why.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from lfr_kernel.stages.pooling import Added

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["EmbeddedFacts", "IndexedFacts", "IndexedTally", "RecordedFacts", "TrackedFacts", "TrackedTally"]


class TrackedFacts(Struct, frozen=True, kw_only=True):
    """What the tracker made of one camera.

    Always: detected = untracked + tracked, and tracked = gated (all reasons) + spare + asked.
    """

    detected: int
    """Faces of the frames that the tracker took in."""
    untracked: int
    """Faces of nobody who is followed: second looks at a face, false detections, people seen for the first time."""
    tracked: int
    gated: dict[str, int]
    """Faces that were not good enough to embed, by reason."""
    spare: int
    """Faces that were good enough, of passages that had enough just then."""
    asked: int
    """Faces to be embedded."""
    unsent: dict[str, int]
    """Those of `asked` that never went on their way, because the stage failed or was stopped, by reason."""
    dropped: dict[str, int]
    """Faces of frames that died before they were tracked, by reason; no part of `detected`."""
    passages: int
    """Passages begun."""
    over_gate: int
    """Passages of which a face was asked for."""


class EmbeddedFacts(Struct, frozen=True, kw_only=True):
    """What the embedder made of one camera's faces."""

    embedded: int
    lost: dict[str, int]
    """Requests that died, by reason."""


class IndexedFacts(Struct, frozen=True, kw_only=True):
    """What the index made of one camera's templates: embedded = pooled + outliers + lost, once all have come."""

    pooled: int
    outliers: int
    """Faces that disagreed with their passage's pool and were left out."""
    lost: dict[str, int]
    """Templates that died on the way or came `late`, by reason."""
    searched: int
    """Passages that were searched for at least once."""


class RecordedFacts(Struct, frozen=True, kw_only=True):
    """How one camera's passages ended."""

    alerted: int
    not_matched: int
    lost: dict[str, int]
    """By reason."""


class IndexedTally:
    """Counts for one camera what becomes of its templates."""

    def __init__(self) -> None:
        self.searched = 0
        self._added: Counter[bool] = Counter()
        self._lost: Counter[str] = Counter()

    def answer(self, added: Added | None, lost: str | None) -> None:
        """Count one template: what became of it in its pool, or else why it never got there."""
        if added is None:
            self._lost[lost or "late"] += 1
        else:
            self._added[added is Added.POOLED] += 1

    def facts(self) -> IndexedFacts:
        """Return a snapshot."""
        return IndexedFacts(
            pooled=self._added[True], outliers=self._added[False], lost=dict(self._lost), searched=self.searched
        )


class TrackedTally:
    """Counts for one camera what its tracker says."""

    def __init__(self) -> None:
        self.detected = self.untracked = self.tracked = self.spare = self.asked = 0
        self.passages = self.over_gate = 0
        self.gated: Counter[str] = Counter()
        self.unsent: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    def take(self, detected: int, gates: Mapping[int, str | None], wanted: Iterable[int]) -> None:
        """Count the faces of one frame.

        Args:
            detected: how many there are.
            gates: by number of the face, for those that belong to a track: why it was refused, or None.
            wanted: the numbers of those that are to be embedded.
        """
        asked = frozenset(wanted)
        refused = [gate for face, gate in gates.items() if gate is not None and face not in asked]
        followed = asked | gates.keys()
        self.detected += detected
        self.tracked += len(followed)
        self.untracked += detected - len(followed)
        self.gated.update(refused)
        self.spare += sum(gate is None and face not in asked for face, gate in gates.items())
        self.asked += len(asked)

    def facts(self) -> TrackedFacts:
        """Return a snapshot."""
        return TrackedFacts(
            detected=self.detected,
            untracked=self.untracked,
            tracked=self.tracked,
            gated=dict(self.gated),
            spare=self.spare,
            asked=self.asked,
            unsent=dict(self.unsent),
            dropped=dict(self.dropped),
            passages=self.passages,
            over_gate=self.over_gate,
        )
