"""A governed list in memory, as the search needs it: each entry can be withdrawn, at once and for good."""

from __future__ import annotations

import datetime as dt  # noqa: TC003  (msgspec resolves the annotations)
import threading
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.lists.framing import ListFileError
from lfr_kernel.governance.people.statements import written
from lfr_kernel.governance.vetting import Finding, pool_photographs
from lfr_kernel.governance.watchlist import Rejected
from lfr_kernel.messages import Biometric

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from lfr_kernel.governance.lists.entries import Row
    from lfr_kernel.governance.lists.file import ListFile
    from lfr_kernel.stages.camera import StillCodec

__all__ = ["OpenedList", "Withdrawal", "open_rows"]


class Withdrawal(Struct, frozen=True, kw_only=True):
    """What became of a person when an entry was withdrawn."""

    entry: str
    person: str
    row: int
    """Of `OpenedList.templates`: written anew, or zero when nobody is there any more."""
    is_listed: bool
    """Whether another entry of the person is still in force."""


class _Photo(Struct, kw_only=True):
    """One entry in memory. Its portrait stays in the file."""

    index: int
    """Of the chunk."""
    row: int
    """Of the person."""
    entry: str
    expires: dt.datetime
    quality: float


class OpenedList:
    """Who is looked for: has the interface of `lfr_kernel.governance.watchlist.Watchlist`, and lets entries go.

    One thread withdraws, and another may have photographs shown to it meanwhile. A row stays a person's for good, so
    that rows need not be counted anew.
    """

    findings: tuple[Finding, ...] = ()
    """None: a person has looked at them in the review, before anything opened."""

    def __init__(
        self,
        source: ListFile,
        data_key: bytes,
        *,
        rows: Sequence[tuple[_Photo, str]],
        matrix: NDArray[np.float32],
        left_out: Sequence[tuple[str, str, str]],
        stills: StillCodec,
    ) -> None:
        """Take over the matrix, float32 [M, D]; `open_rows` makes one."""
        self._lock = threading.Lock()
        self._source = source
        self._key = bytearray(data_key)
        self._stills = stills
        self._photos = {photo.entry: (number, photo) for number, (photo, _) in enumerate(rows)}
        self._matrix = Biometric(matrix, is_kept=True)
        self.persons = tuple(dict.fromkeys(person for _, person in rows))
        """Who each row is, or was."""
        self.digest = source.model
        """SHA-256 of the model that made the templates."""
        self.rejected = tuple(Rejected(photo=entry, reason=reason) for entry, _, reason in left_out)
        """Entries, by id, that were left out at opening."""
        known = set(self.persons)
        self.unlisted = tuple(dict.fromkeys(person for _, person, _ in left_out if person not in known))
        """People of whom no entry was in force at opening."""
        self._by_row: list[list[str]] = [[] for _ in self.persons]
        for photo, _ in rows:
            self._by_row[photo.row].append(photo.entry)
        pooled = np.zeros((len(self.persons), matrix.shape[1]), np.float32)
        self.templates = Biometric(pooled, is_kept=True)
        """float32 [N, D], L2-normalised: one row a person, zero for whoever is listed no more."""
        for row, out in enumerate(pooled):
            self._pool(row, out)

    def __len__(self) -> int:
        """How many people are listed now."""
        return sum(map(bool, self._by_row))

    @property
    def photographs(self) -> int:
        """How many entries are in force."""
        return len(self._photos)

    @property
    def next_expiry(self) -> dt.datetime | None:
        """When the next entry expires; None if there is none."""
        return min((photo.expires for _, photo in self._photos.values()), default=None)

    def expired(self, now: dt.datetime) -> list[str]:
        """Return the entries that are to be withdrawn, since their expiry is past."""
        return [entry for entry, (_, photo) in self._photos.items() if photo.expires <= now]

    def portrait(self, row: int) -> NDArray[np.uint8]:
        """Return the best photograph of one person that is in force, uint8 [H, W, 3] RGB, read from the file.

        Raises:
            KeyError: the person is listed no more, or the list was erased.
            ListFileError: the file is gone.
        """
        return self._stills.decode(self.shown(row).portrait)

    def shown(self, row: int) -> Row:
        """Return the entry of one person whose photograph is shown: the best one in force. From any thread.

        Raises like `portrait`; and SealError if the list is erased at this moment.
        """
        with self._lock:
            photos = [self._photos[entry][1] for entry in self._by_row[row]]
        if not photos:
            raise KeyError(row)
        best = max(photos, key=lambda one: one.quality)
        # Without the lock: a disk that hangs must not keep anybody from being withdrawn, or the list from being erased.
        return self._source.row(self._key, best.index)

    def withdraw(self, entry: str) -> Withdrawal:
        """Take an entry off, and write the person's row of `templates` anew, in place.

        Raises:
            RefusedError: it is not in the list, was left out at opening, or was withdrawn before.
        """
        with self._lock:
            if entry not in self._photos:
                raise RefusedError(
                    f"entry {entry} is not in force: it is none of this list's, or was recalled or has expired before"
                )
            number, photo = self._photos.pop(entry)
            self._matrix.array[number] = 0
            self._by_row[photo.row].remove(entry)
            self._pool(photo.row, self.templates.array[photo.row])
            return Withdrawal(
                entry=entry,
                person=self.persons[photo.row],
                row=photo.row,
                is_listed=bool(self._by_row[photo.row]),
            )

    def _pool(self, row: int, out: NDArray[np.float32]) -> None:
        numbers = [self._photos[entry][0] for entry in self._by_row[row]]
        if not numbers:
            out.fill(0)
            return
        photos = self._matrix.array[numbers]
        try:
            pool_photographs(photos, out)
        except ValueError:
            # They cancel out, so that the person's template would be nobody's: no vetted photographs do that.
            out.fill(0)
        finally:
            photos.fill(0)

    def erase(self) -> None:
        """Overwrite every template and the data key: no portrait can be read any more. Doing it twice is harmless."""
        with self._lock:
            self.templates.erase()
            self._matrix.erase()
            self._key[:] = bytes(len(self._key))
            self._photos.clear()
            self._by_row = [[] for _ in self._by_row]
            self.persons = ()


