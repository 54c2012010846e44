"""What `why` says of a clip: true of each passage, in words that help, on a page that is safe to open."""

from __future__ import annotations

import html.parser
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
import pytest
from msgspec import Meta, Struct
from msgspec.structs import replace

from lfr_kernel.api import (
    API_VERSION,
    CameraPlugin,
    DetectorPlugin,
    EmbedderPlugin,
    Gates,
    IndexPlugin,
    NoConfig,
    Registry,
    RetentionPlugin,
    TrackerPlugin,
    Verdict,
)
from lfr_kernel.plugins import Installed
from lfr_kernel.stages.quality import GATES as QUALITY_GATES
from lfr_kernel.testing.fakes import (
    FakeCamera,
    FakeDetector,
    FakeEmbedder,
    FakeFace,
    FakePicture,
    FakeRetention,
    FakeTracker,
    Faults,
    NumpyIndex,
)
from lfr_plugins.lab.why import profile_for
from lfr_plugins.lab.why_moments import Moments
from lfr_plugins.lab.why_page import page
from lfr_plugins.lab.why_reasons import GATES, LOSSES, cause_of_gate, cause_of_loss, cause_of_miss, gate_limit
from lfr_plugins.lab.why_report import WhyReport, explain
from lfr_plugins.lab.why_watch import Watched, WatchedTracker, Watcher, watch
from lfr_plugins.trackers import PassageConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ADA, STRANGER, SHADE = (200, 40, 40), (40, 40, 200), (40, 200, 40)


