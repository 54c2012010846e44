"""What can be set on the tracker `passage`. Importing this module loads neither OpenCV nor SciPy."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

__all__ = ["PassageConfig"]


class PassageConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Options of the tracker `passage`: when a passage ends, and which of its faces are embedded."""

    lost_after_s: Annotated[
        float,
        Meta(
            ge=0.1,
            le=10.0,
            description="a passage ends when its face was not seen for so many stream seconds",
            extra={"recognition": False},
        ),
    ] = 1.0
    max_probes: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            description="how many faces of one passage are embedded at most, spread over it",
            extra={"recognition": False},  # it counts as `looks`, of which fewer are no departure
        ),
    ] = 16
    min_confidence: Annotated[
        float, Meta(ge=0.0, le=1.0, description="faces detected with less confidence are not embedded")
    ] = 0.6
    min_face_px: Annotated[
        float, Meta(ge=8.0, le=1000.0, description="faces narrower than this, in px of the picture, are not embedded")
    ] = 32.0
    min_frontality: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1.0,
            description="faces turned further away are not embedded; 1 is frontal, 0.15 nearly side on; "
            "those that are embedded count the less in their passage's pool, the further they are turned",
        ),
    ] = 0.02
    min_sharpness: Annotated[
        float,
        Meta(ge=0.0, le=1.0, description="faces more blurred than this are not embedded; 0.6 is an everyday face"),
    ] = 0.15
    every_face: Annotated[
        bool,
        Meta(description="embed every face of every frame, good or bad: for benchmarks; `max_probes` is ignored"),
    ] = False

    @property
    def looks(self) -> int | None:
        """How many faces of one passage are embedded at most; None without a limit."""
        return None if self.every_face else self.max_probes