def open_rows(
    source: ListFile,
    data_key: bytes,
    *,
    model: str,
    now: dt.datetime,
    recalled: Collection[str],
    stills: StillCodec,
) -> OpenedList:
    """Open a list into memory. Blocks; each row is decrypted once, and its portrait not kept.

    Args:
        source: a verified list.
        data_key: see `ListFile.open_key`.
        model: SHA-256 of the embedder in use.
        now: entries whose expiry is past are left out.
        recalled: entries that were recalled, and are left out for good.
        stills: of the reader that packed the portraits.

    Raises:
        RefusedError: the list was made with another model.
        SealError: the key is another list's, or a row was changed.
        ListFileError: the file is gone or damaged.
    """
    source.expect_model(model)
    dimension = source.header.facts.dimension
    matrix = np.zeros((len(source), dimension), np.float32)
    rows: list[tuple[_Photo, str]] = []
    left_out: list[tuple[str, str, str]] = []
    numbers: dict[str, int] = {}
    try:
        for index, row in enumerate(source.rows(data_key)):
            about = row.about
            reason = _left_out(row, now, recalled)
            if reason is not None:
                left_out.append((about.entry, about.person, reason))
                continue
            _write_template(row, matrix[len(rows)], source, index)
            photo = _Photo(
                index=index,
                row=numbers.setdefault(about.person, len(numbers)),
                entry=about.entry,
                expires=about.expires,
                quality=row.quality,
            )
            rows.append((photo, about.person))
        return OpenedList(source, data_key, rows=rows, matrix=matrix, left_out=left_out, stills=stills)
    except BaseException:
        matrix.fill(0)
        raise


def _write_template(row: Row, out: NDArray[np.float32], source: ListFile, index: int) -> None:
    if len(row.template) != out.nbytes:
        raise ListFileError(
            f"list {source.path}: row {index} has a template of {len(row.template)} bytes, expected {out.nbytes}; "
            "build the list again"
        )
    out[:] = np.frombuffer(row.template, "<f4")


def _left_out(row: Row, now: dt.datetime, recalled: Collection[str]) -> str | None:
    if row.about.entry in recalled:
        return "was recalled"
    return f"expired on {written(row.about.expires)}" if row.about.expires <= now else None