class Video(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the camera."""

    url: Annotated[str, Meta(description="where it is")] = ""
    path: Annotated[str, Meta(description="where a photograph is")] = ""


def scene(frames: int = 30) -> list[FakePicture]:
    """Ada and a stranger stand there; somebody whom the detector is never sure of leaves early."""
    known = [FakeFace(20, 20, 40, ADA), FakeFace(120, 20, 30, STRANGER)]
    unsure = FakeFace(220, 60, 24, SHADE, confidence=0.3)
    return [FakePicture.of([*known, unsure] if number < 10 else known) for number in range(frames)]


def registry(faults: Faults | None = None) -> Registry:
    photo = FakePicture.of([FakeFace(20, 20, 64, ADA)])
    common = {"api": API_VERSION}

    def camera(config: Video) -> FakeCamera:
        return FakeCamera([photo] if config.path else scene())

    plugins: list[Any] = [
        CameraPlugin(name="av", config=Video, create=camera, **common),
        CameraPlugin(name="images", config=Video, create=camera, **common),
        DetectorPlugin(name="onnx", config=NoConfig, create=lambda _: FakeDetector(), **common),
        TrackerPlugin(
            name="passage", create=lambda _: FakeTracker(faults, min_confidence=0.5, lost_after_s=0.3), **common
        ),
        EmbedderPlugin(name="onnx", create=lambda _: FakeEmbedder(), **common),
        IndexPlugin(name="usearch", create=lambda _: NumpyIndex(), **common),
        RetentionPlugin(name="durations", create=lambda _: FakeRetention(), **common),
    ]
    return Registry([Installed(plugin=plugin, distribution="fakes", version="1") for plugin in plugins])


@pytest.fixture
def explained(tmp_path: Path) -> Callable[..., tuple[WhyReport, Watched]]:
    """Run the whole kernel over the scene, and explain it."""

    def run(*, listed: bool, faults: Faults | None = None) -> tuple[WhyReport, Watched]:
        watchlist = tmp_path / "watchlist"
        watchlist.mkdir(exist_ok=True)
        (watchlist / "ada.png").write_bytes(b"a photograph")
        drafts = tmp_path / "drafts"
        drafts.mkdir(exist_ok=True)
        installed = registry(faults)
        profile = profile_for(tmp_path / "clip.mp4", installed, profile=None, watchlist=watchlist if listed else None)
        # Painted faces are smooth.
        listed_anyway = replace(profile.watchlist, gates=Gates(min_sharpness=0.0, min_face_px=8.0))
        profile = replace(profile, watchlist=listed_anyway)
        watched = watch(profile, installed, Watcher(Moments(drafts)), lambda _done, _all: None)
        return explain(watched, profile, clip="clip.mp4"), watched

    return run


def test_each_passage_has_its_time_its_faces_and_a_sentence(explained: Callable[..., Any]) -> None:
    report, _ = explained(listed=True)
    told = {one.widest_px: one for one in report.passages}
    ada, stranger, unsure = told[40.0], told[30.0], told[24.0]
    assert (ada.verdict, ada.persons, ada.reason) == (Verdict.ALERTED, ["ada"], None)
    assert (ada.frames, ada.asked, ada.embedded, ada.pooled, ada.outliers) == (30, 5, 5, 5, 0)
    assert (ada.at_s, ada.seconds) == (0.0, 1.16)
    assert ada.says.startswith(f"Alerted: {ada.best_similarity:.2f}, over the threshold of 0.62, with 5 faces pooled")
    assert "a person decides" in ada.says
    assert stranger.verdict is Verdict.NOT_MATCHED
    assert "against 0.62" in stranger.says
    assert (unsure.verdict, unsure.reason, unsure.frames) == (Verdict.LOST, "no_face_wanted", 10)
    assert (unsure.gated, unsure.asked) == ({"low_confidence": 10}, 0)
    assert "hardly a face in 10 of 10 frames" in unsure.says
    assert report.threshold == 0.62
    assert (report.width, report.height, report.listed) == (320, 180, 1)
    assert report.funnel.passages.seen == len(report.passages) == 3


def test_the_report_agrees_with_the_funnel(explained: Callable[..., Any]) -> None:
    report, _ = explained(listed=True)
    faces, passages = report.funnel.faces, report.funnel.passages
    assert sum(one.asked for one in report.passages) == faces.asked
    assert sum(one.embedded for one in report.passages) == faces.embedded
    assert sum(one.pooled for one in report.passages) == faces.pooled
    assert sum(sum(one.gated.values()) for one in report.passages) == sum(faces.gated.values()) == 10
    assert sum(one.frames for one in report.passages) == faces.tracked
    assert sum(one.verdict is Verdict.ALERTED for one in report.passages) == passages.alerted == 1


def test_without_a_watchlist_it_explains_up_to_embedded_and_says_that_nothing_was_searched(
    explained: Callable[..., Any],
) -> None:
    report, watched = explained(listed=False)
    assert watched.alerts == []
    assert (report.listed, report.funnel.passages.searched) == (0, 0)
    near = next(one for one in report.passages if one.widest_px == 40.0)
    assert (near.reason, near.tone, near.best_similarity) == ("nobody_listed", "unsearched", None)
    assert near.says == "5 of its faces were embedded; nothing was searched, since nobody is listed."
    assert any("nothing was searched: give --watchlist" in note for note in report.notes)


def test_a_stage_that_failed_is_named_and_the_passages_around_it_are_still_told_apart(
    explained: Callable[..., Any],
) -> None:
    report, watched = explained(listed=True, faults=Faults({10: RuntimeError("lost count")}))
    assert len(report.passages) == len(watched.outcomes) == report.funnel.passages.seen == 5
    assert any("tracker failed (restarts: 1): RuntimeError: lost count" in note for note in report.notes)
    cut_short = [one for one in report.passages if one.ended == "restart"]
    assert len(cut_short) == 3
    assert {one.widest_px for one in report.passages} == {40.0, 30.0, 24.0}


def test_a_profile_in_a_file_cannot_list_nobody_but_keeps_its_settings(tmp_path: Path) -> None:
    path = tmp_path / "van.toml"
    text = """
        name = "van"
        permit = "development"
        cameras = [{ name = "left", options = { url = "rtsp://${env:NO_SUCH_LOGIN}@example.org/" } }]
        sinks = [{ plugin = "pager" }]
        watchlist = { images = ["${here}/people"], threshold = 0.7 }
    """
    path.write_text(text, encoding="utf-8")
    profile = profile_for(tmp_path / "clip.mp4", registry(), profile=path, watchlist=None)
    assert (profile.permit, profile.sinks, profile.watchlist.threshold) == ("demo", (), 0.7)
    assert [camera.options.url for camera in profile.cameras] == [str(tmp_path / "clip.mp4")]
    path.write_text(text.replace('["${here}/people"]', "[]"), encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"watchlist.images: expected a folder or a list of folders, optional, got \[\]"
    ):
        profile_for(tmp_path / "clip.mp4", registry(), profile=path, watchlist=None)


def test_a_sealed_list_is_not_searched_for_in_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "van.toml"
    path.write_text(
        """
        name = "van"
        permit = "authority"
        cameras = [{ name = "left", options = { url = "rtsp://example.org/" } }]
        watchlist = { file = "list.lfrlist", threshold = 0.7 }
        governance = { vault = "vault", pack = "uk-met", start = "sealed" }
        anchors = [{ plugin = "print" }]
        """,
        encoding="utf-8",
    )
    profile = profile_for(tmp_path / "clip.mp4", registry(), profile=path, watchlist=None)
    assert (profile.permit, profile.governance, profile.anchors) == ("demo", None, ())
    assert (profile.watchlist.images, profile.watchlist.file, profile.watchlist.threshold) == ((), None, 0.7)


class Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs


def test_the_page_runs_nothing_asks_nobody_and_escapes_every_text(explained: Callable[..., Any]) -> None:
    report, _ = explained(listed=True)
    evil = '<script>alert("x")</script><img src=x onerror=y>'
    passages = [
        msgspec.structs.replace(one, says=evil, helps=evil, short=evil, persons=[evil], picture="pictures/a.png")
        for one in report.passages
    ]
    helps = [msgspec.structs.replace(one, short=evil, helps=evil) for one in report.what_would_help]
    faces = msgspec.structs.replace(report.funnel.faces, gated={evil: 3})
    report = msgspec.structs.replace(
        report,
        clip=evil,
        permit=evil,
        notes=[evil],
        passages=passages,
        what_would_help=helps,
        funnel=msgspec.structs.replace(report.funnel, faces=faces),
    )
    text = page(report)
    links = Links()
    links.feed(text)
    assert not links.tags & {"script", "link", "iframe", "object", "embed", "form", "base"}
    assert not [name for name, _ in links.attributes if name.startswith("on")]
    assert {value for name, value in links.attributes if name in {"src", "href"}} == {"pictures/a.png"}
    assert "http" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text


def test_every_cause_can_be_said() -> None:
    words = {
        "count": 1, "frames": 2, "widest": "3", "limit": "", "asked": 4, "pooled": 5, "best": "0.5", "short": "0.1",
        "threshold": "0.6",
    }  # fmt: skip
    odd = "{0.real} {count}"
    causes = [
        *GATES.values(), *LOSSES.values(), cause_of_gate(odd), cause_of_loss(odd),
        *(cause_of_miss(short) for short in (0.01, 0.1, 0.9, 5.0)),
    ]  # fmt: skip
    for cause in causes:
        assert cause.says.format(**words)
        assert cause.short.format()
    assert odd in cause_of_gate(odd).says.format(**words)


def test_the_gates_of_the_built_in_tracker_and_the_losses_of_the_ledger_are_all_explained() -> None:
    # Kept by hand on purpose: whoever adds a reason is to say what it means and what would help.
    assert set(GATES) == set(QUALITY_GATES)
    known = {"restart", "stopped", "deadline", "unanswered", "no_face_wanted", "nobody_listed"}
    assert known <= set(LOSSES)


def test_the_width_that_the_gate_asks_for_is_told_where_the_tracker_has_one() -> None:
    says = cause_of_gate("too_small").says
    limit = gate_limit("too_small", PassageConfig(min_face_px=32))
    assert says.format(widest="22", limit=limit, count=31, frames=34) == (
        "the face was never wider than 22 px, and the gate is 32; too small in 31 of 34 frames"
    )
    assert gate_limit("too_small", NoConfig()) == gate_limit("turned_away", PassageConfig()) == ""


class Kept(Moments):
    """Remembers what was to be hidden in each frame."""

    def __init__(self) -> None:
        self.hidden: list[np.ndarray[Any, Any]] = []

    def offer(self, picture: Any, hidden: Any, candidates: Any) -> None:
        del picture, candidates
        self.hidden.append(hidden)


def test_a_face_that_a_frame_overlooks_is_hidden_where_it_was_and_for_a_second_only(
    frames: Callable[..., Any],
) -> None:
    kept = Kept()
    tracker = WatchedTracker(FakeTracker(lost_after_s=3.0), Watcher(kept))
    both, one = [(20.0, 20.0), (120.0, 20.0)], [(20.0, 20.0)]
    for at_s, places in ((0.0, both), (0.5, one), (1.0, one), (1.1, one)):
        tracker.update(frames(at_s, places))
    assert [len(hidden) for hidden in kept.hidden] == [2, 2, 2, 1]
    assert np.array_equal(kept.hidden[1][1], [120, 20, 160, 60])


@pytest.fixture
def frames() -> Callable[..., Any]:
    from lfr_kernel.api import Biometric, Faces  # noqa: PLC0415

    def make(at_s: float, places: Sequence[tuple[float, float]]) -> Faces:
        corners = np.array(places, np.float32).reshape(-1, 2)
        return Faces(
            camera="clip",
            sequence=0,
            missed=0,
            picture=FakePicture.of(()),
            captured_at_ns=0,
            captured_monotonic_ns=0,
            stream_ns=round(at_s * 1e9),
            boxes=np.concatenate((corners, corners + np.float32(40)), axis=1),
            landmarks=np.zeros((len(corners), 5, 2), np.float32),
            confidences=np.full(len(corners), 0.9, np.float32),
            crops=Biometric(np.zeros((len(corners), 4, 4, 3), np.uint8)),
        )

    return make
