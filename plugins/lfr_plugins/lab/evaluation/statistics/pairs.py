"""Non-mated people and the listed people they resemble: the pairs above a floor, enough for every threshold above it.

A dense matrix of 1,840 people by 444 listed ones has 816,960 similarities, of which a few hundred ever matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Pairs", "highest", "hits_at", "pairs_above"]


class Pairs(Struct, frozen=True, eq=False, kw_only=True):
    """Who resembles whom, of all pairs of a non-mated and a listed person whose similarity reaches a floor."""

    people: int
    """Non-mated people, those without any pair (or never searched) among them."""
    listed: int
    """Listed people, those without any pair among them."""
    rows: NDArray[np.int64]
    """int64 [P]: the non-mated person of each pair, from 0 to people - 1."""
    columns: NDArray[np.int64]
    """int64 [P]: the listed person, from 0 to listed - 1."""
    similarities: NDArray[np.float64]
    """float64 [P]: the highest similarity of the person's passages to that listed person."""
    floor: float
    """Every pair at or above it is here; nothing can be said of thresholds below."""

    def __post_init__(self) -> None:
        lengths = {len(self.rows), len(self.columns), len(self.similarities)}
        if len(lengths) != 1:
            raise ValueError(f"pairs: expected rows, columns and similarities of one length, got {sorted(lengths)}")
        for name, indices, size in (("rows", self.rows, self.people), ("columns", self.columns, self.listed)):
            if len(indices) and (indices.min() < 0 or indices.max() >= size):
                raise ValueError(f"pairs: expected {name} from 0 to {size - 1}, got {indices.min()} to {indices.max()}")
        if np.isnan(self.similarities).any():
            raise ValueError("pairs: expected similarities that are numbers, got NaN")
        if len(np.unique(self.rows * self.listed + self.columns)) != len(self.rows):
            raise ValueError("pairs: expected each pair of people once, got some twice; keep the highest similarity")


def pairs_above(similarities: NDArray[np.floating], floor: float = -np.inf) -> Pairs:
    """Return the pairs of a matrix [n, N] (non-mated people by listed people) at or above a floor.

    A row of -inf is a person who was never searched: no pair, and still one of the n.

    Raises:
        ValueError: not a matrix, or without people or listed people, or with NaN in it.
    """
    matrix = np.asarray(similarities, dtype=np.float64)
    if matrix.ndim != 2 or not matrix.size:  # noqa: PLR2004  (a matrix)
        raise ValueError(f"similarities: expected a matrix [people, listed people], got shape {matrix.shape}")
    if np.isnan(matrix).any():
        raise ValueError("similarities: expected numbers, got NaN; give -inf to a person who was never searched")
    rows, columns = np.nonzero((matrix >= floor) & (matrix > -np.inf))
    return Pairs(
        people=matrix.shape[0],
        listed=matrix.shape[1],
        rows=rows.astype(np.int64),
        columns=columns.astype(np.int64),
        similarities=matrix[rows, columns],
        floor=floor,
    )


def hits_at(pairs: Pairs, threshold: float) -> NDArray[np.int64]:
    """Return how many listed people each non-mated person reaches, int64 [people]: similarity >= threshold.

    Raises:
        ValueError: the threshold lies below the floor of the pairs.
    """
    _check_floor(pairs, threshold)
    return np.bincount(pairs.rows[pairs.similarities >= threshold], minlength=pairs.people)


def highest(pairs: Pairs) -> NDArray[np.float64]:
    """Return each non-mated person's highest similarity to anybody listed, float64 [people]; -inf below the floor."""
    best = np.full(pairs.people, -np.inf)
    np.maximum.at(best, pairs.rows, pairs.similarities)
    return best


def _check_floor(pairs: Pairs, threshold: float) -> None:
    if threshold < pairs.floor:
        raise ValueError(
            f"threshold: expected at least {pairs.floor:g}, the floor of the pairs, got {threshold:g}; "
            "keep the pairs above a lower floor"
        )
