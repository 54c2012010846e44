"""`lfr-kernel why` as people and scripts use it."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Write a second of one picture of noise."""
    av = pytest.importorskip("av")
    path = tmp_path / "clip.mp4"
    noise = np.random.default_rng(7).integers(0, 255, (120, 160, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for _ in range(25):
            frame = av.VideoFrame.from_ndarray(noise, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_profile_is_explained_with_page_json_and_a_picture_of_each_passage(
    lfr: Callable[..., Any], board: Any, clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = lfr("why", clip, "-p", board.profile, "--out", out, "--json")
    assert result.code == 0, result.err
    assert json.loads((out / "why.json").read_text(encoding="utf-8")) == result.json
    (passage,) = result.json["passages"]
    assert (passage["number"], passage["frames"], passage["verdict"]) == (1, 25, "not_matched")
    assert passage["picture"] == "pictures/passage-00001.png"
    assert (out / passage["picture"]).stat().st_size
    assert passage["picture"] in (out / "index.html").read_text(encoding="utf-8")
    assert sorted(one.name for one in out.iterdir()) == ["index.html", "pictures", "why.json"]
    assert not (board.folder / "loudest.json").exists(), "no sink of the profile is told anything"


def test_a_second_run_leaves_no_picture_of_the_first_and_nothing_of_anybody_else_is_touched(
    lfr: Callable[..., Any], board: Any, clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "pictures").mkdir(parents=True)
    (out / "pictures" / "passage-00009.png").write_bytes(b"old")
    (out / "pictures" / "holiday.png").write_bytes(b"mine")
    assert lfr("why", clip, "-p", board.profile, "--out", out).code == 0
    assert sorted(one.name for one in (out / "pictures").iterdir()) == ["holiday.png", "passage-00001.png"]


def test_the_table_fits_and_no_profile_is_needed(
    lfr: Callable[..., Any], clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    result = lfr("why", clip)
    assert result.code == 0, result.err
    assert max(map(len, result.out.splitlines())) <= 80
    assert "clip.mp4: 160x120, 1.0 s, nobody listed" in result.out
    assert "nobody passed" in result.out
    assert "permit: demo (built in; plays files only)" in result.out
    assert (tmp_path / "lfr-why" / "index.html").is_file()
    assert "left in lfr-why/" in result.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["no-such.mp4"], "'no-such.mp4' does not exist"),
        ([], "Missing argument 'CLIP'"),
        (["{clip}", "-p", "{clip}", "--watchlist", "{folder}"], "expected --profile or --watchlist, got both"),
        (["{clip}", "--watchlist", "{clip}"], "Invalid value for '--watchlist'"),
        (["{clip}", "-p", "{clip}"], "expected UTF-8 text"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_reason(
    arguments: list[str], problem: str, lfr: Callable[..., Any], clip: Path, tmp_path: Path
) -> None:
    result = lfr("why", *(one.format(clip=clip, folder=tmp_path) for one in arguments))
    assert (result.code, result.out) == (2, "")
    assert problem in " ".join(result.err.split())


def test_what_is_no_clip_fails_with_1_and_leaves_no_drafts(lfr: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"this is no video")
    out = tmp_path / "out"
    result = lfr("why", path, "--out", out)
    assert (result.code, result.out) == (1, "")
    assert "error: " in result.err
    assert "Traceback" not in result.err
    assert list(out.iterdir()) == []


def test_a_folder_that_may_not_be_made_fails_with_1(lfr: Callable[..., Any], clip: Path) -> None:
    result = lfr("why", clip, "--out", clip / "below")
    assert result.code in {1, 2}
    assert "Traceback" not in result.err


def test_the_help_says_that_faces_are_hidden_without_a_way_round_it(lfr: Callable[..., Any]) -> None:
    text = " ".join(lfr("why", "--help").out.split())
    assert "pixelated for good before anything is written" in text
    assert "cannot be turned off" in text
    assert "Exit codes: 0 it ran, 1 it failed, 2 wrong usage." in text


@pytest.mark.slow
def test_the_stage_is_explained_as_it_is_recognised(
    lfr: Callable[..., Any], shared: Callable[[str], Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    clip = shared("media/white-house-stage-360p.mp4")
    result = lfr("why", clip, "--watchlist", shared("media/watchlist"), "--out", out, "--json")
    assert result.code == 0, result.err
    passages, funnel = result.json["passages"], result.json["funnel"]
    assert len(passages) == funnel["passages"]["seen"]
    assert "lin-manuel-miranda" in {person for one in passages for person in one["persons"]}
    assert sum(one["asked"] for one in passages) == funnel["faces"]["asked"]
    assert all((out / one["picture"]).is_file() for one in passages)
    small = [one for one in passages if one["reason"] == "gated_too_small"]
    assert small
    assert all("px, and the gate is 32" in one["says"] for one in small)
