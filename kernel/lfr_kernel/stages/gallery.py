"""The contract of an index, the gallery as it is given it, and the roll of who of it is still listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from msgspec import Struct

from lfr_kernel.messages import Biometric  # noqa: TC001  (msgspec resolves the annotations)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Candidates", "Gallery", "Index", "Roll"]


class Candidates(Struct, frozen=True, kw_only=True, eq=False):
    """The nearest entries of each probe, nearest first."""

    entries: NDArray[np.int64]
    """int64 [M, k]; -1 where the gallery holds fewer than k."""
    similarities: NDArray[np.float32]
    """float32 [M, k] cosine in [-1, 1]; -inf where the entry is -1."""


class Index(Protocol):
    """Searches the gallery. One instance; calls run one at a time on the index's own lane.

    It owns a float32 copy of the templates, so that a removed row is really gone, and is pinned to the digest
    of the model that made them. A failure loses the open passages' pools and starts a new instance.
    """

    def replace(self, templates: NDArray[np.float32], entries: NDArray[np.int64], digest: str) -> None:
        """Take `templates` (float32 [N, D], L2-normalised) as the whole gallery, erasing what was there.

        Args:
            templates: copied; the caller erases its own.
            entries: int64 [N], unique, not negative: what `search` returns.
            digest: SHA-256 of the model that made them; the index is pinned to it.
        """

    def add(self, templates: NDArray[np.float32], entries: NDArray[np.int64], digest: str) -> None:
        """Add rows. Raises ValueError for another digest than the pinned one, or an entry that is there already."""

    def remove(self, entries: NDArray[np.int64]) -> None:
        """Remove rows and overwrite their templates. Raises KeyError if one is not there."""

    def search(self, probes: NDArray[np.float32], k: int) -> Candidates:
        """Return the `k` nearest entries of each row of `probes` (float32 [M, D], L2-normalised), exactly."""

    def __len__(self) -> int:
        """How many entries there are."""

    def erase(self) -> None:
        """Overwrite and forget every template."""


class Gallery(Struct, frozen=True, kw_only=True, eq=False):
    """The listed templates, as the index is given them. Whoever made it erases it."""

    templates: Biometric
    """float32 [N, D], L2-normalised."""
    persons: tuple[str, ...]
    """Who each row is."""
    digest: str
    """SHA-256 of the model that made the templates."""
    generation: int

    def __len__(self) -> int:
        return len(self.persons)


class Roll:
    """Who is listed now. Whoever was recalled stays off it for good, also when the gallery is loaded again."""

    def __init__(self) -> None:
        self.generation = 0
        """Rises with every change of who is listed."""
        self._persons: tuple[str, ...] = ()
        self._removed: set[int] = set()
        self._recalled: set[str] = set()
        self._is_wiped = False

    def __len__(self) -> int:
        """How many rows the plugin holds."""
        return len(self._persons) - len(self._removed)

    def person(self, row: int) -> str:
        """Return who a row is."""
        return self._persons[row]

    def is_recalled(self, person: str) -> bool:
        """Whether somebody was taken off the list."""
        return person in self._recalled

    def rows(self, gallery: Gallery) -> NDArray[np.int64]:
        """Return the rows of a gallery that may be loaded, int64 [M].

        Not those recalled since it was made, nor those of zeros: nobody is there any more.
        """
        kept = [
            row
            for row, person in enumerate(gallery.persons)
            if not self._is_wiped and person not in self._recalled and gallery.templates.array[row].any()
        ]
        return np.array(kept, np.int64)

    def take(self, gallery: Gallery, rows: NDArray[np.int64]) -> None:
        """Note that `rows` of a gallery, int64 [M], were loaded."""
        self._persons = gallery.persons
        self._removed = set(range(len(gallery))) - set(rows.tolist())
        self.generation = max(self.generation, gallery.generation)

    def recall(self, person: str) -> list[int]:
        """Take somebody off the list; return the rows that the plugin still holds of him or her."""
        self._recalled.add(person)
        return self.rows_of(person)

    def rows_of(self, person: str) -> list[int]:
        """Return the rows that the plugin holds of somebody."""
        return [row for row, listed in enumerate(self._persons) if listed == person and row not in self._removed]

    def strike(self, rows: Sequence[int]) -> None:
        """Note that the plugin has removed rows."""
        self._removed.update(rows)
        self.generation += 1

    def wipe(self) -> None:
        """Take everybody off the list for good."""
        self._is_wiped = True

    def strike_all(self) -> None:
        """Note that the plugin has erased everything."""
        self.strike(range(len(self._persons)))
