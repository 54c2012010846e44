"""What is left in the buffers of plugins is overwritten once nothing comes: once, by every worker, and not as work."""

from __future__ import annotations

import gc
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest
from tests.stages.conftest import TimedLane

from lfr_kernel.messages import Faces, Frame, Probe, ProbeRequest
from lfr_kernel.runtime import CallAbandonedError, SystemClock, ThreadLane
from lfr_kernel.stages import idle
from lfr_kernel.stages.detector import SIZES, DetectorHost
from lfr_kernel.stages.embedder import EmbedderHost
from lfr_kernel.stages.idle import TRIES, BlankPicture, IdleSpells, call_on_every_worker
from lfr_kernel.stages.tracker import TrackEnded, TrackerHost, TrackUpdate
from lfr_kernel.testing.fakes import (
    CROP_SIZE,
    LANDMARKS,
    FakeDetector,
    FakeEmbedder,
    FakeFace,
    FakePicture,
    FakeTracker,
    Faults,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.stages.conftest import HostFunction

    from lfr_kernel.messages import Biometric
    from lfr_kernel.testing import VirtualClock

pytestmark = pytest.mark.anyio

RED = (200, 40, 40)


class SeeingDetector(FakeDetector):
    """Notes what it was given."""

    def __init__(self, seen: list[Any], faults: Faults | None = None) -> None:
        super().__init__(faults)
        self._seen = seen

    def detect(self, picture: Any) -> Any:
        self._seen.append(picture.size if isinstance(picture, BlankPicture) else "frame")
        assert not picture.rgb(4, 2).any() or self._seen[-1] == "frame"
        return super().detect(picture)


class SeeingEmbedder(FakeEmbedder):
    """Notes whether it was given nothing."""

    def __init__(self, seen: list[str], faults: Faults | None = None) -> None:
        super().__init__(faults)
        self._seen = seen

    def embed(self, crops: Any, out: Any) -> None:
        self._seen.append("face" if crops.any() else "nothing")
        super().embed(crops, out)


def hosted_detector(lane: TimedLane, seen: list[Any], faults: Faults | None = None) -> DetectorHost:
    return DetectorHost(
        partial(SeeingDetector, seen, faults),
        lane,
        landmark_template=LANDMARKS * np.array(CROP_SIZE),
        crop_size=CROP_SIZE,
        deadline_s=5,
    )


async def test_an_idle_detector_sees_a_blank_of_each_size_once_a_spell(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, a_frame: Callable[..., Frame], picture: FakePicture
) -> None:
    seen: list[Any] = []
    small = FakePicture.of([], (64, 48))
    actor = hosted_detector(lane, seen)
    async with host(actor) as hosted:
        await clock.advance(5)
        assert seen == [], "nothing to overwrite before there was anything"
        await hosted.send(a_frame(0, picture))
        await hosted.send(a_frame(1, small))
        await clock.advance(0.9)
        assert seen == ["frame"] * 2
        await clock.advance(1)
        assert seen[2:] == [picture.size, (64, 48)]
        await clock.advance(60)
        assert len(seen) == 4
        await hosted.send(a_frame(2, small))
        await clock.advance(2)
        assert len(seen) == 7
        facts = actor.facts()
        assert (facts.frames, facts.faces, facts.call_ms.count) == (3, 1, 3)
        assert len(hosted.caught(Faces)) == 3
        assert hosted.statistics.restarts == 0


async def test_sizes_are_remembered_up_to_a_bound(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, a_frame: Callable[..., Frame]
) -> None:
    seen: list[Any] = []
    async with host(hosted_detector(lane, seen)) as hosted:
        for number in range(SIZES + 3):
            await hosted.send(a_frame(number, FakePicture.of([], (64 + number, 48))))
        await clock.advance(2)
        assert seen[SIZES + 3 :] == [(64 + number, 48) for number in range(3, SIZES + 3)]


async def test_a_detector_that_fails_on_nothing_is_not_restarted(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, a_frame: Callable[..., Frame], picture: FakePicture
) -> None:
    seen: list[Any] = []
    async with host(hosted_detector(lane, seen, Faults({2: ValueError("an empty picture")}))) as hosted:
        await hosted.send(a_frame(0, picture))
        await clock.advance(2)
        assert seen == ["frame", picture.size]
        await hosted.send(a_frame(1, picture))
        assert len(hosted.caught(Faces)) == 2
        assert hosted.statistics.restarts == 0


async def test_a_detector_that_hangs_on_nothing_is_replaced(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, a_frame: Callable[..., Frame], picture: FakePicture
) -> None:
    seen: list[Any] = []
    async with host(hosted_detector(lane, seen, Faults({2: lane.spend}))) as hosted:
        await hosted.send(a_frame(0, picture))
        await clock.advance(8)
        assert lane.abandoned == 1
        assert hosted.statistics.restarts == 1
        await hosted.send(a_frame(1, picture))
        assert len(hosted.caught(Faces)) == 2


async def test_an_idle_embedder_embeds_nothing_once_a_spell(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, some_faces: Callable[..., Faces]
) -> None:
    seen: list[str] = []
    actor = EmbedderHost(partial(SeeingEmbedder, seen), lane, mirror_live=False, deadline_s=5)
    async with host(actor) as hosted:
        for number in range(2):
            crop = some_faces(0).crops
            await hosted.send(a_request(number, crop))
            await clock.advance(5)
        assert seen == ["face", "nothing"] * 2
        assert len(hosted.caught(Probe)) == 2
        facts = actor.facts()
        assert (facts.probes, facts.lost, facts.call_ms.count) == (2, {}, 2)


def a_request(number: int, crops: Biometric) -> ProbeRequest:
    owner = type(crops)(crops.array[0].copy())
    return ProbeRequest(
        passage="p",
        number=number,
        camera="gate",
        crop=owner,
        quality=1.0,
        box=(0.0, 0.0, 9.0, 9.0),
        captured_at_ns=0,
        captured_monotonic_ns=0,
    )


async def test_the_end_waits_for_no_spell(
    host: HostFunction, lane: TimedLane, a_frame: Callable[..., Frame], picture: FakePicture
) -> None:
    seen: list[Any] = []
    async with host(hosted_detector(lane, seen)) as hosted:
        await hosted.send(a_frame(0, picture))
        await hosted.finish()
        assert seen == ["frame"]


async def test_nobody_holds_a_picture_once_its_faces_are_seen_to(
    host: HostFunction, lane: TimedLane, a_frame: Callable[..., Frame]
) -> None:
    async with host(hosted_detector(lane, [])) as hosted:
        picture = FakePicture.of([FakeFace(40, 30, 64, RED)])
        held = weakref.ref(picture)
        await hosted.send(a_frame(0, picture))
        for faces in hosted.caught(Faces):
            faces.erase()
        hosted._catcher.caught.clear()
        del picture, faces
        assert held() is None


class Confused(FakeTracker):
    """Ends what it never opened."""

    def update(self, faces: Faces) -> TrackUpdate:
        return TrackUpdate(ended=(TrackEnded(99, faces.stream_ns, 1, "age"),))


async def test_a_tracker_that_failed_on_a_frame_lets_go_of_its_picture(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, some_faces: Callable[..., Faces]
) -> None:
    async with host(TrackerHost(Confused, lane, run="r", deadline_s=5)) as hosted:
        faces = some_faces(0)
        held = weakref.ref(faces.picture)
        await hosted.send(faces)
        del faces
        await clock.advance(5)
        assert hosted.statistics.restarts == 1
        gc.collect()  # the error, whose traceback holds the frames that it went through
        assert held() is None


@pytest.fixture
def threads() -> Iterator[ThreadLane]:
    lane = ThreadLane("compute", clock=SystemClock(), workers=3)
    yield lane
    lane.close()


@pytest.fixture
def met(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "MEET_S", 10.0)


@pytest.mark.usefixtures("met")
async def test_every_worker_makes_a_call_and_all_at_the_same_time(threads: ThreadLane) -> None:
    together, workers = threading.Barrier(3), set[int]()

    def call() -> None:
        together.wait(10)
        workers.add(threading.get_ident())

    assert await call_on_every_worker(threads, call, overlapping=3, deadline_s=30)
    assert len(workers) == 3


@pytest.mark.usefixtures("met")
async def test_calls_that_may_not_overlap_come_one_after_the_other_in_every_worker(threads: ThreadLane) -> None:
    alone, workers = threading.Lock(), set[int]()

    def call() -> None:
        assert alone.acquire(blocking=False)
        workers.add(threading.get_ident())
        alone.release()

    await call_on_every_worker(threads, call, overlapping=1, deadline_s=30)
    assert len(workers) == 3


async def test_a_worker_that_is_held_up_is_not_waited_for(threads: ThreadLane) -> None:
    held, calls = threading.Event(), list[int]()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(threads.run, held.wait, deadline_s=30))
        await anyio.lowlevel.checkpoint()
        with anyio.fail_after(10):
            did_all = await call_on_every_worker(threads, partial(calls.append, 1), overlapping=3, deadline_s=30)
        held.set()
    assert not did_all
    assert len(calls) == 3


