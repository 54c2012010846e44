"""Every pass through the view is counted once, and the right faces of it are embedded."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_kernel.api import Biometric, Faces, Seen, TrackEnded, TrackOpened, TrackUpdate, Wanted
from lfr_plugins.trackers import PassageConfig
from lfr_plugins.trackers.passage import PassageTracker
from lfr_plugins.trackers.sampling import ProbePlan, due_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

FRAME_S = 0.04
LANDMARKS = np.array([[0.31, 0.41], [0.69, 0.41], [0.5, 0.62], [0.35, 0.8], [0.65, 0.8]])
"""Of a frontal face, in widths and heights of its box."""


def scenery(seed: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).uniform(0, 255, (9, 16, 3)).astype(np.float32)
    return np.clip(cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def sharp_crop() -> NDArray[np.uint8]:
    noise = np.random.default_rng(3).uniform(0, 255, (28, 28, 3)).astype(np.float32)
    return np.asarray(np.clip(cv2.resize(noise, (112, 112), interpolation=cv2.INTER_CUBIC), 0, 255), dtype=np.uint8)


CROP = sharp_crop()


class Scene:
    """A picture of one of several places."""

    size = (1920, 1080)

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        return scenery(self._seed, (width, height))

    def patch(self, affine: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
        raise AssertionError(f"a tracker cuts no patches: {affine}, {size}")


@dataclass(frozen=True)
class Person:
    """Somebody's face in one frame."""

    x: float
    y: float = 400.0
    width: float = 60.0
    confidence: float = 0.99
    is_turned: bool = False

    def box(self) -> list[float]:
        height = 1.25 * self.width
        return [self.x - self.width / 2, self.y - height / 2, self.x + self.width / 2, self.y + height / 2]

    def landmarks(self) -> NDArray[np.float64]:
        box = self.box()
        points = LANDMARKS.copy()
        if self.is_turned:
            points[:, 0] = [0.6, 0.75, 0.95, 0.6, 0.7]
        moved: NDArray[np.float64] = np.array(box[:2]) + points * (np.array(box[2:]) - np.array(box[:2]))
        return moved


def frame(people: Sequence[Person], at_s: float, *, sequence: int = 0, missed: int = 0, scene: int = 0) -> Faces:
    count = len(people)
    return Faces(
        camera="door",
        sequence=sequence,
        missed=missed,
        picture=Scene(scene),
        captured_at_ns=0,
        captured_monotonic_ns=0,
        stream_ns=round(at_s * 1e9),
        boxes=np.array([one.box() for one in people], dtype=np.float32).reshape(count, 4),
        landmarks=np.array([one.landmarks() for one in people], dtype=np.float32).reshape(count, 5, 2),
        confidences=np.array([one.confidence for one in people], dtype=np.float32),
        crops=Biometric(np.repeat(CROP[None], count, axis=0)),
    )


