"""Whether the system treats groups of people alike, as far as so few people can tell. Groups are what people said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from lfr_plugins.lab.evaluation.protocol import NOT_STATED
from lfr_plugins.lab.evaluation.report import GroupFigures, Test
from lfr_plugins.lab.evaluation.statistics import (
    equivalence,
    group_rates,
    holm,
    homogeneity,
    power,
    smallest_ratio,
    worst_to_best,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from lfr_plugins.lab.evaluation.protocol import Protocol
    from lfr_plugins.lab.evaluation.scoring import Scores

__all__ = ["MARGIN", "PRESET_RATIO", "group_figures"]

PRESET_RATIO = 2.0
"""One group's rate being twice the others': set before looking, and small beside what has been found elsewhere."""
MARGIN = 1.25
"""Rates within this ratio of each other count as alike: the four-fifths rule, turned round."""

Counts = dict[str, tuple[int, int]]


class _Counted(Struct, frozen=True, kw_only=True):
    group: str
    missed: Counts
    alerted: Counts


def group_figures(
    protocol: Protocol, scores: Scores, looks: int, threshold: float, known: str
) -> tuple[GroupFigures, ...]:
    """Return the figures of every group column at one threshold, with one correction for all tests together.

    Args:
        protocol: with what people said of themselves.
        scores: one a person.
        looks: faces of a passage that they are of.
        threshold: at which they are compared.
        known: how the groups are known.
    """
    said = {row.identity: row.groups for row in protocol.rows}
    counted = [
        _Counted(
            group=group,
            missed=_count(said, group, scores.mated, scores.own < threshold),
            alerted=_count(said, group, scores.nonmated, scores.nearest >= threshold),
        )
        for group in protocol.group_names
    ]
    tests = [_test(counts) for one in counted for counts in (one.missed, one.alerted)]
    corrected = iter(_corrected(tests))
    return tuple(
        GroupFigures(
            group=one.group,
            known=known,
            threshold=threshold,
            looks=looks,
            missed=group_rates(one.missed),
            alerted=group_rates(one.alerted),
            missed_test=next(corrected),
            alerted_test=next(corrected),
            note=_note(one),
        )
        for one in counted
    )


def _count(
    said: Mapping[str, Mapping[str, str]], group: str, people: Sequence[str], happened: NDArray[np.bool_]
) -> Counts:
    counts: Counts = {}
    for person, event in zip(people, happened.tolist(), strict=True):
        name = said[person][group]
        events, n = counts.get(name, (0, 0))
        counts[name] = (events + event, n + 1)
    return dict(sorted(counts.items()))


def _test(all_counts: Counts) -> Test | None:
    """Compare the groups; whoever did not say is in none of them."""
    counts = {name: count for name, count in all_counts.items() if name.casefold() != NOT_STATED}
    if len(counts) < 2:  # noqa: PLR2004  (there is nothing to compare)
        return None
    smallest = min(counts, key=lambda name: counts[name][1])
    people = counts[smallest][1]
    others = sum(n for name, (_, n) in counts.items() if name != smallest)
    events = sum(events for events, _ in counts.values())
    base = events / (people + others)
    can_state = 0 < base < 1
    return Test(
        homogeneity=homogeneity(counts),
        p_holm=1.0,
        ratio=worst_to_best(counts),
        equivalence=equivalence(counts, MARGIN),
        preset_ratio=PRESET_RATIO,
        power=power(people, others, base, PRESET_RATIO) if can_state and PRESET_RATIO * base <= 1 else None,
        smallest_ratio=smallest_ratio(people, others, base) if can_state else None,
    )


def _corrected(tests: Sequence[Test | None]) -> Iterable[Test | None]:
    present = [test for test in tests if test is not None]
    adjusted = iter(holm([test.homogeneity.p for test in present]) if present else ())
    return [None if test is None else replace(test, p_holm=float(next(adjusted))) for test in tests]


def _note(one: _Counted) -> str | None:
    """Say which groups have nobody on one side: their rates cannot be measured."""
    names = sorted({*one.missed, *one.alerted})
    absent = [
        f"{name} has no {what} people: not measurable"
        for counts, what in ((one.missed, "mated"), (one.alerted, "non-mated"))
        for name in names
        if name not in counts
    ]
    return "; ".join(absent) or None
