"""Rates by self-declared group: how far apart they are, and whether so few people can tell.

Events are what must not happen: mated people missed, non-mated people alerted. Groups are what people say of
themselves; nothing infers them. A group is a name with two counts, events and people.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from scipy import stats
from scipy.optimize import brentq

from lfr_plugins.lab.evaluation.statistics import _checks
from lfr_plugins.lab.evaluation.statistics.rates import CONFIDENCE, Rate, rate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    Groups = Mapping[str, tuple[int, int]]

__all__ = [
    "Equivalence",
    "Homogeneity",
    "Ratio",
    "equivalence",
    "group_rates",
    "holm",
    "homogeneity",
    "ratio_interval",
    "worst_to_best",
]


class Ratio(Struct, frozen=True, kw_only=True):
    """The highest rate of a group over the lowest one."""

    worst: str
    best: str
    value: float | None
    """None where the best group has no event: nothing bounds the ratio from above."""
    low: float | None
    high: float | None
    """95 % for all pairs of groups at once; None: unbounded, or nothing known."""
    method: str
    note: str | None = None


class Homogeneity(Struct, frozen=True, kw_only=True):
    """Whether groups of equal rates would differ as much as these do."""

    p: float
    """Before any correction for several tests: see `holm`."""
    method: str
    groups: int
    note: str | None = None


class Equivalence(Struct, frozen=True, kw_only=True):
    """Whether every two groups' rates are shown to lie within a margin of each other."""

    margin: float
    """As a ratio: 1.25 means within 0.8 and 1.25."""
    is_shown: bool
    low: float
    high: float | None
    """The widest of the pairs' intervals; None: unbounded."""
    method: str


def group_rates(groups: Groups, *, target: float | None = None) -> dict[str, Rate]:
    """Return the rate of each group with its interval; without a value where the group is too small for a target.

    Args:
        groups: name to (events, people).
        target: a rate that the measurement is meant to show, as for `rate`.

    Raises:
        ValueError: no group, an empty one, or more events than people.
    """
    return {name: rate(events, people, target=target) for name, (events, people) in _checked(groups, 1).items()}


def ratio_interval(
    first: tuple[int, int], second: tuple[int, int], confidence: float = CONFIDENCE
) -> tuple[float, float | None]:
    """Return the score interval of a ratio of two rates, the first over the second.

    Koopman, Confidence intervals for the ratio of two binomial proportions, Biometrics 40, 1984, in the form of
    Miettinen and Nurminen, Comparative analysis of two rates, Statistics in Medicine 4, 1985 (without their n/(n-1)).
    Unlike the log-normal one of `scipy.stats.contingency.relative_risk` it holds for few and for no events.

    Args:
        first: (events, people).
        second: likewise.
        confidence: a share.

    Returns:
        Both ends; (0, None) without any event, an upper end of None without events in the second.

    Raises:
        ValueError: no people, or more events than people.
    """
    _checked({"the first": first, "the second": second}, 2)
    limit = float(stats.norm.isf((1 - _checks.share(confidence, "confidence")) / 2))
    low = _solved(first, second, limit) if first[0] else 0.0
    return low, _solved(first, second, -limit) if second[0] else None


def worst_to_best(groups: Groups, confidence: float = CONFIDENCE) -> Ratio:
    """Return the ratio of the highest to the lowest rate of all groups.

    Which groups those are was seen in the data, so each interval is Bonferroni's for all pairs of groups.

    Raises:
        ValueError: fewer than two groups, an empty one, or more events than people.
    """
    checked = _checked(groups, 2)
    order = sorted(checked, key=lambda name: (checked[name][0] / checked[name][1], -checked[name][1]))
    best, worst = order[0], order[-1]
    (bad, people), (good, others) = checked[worst], checked[best]
    pairs = len(checked) * (len(checked) - 1) // 2
    method = "Koopman's score interval" + (f", Bonferroni for {pairs} pairs" if pairs > 1 else "")
    if not bad:
        note = f"no event in any of {len(checked)} groups: the ratio is unknown"
        return Ratio(worst=worst, best=best, value=None, low=None, high=None, method=method, note=note)
    low, high = ratio_interval((bad, people), (good, others), 1 - (1 - confidence) / pairs)
    few = None if good else f"no event among {others} people of {best}: the ratio is at least {low:.2g}"
    value = float(bad * others / (people * good)) if good else None
    return Ratio(worst=worst, best=best, value=value, low=low, high=high, method=method, note=few)


