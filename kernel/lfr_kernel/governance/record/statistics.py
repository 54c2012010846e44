"""The mathematics of a record: exact intervals, exact tests, what a test could have seen, and all figures of a count.

Clopper and Pearson (The use of confidence or fiducial limits illustrated in the case of the binomial, Biometrika 26,
1934) by quantiles of the beta distribution; Garwood (Fiducial limits for the Poisson distribution, Biometrika 28, 1936)
by those of the gamma distribution. Both hold what they promise for every n and are somewhat wider than need be. They
take events for independent: whoever passes ten times is ten passages and one person.

The test of a share is the exact binomial one, two-sided by small p-values: as likely as what was seen, or less, counts
against the share on both sides, as `scipy.stats.binomtest` and R's `binom.test` have it.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from lfr_kernel.governance.record.figures import Estimate, Figures, FootfallTest, GroupFigure, Rate, Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from lfr_kernel.governance.record.figures import Attribute
    from lfr_kernel.governance.record.statements import Calibration, Counted, Tally

__all__ = ["FOOTFALL", "SIGNIFICANT", "ShareTest", "figures_of", "people_of", "rate", "spread", "unsurprising_from"]

FOOTFALL = tuple(percent / 100 for percent in range(10, 65, 5))
"""Shares of a group among those who passed, at which its false alerts are looked at."""
SIGNIFICANT = 0.05
"""A p below this is called a finding."""
SEEN = 0.8
"""Probability with which a difference is to be seen."""
TAIL = 0.025
"""On each side of a 95 % interval."""
NOT_RECORDED = "not-recorded"
DECIDED = ("dismissed", "engage", "engaged", "outcome")
_TIE = 1e-7
"""Counts whose probabilities differ by less, relatively, are equally likely: rounding does not decide."""
_HALVINGS = 100


def rate(events: int, n: int) -> Rate:
    """Return events among n with Clopper and Pearson's 95 % interval and one-sided 95 % upper bound.

    Without events the upper bound is 1 - 0.05^(1/n), about 3 / n: the rule of three (Hanley and Lippman-Hand, If
    nothing goes wrong, is everything all right?, JAMA 249, 1983).

    Args:
        events: 0 or more. More than n can only be if n was cut short, as by a loss of power; then nothing is known.
        n: 0 or more.

    Raises:
        ValueError: either is negative.
    """
    from scipy import special  # noqa: PLC0415  (takes a while, and most commands do without)

    if events < 0 or n < 0:
        raise ValueError(f"expected counts of 0 or more, got {events} events among {n}")
    if n == 0 or events > n:
        return Rate(events=events, n=n, value=None, low=None, high=None, upper=None)
    none_left = events == n
    low = float(special.betaincinv(events, n - events + 1, TAIL)) if events else 0.0
    high = 1.0 if none_left else float(special.betainccinv(events + 1, n - events, TAIL))
    if none_left:
        upper = 1.0
    elif events:
        upper = float(special.betainccinv(events + 1, n - events, 2 * TAIL))
    else:
        upper = -math.expm1(math.log(2 * TAIL) / n)
    return Rate(events=events, n=n, value=events / n, low=low, high=high, upper=upper)


def spread(values: Sequence[float]) -> Spread:
    """Return the median, the mean of both middle ones if there are two, and the least that nine of ten do not exceed.

    Args:
        values: in ascending order.
    """
    if not values:
        return Spread(n=0, median=None, p90=None)
    count = len(values)
    return Spread(n=count, median=float(statistics.median(values)), p90=float(values[(9 * count + 9) // 10 - 1]))


def people_of(calibrations: Sequence[Calibration], seen: int) -> tuple[Estimate | None, Estimate | None]:
    """Return how many passages a person makes, and how many people `seen` passages were, by all counts by hand.

    The interval is Poisson's exact one of the passages, over the people that were counted meanwhile: it knows nothing
    of how far one place or hour differs from another.

    Returns:
        Neither without a count. No people where no passage was counted: there might be any number.
    """
    from scipy import special  # noqa: PLC0415  (as above)

    if not calibrations:
        return None, None
    people, passages = sum(one.people for one in calibrations), sum(one.passages for one in calibrations)
    low = float(special.gammaincinv(passages, TAIL)) / people if passages else 0.0
    high = float(special.gammainccinv(passages + 1, TAIL)) / people
    each = Estimate(value=passages / people, low=low, high=high)
    if not passages:
        return each, None
    return each, Estimate(value=seen / each.value, low=seen / high, high=seen / low)


class ShareTest(Struct, frozen=True, kw_only=True):
    """The exact two-sided test of one share with n events: everything that can be known before it is looked at."""

    n: int
    share: float
    p: tuple[float, ...]
    """[n + 1]: of 0, 1, … n events in the group."""

    @classmethod
    def of(cls, n: int, share: float) -> ShareTest:
        """Return the test. `share` lies above 0 and below 1."""
        counts = np.arange(n + 1)
        likely = np.exp(_choose(n, counts) + counts * math.log(share) + (n - counts) * math.log1p(-share))
        order = np.sort(likely)
        summed = np.concatenate(([0.0], np.cumsum(order)))
        p = summed[np.searchsorted(order, likely * (1 + _TIE), side="right")]
        return cls(n=n, share=share, p=tuple(np.minimum(p, 1.0).tolist()))

    def power(self, ratio: float) -> float:
        """Return the probability of a p below 0.05 if the group's rate is `ratio` times that of the rest."""
        return self._rejects(ratio * self.share / (ratio * self.share + 1 - self.share))

    def smallest_ratio(self) -> float | None:
        """Return the smallest ratio above 1 that is seen with a probability of 80 %; None if even all n would not tell.

        The counts that are rejected are the ends of the scale, so that the power only rises with the ratio from where
        it leaves 5 %: it passes 80 % once.
        """
        if self.p[self.n] >= SIGNIFICANT:
            return None
        at = _crossing(lambda share: self._rejects(share) - SEEN, self.share, 1.0)
        return at * (1 - self.share) / (self.share * (1 - at))

    def _rejects(self, share: float) -> float:
        """Return the probability of a p below 0.05 if the group's share of the events is `share`."""
        from scipy import special  # noqa: PLC0415  (as above)

        is_low = [p < SIGNIFICANT for p in self.p]  # never all of them: the likeliest count has a p of 1
        few, many = is_low.index(False), is_low[::-1].index(False)
        below = float(special.betaincc(few, self.n - few + 1, share)) if few else 0.0
        return below + (float(special.betainc(self.n - many + 1, many, share)) if many else 0.0)


