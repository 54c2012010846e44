"""What the warden tells the vault when it looks, and what it hears."""

from __future__ import annotations

from msgspec import Struct, field

from lfr_kernel.governance.deployment.takeup import News  # noqa: TC001  (msgspec resolves the annotations)
from lfr_kernel.governance.standing import Standing  # noqa: TC001

__all__ = ["Look", "Tally"]


class Look(Struct, frozen=True, kw_only=True):
    """What the warden finds when it looks."""

    deployment: int
    """Its serial number."""
    standing: Standing
    is_ending: bool
    """Whether somebody has ended the deployment."""
    why: str
    withdrawn: tuple[str, ...]
    """Entries that were taken off the list since the last look."""
    warning_min: int | None
    """Minutes to the end of which to warn, once."""
    remaining_s: float
    is_suspended: bool
    """Whether the stop rule lets no alert out."""
    threshold: News | None
    """A change of threshold that the index does not have yet."""


class Tally(Struct, frozen=True, kw_only=True):
    """What a run has counted so far."""

    seen: int
    alerts: int
    lost: dict[str, int] = field(default_factory=dict)
    """Passages of which nothing could be searched, by reason."""
