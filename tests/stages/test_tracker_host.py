"""A tracker's host: every passage has an id of its own and one end, whatever the plugin does."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from lfr_kernel.api import Seen, TrackEnded, TrackOpened, TrackUpdate, Wanted
from lfr_kernel.messages import Faces, Passage, PassageSplit, ProbeRequest
from lfr_kernel.runtime import PermanentError, System
from lfr_kernel.stages.tracker import TrackerHost
from lfr_kernel.testing.fakes import FakeTracker, Faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stages.conftest import Hosted, HostFunction, TimedLane

    from lfr_kernel.messages import Biometric
    from lfr_kernel.stages.tracker import Tracker
    from lfr_kernel.testing import VirtualClock

pytestmark = pytest.mark.anyio

RED, GREEN, BLUE = (200, 40, 40), (40, 200, 40), (40, 40, 200)
SomeFaces = "Callable[..., Faces]"


def hosted_tracker(create: Callable[[], Tracker], lane: TimedLane) -> TrackerHost:
    return TrackerHost(create, lane, run="run", deadline_s=5)


def ends(hosted: Hosted) -> dict[str, tuple[str, int]]:
    passages = hosted.caught(Passage)
    assert max(Counter(one.passage for one in passages).values(), default=0) <= 1
    return {one.passage: (one.ended, one.probes) for one in passages}


class Scripted:
    """Says what it is told to say, update by update."""

    def __init__(self, *updates: TrackUpdate, finish: TrackUpdate | None = None) -> None:
        self.splits: list[int] = []
        self._updates = iter(updates)
        self._finish = finish or TrackUpdate()

    def update(self, faces: Faces) -> TrackUpdate:  # noqa: ARG002
        return next(self._updates, TrackUpdate())

    def split(self, track: int) -> None:
        self.splits.append(track)

    def finish(self) -> TrackUpdate:
        return self._finish


OPENED = TrackUpdate(opened=(TrackOpened(0, 0),), wanted=(Wanted(0, 0, 0.5),))


async def test_a_passage_from_its_first_face_to_its_end(
    host: HostFunction, lane: TimedLane, some_faces: Callable[..., Faces]
) -> None:
    actor = hosted_tracker(FakeTracker, lane)
    async with host(actor) as hosted:
        await hosted.send(*(some_faces(number) for number in range(10)))
        await hosted.finish()
        requests = hosted.caught(ProbeRequest)
        assert [(one.passage, one.number, one.camera) for one in requests] == [
            ("run-000001", number, "gate") for number in range(4)
        ]
        assert requests[0].box == (0.0, 30.0, 64.0, 94.0)
        assert requests[0].quality == pytest.approx(0.9)
        assert [one.captured_monotonic_ns for one in requests] == [0, 120_000_000, 240_000_000, 360_000_000]
        (end,) = hosted.caught(Passage)
        assert (end.passage, end.camera, end.ended, end.probes, end.frames) == ("run-000001", "gate", "end", 4, 10)
        assert (end.began_stream_ns, end.ended_stream_ns, end.first_probe_ns) == (0, 360_000_000, 0)
        assert (actor.facts().seen, actor.facts().open, actor.facts().probes) == (1, 0, 4)


async def test_crops_are_copied_to_requests_and_erased_where_they_came_from(
    host: HostFunction, lane: TimedLane, some_faces: Callable[..., Faces]
) -> None:
    faces = some_faces(0, (RED, GREEN))
    memory = faces.crops.array
    async with host(hosted_tracker(FakeTracker, lane)) as hosted:
        await hosted.send(faces)
        assert faces.crops.is_erased
        assert not memory.any()
        crops = [one.crop.array for one in hosted.caught(ProbeRequest)]
        assert [tuple(crop[5, 5]) for crop in crops] == [RED, GREEN]


async def test_each_camera_has_a_tracker_of_its_own(
    host: HostFunction, lane: TimedLane, some_faces: Callable[..., Faces]
) -> None:
    async with host(hosted_tracker(FakeTracker, lane)) as hosted:
        await hosted.send(some_faces(0), some_faces(0, camera="door"), some_faces(1), some_faces(1, camera="door"))
        await hosted.finish()
        cameras = {one.passage: one.camera for one in hosted.caught(Passage)}
        assert cameras == {"run-000001": "gate", "run-000002": "door"}


async def test_a_plugin_that_fails_ends_open_passages_and_ids_go_on(
    host: HostFunction,
    lane: TimedLane,
    clock: VirtualClock,
    some_faces: Callable[..., Faces],
    biometrics: list[Biometric],
) -> None:
    faults = Faults({3: RuntimeError("lost count")})
    actor = hosted_tracker(partial(FakeTracker, faults), lane)
    async with host(actor) as hosted:
        await hosted.send(*(some_faces(number, (RED, GREEN)) for number in range(5)))
        await clock.advance(1)
        assert ends(hosted) == {"run-000001": ("restart", 1), "run-000002": ("restart", 1)}
        assert hosted.dropped == {"crashed": 1}
        await hosted.finish()
        assert {passage: why for passage, (why, _) in ends(hosted).items()} == {
            "run-000001": "restart",
            "run-000002": "restart",
            "run-000003": "end",
            "run-000004": "end",
        }
        assert {one.passage for one in hosted.caught(ProbeRequest)} == set(ends(hosted))
        assert (actor.facts().seen, actor.facts().open) == (4, 0)
    handed_on = {id(one.crop) for one in hosted.caught(ProbeRequest)}
    assert all(one.is_erased for one in biometrics if id(one) not in handed_on)


async def test_a_plugin_that_hangs_likewise(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, some_faces: Callable[..., Faces]
) -> None:
    faults = Faults({2: lane.spend})
    async with host(hosted_tracker(partial(FakeTracker, faults), lane)) as hosted:
        await hosted.send(*(some_faces(number) for number in range(4)))
        await clock.advance(6)
        await hosted.finish()
        assert {passage: why for passage, (why, _) in ends(hosted).items()} == {
            "run-000001": "restart",
            "run-000002": "end",
        }
        assert lane.abandoned == 1


@pytest.mark.parametrize(
    ("second", "text"),
    [
        (OPENED, "opened track 0 twice"),
        (TrackUpdate(wanted=(Wanted(7, 0, 0.5),)), "spoke of track 7, which is not open"),
        (TrackUpdate(ended=(TrackEnded(7, 0, 1, "age"),)), "spoke of track 7, which is not open"),
        (
            TrackUpdate(wanted=(Wanted(0, 3, 0.5),)),
            "spoke of face 3 in `wanted`, of a frame with 1; numbers count from 0",
        ),
    ],
)
async def test_a_plugin_that_talks_nonsense_is_restarted_and_the_books_stay_right(
    host: HostFunction, lane: TimedLane, some_faces: Callable[..., Faces], second: TrackUpdate, text: str
) -> None:
    instances = iter([Scripted(), Scripted(OPENED, second), Scripted()])
    actor = hosted_tracker(lambda: next(instances, Scripted()), lane)
    async with host(actor) as hosted:
        await hosted.send(some_faces(0), some_faces(1))
        await hosted.clock.advance(1)
        assert text in (hosted.statistics.last_error or "")
        await hosted.finish()
        assert ends(hosted) == {"run-000001": ("restart", 1)}
        assert (actor.facts().seen, actor.facts().open) == (1, 0)
        counted = actor.facts().cameras["gate"]
        assert counted.detected + sum(counted.dropped.values()) == 2, "each face once, however far its frame came"


async def test_a_split_reaches_the_plugin_of_its_camera(
    host: HostFunction, lane: TimedLane, some_faces: Callable[..., Faces]
) -> None:
    async with host(hosted_tracker(FakeTracker, lane)) as hosted:
        await hosted.send(some_faces(0), some_faces(0, camera="door"))
        calls = lane.calls
        await hosted.send(PassageSplit(passage="run-000002", camera="door"))
        assert lane.calls == calls + 1, "a split runs on the tracker's lane, as all its calls do"
        await hosted.send(some_faces(1), some_faces(1, camera="door"))
        assert ends(hosted) == {"run-000002": ("split", 1)}
        await hosted.finish()
        assert {passage: why for passage, (why, _) in ends(hosted).items()} == {
            "run-000001": "end",
            "run-000002": "split",
            "run-000003": "end",
        }


async def test_a_split_of_a_passage_that_is_over_is_ignored(
    host: HostFunction, lane: TimedLane, some_faces: Callable[..., Faces]
) -> None:
    async with host(hosted_tracker(FakeTracker, lane)) as hosted:
        await hosted.send(some_faces(0))
        await hosted.send(PassageSplit(passage="run-000077", camera="gate"))
        await hosted.finish()
        assert ends(hosted) == {"run-000001": ("end", 1)}
        assert hosted.statistics.restarts == 0


class Unfinished(FakeTracker):
    def finish(self) -> TrackUpdate:
        raise RuntimeError("cannot end")


async def test_one_cameras_tracker_that_cannot_finish_does_not_cut_the_others_short(
    host: HostFunction, lane: TimedLane, some_faces: Callable[..., Faces]
) -> None:
    instances = iter([FakeTracker(), Unfinished(), FakeTracker()])
    async with host(hosted_tracker(lambda: next(instances), lane)) as hosted:
        await hosted.send(some_faces(0), some_faces(0, camera="door"))
        await hosted.finish()
        assert ends(hosted) == {"run-000001": ("restart", 1), "run-000002": ("end", 1)}
        assert hosted.statistics.last_error == "RuntimeError: cannot end"


async def test_why_a_passage_ended_and_was_gated_is_passed_on(
    host: HostFunction, lane: TimedLane, some_faces: Callable[..., Faces]
) -> None:
    script = TrackUpdate(opened=(TrackOpened(4, 0),), ended=(TrackEnded(4, 900, 7, "cut", "too_small"),))
    async with host(hosted_tracker(lambda: Scripted(script), lane)) as hosted:
        await hosted.send(some_faces(0))
        (end,) = hosted.caught(Passage)
        assert (end.ended, end.gated, end.frames, end.probes, end.first_probe_ns) == ("cut", "too_small", 7, 0, None)


async def test_each_face_of_a_frame_is_counted_once_by_what_became_of_it(
    host: HostFunction, lane: TimedLane, some_faces: Callable[..., Faces]
) -> None:
    opened = TrackUpdate(
        opened=(TrackOpened(0, 0), TrackOpened(1, 0)),
        wanted=(Wanted(0, 0, 0.5),),
        seen=(Seen(0, 0, 0.5), Seen(1, 2, 0.1, "too_small")),
    )
    later = TrackUpdate(seen=(Seen(0, 0, 0.4), Seen(1, 1, 0.1, "turned_away")))
    finish = TrackUpdate(ended=(TrackEnded(0, 0, 2, "end"), TrackEnded(1, 0, 2, "end", "too_small")))
    instances = iter([Scripted(), Scripted(opened, later, finish=finish), Scripted()])
    actor = hosted_tracker(lambda: next(instances), lane)
    async with host(actor) as hosted:
        await hosted.send(some_faces(0, (RED, GREEN, BLUE)), some_faces(1, (RED, GREEN)))
        counted = actor.facts().cameras["gate"]
        assert (counted.detected, counted.untracked, counted.tracked) == (5, 1, 4)
        assert (counted.gated, counted.spare, counted.asked) == ({"too_small": 1, "turned_away": 1}, 1, 1)
        assert (counted.passages, counted.over_gate) == (2, 1)
        await hosted.finish()
        refused = {one.track: dict(one.refused) for one in hosted.caught(Passage)}
        assert refused == {0: {}, 1: {"too_small": 1, "turned_away": 1}}


async def test_of_a_tracker_that_says_nothing_of_what_it_saw_only_the_wanted_are_tracked(
    host: HostFunction, lane: TimedLane, some_faces: Callable[..., Faces]
) -> None:
    instances = iter([Scripted(), Scripted(OPENED)])
    actor = hosted_tracker(lambda: next(instances), lane)
    async with host(actor) as hosted:
        await hosted.send(some_faces(0, (RED, GREEN, BLUE)))
        counted = actor.facts().cameras["gate"]
        assert (counted.detected, counted.untracked, counted.tracked, counted.asked) == (3, 2, 1, 1)
        assert (counted.gated, counted.spare) == ({}, 0)


async def test_faces_of_frames_that_die_untracked_are_counted_by_reason_and_not_as_detected(
    host: HostFunction, lane: TimedLane, some_faces: Callable[..., Faces]
) -> None:
    actor = hosted_tracker(partial(FakeTracker, Faults({1: RuntimeError("lost count")})), lane)
    async with host(actor) as hosted:
        await hosted.send(some_faces(0, (RED, GREEN)), some_faces(0, camera="door"))
        await hosted.clock.advance(1)
        cameras = actor.facts().cameras
        assert (cameras["gate"].dropped, cameras["gate"].detected) == ({"crashed": 2}, 0)
        assert (cameras["door"].dropped, cameras["door"].detected) == ({}, 1)


@pytest.mark.parametrize(
    ("update", "text"),
    [
        (TrackUpdate(seen=(Seen(0, 0, 0.5),)), "spoke of track 0, which is not open"),
        (TrackUpdate(opened=(TrackOpened(0, 0),), seen=(Seen(0, 1, 0.5),)), "face 1 in `seen`, of a frame with 1"),
        (
            TrackUpdate(opened=(TrackOpened(0, 0),), seen=(Seen(0, 0, 0.5), Seen(0, 0, 0.5))),
            "spoke of one face twice in `seen`",
        ),
        (
            TrackUpdate(opened=(TrackOpened(0, 0),), wanted=(Wanted(0, 0, 0.5), Wanted(0, 0, 0.5))),
            "spoke of one face twice in `wanted`",
        ),
    ],
)
async def test_nonsense_about_what_was_seen_is_refused_before_anything_is_counted(
    host: HostFunction, lane: TimedLane, some_faces: Callable[..., Faces], update: TrackUpdate, text: str
) -> None:
    instances = iter([Scripted(), Scripted(update)])
    actor = hosted_tracker(lambda: next(instances, Scripted()), lane)
    async with host(actor) as hosted:
        await hosted.send(some_faces(0))
        await hosted.clock.advance(1)
        assert text in (hosted.statistics.last_error or "")
        counted = actor.facts().cameras["gate"]
        assert (counted.detected, counted.tracked, counted.asked, counted.dropped) == (0, 0, 0, {"crashed": 1})
        assert not hosted.caught(ProbeRequest)


async def test_a_tracker_that_cannot_be_made_fails_the_start(lane: TimedLane, clock: VirtualClock) -> None:
    def create() -> Any:
        raise PermanentError("no licence")

    with pytest.raises(PermanentError, match="no licence"):
        await System([hosted_tracker(create, lane)], [], clock=clock).run()


async def test_faces_that_die_on_the_way_are_erased(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, some_faces: Callable[..., Faces]
) -> None:
    faults = Faults({1: partial(lane.spend, 4.9)})
    faces = [some_faces(number) for number in range(5)]
    async with host(hosted_tracker(partial(FakeTracker, faults), lane)) as hosted:
        await hosted.send(*faces)
        await clock.advance(2.5)
        assert hosted.dropped == {"overflow": 1}
        assert [one.crops.is_erased for one in faces] == [False] * 3 + [True, False]
        await clock.advance(3)
        await hosted.finish()
        assert all(one.crops.is_erased for one in faces)
