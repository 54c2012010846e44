"""Models: the built-in weights and one's own, each with a card that says what it is, whose it is and where it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfr_plugins.models.cards import Card, load_card
from lfr_plugins.models.devices import overlapping_runs

if TYPE_CHECKING:
    from lfr_plugins.models.sessions import Loaded, load_model

__all__ = ["Card", "Loaded", "load_card", "load_model", "overlapping_runs"]


def __getattr__(name: str) -> Any:
    """Import ONNX Runtime only for those who run a model: reading a card must not cost it."""
    if name in {"Loaded", "load_model"}:
        from lfr_plugins.models import sessions  # noqa: PLC0415  (that is the point)

        return getattr(sessions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
