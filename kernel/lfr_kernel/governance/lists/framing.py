"""The parts of a list's file: magic, front, table of hashes, chunks, and nothing behind the last of them."""

from __future__ import annotations

import base64
import contextlib
import os
from typing import IO, TYPE_CHECKING

import msgspec
from msgspec import Struct

from lfr_kernel.governance.keys.files import writing_whole
from lfr_kernel.governance.lists.merkle import HASH_BYTES, leaf_hash
from lfr_kernel.governance.lists.statements import Front
from lfr_kernel.runtime import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from lfr_kernel.governance.keys.signing import Envelope

__all__ = ["MAGIC", "FileParts", "ListFileError", "read_parts", "write_parts"]

MAGIC = b"LFRLIST1"
LENGTH_BYTES = 4
LONGEST_FRONT, LONGEST_CHUNK = 16 << 20, 16 << 20


class ListFileError(PermanentError, ValueError):
    """A list's file cannot be used; the text says which one, where it is broken, and what to do."""


class FileParts(Struct, frozen=True):
    """Where everything lies in one file."""

    front: Front
    table: tuple[bytes, ...]
    """The hash of each chunk."""
    spans: tuple[tuple[int, int], ...]
    """Offset and length of each chunk, in bytes."""

    def chunks(self, path: Path) -> Iterator[bytes]:
        """Read every chunk in turn. Raises ListFileError: the file is gone or was cut short."""
        with _opened(path) as file:
            for index in range(len(self.spans)):
                yield self._read(file, path, index)

    def chunk(self, path: Path, index: int) -> bytes:
        """Read one chunk. Raises ListFileError: the file is gone or was cut short."""
        with _opened(path) as file:
            return self._read(file, path, index)

    def _read(self, file: IO[bytes], path: Path, index: int) -> bytes:
        offset, length = self.spans[index]
        file.seek(offset)
        return _exactly(file, length, path, f"chunk {index} of {len(self.spans)}")


def read_parts(path: Path, rows_of: Callable[[Front], int]) -> FileParts:
    """Read the front and the table, and find the chunks.

    Args:
        path: of the file.
        rows_of: says how many chunks a front announces.

    Raises:
        ListFileError: it cannot be read, is no list, or its parts do not fit each other.
    """
    with _opened(path) as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ListFileError(f"{path} is no list: expected a file that `lfr-kernel watchlist build` made")
        front = _front(_exactly(file, _front_length(file, path), path, "front"), path)
        rows = rows_of(front)
        table = tuple(_exactly(file, HASH_BYTES, path, f"hash {index} of {rows}") for index in range(rows))
        start, spans = file.tell(), _spans(file, rows)
        size, end = file.seek(0, os.SEEK_END), sum(spans[-1]) if spans else start
        if len(spans) != rows or end != size:
            what = (
                f"is cut short: {rows} chunks were signed, and it ends within chunk {max(len(spans) - (end > size), 0)}"
                if len(spans) < rows or end > size
                else f"goes on for {size - end} bytes behind its last chunk, {rows - 1} of {rows}"
            )
            raise ListFileError(f"list {path} {what}{_where(file, spans, table)}; get it again from its maker")
    return FileParts(front, table, tuple(spans))


def write_parts(path: Path, front: Front, table: Sequence[bytes], chunks: Iterable[bytes]) -> None:
    """Write a file beside `path`, sync it, and rename it: after a crash there is the old one or the new one."""
    encoded = msgspec.json.encode(front, order="deterministic")
    if len(encoded) > LONGEST_FRONT:
        raise ListFileError(f"list {path}: its front would be longer than {LONGEST_FRONT} bytes: too many reviews")
    with contextlib.ExitStack() as stack:
        before = stack.enter_context(path.open("r+b")) if path.exists() else None
        with writing_whole(path) as file:
            file.write(MAGIC + len(encoded).to_bytes(LENGTH_BYTES, "big") + encoded)
            file.writelines(table)
            for chunk in chunks:
                file.write(len(chunk).to_bytes(LENGTH_BYTES, "big"))
                file.write(chunk)
        if before is not None:
            _forget_front(before)


def _forget_front(file: IO[bytes]) -> None:
    """Overwrite the front of a file that another one took the place of: the sealed key is not to lie there twice."""
    file.seek(len(MAGIC))
    length = int.from_bytes(file.read(LENGTH_BYTES), "big")
    file.seek(0)
    file.write(bytes(len(MAGIC) + LENGTH_BYTES + min(length, LONGEST_FRONT)))
    file.flush()
    os.fsync(file.fileno())


def _spans(file: IO[bytes], rows: int) -> list[tuple[int, int]]:
    """Return offset and length of up to `rows` chunks; the last one may reach beyond the end of the file."""
    at = file.tell()
    spans: list[tuple[int, int]] = []
    while len(spans) < rows and len(head := file.read(LENGTH_BYTES)) == LENGTH_BYTES:
        spans.append((at + LENGTH_BYTES, int.from_bytes(head, "big")))
        at = file.seek(sum(spans[-1]))
    return spans


def _where(file: IO[bytes], spans: Sequence[tuple[int, int]], table: Sequence[bytes]) -> str:
    """Say at which chunk a file begins to differ from what was signed, as far as its table of hashes tells."""
    for index, ((offset, length), leaf) in enumerate(zip(spans, table, strict=False)):
        file.seek(offset)
        if length > LONGEST_CHUNK or leaf_hash(file.read(length)) != leaf:
            return f"; chunk {index} is the first that is not what it was"
    return ""


def _front(encoded: bytes, path: Path) -> Front:
    changed = f"list {path}: its front cannot be read: it was changed or damaged; get the file again from its maker"
    try:
        front = msgspec.json.decode(encoded, type=Front)
        written = [one for envelope in _envelopes(front) for one in (envelope.payload, *_signatures(envelope))]
        decoded = [base64.b64decode(one, validate=True) for one in (*written, front.seal or "")]
    except (msgspec.DecodeError, ValueError):
        raise ListFileError(changed) from None
    # One way to write it, so that there is no bit of it that nobody looks at.
    is_canonical = [base64.b64encode(one).decode() for one in decoded] == [*written, front.seal or ""]
    if not is_canonical or msgspec.json.encode(front, order="deterministic") != encoded:
        raise ListFileError(changed)
    return front


def _envelopes(front: Front) -> list[Envelope]:
    return [front.header, *front.reviews, *front.samples]


def _signatures(envelope: Envelope) -> list[str]:
    return [one.sig for one in envelope.signatures]


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise ListFileError(f"list {path} cannot be read: {error.strerror}") from None


def _front_length(file: IO[bytes], path: Path) -> int:
    length = int.from_bytes(_exactly(file, LENGTH_BYTES, path, "length of the front"), "big")
    if length > LONGEST_FRONT:
        raise ListFileError(
            f"list {path}: its front claims {length} bytes, more than a list ever has: it was changed or damaged; get "
            "the file again from its maker"
        )
    return length


def _exactly(file: IO[bytes], length: int, path: Path, what: str) -> bytes:
    data = file.read(length)
    if len(data) != length:
        raise ListFileError(
            f"list {path} is cut short: the {what} should have {length} bytes, {len(data)} are left; get it again from "
            "its maker"
        )
    return data
