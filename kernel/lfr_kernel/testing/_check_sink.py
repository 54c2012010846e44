"""Does an alert sink keep its contract?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from lfr_kernel.stages.desk import EvidenceWithheldError
from lfr_kernel.stages.sink import Evidence, SinkContext
from lfr_kernel.testing._expect import expect
from lfr_kernel.testing.fakes import RAISED_AT_NS, a_notice

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfr_kernel.stages.sink import AlertSink

__all__ = ["check_sink"]


async def check_sink(
    create: Callable[[SinkContext], AlertSink],
    *,
    delivered: Callable[[], int] | None = None,
    details: bool = True,
    pictures: bool = True,
) -> None:
    """Check a sink: deliver twice what may be delivered twice, expire, close.

    Args:
        create: makes the sink.
        delivered: returns how many alerts the other side has. Without it idempotence is only tried, not counted.
        details: whether its notices come with their alerts, as the profile would say. Check with and without, unless
            the sink refuses to be created without.
        pictures: likewise whether it may see pictures; not without details.
    """
    sink = create(_context(details=details, pictures=pictures and details))
    alerts = [a_notice(number, details=details) for number in (1, 2, 3)]
    # What is tried again may have become another state meanwhile, and be too late by now.
    again = msgspec.structs.replace(alerts[0], state="viewed", is_actionable=False)
    for notice in (alerts[0], alerts[0], alerts[1], again, alerts[2]):
        before = msgspec.json.encode(notice)
        returned: object = await sink.deliver(notice)  # type: ignore[func-returns-value]
        expect(returned is None, f"deliver must return None once the notice is taken, got {returned!r}")
        expect(msgspec.json.encode(notice) == before, "deliver must leave the notice as it is")
    if delivered is not None:
        count = delivered()
        expect(count == len(alerts), f"three alerts, two of them tried again: deliver must be idempotent, got {count}")
    expect(await _expire(sink, 0) == 0, "expire(0) must destroy nothing: every alert is newer")
    first = await _expire(sink, alerts[1].alerted_at_ns)
    expect(first in {0, 1}, f"one of three alerts was raised before the limit; expire destroyed {first}")
    rest = await _expire(sink, RAISED_AT_NS * 2)
    expect(
        rest == 2 * first, f"expire must destroy all that is older, of what a sink keeps: first {first}, then {rest}"
    )
    expect(await _expire(sink, RAISED_AT_NS * 2) == 0, "what has expired must be gone: expire destroyed it again")
    for time in ("once", "a second time"):
        try:
            await sink.close()
        except Exception as error:
            raise AssertionError(f"close must not raise; called {time}, it raised {error!r}") from error


async def _expire(sink: AlertSink, before_ns: int) -> int:
    count = await sink.expire(before_ns)
    expect(
        isinstance(count, int) and not isinstance(count, bool) and count >= 0,
        f"expire must return how many alerts it destroyed, got {count!r}",
    )
    return count


def _context(*, details: bool, pictures: bool) -> SinkContext:
    def show(_reference: str) -> Evidence:
        if not pictures:
            raise EvidenceWithheldError("this sink was told that it sees no pictures, and asked for some")
        return Evidence(probe=np.zeros((112, 112, 3), np.uint8), listed=np.zeros((224, 224, 3), np.uint8))

    async def run_blocking(call: Callable[[], None]) -> None:
        call()

    return SinkContext(evidence=show, run_blocking=run_blocking, details=details, pictures=pictures)
