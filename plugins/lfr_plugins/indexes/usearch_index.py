"""The built-in index: exact cosine search by usearch over a matrix that this module owns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from usearch.compiled import MetricKind
from usearch.index import search

from lfr_kernel.api import Candidates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lfr_kernel.api import NoConfig

__all__ = ["UsearchIndex"]

FIRST_ROWS = 64
LENGTH_TOLERANCE = 1e-3


class UsearchIndex:
    """Searches the gallery exhaustively; the contract is `lfr_kernel.api.Index`.

    usearch reads the matrix where it lies and copies nothing of it, so a template exists once: in one C-contiguous
    float32 matrix that doubles when it is full. A removed row is overwritten by the last one, whose place is
    overwritten with zeros, and so is an outgrown matrix. Without a gallery there is no digest either: the first
    `add` after `erase` pins a new one.
    """

    def __init__(self, config: NoConfig) -> None:  # noqa: ARG002  (what every plugin is created with)
        self._matrix = np.zeros((0, 0), np.float32)
        self._entries = np.zeros(0, np.int64)
        self._rows: dict[int, int] = {}
        self._digest: str | None = None

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._rows)

    @property
    def digest(self) -> str | None:
        """SHA-256 of the model that made the templates; None before the first."""
        return self._digest

    def replace(self, templates: NDArray[np.float32], entries: NDArray[np.int64], digest: str) -> None:
        """Take `templates` as the whole gallery, erasing what was there.

        Args:
            templates: float32 [N, D], L2-normalised; copied.
            entries: int64 [N], unique, not negative.
            digest: SHA-256 of the model that made them; the index is pinned to it.

        Raises:
            ValueError: the arrays are not as described; the gallery stays as it was.
        """
        _verify(templates, entries)
        self.erase()
        self.add(templates, entries, digest)

    def add(self, templates: NDArray[np.float32], entries: NDArray[np.int64], digest: str) -> None:
        """Add rows; all of them or, after an error, none.

        Args:
            templates: float32 [N, D], L2-normalised; copied.
            entries: int64 [N], unique, not negative, not in the gallery yet.
            digest: SHA-256 of the model that made them.

        Raises:
            ValueError: another digest or D than the gallery's, an entry that is there already, or arrays that are
                not as described.
        """
        _verify(templates, entries)
        numbers = [int(one) for one in entries]
        if self._digest is not None:
            self._verify_pinned(templates.shape[1], digest)
        known = [one for one in numbers if one in self._rows]
        if known:
            raise ValueError(f"entry {known[0]} is in the gallery already; remove it first")
        first, after = len(self), len(self) + len(numbers)
        self._reserve(after, templates.shape[1])
        self._matrix[first:after] = templates
        self._entries[first:after] = entries
        self._rows.update(zip(numbers, range(first, after), strict=True))
        self._digest = digest

    def remove(self, entries: NDArray[np.int64]) -> None:
        """Remove rows and overwrite their templates; all of them or, after an error, none.

        Raises:
            KeyError: an entry is not in the gallery, or is named twice.
        """
        numbers = [int(one) for one in entries]
        missing = [one for one in numbers if one not in self._rows]
        if missing or len(set(numbers)) != len(numbers):
            raise KeyError(f"entry {missing[0]} is not in the gallery" if missing else "an entry was named twice")
        for one in numbers:
            hole, last = self._rows.pop(one), len(self._rows)
            if hole != last:
                self._matrix[hole] = self._matrix[last]
                self._entries[hole] = self._entries[last]
                self._rows[int(self._entries[hole])] = hole
            self._matrix[last] = 0
            self._entries[last] = 0

    def search(self, probes: NDArray[np.float32], k: int) -> Candidates:
        """Return the `k` nearest entries of each probe, exactly.

        Args:
            probes: float32 [M, D], L2-normalised.
            k: at least 1; where the gallery holds fewer, the rest is -1 and -inf.

        Raises:
            ValueError: probes of another shape or dtype, values that are not finite, or k below 1.
        """
        probes = np.ascontiguousarray(probes)
        if probes.ndim != 2 or probes.dtype != np.float32 or k < 1:  # noqa: PLR2004  (a matrix)
            raise ValueError(f"expected probes float32 [M, D] and k >= 1, got {_form(probes)} and k = {k}")
        if len(self) and probes.shape[1] != self._matrix.shape[1]:
            raise ValueError(f"the gallery has templates of length {self._matrix.shape[1]}, got {_form(probes)}")
        if not np.isfinite(probes).all():
            raise ValueError("a probe holds NaN or infinity; the embedder is broken")
        found = min(k, len(self))
        nearest = np.full((len(probes), k), -1, np.int64)
        similarities = np.full((len(probes), k), -np.inf, np.float32)
        if found and len(probes):
            # One thread: the call has a lane of its own, and waking a second one costs more than a short list does.
            matches = search(self._matrix[: len(self)], probes, found, MetricKind.Cos, exact=True, threads=1)
            rows = np.asarray(matches.keys).reshape(-1, found).astype(np.intp)
            nearest[:, :found] = self._entries[rows]
            # usearch's cosine distance is 1 - cosine.
            cosines = np.subtract(1, np.asarray(matches.distances).reshape(-1, found), out=similarities[:, :found])
            np.clip(cosines, -1, 1, out=cosines)
        return Candidates(entries=nearest, similarities=similarities)

    def erase(self) -> None:
        """Overwrite and forget every template, and the digest they were pinned to."""
        self._matrix.fill(0)
        self._entries.fill(0)
        self._matrix = np.zeros((0, 0), np.float32)
        self._entries = np.zeros(0, np.int64)
        self._rows.clear()
        self._digest = None

    def _verify_pinned(self, dimension: int, digest: str) -> None:
        if digest != self._digest:
            raise ValueError(
                f"the gallery was made by the model with SHA-256 {self._digest}, these templates by {digest}; "
                "templates of different models cannot be compared: enrol the photographs again"
            )
        if dimension != self._matrix.shape[1]:
            raise ValueError(f"the gallery has templates of length {self._matrix.shape[1]}, these have {dimension}")

    def _reserve(self, rows: int, dimension: int) -> None:
        if rows <= len(self._matrix) and dimension == self._matrix.shape[1]:
            return
        capacity = max(FIRST_ROWS, 1 << (rows - 1).bit_length())
        matrix, entries = np.zeros((capacity, dimension), np.float32), np.zeros(capacity, np.int64)
        if len(self):
            matrix[: len(self)] = self._matrix[: len(self)]
            entries[: len(self)] = self._entries[: len(self)]
        self._matrix.fill(0)
        self._matrix, self._entries = matrix, entries


def _verify(templates: NDArray[np.float32], entries: NDArray[np.int64]) -> None:
    if templates.ndim != 2 or templates.dtype != np.float32 or entries.shape != templates.shape[:1]:  # noqa: PLR2004
        raise ValueError(
            f"expected templates float32 [N, D] and as many entries, got {_form(templates)} and {_form(entries)}"
        )
    if entries.dtype.kind not in "iu" or (entries < 0).any() or len(np.unique(entries)) != len(entries):
        raise ValueError("entries must be integers, unique and not negative")
    lengths = np.sqrt(np.einsum("nd,nd->n", templates, templates))
    # Written so that NaN fails too.
    if not (np.abs(lengths - 1) <= LENGTH_TOLERANCE).all():
        raise ValueError("templates must be L2-normalised; one of them has another length than 1")


def _form(array: NDArray[Any]) -> str:
    return f"{array.dtype} {list(array.shape)}"
