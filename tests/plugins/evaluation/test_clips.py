"""Clips with a ground truth: painted people in scripted clips, and the real pipeline on the developers' clips."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.api import PermanentError, Registry, Timeline, parse_profile, read_photograph
from lfr_kernel.testing.fakes import FakeCamera, FakeDetector, FakeEmbedder, FakeFace, FakePicture, FakeTracker, Faults
from lfr_plugins.lab.evaluation.clips import Walked, walks_of, watch_clips
from lfr_plugins.lab.evaluation.following import Stages, Track, Watched, stages_of
from lfr_plugins.lab.evaluation.observation import Models, UnreadableError, observe
from lfr_plugins.lab.evaluation.protocol import Row, read_protocol
from lfr_plugins.lab.evaluation.scoring import Recipe, enrol, score
from lfr_plugins.lab.evaluation.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
RED, BLUE = (200, 40, 40), (40, 40, 200)
DIMENSION = 128


def walk_clips(rows: Sequence[Row], stages: Stages, store: Store, *, live_mirrored: bool) -> Walked:
    watched = watch_clips(rows, stages, store)
    return walks_of(rows, watched, stages.embedder.dimension, live_mirrored=live_mirrored)


class Studio:
    """Clips that exist as scripts: the file holds a name only. One picture every 40 ms."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scripts: dict[str, list[Any]] = {}
        self.decoded: list[str] = []
        self.tracker: Callable[[], FakeTracker] = FakeTracker
        self.detector = FakeDetector(max_concurrency=4)
        self.embedder = FakeEmbedder(max_concurrency=4)

    def clip(self, name: str, pictures: Iterable[Any]) -> Path:
        self.scripts[name] = list(pictures)
        path = self.folder / name
        path.write_text(name)
        return path

    def stages(self, *, mirror_live: bool = False, settings: str = "fake") -> Stages:
        return Stages(
            camera=self._camera,
            detector=self.detector,
            tracker=self.tracker,
            embedder=self.embedder,
            mirror_live=mirror_live,
            settings=settings,
        )

    def _camera(self, path: Path) -> FakeCamera:
        self.decoded.append(path.name)
        return FakeCamera(self.scripts[path.name], first_ns=850_000_000)

    def walk(self, rows: Sequence[Row], store: Store | None = None, **settings: Any) -> Walked:
        if store is not None:
            return walk_clips(rows, self.stages(**settings), store, live_mirrored=False)
        with Store(None) as fresh:
            return walk_clips(rows, self.stages(**settings), fresh, live_mirrored=False)

    def templates_of(self, colour: tuple[int, int, int], count: int) -> np.ndarray[Any, Any]:
        crops = np.empty((1, 32, 32, 3), np.uint8)
        crops[:] = colour
        out = np.empty((1, DIMENSION), np.float32)
        self.embedder.embed(crops, out)
        return np.repeat(out, count, axis=0)


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def row(path: Path, identity: str, start_s: float, end_s: float, line: int = 2, **more: Any) -> Row:
    more.setdefault("role", "nonmated")
    return Row(line=line, path=path, name=path.name, identity=identity, start_s=start_s, end_s=end_s, **more)


def red(x: float = 40, **more: Any) -> FakeFace:
    return FakeFace(x=x, y=20, size=32, colour=RED, **more)


def blue(x: float = 200, **more: Any) -> FakeFace:
    return FakeFace(x=x, y=20, size=32, colour=BLUE, **more)


def show(*faces: FakeFace, pictures: int = 10) -> list[FakePicture]:
    return [FakePicture.of(faces)] * pictures


def only(walked: Walked) -> Any:
    ((_, walk),) = walked.walks
    return walk


def test_a_passage_has_the_faces_that_the_tracker_wanted_in_their_order(studio: Studio) -> None:
    colours = [(200, 40, 40), (200, 46, 40), (200, 52, 40), (200, 58, 40)]
    faces = [FakeFace(40, 20, 32, colour, confidence=0.9 - 0.1 * n) for n, colour in enumerate(colours)]
    path = studio.clip("a.mp4", [picture for face in faces for picture in show(face, pictures=3)])
    walk = only(studio.walk([row(path, "ada", 0.0, 1.0)]))
    assert (walk.identity, walk.lost) == ("ada", None)
    expected = np.concatenate([studio.templates_of(colour, 1) for colour in colours])
    np.testing.assert_allclose(walk.faces.templates, expected, atol=1e-6)
    np.testing.assert_allclose(walk.faces.weights, [0.9, 0.8, 0.7, 0.6], atol=1e-6)


