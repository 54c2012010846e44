"""The camera stage: its contract, and the actor that hosts a plugin of it."""

from __future__ import annotations

import random
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from lfr_kernel.messages import Frame, Picture
from lfr_kernel.runtime import CallAbandonedError, PassingError, Source, describe
from lfr_kernel.stages.measure import backoff_s
from lfr_kernel.stages.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from lfr_kernel.runtime import Lane

__all__ = [
    "Camera",
    "CameraFacts",
    "CameraHost",
    "CameraLimits",
    "CameraState",
    "EndOfInput",
    "Pace",
    "Reading",
    "StillCodec",
]

Pace = Literal["live", "realtime", "unpaced"]


class EndOfInput(Exception):  # noqa: N818  (an end, not an error)
    """Raised by `Camera.read` when a file has come to its end."""


class Reading(Struct, frozen=True, kw_only=True, eq=False):
    """What a camera plugin returns for one picture; the host makes a `Frame` of it."""

    picture: Picture
    position_ns: int
    """The picture's time stamp in the stream, ns from any origin; the host makes one rising time line of it."""


class Camera(Protocol):
    """A source of pictures. One instance a camera; every call runs on a lane (thread) of its own, one at a time.

    Reconnecting is the host's job: after an error it calls `close`, waits, and calls `open` again. A
    `PermanentError` ends the run instead. A call that hangs is abandoned at the host's deadline.
    """

    pace: Pace
    """`live`: frames come when they come. `realtime`: a file to be played at its own speed, which the host does.
    `unpaced`: a file to be read as fast as the pipeline can take it, losing nothing."""

    def open(self) -> None:
        """Connect or open. May block up to the host's deadline.

        Raises:
            PermanentError: it will never work (no such file, not a video).
            PassingError: it may work later (connection refused).
        """

    def read(self) -> Reading | None:
        """Return the next picture, or None when there is none yet (return within a second or so).

        Raises:
            EndOfInput: a file has ended.
            PermanentError, PassingError: as for `open`.
        """

    def close(self) -> None:
        """Release everything. Called after errors too, and possibly without `open`; must not raise."""


class StillCodec(Protocol):
    """Packs portraits into bytes, and back, for sealed lists. Calls block, on any thread, and may overlap."""

    def encode(self, pixels: NDArray[np.uint8]) -> bytes:
        """Return a picture, uint8 [H, W, 3] RGB, in a format that `decode` reads. It is not kept."""

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Return the pixels, uint8 [H, W, 3] RGB, of what `encode` returned; the caller owns them.

        Raises:
            PermanentError: it is damaged, or something else.
        """


class CameraState(StrEnum):
    """What a camera's host is doing."""

    CONNECTING = "connecting"
    STREAMING = "streaming"
    RECONNECTING = "reconnecting"
    ENDED = "ended"


class CameraFacts(Struct, frozen=True, kw_only=True):
    """A snapshot of one camera."""

    name: str
    state: CameraState
    read: int
    width: int
    height: int
    reconnects: int
    last_error: str | None


class CameraLimits(Struct, frozen=True, kw_only=True):
    """How long the host waits for a camera. Seconds."""

    open_s: float = 30.0
    read_s: float = 25.0
    silence_s: float = 10.0
    """Without a picture for so long, a live camera is connected anew."""
    close_s: float = 1.0
    first_backoff_s: float = 0.5
    max_backoff_s: float = 30.0
    jitter: float = 0.25


