"""The loss funnel: where faces and passages go, camera by camera, from the detector to the alert.

Two units that are never mixed. *Faces* are boxes in frames: a person who is seen in forty frames has forty of them, and
most are spared or refused on purpose. *Passages* are people passing by: only they can be missed.

faces      detected ─▶ tracked ─▶ over the gate ─▶ asked for ─▶ embedded ─▶ pooled
passages   seen ─▶ with a face over the gate ─▶ searched ─▶ over the threshold
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from lfr_kernel.stages.tally import EmbeddedFacts, IndexedFacts, RecordedFacts, TrackedFacts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lfr_kernel.stages.embedder import EmbedderFacts
    from lfr_kernel.stages.index import IndexFacts
    from lfr_kernel.stages.record import RecordFacts
    from lfr_kernel.stages.tracker import TrackerFacts

__all__ = ["CameraFunnel", "FaceFunnel", "PassageFunnel", "funnel_of"]


class FaceFunnel(Struct, frozen=True, kw_only=True):
    """The faces of one camera.

    Always: detected = untracked + tracked; tracked = gated (all reasons) + spare + asked; and
    asked = pooled + outliers + lost (all reasons) + on_the_way.
    """

    detected: int
    """Faces of the frames that reached the tracker."""
    untracked: int
    """Of nobody who is followed: second looks at a face, false detections, people seen for the first time."""
    tracked: int
    gated: dict[str, int]
    """Not good enough to embed, by reason."""
    spare: int
    """Good enough, of passages that had enough just then."""
    asked: int
    """To be embedded."""
    embedded: int
    pooled: int
    """Part of what their passage was searched with."""
    outliers: int
    """Unlike the other faces of their passage, and left out."""
    lost: dict[str, int]
    """Asked for, and neither pooled nor outliers, by reason."""
    on_the_way: int
    """0 once a run has ended."""
    dropped: dict[str, int]
    """Faces of frames that died before the tracker, by reason; no part of `detected`."""

    @property
    def over_gate(self) -> int:
        """How many were good enough to embed."""
        return self.spare + self.asked


class PassageFunnel(Struct, frozen=True, kw_only=True):
    """The passages of one camera. Always: seen = alerted + not_matched + lost (all reasons) + open."""

    seen: int
    over_gate: int
    """With at least one face that was good enough to embed."""
    searched: int
    """Compared with the watchlist at least once."""
    alerted: int
    """Over the threshold."""
    not_matched: int
    lost: dict[str, int]
    """By reason."""
    open: int
    """0 once a run has ended."""


class CameraFunnel(Struct, frozen=True, kw_only=True):
    """One camera."""

    faces: FaceFunnel
    passages: PassageFunnel


_TRACKED = TrackedFacts(
    detected=0, untracked=0, tracked=0, gated={}, spare=0, asked=0, unsent={}, dropped={}, passages=0, over_gate=0
)
_EMBEDDED = EmbeddedFacts(embedded=0, lost={})
_INDEXED = IndexedFacts(pooled=0, outliers=0, lost={}, searched=0)
_RECORDED = RecordedFacts(alerted=0, not_matched=0, lost={})


def funnel_of(
    cameras: Iterable[str],
    *,
    tracker: TrackerFacts,
    embedder: EmbedderFacts,
    index: IndexFacts,
    record: RecordFacts,
    is_running: bool,
) -> dict[str, CameraFunnel]:
    """Put together, camera by camera, what the hosts counted at one moment.

    What a stop that ran out of time cut off on its way is lost as `stopped`.
    """
    return {
        name: _camera(
            tracker.cameras.get(name, _TRACKED),
            embedder.cameras.get(name, _EMBEDDED),
            index.cameras.get(name, _INDEXED),
            record.cameras.get(name, _RECORDED),
            is_running=is_running,
        )
        for name in cameras
    }


def _camera(
    tracked: TrackedFacts, embedded: EmbeddedFacts, indexed: IndexedFacts, recorded: RecordedFacts, *, is_running: bool
) -> CameraFunnel:
    lost_faces = Counter(tracked.unsent)
    for lost in (embedded.lost, indexed.lost):
        lost_faces.update(lost)
    lost_passages = Counter(recorded.lost)
    on_the_way = tracked.asked - indexed.pooled - indexed.outliers - lost_faces.total()
    unsettled = tracked.passages - recorded.alerted - recorded.not_matched - lost_passages.total()
    if not is_running:
        lost_faces["stopped"] += on_the_way
        lost_passages["stopped"] += unsettled
        on_the_way = unsettled = 0
    return CameraFunnel(
        faces=FaceFunnel(
            detected=tracked.detected,
            untracked=tracked.untracked,
            tracked=tracked.tracked,
            gated=tracked.gated,
            spare=tracked.spare,
            asked=tracked.asked,
            embedded=embedded.embedded,
            pooled=indexed.pooled,
            outliers=indexed.outliers,
            lost=dict(+lost_faces),
            on_the_way=on_the_way,
            dropped=tracked.dropped,
        ),
        passages=PassageFunnel(
            seen=tracked.passages,
            over_gate=tracked.over_gate,
            searched=indexed.searched,
            alerted=recorded.alerted,
            not_matched=recorded.not_matched,
            lost=dict(+lost_passages),
            open=unsettled,
        ),
    )
