"""`lfr-kernel check`: every mistake at once, and what the cameras can see."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lfr_kernel.cli.timing import Pattern

if TYPE_CHECKING:
    from collections.abc import Callable

PROFILES = Path(__file__).resolve().parents[2] / "profiles"


def test_a_good_profile(lfr: Callable[..., Any], board: Any) -> None:
    result = lfr("check", board.profile)
    assert result.code == 0
    assert result.out.splitlines() == [
        "   profile  board: cameras 1, sinks 1",
        f"    permit  {_permit(result.out)}",
        "      sink  loudest: details",
        " watchlist  people 1, photographs 1, threshold 0.62",
        "     basis  NO REPORT, the threshold rests on no evidence",
        "            the profile cites no evaluation report: see [basis]",
        "        ok  nothing wrong found; --live opens models and cameras too",
    ]


def _permit(out: str) -> str:
    (line,) = [line for line in out.splitlines() if line.startswith("    permit  demo")]
    return line.removeprefix("    permit  ")


def test_three_planted_mistakes_are_all_named(lfr: Callable[..., Any], board: Any) -> None:
    text = board.profile.read_text(encoding="utf-8")
    text = text.replace("frames = 25", "frames = -1")
    text = text.replace('plugin = "middle"', 'plugin = "midle"')
    text = text.replace("images =", "image =")
    result = lfr("check", board.write(text))
    assert result.code == 2
    assert not result.out
    assert result.err == (
        f"error: {board.profile}: 4 mistakes\n"
        f"  {board.profile}: cameras[0].options.frames: expected an integer at least 0, got -1 "
        "(camera plugin 'checkerboard' of lfr-checkerboard 0.1.0)\n"
        f"  {board.profile}: watchlist.image: unknown key, expected one of: images, file, threshold, early_margin, "
        "reader, gates "
        "(did you mean 'images'?)\n"
        f"  {board.profile}: watchlist.images: missing, expected a folder or a list of folders\n"
        f"  {board.profile}: detector.plugin: expected an installed detector plugin, one of: middle, onnx; "
        "got 'midle' (did you mean 'middle'?)\n"
    )


def test_graph_draws_every_actor_with_its_queues(lfr: Callable[..., Any], board: Any) -> None:
    out = lfr("check", board.profile, "--graph").out
    actors = [line.split()[0] for line in out.splitlines() if line and line[0].isalpha()]
    assert actors == [
        "camera:front",
        "detector",
        "tracker",
        "embedder",
        "index",
        "desk",
        "sink:loudest",
        "record",
        "retention",
    ]
    assert "camera:front  [lane camera:front]\n  └─Frame─▶ detector  block(2)\n" in out
    for edge in ("─Passage─▶ index  block(", "─PassageSplit─▶ tracker  drop_oldest(", "─Alert─▶ sink:loudest  block("):
        assert edge in out


def test_live_loads_and_times_the_models_and_says_how_small_a_face_may_be(lfr: Callable[..., Any], board: Any) -> None:
    result = lfr("check", board.profile, "--live")
    assert result.code == 0
    assert re.search(r"^  detector  middle, model [0-9a-f]{12}…, on cpu$", result.out, re.MULTILINE)
    assert re.search(
        r"^  embedder  thumbnail, model [0-9a-f]{12}…, on cpu, 64 numbers a face$", result.out, re.MULTILINE
    )
    assert "     front  320x240, unpaced; the smallest face that can be found: 120 px wide\n" in result.out
    assert re.search(r"^     speed  detector on cpu: \d+\.\d ms a picture of 320x240$", result.out, re.MULTILINE)
    assert re.search(r"^     speed  embedder on cpu: \d+\.\d ms a face$", result.out, re.MULTILINE)
    assert result.out.endswith("        ok  nothing wrong found\n")


def test_live_says_which_device_was_asked_for_and_which_is_used(lfr: Callable[..., Any], board: Any) -> None:
    text = board.profile.read_text(encoding="utf-8")
    text = text.replace('plugin = "middle"', 'plugin = "onnx"\noptions = { device = "cpu", longest_side = 320 }')
    text = text.replace('plugin = "thumbnail"', 'plugin = "onnx"')
    text = text.replace('plugin = "checkerboard"\noptions = { frames = 25 }', 'options = { url = "none.mp4" }')
    result = lfr("check", board.write(text), "--live")
    assert "detector  onnx, model b7a7acab55e1…, on cpu (asked for: cpu)\n" in result.out
    assert re.search(r"embedder  onnx, model 4255fb0abaf8…, on \w+ \(asked for: auto\), 192 numbers", result.out)
    assert result.code == 1  # the camera cannot be opened, so no size is known
    assert re.search(r"     speed  detector on cpu: \d+\.\d ms a picture of 1920x1080\n", result.out)


def test_live_names_a_device_that_cannot_be_had(lfr: Callable[..., Any], board: Any) -> None:
    ort = pytest.importorskip("onnxruntime")
    if "DmlExecutionProvider" in ort.get_available_providers():
        pytest.skip("DirectML is here")
    text = board.profile.read_text(encoding="utf-8")
    text = text.replace('plugin = "middle"', 'plugin = "onnx"\noptions = { device = "directml" }')
    result = lfr("check", board.write(text), "--live")
    assert result.code == 1
    assert f'detector  device = "directml" needs DmlExecutionProvider, but onnxruntime {ort.__version__}' in result.out
    run = lfr("-p", board.profile, "--json")
    assert run.code == 1
    assert not run.out
    assert "error: " in run.err
    assert 'device = "directml" needs DmlExecutionProvider' in run.err


def test_a_model_that_fails_while_it_is_timed_is_named(lfr: Callable[..., Any], board: Any) -> None:
    board.site.distribution("lfr-slow", SLOW)
    text = board.profile.read_text(encoding="utf-8").replace('plugin = "thumbnail"', 'plugin = "slow"')
    result = lfr("check", board.write(text), "--live")
    assert result.code == 1
    assert "     speed  RuntimeError: out of memory\n" in result.out
    assert "ms a picture of 320x240" in result.out


SLOW = """
from lfr_kernel.api import *
from lfr_checkerboard.faces import Thumbnail

