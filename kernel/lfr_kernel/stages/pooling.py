"""The pool of one passage: its templates, weighted by quality, as one."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from lfr_kernel.messages import Biometric

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DISAGREE_BELOW", "SAME_AS_HELD", "Added", "Pool", "early_margin_of"]

DISAGREE_BELOW = 0.15
"""Cosine with the pool under which a face does not look like the rest. Two faces of one person seldom go there (a
blurred or turned one may), two people's usually do."""
SAME_AS_HELD = 0.4
"""Cosine between two faces held back from which they are taken for one other person."""


def early_margin_of(early_margin: float, faces: int) -> float:
    """Return what a look after so many faces must have over the threshold while a passage lasts: early_margin / faces.

    Looking after every face and alerting at the first look over a fixed threshold takes the maximum over the looks, and
    a maximum has more false alerts than any one look: on LFW with three faces a passage, and a list of 444, 2.2 % of
    people against 1.1 % for the pool as a whole, without one true alert more. So an early look must be surer, by less
    and less as the pool grows (a boundary that narrows, as in group sequential trials: O'Brien and Fleming 1979), and
    the passage as a whole is compared with the threshold itself when it is over. With a margin of 0.06 that rule has
    the TPIR of waiting for the end, to one person.

    Args:
        early_margin: what a look after the first face must have in addition.
        faces: how many are pooled, 1 or more.
    """
    return early_margin / faces


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
        self._dimension = dimension
        self._sum: Biometric | None = None
        self._held: Biometric | None = None
        self.count = 0

    def add(self, template: NDArray[np.float32], weight: float, since_ns: int | None = None) -> Added:
        """Take in one template, copied.

        Args:
            template: float32 [D], L2-normalised.
            weight: positive.
            since_ns: when its face was captured, on the system's monotonic clock; now, when None.
        """
        if self._sum is None:
            self._sum = Biometric(np.zeros(self._dimension, np.float32), since_ns=since_ns)
        total = self._sum.array
        if self.count:
            agreement = float(template @ total) / float(np.linalg.norm(total))
            if agreement < DISAGREE_BELOW:
                if self._held is not None and float(template @ self._held.array) >= SAME_AS_HELD:
                    return Added.SPLIT
                self._forget_held()
                self._held = Biometric(template.copy(), since_ns=since_ns)
                return Added.HELD
        self._forget_held()
        scaled = np.multiply(template, np.float32(weight))
        total += scaled
        scaled.fill(0)  # numpy keeps arrays of this size for the next that needs one, as they are
        self.count += 1
        return Added.POOLED

    def write_mean(self, out: NDArray[np.float32]) -> None:
        """Write the pooled template, L2-normalised, into `out` (float32 [D]); there must be one."""
        assert self._sum is not None  # noqa: S101  (count is not 0)
        total = self._sum.array
        np.divide(total, np.linalg.norm(total), out=out)

    def erase(self) -> None:
        """Overwrite everything."""
        self._forget_held()
        if self._sum is not None:
            self._sum.erase()

    def _forget_held(self) -> None:
        if self._held is not None:
            self._held.erase()
            self._held = None