def homogeneity(groups: Groups, *, permutations: int = 9999, seed: int = 0) -> Homogeneity:
    """Test whether all groups have the same rate.

    Fisher's exact test for two groups; for more, Freeman and Halton's (Note on an exact treatment of contingency,
    Biometrika 38, 1951) from random tables with the same margins, both as `scipy.stats.fisher_exact` has them. A large
    p says nothing of equality: `power` and `equivalence` do.

    Args:
        groups: name to (events, people).
        permutations: random tables for more than two groups.
        seed: of those.

    Raises:
        ValueError: fewer than two groups, an empty one, or more events than people.
    """
    checked = _checked(groups, 2)
    table = np.array([[events, people - events] for events, people in checked.values()])
    exact = "Fisher's exact test, two-sided"
    if not table.sum(axis=0).all():
        note = "the same happened to everybody, in every group"
        return Homogeneity(p=1.0, method=exact, groups=len(checked), note=note)
    if len(checked) == 2:  # noqa: PLR2004  (a table of two by two has an exact answer)
        return Homogeneity(p=min(float(stats.fisher_exact(table).pvalue), 1.0), method=exact, groups=2)
    draws = stats.MonteCarloMethod(n_resamples=permutations, rng=np.random.default_rng(seed))
    found: Any = stats.fisher_exact(table, method=draws)
    method = f"Fisher, Freeman and Halton's exact test, {permutations} random tables"
    # Where people are fewer than cells, scipy returns an array of one.
    return Homogeneity(p=float(np.squeeze(found.pvalue)), method=method, groups=len(checked))


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted for there being so many of them, in the order given.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979.

    Args:
        p: [M], from all tests of an evaluation.

    Raises:
        ValueError: empty, or not within 0 and 1.
    """
    values = _checks.scores(p, "p")
    if values.min() < 0 or values.max() > 1:
        raise ValueError(f"p: expected values within 0 and 1, got {values.min():g} to {values.max():g}")
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1)), 1.0)
    return adjusted


def equivalence(groups: Groups, margin: float, confidence: float = CONFIDENCE) -> Equivalence:
    """Say whether the rates of all groups are shown to be alike: two one-sided tests, for every pair.

    Schuirmann, A comparison of the two one-sided tests procedure and the power approach, Journal of Pharmacokinetics
    and Biopharmaceutics 15, 1987: the ratio's interval of 1 - 2 alpha lies within the margin. All pairs must pass, so
    none needs a correction (Berger, Multiparameter hypothesis testing and acceptance sampling, Technometrics 24, 1982).

    Args:
        groups: name to (events, people).
        margin: the largest ratio that still counts as alike, above 1; set it before looking.
        confidence: 1 - alpha.

    Raises:
        ValueError: fewer than two groups, an empty one, more events than people, or a margin of 1 or less.
    """
    checked = _checked(groups, 2)
    if not margin > 1:
        raise ValueError(f"margin: expected a ratio above 1, got {margin:g}")
    alpha = 1 - _checks.share(confidence, "confidence")
    ends = [ratio_interval(*pair, 1 - 2 * alpha) for pair in combinations(checked.values(), 2)]
    low = min(end[0] for end in ends)
    high = None if any(end[1] is None for end in ends) else max(end[1] or 0.0 for end in ends)
    shown = bool(high is not None and high < margin and low > 1 / margin)
    method = f"two one-sided tests at {alpha:.2g} on Koopman's score interval, every pair"
    return Equivalence(margin=float(margin), is_shown=shown, low=low, high=high, method=method)


_FARTHEST = 30.0
"""Natural logarithm of the ratios between which the ends of an interval are looked for."""


def _checked(groups: Groups, least: int) -> Groups:
    if len(groups) < least:
        raise ValueError(f"groups: expected {least} or more, got {len(groups)} ({', '.join(groups) or 'none'})")
    for name, (events, people) in groups.items():
        if people < 1:
            raise ValueError(f"group {name!r}: expected at least one person, got {people}; leave out an empty group")
        if not 0 <= events <= people:
            raise ValueError(f"group {name!r}: expected events from 0 to its {people} people, got {events}")
    return groups


def _solved(first: tuple[int, int], second: tuple[int, int], limit: float) -> float:
    def beyond(logarithm: float) -> float:
        return _score(first, second, float(np.exp(logarithm))) - limit

    return float(np.exp(brentq(beyond, -_FARTHEST, _FARTHEST, xtol=1e-12)))


def _score(first: tuple[int, int], second: tuple[int, int], ratio: float) -> float:
    """Return by how many standard deviations the rates differ from that ratio, had it been the true one."""
    (events, people), (others_events, others) = first, second
    a = (people + others) * ratio
    b = people * ratio + events + others + others_events * ratio
    total = events + others_events
    base = 2 * total / (b + np.sqrt(max(b * b - 4 * a * total, 0.0)))
    variance = ratio * base * (1 - ratio * base) / people + ratio**2 * base * (1 - base) / others
    apart = events / people - ratio * others_events / others
    return float(apart / np.sqrt(variance)) if variance > 0 else float(np.sign(apart)) * _FAR


_FAR = 1e9