@dataclass
class Watch:
    """Runs a tracker, checks what must always hold, and remembers what it said."""

    config: PassageConfig = field(default_factory=PassageConfig)
    opened: dict[int, TrackOpened] = field(default_factory=dict)
    ended: dict[int, TrackEnded] = field(default_factory=dict)
    wanted: list[tuple[float, Wanted]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tracker = PassageTracker(self.config)

    def see(self, people: Sequence[Person], at_s: float, **more: Any) -> TrackUpdate:
        faces = frame(people, at_s, **more)
        update = self.tracker.update(faces)
        faces.erase()
        self._note(update, at_s, len(people))
        return update

    def walk(self, people: Callable[[float], Sequence[Person]], times: Iterable[float]) -> None:
        for at_s in times:
            self.see(people(at_s), at_s)

    def finish(self) -> TrackUpdate:
        update = self.tracker.finish()
        self._note(update, 0.0, 0)
        return update

    def asked(self, track: int) -> list[float]:
        """When faces of this track were wanted."""
        return [at_s for at_s, one in self.wanted if one.track == track]

    def _note(self, update: TrackUpdate, at_s: float, count: int) -> None:
        for opened in update.opened:
            assert opened.track not in self.opened, "a track number was used twice"
            self.opened[opened.track] = opened
        assert len({one.face for one in update.wanted}) == len(update.wanted)
        for wanted in update.wanted:
            assert wanted.track in self.opened
            assert wanted.track not in self.ended
            assert 0 <= wanted.face < count
            assert 0.0 < wanted.quality <= 1.0
            self.wanted.append((at_s, wanted))
        shown = {one.face: one for one in update.seen}
        assert len(shown) == len(update.seen), "a face was seen twice"
        assert set(shown) <= set(range(count))
        assert {one.track for one in update.seen} <= self.opened.keys() - self.ended.keys()
        assert all(shown[one.face].track == one.track and shown[one.face].gate is None for one in update.wanted)
        self.seen += update.seen
        for ended in update.ended:
            assert ended.track in self.opened
            assert ended.track not in self.ended, "a track ended twice"
            assert ended.frames >= 1
            assert ended.stream_ns >= self.opened[ended.track].stream_ns
            self.ended[ended.track] = ended


def times(seconds: float, start: float = 0.0, frame_s: float = FRAME_S) -> list[float]:
    return [start + number * frame_s for number in range(round(seconds / frame_s))]


def test_nobody_is_nothing() -> None:
    watch = Watch()
    watch.walk(lambda _: [], times(1))
    assert watch.finish() == TrackUpdate()
    assert not watch.opened


def test_what_became_of_each_face_is_said_once_its_track_is_open() -> None:
    watch = Watch()
    watch.walk(lambda _: [Person(500), Person(1200, width=20)], times(1))
    ends = {one.track: one for one in watch.finish().ended}
    fates = {track: Counter(one.gate for one in watch.seen if one.track == track) for track in ends}
    near, far = (next(track for track, one in ends.items() if one.gated == gate) for gate in (None, "too_small"))
    assert fates[near] == {None: 25}
    assert 0 < len(watch.asked(near)) < 25, "the others are spare"
    assert fates[far] == {"too_small": 24}, "all but the first, when nobody could know that it is somebody"
    assert (ends[near].frames, ends[far].frames) == (25, 25)


def test_one_walker_is_one_passage_wanted_at_once() -> None:
    watch = Watch()
    first = watch.see([Person(500)], 0.0)
    assert first.opened == (TrackOpened(0, 0),)
    assert [(one.track, one.face) for one in first.wanted] == [(0, 0)]
    watch.walk(lambda at: [Person(500 + 100 * at)], times(2, start=FRAME_S))
    (ended,) = watch.finish().ended
    assert (ended.track, ended.frames, ended.why, ended.gated) == (0, 51, "end", None)
    assert ended.stream_ns == round(2 * 1e9)


def test_a_passage_ends_by_age_in_stream_time_and_is_dated_when_last_seen() -> None:
    watch = Watch()
    watch.walk(lambda _: [Person(500)], times(0.4))
    assert not watch.see([], 1.35).ended
    (ended,) = watch.see([], 1.4).ended
    assert (ended.why, ended.stream_ns) == ("age", round(0.36 * 1e9))


def test_lost_after_can_be_set() -> None:
    watch = Watch(PassageConfig(lost_after_s=0.2))
    watch.see([Person(500)], 0.0)
    assert watch.see([], 0.3).ended[0].why == "age"


def test_a_cut_ends_everybody_and_the_faces_behind_it_are_new() -> None:
    watch = Watch()
    watch.walk(lambda _: [Person(500), Person(900)], times(0.8))
    update = watch.see([Person(500), Person(900)], 0.8, scene=1)
    assert sorted((one.track, one.why) for one in update.ended) == [(0, "cut"), (1, "cut")]
    assert [one.track for one in update.opened] == [2, 3]
    assert sorted(one.track for one in update.wanted) == [2, 3]


@pytest.mark.parametrize("jump_s", [-0.5, 3.5, 600.0])
def test_a_jump_of_the_stream_time_is_a_cut(jump_s: float) -> None:
    watch = Watch()
    watch.walk(lambda _: [Person(500)], times(0.8, start=10.0))
    update = watch.see([Person(500)], 10.76 + jump_s)
    assert [one.why for one in update.ended] == ["cut"]
    assert [one.track for one in update.opened] == [1]


def test_the_same_time_twice_is_survived() -> None:
    watch = Watch()
    for _ in range(3):
        watch.see([Person(500)], 1.0)
    assert list(watch.opened) == [0]


def test_a_split_ends_at_the_next_update_and_the_face_there_is_a_new_track() -> None:
    watch = Watch()
    watch.walk(lambda _: [Person(500), Person(900)], times(0.8))
    watch.tracker.split(0)
    update = watch.see([Person(900), Person(500)], 0.8)
    assert [(one.track, one.why) for one in update.ended] == [(0, "split")]
    assert [one.track for one in update.opened] == [2]
    assert [(one.track, one.face) for one in update.wanted if one.track == 2] == [(2, 1)]
    assert not watch.see([Person(900), Person(500)], 0.84).ended


def test_a_split_of_a_face_out_of_sight_ends_it() -> None:
    watch = Watch()
    watch.walk(lambda _: [Person(500)], times(0.4))
    watch.tracker.split(0)
    update = watch.see([], 0.4)
    assert [(one.track, one.why) for one in update.ended] == [(0, "split")]
    assert not update.opened


def test_a_split_of_nobody_is_ignored() -> None:
    watch = Watch()
    watch.see([Person(500)], 0.0)
    watch.tracker.split(99)
    assert not watch.see([Person(500)], 0.04).ended


def test_finish_twice_ends_once() -> None:
    watch = Watch()
    watch.see([Person(500)], 0.0)
    assert len(watch.finish().ended) == 1
    assert watch.finish() == TrackUpdate()


def test_a_flicker_is_not_counted() -> None:
    watch = Watch()
    watch.see([Person(500, confidence=0.8)], 0.0)
    watch.walk(lambda _: [], times(2, start=FRAME_S))
    watch.finish()
    assert not watch.opened


def test_a_doubtful_face_is_counted_from_its_first_sight_when_seen_again() -> None:
    watch = Watch()
    assert not watch.see([Person(500, confidence=0.8)], 0.0).opened
    update = watch.see([Person(500, confidence=0.8)], 0.12)
    assert update.opened == (TrackOpened(0, 0),)
    assert [one.track for one in update.wanted] == [0]


def test_a_second_box_on_the_same_face_is_not_somebody_else() -> None:
    watch = Watch()
    watch.walk(lambda _: [Person(500), Person(525, y=380, confidence=0.95)], times(0.4))
    assert list(watch.opened) == [0]


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        (Person(500, width=20), "too_small"),
        (Person(500, is_turned=True), "turned_away"),
    ],
)
def test_a_passage_of_which_nothing_was_wanted_says_why(person: Person, reason: str) -> None:
    watch = Watch(PassageConfig(min_frontality=0.15))
    watch.walk(lambda _: [person], times(1))
    (ended,) = watch.finish().ended
    assert ended.gated == reason
    assert not watch.wanted


