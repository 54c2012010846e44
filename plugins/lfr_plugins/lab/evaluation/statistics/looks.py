"""Early alerts: a passage is looked at after every face, so its score is a maximum over looks.

The more often somebody is looked at, the higher the highest of the pooled similarities: a threshold from passages seen
whole lets more strangers through when every look may alert. Similarities are float64 [n, K], pooled after 1, 2 … K
faces, NaN after a passage's last face; one passage a person. A rule asks for `threshold + early[k - 1]` after k faces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from lfr_plugins.lab.evaluation.statistics import _checks
from lfr_plugins.lab.evaluation.statistics.rates import CONFIDENCE, Rate, rate
from lfr_plugins.lab.evaluation.statistics.thresholds import (
    Threshold,
    allowed_people,
    recommended_threshold,
    threshold_at,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "EarlyRule",
    "calibrated_threshold",
    "first_alerts",
    "rule_scores",
    "running_maxima",
    "scaled_margins",
    "with_looks",
]


class EarlyRule(Struct, frozen=True, kw_only=True):
    """Margins over a threshold after 1, 2 … K faces, and what they let through."""

    threshold: float
    early: list[float]
    fpir: Rate
    """Non-mated people who alert at any look; of the same people that scaled the margins."""
    note: str | None = None


def running_maxima(similarities: ArrayLike) -> NDArray[np.float64]:
    """Return the highest similarity up to each look, float64 [n, K]; after a person's last face it stays.

    Raises:
        ValueError: no matrix, empty, or a gap (NaN with a number after it).
    """
    return np.maximum.accumulate(_filled(_looks(similarities)), axis=1)


def rule_scores(similarities: ArrayLike, early: ArrayLike | None = None) -> NDArray[np.float64]:
    """Return what decides for each person under a rule: the maximum over looks of similarity - early, float64 [n].

    A person alerts at one look or another exactly when this score reaches the threshold, so it serves every function
    that wants one score a person; -inf for a person without any look.

    Args:
        similarities: [n, K].
        early: [K], margins over the threshold after 1 … K faces; none asked for means 0 at every look.

    Raises:
        ValueError: similarities as above; margins negative, rising or not K of them.
    """
    looks = _looks(similarities)
    return running_maxima(looks - _margins(early, looks.shape[1])[None])[:, -1]


def first_alerts(similarities: ArrayLike, threshold: float, early: ArrayLike | None = None) -> NDArray[np.int64]:
    """Return after how many faces each person alerts, int64 [n]; 0 for nobody's alert.

    Arguments and errors as for `rule_scores`.
    """
    looks = _looks(similarities)
    alert = _filled(looks) - _margins(early, looks.shape[1])[None] >= threshold
    return np.where(alert.any(axis=1), alert.argmax(axis=1) + 1, 0)


def calibrated_threshold(
    nonmated: ArrayLike,
    target: float,
    early: ArrayLike | None = None,
    *,
    guaranteed: bool = False,
    confidence: float = CONFIDENCE,
) -> Threshold:
    """Return the threshold at which a rule with these margins, looking after every face, has the target FPIR.

    Args:
        nonmated: [n, K], pooled similarities of non-mated people to whoever listed is nearest at each look.
        target: FPIR of the maximum over looks.
        early: [K], margins.
        guaranteed: as `recommended_threshold` has it (upper bound at or below the target), else as `threshold_at`.
        confidence: of the bound.

    Raises:
        ValueError: as for `rule_scores` and for thresholds.
    """
    scores = rule_scores(nonmated, early)
    return recommended_threshold(scores, target, confidence) if guaranteed else threshold_at(scores, target)


def scaled_margins(nonmated: ArrayLike, threshold: float, target: float, shape: ArrayLike) -> EarlyRule | None:
    """Return the smallest margins of a given shape with which looking after every face has the target FPIR.

    The boundary of a group-sequential test: its shape is chosen, its height makes the whole sequence keep the level
    (Pocock, Group sequential methods in the design and analysis of clinical trials, Biometrika 64, 1977; O'Brien and
    Fleming, Biometrics 35, 1979). Each of these people alerts up to a factor of his or her own; the answer lies above
    the highest of those factors that would be too many, by 1e-12.

    Args:
        nonmated: [n, K].
        threshold: that stays; asked for unchanged wherever the shape is 0, at the last look say.
        target: FPIR of the maximum over looks.
        shape: [K], not negative, falling, such as (3, 2, 1, 0).

    Returns:
        The rule; None when people alert where the shape is 0 already, more than the target allows: the threshold
        itself is then too low.

    Raises:
        ValueError: as for `rule_scores`; the target is no share.
    """
    looks = _looks(nonmated)
    weights = _margins(shape, looks.shape[1])
    target = _checks.share(target, "target")
    excess = _filled(looks) - threshold
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.where(excess < 0, -np.inf, np.where(weights > 0, excess / weights, np.inf)).max(axis=1)
    allowed = allowed_people(len(looks), target)
    stays = float(np.sort(factors)[::-1][allowed])
    if stays == np.inf:
        return None
    step = _STEP
    early = max(stays + step, 0.0) * weights
    while (events := int((rule_scores(looks, early) >= threshold).sum())) > allowed:
        step *= 2  # a small weight lets the step drown in rounding
        early = (stays + step) * weights
    return EarlyRule(threshold=float(threshold), early=early.tolist(), fpir=rate(events, len(looks)))


def with_looks(similarities: ArrayLike, looks: int) -> NDArray[np.float64]:
    """Return the people who were looked at so often or more, and their first so many looks, float64 [m, looks].

    Mated people after k faces can be compared with non-mated people after k faces only: take both through this.

    Raises:
        ValueError: similarities as above, looks out of range, or nobody was looked at so often.
    """
    matrix = _looks(similarities)
    if not 1 <= looks <= matrix.shape[1]:
        raise ValueError(f"looks: expected 1 to {matrix.shape[1]}, got {looks}")
    kept = matrix[~np.isnan(matrix[:, looks - 1]), :looks]
    if not len(kept):
        raise ValueError(f"looks: expected somebody with {looks} faces or more, got nobody among {len(matrix)} people")
    return kept


_STEP = 1e-12


def _filled(looks: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isnan(looks), -np.inf, looks)


def _looks(similarities: ArrayLike) -> NDArray[np.float64]:
    matrix = np.asarray(similarities, dtype=np.float64)
    if matrix.ndim != 2 or not matrix.size:  # noqa: PLR2004  (a matrix)
        raise ValueError(f"similarities: expected a matrix [people, looks], got shape {matrix.shape}")
    missing = np.isnan(matrix)
    if (missing[:, :-1] & ~missing[:, 1:]).any():
        row = int((missing[:, :-1] & ~missing[:, 1:]).any(axis=1).argmax())
        raise ValueError(f"similarities: expected NaN only after a person's last face, got a gap in row {row}")
    return matrix


def _margins(early: ArrayLike | None, looks: int) -> NDArray[np.float64]:
    margins = np.zeros(looks) if early is None else np.asarray(early, dtype=np.float64)
    if margins.shape != (looks,) or not np.isfinite(margins).all():
        raise ValueError(f"early: expected {looks} margins, one a look, got {margins.tolist()}")
    if (margins < 0).any() or (np.diff(margins) > 0).any():
        raise ValueError(
            f"early: expected margins of 0 or more that never rise from look to look, got {margins.tolist()}"
        )
    return margins
