"""A watchlist in memory: templates and photographs of the people who are looked for, and nothing on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from lfr_kernel.messages import Biometric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Enrolled", "Rejected", "Watchlist"]


class Enrolled(Struct, frozen=True, kw_only=True, eq=False):
    """One photograph that was taken in."""

    person: str
    photo: str
    template: Biometric
    """float32 [D], L2-normalised, the mirror image averaged in."""
    portrait: Biometric
    """uint8 [H, W, 3] RGB, cut as probes are, at twice their size."""


class Rejected(Struct, frozen=True, kw_only=True):
    """One photograph that was not."""

    photo: str
    reason: str


class Watchlist:
    """Who is looked for, by row. Owns the templates and portraits, and erases them."""

    def __init__(
        self, enrolled: Sequence[Enrolled], rejected: Sequence[Rejected], *, digest: str, dimension: int
    ) -> None:
        """Take over what was enrolled with the model `digest`."""
        self.persons = tuple(one.person for one in enrolled)
        self.rejected = tuple(rejected)
        self.digest = digest
        matrix = np.zeros((len(enrolled), dimension), np.float32)
        for row, one in zip(matrix, enrolled, strict=True):
            row[:] = one.template.array
            one.template.erase()
        self.templates = Biometric(matrix)
        """float32 [N, D], L2-normalised."""
        self._portraits = [one.portrait for one in enrolled]

    def __len__(self) -> int:
        return len(self.persons)

    def portrait(self, row: int) -> NDArray[np.uint8]:
        """Return a copy of the photograph of one row, uint8 [H, W, 3] RGB."""
        portrait: NDArray[np.uint8] = self._portraits[row].array.copy()
        return portrait

    def erase(self) -> None:
        """Overwrite every template and photograph."""
        self.templates.erase()
        for portrait in self._portraits:
            portrait.erase()
