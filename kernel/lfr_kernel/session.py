"""A session: one profile, run from permit to summary.

In this order, and each step is refused by the one before it: permit, cited report, models, watchlist, actors. What was
opened is closed and erased in reverse, whatever happens.
"""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from msgspec import Struct, structs

from lfr_kernel.citation import most_looks, read_cited, rests_on
from lfr_kernel.enrolment import enrol, find_photos
from lfr_kernel.governance.permit import issue_builtin
from lfr_kernel.memory import limit_arenas
from lfr_kernel.models import Models
from lfr_kernel.plugins import PluginError
from lfr_kernel.runtime import LfrError, RestartPolicy, System, SystemClock, ThreadLane, describe
from lfr_kernel.stages.camera import CameraHost
from lfr_kernel.stages.desk import AlertDesk, EvidenceStore, EvidenceWithheldError
from lfr_kernel.stages.detector import LOAD_S, DetectorHost
from lfr_kernel.stages.embedder import EmbedderHost
from lfr_kernel.stages.index import Gallery, IndexHost
from lfr_kernel.stages.record import Record
from lfr_kernel.stages.retention import RetentionHost
from lfr_kernel.stages.sink import SinkHost
from lfr_kernel.stages.tracker import TrackerHost
from lfr_kernel.telemetry.summary import Facts, Summary, summarise
from lfr_kernel.wiring import connect, nodes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lfr_kernel.governance.basis import Basis
    from lfr_kernel.governance.permit import Permit, PermitIssuer
    from lfr_kernel.governance.watchlist import Watchlist
    from lfr_kernel.messages import Alert, Outcome
    from lfr_kernel.plugins import Registry
    from lfr_kernel.profile import CameraSection, Profile, SinkSection
    from lfr_kernel.runtime import Actor, Clock, Lane
    from lfr_kernel.stages.camera import Camera, Pace
    from lfr_kernel.stages.detector import Detector
    from lfr_kernel.stages.embedder import Embedder
    from lfr_kernel.stages.sink import AlertSink, Evidence, SinkContext

__all__ = ["Listener", "Session", "StoppedBeforeStartError", "cores"]


class Listener(Struct, frozen=True, kw_only=True):
    """Who is told what happens in a session, as it happens. Each must be quick: it runs on the event loop."""

    log: Callable[..., None] = lambda *_, **__: None
    enrolled: Callable[[int, int], None] = lambda _done, _all: None
    fact: Callable[[Alert | Outcome], None] = lambda _: None


class StoppedBeforeStartError(LfrError):
    """The session was told to stop while it was still loading."""


