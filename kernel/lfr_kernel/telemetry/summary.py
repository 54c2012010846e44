"""The summary of a run, as `--json` prints it and the table shows it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from lfr_kernel.telemetry.funnel import CameraFunnel, funnel_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfr_kernel.governance.basis import Basis
    from lfr_kernel.governance.vetting import Finding
    from lfr_kernel.governance.watchlist import Listed
    from lfr_kernel.messages import Alert
    from lfr_kernel.runtime import ActorStatistics, LaneStatistics, SystemStatistics
    from lfr_kernel.stages.camera import CameraFacts
    from lfr_kernel.stages.conditions import CameraConditions
    from lfr_kernel.stages.desk import DeskFacts
    from lfr_kernel.stages.detector import DetectorFacts
    from lfr_kernel.stages.embedder import EmbedderFacts
    from lfr_kernel.stages.index import IndexFacts
    from lfr_kernel.stages.measure import Quantiles
    from lfr_kernel.stages.record import RecordFacts
    from lfr_kernel.stages.residency import ResidencyFacts
    from lfr_kernel.stages.retention import RetentionFacts
    from lfr_kernel.stages.sink import SinkFacts
    from lfr_kernel.stages.tracker import TrackerFacts

__all__ = [
    "AlertSummary",
    "AuthoritySummary",
    "Facts",
    "ModelSummary",
    "Summary",
    "WatchlistSummary",
    "summarise",
    "summarise_list",
]


class Facts(Struct, frozen=True, kw_only=True):
    """Snapshots of all stages, taken at one moment."""

    cameras: Sequence[CameraFacts]
    detector: DetectorFacts
    tracker: TrackerFacts
    embedder: EmbedderFacts
    index: IndexFacts
    desk: DeskFacts
    sinks: Sequence[SinkFacts]
    retention: RetentionFacts
    record: RecordFacts
    system: SystemStatistics
    residency: ResidencyFacts


class PassageSummary(Struct, frozen=True, kw_only=True):
    """Always: seen = alerted + not_matched + lost (all reasons) + open."""

    seen: int
    alerted: int
    not_matched: int
    lost: dict[str, int]
    open: int


class FrameSummary(Struct, frozen=True, kw_only=True):
    """Always, once a run has ended: read = processed + dropped (all reasons)."""

    read: int
    processed: int
    dropped: dict[str, int]


class AlertSummary(Struct, frozen=True, kw_only=True):
    """One alert: a proposal, not a decision."""

    id: str
    person: str | None
    """None under an authority: who it may be lies in the vault, under a key that dies (`lfr-kernel alerts show`)."""
    similarity: float
    threshold: float
    camera: str
    captured_at: str
    box: tuple[float, ...]
    faces: int
    passage: str


class LatencySummary(Struct, frozen=True, kw_only=True):
    """Milliseconds."""

    capture_to_alert: Quantiles
    capture_to_embedding: Quantiles


class WatchlistSummary(Struct, frozen=True, kw_only=True):
    """Who was looked for, in numbers."""

    people: int
    """When it was opened; so with photographs."""
    photographs: int
    rejected: dict[str, str]
    """Photograph: reason."""
    unlisted: tuple[str, ...]
    """People who were to be listed and are not: no photograph of them could be used."""
    resemblances: tuple[Finding, ...]
    """Photographs that resemble somebody else's, for a person to look at."""
    threshold: float
    model: str
    """SHA-256 of the embedder's weights."""


class ModelSummary(Struct, frozen=True, kw_only=True):
    """What finds or describes faces in a run."""

    plugin: str
    digest: str
    """SHA-256 of the weights, hexadecimal."""
    device: str
    """On what it really runs, such as `cpu`."""


class AuthoritySummary(Struct, frozen=True, kw_only=True):
    """Under which authority a run was."""

    id: str
    deployment: int
    """Its serial number."""
    pack: str
    starts: str
    ends: str
    """As it stands now: an extension moves it."""
    remaining_s: float | None
    """To the end, by whichever clock brings it first, when the warden last looked; None before it has."""
    list: str
    """Id of the watchlist."""
    threshold: float
    """In force: the profile's, or what two people made of it since."""
    warnings: tuple[str, ...]
    """What the authority does not refer to."""
    mark: str
    """What the rule pack has printed on every output."""
    is_over: bool
    """Whether it ended while this ran."""
    is_wiped: bool
    """Whether the list was wiped then, to the last step."""
    is_suspended: bool
    """Whether the stop rule lets no alert out, since too many were false."""


