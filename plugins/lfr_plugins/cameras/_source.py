"""One opened container: packets in, frames out, what was lost on the way, and a close that is always safe."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import av
import av.error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.video.stream import VideoStream

__all__ = ["Source", "SourceClosedError", "video_stream"]

_DECODER_THREADS: Final = 2
_NS_PER_S: Final = 1_000_000_000
_DEFAULT_RATE: Final = 25
_TOLERATED_SHARE: Final = 0.95
_TOLERATED_FRAMES: Final = 2
"""Containers count roughly: a file that holds a little less than it declares is whole."""
_TEXT_DECODERS: Final = frozenset({"ansi", "bintext", "idf", "xbin"})
"""FFmpeg would play text files as ANSI art."""


class SourceClosedError(Exception):
    """The source was closed while or before it was read."""


class Source:
    """A container that is being read.

    `decode` and `close` may run in two threads at once (a call that hung was abandoned, and the host closes): the
    container is then released by whichever ends last, since FFmpeg crashes when it is freed under a reader.

    Args:
        container: opened for reading; the source owns it.
        stream: what to decode.
        is_live: decode without the delay that decoding several frames at once brings.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, *, is_live: bool) -> None:
        # 1080p H.264: 4.7 ms a frame in one thread, 2.7 ms in two frame threads, which hold one frame back.
        stream.codec_context.thread_type = "SLICE" if is_live else "FRAME"
        stream.codec_context.thread_count = _DECODER_THREADS
        self._container: InputContainer | None = container
        self._packets: Iterator[av.Packet[Any]] | None = container.demux(stream)
        self._ready: deque[av.VideoFrame] = deque()
        self._lock = threading.Lock()
        self._is_closing = False
        self._period_ns = round(_NS_PER_S / (stream.average_rate or stream.guessed_rate or _DEFAULT_RATE))
        self._position_ns = -self._period_ns
        self._declared = _declared_frames(container, stream)
        self._declared_end_ns = _declared_end_ns(stream)
        self._packets_read = 0
        self._frames = 0
        self._undecodable = 0
        self._is_broken_off = False

    def decode(self) -> bool:
        """Read one packet and decode it; its frames, often none or one, can then be taken. False at the end.

        Packets that cannot be decoded are counted and skipped.

        Raises:
            av.error.FFmpegError: no packet can be read any more.
            SourceClosedError: somebody closed the source meanwhile.
        """
        try:
            with self._lock:
                if self._is_closing or self._packets is None:
                    raise SourceClosedError
                return self._decode(self._packets)
        finally:
            if self._is_closing:
                self.close()

    def _decode(self, packets: Iterator[av.Packet[Any]]) -> bool:
        try:
            packet = next(packets)
        except StopIteration:
            return False
        except av.error.FFmpegError:
            self._is_broken_off = True
            raise
        self._packets_read += packet.size > 0
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            # A recording may begin between key frames: what precedes the first picture is no damage.
            self._undecodable += self._frames > 0
            return True
        self._frames += len(frames)
        self._ready.extend(frames)
        return True

    def take(self) -> tuple[av.VideoFrame, int] | None:
        """Take the next decoded frame and its position in ns on the stream's own time line."""
        if not self._ready:
            return None
        frame = self._ready.popleft()
        stamp = frame.pts if frame.pts is not None else frame.dts
        if stamp is None or frame.time_base is None:
            self._position_ns += self._period_ns
        else:
            self._position_ns = stamp * _NS_PER_S * frame.time_base.numerator // frame.time_base.denominator
        return frame, self._position_ns

    def damage(self) -> str:
        """Say in words what is missing from a file that has been read to its end; empty when nothing is."""
        if not self._frames:
            return "holds no picture that can be read; the file is truncated or damaged"
        few = self._packets_read < _TOLERATED_SHARE * self._declared - _TOLERATED_FRAMES
        end_ns = self._position_ns + self._period_ns * (1 + _TOLERATED_FRAMES)
        early = end_ns < _TOLERATED_SHARE * self._declared_end_ns
        if not (few or early or self._undecodable or self._is_broken_off):
            return ""
        of = f" of {self._declared}" if self._declared else ""
        return f"ends early: {self._frames}{of} frames could be read; the file is truncated or damaged"

    def close(self) -> None:
        """Release the container, at once or when the call that is still reading returns."""
        self._is_closing = True
        if self._lock.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._lock.release()

    def _release(self) -> None:
        self._packets = None
        container, self._container = self._container, None
        if container is not None:
            container.close()


def video_stream(container: InputContainer) -> VideoStream | None:
    """Return the first stream that is a moving picture which can be decoded; cover art and text are none."""
    for stream in container.streams.video:
        codec = stream.codec_context
        is_cover = bool(stream.disposition & av.stream.Disposition.attached_pic)
        if codec is not None and codec.name not in _TEXT_DECODERS and not is_cover:
            return stream
    return None


def _declared_frames(container: InputContainer, stream: VideoStream) -> int:
    """Return how many packets the container says it has, 0 when it does not say.

    An MP4's index leaves out what its edit list cuts away; its frame count does not.
    """
    entries = len(stream.index_entries) if "mp4" in container.format.name.split(",") else 0
    return min(stream.frames, entries) if entries else stream.frames


def _declared_end_ns(stream: VideoStream) -> int:
    """Return where a Matroska stream says it ends, in ns, 0 when it does not say."""
    try:
        hours, minutes, seconds = stream.metadata["DURATION"].split(":")
        return round((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * _NS_PER_S)
    except (KeyError, ValueError):
        return 0
