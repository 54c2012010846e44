"""What follows from what was counted: rates with their intervals, and what a difference between groups can mean.

`statistics.figures_of` makes it from a `Counted`. Nothing here is signed: whoever has the counts can make it again.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["Attribute", "Estimate", "Figures", "FootfallTest", "GroupFigure", "Rate", "Spread"]

Attribute = Literal["sex", "age", "ethnicity"]


class Rate(Struct, frozen=True, kw_only=True):
    """Events among n, with Clopper and Pearson's 95 % interval."""

    events: int
    n: int
    value: float | None
    """events / n; None where n is 0, or less than events since counting was cut short; then so are low, high, upper."""
    low: float | None
    high: float | None
    upper: float | None
    """One-sided 95 % upper bound; without events, about 3 / n: the rule of three."""


class Spread(Struct, frozen=True, kw_only=True):
    """Of so many values, the middle one and the one that nine of ten do not exceed."""

    n: int
    median: float | None
    p90: float | None


class Estimate(Struct, frozen=True, kw_only=True):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float | None
    """None: no upper limit."""


class FootfallTest(Struct, frozen=True, kw_only=True):
    """One group's part of the false alerts, held against a share of it among those who passed."""

    share: float
    """Of the group among those who passed: assumed, since nobody counts it."""
    p: float
    """Two-sided exact binomial test."""
    power: float
    """Probability that a test of this size says so if the group's rate is `group_ratio` times that of the rest."""
    smallest_ratio: float | None
    """The smallest ratio above 1 that it would see with a probability of 80 %; None: none that there can be."""


class GroupFigure(Struct, frozen=True, kw_only=True):
    """One group among the false alerts of which the attribute was recorded."""

    attribute: Attribute
    group: str
    """A code."""
    share: Rate
    """False alerts of this group / false alerts of which the attribute was recorded."""
    tests: tuple[FootfallTest, ...]
    """At footfall shares of 10 %, 15 %, … 60 %; empty without any recorded."""
    unsurprising_from: float | None
    """The footfall share from which on these are not surprisingly many: from there to the group's own share of the
    false alerts the two-sided p is 0.05 or more throughout (see `statistics.unsurprising_from`); further on they may be
    surprisingly few. 0: there are none; None without any recorded."""


class Figures(Struct, frozen=True, kw_only=True):
    """Everything that follows from a `Counted`."""

    false_per_face: Rate
    """False alerts / passages seen."""
    false_per_alert: Rate
    """False alerts / alerts."""
    false_per_alert_worst: Rate
    """… if every alert of which nobody established it was false, too."""
    false_per_face_worst: Rate
    true_per_alert: Rate
    dismissed: Rate
    """Of alerts that were decided on."""
    decision_s: Spread
    """From the alert to the decision."""
    looked_s: Spread
    """From when whoever's assessment decided first saw it to the decision."""
    engagement_min: Spread
    passages_per_person: Estimate | None
    """From counting by hand: Poisson's exact 95 % interval of the passages, over the people; None without."""
    people: Estimate | None
    """About how many people the passages were that were seen, by that; None without."""
    groups: tuple[GroupFigure, ...]
    recorded: dict[Attribute, int]
    """Of how many false alerts the attribute was recorded."""
    group_ratio: float
