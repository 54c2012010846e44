"""Does a sink of anchors keep its contract?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfr_kernel.governance.audit.anchors import Anchor
from lfr_kernel.testing._expect import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfr_kernel.governance.audit.anchors import AnchorSink

__all__ = ["check_anchors"]


def check_anchors(create: Callable[[], AnchorSink], *, delivered: Callable[[], list[str]] | None = None) -> None:
    """Check a sink of anchors: deliver, deliver one again, and deliver from a new instance.

    Args:
        create: makes the sink.
        delivered: returns the lines that the other side has. Without it idempotence is only tried, not counted.
    """
    lines = [
        Anchor(installation="van-7", number=number, head=f"{number:064x}", at="2026-03-01T10:00:00Z").line
        for number in (1, 2, 3)
    ]
    for batch in (lines[:2], lines[1:]):
        sink = create()
        for line in batch:
            returned: object = sink.deliver(line)  # type: ignore[func-returns-value]
            expect(returned is None, f"deliver must return None once the anchor is taken, got {returned!r}")
    if delivered is not None:
        found = delivered()
        expect(found == lines, f"three anchors, one of them tried again: expected {lines}, got {found}")
