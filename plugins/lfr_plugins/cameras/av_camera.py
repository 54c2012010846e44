"""A camera over FFmpeg: video files, network streams and capture devices."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any, Final
from urllib.request import url2pathname

import av
import av.error

from lfr_kernel.api import EndOfInput, PassingError, PermanentError, Reading
from lfr_plugins.cameras._source import Source, SourceClosedError, video_stream
from lfr_plugins.cameras.config import is_live, mask_text, mask_url
from lfr_plugins.cameras.picture import YuvPicture

if TYPE_CHECKING:
    from av.container import InputContainer

    from lfr_kernel.api import LfrError, Pace
    from lfr_plugins.cameras.config import AvConfig

__all__ = ["AvCamera"]

_PATIENCE_S: Final = 1.0
"""How long `read` goes through packets that hold no picture before it lets its host look around."""
_LIVE_OPTIONS: Final = {"fpsprobesize": "0"}
"""Saves about 0.7 s at each connection; nobody needs the frame rate. `fflags=nobuffer` does harm: it throws the
first key frame away, and the next one may be seconds off."""
_RTSP_OPTIONS: Final = {"rtsp_transport": "tcp"}
"""Over UDP, lost packets become smeared faces."""
_FILE: Final = "file://"
_UNKNOWN_TO_FFMPEG: Final = (
    av.error.DecoderNotFoundError,
    av.error.DemuxerNotFoundError,
    av.error.OptionNotFoundError,
    av.error.ProtocolNotFoundError,
)


class AvCamera:
    """Reads whatever FFmpeg reads.

    A file is opened where it lies; a relative path starts at the working directory. A stream or a device is `live`
    and every failure of it is passing, since cameras come back. A file's failures are permanent. No error shows
    the user, password or query of the URL.

    Args:
        config: where the pictures come from.
    """

    pace: Pace

    def __init__(self, config: AvConfig) -> None:
        self._config = config
        self._is_live = is_live(config)
        self.pace = "live" if self._is_live else "realtime" if config.realtime else "unpaced"
        self._name = f"camera {mask_url(config.url)}" if self._is_live else f"video {_path(config.url)}"
        self._source: Source | None = None
        self._waited_s = 0.0
        self._lock = threading.Lock()
        self._closed = 0

    def open(self) -> None:
        """Open the file, or connect; takes up to twice `timeout_s`, since FFmpeg connects and then looks.

        Raises:
            PermanentError: a file is missing, unreadable, truncated or no video; or FFmpeg lacks the format,
                protocol or decoder.
            PassingError: a stream or a device does not answer, refuses, or sends something else.
        """
        closed = self._closed
        self._install(self._opened(), closed)
        self._waited_s = 0.0

    def read(self) -> Reading | None:
        """Return the next picture, or None when a live source sent packets for a second but no picture.

        Blocks while a live source is silent, since FFmpeg's readers do not survive an interruption: up to
        `timeout_s`, and RTSP once more as long, for FFmpeg first hands out what it has.

        Raises:
            EndOfInput: the file has ended and is not looped.
            PermanentError: the file ended early, so it is truncated or damaged; every picture that could be read
                has been returned.
            PassingError: the stream ended, broke off, or sent no picture for `timeout_s`.
        """
        began, closed = time.monotonic(), self._closed
        while True:
            source = self._source
            if source is None:
                raise PassingError(f"{self._name} is not open")
            taken = source.take()
            if taken is not None:
                self._waited_s = 0.0
                frame, position_ns = taken
                return Reading(picture=YuvPicture(frame), position_ns=position_ns)
            waited_s = time.monotonic() - began
            if self._is_live and waited_s > _PATIENCE_S:
                self._count_waiting(waited_s)
                return None
            if not self._decode(source):
                self._finish(source)
                self._install(self._opened(), closed)

    def close(self) -> None:
        """Release the file, socket or device; a read that is still blocked in another thread ends it instead."""
        with self._lock:
            self._closed += 1
            source, self._source = self._source, None
        if source is not None:
            source.close()

    def _install(self, source: Source, closed: int) -> None:
        """Make `source` the one to read, unless `close` has been called since `closed` was noted."""
        with self._lock:
            is_stale = closed != self._closed
            unused = source if is_stale else self._source
            if not is_stale:
                self._source = source
        if unused is not None:
            unused.close()
        if is_stale:
            raise PassingError(f"{self._name} was closed while it was being opened")

    def _opened(self) -> Source:
        container = self._container()
        try:
            stream = video_stream(container)
            if stream is not None:
                return Source(container, stream, is_live=self._is_live)
        except BaseException:
            container.close()
            raise
        container.close()
        raise self._failure("it holds no moving picture that FFmpeg can decode; expected a video")

    def _container(self) -> InputContainer:
        config = self._config
        options = {**_LIVE_OPTIONS, **config.options} if self._is_live else config.options
        if config.url.lower().startswith(("rtsp://", "rtsps://")):
            options = {**_RTSP_OPTIONS, **options}
        target = config.url if self._is_live else str(self._checked_file())
        timeout = (config.timeout_s, config.timeout_s) if self._is_live else None
        began = time.monotonic()
        try:
            return av.open(target, format=config.format, options=dict(options), timeout=timeout)
        except (av.error.FFmpegError, ValueError) as error:
            failure = self._translated(error, began)
        # Outside of the handler: the original error holds the URL as it is, and would be printed as the context.
        raise failure

    def _checked_file(self) -> Path:
        path = _path(self._config.url)
        try:
            status = path.stat()
        except (OSError, ValueError) as error:
            missing = isinstance(error, FileNotFoundError)
            raise PermanentError(
                f"{self._name} cannot be opened: {'there is no such file' if missing else error}"
            ) from error
        if S_ISDIR(status.st_mode):
            raise PermanentError(f"{self._name} is a folder; expected a video file, or the camera plugin for pictures")
        if S_ISREG(status.st_mode) and not status.st_size:
            raise PermanentError(f"{self._name} is empty (0 bytes); expected a video")
        return path

    def _decode(self, source: Source) -> bool:
        began = time.monotonic()
        try:
            return source.decode()
        except SourceClosedError:
            failure: LfrError = PassingError(f"{self._name} was closed while it was being read")
        except av.error.FFmpegError as error:
            if not self._is_live:
                return False
            failure = self._translated(error, began)
        raise failure

    def _count_waiting(self, waited_s: float) -> None:
        self._waited_s += waited_s
        if self._waited_s > self._config.timeout_s:
            raise PassingError(f"{self._name} sends data, but no picture for {self._config.timeout_s:g} s")

    def _finish(self, source: Source) -> None:
        """Raise what the end of the source means; return only when it is to be played again."""
        if self._is_live:
            raise PassingError(f"{self._name}: the stream ended")
        damage = source.damage()
        if damage:
            raise PermanentError(f"{self._name} {damage}")
        if not self._config.loop:
            raise EndOfInput

    def _translated(self, error: Exception, began: float) -> LfrError:
        """Return our error for one of FFmpeg's, without the secrets of the URL."""
        timeout_s = self._config.timeout_s
        # Some of FFmpeg's readers take the interruption for bad data.
        if self._is_live and (isinstance(error, av.error.ExitError) or time.monotonic() - began >= timeout_s):
            return self._failure(f"no answer within {timeout_s:g} s")
        if not isinstance(error, av.error.FFmpegError):
            return PermanentError(f"{self._name} cannot be opened: {self._masked(str(error))}")
        reason = error.strerror or type(error).__name__
        log: Any = error.log  # (level, part of FFmpeg, text); the stub is wrong
        if log:
            reason = f"{reason} ({log[2].strip()})"
        reason = self._masked(reason)
        if isinstance(error, _UNKNOWN_TO_FFMPEG):
            return PermanentError(f"{self._name} cannot be opened: {reason}; this build of FFmpeg cannot read it")
        if isinstance(error, av.error.PermissionError):
            reason += "; let the account that runs this read it"
        elif not self._is_live:
            reason += "; it is no video, or truncated or damaged"
        return self._failure(reason)

    def _failure(self, reason: str) -> LfrError:
        kind = PassingError if self._is_live else PermanentError
        return kind(f"{self._name} cannot be read: {reason}")

    def _masked(self, text: str) -> str:
        return mask_text(text, self._config.url)


def _path(url: str) -> Path:
    path = Path(url2pathname(url[len(_FILE) :]) if url.lower().startswith(_FILE) else url)
    with suppress(RuntimeError):  # there is no such user: the file will be missing, and the message says which
        path = path.expanduser()
    return path.absolute()
