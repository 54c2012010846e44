"""Files that are not what they should be: a clear error each, never a traceback."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FRAMES = 50


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Write two seconds of a board that moves, as MP4 with its index in front."""
    av = pytest.importorskip("av")
    path = tmp_path / "clip.mp4"
    noise = np.random.default_rng(7).integers(0, 255, (120, 160, 3), np.uint8)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("mpeg4", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.roll(noise, number, axis=1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def play(lfr: Callable[..., Any], board: Any) -> Callable[..., Any]:
    """Run the board's profile over a file instead of its own camera."""

    def run(path: Path, *arguments: str) -> Any:
        text = board.profile.read_text(encoding="utf-8")
        text = text.replace('plugin = "checkerboard"\n', "").replace("frames = 25", f"url = '{path}'")
        return lfr("-p", board.write(text), *arguments)

    return run


def test_a_whole_clip_is_read_to_its_end(play: Callable[..., Any], clip: Path) -> None:
    result = play(clip, "--json")
    assert result.code == 0
    assert result.json["frames"]["read"] == FRAMES


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("notes.mp4", b"this is no video\n" * 100, "notes.mp4 cannot be read: "),
        ("empty.mp4", b"", "empty.mp4 is empty (0 bytes); expected a video"),
        ("missing.mp4", None, "missing.mp4 cannot be opened: there is no such file"),
        ("folder", ..., "folder is a folder; expected a video file"),
    ],
)
def test_a_file_that_is_no_video(
    name: str, content: Any, problem: str, play: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is ...:
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    result = play(path, "--json")
    assert result.code == 1
    assert not result.out
    assert "error: " in result.err
    assert f"video {tmp_path}/{problem}" in result.err
    assert "Traceback" not in result.err


def test_a_truncated_clip_fails_after_all_that_could_be_read(play: Callable[..., Any], clip: Path) -> None:
    whole = clip.read_bytes()
    clip.write_bytes(whole[: len(whole) * 6 // 10])
    result = play(clip, "--json")
    assert result.code == 1
    assert "error: camera:front: video " in result.err
    assert "truncated or damaged" in result.err
    assert "Traceback" not in result.err
    summary = result.json
    assert summary["ended"].startswith("failed: camera:front: video ")
    assert 0 < summary["frames"]["read"] < FRAMES
    frames = summary["frames"]
    assert frames["read"] == frames["processed"] + sum(frames["dropped"].values())


def test_a_clip_that_lacks_its_index(play: Callable[..., Any], clip: Path) -> None:
    clip.write_bytes(clip.read_bytes()[:100])
    result = play(clip)
    assert result.code == 1
    assert "error: " in result.err
    assert f"video {clip} cannot be read: " in result.err
