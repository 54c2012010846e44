"""The promise that everything else rests on: whatever fails, everybody seen is counted once and no face is left over.

A whole graph of fakes runs to its end while cameras, plugins and sinks fail and hang at random calls. Every run is made
of one seed, so a run that breaks the promise can be run again.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.stages.conftest import TimedLane

from lfr_kernel.governance.basis import NO_REPORT
from lfr_kernel.governance.watchlist import Watchlist
from lfr_kernel.messages import Alert, Biometric, Outcome, Verdict
from lfr_kernel.runtime import PassingError, RestartPolicy, System, SystemClock, ThreadLane
from lfr_kernel.stages.camera import CameraHost, CameraLimits
from lfr_kernel.stages.desk import AlertDesk, EvidenceStore
from lfr_kernel.stages.detector import DetectorHost
from lfr_kernel.stages.embedder import EmbedderHost, embed_crops
from lfr_kernel.stages.index import Gallery, IndexHost
from lfr_kernel.stages.record import Record
from lfr_kernel.stages.residency import Residency
from lfr_kernel.stages.retention import RetentionHost
from lfr_kernel.stages.sink import Evidence, SinkHost, SinkLimits
from lfr_kernel.stages.tracker import TrackerHost
from lfr_kernel.telemetry.summary import Facts, Summary, summarise, summarise_list
from lfr_kernel.testing import VirtualClock
from lfr_kernel.testing.fakes import (
    FakeCamera,
    FakeDetector,
    FakeEmbedder,
    FakeFace,
    FakePicture,
    FakeRetention,
    FakeTracker,
    Faults,
    ListSink,
    NumpyIndex,
)
from lfr_kernel.wiring import Node, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lfr_kernel.messages import Faces
    from lfr_kernel.runtime import Actor, Lane
    from lfr_kernel.runtime.clock import Clock
    from lfr_kernel.stages.camera import Pace
    from lfr_kernel.stages.tracker import TrackUpdate
    from lfr_kernel.testing._faults import Fault

pytestmark = pytest.mark.anyio

LISTED = {"ada": (200, 40, 40), "bob": (40, 200, 40)}
STRANGERS = ((40, 40, 200), (200, 200, 40), (200, 40, 200), (230, 230, 230))


class RandomFaults(Faults):
    """Fails a share of the calls, in one of several ways."""

    def __init__(self, rng: random.Random, share: float, *ways: Fault) -> None:
        super().__init__()
        self._rng = random.Random(rng.random())  # noqa: S311  (a test's dice)
        self._share = share
        self._ways = (PassingError("not now"), ValueError("broken"), *ways)

    def plan(self, call: int) -> Fault | None:
        del call
        return self._rng.choice(self._ways) if self._rng.random() < self._share else None


class Person:
    """Somebody who walks across the view, straight and at one speed."""

    def __init__(self, rng: random.Random, colour: tuple[int, int, int], lane: int) -> None:
        self._rng, self._surest = rng, rng.uniform(0.4, 1.0)
        self.first = rng.randrange(60)
        self.last = self.first + rng.randrange(3, 40)
        self._colour, self._y = colour, 10 + 42 * lane
        self._x, self._speed = rng.uniform(0, 150), rng.uniform(-4, 4)

    def at(self, frame: int) -> FakeFace:
        confidence = self._surest * self._rng.uniform(0.7, 1.0)
        return FakeFace(self._x + self._speed * (frame - self.first), self._y, 36, self._colour, confidence)


class Taciturn(FakeTracker):
    """Says of a frame's faces only which of them it wants, as a tracker may."""

    def update(self, faces: Faces) -> TrackUpdate:
        return msgspec.structs.replace(super().update(faces), seen=())


def a_scene(rng: random.Random) -> list[FakePicture]:
    colours = [*LISTED.values(), *STRANGERS]
    people = [Person(rng, rng.choice(colours), number % 4) for number in range(rng.randrange(1, 9))]
    return [FakePicture.of([one.at(frame) for one in people if one.first <= frame <= one.last]) for frame in range(90)]


