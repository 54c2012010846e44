"""Renders the demo's clip: people who walk past a camera, put together from public-domain portraits.

It is a collage: the street and the bodies are drawn, the faces are photographs. It shows that the pipeline works;
it does not measure how well. Every frame is a pure function of its number, so that frames can be made in parallel
and the same clip comes out each time.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Final

import av
import cv2
from av.video.reformatter import ColorRange, Colorspace
from msgspec import Struct

from lfr_kernel.api import PassingError, PermanentError
from lfr_plugins.lab.choreography import FRAMES, FRAMES_PER_S, PASSAGES, VIEW, GroundTruth, ground_truth
from lfr_plugins.lab.compositing import Compositor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["GroundTruth", "WalkPast", "render"]

_THREADS = 2
_AHEAD = 6
"""How many frames are in the making at once: enough for the encoder never to wait, few enough to bound memory."""
_CODEC: Final = "libx264"
_ENCODER_OPTIONS = {"crf": "23", "preset": "veryfast"}


class WalkPast(Struct, frozen=True, kw_only=True):
    """A rendered clip, and who walks through it when."""

    path: Path
    frames: int
    fps: int
    size: tuple[int, int]
    """(width, height) in px."""
    passages: tuple[GroundTruth, ...]


def render(path: Path, *, progress: Callable[[float], None] | None = None) -> WalkPast:
    """Render the walk-past clip as H.264 in MP4.

    Args:
        path: the clip. It is written beside, then renamed: it exists whole or not at all.
        progress: called on this thread with the share that is done, in [0, 1], rising.

    Returns:
        What was rendered, with the ground truth of who passes when.

    Raises:
        PermanentError: the folder does not exist, or this FFmpeg cannot encode H.264.
        PassingError: the file cannot be written (full disk, missing rights).
    """
    if not path.parent.is_dir():
        raise PermanentError(
            f"{path.parent}: expected a folder to write the demo's clip into, found none; make it first"
        )
    beside = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        _encode(beside, Compositor.build(VIEW, PASSAGES), progress)
        beside.replace(path)
    except OSError as error:
        raise PassingError(f"{path}: cannot write the demo's clip ({error}); free space or choose another") from error
    except (av.error.FFmpegError, ValueError) as error:
        raise PermanentError(f"{path}: cannot encode the demo's clip, PyAV needs libx264 ({error})") from error
    finally:
        beside.unlink(missing_ok=True)
    return WalkPast(path=path, frames=FRAMES, fps=FRAMES_PER_S, size=(VIEW.width, VIEW.height),
                    passages=ground_truth())  # fmt: skip


def _encode(path: Path, compositor: Compositor, progress: Callable[[float], None] | None) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(_CODEC, rate=FRAMES_PER_S, options=_ENCODER_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = VIEW.width, VIEW.height, "yuv420p"
        stream.time_base = Fraction(1, FRAMES_PER_S)
        stream.thread_count = _THREADS
        # What OpenCV converts to; without a tag a player would take 720 lines for BT.709.
        stream.codec_context.colorspace = Colorspace.SMPTE170M
        stream.codec_context.color_range = ColorRange.MPEG
        for number, planes in enumerate(_in_parallel(compositor)):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
            if progress is not None:
                progress((number + 1) / FRAMES)
        container.mux(stream.encode(None))


def _in_parallel(compositor: Compositor) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames in order as planes (I420, uint8 [H * 3 / 2, W]), some made ahead in threads."""

    def make(number: int) -> NDArray[np.uint8]:
        return cv2.cvtColor(compositor.frame(number), cv2.COLOR_BGR2YUV_I420)  # type: ignore[return-value]

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="walkpast") as pool:
        numbers = iter(range(FRAMES))
        ahead = [pool.submit(make, number) for number in islice(numbers, _AHEAD)]
        while ahead:
            yield ahead.pop(0).result()
            ahead += [pool.submit(make, number) for number in islice(numbers, 1)]