class CameraHost(Source):
    """Reads one camera: on a lane of its own, at its own pace, for ever.

    A live camera that fails is closed and opened anew, with a growing wait; the first connect is no exception. A file
    that cannot be opened fails the start. An instance whose call hung is left behind: closing it could crash.
    """

    produces = (Frame,)

    def __init__(
        self,
        name: str,
        create: Callable[[], Camera],
        lane: Lane,
        *,
        limits: CameraLimits | None = None,
        log: Callable[..., None] = lambda *_, **__: None,
        seed: int | None = None,
    ) -> None:
        super().__init__(f"camera:{name}")
        self.camera_name = name
        self._create = create
        self._lane = lane
        self._limits = limits or CameraLimits()
        self._log = log
        self._rng = random.Random(seed)  # noqa: S311  (jitter, not a secret)
        self._camera: Camera | None = None
        self._is_open = False
        self._timeline = Timeline()
        self._sequence = 0
        self._size = (0, 0)
        self._origin_ns: int | None = None
        self._heard_ns = 0
        self._last_picture_ns = 0
        self._failures = 0
        self._reconnects = 0
        self._state = CameraState.CONNECTING
        self._last_error: str | None = None

    async def setup(self) -> None:
        """Create the plugin; open it if it is a file."""
        self._camera = self._create()
        if self._camera.pace != "live":
            try:
                await self._open(self._camera)
            except CallAbandonedError:
                self._camera = None
                raise

    async def produce(self) -> bool:
        """Read one picture and send it on."""
        camera = self._camera
        try:
            if camera is None:
                camera = self._camera = self._create()
            if not self._is_open:
                await self._open(camera)
            reading = await self._lane.run(camera.read, deadline_s=self._limits.read_s)
        except EndOfInput:
            self._state = CameraState.ENDED
            return False
        except Exception as error:
            await self._leave(error)
            if camera is None or camera.pace != "live" or getattr(error, "is_permanent", False):
                raise
            await self._wait_before_reconnecting(error)
            return True
        if reading is not None:
            await self._send(reading, camera.pace)
        elif self.clock.monotonic_ns() - self._heard_ns > self._limits.silence_s * 1e9:
            silence = PassingError(f"camera {self.camera_name!r} sent no picture for {self._limits.silence_s:g} s")
            await self._leave(silence)
            await self._wait_before_reconnecting(silence)
        return True

    async def _open(self, camera: Camera) -> None:
        await self._lane.run(camera.open, deadline_s=self._limits.open_s)
        self._is_open = True
        self._heard_ns = self.clock.monotonic_ns()

    async def _send(self, reading: Reading, pace: Pace) -> None:
        now_ns, decoded_at_ns = self.clock.monotonic_ns(), self.clock.utc_ns()
        pause_ns = now_ns - self._last_picture_ns
        self._heard_ns = self._last_picture_ns = now_ns
        self._failures = 0
        self._state = CameraState.STREAMING
        self._size = reading.picture.size
        if self._origin_ns is None:
            self._origin_ns = now_ns
        stream_ns = self._timeline.rise(reading.position_ns, pause_ns if pace == "live" else None)
        if pace == "realtime":
            due_ns = self._origin_ns + stream_ns
            await self.clock.sleep((due_ns - now_ns) / 1e9)
            # Late by decoding is late: the picture was there to be seen when it was due.
            now_ns = due_ns
        frame = Frame(
            camera=self.camera_name,
            sequence=self._sequence,
            picture=reading.picture,
            captured_at_ns=self.clock.utc_ns(),
            captured_monotonic_ns=now_ns,
            stream_ns=stream_ns,
            decoded_at_ns=decoded_at_ns,
        )
        self._sequence += 1
        await self.emit(frame)

    async def _leave(self, error: Exception) -> None:
        self._last_error = describe(error)
        if isinstance(error, CallAbandonedError):
            self._camera, self._is_open = None, False
        await self._close()

    async def _close(self) -> None:
        camera, self._camera, self._is_open = self._camera, None, False
        if camera is None:
            return
        try:
            await self._lane.run(camera.close, deadline_s=self._limits.close_s)
        except Exception as error:  # noqa: BLE001  (it must not raise; if it does, the camera is gone all the same)
            self._log("camera_not_closed", camera=self.camera_name, error=describe(error))

    async def _wait_before_reconnecting(self, error: Exception) -> None:
        self._state = CameraState.RECONNECTING
        limits = self._limits
        wait_s = backoff_s(self._failures, limits.first_backoff_s, limits.max_backoff_s)
        wait_s *= 1 + limits.jitter * self._rng.random()
        self._failures += 1
        self._reconnects += 1
        self._log("camera_lost", camera=self.camera_name, error=describe(error), retry_in_s=round(wait_s, 2))
        await self.clock.sleep(wait_s)

    async def teardown(self) -> None:
        """Close the plugin."""
        await self._close()

    def facts(self) -> CameraFacts:
        """Return a snapshot."""
        return CameraFacts(
            name=self.camera_name,
            state=self._state,
            read=self._sequence,
            width=self._size[0],
            height=self._size[1],
            reconnects=self._reconnects,
            last_error=self._last_error,
        )
