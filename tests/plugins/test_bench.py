"""The benchmark: what its figures mean and how they hang together, never how high they are."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import av
import cv2
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from lfr_kernel.api import EndOfInput, NoConfig, Outcome, PermanentError, Reading
from lfr_plugins.cameras.picture import RgbPicture
from lfr_plugins.indexes.usearch_index import UsearchIndex
from lfr_plugins.lab import bench_worker
from lfr_plugins.lab.bench import bench
from lfr_plugins.lab.bench_kernel import measure_messages
from lfr_plugins.lab.bench_loops import Quota
from lfr_plugins.lab.bench_pipeline import memory_of, passages_of
from lfr_plugins.lab.bench_report import LISTED, Job, Run, growth, quantiles, ratio, speed
from lfr_plugins.lab.bench_stopwatch import Delays, Stopwatch
from lfr_plugins.lab.bench_taps import TimedCamera, TimedIndex

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

SIZE = (480, 360)
RATE = 25
SPREAD = {"count", "p50", "p95", "p99", "max"}
STAGES = {"decode", "detect", "track", "embed", "search"}


def write_video(path: Path, pictures: Iterable[NDArray[np.uint8]]) -> Path:
    """Write uint8 [H, W, 3] RGB pictures as a video."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures, 0.4 s, of one face that moves a little."""
    encoded = np.frombuffer((files("lfr_plugins") / "lab" / "portraits" / "obama.jpg").read_bytes(), np.uint8)
    portrait = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert portrait is not None
    portrait = cv2.resize(portrait, (SIZE[1] - 20, SIZE[1] - 20))[..., ::-1]
    pictures = []
    for number in range(10):
        picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        picture[10:-10, 10 + 2 * number : 10 + 2 * number + portrait.shape[1]] = portrait
        pictures.append(picture)
    return write_video(tmp_path_factory.mktemp("bench") / "one face.mp4", pictures)


@pytest.fixture(scope="module")
def report(video: Path) -> dict[str, Any]:
    result = CliRunner().invoke(bench, [str(video), "--exhaustive", "--seconds", "0.6", "--pairs", "1", "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_json_holds_every_figure(report: dict[str, Any]) -> None:
    assert set(report) == {
        "video", "exhaustive", "pairs", "compute_threads", "sequential_threads", "listed", "pipeline", "bound",
        "sequential", "efficiency", "efficiencies", "speedup", "speedups", "paced",
    }  # fmt: skip
    for kind in ("pipeline", "bound", "sequential"):
        assert set(report[kind]) == {
            "fps", "faces_per_s", "frames", "faces", "embedded", "runs_fps", "stages_ms", "hosted",
        }  # fmt: skip
        assert set(report[kind]["stages_ms"]) == STAGES
    paced = report["paced"]
    assert set(paced) == {
        "seconds", "frames", "faces", "embedded", "capture_to_embedding_ms", "halves_ms", "first_embedding_ms",
        "first_wanted_ms", "passages", "memory", "stages_ms", "hosted",
    }  # fmt: skip
    assert set(paced["frames"]) == {"read", "processed", "dropped", "dropped_after_warm_up"}
    assert set(paced["memory"]) == {"peak_mb", "growth_mb", "samples_mb"}
    for spread in (paced["capture_to_embedding_ms"], *paced["halves_ms"], paced["first_embedding_ms"]):
        assert set(spread) == SPREAD
    assert (report["video"], report["exhaustive"], report["pairs"], report["listed"]) == (
        "one face.mp4",
        True,
        1,
        10_000,
    )


def test_all_kinds_do_the_same_work(report: dict[str, Any]) -> None:
    # 0.6 s of a clip of 0.4 s: it was looped, and cut after 15 frames.
    for kind in ("pipeline", "bound", "sequential"):
        run = report[kind]
        assert (run["frames"], run["faces"], run["embedded"]) == (15, 15, 15)
        assert [run["stages_ms"][stage]["count"] for stage in ("decode", "detect", "embed")] == [15, 15, 15]
        assert run["runs_fps"] == [run["fps"]]


def test_ratios_are_those_of_the_speeds(report: dict[str, Any]) -> None:
    fps = {kind: report[kind]["fps"] for kind in ("pipeline", "bound", "sequential")}
    assert report["efficiency"] == pytest.approx(fps["pipeline"] / fps["bound"], rel=0.01)
    assert report["speedup"] == pytest.approx(fps["pipeline"] / fps["sequential"], rel=0.01)


def test_only_the_pipeline_has_a_kernel(report: dict[str, Any]) -> None:
    assert report["bound"]["hosted"] is None
    assert report["sequential"]["hosted"] is None
    hosted = report["pipeline"]["hosted"]
    assert hosted["cpu_ms_per_frame"] > 0
    assert 0 < hosted["compute_busy"] <= 1
    assert set(hosted["calls_ms"]) == {"detector", "tracker", "embedder", "index"}
    # The wait for a thread comes on top of the call itself.
    assert hosted["calls_ms"]["detector"]["max"] > report["pipeline"]["stages_ms"]["detect"]["max"]


def test_paced_run_keeps_its_books(report: dict[str, Any]) -> None:
    paced = report["paced"]
    frames = paced["frames"]
    assert frames["read"] == 15
    assert frames["read"] == frames["processed"] + frames["dropped"]
    assert frames["dropped_after_warm_up"] == 0  # it was over before
    assert paced["seconds"] >= 0.56
    assert paced["embedded"] == paced["capture_to_embedding_ms"]["count"]
    assert sum(half["count"] for half in paced["halves_ms"]) == paced["embedded"]
    assert paced["first_embedding_ms"]["count"] == paced["passages"]["seen"]
    assert paced["first_wanted_ms"]["max"] <= paced["first_embedding_ms"]["max"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_memory_is_that_of_the_run_itself(report: dict[str, Any]) -> None:
    memory = report["paced"]["memory"]
    assert memory["samples_mb"]
    assert max(memory["samples_mb"]) <= memory["peak_mb"]


def test_a_video_without_faces_has_figures_too(tmp_path: Path) -> None:
    empty = write_video(tmp_path / "nobody.mp4", [np.zeros((SIZE[1], SIZE[0], 3), np.uint8)] * 5)
    result = CliRunner().invoke(bench, [str(empty), "--pairs", "1", "--seconds", "0.2"])
    assert result.exit_code == 0, result.output
    assert "5 frames" in result.stdout
    assert "0 faces found, 0 embedded" in " ".join(result.stdout.split())
    assert result.stderr == ""


def test_a_file_that_is_no_video_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("hello")
    with pytest.raises(PermanentError, match=r"notes\.mp4 cannot be read"):
        bench_worker.measure(job(tmp_path / "notes.mp4"), Run)


@pytest.mark.parametrize("arguments", [[], ["/nowhere.mp4"], ["--kernel", "--exhaustive"], ["--kernel", __file__]])
def test_wrong_usage_is_told(arguments: list[str]) -> None:
    result = CliRunner().invoke(bench, arguments)
    assert result.exit_code == 2
    assert "does not exist" in result.stderr or "either a VIDEO, or --kernel" in result.stderr


def job(video: Path, seconds: float = 3600.0) -> Job:
    return Job(kind="pipeline", video=str(video), seconds=seconds, loop=True, exhaustive=True, threads=1)


def test_a_worker_does_not_outlive_its_starter(video: Path) -> None:
    command = [sys.executable, "-P", "-m", bench_worker.__name__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:  # noqa: S603  (our own)
        output, _ = child.communicate(msgspec.json.encode(job(video)) + b"\n", timeout=60)
    assert child.returncode == 1
    assert output == b""


def test_an_interruption_kills_the_worker(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[subprocess.Popen[bytes]] = []

    def interrupt(child: subprocess.Popen[bytes], _job: bytes) -> tuple[bytes, int]:
        children.append(child)
        raise KeyboardInterrupt

    monkeypatch.setattr(bench_worker, "_converse", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bench_worker.measure(job(video), Run)
    (child,) = children
    assert child.wait(timeout=60) != 0


def test_a_run_that_fails_says_why(video: Path) -> None:
    with pytest.raises(PermanentError, match="compute_threads"):
        bench_worker.measure(msgspec.structs.replace(job(video), threads=-1), Run)


def test_a_worker_that_crashes_is_named_with_its_last_words(video: Path) -> None:
    broken = msgspec.structs.replace(job(video), kind="bound", threads=0)
    with pytest.raises(PermanentError, match="measured 'bound' ended with code 1: ValueError: max_workers"):
        bench_worker.measure(broken, Run)


def test_kernel_alone_needs_no_video() -> None:
    result = CliRunner().invoke(bench, ["--kernel", "--pairs", "1", "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert set(figures) == {"capacity", "messages", "pairs", "actors_per_s", "stream_per_s", "ratio"}
    assert (figures["capacity"], figures["pairs"]) == (128, 1)
    assert figures["ratio"] == pytest.approx(figures["actors_per_s"] / figures["stream_per_s"], abs=0.01)


def test_pairs_take_turns_and_no_message_is_lost() -> None:
    told: list[int] = []
    report = measure_messages(2, messages=130, before_pair=told.append)
    assert (report.messages, report.pairs, told) == (130, 2, [1, 2])


def run(fps: float, kind: Any = "pipeline") -> Run:
    return Run(kind=kind, frames=100, faces=300, embedded=200, seconds=100 / fps, stages_ms={})


def test_the_figure_of_a_kind_is_its_median() -> None:
    found = speed([run(30), run(10), run(20)])
    assert (found.fps, found.faces_per_s, found.runs_fps) == (20, 40, [30, 10, 20])


def test_ratios_are_taken_pair_by_pair() -> None:
    # The machine was twice as busy during the second pair: each ratio is right all the same.
    assert ratio([run(30), run(15), run(27)], [run(40), run(20), run(30)]) == (0.75, [0.75, 0.75, 0.9])


def test_quantiles_are_durations_that_occurred() -> None:
    found = quantiles([float(value) for value in range(1, 101)])
    assert (found.count, found.p50, found.p95, found.p99, found.max) == (100, 50, 95, 99, 100)
    assert quantiles([]).p95 is None


def test_growth_ignores_the_start() -> None:
    assert growth([10, 200, 300, 300, 300, 301, 302, 302]) == pytest.approx(1.5)
    assert growth([10, 200]) is None
    assert memory_of([None, 1.0], None).samples_mb == [1.0]


def outcome(seconds: float, probes: int, reason: str | None = None) -> Outcome:
    verdict: Any = "lost" if reason else "not_matched"
    return Outcome(passage="p", camera="c", verdict=verdict, reason=reason, probes=probes, seconds=seconds)


def test_only_long_passages_with_a_good_face_need_embeddings() -> None:
    found = passages_of(9, [outcome(0.9, 1), outcome(2, 7), outcome(1.5, 4), outcome(3, 0, "gated_too_small")])
    assert (found.seen, found.over_1_s, found.gated_over_1_s) == (9, 3, 1)
    assert (found.under_five_over_1_s, found.fewest_embeddings) == (1, 4)
    assert passages_of(0, []).fewest_embeddings is None


def test_the_quota_keeps_the_average_where_there_are_faces() -> None:
    quota = Quota(0.5)
    assert [quota.take(3) for _ in range(6)] == [0, 1, 1, 0, 0, 1]
    late = Quota(2.0)
    assert [late.take(faces) for faces in (0, 0, 9)] == [0, 0, 6]
    assert Quota(None).take(7) == 7


class _Film:
    """A camera that shows the same few positions over and over."""

    pace: Any = "unpaced"

    def __init__(self, positions_ms: list[int]) -> None:
        self._positions = deque(positions_ms)

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def read(self) -> Reading:
        self._positions.rotate(-1)
        picture = RgbPicture(np.zeros((4, 4, 3), np.uint8))
        return Reading(picture=picture, position_ns=self._positions[-1] * 1_000_000)


@pytest.mark.parametrize(
    ("positions_ms", "frames"),
    [([0, 40, 80], 25), ([0, 100], 10), ([700], 25), ([5000, 5020, 99_000], 50)],
)
def test_a_camera_ends_after_seconds_of_the_clip(positions_ms: list[int], frames: int) -> None:
    watch = Stopwatch()
    camera = TimedCamera(_Film(positions_ms), watch, 1.0)
    camera.open()
    for _ in range(frames):
        camera.read()
    with pytest.raises(EndOfInput):
        camera.read()
    assert watch.calls("decode") == frames


def test_the_gallery_is_filled_up_with_strangers() -> None:
    inner = UsearchIndex(NoConfig())
    index = TimedIndex(inner, Stopwatch())
    listed = np.zeros((2, 192), np.float32)
    listed[0, 0] = listed[1, 1] = 1
    index.replace(listed, np.array([4, 9], np.int64), "digest")
    found = index.search(listed, 2)
    assert len(index) == LISTED
    assert found.entries[:, 0].tolist() == [4, 9]
    assert (found.similarities[:, 1] < 0.5).all()
    index.erase()
    assert len(inner) == 0


def test_delays_are_those_of_the_very_face() -> None:
    crops = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 3), np.uint8)
    delays = Delays()
    delays.ask(crops[0], 1_000_000, 80_000_000)
    delays.ask(crops[1], 2_000_000, None)
    delays.ask(crops[1], 9_000_000, None)
    delays.embed(crops[1], 5_000_000)
    delays.embed(crops[2], 5_000_000)
    delays.embed(crops[0], 21_000_000)
    delays.embed(crops[1], 10_000_000)
    first, second = delays.halves_ms()
    assert (first.count, first.p50, first.max, second.count, second.max) == (2, 3, 20, 1, 1)
    assert (delays.first_ms().max, delays.first_wanted_ms().max) == (100, 20)


def test_a_stopwatch_spans_from_the_first_call_to_the_end_of_the_last() -> None:
    watch = Stopwatch()
    assert (watch.seconds(), watch.calls("embed"), watch.stages_ms()["embed"].count) == (0.0, 0, 0)
    ended_ns = watch.note("embed", 0, 3)
    assert (watch.seconds(), watch.calls("embed"), watch.items("embed")) == (ended_ns / 1e9, 1, 3)
    watch.restart()
    assert watch.seconds() == 0
