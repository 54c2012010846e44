"""Blue-list evaluation of a finished deployment: how many of those who were sent past the cameras it found.

People who have consented are seeded into the crowd and listed beside the operational list; their alerts are kept apart.
That gives TPIR where the cameras really are, counted by people: somebody is found when half of his or her planned
passages or more alerted. It says nothing of false alerts: who else alerted, and who alerted where nothing was planned,
is for people to adjudicate, and no ground truth is guessed here.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  (msgspec resolves the annotations)
from typing import TYPE_CHECKING, Literal

import numpy as np
from msgspec import Struct

from lfr_kernel.api import Basis  # noqa: TC001  (msgspec resolves the annotations)
from lfr_plugins.lab.evaluation.bluelist_inputs import BlueList, BlueListError, read_blue_list
from lfr_plugins.lab.evaluation.statistics import (
    Homogeneity,
    Rate,
    Ratio,
    group_rates,
    holm,
    homogeneity,
    rate,
    smallest_ratio,
    worst_to_best,
)
from lfr_plugins.sinks.wording import iso_utc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfr_kernel.api import Alert
    from lfr_plugins.lab.evaluation.bluelist_inputs import Planned

__all__ = [
    "BlueListError",
    "BlueListReport",
    "GroupFigures",
    "Person",
    "SecondsToAlert",
    "ToAdjudicate",
    "Unadjudicated",
    "blue_list_report",
    "read_blue_list",
]

_ASSUMED_MISSES = 0.11
"""The rate of misses at which it is asked how different groups would have to be to be told apart: 1 - 0.89, the TPIR
that the National Physical Laboratory measured in 2023 for the Metropolitan Police's system at 0.60."""
_NAMED = 20


class Person(Struct, frozen=True, kw_only=True):
    """One blue-listed person."""

    identity: str
    planned: int
    """Passages."""
    alerted: int
    """Planned passages in which he or she alerted."""
    is_found: bool
    """In half of them or more."""


class SecondsToAlert(Struct, frozen=True, kw_only=True):
    """From the start of a planned passage to its first alert; durations that occurred. None where none did."""

    count: int
    p50: float | None
    p95: float | None
    max: float | None


class ToAdjudicate(Struct, frozen=True, kw_only=True):
    """An alert on a blue-listed person where no passage was planned: a walk that was not, or a false alert."""

    id: str
    person: str
    camera: str
    captured_at: str
    alerted_at: str


class Unadjudicated(Struct, frozen=True, kw_only=True):
    """A figure that nobody can know yet, and what it will be a share of."""

    per: Literal["face seen", "alert"]
    denominator: int
    value: None = None
    note: str = "not measurable before adjudication"


class GroupFigures(Struct, frozen=True, kw_only=True):
    """TPIR by what people said of themselves, and whether so few of them can tell any difference."""

    tpir: Mapping[str, Rate]
    misses: Ratio | None
    """The highest rate of misses over the lowest; None with one group."""
    homogeneity: Homogeneity | None
    p_adjusted: float | None
    """Holm's, for all columns of groups."""
    detectable: Mapping[str, float | None]
    """By group: the smallest ratio of its misses to everybody else's that a test would find 4 times in 5, if the others
    were missed 11 % of the time; None: none."""


class BlueListReport(Struct, frozen=True, kw_only=True):
    """What a blue list says of one deployment. Ready for JSON; it holds no pictures and no templates.

    Always: found + missed = people; alerts = in planned passages + unplanned + on others.
    """

    report_class: Literal["operational"] = "operational"
    run: str
    profile: str
    permit: str
    basis: Basis
    began_at: str
    ended_at: str
    ended: str
    """Why the run ended."""
    cameras: tuple[str, ...]
    threshold: float
    detector: str
    """SHA-256 of the weights."""
    embedder: str
    listed: int
    """People on the list, the blue-listed ones included."""
    faces_seen: int
    """Found in all frames: somebody who is seen in forty frames has forty."""
    passages_seen: int
    tpir: Rate
    """Of blue-listed people, found among all."""
    people: tuple[Person, ...]
    """By name."""
    groups: Mapping[str, GroupFigures]
    """By column, without its prefix."""
    passages_planned: int
    passages_alerted: int
    """Planned ones, with one alert or more."""
    seconds_to_alert: SecondsToAlert
    alerts: int
    """All of the run."""
    alerts_in_planned_passages: int
    alerts_unplanned: tuple[ToAdjudicate, ...]
    """In order of time."""
    alerts_on_others: int
    """On the operational list: to be adjudicated by people."""
    false_alerts: tuple[Unadjudicated, Unadjudicated]
    """By both denominators."""
    warnings: tuple[str, ...]
    """What a reader must know of these figures."""
    digests: Mapping[str, str]
    """SHA-256 of the files that it was made from."""


