"""The pipeline of one run: every actor that its profile asks for, wired into a system."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from lfr_kernel.citation import most_looks
from lfr_kernel.governance.alerts.delivery import OutboxHost
from lfr_kernel.governance.deployment.anchoring import AnchorHost
from lfr_kernel.governance.deployment.looking import Tally
from lfr_kernel.governance.deployment.warden import Warden
from lfr_kernel.runtime import RestartPolicy, System, ThreadLane
from lfr_kernel.stages.camera import CameraHost
from lfr_kernel.stages.conditions import ConditionsWatch
from lfr_kernel.stages.desk import AlertDesk, EvidenceStore, EvidenceWithheldError
from lfr_kernel.stages.detector import Detector, DetectorHost
from lfr_kernel.stages.embedder import Embedder, EmbedderHost
from lfr_kernel.stages.gallery import Gallery
from lfr_kernel.stages.index import IndexHost
from lfr_kernel.stages.record import Record
from lfr_kernel.stages.retention import CEILINGS_S, RecordClass, RetentionHost
from lfr_kernel.stages.sink import SinkHost
from lfr_kernel.stages.tracker import TrackerHost
from lfr_kernel.telemetry.summary import Facts
from lfr_kernel.wiring import connect, nodes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lfr_kernel.governance.alerts.keeper import VaultKeeper
    from lfr_kernel.governance.basis import Basis
    from lfr_kernel.governance.conditions import Conditions
    from lfr_kernel.governance.deployment.governed import Governed
    from lfr_kernel.governance.ruleset import Rules
    from lfr_kernel.governance.watchlist import Listed
    from lfr_kernel.messages import Alert, Outcome
    from lfr_kernel.models import Models
    from lfr_kernel.profile import CameraSection, Profile, SinkSection
    from lfr_kernel.runtime import Actor, Clock, Lane
    from lfr_kernel.stages.camera import Pace
    from lfr_kernel.stages.residency import ResidencyFacts
    from lfr_kernel.stages.sink import AlertSink, Evidence, SinkContext

__all__ = ["Parts", "Pipeline"]


class Parts(Struct, frozen=True, kw_only=True):
    """What a pipeline is made of."""

    profile: Profile
    run_id: str
    paces: Mapping[str, Pace]
    models: Models
    detector: Detector
    embedder: Embedder
    listed: Listed
    threshold: float
    """In force."""
    evidence: EvidenceStore
    permit: str
    basis: Basis
    """Of the threshold, as it was judged before anything was seen."""
    conditions: Conditions | None
    """In which conditions faces were tested; None: nobody said."""
    compute: Lane
    max_residency_s: float
    governed: Governed | None
    vault: Lane | None
    """The vault's own lane, with `governed`."""
    plugin: Callable[..., Any]
    """Creates a plugin of a stage by its section of the profile."""
    stop: Callable[[str], None]
    """Begins to stop the run."""
    log: Callable[..., None]
    fact: Callable[[Alert | Outcome], None]


