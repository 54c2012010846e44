"""A camera's host: when frames are due, and what happens to cameras that fail, hang or say nothing."""

from __future__ import annotations

from functools import partial
from itertools import chain, pairwise, repeat
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st
from tests.stages.conftest import Hosted, TimedLane

from lfr_kernel.messages import Frame
from lfr_kernel.runtime import (
    Actor,
    ActorFailed,
    Edge,
    PassingError,
    PermanentError,
    Policy,
    RestartPolicy,
    System,
    SystemClock,
    ThreadLane,
)
from lfr_kernel.stages.camera import CameraHost, CameraLimits, CameraState, Reading
from lfr_kernel.testing import VirtualClock
from lfr_kernel.testing.fakes import FakeCamera, FakePicture, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.stages.conftest import HostFunction

    from lfr_kernel.stages.camera import Pace

pytestmark = pytest.mark.anyio

PICTURE = FakePicture.of(())
STEADY = CameraLimits(open_s=15, read_s=10, silence_s=10, first_backoff_s=0.5, max_backoff_s=30, jitter=0)


class Cameras:
    """Creates cameras, and remembers them."""

    def __init__(self, *scripts: Iterable[Any], pace: Pace = "live", openings: Iterable[Iterable[Any]] = ()) -> None:
        self._scripts, self._openings = iter(scripts), iter(openings)
        self._pace = pace
        self.made: list[FakeCamera] = []

    def __call__(self) -> FakeCamera:
        script = next(self._scripts, ())
        self.made.append(FakeCamera(script, pace=self._pace, opening=next(self._openings, ())))
        return self.made[-1]


def hosted_camera(create: Callable[[], FakeCamera], lane: TimedLane, **more: Any) -> CameraHost:
    return CameraHost("gate", create, lane, **{"limits": STEADY, **more})


def frames(hosted: Hosted) -> list[Frame]:
    return hosted.caught(Frame)


def for_ever(lane: TimedLane, seconds: float = 0.04) -> Iterable[Any]:
    """Pictures at a steady rate."""
    return chain.from_iterable(repeat((partial(lane.spend, seconds), PICTURE)))


# ---- files --------------------------------------------------------------------------------------------------------


