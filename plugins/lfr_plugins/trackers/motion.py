"""Where faces will be: motion in seconds, distances in face sizes. Pure functions over arrays of tracks.

A track's state is float64 [3, 5]. Its rows are the face's centre x and y (px) and the natural logarithm of its size
(the root of its box's area, px); its columns are value, rate per second, and the variances of the value, of value
with rate, and of the rate. Each row is a Kalman filter of its own with nearly constant velocity (Bar-Shalom, Li and
Kirubarajan, Estimation with Applications to Tracking and Navigation, 2001, chapter 6); the rate fades, so that
a face that stays hidden is not followed out of the picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["assign", "begin", "correct", "measure", "predict", "shadows"]

VALUE, RATE, VAR, COVAR, RATE_VAR = range(5)

_FADE_S = 1.0
_MEASURED_PX = 1.0
_MEASURED = np.array([0.07, 0.07, 0.06])
"""How far off a box is: its centre in face sizes, its size in natural logarithms."""
_FIRST_RATE = np.array([3.0, 3.0, 0.6])
"""How fast a new face may move: somebody crossing the view walks some eight face widths a second."""
_ACCELERATION = np.array([12.0, 12.0, 1.2])
"""Face sizes a second squared, for heads that bob, stop and turn."""

_MAX_DEVIATION = 3.5
_CLOSE = 0.5
_REACH, _REACH_PER_S, _MAX_REACH = 0.8, 2.5, 2.5
_SIZES, _SIZES_PER_S, _MAX_SIZES = 0.45, 0.5, 0.8
_WORST, _UNMATCHED = 25.0, 30.0
_SHADOW, _SHADOW_SIZES = 0.75, 0.5


def measure(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return centre x, centre y and the logarithm of the size, float64 [N, 3], of boxes [N, 4] xyxy in px."""
    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    extent = np.maximum(corners[:, 2:] - corners[:, :2], 1.0)
    return np.column_stack(((corners[:, :2] + corners[:, 2:]) / 2, np.log(extent).mean(axis=1)))


def begin(measured: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the states, float64 [N, 3, 5], of faces seen for the first time, measured [N, 3]."""
    states = np.zeros((len(measured), 3, 5))
    states[:, :, VALUE] = measured
    states[:, :, VAR] = _noise(measured)
    states[:, :, RATE_VAR] = (_FIRST_RATE * _scale(measured)) ** 2
    return states


def predict(states: NDArray[np.float64], elapsed_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the states [T, 3, 5] as they will be after `elapsed_s` [T] seconds, each counted from its own state."""
    time = np.maximum(elapsed_s, 0.0)[:, None]
    fade = np.exp(-time / _FADE_S)
    reach = _FADE_S * (1.0 - fade)
    push = (_ACCELERATION * _scale(states[:, :, VALUE])) ** 2
    value, rate, var, covar, rate_var = np.moveaxis(states, 2, 0)
    return np.stack(
        (
            value + reach * rate,
            fade * rate,
            var + 2 * reach * covar + reach**2 * rate_var + push * time**4 / 4,
            fade * (covar + reach * rate_var) + push * time**3 / 2,
            fade**2 * rate_var + push * time**2,
        ),
        axis=2,
    )


def correct(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the states [M, 3, 5] after each predicted state [M, 3, 5] was seen where `measured` [M, 3] says."""
    value, rate, var, covar, rate_var = np.moveaxis(predicted, 2, 0)
    noise = _noise(measured)
    total = var + noise
    surprise = (measured - value) / total
    return np.stack(
        (
            value + var * surprise,
            rate + covar * surprise,
            var * noise / total,
            covar * noise / total,
            rate_var - covar**2 / total,
        ),
        axis=2,
    )


def assign(
    predicted: NDArray[np.float64], elapsed_s: NDArray[np.float64], measured: NDArray[np.float64]
) -> list[tuple[int, int]]:
    """Say which face is which track: the assignment of the highest total likelihood, optimal over all pairs.

    A pair is possible when the face lies within 3.5 standard deviations of the prediction (or half a face size:
    nobody else fits in there), within a reach in face sizes that widens with the time since the track was seen,
    and is of a like size. Box overlap is never asked.

    Args:
        predicted: float64 [T, 3, 5], from `predict`.
        elapsed_s: float64 [T], seconds since each track was last seen.
        measured: float64 [N, 3], from `measure`.

    Returns:
        Pairs (track, face); each track and each face at most once.
    """
    if not len(predicted) or not len(measured):
        return []
    total = predicted[:, None, :, VAR] + _noise(measured)[None]
    apart = measured[None] - predicted[:, None, :, VALUE]
    deviation = (apart**2 / total).sum(axis=2)
    size = np.exp((measured[None, :, 2] + predicted[:, None, 2, VALUE]) / 2)
    distance = np.hypot(apart[:, :, 0], apart[:, :, 1]) / size
    sizes = np.abs(apart[:, :, 2])
    waited = elapsed_s[:, None]
    possible = (
        ((deviation <= _MAX_DEVIATION**2) | (distance <= _CLOSE))
        & (distance <= np.minimum(_REACH + _REACH_PER_S * waited, _MAX_REACH))
        & (sizes <= np.minimum(_SIZES + _SIZES_PER_S * waited, _MAX_SIZES))
    )
    spread = np.log(total / _noise(measured)[None]).sum(axis=2)
    cost = np.where(possible, np.minimum(deviation + spread, _WORST), _UNMATCHED)
    rows, columns = linear_sum_assignment(cost)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if possible[row, column]]


def shadows(measured: NDArray[np.float64], confidences: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which boxes [N] are a second look at a face that another box shows with more confidence.

    Detectors put one now and then on somebody's hair, or between two faces. Such a box lies within three quarters of a
    face size of the other's centre and is of a like size; a person so close behind another could not be recognised.
    """
    apart = measured[:, None] - measured[None]
    size = np.exp(np.maximum(measured[:, None, 2], measured[None, :, 2]))
    near = np.hypot(apart[:, :, 0], apart[:, :, 1]) < _SHADOW * size
    alike = np.abs(apart[:, :, 2]) < _SHADOW_SIZES
    return np.asarray((near & alike & (confidences[None] > confidences[:, None])).any(axis=1), dtype=np.bool_)


def _scale(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one face size in the unit of each row, [N, 3]: px for the centre, 1 for the logarithm."""
    size = np.exp(values[:, 2])
    return np.column_stack((size, size, np.ones_like(size)))


def _noise(measured: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance [N, 3] of each measurement; a px weighs more on a small face."""
    scale = _scale(measured)
    pixel = _MEASURED_PX * np.array([1.0, 1.0, 0.0])
    pixel = pixel + np.array([0.0, 0.0, _MEASURED_PX]) / scale[:, :1]
    return np.asarray((_MEASURED * scale) ** 2 + pixel**2, dtype=np.float64)
