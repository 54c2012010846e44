"""A watchlist in memory: templates and photographs of the people who are looked for, and nothing on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from msgspec import Struct

from lfr_kernel.governance.vetting import Finding, outliers, pool_photographs, resemblances
from lfr_kernel.messages import Biometric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Enrolled", "Listed", "Rejected", "Watchlist"]


class Enrolled(Struct, frozen=True, kw_only=True, eq=False):
    """One photograph that was taken in."""

    person: str
    photo: str
    template: Biometric
    """float32 [D], L2-normalised, the mirror image averaged in."""
    portrait: Biometric
    """uint8 [H, W, 3] RGB, cut as probes are, at twice their size."""
    quality: float = 1.0
    """In [0, 1]; see `FaceQualities.overall`."""


class Rejected(Struct, frozen=True, kw_only=True):
    """One photograph that was not."""

    photo: str
    reason: str


class Listed(Protocol):
    """Who is looked for, as a run needs it: made from a folder of photographs, or opened from a sealed list."""

    persons: tuple[str, ...]
    """Who each row is."""
    templates: Biometric
    """float32 [N, D], L2-normalised: one row a person."""
    digest: str
    """SHA-256 of the model that made them."""
    rejected: tuple[Rejected, ...]
    unlisted: tuple[str, ...]
    """People of whom no photograph could be used."""
    findings: tuple[Finding, ...]
    """Photographs that resemble somebody else's: for a person to look at."""

    @property
    def photographs(self) -> int:
        """How many are used."""

    def __len__(self) -> int:
        """How many people there are."""

    def portrait(self, row: int) -> NDArray[np.uint8]:
        """Return a photograph of one person, uint8 [H, W, 3] RGB."""

    def erase(self) -> None:
        """Overwrite every template and photograph. Twice is harmless."""


class Watchlist:
    """Who is looked for: one row a person, whatever the number of photographs. Owns templates and portraits."""

    def __init__(
        self,
        enrolled: Sequence[Enrolled],
        rejected: Sequence[Rejected],
        *,
        digest: str,
        dimension: int,
        offered: Sequence[str] = (),
    ) -> None:
        """Take over what was enrolled with the model `digest`: vet it, and make one template of each person.

        A photograph that disagrees with the others of its person is not used, and is rejected with its reason. What
        resembles somebody else's is only told, in `findings`. The portrait of a person is the best photograph.

        Args:
            enrolled: photographs that were taken in; their templates are erased, their portraits taken over.
            rejected: photographs that were not.
            digest: of the model.
            dimension: D, of its templates.
            offered: everybody who was to be listed, also those of whom nothing was taken in.
        """
        photos = np.zeros((len(enrolled), dimension), np.float32)
        for row, one in zip(photos, enrolled, strict=True):
            row[:] = one.template.array
            one.template.erase()
        try:
            persons, names = [one.person for one in enrolled], [one.photo for one in enrolled]
            unfit = outliers(photos, persons, names)
            used: dict[str, list[int]] = {}
            for number, person in enumerate(persons):
                if number not in unfit:
                    used.setdefault(person, []).append(number)
            self.findings: tuple[Finding, ...] = tuple(resemblances(photos, persons, names))
            """Photographs that resemble somebody else's: for a person to look at."""
            self.rejected = (*rejected, *(Rejected(photo=one.photo, reason=str(one)) for one in unfit.values()))
            self.persons = tuple(used)
            """Who each row is."""
            self.unlisted = tuple(dict.fromkeys(one for one in (*offered, *persons) if one not in used))
            """People of whom no photograph could be used."""
            self.photographs = sum(map(len, used.values()))
            """How many were used."""
            self.digest = digest
            matrix = np.zeros((len(used), dimension), np.float32)
            for row, numbers in zip(matrix, used.values(), strict=True):
                pool_photographs(photos[numbers], row)
        finally:
            photos.fill(0)
        self.templates = Biometric(matrix, is_kept=True)
        """float32 [N, D], L2-normalised: one row a person."""
        best = [max(numbers, key=lambda number: enrolled[number].quality) for numbers in used.values()]
        self._portraits = [enrolled[number].portrait for number in best]
        for number in set(range(len(enrolled))) - set(best):
            enrolled[number].portrait.erase()

    def __len__(self) -> int:
        return len(self.persons)

    def portrait(self, row: int) -> NDArray[np.uint8]:
        """Return a copy of the best photograph of one person, uint8 [H, W, 3] RGB."""
        portrait: NDArray[np.uint8] = self._portraits[row].array.copy()
        return portrait

    def erase(self) -> None:
        """Overwrite every template and photograph."""
        self.templates.erase()
        for portrait in self._portraits:
            portrait.erase()
