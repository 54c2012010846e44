"""What every function of this package asks of its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["counts", "scores", "share"]


def scores(values: ArrayLike, what: str) -> NDArray[np.float64]:
    """Return one score a person as float64 [n].

    Raises:
        ValueError: not one-dimensional, empty, or with NaN in it.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{what}: expected one score a person, an array [n], got shape {array.shape}")
    if not array.size:
        raise ValueError(f"{what}: expected at least one person, got none; an empty set has no rate")
    if np.isnan(array).any():
        raise ValueError(
            f"{what}: expected numbers, got NaN for {int(np.isnan(array).sum())} of {array.size} people; "
            "give -inf to a person who was never searched"
        )
    return array


def counts(values: ArrayLike, what: str, most: int) -> NDArray[np.int64]:
    """Return whole numbers between 0 and `most`, one a person, as int64 [n].

    Raises:
        ValueError: not one-dimensional, empty, not whole or out of range.
    """
    array = scores(values, what)
    if (array != np.floor(array)).any() or array.min() < 0 or array.max() > most:
        raise ValueError(f"{what}: expected whole numbers from 0 to {most}, got {array.min():g} to {array.max():g}")
    return array.astype(np.int64)


def share(value: float, what: str) -> float:
    """Return a share strictly between 0 and 1.

    Raises:
        ValueError: it is not.
    """
    if not 0 < value < 1:
        raise ValueError(f"{what}: expected a share between 0 and 1, both excluded, got {value:g}")
    return float(value)