class Summary(Struct, frozen=True, kw_only=True):
    """One run."""

    run: str
    """The word that all of its passages' ids begin with."""
    profile: str
    permit: str
    authority: AuthoritySummary | None
    """None for a permit that is built in."""
    basis: Basis
    """What the threshold rests on: now, while it runs; once it has ended, with every departure that there was."""
    began_at: str
    """When its actors started, UTC."""
    ended: str
    duration_s: float
    passages: PassageSummary
    frames: FrameSummary
    faces: int
    probes: int
    funnel: Mapping[str, CameraFunnel]
    """By camera: where its faces and its passages went."""
    alerts: Sequence[AlertSummary]
    latency_ms: LatencySummary
    stages_ms: Mapping[str, Quantiles]
    """By stage: a call of its plugin as the host sees it, with the wait for a thread and the way there and back."""
    biometric_residency_ms: ResidencyFacts
    """How long crops and templates of whoever passed lived; not those of people listed, nor the evidence of alerts."""
    fps: float
    watchlist: WatchlistSummary
    models: Mapping[str, ModelSummary]
    """By stage."""
    cameras: Mapping[str, CameraFacts]
    conditions: Mapping[str, CameraConditions]
    """By camera, where the cited report says in which conditions it tested: how faces were seen there."""
    sinks: Mapping[str, SinkFacts]
    index: IndexFacts
    retention: RetentionFacts
    actors: Mapping[str, ActorStatistics]
    lanes: Mapping[str, LaneStatistics]


def iso(at_ns: int) -> str:
    """Return UTC nanoseconds as ISO 8601 with milliseconds."""
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def summarise_alert(alert: Alert, *, is_governed: bool = False) -> AlertSummary:
    """Return what a summary says of an alert: under an authority not whom it may be of, for a summary never expires."""
    return AlertSummary(
        id=alert.id,
        person=None if is_governed else alert.person,
        similarity=round(alert.similarity, 4),
        threshold=alert.threshold,
        camera=alert.camera,
        captured_at=iso(alert.captured_at_ns),
        box=tuple(round(edge, 1) for edge in alert.box),
        faces=alert.faces,
        passage=alert.passage,
    )


def summarise_list(listed: Listed, threshold: float) -> WatchlistSummary:
    """Say who is looked for, in numbers: as things are, since entries may be withdrawn, and the list be wiped."""
    return WatchlistSummary(
        people=len(listed),
        photographs=listed.photographs,
        rejected={str(one.photo): one.reason for one in listed.rejected},
        unlisted=listed.unlisted,
        resemblances=listed.findings,
        threshold=threshold,
        model=listed.digest,
    )


def summarise(
    facts: Facts,
    *,
    run: str,
    profile: str,
    permit: str,
    authority: AuthoritySummary | None,
    basis: Basis,
    began_at_ns: int,
    ended: str,
    duration_s: float,
    watchlist: WatchlistSummary,
    models: Mapping[str, ModelSummary],
) -> Summary:
    """Add up what the stages say of themselves."""
    actors = {actor.name: actor for actor in facts.system.actors}
    record, tracker = facts.record, facts.tracker
    lost = Counter(record.lost)
    settled = record.alerted + record.not_matched + lost.total()
    is_running = ended == "running"
    unsettled = tracker.seen - settled
    if unsettled and not is_running:
        # A stop that ran out of time cut the way from the index to the record.
        lost["stopped"] += unsettled
        unsettled = 0
    dropped: Counter[str] = Counter()
    for name in ("detector", "tracker"):
        for inlet in actors[name].inlets:
            if inlet.message in {"Frame", "Faces"}:
                dropped.update(inlet.dropped)
    read = sum(camera.read for camera in facts.cameras)
    processed = sum(inlet.handled for inlet in actors["tracker"].inlets if inlet.message == "Faces")
    # A stop that runs out of time may catch a frame twice, in the detector's hands and on its way to the tracker.
    dropped.pop("stopped", None)
    if not is_running and (cut_short := read - processed - dropped.total()) > 0:
        dropped["stopped"] = cut_short
    return Summary(
        run=run,
        profile=profile,
        permit=permit,
        authority=authority,
        basis=basis,
        began_at=iso(began_at_ns),
        ended=ended,
        duration_s=round(duration_s, 3),
        passages=PassageSummary(
            seen=tracker.seen,
            alerted=record.alerted,
            not_matched=record.not_matched,
            lost=dict(lost),
            open=unsettled,
        ),
        frames=FrameSummary(read=read, processed=processed, dropped=dict(dropped)),
        faces=facts.detector.faces,
        probes=facts.embedder.probes,
        funnel=funnel_of(
            [camera.name for camera in facts.cameras],
            tracker=facts.tracker,
            embedder=facts.embedder,
            index=facts.index,
            record=facts.record,
            is_running=is_running,
        ),
        alerts=[summarise_alert(alert, is_governed=authority is not None) for alert in record.alerts],
        latency_ms=LatencySummary(
            capture_to_alert=facts.desk.capture_to_alert_ms,
            capture_to_embedding=facts.embedder.capture_to_embedding_ms,
        ),
        stages_ms={
            "detector": facts.detector.call_ms,
            "tracker": facts.tracker.call_ms,
            "embedder": facts.embedder.call_ms,
            "index": facts.index.search_ms,
        },
        biometric_residency_ms=facts.residency,
        fps=round(processed / duration_s, 2) if duration_s > 0 else 0.0,
        watchlist=watchlist,
        models=dict(models),
        cameras={camera.name: camera for camera in facts.cameras},
        conditions=facts.tracker.conditions,
        sinks={sink.name: sink for sink in facts.sinks},
        index=facts.index,
        retention=facts.retention,
        actors=actors,
        lanes={lane.name: lane for lane in facts.system.lanes},
    )
