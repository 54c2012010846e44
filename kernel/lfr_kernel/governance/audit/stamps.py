"""The latest time that entries of the chain make certain: each tells when it was made, by both clocks.

A chain only grows, so nobody can read all of it whenever something is asked. Each checkpoint therefore says what the
entries before it make certain, and what comes after starts from there. That is worked out from the chain alone, is
signed with it, and says nothing that whoever reads the whole chain cannot work out again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from lfr_kernel.governance.audit.chain import stamp_of
from lfr_kernel.governance.instant import Instant, remember

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["STAMPED", "STAMPED_TOLERANCE_S", "certain_by"]

STAMPED_TOLERANCE_S = 10.0
"""Seconds by which the clocks of two entries may drift apart; the strictest built-in pack's `clock_tolerance_s`."""
STAMPED = """SELECT body FROM entries WHERE number >= max(
        coalesce((SELECT max(number) FROM entries WHERE act = 'clock_confirmed'), 1),
        coalesce((SELECT number FROM entries WHERE act = 'checkpoint'
            AND json_extract(body, '$.facts.known') IS NOT NULL ORDER BY number DESC LIMIT 1), 1)
    ) ORDER BY number"""
"""The entries that `certain_by` needs: from what somebody confirmed, or the last checkpoint, to the end."""


def certain_by(bodies: Iterable[str]) -> Instant | None:
    """Return the latest time that is certain to have come; None without an entry.

    An entry that was made by a clock which had jumped, or was behind, does not move it: else whoever starts a session
    first would make either be forgotten. What somebody confirmed counts from there.

    Args:
        bodies: what `STAMPED` selects.

    Raises:
        ValueError: one is no body of an entry.
    """
    known: Instant | None = None
    for place, body in enumerate(bodies):
        if place == 0:
            known = _said(body)
        known = remember(known, stamp_of(body), tolerance_s=STAMPED_TOLERANCE_S)
    return known


def _said(body: str) -> Instant | None:
    """Return what an entry says of those before it; None if it is no checkpoint that says so."""
    entry: dict[str, Any] = msgspec.json.decode(body)
    known = entry.get("facts", {}).get("known") if entry["act"] == "checkpoint" else None
    return None if known is None else msgspec.convert(known, Instant)