class World:
    """A graph of fakes, wired like a real one, with everything that may go wrong in it."""

    def __init__(
        self, seed: int, share: float, clock: Clock, lane: Callable[[str, int], Lane], *hang: Callable[[Lane], Fault]
    ) -> None:
        self.rng = rng = random.Random(seed)  # noqa: S311  (a test's dice)
        self.clock = clock
        self.residency = Residency(clock.monotonic_ns)
        self.lanes: list[Lane] = []
        self.told: list[Outcome | Alert] = []
        self.sinks: list[ListSink] = []

        def a_lane(name: str, workers: int = 1) -> Lane:
            self.lanes.append(lane(name, workers))
            return self.lanes[-1]

        def faults(lane: Lane) -> Faults:
            return RandomFaults(rng, share, *(way(lane) for way in hang))

        compute = a_lane("compute", rng.choice((1, 2, 3)))
        self.paces: list[Pace] = [rng.choice(("live", "realtime", "unpaced")) for _ in range(rng.choice((1, 1, 2, 3)))]
        self.cameras = [self._camera(f"c{number}", pace, a_lane) for number, pace in enumerate(self.paces)]
        self.gallery = self._gallery()
        embedder = FakeEmbedder()
        self.detector = DetectorHost(
            partial(FakeDetector, faults(compute), max_concurrency=rng.choice((1, 2, 4))),
            compute,
            landmark_template=embedder.landmark_template,
            crop_size=embedder.crop_size,
            deadline_s=1.0,
        )
        tracker, index, sink = a_lane("tracker"), a_lane("index"), a_lane("sink")
        create_tracker = partial(
            rng.choice((FakeTracker, FakeTracker, Taciturn)),
            faults(tracker),
            every=rng.choice((1, 3)),
            lost_after_s=0.3,
            min_confidence=0.5,
        )
        self.tracker = TrackerHost(create_tracker, tracker, run="run", deadline_s=1.0)
        create_embedder = partial(
            FakeEmbedder, faults(compute), batch_size=rng.choice((1, 3)), max_concurrency=rng.choice((1, 2))
        )
        self.embedder = EmbedderHost(create_embedder, compute, mirror_live=rng.random() < 0.3, deadline_s=1.0)
        self.index = IndexHost(
            partial(NumpyIndex, faults(index)),
            index,
            gallery=lambda: self.gallery,
            digest=embedder.digest,
            dimension=embedder.dimension,
            threshold=0.6,
            early_margin=0.06,
            looks=None,
            deadline_s=1.0,
        )
        self.evidence = EvidenceStore(lambda _: np.zeros((4, 4, 3), np.uint8))
        self.desk = AlertDesk(self.evidence, model=embedder.digest, permit="test", basis=lambda: "test")
        self.sinks = [ListSink(RandomFaults(rng, share)) for _ in range(2)]
        self.sink_hosts = [self._sink(f"s{number}", one, sink, share) for number, one in enumerate(self.sinks)]
        self.record = Record(self.told.append)
        self.retention = RetentionHost(FakeRetention, period_s=1, log=lambda *_, **__: None)
        actors: list[Actor] = [
            *self.cameras,
            self.detector,
            self.tracker,
            self.embedder,
            self.index,
            self.desk,
            *self.sink_hosts,
            self.record,
            self.retention,
        ]
        unpaced = {camera.name for camera, pace in zip(self.cameras, self.paces, strict=True) if pace == "unpaced"}
        nodes = [Node(name=one.name, kind=type(one), lane="-", is_unpaced=one.name in unpaced) for one in actors]
        self.system = System(
            actors,
            connect(nodes),
            lanes=self.lanes,
            clock=clock,
            restarts=RestartPolicy(max_restarts=10**6, backoff_s=0.002, max_backoff_s=0.01, jitter=0.0),
            drain_s=1.0,
        )
        self.retention.stores = [("evidence", self.system.address("desk"))]

    def _camera(self, name: str, pace: Pace, lane: Callable[[str], Lane]) -> CameraHost:
        own = lane(f"camera:{name}")
        script = iter(self._script(pace, own))
        limits = CameraLimits(open_s=1, read_s=1, silence_s=5, first_backoff_s=0.01, max_backoff_s=0.05, jitter=0)
        frame_ns = 40_000_000 if isinstance(own, TimedLane) else 2_000_000
        return CameraHost(name, lambda: FakeCamera(script, pace=pace, frame_ns=frame_ns), own, limits=limits)

    def _script(self, pace: Pace, lane: Lane) -> Iterator[Any]:
        """A scene; a live camera takes its time, and now and then it breaks off."""
        for picture in a_scene(self.rng):
            if pace == "live" and isinstance(lane, TimedLane):
                yield partial(lane.spend, 0.04)
            if self.rng.random() < 0.01:
                yield PassingError("it broke off")
            yield picture

    def _gallery(self) -> Gallery:
        crops = np.array([[[colour]] for colour in LISTED.values()], np.uint8).repeat(32, axis=1).repeat(32, axis=2)
        templates = Biometric(embed_crops(FakeEmbedder(), crops, mirrored=True))
        return Gallery(templates=templates, persons=tuple(LISTED), digest=FakeEmbedder().digest, generation=1)

    def _sink(self, name: str, sink: ListSink, lane: Lane, share: float) -> SinkHost:
        def show(reference: str) -> Evidence:
            return self.evidence.show(reference)

        limits = SinkLimits(first_backoff_s=0.001, max_backoff_s=0.002 + share / 1e3, jitter=0)
        return SinkHost(name, lambda _: sink, lane, evidence=show, limits=limits)

    def close(self) -> None:
        self.evidence.close()
        self.gallery.templates.erase()

    def summary(self, ended: str = "input_ended") -> Summary:
        nobody = Watchlist([], [], digest="", dimension=1)
        nobody.erase()
        return summarise(
            Facts(
                cameras=[camera.facts() for camera in self.cameras],
                detector=self.detector.facts(),
                tracker=self.tracker.facts(),
                embedder=self.embedder.facts(),
                index=self.index.facts(),
                desk=self.desk.facts(),
                sinks=[sink.facts() for sink in self.sink_hosts],
                retention=self.retention.facts(),
                record=self.record.facts(),
                system=self.system.statistics(),
                residency=self.residency.facts(),
            ),
            run="test",
            profile="test",
            permit="test",
            authority=None,
            basis=NO_REPORT,
            began_at_ns=0,
            ended=ended,
            duration_s=1.0,
            watchlist=summarise_list(nobody, 0.6),
            models={},
        )