def unsurprising_from(events: int, n: int) -> float | None:
    """Return the smallest share from which on, up to events / n, the exact two-sided p is 0.05 or more throughout.

    It is the one at which significance stops for good on the way up to what was seen. That has to be said, since p does
    not rise steadily: it jumps up wherever another count on the far side becomes as unlikely as the one that was seen,
    and may sink between two jumps. Below the result there may be shares with a p of 0.05 or more, too.

    Between jumps p is P(X >= events) + P(X <= c), which sinks first and rises then, with its least value where
    P(X = c) = P(X = events - 1) among n - 1: the last stretch whose least value is below 0.05 holds the result.

    Args:
        events: from 0 to n.
        n: 0 or more.

    Returns:
        0 without events (few are no surprise in a small group); None without n.
    """
    if n == 0:
        return None
    if events == 0:
        return 0.0
    far = np.arange(-1, events)  # c: the largest of the small counts that are as unlikely; -1: none is
    jumps = _odds(n, far[1:], events, math.log1p(_TIE))
    starts, ends = np.concatenate(([0.0], jumps)), np.concatenate((jumps, [events / n]))
    # With c = -1 p only rises, and with c = events - 1 it is 1.
    troughs = np.concatenate(([0.0], _odds(n - 1, far[1:-1], events - 1), [1.0]))
    lows = np.clip(troughs, starts, ends)
    last = int(np.flatnonzero(_p_between(events, n, far, lows) < SIGNIFICANT)[-1])
    low, end, below = float(lows[last]), float(ends[last]), far[last : last + 1]

    def over(share: float) -> float:
        return float(_p_between(events, n, below, np.array([share]))[0]) - SIGNIFICANT

    return end if over(end) < 0 else _crossing(over, low, end)


