"""Photographs are looked at once, by whoever is free, and it makes no difference who, when, or in how many runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from lfr_kernel.api import Detections, FaceQualities, embed_crops, face_qualities, mirror, similarity_transforms
from lfr_kernel.testing.fakes import FakeDetector, FakeEmbedder, FakeFace, FakePicture, Faults
from lfr_plugins.lab.evaluation import observation
from lfr_plugins.lab.evaluation.observation import LookError, Models, UnreadableError, observe, the_face
from lfr_plugins.lab.evaluation.store import Store, StoreError, digest_of
from lfr_plugins.lab.evaluation.views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lfr_plugins.lab.evaluation.observation import Observations


def paint(folder: Path, number: int, *faces: FakeFace) -> Path:
    """Write a photograph that `read` understands; without faces given it has one, of a colour of its own."""
    path = folder / f"{number:03}.painted"
    one = FakeFace(100 + number % 7, 50, 60, (number * 40 % 256, number * 91 % 256, number * 13 % 256))
    path.write_bytes(msgspec.json.encode(faces or (one,)))
    return path


def read(path: Path) -> FakePicture:
    content = path.read_bytes()
    if content == b"corrupt":
        raise ValueError("no JPEG")
    return FakePicture.of(msgspec.json.decode(content, type=tuple[FakeFace, ...]))


class Embedder(FakeEmbedder):
    """One with crops of the usual size, on which a face's quality can be judged."""

    crop_size = (112, 112)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.landmark_template = self.landmark_template * 112 / FakeEmbedder.crop_size[0]


def models(faults: Faults | None = None, *, concurrency: int = 4, **changed: Any) -> Models:
    fields: dict[str, Any] = {
        "read": read,
        "detector": FakeDetector(faults, max_concurrency=concurrency),
        "embedder": Embedder(max_concurrency=concurrency),
        "settings": "{}",
    }
    return Models(**{**fields, **changed})


def same(one: Observations, other: Observations) -> bool:
    arrays = [(one.faces, other.faces), (one.plain, other.plain), (one.mirrored, other.mirrored)]
    arrays += [(one.others, other.others)]
    arrays += [
        (getattr(one.qualities, name), getattr(other.qualities, name)) for name in FaceQualities.__struct_fields__
    ]
    return one.digests == other.digests and all(np.array_equal(here, there) for here, there in arrays)


@pytest.fixture
def photographs(tmp_path: Path) -> list[Path]:
    return [paint(tmp_path, number) for number in range(12)]


def test_what_is_seen_is_what_the_pipeline_sees(photographs: Sequence[Path]) -> None:
    seen = observe(photographs, models(), Store(None))
    embedder = Embedder()
    for number, path in enumerate(photographs):
        picture = read(path)
        found = FakeDetector().detect(picture)
        (affine,) = similarity_transforms(found.landmarks, embedder.landmark_template)
        crops = picture.patch(affine, embedder.crop_size)[None]
        measured = face_qualities(found.boxes, found.landmarks, found.confidences, crops)
        assert np.array_equal(seen.plain[number], embed_crops(embedder, crops, mirrored=False)[0])
        assert np.array_equal(seen.mirrored[number], embed_crops(embedder, mirror(crops), mirrored=False)[0])
        assert seen.qualities.overall[number] == measured.overall[0]
        assert seen.digests[number] == digest_of(path)


