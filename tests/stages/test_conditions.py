"""What each camera sees is compared with what was tested, passage by passage, and every change is said once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.api import TrackEnded, TrackOpened, TrackUpdate, Wanted
from lfr_kernel.governance.conditions import FEWEST, MEASURES, WINDOW, Conditions, Range, conditions_of
from lfr_kernel.messages import Passage
from lfr_kernel.stages.conditions import ConditionsWatch, Window
from lfr_kernel.stages.quality import face_qualities, seen_conditions
from lfr_kernel.stages.tracker import TrackerHost

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stages.conftest import HostFunction, TimedLane

    from lfr_kernel.messages import Faces

TESTED = Conditions(
    passages=400, face_px=Range(p5=60, p95=180), highlight=Range(p5=90, p95=240), sharpness=Range(p5=0.4, p95=0.8)
)
USUAL = np.array([100.0, 180.0, 0.6])
DARK = np.array([100.0, 41.0, 0.6])
RED = (200, 40, 40)


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, event: str, **facts: Any) -> None:
        self.lines.append((event, facts))


def test_a_camera_that_sees_what_was_tested_says_nothing() -> None:
    log = Log()
    watch = ConditionsWatch(TESTED, log)
    for _ in range(3 * WINDOW):
        watch.add("gate", USUAL)
    assert (watch.reasons, watch.ever, log.lines) == ((), (), [])
    (facts,) = watch.facts().values()
    assert (facts.passages, facts.face_px, facts.highlight, facts.sharpness) == (WINDOW, 100, 180, 0.6)
    assert (facts.outside, facts.ever) == ((), ())


def test_dusk_at_one_camera_is_said_once_and_so_is_the_light_that_is_put_on() -> None:
    log = Log()
    watch = ConditionsWatch(TESTED, log)
    for _ in range(WINDOW):
        watch.add("gate", USUAL)
        watch.add("door", USUAL)
    for _ in range(WINDOW):
        watch.add("gate", DARK)
        watch.add("door", USUAL)
    reason = "camera gate: faces darker than tested (25 of 100 passages below highlight 90, median 180)"
    assert log.lines == [("conditions_outside", {"camera": "gate", "reason": reason})]
    assert watch.reasons == watch.ever == (reason,)
    assert watch.facts()["gate"].outside == ("darker",)
    assert watch.facts()["gate"].highlight == 41
    assert watch.facts()["door"].outside == ()
    for _ in range(89):
        watch.add("gate", USUAL)
    assert watch.reasons == (reason,)
    watch.add("gate", USUAL)
    assert log.lines[1:] == [("conditions_inside", {"camera": "gate", "was": reason})]
    assert (watch.reasons, watch.ever) == ((), (reason,))
    assert (watch.facts()["gate"].outside, watch.facts()["gate"].ever) == ((), ("darker",))


def test_a_departure_that_comes_back_is_in_the_record_as_it_first_was() -> None:
    watch = ConditionsWatch(TESTED)
    for times in (FEWEST, 2 * WINDOW):
        for _ in range(times):
            watch.add("gate", DARK)
        for _ in range(WINDOW):
            watch.add("gate", USUAL)
    assert watch.reasons == ()
    assert watch.ever == ("camera gate: faces darker than tested (20 of 20 passages below highlight 90, median 41)",)


def test_where_nobody_said_what_was_tested_nothing_is_compared() -> None:
    watch = ConditionsWatch(None)
    watch.add("gate", DARK)
    assert (watch.facts(), watch.reasons, watch.ever) == ({}, (), ())


VALUES = st.tuples(st.floats(0, 400), st.floats(0, 255), st.floats(0, 1))


@given(st.lists(VALUES, min_size=1, max_size=2 * WINDOW + 7))
def test_a_window_is_the_last_passages_whatever_came_before(passages: list[tuple[float, ...]]) -> None:
    window = Window(TESTED)
    for values in passages:
        window.add(np.array(values))
    seen, last = window.seen(), passages[-WINDOW:]
    assert seen.passages == len(last)
    for measure, name in enumerate(MEASURES):
        within: Range = getattr(TESTED, name)
        values = [one[measure] for one in last]
        assert seen.below[measure] == sum(value < within.p5 for value in values)
        assert seen.above[measure] == sum(value > within.p95 for value in values)
        assert seen.medians[measure] == pytest.approx(float(np.median(values)))


@given(st.lists(VALUES, max_size=3 * WINDOW), st.integers(0, 10**6))
def test_what_is_outside_now_was_so_at_some_time(passages: list[tuple[float, ...]], seed: int) -> None:
    log = Log()
    watch = ConditionsWatch(TESTED, log)
    for values in np.random.default_rng(seed).permutation([*passages, *[USUAL] * 30, *[DARK] * 40]):
        watch.add("gate", values)
        now, ever = watch.facts()["gate"].outside, watch.facts()["gate"].ever
        assert set(now) <= set(ever)
        assert (len(watch.reasons), len(watch.ever)) == (len(now), len(ever))
    began, over = ([line for line in log.lines if line[0] == f"conditions_{side}"] for side in ("outside", "inside"))
    assert len(began) - len(over) == len(watch.reasons)


def test_under_the_tested_distribution_a_whole_day_is_quiet() -> None:
    rng = np.random.default_rng(3)

    def drawn(count: int) -> Any:
        far = rng.gamma(9, 12, count)  # a face that is far away is blurred and flat, too
        return np.column_stack((far, 200 - 2e3 / far + rng.normal(0, 9, count), far / (far + 60)))

    tested = conditions_of(drawn(120).tolist())
    log = Log()
    watch = ConditionsWatch(tested, log)
    for values in drawn(8_000):
        watch.add("gate", values)
    assert log.lines == []
    for values in drawn(WINDOW) * (0.5, 1, 1):
        watch.add("gate", values)
    assert watch.facts()["gate"].outside == ("smaller",)


def test_what_is_measured_on_the_way_is_what_an_evaluation_measures() -> None:
    rng = np.random.default_rng(4)
    crops = rng.integers(0, 256, (5, 112, 112, 3), np.uint8)
    corners = rng.uniform(0, 900, (5, 2))
    boxes = np.concatenate((corners, corners + rng.uniform(20, 200, (5, 2))), axis=1).astype(np.float32)
    landmarks = rng.uniform(0, 900, (5, 5, 2)).astype(np.float32)
    measured = face_qualities(boxes, landmarks, np.ones(5, np.float32), crops)
    found = seen_conditions(boxes, crops)
    assert (found == measured.conditions).all()
    assert (found == np.column_stack([getattr(measured, one) for one in ("width_px", "highlight", "sharpness")])).all()
    assert seen_conditions(boxes[:0], crops[:0]).shape == (0, 3)


# ---- in the tracker's host ----


class Passing:
    """A new person in every frame, of whom every face is wanted, and who is gone in the next."""

    def __init__(self) -> None:
        self._next = 0

    def update(self, faces: Faces) -> TrackUpdate:
        track, self._next = self._next, self._next + 1
        return TrackUpdate(
            opened=(TrackOpened(track, faces.stream_ns),),
            wanted=tuple(Wanted(track, face, 0.5) for face in range(len(faces))),
            ended=(TrackEnded(track, faces.stream_ns, 1, "age"),),
        )

    def split(self, track: int) -> None:
        """Nobody stays long enough."""

    def finish(self) -> TrackUpdate:
        return TrackUpdate()


@pytest.mark.anyio
async def test_a_passage_is_one_value_the_mean_of_its_faces_that_were_used(
    host: HostFunction, lane: TimedLane, some_faces: Callable[..., Faces]
) -> None:
    watch = ConditionsWatch(TESTED)
    actor = TrackerHost(Passing, lane, run="run", deadline_s=5, conditions=watch)
    async with host(actor) as hosted:
        faces = some_faces(0, ((200, 200, 200), (100, 100, 100)))
        boxes = faces.boxes
        await hosted.send(faces, some_faces(1, ()))
        await hosted.finish()
        assert [one.probes for one in hosted.caught(Passage)] == [2, 0]
        (facts,) = actor.facts().conditions.values()
        assert facts.passages == 1
        assert facts.highlight == pytest.approx(150, abs=0.01)
        assert facts.face_px == pytest.approx(float((boxes[:, 2] - boxes[:, 0]).mean()))


@pytest.mark.anyio
async def test_without_tested_conditions_nothing_is_measured(
    host: HostFunction, lane: TimedLane, some_faces: Callable[..., Faces]
) -> None:
    actor = TrackerHost(Passing, lane, run="run", deadline_s=5)
    async with host(actor) as hosted:
        await hosted.send(some_faces(0, (RED,)))
        await hosted.finish()
        assert actor.facts().conditions == {}


@pytest.mark.anyio
async def test_a_face_that_does_not_exist_is_refused_in_words(
    host: HostFunction, lane: TimedLane, some_faces: Callable[..., Faces]
) -> None:
    class Confused(Passing):
        def update(self, faces: Faces) -> TrackUpdate:
            return TrackUpdate(opened=(TrackOpened(0, faces.stream_ns),), wanted=(Wanted(0, 7, 0.5),))

    actor = TrackerHost(Confused, lane, run="run", deadline_s=5, conditions=ConditionsWatch(TESTED))
    async with host(actor) as hosted:
        await hosted.send(some_faces(0, (RED,)))
        assert "spoke of face 7 in `wanted`" in str(hosted.statistics.last_error)
