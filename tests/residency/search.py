"""Searching the memory of another process for a face: byte by byte, and templates in any scale."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["Needle", "Template", "find", "may_read", "runs", "search"]

CHUNK_BYTES = 1 << 26
OVERLAP_BYTES = 1 << 12
RUN_BYTES = 64
WINDOW = 16
"""How many numbers in a row make a piece of a template."""
ANCHORS = 4
SAME = 0.9999
"""Cosine of such a piece with what is found; those of unrelated numbers lie around 0, with a deviation of 0.25."""
KEY_BITS = 20
FLAT = 4.0
"""Standard deviation in grey values under which a run is nearly constant, and could be of anything."""


class Needle(NamedTuple):
    """Some bytes to find, at addresses that are multiples of four."""

    name: str
    run: bytes


class Template(NamedTuple):
    """Numbers to find as float32, multiplied with anything positive."""

    name: str
    numbers: NDArray[np.float32]


def may_read(pid: int) -> bool:
    """Return whether this process may read the memory of another one."""
    try:
        with Path(f"/proc/{pid}/mem").open("rb"):
            return True
    except OSError:
        return False


def runs(name: str, array: NDArray[np.generic], grey: NDArray[np.uint8] | None = None) -> list[Needle]:
    """Return runs of the bytes of an array, the whole of it in steps; where its `grey` values tell, no flat ones."""
    data = np.ascontiguousarray(array).tobytes()
    needles = [Needle(name, data[at : at + RUN_BYTES]) for at in range(0, len(data) - RUN_BYTES + 1, RUN_BYTES)]
    if grey is None:
        return needles
    step = RUN_BYTES // array.itemsize
    values = np.ascontiguousarray(grey).reshape(-1)
    return [one for number, one in enumerate(needles) if values[number * step : (number + 1) * step].std() > FLAT]


def search(pid: int, needles: Sequence[Needle], templates: Sequence[Template]) -> dict[str, int]:
    """Search everything that a process may write to; return what was found how often, by name."""
    return find(_writable(pid), needles, templates)


def find(chunks: Iterable[bytes], needles: Sequence[Needle], templates: Sequence[Template]) -> dict[str, int]:
    """Search some bytes; return what was found how often, by name."""
    found: defaultdict[str, int] = defaultdict(int)
    exact, scaled = _Exact(needles), _Scaled(templates)
    for chunk in chunks:
        for name in (*exact.look(chunk), *scaled.look(chunk)):
            found[name] += 1
    return dict(found)


def _writable(pid: int) -> Iterator[bytes]:
    """Yield the writable memory of a process in overlapping pieces."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
            span, rights, *_ = line.split()
            if "w" not in rights or "r" not in rights:
                continue
            start, end = (int(one, 16) for one in span.split("-"))
            for at in range(start, end, CHUNK_BYTES):
                memory.seek(at)
                try:
                    yield memory.read(min(CHUNK_BYTES + OVERLAP_BYTES, end - at))
                except OSError:  # pages that a driver keeps for itself
                    continue


class _Exact:
    """Finds runs of bytes by their first word."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        self._by_word: defaultdict[int, list[Needle]] = defaultdict(list)
        for one in needles:
            self._by_word[int.from_bytes(one.run[:4], "little")].append(one)
        self._words = np.array(sorted(self._by_word), np.uint32)
        self._table = np.zeros(1 << KEY_BITS, np.bool_)
        self._table[self._words >> (32 - KEY_BITS)] = True

    def look(self, chunk: bytes) -> Iterator[str]:
        words = np.frombuffer(chunk, np.uint32, len(chunk) // 4)
        likely = np.flatnonzero(self._table[words >> (32 - KEY_BITS)])
        likely = likely[np.isin(words[likely], self._words)]
        for at in likely.tolist():
            for one in self._by_word[int(words[at])]:
                if chunk.startswith(one.run, at * 4):
                    yield one.name


class _Scaled:
    """Finds pieces of templates by the ratio of two numbers that stand side by side."""

    def __init__(self, templates: Sequence[Template]) -> None:
        self._pieces: list[tuple[str, NDArray[np.float32], set[int]]] = []
        for one in templates:
            for part in np.array_split(np.arange(len(one.numbers) - WINDOW), ANCHORS):
                # The largest numbers of each part: small ones have ratios that rounding changes.
                at = int(part[np.minimum(*np.abs(one.numbers[[part, part + 1]])).argmax()])
                piece = one.numbers[at : at + WINDOW]
                (key,) = _keys(piece[1:2] / piece[:1])
                self._pieces.append((one.name, piece / np.linalg.norm(piece), {key - 1, key, key + 1}))
        self._table = np.zeros(1 << KEY_BITS, np.bool_)
        for _, _, keys in self._pieces:
            self._table[list(keys)] = True

    def look(self, chunk: bytes) -> Iterator[str]:
        numbers = np.frombuffer(chunk, np.float32, len(chunk) // 4)
        with np.errstate(all="ignore"):
            keys = _keys(numbers[1:] / numbers[:-1])
        likely = np.flatnonzero(self._table[keys])
        likely = likely[likely <= len(numbers) - WINDOW]
        keys = keys[likely]
        for name, piece, wanted in self._pieces:
            at = likely[(keys >= min(wanted)) & (keys <= max(wanted))]
            if not at.size:
                continue
            with np.errstate(all="ignore"):
                there = numbers[at[:, np.newaxis] + np.arange(WINDOW)].astype(np.float64)
                cosines = (there @ piece) / np.sqrt(np.einsum("nw,nw->n", there, there))
            yield from [name] * int((cosines > SAME).sum())


def _keys(ratios: NDArray[np.float32]) -> NDArray[np.uint32]:
    return np.ascontiguousarray(ratios).view(np.uint32) >> np.uint32(32 - KEY_BITS)