def blue_list_report(blue: BlueList) -> BlueListReport:
    """Count what a blue list says. The order of lines in any of the files makes no difference."""
    names = {one.identity for one in blue.planned}
    first: dict[int, Alert] = {}
    unplanned: list[Alert] = []
    others = in_plan = 0
    by_time = sorted(blue.alerts, key=lambda alert: (alert.alerted_at_ns, alert.id))
    for alert in by_time:
        passage = _planned_for(alert, blue.planned)
        if passage is not None:
            in_plan += 1
            first.setdefault(passage.line, alert)
        elif alert.person in names:
            unplanned.append(alert)
        else:
            others += 1
    people = tuple(_person(name, blue.planned, first) for name in sorted(names))
    run = blue.run
    waited_s = [(first[one.line].alerted_at_ns - one.start_ns) / 1e9 for one in blue.planned if one.line in first]
    return BlueListReport(
        run=run.run,
        profile=run.profile,
        permit=run.permit,
        basis=run.basis,
        began_at=iso_utc(run.began_ns),
        ended_at=iso_utc(run.ended_ns),
        ended=run.ended,
        cameras=run.cameras,
        threshold=run.threshold,
        detector=run.detector,
        embedder=run.embedder,
        listed=run.listed,
        faces_seen=run.faces,
        passages_seen=run.passages,
        tpir=rate(sum(person.is_found for person in people), len(people)),
        people=people,
        groups=_groups(blue, people),
        passages_planned=len(blue.planned),
        passages_alerted=len(first),
        seconds_to_alert=_quantiles(waited_s),
        alerts=len(blue.alerts),
        alerts_in_planned_passages=in_plan,
        alerts_unplanned=tuple(_to_adjudicate(alert) for alert in unplanned),
        alerts_on_others=others,
        false_alerts=(
            Unadjudicated(per="face seen", denominator=run.faces),
            Unadjudicated(per="alert", denominator=len(blue.alerts)),
        ),
        warnings=tuple(_warnings(blue, len(names))),
        digests=blue.digests,
    )


def _planned_for(alert: Alert, planned: Sequence[Planned]) -> Planned | None:
    """Return the planned passage in which an alert's face was captured: of its person, at its camera."""
    return next(
        (
            one
            for one in planned
            if (one.identity, one.camera) == (alert.person, alert.camera)
            and one.start_ns <= alert.captured_at_ns < one.end_ns
        ),
        None,
    )


def _person(name: str, planned: Sequence[Planned], first: Mapping[int, Alert]) -> Person:
    lines = [one.line for one in planned if one.identity == name]
    alerted = sum(line in first for line in lines)
    return Person(identity=name, planned=len(lines), alerted=alerted, is_found=2 * alerted >= len(lines))


def _quantiles(seconds: Sequence[float]) -> SecondsToAlert:
    if not seconds:
        return SecondsToAlert(count=0, p50=None, p95=None, max=None)
    p50, p95 = np.quantile(seconds, (0.5, 0.95), method="inverted_cdf").tolist()
    return SecondsToAlert(count=len(seconds), p50=p50, p95=p95, max=max(seconds))


def _to_adjudicate(alert: Alert) -> ToAdjudicate:
    return ToAdjudicate(
        id=alert.id,
        person=alert.person,
        camera=alert.camera,
        captured_at=iso_utc(alert.captured_at_ns),
        alerted_at=iso_utc(alert.alerted_at_ns),
    )


def _groups(blue: BlueList, people: Sequence[Person]) -> dict[str, GroupFigures]:
    said = {one.identity: one.groups for one in blue.planned}
    counted: dict[str, dict[str, tuple[int, int]]] = {}
    for column in blue.group_names:
        counts = counted[column] = {}
        for value in sorted({groups[column] for groups in said.values()}):
            members = [person for person in people if said[person.identity][column] == value]
            counts[value] = (sum(person.is_found for person in members), len(members))
    missed = {
        column: {value: (n - found, n) for value, (found, n) in counts.items()} for column, counts in counted.items()
    }
    tests = {column: homogeneity(counts) for column, counts in missed.items() if len(counts) > 1}
    adjusted = dict(zip(tests, holm([test.p for test in tests.values()]).tolist(), strict=True)) if tests else {}
    return {
        column: GroupFigures(
            tpir=group_rates(counts),
            misses=worst_to_best(missed[column]) if column in tests else None,
            homogeneity=tests.get(column),
            p_adjusted=adjusted.get(column),
            detectable={
                value: smallest_ratio(n, len(people) - n, _ASSUMED_MISSES)
                for value, (_, n) in counts.items()
                if n < len(people)
            },
        )
        for column, counts in counted.items()
    }


def _warnings(blue: BlueList, people: int) -> Iterator[str]:
    run = blue.run
    lasted = f"the run from {iso_utc(run.began_ns)} to {iso_utc(run.ended_ns)}"
    outside = [one for one in blue.planned if one.start_ns < run.began_ns or one.end_ns > run.ended_ns]
    for one in sorted(outside, key=lambda one: (one.start_ns, one.identity, one.camera))[:_NAMED]:
        yield (
            f"{one.identity} was to pass {one.camera} from {iso_utc(one.start_ns)} to {iso_utc(one.end_ns)}, {lasted}: "
            "the passage counts as planned all the same"
        )
    if len(outside) > _NAMED:
        yield f"{len(outside) - _NAMED} more planned passages lie outside of the run, and count all the same"
    if people > run.listed:
        yield (
            f"{people} people are in the plan and {run.listed} were listed: some could not be enrolled, and count as "
            "missed"
        )
    if run.ended.startswith("failed"):
        yield f"the run did not end in good order ({run.ended})"
    if blue.alerts_of_other_runs:
        yield f"{blue.alerts_of_other_runs} alerts in the file are of other runs, and were left out"
