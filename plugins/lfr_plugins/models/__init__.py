"""The built-in weights, each with a card that says what it is, where it comes from and where it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfr_plugins.models.cards import Card, load_card

if TYPE_CHECKING:
    from lfr_plugins.models.sessions import load_session, overlapping_runs

__all__ = ["Card", "load_card", "load_session", "overlapping_runs"]


def __getattr__(name: str) -> Any:
    """Import ONNX Runtime only for those who run a model: reading a card must not cost it."""
    if name in {"load_session", "overlapping_runs"}:
        from lfr_plugins.models import sessions  # noqa: PLC0415  (that is the point)

        return getattr(sessions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
