"""An instant as two clocks tell it: the wall clock, which people set, and the boot clock, which nobody does.

The boot clock counts from the start of the machine and through its suspends. Within one boot it says how much time has
passed, whatever becomes of the wall clock; across boots only the wall clock says anything.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import sys
import time
from functools import cache
from pathlib import Path

from msgspec import Struct

__all__ = [
    "UNKNOWN_BOOT",
    "Instant",
    "has_jumped",
    "is_behind",
    "is_same_boot",
    "moved",
    "nanoseconds",
    "read_clocks",
    "remember",
]

UNKNOWN_BOOT = "unknown"
"""The boot id on systems that tell none."""
_SECOND_NS = 10**9
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_TIME_ERROR = 5
"""What adjtimex returns for a clock that nothing keeps in step (adjtimex(2))."""
_TIMEX_BYTES = 512
"""More than any `struct timex`. All zero: `modes`, its first field, then asks and changes nothing."""
# The clock that counts suspends; time.monotonic does not, on either of these.
_BOOT_CLOCK: int | None = getattr(
    time, {"linux": "CLOCK_BOOTTIME", "darwin": "CLOCK_MONOTONIC"}.get(sys.platform, ""), None
)


class Instant(Struct, frozen=True, kw_only=True):
    """What both clocks say at once."""

    utc_ns: int
    """Wall clock: nanoseconds since 1970."""
    boot_ns: int
    """Boot clock: nanoseconds since the machine started, suspends included."""
    boot_id: str
    """Which start of the machine that was; `unknown` where the system does not tell."""
    is_synchronised: bool | None
    """Whether something keeps the wall clock in step, an NTP server as a rule; None if it cannot be known."""


def read_clocks() -> Instant:
    """Return what the machine's clocks say. Takes some microseconds; raises nothing."""
    return Instant(
        utc_ns=time.time_ns(), boot_ns=_boot_clock_ns(), boot_id=_boot_id(), is_synchronised=_is_synchronised()
    )


def nanoseconds(moment: dt.datetime) -> int:
    """Return a time with its offset as nanoseconds since 1970, UTC, exactly: a float of seconds would round."""
    return (moment - _EPOCH) // dt.timedelta(microseconds=1) * 1_000


def is_same_boot(one: Instant, later: Instant) -> bool:
    """Return whether the boot clock can say how much time passed between two instants.

    Where the system tells no boot id, a boot clock that rose counts as the same boot: an authority may then end too
    early, never too late.
    """
    return one.boot_id == later.boot_id and one.boot_ns <= later.boot_ns


def moved(before: Instant, now: Instant) -> float | None:
    """Return by how many seconds the wall clock was moved against the boot clock: above 0 if set forward.

    None if the machine was started in between: then nobody can say.
    """
    if not is_same_boot(before, now):
        return None
    return ((now.utc_ns - before.utc_ns) - (now.boot_ns - before.boot_ns)) / _SECOND_NS


def has_jumped(last: Instant | None, now: Instant, *, tolerance_s: float) -> bool:
    """Return whether the wall clock was set forward since `last`, and nothing vouches for it.

    Nothing is to be deleted by a clock that did: it would be deleted too early.
    """
    forward_s = None if last is None else moved(last, now)
    return forward_s is not None and forward_s > tolerance_s and now.is_synchronised is not True


def is_behind(last: Instant | None, now: Instant, *, tolerance_s: float) -> bool:
    """Return whether the machine was started since `last` and now claims an earlier time than that."""
    if last is None or (is_same_boot(last, now) and now.boot_id != UNKNOWN_BOOT):
        return False
    return now.utc_ns < last.utc_ns - tolerance_s * _SECOND_NS


def remember(last: Instant | None, now: Instant, *, tolerance_s: float) -> Instant:
    """Return what to keep, and to hand in as `last` at the next look: the latest time that is certain to have come.

    A clock that is set back does not take that time back, and a look that `is_behind` or `has_jumped` does not move it:
    else the next look would find nothing wrong.
    """
    if last is None:
        return now
    if is_behind(last, now, tolerance_s=tolerance_s) or has_jumped(last, now, tolerance_s=tolerance_s):
        return last
    passed_ns = now.boot_ns - last.boot_ns if is_same_boot(last, now) else 0
    return Instant(
        utc_ns=max(now.utc_ns, last.utc_ns + passed_ns),
        boot_ns=now.boot_ns,
        boot_id=now.boot_id,
        is_synchronised=now.is_synchronised,
    )


def _boot_clock_ns() -> int:
    try:
        return time.monotonic_ns() if _BOOT_CLOCK is None else time.clock_gettime_ns(_BOOT_CLOCK)
    except OSError:
        return time.monotonic_ns()


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip() or UNKNOWN_BOOT
    except (OSError, ValueError):
        return UNKNOWN_BOOT


def _is_synchronised() -> bool | None:
    if sys.platform != "linux":
        return None
    try:
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR
