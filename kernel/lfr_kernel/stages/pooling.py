"""The pool of one passage: its templates, weighted by quality, as one."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from lfr_kernel.messages import Biometric

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DISAGREE_BELOW", "SAME_AS_HELD", "Added", "Pool"]

DISAGREE_BELOW = 0.15
"""Cosine with the pool under which a face does not look like the rest. Two faces of one person seldom go there (a
blurred or turned one may), two people's usually do."""
SAME_AS_HELD = 0.4
"""Cosine between two faces held back from which they are taken for one other person."""


class Added(Enum):
    """What became of a template."""

    POOLED = "pooled"
    HELD = "held"
    """It disagrees with the pool: kept apart until the next one says whether it was an outlier."""
    SPLIT = "split"
    """Two in a row disagree with the pool and agree with each other: somebody else is there now."""


class Pool:
    """A running, quality-weighted mean of templates on the unit sphere.

    Faces that match nobody count as much as those that do: a single lucky hit among many misses is no hit.
    """

    def __init__(self, dimension: int) -> None:
        self._sum = Biometric(np.zeros(dimension, np.float32))
        self._held: Biometric | None = None
        self.count = 0

    def add(self, template: NDArray[np.float32], weight: float) -> Added:
        """Take in one template (float32 [D], L2-normalised), copied; `weight` is positive."""
        total = self._sum.array
        if self.count:
            agreement = float(template @ total) / float(np.linalg.norm(total))
            if agreement < DISAGREE_BELOW:
                if self._held is not None and float(template @ self._held.array) >= SAME_AS_HELD:
                    return Added.SPLIT
                self._forget_held()
                self._held = Biometric(template.copy())
                return Added.HELD
        self._forget_held()
        total += np.float32(weight) * template
        self.count += 1
        return Added.POOLED

    def write_mean(self, out: NDArray[np.float32]) -> None:
        """Write the pooled template, L2-normalised, into `out` (float32 [D])."""
        total = self._sum.array
        np.divide(total, np.linalg.norm(total), out=out)

    def erase(self) -> None:
        """Overwrite everything."""
        self._forget_held()
        self._sum.erase()

    def _forget_held(self) -> None:
        if self._held is not None:
            self._held.erase()
            self._held = None