async def test_what_a_call_raises_is_ignored_and_a_call_that_hangs_is_not(lane: TimedLane) -> None:
    def fail() -> None:
        raise ValueError("nothing in it")

    await call_on_every_worker(lane, fail, overlapping=1, deadline_s=1)


async def test_a_call_that_hangs_is_abandoned(threads: ThreadLane) -> None:
    hung = threading.Event()
    with pytest.raises(CallAbandonedError, match="was abandoned"):
        await call_on_every_worker(threads, hung.wait, overlapping=3, deadline_s=0.01)
    hung.set()


def test_a_spell_begins_when_the_last_work_ends() -> None:
    class Clock:
        now_ns = 0

        def monotonic_ns(self) -> int:
            return self.now_ns

    clock: Any = Clock()
    spells = IdleSpells()
    with spells.work(clock):
        with spells.work(clock):
            clock.now_ns = 5_000_000_000
            assert not spells.is_due(clock)
        clock.now_ns = 9_000_000_000
        assert not spells.is_due(clock)
    clock.now_ns += 999_999_999
    assert not spells.is_due(clock)
    clock.now_ns += 1
    assert spells.is_due(clock)
    assert not spells.is_due(clock)


async def test_a_host_tries_a_few_times_to_have_every_worker(
    host: HostFunction, clock: VirtualClock, a_frame: Callable[..., Frame], picture: FakePicture
) -> None:
    seen: list[Any] = []
    # Without threads its two workers never meet.
    lane = TimedLane(clock, workers=2)
    async with host(hosted_detector(lane, seen)) as hosted:
        await hosted.send(a_frame(0, picture))
        await clock.advance(60)
        assert seen == ["frame"] + [picture.size] * 2 * TRIES
        await hosted.send(a_frame(1, picture))
        await clock.advance(60)
        assert len(seen) == 2 * (1 + 2 * TRIES)


def test_a_blank_picture_is_black_all_over() -> None:
    blank = BlankPicture((640, 480))
    assert blank.size == (640, 480)
    assert blank.rgb(32, 16).shape == (16, 32, 3)
    patch = blank.patch(np.eye(2, 3), (9, 8))
    assert (patch.shape, patch.dtype, patch.any()) == ((8, 9, 3), np.uint8, False)