class Session:
    """Runs one profile once. `run` it, ask `summary` at any time, `stop` it from the event loop's thread."""

    def __init__(
        self,
        profile: Profile,
        registry: Registry,
        *,
        issue: PermitIssuer = issue_builtin,
        listener: Listener | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Prepare a session; nothing is opened yet.

        Args:
            profile: what to run.
            registry: the plugins that are installed.
            issue: decides whether the system may capture.
            listener: told what happens.
            clock: the machine's, if not given.
        """
        self.profile = profile
        self.run_id = secrets.token_hex(3)
        self.permit: Permit | None = None
        self.basis: Basis | None = None
        self._registry = registry
        self._issue = issue
        self._listener = listener or Listener()
        self._clock = clock or SystemClock()
        self._watchlist: Watchlist | None = None
        self._models = Models(self._plugin, registry, self._listener.log)
        self._system: System | None = None
        self._preparing: anyio.CancelScope | None = None
        self._stop_reason: str | None = None
        self._ended: str | None = None
        self._began_ns = self._ended_ns = self._began_at_ns = 0

    @property
    def is_started(self) -> bool:
        """Whether there is anything to summarise."""
        return self._system is not None

    def stop(self, reason: str) -> None:
        """Begin to stop, in good order; the first reason given stands."""
        self._stop_reason = self._stop_reason or reason
        if self._system is not None:
            self._system.stop(reason)
        elif self._preparing is not None:
            self._preparing.cancel()

    def check_permit(self) -> dict[str, Pace]:
        """Ask for the permit, and return the pace of each camera. Opens nothing.

        Raises:
            PermitRefusedError: the system may not capture.
        """
        paces = {}
        for section in self.profile.cameras:
            camera: Camera = self._plugin("camera", section)
            paces[section.name] = camera.pace
            camera.close()
        self.permit = self._issue(self.profile.permit, paces)
        return paces

    async def run(self, *, duration_s: float | None = None) -> Summary:
        """Run to the end of the input, for `duration_s`, or until `stop`.

        Raises:
            ActorFailed: a stage failed for good; `summary` tells how far the session came.
            LfrError: it could not start, or was stopped before it had; the text says why.
        """
        limit_arenas()
        compute = ThreadLane("compute", clock=self._clock, workers=self.profile.runtime.compute_threads or cores())
        lanes: list[Lane] = [compute]
        try:
            paces = await compute.run(self.check_permit, deadline_s=LOAD_S)
            with anyio.CancelScope() as self._preparing:
                detector, embedder, watchlist = await self._prepare(compute)
            if self._stop_reason is not None:
                raise StoppedBeforeStartError(f"stopped before it had started ({self._stop_reason})")
            with closing(EvidenceStore(watchlist.portrait)) as evidence:
                system = self._system = self._build(
                    detector=detector,
                    embedder=embedder,
                    watchlist=watchlist,
                    evidence=evidence,
                    paces=paces,
                    lanes=lanes,
                )
                return await self._run(system, duration_s)
        finally:
            self._models.close()
            for lane in lanes:
                lane.close()
            if self._watchlist is not None:
                self._watchlist.erase()

    async def _prepare(self, compute: Lane) -> tuple[Detector, Embedder, Watchlist]:
        cited = await compute.run(read_cited, self.profile.basis, deadline_s=LOAD_S)
        detector: Detector = await self._models.load(compute, "detector", self.profile.detector)
        embedder: Embedder = await self._models.load(compute, "embedder", self.profile.embedder)
        self._watchlist = await enrol(
            await compute.run(find_photos, self.profile.watchlist.images, deadline_s=LOAD_S),
            reader=self._registry.get("camera", self.profile.watchlist.reader),
            detector=detector,
            embedder=embedder,
            lane=compute,
            gates=self.profile.watchlist.gates,
            progress=self._listener.enrolled,
        )
        for rejected in self._watchlist.rejected:
            self._listener.log("photograph_rejected", photo=rejected.photo, reason=rejected.reason)
        for person in self._watchlist.unlisted:
            self._listener.log("person_not_listed", person=person)
        for finding in self._watchlist.findings:
            self._listener.log("photograph_resembles", kind=finding.kind, finding=str(finding))
        judge = partial(rests_on, detector=detector.digest, embedder=embedder.digest, listed=len(self._watchlist))
        # Options may have to look into a model's card to say what counts.
        self.basis = await compute.run(judge, self.profile, cited, deadline_s=LOAD_S)
        self._listener.log("threshold_basis", **structs.asdict(self.basis))
        return detector, embedder, self._watchlist

    async def _run(self, system: System, duration_s: float | None) -> Summary:
        failure: Exception | None = None
        self._began_ns = self._clock.monotonic_ns()
        self._began_at_ns = self._clock.utc_ns()
        async with anyio.create_task_group() as tasks:
            if duration_s is not None:
                tasks.start_soon(self._stop_after, duration_s)
            try:
                self._ended = await system.run()
            except Exception as error:  # noqa: BLE001  (raised below, outside of the group that would wrap it)
                failure = error
                self._ended = f"failed: {describe(error)}"
            tasks.cancel_scope.cancel()
        self._ended_ns = self._clock.monotonic_ns()
        if failure is not None:
            raise failure
        return self.summary()

    async def _stop_after(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self.stop("duration")

    def _plugin(self, stage: str, section: Any, *extra: Any) -> Any:
        """Create a plugin. Its own LfrErrors pass as they are; any other error gets its name and origin."""
        installed = self._registry.origin(stage, section.plugin)
        try:
            return installed.plugin.create(section.options, *extra)
        except LfrError:
            raise
        except Exception as error:
            raise PluginError(
                f"{stage} plugin {section.plugin!r} of {installed.origin} could not be created: {describe(error)}"
            ) from error

    def _build(
        self,
        *,
        detector: Detector,
        embedder: Embedder,
        watchlist: Watchlist,
        evidence: EvidenceStore,
        paces: Mapping[str, Pace],
        lanes: list[Lane],
    ) -> System:
        profile, listener = self.profile, self._listener
        deadline_s = profile.runtime.call_deadline_s
        compute = lanes[0]

        def lane(name: str) -> Lane:
            lanes.append(ThreadLane(name, clock=self._clock))
            return lanes[-1]

        def gallery() -> Gallery:
            return Gallery(
                templates=watchlist.templates, persons=watchlist.persons, digest=watchlist.digest, generation=1
            )

        self._cameras = [self._camera_host(camera, lane(f"camera:{camera.name}")) for camera in profile.cameras]
        self._sinks = [self._sink_host(sink, lane(f"sink:{sink.title}"), evidence) for sink in profile.sinks]
        self._detector = DetectorHost(
            self._models.handed_over(detector, "detector", profile.detector),
            compute,
            landmark_template=embedder.landmark_template,
            crop_size=embedder.crop_size,
            deadline_s=deadline_s,
        )
        self._tracker = TrackerHost(
            partial(self._plugin, "tracker", profile.tracker), lane("tracker"), run=self.run_id, deadline_s=deadline_s
        )
        self._embedder = EmbedderHost(
            self._models.handed_over(embedder, "embedder", profile.embedder),
            compute,
            mirror_live=profile.embedder.mirror_live,
            deadline_s=deadline_s,
        )
        self._index = IndexHost(
            partial(self._plugin, "index", profile.index),
            lane("index"),
            gallery=gallery,
            digest=embedder.digest,
            dimension=embedder.dimension,
            threshold=profile.watchlist.threshold,
            early_margin=profile.watchlist.early_margin,
            looks=most_looks(profile),
            deadline_s=deadline_s,
        )
        self._desk = AlertDesk(evidence, model=embedder.digest, permit=str(self.permit), basis=str(self.basis))
        self._record = Record(listener.fact)
        self._retention = RetentionHost(
            partial(self._plugin, "retention", profile.retention),
            period_s=profile.runtime.retention_period_s,
            log=listener.log,
        )
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
        ]
        system = System(
            actors,
            connect(nodes_of(profile, paces)),
            lanes=lanes,
            clock=self._clock,
            restarts=RestartPolicy(max_restarts=profile.runtime.max_restarts),
            drain_s=profile.runtime.drain_s,
            log=listener.log,
        )
        self._retention.stores = [
            ("evidence", system.address("desk")),
            *(("alert", system.address(sink.name)) for sink in self._sinks),
            # Whoever may see pictures may have kept them: both clocks apply, and so the shorter one.
            *(
                ("evidence", system.address(host.name))
                for host, section in zip(self._sinks, profile.sinks, strict=True)
                if section.evidence
            ),
        ]
        return system

    def _camera_host(self, section: CameraSection, lane: Lane) -> CameraHost:
        create = partial(self._plugin, "camera", section)
        return CameraHost(section.name, create, lane, log=self._listener.log)

    def _sink_host(self, section: SinkSection, lane: Lane, store: EvidenceStore) -> SinkHost:
        def withheld(_reference: str) -> Evidence:
            raise EvidenceWithheldError(
                f"sink {section.title!r} may not see pictures: set evidence = true for it in the profile"
            )

        def create(context: SinkContext) -> AlertSink:
            sink: AlertSink = self._plugin("sink", section, context)
            return sink

        evidence = store.show if section.evidence else withheld
        return SinkHost(section.title, create, lane, evidence=evidence, log=self._listener.log)

    def summary(self) -> Summary:
        """Return how things stand, or how they ended.

        Raises:
            RuntimeError: the session has not started its actors.
        """
        if self._system is None or self._watchlist is None or self.basis is None:
            raise RuntimeError("the session has not started: there is nothing to summarise")
        now_ns = self._ended_ns or self._clock.monotonic_ns()
        return summarise(
            Facts(
                cameras=[camera.facts() for camera in self._cameras],
                detector=self._detector.facts(),
                tracker=self._tracker.facts(),
                embedder=self._embedder.facts(),
                index=self._index.facts(),
                desk=self._desk.facts(),
                sinks=[sink.facts() for sink in self._sinks],
                retention=self._retention.facts(),
                record=self._record.facts(),
                system=self._system.statistics(),
            ),
            run=self.run_id,
            profile=self.profile.name,
            permit=str(self.permit),
            basis=self.basis,
            began_at_ns=self._began_at_ns,
            ended=self._ended or "running",
            duration_s=(now_ns - self._began_ns) / 1e9,
            watchlist=self._watchlist,
            threshold=self.profile.watchlist.threshold,
            models=self._models.loaded,
        )


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