def check_passages(world: World) -> None:
    """Passages seen = alerted + not matched + lost, each with exactly one outcome."""
    record, seen = world.record.facts(), world.tracker.facts().seen
    assert seen == record.alerted + record.not_matched + sum(record.lost.values())
    assert world.tracker.facts().open == world.index.facts().open_passages == 0
    summary = world.summary().passages
    assert (summary.seen, summary.open) == (seen, 0)
    assert summary.seen == summary.alerted + summary.not_matched + sum(summary.lost.values())
    check_funnel(world.summary())


def check_funnel(summary: Summary) -> None:
    """Camera by camera nobody is counted twice or left out, and the sums are those of the whole run."""
    assert set(summary.funnel) == set(summary.cameras)
    for camera in summary.funnel.values():
        faces, passages = camera.faces, camera.passages
        assert faces.detected == faces.untracked + faces.tracked
        assert faces.tracked == sum(faces.gated.values()) + faces.spare + faces.asked
        assert faces.asked == faces.pooled + faces.outliers + sum(faces.lost.values()) + faces.on_the_way
        assert faces.asked >= faces.embedded >= faces.pooled + faces.outliers
        assert passages.seen == passages.alerted + passages.not_matched + sum(passages.lost.values()) + passages.open
        assert passages.seen >= passages.over_gate >= passages.searched >= passages.alerted + passages.not_matched
        counts = [value for one in (faces, passages) for value in msgspec.structs.astuple(one)]
        assert min(one for value in counts for one in (value.values() if isinstance(value, dict) else [value])) >= 0
    every = list(summary.funnel.values())
    assert sum(one.faces.embedded for one in every) == summary.probes
    assert sum(one.faces.pooled for one in every) == summary.index.pooled
    assert sum(one.faces.outliers for one in every) == summary.index.outliers
    assert sum(one.passages.seen for one in every) == summary.passages.seen
    assert sum(one.passages.alerted for one in every) == summary.passages.alerted
    assert sum(one.passages.not_matched for one in every) == summary.passages.not_matched
    assert sum(one.passages.open for one in every) == summary.passages.open
    lost = sum((Counter(one.passages.lost) for one in every), Counter())
    assert lost == +Counter(summary.passages.lost)


def check_everything(world: World) -> None:
    """What holds after a normal end."""
    check_passages(world)
    outcomes = [one for one in world.told if isinstance(one, Outcome)]
    alerts = [one for one in world.told if isinstance(one, Alert)]
    assert max(Counter(one.passage for one in outcomes).values(), default=0) <= 1
    assert {one.passage for one in alerts} == {one.passage for one in outcomes if one.verdict is Verdict.ALERTED}
    assert max(Counter((one.passage, one.person) for one in alerts).values(), default=0) <= 1
    for sink in world.sinks:
        assert [one.id for one in sink.delivered] == [one.id for one in alerts], "every sink got every alert, in order"
    assert world.tracker.facts().probes == world.embedder.facts().probes + sum(world.embedder.facts().lost.values())
    every = [camera.faces for camera in world.summary().funnel.values()]
    assert sum(faces.detected + sum(faces.dropped.values()) for faces in every) == world.summary().faces
    assert sum(faces.asked for faces in every) == world.tracker.facts().probes, "nothing asked for was left unsent"
    assert not sum(faces.on_the_way for faces in every)
    check_each_passage(world, outcomes)
    frames = world.summary().frames
    assert frames.read == sum(camera.facts().read for camera in world.cameras)
    assert frames.read == frames.processed + sum(frames.dropped.values())


