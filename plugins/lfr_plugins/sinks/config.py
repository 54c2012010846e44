"""What can be set on the built-in sinks. Importing this module loads neither OpenCV nor rich."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

__all__ = ["JsonlConfig", "PicturesConfig"]


class JsonlConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Options of the sink `jsonl`."""

    path: Annotated[
        str, Meta(min_length=1, description="the file that gets one JSON object an alert; folders are made as needed")
    ]


class PicturesConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Options of the sink `pictures`."""

    folder: Annotated[
        str, Meta(min_length=1, description="where one PNG an alert goes; needs `evidence = true` for this sink")
    ]