def test_a_passage_was_seen_in_the_mean_of_the_conditions_of_all_faces_that_were_asked_for(studio: Studio) -> None:
    studio.tracker = lambda: FakeTracker(every=1, max_probes=40)
    near = FakeFace(x=24, y=4, size=64, colour=RED)
    path = studio.clip("a.mp4", [*show(red(), pictures=3), *show(near, pictures=1), *show(blue(40), pictures=1)])
    walk = only(studio.walk([row(path, "ada", 0.0, 1.0)]))
    assert len(walk.faces.weights) == 4  # the last one disagreed; a run measures before it can know
    reddish, bluish = (0.299 * one[0] + 0.587 * one[1] + 0.114 * one[2] for one in (RED, BLUE))
    np.testing.assert_allclose(walk.conditions[:2], [(4 * 32 + 64) / 5, (4 * reddish + bluish) / 5], rtol=1e-5)
    nobody = only(studio.walk([row(studio.clip("b.mp4", show()), "bob", 0.0, 1.0)]))
    assert nobody.conditions is None


def test_times_are_counted_from_the_first_picture_whatever_its_time_stamp(studio: Studio) -> None:
    path = studio.clip("a.mp4", [*show(red()), *show(pictures=60), *show(blue(), pictures=20)])
    rows = [row(path, "ada", 0.0, 0.36), row(path, "bob", 2.8, 3.56, line=3)]
    walked = studio.walk(rows)
    first, second = (walk for _, walk in walked.walks)
    np.testing.assert_allclose(first.faces.templates, studio.templates_of(RED, 4), atol=1e-6)
    np.testing.assert_allclose(second.faces.templates, studio.templates_of(BLUE, 5), atol=1e-6)


def test_people_seen_at_once_are_told_apart_by_their_regions(studio: Studio) -> None:
    path = studio.clip("a.mp4", show(red(), blue(), pictures=12))
    left, right = (0.0, 0.0, 160.0, 180.0), (160.0, 0.0, 320.0, 180.0)
    rows = [row(path, "bob", 0.0, 0.5, region=right), row(path, "ada", 0.0, 0.5, line=3, region=left)]
    walked = studio.walk(rows)
    walks = {walk.identity: walk for _, walk in walked.walks}
    np.testing.assert_allclose(walks["ada"].faces.templates, studio.templates_of(RED, 4), atol=1e-6)
    np.testing.assert_allclose(walks["bob"].faces.templates, studio.templates_of(BLUE, 4), atol=1e-6)
    assert (walked.tracks, walked.unaccounted, walked.joined) == (2, {}, 0)


def test_a_region_claims_whoever_is_in_it_before_a_line_that_has_none(studio: Studio) -> None:
    path = studio.clip("a.mp4", show(red(), blue(), pictures=12))
    rows = [row(path, "anywhere", 0.0, 0.5), row(path, "ada", 0.0, 0.5, line=3, region=(0.0, 0.0, 160.0, 180.0))]
    walks = {walk.identity: walk for _, walk in studio.walk(rows).walks}
    np.testing.assert_allclose(walks["ada"].faces.templates, studio.templates_of(RED, 4), atol=1e-6)
    np.testing.assert_allclose(walks["anywhere"].faces.templates, studio.templates_of(BLUE, 4), atol=1e-6)


@pytest.mark.parametrize(("inside", "lost"), [(7, None), (6, "never_detected"), (3, "never_detected")])
def test_a_region_must_hold_the_face_in_more_than_half_of_the_frames(
    studio: Studio, inside: int, lost: str | None
) -> None:
    # Steps of 12 px: one and the same track, whose centre crosses the edge at x = 100.
    xs = [100 - 16 + 6 - 12 * (inside - number) for number in range(12)]
    path = studio.clip("a.mp4", [picture for x in xs for picture in show(red(x), pictures=1)])
    walked = studio.walk([row(path, "ada", 0.0, 1.0, region=(-500.0, 0.0, 100.0, 180.0))])
    assert walked.tracks == 1
    assert only(walked).lost == lost
    assert walked.unaccounted == ({"a.mp4": 1} if lost else {})


