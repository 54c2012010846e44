"""Searching everything below a folder for what must not be there, in every way in which it might be written."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

Needles = dict[str, list[bytes]]
"""By name of the canary: the bytes of which none must be found."""
SHORTEST = 8


def text(what: str) -> list[bytes]:
    """Return a text as UTF-8, UTF-16 of either order and as JSON with escapes, with the base64 of each."""
    written = [what.encode(), what.encode("utf-16-le"), what.encode("utf-16-be")]
    if not what.isascii():
        written.append("".join(one if one.isascii() else f"\\u{ord(one):04x}" for one in what).encode())
    return [spelling for one in written for spelling in (one, *in_base64(one))]


def raw(what: bytes) -> list[bytes]:
    """Return bytes as they are, in hexadecimal and in base64."""
    return [what, what.hex().encode(), what.hex().upper().encode(), *in_base64(what)]


def in_base64(what: bytes) -> Iterator[bytes]:
    """Yield what stands in the base64 of any longer text that holds `what`: it may begin at each of three places."""
    for skipped in range(3):
        whole = what[skipped : skipped + (len(what) - skipped) // 3 * 3]
        if len(whole) >= SHORTEST:
            yield base64.b64encode(whole)
            yield base64.urlsafe_b64encode(whole)


def found_below(folder: Path, needles: Mapping[str, list[bytes]], *, but: Collection[str] = ()) -> dict[str, set[str]]:
    """Return in which files which canaries were found.

    Args:
        folder: everything in it is searched, names of files too.
        needles: by name.
        but: paths from `folder`, of files or folders, that are not searched.
    """
    found: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if any(name == one or name.startswith(f"{one}/") for one in but):
            continue
        content = name.encode() + b"\0" + (path.read_bytes() if path.is_file() else b"")
        for canary in in_bytes(content, needles):
            found.setdefault(name, set()).add(canary)
    return found


def in_bytes(content: bytes, needles: Mapping[str, list[bytes]]) -> set[str]:
    """Return which canaries are in something."""
    return {name for name, spellings in needles.items() if any(one in content for one in spellings)}
