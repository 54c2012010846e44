"""The camera stage: its contract, and the actor that hosts a plugin of it."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

from lfr_kernel.messages import Picture

__all__ = ["Camera", "EndOfInput", "Pace", "Reading"]

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
