"""How the built-in sinks put names and times into words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from lfr_kernel.api import Notice

__all__ = ["TOO_LATE", "fields_of", "iso_utc", "local_clock", "printable", "utc_seconds"]

TOO_LATE = "not actionable: too late"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ns // 1000)


def iso_utc(ns: int) -> str:
    """Return a UTC time in ns since 1970 as ISO 8601, such as `2026-03-01T12:00:00.250000Z`."""
    return _moment(ns).isoformat(timespec="microseconds").replace("+00:00", "Z")


def utc_seconds(ns: int) -> str:
    """Return a UTC time in ns since 1970 for people, such as `2026-03-01 12:00:00 UTC`."""
    return f"{_moment(ns):%Y-%m-%d %H:%M:%S} UTC"


def local_clock(ns: int) -> str:
    """Return a UTC time in ns since 1970 as `HH:MM:SS` on this machine's clock."""
    return f"{_moment(ns).astimezone():%H:%M:%S}"


def printable(text: str) -> str:
    """Return `text` on one line, without what could steer a terminal: names come from other people's files."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in " ".join(text.split()))


def fields_of(notice: Notice) -> dict[str, Any]:
    """Return a notice as JSON has it: its fields, its times in ISO 8601 as well, and `alert` only with details."""
    fields: dict[str, Any] = msgspec.to_builtins(notice)
    fields["captured_at"] = iso_utc(notice.captured_at_ns)
    fields["alerted_at"] = iso_utc(notice.alerted_at_ns)
    if notice.act_by_ns is not None:
        fields["act_by"] = iso_utc(notice.act_by_ns)
    # Last, where it is read past: it is long.
    alert = fields.pop("alert")
    return fields | ({"alert": alert} if alert is not None else {})