class Slow(Thumbnail):
    def embed(self, crops, out):
        raise RuntimeError("out of memory")

@hookimpl
def lfr_plugins():
    return [EmbedderPlugin(name="slow", api=1, create=Slow)]
"""


@pytest.mark.parametrize("size", [(640, 360), (97, 33), (1, 1), (1920, 1080)])
def test_the_picture_that_models_are_timed_on_is_a_picture(size: tuple[int, int]) -> None:
    picture = Pattern(size)
    assert picture.size == size
    for width, height in (size, (64, 200)):
        found = picture.rgb(width, height)
        assert (found.shape, found.dtype) == ((height, width, 3), np.uint8)
        found.fill(0)
        assert picture.rgb(width, height).any()
    assert picture.patch(np.eye(2, 3), (112, 96)).shape == (96, 112, 3)


def test_what_is_wrong_with_one_thing_does_not_hide_the_next(lfr: Callable[..., Any], board: Any) -> None:
    text = board.profile.read_text(encoding="utf-8").replace("${here}/watchlist", "${here}/nobody")
    board.write(
        text.replace(
            "[watchlist]",
            '[[cameras]]\nname = "rear"\noptions = { url = "rtsp://operator:hunter2@127.0.0.1:9/x" }\n[watchlist]',
        )
    )
    result = lfr("check", board.profile)
    assert result.code == 2
    assert "    permit  the demo permit plays files only, but rear would open a live camera" in result.out
    assert f" watchlist  watchlist folder {board.folder}/nobody does not exist" in result.out
    assert "        ok" not in result.out


def test_live_names_each_camera_that_does_not_answer_and_looks_at_the_others(
    lfr: Callable[..., Any], board: Any
) -> None:
    text = board.profile.read_text(encoding="utf-8").replace('"demo"', '"development"')
    rear = '[[cameras]]\nname = "rear"\noptions = { url = "rtsp://operator:hunter2@127.0.0.1:9/x", timeout_s = 1 }\n'
    result = lfr("check", board.write(text.replace("[watchlist]", rear + "[watchlist]")), "--live")
    assert result.code == 1
    assert "     front  320x240" in result.out
    assert "      rear  camera rtsp://***@127.0.0.1:9/x cannot be read: Connection refused" in result.out
    assert "hunter2" not in result.out + result.err


def test_check_of_the_van(lfr: Callable[..., Any], board: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    van = board.folder / "van.toml"
    shutil.copy(PROFILES / "van.toml", van)
    result = lfr("check", van)
    assert result.code == 2
    assert "expected the environment variable LFR_CAMERA_USER to be set, got ${env:LFR_CAMERA_USER}" in result.err
    monkeypatch.setenv("LFR_CAMERA_USER", "operator")
    monkeypatch.setenv("LFR_CAMERA_PASSWORD", "hunter2")
    result = lfr("check", van, "--graph")
    assert result.code == 0
    assert "development" in _line(result.out, "permit")
    assert "hunter2" not in result.out
    assert "operator" not in result.out


def _line(out: str, what: str) -> str:
    (line,) = [line for line in out.splitlines() if line.startswith(f"{what:>10}  ")]
    return line
