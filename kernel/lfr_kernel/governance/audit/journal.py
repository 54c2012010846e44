"""What SQLite's write-ahead log holds after an unclean end, looked at before SQLite opens it.

SQLite drops a transaction that lies there incompletely, and is silent about it. Format: SQLite, "Database File Format",
4.1 to 4.3.
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Tail", "tail_of", "wal_of"]

MAGIC = 0x377F0682
"""With the lowest bit set the checksums are of big-endian words."""
HEADER = struct.Struct(">IIIIIIII")
PAGES = frozenset(1 << n for n in range(9, 17))
FRAME = struct.Struct(">IIIIII")


class Tail(Enum):
    """How a write-ahead log ends."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    """One transaction at the end is incomplete: what a crash leaves."""
    DAMAGED = "damaged"
    """More than one transaction is lost: what no crash leaves, since each was synced before the next began."""


def wal_of(path: Path) -> Path:
    """Return where the write-ahead log of a database lies."""
    return path.with_name(f"{path.name}-wal")


def tail_of(path: Path) -> Tail:
    """Return how the write-ahead log of the database at `path` ends. Raises OSError if it cannot be read."""
    try:
        data = wal_of(path).read_bytes()
    except FileNotFoundError:
        return Tail.COMPLETE
    if len(data) < HEADER.size:
        return Tail.COMPLETE  # it never got as far as a frame
    magic, _, page, _, *salts, first, second = HEADER.unpack_from(data)
    words = ">" if magic & 1 else "<"
    running = (first, second)
    is_valid = magic & ~1 == MAGIC and _checksum(data[: HEADER.size - 8], (0, 0), words) == running
    if not is_valid and page not in PAGES:
        return Tail.INCOMPLETE
    open_frames, lost_commits = 0 if is_valid else 1, 0
    for frame in _frames(data, page, salts):
        if len(frame) < FRAME.size + page:
            open_frames += 1
            break
        _, size, _, _, third, fourth = FRAME.unpack_from(frame)
        if is_valid:
            running = _checksum(frame[:8] + frame[FRAME.size :], running, words)
            is_valid = running == (third, fourth)
        if not is_valid:
            lost_commits += bool(size)
        open_frames = 0 if is_valid and size else open_frames + 1
    if lost_commits > 1:
        return Tail.DAMAGED
    return Tail.INCOMPLETE if open_frames else Tail.COMPLETE


def _frames(data: bytes, page: int, salts: list[int]) -> Iterator[bytes]:
    """Yield the frames up to the first that is left over from an earlier round of the log."""
    for start in range(HEADER.size, len(data), FRAME.size + page):
        frame = data[start : start + FRAME.size + page]
        if len(frame) >= FRAME.size and list(FRAME.unpack_from(frame)[2:4]) != salts:
            return
        yield frame


def _checksum(data: bytes, start: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = start
    values = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for one, other in zip(values, values, strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
