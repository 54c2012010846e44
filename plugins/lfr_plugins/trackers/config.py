"""What can be set on the tracker `passage`. Importing this module loads neither OpenCV nor SciPy."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lfr_kernel.api import Gates

__all__ = ["PassageConfig"]


class PassageConfig(Gates, frozen=True, forbid_unknown_fields=True, kw_only=True):
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
    every_face: Annotated[
        bool,
        Meta(description="embed every face of every frame, good or bad: for benchmarks; `max_probes` is ignored"),
    ] = False

    @property
    def looks(self) -> int | None:
        """How many faces of one passage are embedded at most; None without a limit."""
        return None if self.every_face else self.max_probes