def figures_of(counted: Counted, *, group_ratio: float, calibrations: Sequence[Calibration] = ()) -> Figures:
    """Return everything that follows from what was counted.

    Args:
        counted: of one deployment, or the sum of several.
        group_ratio: of rates between groups that the pack asks about, above 0.
        calibrations: counts by hand, all of which are pooled.

    Raises:
        ValueError: something was counted fewer than 0 times.
    """
    false, decided = counted.false, sum(counted.states.get(state, 0) for state in DECIDED)
    worst = false + counted.not_established
    passages_per_person, people = people_of(calibrations, counted.seen)
    by_attribute: dict[Attribute, Tally] = {
        "sex": counted.false_by_sex,
        "age": counted.false_by_age,
        "ethnicity": counted.false_by_ethnicity,
    }
    known = {name: _recorded(tally) for name, tally in by_attribute.items()}
    return Figures(
        false_per_face=rate(false, counted.seen),
        false_per_alert=rate(false, counted.raised),
        false_per_alert_worst=rate(worst, counted.raised),
        false_per_face_worst=rate(worst, counted.seen),
        true_per_alert=rate(counted.true, counted.raised),
        dismissed=rate(counted.states.get("dismissed", 0), decided),
        decision_s=spread(counted.decision_s),
        looked_s=spread(counted.looked_s),
        engagement_min=spread(counted.engagement_min),
        passages_per_person=passages_per_person,
        people=people,
        groups=tuple(one for name, tally in known.items() for one in _groups(name, tally, group_ratio)),
        recorded={name: sum(tally.values()) for name, tally in known.items()},
        group_ratio=group_ratio,
    )


def _recorded(tally: Tally) -> Tally:
    return {group: count for group, count in tally.items() if group != NOT_RECORDED}


def _groups(attribute: Attribute, tally: Tally, group_ratio: float) -> list[GroupFigure]:
    """Return the groups of one attribute, the most frequent first."""
    n = sum(tally.values())
    seen_by = []
    for share in FOOTFALL if n else ():
        test = ShareTest.of(n, share)
        seen_by.append((test, test.power(group_ratio), test.smallest_ratio()))
    return [
        GroupFigure(
            attribute=attribute,
            group=group,
            share=rate(count, n),
            tests=tuple(
                FootfallTest(share=test.share, p=test.p[count], power=power, smallest_ratio=smallest)
                for test, power, smallest in seen_by
            ),
            unsurprising_from=unsurprising_from(count, n),
        )
        for group, count in sorted(tally.items(), key=lambda one: (-one[1], one[0]))
    ]


def _choose(n: int, k: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the logarithms of n over k."""
    from scipy import special  # noqa: PLC0415  (as above)

    found: NDArray[np.float64] = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return found


def _odds(n: int, low: NDArray[np.int64], high: int, tie: float = 0.0) -> NDArray[np.float64]:
    """Return the share at which each of the counts `low` is as likely among n as `high`, a larger one."""
    logarithms = (_choose(n, low) - _choose(n, np.array([high])) - tie) / (high - low)
    return np.asarray(1 / (1 + np.exp(-logarithms)))


def _p_between(events: int, n: int, far: NDArray[np.int64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return P(X >= events) + P(X <= far) at each share."""
    from scipy import special  # noqa: PLC0415  (as above)

    at_most: Any = special.betaincc(np.maximum(far, 0) + 1, n - np.maximum(far, 0), share)
    found: NDArray[np.float64] = special.betainc(events, n - events + 1, share) + np.where(far < 0, 0.0, at_most)
    return found


def _crossing(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function that is below 0 at `low` and not at `high` passes 0, by halving."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return high
