"""A detector's host: overlapping calls, results in order, exact gap markers, and detectors that fail or hang."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest
from anyio.lowlevel import checkpoint
from tests.stages.conftest import Catcher, Feeder, TimedLane

from lfr_kernel.messages import Faces, Frame
from lfr_kernel.runtime import Edge, Policy, System, SystemClock, ThreadLane
from lfr_kernel.stages.detector import Detections, DetectorHost
from lfr_kernel.testing.fakes import CROP_SIZE, LANDMARKS, FakeDetector, FakeFace, FakePicture, Faults, Gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from tests.stages.conftest import HostFunction

    from lfr_kernel.messages import Biometric
    from lfr_kernel.runtime import Lane
    from lfr_kernel.testing import VirtualClock

pytestmark = pytest.mark.anyio

RED, GREEN = (200, 40, 40), (40, 200, 40)


class Patient(DetectorHost):
    """Loses no frame before it looks at it: for what is not about dropping."""

    consumes = (type(DetectorHost.consumes[0])(message=Frame, policy=Policy(capacity=1000)),)


def hosted_detector(
    create: Callable[[], FakeDetector], lane: Lane, kind: type[DetectorHost] = Patient, deadline_s: float = 5
) -> DetectorHost:
    return kind(
        create, lane, landmark_template=LANDMARKS * np.array(CROP_SIZE), crop_size=CROP_SIZE, deadline_s=deadline_s
    )


class Made(list[FakeDetector]):
    """The detectors made so far; all of them share their faults."""

    def __init__(self, faults: Faults | None = None, *, max_concurrency: int = 1) -> None:
        super().__init__()
        self._create = partial(FakeDetector, faults, max_concurrency=max_concurrency)

    def __call__(self) -> FakeDetector:
        self.append(self._create())
        return self[-1]


def told(faces: list[Faces]) -> list[tuple[int, int]]:
    return [(one.sequence, one.missed) for one in faces]


async def test_faces_are_found_and_their_crops_cut_from_the_picture(
    host: HostFunction, lane: TimedLane, a_frame: Callable[..., Frame]
) -> None:
    picture = FakePicture.of([FakeFace(40, 30, 64, RED, 0.7), FakeFace(200, 60, 48, GREEN, 0.9)])
    actor = hosted_detector(Made(), lane)
    async with host(actor) as hosted:
        await hosted.send(a_frame(0, picture), a_frame(1, FakePicture.of(())))
        first, second = hosted.caught(Faces)
        assert len(first) == 2
        assert first.crops.array.shape == (2, 32, 32, 3)
        assert (first.crops.array[0, 8:24, 8:24] == GREEN).all()
        assert (first.crops.array[1, 8:24, 8:24] == RED).all()
        assert first.boxes.tolist() == [[200, 60, 248, 108], [40, 30, 104, 94]]
        assert len(second) == 0
        assert second.crops.array.shape == (0, 32, 32, 3)
        assert (first.stream_ns, second.stream_ns) == (0, 40_000_000)
        facts = actor.facts()
        assert (facts.frames, facts.faces, facts.missed) == (2, 2, 0)


async def test_gap_markers_count_what_was_dropped_before_it(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, a_frame: Callable[..., Frame], picture: FakePicture
) -> None:
    actor = hosted_detector(Made(Faults({1: partial(lane.spend, 1.0)})), lane, DetectorHost)
    async with host(actor) as hosted:
        await hosted.send(a_frame(0, picture))
        await hosted.send(*(a_frame(number, picture) for number in range(1, 6)))
        await hosted.send(a_frame(0, picture, "door"))
        await clock.advance(1)
        assert told(hosted.caught(Faces))[:1] == [(0, 0)]
        by_camera = {one.camera: (one.sequence, one.missed) for one in hosted.caught(Faces)[1:]}
        # The one inlet of this test holds a single frame; real cameras have one each.
        assert by_camera == {"door": (0, 0)}
        await hosted.send(a_frame(6, picture))
        assert told(hosted.caught(Faces))[-1] == (6, 5)
        assert hosted.dropped == {"overflow": 5}
        assert actor.facts().missed == 5


async def test_the_fiftieth_call_fails_and_only_its_frame_is_lost(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, a_frame: Callable[..., Frame], picture: FakePicture
) -> None:
    made = Made(Faults({50: RuntimeError("the 50th")}))
    actor = hosted_detector(made, lane)
    async with host(actor) as hosted:
        await hosted.send(*(a_frame(number, picture) for number in range(100)))
        await clock.advance(1)
        await hosted.finish()
        expected = [(number, 1 if number == 50 else 0) for number in range(100) if number != 49]
        assert told(hosted.caught(Faces)) == expected
        assert hosted.dropped == {"crashed": 1}
        assert hosted.statistics.handled == 99
        assert hosted.statistics.restarts == 1
        assert actor.facts().missed == 1
        assert hosted.statistics.last_error == "RuntimeError: the 50th"
        assert [detector.closed for detector in made] == [1, 1]


async def test_a_detector_that_hangs_is_left_behind_unclosed_and_the_rest_goes_on(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, a_frame: Callable[..., Frame], picture: FakePicture
) -> None:
    made = Made(Faults({3: lane.spend}))
    async with host(hosted_detector(made, lane)) as hosted:
        await hosted.send(*(a_frame(number, picture) for number in range(6)))
        await clock.advance(6)
        assert told(hosted.caught(Faces)) == [(0, 0), (1, 0), (3, 1), (4, 0), (5, 0)]
        assert hosted.dropped == {"crashed": 1}
        assert "abandoned after 5 s" in (hosted.statistics.last_error or "")
        assert lane.abandoned == 1
    assert [detector.closed for detector in made] == [0, 1]


async def test_calls_overlap_as_far_as_plugin_and_lane_allow(
    host: HostFunction, clock: VirtualClock, a_frame: Callable[..., Frame], picture: FakePicture
) -> None:
    for max_concurrency, workers, expected in ((3, 2, 2), (2, 3, 2), (1, 4, 1)):
        lane = TimedLane(clock, workers)
        faults = Faults(dict.fromkeys(range(1, 9), partial(lane.spend, 1.0)))
        async with host(hosted_detector(Made(faults, max_concurrency=max_concurrency), lane)) as hosted:
            await hosted.send(*(a_frame(number, picture) for number in range(8)))
            assert faults.calls == expected
            await clock.advance(0.5)
            assert faults.calls == expected
            await clock.advance(8 / expected)
            assert faults.calls == 8


async def test_results_of_overlapping_calls_come_back_in_order_per_camera(
    host: HostFunction, clock: VirtualClock, a_frame: Callable[..., Frame], picture: FakePicture
) -> None:
    lane = TimedLane(clock, workers=4)
    takes = [3.0, 0.1, 1.0, 0.1, 0.1, 2.0, 0.1, 0.1]
    faults = Faults({call: partial(lane.spend, seconds) for call, seconds in enumerate(takes, 1)})
    async with host(hosted_detector(Made(faults, max_concurrency=4), lane)) as hosted:
        await hosted.send(*(a_frame(number // 2, picture, "gd"[number % 2]) for number in range(8)))
        await clock.advance(0.2)
        assert {one.camera for one in hosted.caught(Faces)} == {"d"}, "one camera does not wait for the other"
        await clock.advance(8)
        for camera in "gd":
            assert [one.sequence for one in hosted.caught(Faces) if one.camera == camera] == [0, 1, 2, 3]


async def test_a_crash_among_overlapping_calls_loses_one_frame_and_keeps_the_order(
    host: HostFunction, clock: VirtualClock, a_frame: Callable[..., Frame], picture: FakePicture
) -> None:
    lane = TimedLane(clock, workers=3)

    def slow_and_wrong() -> None:
        lane.spend(0.5)
        raise RuntimeError("the second")

    faults = Faults({1: partial(lane.spend, 1.0), 2: slow_and_wrong, 3: partial(lane.spend, 0.2)})
    async with host(hosted_detector(Made(faults, max_concurrency=3), lane)) as hosted:
        await hosted.send(*(a_frame(number, picture) for number in range(6)))
        await clock.advance(10)
        assert told(hosted.caught(Faces)) == [(0, 0), (2, 1), (3, 0), (4, 0), (5, 0)]
        assert hosted.dropped == {"crashed": 1}


async def test_in_threads_too(a_frame: Callable[..., Frame], picture: FakePicture) -> None:
    clock = SystemClock()
    lane = ThreadLane("compute", clock=clock, workers=2)
    first = Gate()
    made = Made(Faults({1: first}), max_concurrency=2)
    feeder, catcher = Feeder([Frame]), Catcher()
    feeder.give(*(a_frame(number, picture) for number in range(20)))
    feeder.end()
    edges = [
        Edge(producer="feeder", consumer="detector", message=Frame, policy=Policy()),
        Edge(producer="detector", consumer="catcher", message=Faces, policy=Policy()),
    ]
    system = System([feeder, hosted_detector(made, lane), catcher], edges, lanes=[lane], clock=clock)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(system.run)
            while not first.entered.is_set() or lane.statistics().calls < 2:
                await checkpoint()
            assert not catcher.caught, "the second call is over, and waits for the first"
            first.open()
    assert told(catcher.caught) == [(number, 0) for number in range(20)]


class Degenerate(FakeDetector):
    """All landmarks of its faces are in one place."""

    def detect(self, picture: object) -> Detections:
        found = super().detect(picture)
        found.landmarks[:] = 50
        return found


class Unpatchable(FakePicture):
    """Breaks after the first patch."""

    def patch(self, affine: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
        if affine[0, 2] > -60:
            return super().patch(affine, size)
        raise OSError("the frame is gone")


@pytest.mark.parametrize("broken", ["landmarks", "patch"])
async def test_a_face_that_cannot_be_cut_loses_its_frame_and_leaves_nothing_behind(
    host: HostFunction, lane: TimedLane, a_frame: Callable[..., Frame], biometrics: list[Biometric], broken: str
) -> None:
    faces = [FakeFace(40, 30, 64, RED), FakeFace(200, 30, 64, GREEN, 0.8)]
    picture = (FakePicture if broken == "landmarks" else Unpatchable)(FakePicture.of(faces)._pixels, faces)
    create: Any = Degenerate if broken == "landmarks" else FakeDetector
    async with host(hosted_detector(create, lane)) as hosted:
        await hosted.send(a_frame(0, picture), a_frame(1, FakePicture.of(())))
        await hosted.clock.advance(1)
        assert told(hosted.caught(Faces)) == [(1, 1)]
        assert hosted.dropped == {"crashed": 1}
    kept = {id(one.crops) for one in hosted.caught(Faces)}
    assert all(one.is_erased for one in biometrics if id(one) not in kept)
    assert len(biometrics) == 2


async def test_stopping_in_the_middle_erases_what_waits_for_its_turn(
    host: HostFunction,
    clock: VirtualClock,
    a_frame: Callable[..., Frame],
    picture: FakePicture,
    biometrics: list[Biometric],
) -> None:
    lane = TimedLane(clock, workers=2)
    made = Made(Faults({1: partial(lane.spend, 4.0)}), max_concurrency=2)
    async with host(hosted_detector(made, lane)) as hosted:
        await hosted.send(a_frame(0, picture), a_frame(1, picture))
        assert len(biometrics) == 2
    assert not hosted.caught(Faces)
    assert all(one.is_erased for one in biometrics)
    assert hosted.dropped == {"stopped": 2}
    assert made[0].closed == 0, "a call of it may still be running"