def test_whoever_is_done_first_the_order_is_that_of_the_paths(
    photographs: Sequence[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observation, "cores", lambda: 3)
    calm = observe(photographs, models(concurrency=1), Store(None))
    others_are_done = threading.Event()
    faults = Faults({1: lambda: others_are_done.wait(10)})
    progress: list[tuple[int, int]] = []

    def told(done: int, of: int) -> None:
        progress.append((done, of))
        if done == 4:  # all that may run ahead of the first but one
            others_are_done.set()

    held = observe(photographs, models(faults), Store(None), progress=told)
    assert same(held, calm)
    assert progress == [(done, 12) for done in range(1, 13)]


def test_no_more_run_at_a_time_than_plugins_allow(photographs: Sequence[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observation, "cores", lambda: 8)
    running, most, lock = [0], [0], threading.Lock()

    class Watched(FakeDetector):
        def detect(self, picture: object) -> Detections:
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            try:
                return super().detect(picture)
            finally:
                with lock:
                    running[0] -= 1

    observe(photographs, models(detector=Watched(max_concurrency=2)), Store(None))
    assert 1 <= most[0] <= 2
    most[0] = 0
    observe(photographs, models(detector=Watched(), embedder=Embedder(max_concurrency=1)), Store(None))
    assert most[0] == 1


def test_what_was_seen_once_is_not_looked_at_again(photographs: Sequence[Path], tmp_path: Path) -> None:
    path, counted = tmp_path / "seen.sqlite", Faults()
    with Store(path) as store:
        first = observe(photographs, models(counted), store)
    with Store(path) as store:
        again = observe(photographs[::-1], models(counted), store)
    assert counted.calls == 12
    assert same(again, observe(photographs[::-1], models(), Store(None)))
    assert first.digests == again.digests[::-1]


@pytest.mark.parametrize("stops_at", [1, 5, 6, 12])
def test_an_interrupted_one_goes_on_where_it_stopped(
    photographs: Sequence[Path], tmp_path: Path, stops_at: int
) -> None:
    counted = Faults()

    def interrupt(done: int, _of: int) -> None:
        if done == stops_at:
            raise KeyboardInterrupt

    with Store(tmp_path / "seen.sqlite") as store:
        with pytest.raises(KeyboardInterrupt):
            observe(photographs, models(counted), store, progress=interrupt)
        before = counted.calls
        assert stops_at <= before <= stops_at + 2 * observation.cores()
        whole = observe(photographs, models(counted), store)
    assert counted.calls == 12, "the detector is asked once for each photograph, also for those under way at the end"
    assert same(whole, observe(photographs, models(), Store(None)))


def test_a_plugin_that_fails_is_told_with_the_photograph_and_costs_none_of_the_others(
    photographs: Sequence[Path], tmp_path: Path
) -> None:
    counted = Faults({5: RuntimeError("out of memory")})
    with Store(tmp_path / "seen.sqlite") as store:
        with pytest.raises(LookError, match=r"00\d\.painted: detector or embedder failed .*: out of memory"):
            observe(photographs, models(counted), store)
        calls = counted.calls
        observe(photographs, models(counted), store)
    assert counted.calls == 13
    assert calls >= 5


def test_the_same_bytes_under_two_names_give_the_same(tmp_path: Path) -> None:
    one = paint(tmp_path, 1)
    two = tmp_path / "copy.painted"
    two.write_bytes(one.read_bytes())
    counted = Faults()
    with Store(None) as store:
        seen = observe([one, two], models(counted), store)
        observe([two], models(counted), store)
    assert counted.calls in {1, 2}
    assert seen.digests[0] == seen.digests[1]
    assert np.array_equal(seen.plain[0], seen.plain[1])
    assert np.array_equal(seen.mirrored[0], seen.mirrored[1])


def test_all_that_cannot_be_read_is_named_and_the_rest_remembered(photographs: list[Path], tmp_path: Path) -> None:
    bad = [photographs[3], photographs[9]]
    for path in bad:
        path.write_bytes(b"corrupt")
    missing = tmp_path / "gone.painted"
    counted = Faults()
    with Store(None) as store:
        with pytest.raises(UnreadableError, match="3 of 13 photographs cannot be read; repair them") as caught:
            observe([*photographs, missing], models(counted), store)
        assert f"{missing}: No such file or directory" in str(caught.value)
        assert all(f"{path}: ValueError: no JPEG" in str(caught.value) for path in bad)
        assert counted.calls == 10
        for number in (3, 9):
            paint(tmp_path, number)
        observe(photographs, models(counted), store)
    assert counted.calls == 12


def test_of_many_that_cannot_be_read_some_are_named(tmp_path: Path) -> None:
    missing = [tmp_path / f"{number:03}" for number in range(25)]
    with pytest.raises(UnreadableError) as caught:
        observe(missing, models(), Store(None))
    assert str(caught.value).count("No such file") == 20
    assert str(caught.value).endswith("and 5 more")


@pytest.mark.parametrize("what", ["detector", "embedder", "settings", "views", "version"])
def test_another_model_or_setting_asks_again(
    photographs: Sequence[Path], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    counted = Faults()
    changed = models(counted)
    if what == "settings":
        changed = msgspec.structs.replace(changed, settings='{"detector.longest_side":1}')
    elif what == "views":
        changed = msgspec.structs.replace(changed, views=("larger",))
    elif what != "version":
        getattr(changed, what).digest = "0" * 64
    with Store(None) as store:
        observe(photographs, models(counted), store)
        assert counted.calls == 12
        if what == "version":
            monkeypatch.setattr(observation, "VERSION", "another")
        observe(photographs, changed, store)
        assert counted.calls == 24
        observe(photographs, changed, store)
    assert counted.calls == 24


def test_a_picture_without_a_face_is_an_observation_too(tmp_path: Path) -> None:
    nobody = tmp_path / "nobody.painted"
    nobody.write_bytes(b"[]")
    counted = Faults()
    with Store(None) as store:
        observe([nobody], models(counted), store)
        seen = observe([nobody, paint(tmp_path, 1)], models(counted, views=()), store)
    assert counted.calls == 2
    assert seen.faces.tolist() == [0, 1]
    assert not seen.plain[0].any()
    assert not seen.mirrored[0].any()
    assert seen.qualities.overall[0] == 0.01
    assert np.linalg.norm(seen.plain[1]) == pytest.approx(1)


def test_a_large_face_near_the_middle_is_whom_a_photograph_is_of(tmp_path: Path) -> None:
    small, far, sure = (
        FakeFace(150, 80, 20, (9, 9, 9)), FakeFace(0, 0, 60, (99, 0, 0)), FakeFace(130, 60, 58, (0, 99, 0))
    )  # fmt: skip
    found = FakeDetector().detect(FakePicture.of([small, far, sure]))
    boxes = found.boxes.tolist()
    assert boxes[the_face(found, (320, 180))] == list(sure.box)
    unsure = msgspec.structs.replace(sure, confidence=0.2)
    found = FakeDetector().detect(FakePicture.of([small, far, unsure]))
    assert found.boxes.tolist()[the_face(found, (320, 180))] == list(small.box)
    seen = observe([paint(tmp_path, 0, small, far, sure)], models(), Store(None))
    alone = observe([paint(tmp_path, 1, sure)], models(), Store(None))
    assert seen.faces.tolist() == [3]
    assert np.array_equal(seen.plain, alone.plain)
    assert seen.qualities.width_px.tolist() == [58.0]


def test_views_are_kept_beside_the_usual_cut_and_change_nothing_of_it(photographs: Sequence[Path]) -> None:
    usual = observe(photographs, models(), Store(None))
    names = ("larger", "steadied")
    seen = observe(photographs, models(views=names), Store(None))
    assert usual.others.shape == (0, 2, 12, 128)
    assert seen.others.shape == (2, 2, 12, 128)
    assert np.array_equal(seen.plain, usual.plain)
    assert np.array_equal(seen.mirrored, usual.mirrored)
    assert np.linalg.norm(seen.others, axis=-1) == pytest.approx(np.ones((2, 2, 12)), abs=1e-5)
    assert set(names) <= set(VIEWS)


def test_what_the_store_holds_must_be_an_observation(photographs: Sequence[Path], tmp_path: Path) -> None:
    path = tmp_path / "seen.sqlite"
    with Store(path) as store:
        observe(photographs, models(), store)
        store._database.execute("UPDATE results SET result = substr(result, 1, 20)")
        store._database.commit()
    with Store(path) as store, pytest.raises(StoreError, match=r"seen\.sqlite cannot be used: .* delete the file"):
        observe(photographs, models(), store)


def test_a_store_that_is_full_is_what_is_told(photographs: Sequence[Path], tmp_path: Path) -> None:
    with Store(tmp_path / "seen.sqlite") as store:
        store._database.execute("PRAGMA max_page_count = 3")
        with pytest.raises(StoreError, match="full; free some space"):
            observe(photographs, models(), store)
