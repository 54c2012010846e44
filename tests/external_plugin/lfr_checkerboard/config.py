"""What can be set. Imports nothing heavy: it is read at every start, and by `lfr-kernel plugins`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

__all__ = ["CheckerboardConfig", "LoudestConfig"]


class CheckerboardConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Options of the camera `checkerboard`."""

    frames: Annotated[int, Meta(ge=0, description="how many pictures there are; 0: no end")] = 25
    square_px: Annotated[int, Meta(ge=4, le=128, description="side of a square of the board")] = 20
    realtime: Annotated[bool, Meta(description="25 pictures a second instead of as many as can be taken")] = False


class LoudestConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Options of the sink `loudest`."""

    path: Annotated[str, Meta(min_length=1, description="the file that gets the alert, as one JSON object")]