class Pipeline:
    """The actors of one run, and the system that runs them."""

    def __init__(self, parts: Parts, clock: Clock) -> None:
        """Make and wire all of them; nothing runs yet."""
        profile = parts.profile
        deadline_s = profile.runtime.call_deadline_s
        lanes: list[Lane] = [parts.compute]

        def lane(name: str) -> Lane:
            lanes.append(ThreadLane(name, clock=clock))
            return lanes[-1]

        listed = parts.listed

        def gallery() -> Gallery:
            return Gallery(templates=listed.templates, persons=listed.persons, digest=listed.digest, generation=1)

        self._parts = parts
        self._basis = parts.basis
        self._conditions = ConditionsWatch(parts.conditions, parts.log)
        self._cameras = [self._camera_host(camera, lane(f"camera:{camera.name}")) for camera in profile.cameras]
        self._detector = DetectorHost(
            parts.models.handed_over(parts.detector, "detector", profile.detector),
            parts.compute,
            landmark_template=parts.embedder.landmark_template,
            crop_size=parts.embedder.crop_size,
            deadline_s=deadline_s,
        )
        self._tracker = TrackerHost(
            partial(parts.plugin, "tracker", profile.tracker),
            lane("tracker"),
            run=parts.run_id,
            deadline_s=deadline_s,
            conditions=self._conditions,
        )
        self._embedder = EmbedderHost(
            parts.models.handed_over(parts.embedder, "embedder", profile.embedder),
            parts.compute,
            mirror_live=profile.embedder.mirror_live,
            deadline_s=deadline_s,
        )
        self._index = IndexHost(
            partial(parts.plugin, "index", profile.index),
            lane("index"),
            gallery=gallery,
            digest=parts.embedder.digest,
            dimension=parts.embedder.dimension,
            threshold=parts.threshold,
            early_margin=profile.watchlist.early_margin,
            looks=most_looks(profile),
            deadline_s=deadline_s,
            max_residency_s=parts.max_residency_s,
        )
        self._record = Record(parts.fact)
        self._retention = RetentionHost(
            partial(parts.plugin, "retention", profile.retention),
            period_s=profile.runtime.retention_period_s,
            ceilings_s=CEILINGS_S if parts.governed is None else ceilings_of(parts.governed.plan.pack.rules),
            is_held=lambda: parts.governed is not None and parts.governed.holds_purges,
            log=parts.log,
        )
        self._keeper: VaultKeeper | EvidenceStore = self._keeper_of(parts)
        self._desk = AlertDesk(
            self._keeper,
            model=parts.embedder.digest,
            root="" if parts.governed is None or parts.governed.deployment is None else parts.governed.deployment.root,
            permit=parts.permit,
            basis=lambda: str(self.basis()),
            act_within_s=None if parts.governed is None else parts.governed.plan.pack.rules.act_within_s,
        )
        self._sinks = [self._sink_host(sink, lane(f"sink:{sink.title}")) for sink in profile.sinks]
        self.warden = self._warden(parts)
        """With an authority only."""
        actors: list[Actor] = [
            *self._cameras,
            self._detector,
            self._tracker,
            self._embedder,
            self._index,
            self._desk,
            *self._sinks,
            self._record,
            self._retention,
            *([AnchorHost(parts.governed, lane("anchors"), log=parts.log)] if parts.governed else []),
            *([self.warden] if self.warden else []),
        ]
        self.system = System(
            actors,
            connect(nodes_of(profile, parts.paces)),
            lanes=lanes,
            clock=clock,
            restarts=RestartPolicy(max_restarts=profile.runtime.max_restarts),
            drain_s=profile.runtime.drain_s,
            log=parts.log,
        )
        self._retention.stores = [
            ("evidence", self.system.address("desk")),
            *(("alert", self.system.address(sink.name)) for sink in self._sinks),
            # Whoever may see pictures may have kept them: both clocks apply, and so the shorter one.
            *(
                ("evidence", self.system.address(host.name))
                for host, section in zip(self._sinks, profile.sinks, strict=True)
                if section.evidence
            ),
        ]
        if self.warden:
            self.warden.index = self.system.address("index")

    def _keeper_of(self, parts: Parts) -> VaultKeeper | EvidenceStore:
        """Return what keeps alerts: under an authority the vault, otherwise memory."""
        if parts.governed is None or parts.vault is None or parts.governed.listed is None:
            return parts.evidence

        def shorter_s() -> tuple[float, float]:
            lives = self._retention.facts().seconds
            return lives["alert"], lives["evidence"]

        sinks = [sink.title for sink in parts.profile.sinks]
        return parts.governed.keeper(parts.vault, shorter_s=shorter_s, sinks=sinks)

    def _warden(self, parts: Parts) -> Warden | None:
        if parts.governed is None or parts.vault is None or parts.governed.listed is None:
            return None
        return Warden(
            parts.governed,
            parts.governed.listed,
            parts.vault,
            tally=self.tally,
            basis=self.basis_of_run,
            stop=parts.stop,
            log=parts.log,
        )

    def _camera_host(self, section: CameraSection, lane: Lane) -> CameraHost:
        create = partial(self._parts.plugin, "camera", section)
        return CameraHost(section.name, create, lane, log=self._parts.log)

    def _sink_host(self, section: SinkSection, lane: Lane) -> SinkHost:
        def withheld(_reference: str) -> Evidence:
            raise EvidenceWithheldError(
                f"sink {section.title!r} may not see pictures: set evidence = true for it in the profile"
            )

        def create(context: SinkContext) -> AlertSink:
            sink: AlertSink = self._parts.plugin("sink", section, context)
            return sink

        parts = self._parts
        show = self._keeper.show if section.evidence else None
        given: dict[str, Any] = {
            "evidence": show or withheld,
            "details": section.details,
            "pictures": section.evidence,
            "log": parts.log,
        }
        if parts.governed is None or parts.vault is None:
            return SinkHost(section.title, create, lane, **given)
        outbox = parts.governed.outbox(section.title)
        return OutboxHost(section.title, create, lane, outbox=outbox, vault=parts.vault, show=show, **given)

    def tally(self) -> Tally:
        """Return what was counted so far."""
        record = self._record.facts()
        return Tally(seen=self._tracker.facts().seen, alerts=self._desk.facts().alerts, lost=record.lost)

    def rest_on(self, basis: Basis) -> None:
        """Say from now on that this is what the threshold rests on, as it was judged before anything was seen."""
        self._basis = basis

    def basis(self) -> Basis:
        """Return what the threshold rests on now, the conditions at the cameras included. From any thread."""
        return self._basis.departing(self._conditions.reasons)

    def basis_of_run(self) -> Basis:
        """Return what it rests on with every departure that there was at any time of the run. From any thread."""
        return self._basis.departing(self._conditions.ever)

    def facts(self, residency: ResidencyFacts) -> Facts:
        """Return snapshots of all stages."""
        return Facts(
            cameras=[camera.facts() for camera in self._cameras],
            detector=self._detector.facts(),
            tracker=self._tracker.facts(),
            embedder=self._embedder.facts(),
            index=self._index.facts(),
            desk=self._desk.facts(),
            sinks=[sink.facts() for sink in self._sinks],
            retention=self._retention.facts(),
            record=self._record.facts(),
            system=self.system.statistics(),
            residency=residency,
        )


def ceilings_of(rules: Rules) -> dict[RecordClass, float]:
    """Return how long records may live by a rule pack, in seconds: never longer than the kernel's own ceilings."""
    by_pack: dict[RecordClass, float] = {"alert": rules.alert_days * 86_400, "evidence": rules.evidence_hours * 3_600}
    return {record_class: min(seconds, CEILINGS_S[record_class]) for record_class, seconds in by_pack.items()}