def test_the_most_frequent_reason_is_given() -> None:
    watch = Watch(PassageConfig(min_frontality=0.15))
    watch.walk(lambda at: [Person(500, width=31.9 if at < 0.3 else 32.1, is_turned=at >= 0.3)], times(1))
    (ended,) = watch.finish().ended
    assert ended.gated == "turned_away"


def test_the_first_face_over_the_gate_is_wanted_in_its_own_frame() -> None:
    watch = Watch(PassageConfig(min_frontality=0.15))
    watch.walk(lambda at: [Person(500, is_turned=at < 0.5)], times(1))
    assert watch.asked(0)[0] == pytest.approx(0.52)


@pytest.mark.parametrize("frame_s", [1 / 60, 1 / 25, 0.1, 0.2])
def test_a_second_over_the_gate_gets_five_probes(frame_s: float) -> None:
    watch = Watch()
    watch.walk(lambda _: [Person(500)], times(1.001, frame_s=frame_s))
    assert len(watch.asked(0)) >= 5


def test_a_long_passage_gets_its_probes_spread_over_it() -> None:
    watch = Watch()
    watch.walk(lambda _: [Person(500)], times(60))
    asked = watch.asked(0)
    assert len(asked) == 16
    assert 20 < asked[-1] < 40
    gaps = np.diff(asked)
    assert (np.diff(gaps) >= -FRAME_S - 1e-6).all()