def test_a_track_belongs_to_the_line_with_most_of_its_frames(studio: Studio) -> None:
    path = studio.clip("a.mp4", show(red(), pictures=20))
    walked = studio.walk([row(path, "short", 0.0, 0.3), row(path, "long", 0.32, 0.8, line=3)])
    lost = {walk.identity: walk.lost for _, walk in walked.walks}
    assert lost == {"short": "never_detected", "long": None}


def test_who_only_touches_the_end_of_a_line_is_somebody_else(studio: Studio) -> None:
    """The ground truth is a picture or two off: the next person must not be scored as the one before."""
    path = studio.clip("a.mp4", [*show(red(), pictures=20), *show(blue(), pictures=30)])
    walked = studio.walk([row(path, "ada", 0.0, 0.9)])
    np.testing.assert_allclose(only(walked).faces.templates, studio.templates_of(RED, 5), atol=1e-6)
    assert walked.unaccounted == {"a.mp4": 1}


def test_several_tracks_of_a_line_follow_one_another(studio: Studio) -> None:
    again = FakeFace(40, 20, 32, (200, 60, 40))
    path = studio.clip("a.mp4", [*show(red()), *show(pictures=30), *show(again)])
    walked = studio.walk([row(path, "ada", 0.0, 2.0)])
    expected = np.concatenate([studio.templates_of(RED, 4), studio.templates_of(again.colour, 4)])
    np.testing.assert_allclose(only(walked).faces.templates, expected, atol=1e-6)
    assert (walked.tracks, walked.joined, walked.unaccounted) == (2, 1, {})


def test_lines_of_one_person_that_name_one_passage_are_one(studio: Studio) -> None:
    first = studio.clip("a.mp4", show(red()))
    second = studio.clip("b.mp4", show(FakeFace(40, 20, 32, (200, 60, 40))))
    rows = [
        row(first, "ada", 0.0, 0.4, passage="noon"),
        row(second, "ada", 0.0, 0.4, line=3, passage="noon"),
        row(second, "ada", 5.0, 6.0, line=4),
    ]
    (_, joined), (_, other) = studio.walk(rows).walks
    expected = np.concatenate([studio.templates_of(RED, 4), studio.templates_of((200, 60, 40), 4)])
    np.testing.assert_allclose(joined.faces.templates, expected, atol=1e-6)
    assert (joined.passage, other.lost) == ("noon", "never_detected")


def test_a_track_whose_templates_stop_agreeing_is_split(studio: Studio) -> None:
    """The tracker runs across a change of people in one place, as on a pan."""
    studio.tracker = lambda: FakeTracker(every=1, max_probes=40)
    path = studio.clip("a.mp4", [*show(red(), pictures=10), *show(blue(40), pictures=10)])
    walked = studio.walk([row(path, "ada", 0.0, 0.38), row(path, "bob", 0.4, 0.8, line=3)])
    walks = {walk.identity: walk for _, walk in walked.walks}
    assert walked.tracks == 2
    np.testing.assert_allclose(walks["ada"].faces.templates, studio.templates_of(RED, 10), atol=1e-6)
    assert walked.outliers == 2  # the first two of the other person: held, then split upon
    np.testing.assert_allclose(walks["bob"].faces.templates, studio.templates_of(BLUE, 8), atol=1e-6)


def test_one_face_that_disagrees_is_left_out_and_counted(studio: Studio) -> None:
    studio.tracker = lambda: FakeTracker(every=1, max_probes=40)
    path = studio.clip("a.mp4", [*show(red(), pictures=5), *show(blue(40), pictures=1), *show(red(), pictures=4)])
    walked = studio.walk([row(path, "ada", 0.0, 1.0)])
    np.testing.assert_allclose(only(walked).faces.templates, studio.templates_of(RED, 9), atol=1e-6)
    assert (walked.tracks, walked.outliers) == (1, 1)


def test_who_is_never_detected_stays_a_passage(studio: Studio) -> None:
    path = studio.clip("a.mp4", show(pictures=20))
    walk = only(studio.walk([row(path, "ada", 0.0, 0.8, role="mated")]))
    assert (walk.lost, walk.faces.templates.shape, walk.faces.weights.shape) == ("never_detected", (0, DIMENSION), (0,))


