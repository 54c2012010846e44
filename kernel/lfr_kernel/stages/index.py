"""The index stage: its contract, and the actor that hosts a plugin of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Candidates", "Index"]


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