def test_max_probes_can_be_set() -> None:
    watch = Watch(PassageConfig(max_probes=3))
    watch.walk(lambda at: [Person(500, width=40 + 10 * at)], times(8))
    assert len(watch.asked(0)) == 3


def test_a_clearly_better_face_comes_before_its_turn() -> None:
    plan, steady = ProbePlan(16), ProbePlan(16)
    for number in range(8):
        assert plan.wants(0.4, due_s(number))
        assert steady.wants(0.4, due_s(number))
    between = (due_s(7) + 2 * due_s(8)) / 3
    assert not steady.wants(0.4, between)
    assert plan.wants(0.6, between)


def test_better_and_better_faces_do_not_use_up_the_plan_at_once() -> None:
    plan = ProbePlan(16)
    asked = [at for at in np.arange(0, 60, FRAME_S) if plan.wants(1.2 ** float(at / FRAME_S), float(at))]
    assert len(asked) == 16
    assert asked[-1] > 10


def test_every_face_of_every_frame_can_be_had() -> None:
    watch = Watch(PassageConfig(every_face=True, max_probes=2))
    people = [Person(300, width=12), Person(600, confidence=0.2), Person(900, is_turned=True), Person(920)]
    watch.walk(lambda _: people, times(1))
    assert len(watch.wanted) == 25 * len(people)
    assert all(one.gated is None for one in watch.finish().ended)


def test_numbers_that_are_no_numbers_are_passed_over() -> None:
    watch = Watch()
    update = watch.see([Person(float("nan")), Person(500), Person(900, confidence=float("nan"))], 0.0)
    assert [one.face for one in update.wanted] == [1]
    assert len(update.opened) == 1


def crossing(at_s: float) -> list[Person]:
    """Two people who walk past each other, one of them hidden while they meet at t = 2 s."""
    left, right = Person(400 + 200 * at_s), Person(1200 - 200 * at_s, y=425)
    return [left] if abs(at_s - 2.0) < 0.13 else [right, left] if round(at_s * 100) % 3 else [left, right]


def followed(watch: Watch, people: Callable[[float], list[Person]], when: Iterable[float]) -> list[list[float]]:
    """Where each track of an every-face run was seen."""
    places: dict[int, list[float]] = {}
    for at_s in when:
        seen = people(at_s)
        for wanted in watch.see(seen, at_s).wanted:
            places.setdefault(wanted.track, []).append(seen[wanted.face].x)
    return list(places.values())


@pytest.mark.parametrize("step", [1, 2, 3])
def test_two_walkers_who_cross_keep_who_they_are(step: int) -> None:
    places = followed(Watch(PassageConfig(every_face=True)), crossing, times(4)[::step])
    assert len(places) == 2
    for walk in places:
        rises = np.diff(walk) > 0
        assert rises.all() or not rises.any()


def test_two_who_cross_while_frames_are_lost_are_told_apart_by_where_they_were_going() -> None:
    when = [at_s for at_s in times(4) if abs(at_s - 2.0) > 0.19]
    watch = Watch(PassageConfig(every_face=True))
    places = followed(watch, lambda at: [Person(400 + 200 * at), Person(1200 - 200 * at, y=405)], when)
    assert len(places) == 2
    for walk in places:
        rises = np.diff(walk) > 0
        assert rises.all() or not rises.any()


def test_somebody_who_hurries_across_the_view_is_one_passage() -> None:
    watch = Watch()
    watch.walk(lambda at: [Person(100 + 480 * at)], times(3, frame_s=0.08))
    assert list(watch.opened) == [0]


def test_two_side_by_side_keep_who_they_are() -> None:
    def pair(at_s: float) -> list[Person]:
        sway = 12 * np.sin(5 * at_s)
        both = [Person(500 + 100 * at_s + sway), Person(600 + 100 * at_s - sway, y=390)]
        return both if round(at_s / FRAME_S) % 2 else both[::-1]

    places = followed(Watch(PassageConfig(every_face=True)), pair, times(4)[::3])
    assert len(places) == 2
    assert max(places[0][0], places[1][0]) - min(places[0][0], places[1][0]) == pytest.approx(100, abs=30)
    for walk in places:
        assert (np.diff(walk) < 60).all()
        assert (np.diff(walk) > -30).all()


