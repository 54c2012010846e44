"""Settings of the built-in retention."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

__all__ = ["DurationsConfig"]


class DurationsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the retention `durations`."""

    alert_s: Annotated[
        float,
        Meta(
            ge=60,
            le=2_678_400,
            description="How many seconds the record of an alert lives, at most 31 days (2678400).",
        ),
    ] = 86_400.0
    evidence_s: Annotated[
        float,
        Meta(
            ge=60,
            le=86_400,
            description="How many seconds the two pictures of an alert live, at most 24 hours (86400).",
        ),
    ] = 3_600.0