def test_whose_faces_are_all_gated_is_lost_by_the_gate(studio: Studio) -> None:
    studio.tracker = lambda: FakeTracker(min_confidence=0.5)
    path = studio.clip("a.mp4", show(red(confidence=0.4)))
    walked = studio.walk([row(path, "ada", 0.0, 0.4)])
    assert (only(walked).lost, len(only(walked).faces.weights), walked.unaccounted) == ("low_confidence", 0, {})


def test_tracks_add_up(studio: Studio) -> None:
    path = studio.clip("a.mp4", [*show(red(), blue()), *show(pictures=40), *show(red(), blue())])
    rows = [row(path, "ada", 0.0, 3.0, region=(0.0, 0.0, 160.0, 180.0)), row(path, "eve", 50.0, 60.0, line=3)]
    walked = studio.walk(rows)
    assert walked.tracks == 4
    assert walked.unaccounted == {"a.mp4": 2}
    assert walked.joined == 1


def test_roles_are_kept(studio: Studio) -> None:
    path = studio.clip("a.mp4", show(red(), blue()))
    rows = [row(path, "ada", 0.0, 0.4, role="mated"), row(path, "bob", 9.0, 10.0, line=3)]
    walked = studio.walk(rows)
    assert [walk.identity for walk in walked.of("mated")] == ["ada"]
    assert [walk.identity for walk in walked.of("nonmated")] == ["bob"]
    assert [role for role, _ in walked.walks] == ["mated", "nonmated"]


def test_the_same_clips_give_the_same_walks_and_many_threads_change_nothing(studio: Studio) -> None:
    paths = [studio.clip(f"{n}.mp4", [*show(red(), blue(200 - n), pictures=10 + n), *show(blue(40))]) for n in range(6)]
    rows = [row(path, f"person {n}", 0.0, 0.5, line=2 + n) for n, path in enumerate(paths)]

    def fingerprint(rows: Sequence[Row]) -> dict[str, tuple[bytes, bytes, str | None]]:
        walked = studio.walk(rows)
        return {
            walk.identity: (walk.faces.templates.tobytes(), walk.faces.weights.tobytes(), walk.lost)
            for _, walk in walked.walks
        }

    together = fingerprint(rows)
    assert together == fingerprint(rows)
    assert together == {name: one for single in rows for name, one in fingerprint([single]).items()}


def test_what_was_seen_is_not_decoded_again(studio: Studio, tmp_path: Path) -> None:
    path = studio.clip("a.mp4", show(red(), pictures=12))
    rows = [row(path, "ada", 0.0, 0.5)]
    with Store(tmp_path / "store.db") as store:
        before = only(studio.walk(rows, store))
    studio.scripts.clear()
    with Store(tmp_path / "store.db") as store:
        after = only(studio.walk([row(path, "bob", 0.0, 0.5)], store))
    assert studio.decoded == ["a.mp4"]
    assert after.identity == "bob"
    np.testing.assert_array_equal(after.faces.templates, before.faces.templates)
    np.testing.assert_array_equal(after.faces.weights, before.faces.weights)


def test_other_settings_other_models_and_another_file_are_other_results(studio: Studio) -> None:
    path = studio.clip("a.mp4", show(red(), pictures=12))
    rows = [row(path, "ada", 0.0, 0.5)]
    with Store(None) as store:
        studio.walk(rows, store)
        studio.walk(rows, store, settings="another gate")
        assert len(studio.decoded) == 2
        studio.walk(rows, store, mirror_live=True)
        assert len(studio.decoded) == 3
        studio.embedder.digest = "0" * 64
        studio.walk(rows, store)
        assert len(studio.decoded) == 4
        path.write_text("cut anew")
        studio.walk(rows, store)
        assert len(studio.decoded) == 5
        studio.walk(rows, store)
        assert len(studio.decoded) == 5