@pytest.mark.parametrize("speed", [0.0, 60.0, 180.0, -180.0])
@pytest.mark.parametrize("kept", ["every second", "ten in a row lost"])
def test_a_walker_survives_dropped_frames(speed: float, kept: str) -> None:
    when = times(3)
    when = when[::2] if kept == "every second" else when[:25] + when[35:50] + when[60:]
    watch = Watch()
    watch.walk(lambda at: [Person(900 + speed * at)], when)
    assert list(watch.opened) == [0]
    assert watch.finish().ended[0].frames == len(when)


def test_somebody_who_comes_nearer_stays_the_same() -> None:
    watch = Watch()
    watch.walk(lambda at: [Person(900 - 20 * at, y=400 + 30 * at, width=34 + 22 * at)], times(4)[::3])
    assert list(watch.opened) == [0]


def test_nothing_of_the_frame_is_kept() -> None:
    tracker = PassageTracker(PassageConfig())
    faces = frame([Person(500), Person(900)], 0.0)
    gone = [weakref.ref(one) for one in (faces.picture, faces.crops.array, faces.boxes, faces.landmarks)]
    tracker.update(faces)
    faces.erase()
    del faces
    gc.collect()
    assert [one() for one in gone] == [None] * 4


@dataclass(frozen=True)
class Step:
    gap_s: float
    people: tuple[Person, ...]
    scene: int
    split: int | None


people = st.builds(
    Person,
    x=st.floats(-100, 2000),
    y=st.floats(-100, 1200),
    width=st.sampled_from([6.0, 30.0, 40.0, 60.0, 200.0]),
    confidence=st.sampled_from([0.3, 0.75, 0.95, 1.0]),
    is_turned=st.booleans(),
)
steps = st.builds(
    Step,
    gap_s=st.sampled_from([-0.5, 0.0, 0.04, 0.04, 0.04, 0.08, 0.4, 0.9, 1.5, 5.0]),
    people=st.lists(people, max_size=5).map(tuple),
    scene=st.sampled_from([0, 0, 0, 1]),
    split=st.none() | st.integers(0, 12),
)


@st.composite
def walks(draw: st.DrawFn) -> list[Step]:
    """Random steps, most of which go on with the people of the step before."""
    course = draw(st.lists(steps, min_size=1, max_size=25))
    moved = [course[0]]
    for step in course[1:]:
        going_on = tuple(replace(one, x=one.x + 8.0) for one in moved[-1].people)
        moved.append(replace(step, people=going_on) if draw(st.integers(0, 3)) else step)
    return moved


@settings(max_examples=80, deadline=None)
@given(course=walks(), every_face=st.booleans(), max_probes=st.integers(1, 5))
def test_whatever_comes_every_opened_track_ends_once(course: list[Step], every_face: bool, max_probes: int) -> None:  # noqa: FBT001  (hypothesis passes it by name)
    watch = Watch(PassageConfig(every_face=every_face, max_probes=max_probes))
    at_s = 10.0
    for number, step in enumerate(course):
        if step.split is not None:
            watch.tracker.split(step.split)
        at_s += step.gap_s
        update = watch.see(step.people, at_s, sequence=number, scene=step.scene)
        if every_face:
            assert len(update.wanted) == len(step.people)
    watch.finish()
    assert watch.opened.keys() == watch.ended.keys()
    asked = Counter(one.track for _, one in watch.wanted)
    if not every_face:
        assert all(count <= max_probes for count in asked.values())
    for track, ended in watch.ended.items():
        assert (ended.gated is None) or not asked[track]
        assert asked[track] or ended.gated is not None


@settings(max_examples=40, deadline=None)
@given(
    kept=st.lists(st.booleans(), min_size=50, max_size=50),
    speed=st.floats(-120, 120),
    width=st.floats(34, 150),
)
def test_a_walker_keeps_his_number_whichever_frames_are_dropped(kept: list[bool], speed: float, width: float) -> None:
    when = [at_s for at_s, is_kept in zip(times(2), kept, strict=True) if is_kept] or [0.0]
    watch = Watch(PassageConfig(lost_after_s=3.0))
    watch.walk(lambda at: [Person(900 + speed * width / 60 * at, width=width)], when)
    assert list(watch.opened) == [0]