def check_each_passage(world: World, outcomes: list[Outcome]) -> None:
    """What the outcomes say one by one adds up to what the funnel says of all, as far as their ends are known."""
    known = [one for one in outcomes if one.ended is not None]
    assert len({(one.camera, one.track, one.began_stream_ns) for one in known}) == len(known)
    for one in known:
        assert one.asked >= one.probes + one.outliers + sum(count for _, count in one.probes_lost)
    if len(known) == len(outcomes):
        every = [camera.faces for camera in world.summary().funnel.values()]
        assert sum(one.asked for one in known) == sum(faces.asked for faces in every)
        refused: Counter[str] = Counter()
        for one in known:
            refused.update(dict(one.refused))
        assert refused == sum((Counter(faces.gated) for faces in every), Counter())


def check_nothing_is_left(world: World, biometrics: Made) -> None:
    world.close()
    left = [one for one in biometrics if not one.is_erased]
    assert not left, f"{len(left)} of {len(biometrics)} are left over: {left[:5]}"


def hangs(lane: Lane) -> Fault:
    assert isinstance(lane, TimedLane)
    return lane.spend


def dawdles(lane: Lane) -> Fault:
    assert isinstance(lane, TimedLane)
    return partial(lane.spend, 0.3)


async def run_inline(seed: int, share: float, stop_after_s: float | None = None) -> World:
    clock = VirtualClock()
    world = World(seed, share, clock, lambda _, workers: TimedLane(clock, workers), hangs, dawdles)
    ended: list[str] = []

    async def run() -> None:
        ended.append(await world.system.run())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        if stop_after_s is not None:
            await clock.advance(stop_after_s)
            check_funnel(world.summary(ended="running"))
            world.system.stop("somebody wished it")
        for _ in range(5_000):
            if ended:
                break
            await clock.advance(1.0)
    assert ended[0] in {"input_ended", "somebody wished it"}
    return world


class Made(list[Biometric]):
    """Every Biometric made since the list was cleared."""

    def __repr__(self) -> str:
        return f"<{len(self)} made>"


@pytest.fixture(scope="module")
def made() -> Iterator[Made]:
    collected = Made()
    initialise = Biometric.__init__

    def note(self: Biometric, array: Any, **more: Any) -> None:
        initialise(self, array, **more)
        collected.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Biometric, "__init__", note)
        yield collected


SEEDS = st.integers(0, 2**32)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, share=st.sampled_from([0.0, 0.01, 0.05, 0.2]))
async def test_whatever_fails_everybody_is_counted_once_and_no_face_is_left(
    made: Made, seed: int, share: float
) -> None:
    made.clear()
    world = await run_inline(seed, share)
    check_everything(world)
    check_nothing_is_left(world, made)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, share=st.sampled_from([0.0, 0.05, 0.2]), stop_after_s=st.floats(0, 3))
async def test_a_stop_at_any_moment_keeps_the_promise(made: Made, seed: int, share: float, stop_after_s: float) -> None:
    made.clear()
    world = await run_inline(seed, share, stop_after_s)
    check_passages(world)
    check_nothing_is_left(world, made)


@pytest.mark.parametrize("seed", range(6))
async def test_threads_and_real_clocks_keep_it_too(made: Made, seed: int) -> None:
    made.clear()
    clock = SystemClock()
    world = World(seed, 0.04, clock, lambda name, workers: ThreadLane(name, clock=clock, workers=workers))
    with anyio.fail_after(30):
        assert await world.system.run() == "input_ended"
    check_everything(world)
    check_nothing_is_left(world, made)


async def test_the_test_itself_sees_matches_misses_losses_drops_and_restarts() -> None:
    """A property that holds because nothing happens would be worth nothing."""
    totals: Counter[str] = Counter()
    for seed in range(48):
        world = await run_inline(seed, 0.05 if seed % 2 else 0.2)
        record = world.record.facts()
        totals += Counter({"alerted": record.alerted, "not_matched": record.not_matched})
        totals.update(record.lost)
        totals.update(world.summary().frames.dropped)
        for camera in world.summary().funnel.values():
            totals.update({f"{reason} faces": count for reason, count in camera.faces.gated.items()})
            totals.update({f"{reason} faces": count for reason, count in camera.faces.lost.items()})
            totals.update({f"{reason} undetected": count for reason, count in camera.faces.dropped.items()})
            totals.update({"spare": camera.faces.spare, "untracked": camera.faces.untracked})
            totals.update({"outliers": camera.faces.outliers})
        totals.update({f"{one.name} restarts": one.restarts for one in world.system.statistics().actors})
        totals["abandoned"] += sum(lane.statistics().abandoned for lane in world.lanes)
        world.close()
    wanted = {"alerted", "not_matched", "restart", "overflow", "crashed", "probe_crashed"}
    stages = {f"{stage} restarts" for stage in ("detector", "tracker", "embedder", "index")}
    wanted |= {"low_confidence faces", "crashed faces", "late faces", "crashed undetected", "spare", "untracked"}
    assert wanted | stages | {"abandoned"} <= {name for name, count in totals.items() if count}