class LeftEmbedder(FakeEmbedder):
    """Looks at the left half of a crop only, so that a mirror image is another face."""

    def embed(self, crops: np.ndarray[Any, Any], out: np.ndarray[Any, Any]) -> None:
        super().embed(crops[:, :, : crops.shape[2] // 2], out)


def two_coloured(left: tuple[int, int, int], right: tuple[int, int, int]) -> FakePicture:
    face = red()
    pixels = FakePicture.of([face]).rgb(320, 180)
    pixels[20:52, 40:56], pixels[20:52, 56:72] = left, right
    return FakePicture(pixels, [face])


def test_one_look_serves_plain_and_mirrored_templates(studio: Studio) -> None:
    studio.embedder = LeftEmbedder()
    path = studio.clip("a.mp4", [two_coloured(RED, BLUE)] * 6)
    rows = [row(path, "ada", 0.0, 0.3)]
    with Store(None) as store:
        watched = watch_clips(rows, studio.stages(), store)
    assert sum(studio.embedder.batches) == 4  # two faces and their mirror images, once
    plain, both = (only(walks_of(rows, watched, DIMENSION, live_mirrored=mirrored)) for mirrored in (False, True))
    sides = studio.templates_of(RED, 2) + studio.templates_of(BLUE, 2)
    np.testing.assert_allclose(plain.faces.templates, studio.templates_of(RED, 2), atol=1e-6)
    np.testing.assert_allclose(both.faces.templates, sides / np.linalg.norm(sides, axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize(("mirror_live", "tracks"), [(False, 2), (True, 1)])
def test_templates_are_pooled_as_the_profile_has_it(studio: Studio, *, mirror_live: bool, tracks: int) -> None:
    """Somebody whose halves change places: another face, unless it is averaged with its mirror image."""
    studio.embedder = LeftEmbedder()
    studio.tracker = lambda: FakeTracker(every=1, max_probes=40)
    path = studio.clip("a.mp4", [*[two_coloured(RED, BLUE)] * 6, *[two_coloured(BLUE, RED)] * 6])
    assert studio.walk([row(path, "ada", 0.0, 0.5)], mirror_live=mirror_live).tracks == tracks


def test_unreadable_clips_are_named_all_at_once_and_the_others_are_kept(studio: Studio) -> None:
    good = studio.clip("good.mp4", show(red()))
    torn = studio.clip("torn.mp4", [*show(red(), pictures=2), PermanentError("ends early")])
    other = studio.clip("other.mp4", [ValueError("no such codec")])
    gone = studio.folder / "gone.mp4"
    rows = [row(path, path.stem, 0.0, 0.4, line=2 + n) for n, path in enumerate((good, torn, other, gone))]
    with Store(None) as store:
        with pytest.raises(UnreadableError, match="3 of 4 clips cannot be read to their end") as caught:
            studio.walk(rows, store)
        text = str(caught.value)
        assert f"{torn}: ends early" in text
        assert f"{other}: ValueError: no such codec" in text
        assert f"{gone}: No such file" in text
        assert "good.mp4" not in text
        studio.decoded.clear()
        studio.walk(rows[:1], store)
        assert not studio.decoded


def test_a_failing_model_is_not_the_clips_fault(studio: Studio) -> None:
    studio.detector = FakeDetector(Faults({2: RuntimeError("out of memory")}))
    path = studio.clip("a.mp4", show(red()))
    with pytest.raises(RuntimeError, match="out of memory"):
        studio.walk([row(path, "ada", 0.0, 0.4)])


def test_cameras_are_closed_and_crops_are_overwritten(studio: Studio) -> None:
    taken: list[Any] = []

    class Curious(FakeTracker):
        def update(self, faces: Any) -> Any:
            taken.append(faces.crops)
            return super().update(faces)

    studio.tracker = Curious
    cameras: list[FakeCamera] = []
    path = studio.clip("a.mp4", show(red()))
    inner = studio._camera

    def camera(path: Path) -> FakeCamera:
        cameras.append(inner(path))
        return cameras[-1]

    stages = msgspec.structs.replace(studio.stages(), camera=camera)
    with Store(None) as store:
        walk_clips([row(path, "ada", 0.0, 0.4)], stages, store, live_mirrored=False)
    assert [(one.opened, one.closed) for one in cameras] == [(1, 1)]
    assert taken
    assert all(crops.is_erased for crops in taken)


def test_progress_ends_with_all_seconds_of_all_clips(studio: Studio) -> None:
    paths = [studio.clip(f"{n}.mp4", show(red(), pictures=26)) for n in range(3)]
    rows = [row(path, path.stem, 0.0, 0.4, line=2 + n) for n, path in enumerate(paths)]
    told: list[tuple[float, int, int]] = []
    with Store(None) as store:
        watch_clips(rows, studio.stages(), store, progress=lambda *one: told.append(one))
    assert told[0] == (0.0, 0, 3)
    assert told[-1] == (pytest.approx(3.0), 3, 3)
    assert told == sorted(told)


TIMES = st.tuples(st.integers(0, 100), st.integers(1, 50)).map(lambda one: (one[0] / 5, (one[0] + one[1]) / 5))
LINES = st.lists(st.tuples(st.sampled_from("abc"), TIMES, st.sampled_from(["", "noon"])), min_size=1, max_size=8)


@given(LINES, st.lists(TIMES, max_size=8))
def test_no_track_is_scored_twice_or_forgotten(
    lines: list[tuple[str, tuple[float, float], str]], times: list[tuple[float, float]]
) -> None:
    path = Path("a.mp4")
    rows = [row(path, who, *when, line=2 + n, passage=name) for n, (who, when, name) in enumerate(lines)]
    tracks = [painted_track(n, *when) for n, when in enumerate(times)]
    watched = {path: Watched(digest="", frames=1, seconds=30.0, tracks=tuple(tracks))}
    walked = walks_of(rows, watched, DIMENSION, live_mirrored=False)
    numbers = [number for _, walk in walked.walks for number in walk.faces.templates[:, 0].tolist()]
    assert len(set(numbers)) == len(numbers)
    assert len(numbers) + sum(walked.unaccounted.values()) == walked.tracks == len(times)
    met = [walk for _, walk in walked.walks if walk.lost is None]
    assert len(met) + walked.joined == len(numbers)
    assert all(walk.lost == "never_detected" for _, walk in walked.walks if not len(walk.faces.weights))
    named = {(who, name) for who, _, name in lines if name}
    assert len(walked.walks) == len(named) + sum(not name for _, _, name in lines)


def painted_track(number: int, start_s: float, end_s: float) -> Track:
    """Return a track whose one template begins with its number."""
    at_s = np.arange(start_s, end_s, 0.04)
    template = np.zeros(DIMENSION, np.float32)
    template[0] = number
    return Track(
        places=np.column_stack((at_s, np.full((len(at_s), 2), 50.0))).tobytes(),
        plain=template.tobytes(),
        mirrored=template.tobytes(),
        weights=(1.0,),
        outliers=0,
        gates={},
        conditions=b"",
    )


def test_the_time_line_is_the_runs() -> None:
    line = Timeline()
    assert [line.rise(at) for at in (850_000_000, 890_000_000, 100)] == [0, 40_000_000, 80_000_000]


# The real pipeline.

PROFILE = """
name = "clips"
permit = "demo"
cameras = [{ name = "front", plugin = "av", options = { url = "clip.mp4" } }]
watchlist = { images = "watchlist" }
"""
STAGE = "media/white-house-stage-360p.mp4"
CROWD = "media/london-crowd-1080p.mp4"
SINGER, CLOSE_UP = "lin-manuel-miranda", (2.95, 7.05)
AUDIENCE = {"a": (0, 75, 120, 150), "b": (140, 60, 260, 200), "c": (290, 20, 390, 150), "d": (390, 70, 480, 200)}
"""Four people of the audience from second 7.1 on, and where they sit, px."""
WALKERS = {
    "red hair": (1.0, 4.16, 380, 560, 780, 720),
    "hoodie": (1.4, 3.9, 780, 650, 1060, 790),
    "white hair": (1.0, 3.7, 200, 640, 340, 760),
}
"""Three people in the arcade: from when to when, and the strip of the picture that they walk along, px."""


@pytest.fixture(scope="module")
def real(shared: Callable[[str], Path]) -> Iterator[tuple[Stages, Models, Any]]:
    registry = Registry.discover()
    profile, _ = parse_profile(tomllib.loads(PROFILE), registry, source="clips.toml", here=shared("media"))
    detector = registry.get("detector", profile.detector.plugin).create(profile.detector.options)
    embedder = registry.get("embedder", profile.embedder.plugin).create(profile.embedder.options)
    reader = registry.get("camera", profile.watchlist.reader)
    models = Models(
        read=lambda path: read_photograph(path, reader), detector=detector, embedder=embedder, settings="defaults"
    )
    yield stages_of(profile, registry, detector, embedder), models, profile
    detector.close()
    embedder.close()


def write_csv(path: Path, lines: Iterable[Sequence[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    return path


def test_the_singer_is_found_and_nobody_else_is(
    real: tuple[Stages, Models, Any], shared: Callable[[str], Path], tmp_path: Path
) -> None:
    stages, models, profile = real
    stage, crowd = STAGE.removeprefix("media/"), CROWD.removeprefix("media/")
    lines: list[Sequence[object]] = [
        ("path", "identity", "role", "start_s", "end_s", "x0", "y0", "x1", "y1"),
        (f"watchlist/{SINGER}.png", SINGER, "watchlist", *[""] * 6),
        (stage, SINGER, "mated", *CLOSE_UP, *[""] * 4),
        *((stage, f"audience {name}", "nonmated", 7.1, 9.2, *box) for name, box in AUDIENCE.items()),
        *((crowd, name, "nonmated", *where) for name, where in WALKERS.items()),
    ]
    protocol = read_protocol(write_csv(tmp_path / "truth.csv", lines), shared("media"))
    listed, passing = protocol.of("watchlist"), protocol.of("mated", "nonmated")
    recipe = Recipe(
        gates=profile.tracker.options,
        enrolment=profile.watchlist.gates,
        early_margin=profile.watchlist.early_margin,
        live_mirrored=profile.embedder.mirror_live,
    )
    with Store(tmp_path / "store.db") as store:
        seen = observe([one.path for one in listed], models, store)
        walked = walk_clips(passing, stages, store, live_mirrored=recipe.live_mirrored)
        blind = msgspec.structs.replace(stages, camera=lambda path: pytest.fail(f"{path} was opened again"))
        again = walk_clips(passing, blind, store, live_mirrored=recipe.live_mirrored)
    found = score(enrol(listed, range(len(listed)), seen, recipe), walked.of("mated"), walked.of("nonmated"), recipe)
    assert found.mated == (SINGER,)
    assert found.own[0] > 0.7
    assert found.own[0] > 0.56 > found.nearest.max()
    by_name = {walk.identity: walk for _, walk in walked.walks}
    assert all(by_name[f"audience {name}"].lost != "never_detected" for name in AUDIENCE)
    assert by_name["audience d"].lost == "turned_away"  # she is in profile all the time
    assert all(len(by_name[name].faces.weights) >= 8 for name in (SINGER, "audience a", "audience c", *WALKERS))
    looks = dict(zip(found.nonmated, found.looks_nonmated.tolist(), strict=True))
    assert all(looks[name] >= 8 for name in ("audience a", "audience c", *WALKERS))
    # The pianist, the people behind him and behind the audience, the singer from afar: nobody's in this ground truth.
    assert walked.unaccounted[stage] >= 4
    assert walked.joined == 0
    assert walked.tracks == len(walked.walks) + sum(walked.unaccounted.values())
    assert [walk.faces.templates.tobytes() for _, walk in again.walks] == [
        walk.faces.templates.tobytes() for _, walk in walked.walks
    ]


def test_a_torn_real_clip_is_named(
    real: tuple[Stages, Models, Any], shared: Callable[[str], Path], tmp_path: Path
) -> None:
    torn = tmp_path / "torn.mp4"
    torn.write_bytes(shared(STAGE).read_bytes()[:200_000])
    with Store(None) as store, pytest.raises(UnreadableError, match=r"1 of 1 clips .*\n  .*torn\.mp4: "):
        walk_clips([row(torn, "ada", 0.0, 1.0)], real[0], store, live_mirrored=False)


def test_no_template_of_a_stranger_is_kept_or_stored(studio: Studio, tmp_path: Path) -> None:
    path = studio.clip("a.mp4", [*show(red(), pictures=20), *show(blue(), pictures=30)])
    file = tmp_path / "store.sqlite"
    with Store(file) as store:
        walked = studio.walk([row(path, "ada", 0.0, 0.9)], store)
    assert walked.unaccounted == {"a.mp4": 1}
    kept = file.read_bytes()
    known, stranger = (studio.templates_of(colour, 1).tobytes() for colour in (RED, BLUE))
    assert known in kept
    assert stranger not in kept


def test_another_ground_truth_watches_the_clip_again(studio: Studio, tmp_path: Path) -> None:
    path = studio.clip("a.mp4", [*show(red(), pictures=20), *show(blue(), pictures=30)])
    with Store(tmp_path / "store.sqlite") as store:
        studio.walk([row(path, "ada", 0.0, 0.9)], store)
        walked = studio.walk([row(path, "ada", 0.0, 0.9), row(path, "bob", 0.9, 2.1, line=3)], store)
    assert [walk.lost for _, walk in walked.walks] == [None, None]
    assert walked.unaccounted == {}
