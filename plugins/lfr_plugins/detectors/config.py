"""Settings of the built-in detector."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

__all__ = ["RetinaFaceConfig"]


class RetinaFaceConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the detector `retinaface`."""

    longest_side: Annotated[
        int,
        Meta(
            ge=320,
            le=1920,
            description="Longest side in px that pictures are scaled down to before faces are looked for, rounded to "
            "a multiple of 32. Twice the side finds faces half as large and takes four times as long.",
        ),
    ] = 640
    confidence: Annotated[
        float,
        Meta(
            ge=0.3,
            le=0.99,
            description="Least confidence of a detection. Lower finds more turned, small and covered faces, and more "
            "that are none.",
        ),
    ] = 0.6
    max_faces: Annotated[
        int, Meta(ge=1, le=1000, description="Most faces of one picture; the least confident are left out.")
    ] = 128