async def test_a_realtime_file_is_played_at_its_own_speed(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    actor = hosted_camera(Cameras([PICTURE] * 4, pace="realtime"), lane)
    began_ns = clock.monotonic_ns()
    async with host(actor) as hosted:
        shown = []
        for _ in range(5):
            await clock.advance()
            shown.append(len(frames(hosted)))
            await clock.advance(0.04)
        assert shown == [1, 2, 3, 4, 4]
        assert [frame.captured_monotonic_ns - began_ns for frame in frames(hosted)] == [
            0,
            40_000_000,
            80_000_000,
            120_000_000,
        ]
        assert actor.facts().state is CameraState.ENDED
        assert hosted.ended == "input_ended"


async def test_a_frame_that_was_decoded_too_late_keeps_the_time_when_it_was_due(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    slow = partial(lane.spend, 0.1)
    began_ns = clock.monotonic_ns()
    async with host(hosted_camera(Cameras([PICTURE, slow, PICTURE, PICTURE], pace="realtime"), lane)) as hosted:
        await clock.advance(0.1)
        assert [frame.captured_monotonic_ns - began_ns for frame in frames(hosted)] == [0, 40_000_000, 80_000_000]
        assert [frame.stream_ns for frame in frames(hosted)] == [0, 40_000_000, 80_000_000]


async def test_an_unpaced_file_waits_for_nobody_and_ends(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    cameras = Cameras([PICTURE] * 100, pace="unpaced")
    async with host(hosted_camera(cameras, lane)) as hosted:
        await clock.advance()
        assert [frame.sequence for frame in frames(hosted)] == list(range(100))
        assert [frame.stream_ns for frame in frames(hosted)] == [40_000_000 * number for number in range(100)]
        assert hosted.ended == "input_ended"
        assert cameras.made[0].closed == 1


async def test_a_file_that_cannot_be_opened_fails_the_start_and_is_closed(lane: TimedLane, clock: VirtualClock) -> None:
    cameras = Cameras([], pace="unpaced", openings=[[PermanentError("no such file: clip.mp4")]])
    with pytest.raises(PermanentError, match=r"no such file: clip.mp4"):
        await System([hosted_camera(cameras, lane)], [], clock=clock).run()
    assert cameras.made[0].closed == 1


async def test_a_file_whose_opening_hangs_fails_the_start_and_is_left_behind(
    lane: TimedLane, clock: VirtualClock
) -> None:
    cameras = Cameras([], pace="unpaced", openings=[[lane.spend]])
    failed: list[Exception] = []

    async def run() -> None:
        try:
            await System([hosted_camera(cameras, lane)], [], clock=clock).run()
        except PassingError as error:
            failed.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await clock.advance(STEADY.open_s)
    assert "abandoned" in str(failed[0])
    assert cameras.made[0].closed == 0


async def test_a_damaged_file_ends_the_run_with_the_reason(host: HostFunction, lane: TimedLane) -> None:
    cameras = Cameras([PICTURE, PermanentError("clip.mp4 is damaged after 0.1 s")], pace="unpaced")
    async with host(hosted_camera(cameras, lane)) as hosted:
        await hosted.clock.advance()
        assert isinstance(hosted.ended, ActorFailed)
        assert "clip.mp4 is damaged" in str(hosted.ended)
        assert len(frames(hosted)) == 1
        assert cameras.made[0].closed == 1


async def test_a_file_that_stumbles_is_read_again_and_its_line_goes_on(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    cameras = Cameras([PICTURE, PICTURE, PassingError("the disk was busy")], [PICTURE] * 2, pace="unpaced")
    async with host(hosted_camera(cameras, lane)) as hosted:
        await clock.advance(1)
        assert [frame.sequence for frame in frames(hosted)] == [0, 1, 2, 3]
        assert [frame.stream_ns for frame in frames(hosted)] == [0, 40_000_000, 80_000_000, 120_000_000]
        assert hosted.ended == "input_ended"


# ---- live cameras -------------------------------------------------------------------------------------------------


async def test_the_first_connect_may_fail_too(host: HostFunction, lane: TimedLane, clock: VirtualClock) -> None:
    refused = PassingError("connection refused")
    cameras = Cameras((), (), for_ever(lane), openings=[[refused], [refused]])
    actor = hosted_camera(cameras, lane)
    async with host(actor) as hosted:
        await clock.advance()
        assert actor.facts().state is CameraState.RECONNECTING
        assert actor.facts().last_error == "connection refused"
        await clock.advance(0.5 + 1.0 + 0.04)
        assert actor.facts().state is CameraState.STREAMING
        assert actor.facts().reconnects == 2
        assert len(frames(hosted)) == 1
        assert [camera.closed for camera in cameras.made] == [1, 1, 0]


async def test_the_wait_doubles_up_to_its_ceiling_and_begins_anew_after_a_picture(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    refusals = [[PassingError("connection refused")]] * 9
    scripts = [()] * 8 + [[], [PICTURE, PassingError("the stream ended")]]
    cameras = Cameras(*scripts, openings=refusals)
    logged: list[dict[str, Any]] = []
    async with host(hosted_camera(cameras, lane, log=lambda _, **facts: logged.append(facts))):
        await clock.advance(122)
    waits = [facts["retry_in_s"] for facts in logged]
    assert waits[:10] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 0.5]


async def test_jitter_makes_waits_longer_by_up_to_its_share(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    logged: list[dict[str, Any]] = []
    cameras = Cameras(openings=repeat([PassingError("connection refused")]))
    actor = hosted_camera(
        cameras, lane, limits=CameraLimits(jitter=0.5), seed=1, log=lambda _, **facts: logged.append(facts)
    )
    async with host(actor):
        await clock.advance(1_000)
    shares = [facts["retry_in_s"] / min(30.0, 0.5 * 2**number) for number, facts in enumerate(logged)]
    assert len(logged) > 20
    assert all(1 <= share <= 1.5 for share in shares)
    assert max(shares) - min(shares) > 0.2


async def test_an_outage_of_a_whole_night_does_not_end_the_run(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    refusals: list[list[Any]] = [[PassingError("connection refused")] for _ in range(1_400)]
    cameras = Cameras(*[()] * 1_400, for_ever(lane), openings=refusals)
    actor = hosted_camera(cameras, lane)
    async with host(actor, RestartPolicy(max_restarts=0)) as hosted:
        await clock.advance(1_400 * 30)
        assert actor.facts().state is CameraState.STREAMING
        assert frames(hosted)


async def test_silence_is_an_outage(host: HostFunction, lane: TimedLane, clock: VirtualClock) -> None:
    nothing = chain.from_iterable(repeat((partial(lane.spend, 1.0), None)))
    cameras = Cameras(chain([PICTURE], nothing), for_ever(lane))
    actor = hosted_camera(cameras, lane)
    async with host(actor):
        await clock.advance(10.5)
        assert actor.facts().state is CameraState.STREAMING
        await clock.advance(1)
        assert actor.facts().state is CameraState.RECONNECTING
        assert actor.facts().last_error == "camera 'gate' sent no picture for 10 s"
        await clock.advance(1)
        assert actor.facts().state is CameraState.STREAMING
        assert [camera.closed for camera in cameras.made] == [1, 0]


@pytest.mark.parametrize(
    ("scripts", "openings"),
    [
        pytest.param([["hang"]], [], id="read"),
        pytest.param([[]], [["hang"]], id="open"),
    ],
)
async def test_a_camera_that_hangs_is_left_behind_for_a_new_one_and_never_closed(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, scripts: list[Any], openings: list[Any]
) -> None:
    hang = {"hang": lane.spend}
    cameras = Cameras(
        *([hang[step] for step in script] for script in scripts),
        for_ever(lane),
        openings=[[hang[step] for step in opening] for opening in openings],
    )
    actor = hosted_camera(cameras, lane)
    async with host(actor) as hosted:
        await clock.advance(20)
        assert actor.facts().state is CameraState.STREAMING
        assert "abandoned" in (actor.facts().last_error or "")
        assert frames(hosted)
    assert [camera.closed for camera in cameras.made] == [0, 1]


class BadManners(FakeCamera):
    def close(self) -> None:
        super().close()
        raise OSError("already closed")


async def test_a_close_that_raises_does_not_stop_the_reconnecting(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    made: list[FakeCamera] = []

    def create() -> FakeCamera:
        made.append(BadManners([PICTURE, PassingError("unplugged")], pace="live"))
        return made[-1]

    async with host(hosted_camera(create, lane), RestartPolicy(max_restarts=0)) as hosted:
        await clock.advance(10)
        assert len(frames(hosted)) == len(made) > 10
        assert hosted.ended is None


async def test_a_live_camera_that_says_never_ends_the_run(host: HostFunction, lane: TimedLane) -> None:
    cameras = Cameras(openings=[[PermanentError("this build of FFmpeg cannot read rtmpx")]])
    async with host(hosted_camera(cameras, lane)) as hosted:
        await hosted.clock.advance()
        assert isinstance(hosted.ended, ActorFailed)
        assert "cannot read rtmpx" in str(hosted.ended)


@given(
    st.lists(
        st.lists(st.tuples(st.integers(-(2**50), 2**50), st.floats(0, 0.2)), min_size=1, max_size=8),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["live", "realtime", "unpaced"]),
)
async def test_lines_rise_across_loops_and_reconnects(lives: list[list[tuple[int, float]]], pace: Pace) -> None:
    clock = VirtualClock()
    lane = TimedLane(clock)
    scripts = [
        [
            *chain.from_iterable(
                (partial(lane.spend, 0.001 + taken_s), Reading(picture=PICTURE, position_ns=position))
                for position, taken_s in life
            ),
            PassingError("it broke off"),
        ]
        for life in lives
    ]
    hosted = Hosted(hosted_camera(Cameras(*scripts, pace=pace), lane), clock, RestartPolicy(max_restarts=99, jitter=0))
    async with anyio.create_task_group() as tasks:
        await tasks.start(hosted.run)
        await clock.advance(400)
        tasks.cancel_scope.cancel()
    sent = frames(hosted)
    assert [frame.sequence for frame in sent] == list(range(sum(map(len, lives))))
    for before, after in pairwise(sent):
        assert before.stream_ns < after.stream_ns
        assert before.captured_monotonic_ns < after.captured_monotonic_ns
        assert before.captured_at_ns <= after.captured_at_ns


async def test_a_camera_that_hangs_slows_no_other() -> None:
    clock = SystemClock()
    gate = Gate()
    lanes = [ThreadLane(name, clock=clock) for name in ("silent", "busy")]
    silent = CameraHost("silent", lambda: FakeCamera([gate, PICTURE], pace="live"), lanes[0])
    busy = CameraHost("busy", lambda: FakeCamera([PICTURE] * 200), lanes[1])
    system = System([silent, busy, sink := Sink()], [edge(silent), edge(busy)], lanes=lanes, clock=clock, drain_s=0.1)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(system.run)
            while sink.frames < 200:
                await checkpoint()
            assert gate.entered.is_set()
            assert silent.facts().read == 0
            gate.open()
            while silent.facts().read == 0:
                await checkpoint()
            system.stop("seen enough")


class Sink(Actor):
    def __init__(self) -> None:
        super().__init__("sink")
        self.frames = 0

    async def handle(self, message: Any) -> None:  # noqa: ARG002
        self.frames += 1


def edge(producer: CameraHost) -> Edge:
    return Edge(producer=producer.name, consumer="sink", message=Frame, policy=Policy())
