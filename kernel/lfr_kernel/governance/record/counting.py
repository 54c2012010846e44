"""What alerts count for: pure functions from what became of each of them to a `Counted`, and from several to one.

The same for alerts that are still there and for those whose keys are about to be destroyed: what a record says of the
latter was counted in the moment before.
"""

from __future__ import annotations

import heapq
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, structs

from lfr_kernel.governance.alerts.statements import Closed, Engaged, Proposal
from lfr_kernel.governance.alerts.states import UNDECIDED, Case, State
from lfr_kernel.governance.alerts.store import Kept  # noqa: TC001  (msgspec resolves the annotations)
from lfr_kernel.governance.alerts.vocabulary import Truth
from lfr_kernel.governance.record.statements import Counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lfr_kernel.governance.alerts.statements import Described

__all__ = ["Settled", "add", "count"]

SECOND_NS = 10**9
NOT_RECORDED, NONE_YET = "not-recorded", "none"


class Settled(Struct, frozen=True, kw_only=True):
    """An alert with what became of it. Without its key nothing is known but that it was raised."""

    kept: Kept
    proposal: Proposal | None
    case: Case | None


def count(alerts: Iterable[Settled], *, are_expired: bool) -> Counted:
    """Count alerts.

    Args:
        alerts: each once.
        are_expired: whether nobody can decide on them any more.
    """
    tally = _Tally()
    for one in alerts:
        tally.add(one, is_expired=are_expired)
    return tally.counted()


def add(counteds: Iterable[Counted]) -> Counted:
    """Return the sum: numbers and tallies added, ordered values merged. In whatever order, it comes to the same."""
    given = [Counted(), *counteds]
    return Counted(**{name: _sum([getattr(one, name) for one in given]) for name in _NAMES})


_NAMES = [field.name for field in structs.fields(Counted)]


def _sum(values: Sequence[Any]) -> Any:
    """Add values of one field: all are numbers, tallies, or tuples in ascending order."""
    if isinstance(values[0], int):
        return sum(values)
    if isinstance(values[0], tuple):
        return tuple(heapq.merge(*values))
    total: Counter[str] = Counter()
    for value in values:
        total.update(value)
    return dict(total)


class _Tally:
    """Adds alerts up."""

    def __init__(self) -> None:
        self._numbers: Counter[str] = Counter()
        self._by: dict[str, Counter[str]] = {}
        self._decision_s: list[int] = []
        self._looked_s: list[float] = []
        self._engagement_min: list[float] = []

    def add(self, one: Settled, *, is_expired: bool) -> None:
        """Count one alert."""
        kept = one.kept
        self._numbers["raised"] += 1
        self._numbers["not_actionable"] += kept.delivered_ns is not None and kept.delivered_ns > kept.act_by_ns
        if one.case is None or one.proposal is None:
            self._numbers["unread"] += 1
            self._add("states", kept.state)
            return
        case = one.case
        self._add("states", case.state)
        self._numbers["expired_open"] += is_expired and case.state in UNDECIDED
        self._numbers["disagreements"] += case.has_disagreed and case.state not in {State.OPEN, State.VIEWED}
        if is_expired or case.state is not State.VIEWED:  # else a count would tell that one of two has assessed it
            self._numbers["corrections"] += case.corrections
        if case.decided_ns is not None and case.state not in UNDECIDED:  # a correction may have made it open again
            self._decision_s.append(max(0, (case.decided_ns - kept.raised_ns) // SECOND_NS))
            if case.decider_looked_ns is not None:
                self._looked_s.append(max(0.0, round((case.decided_ns - case.decider_looked_ns) / SECOND_NS, 1)))
        if case.engagement is not None and isinstance(case.engagement.body, Engaged):
            self._engaged(case.engagement.body)
        if case.closing is not None and isinstance(case.closing.body, Closed):
            self._closed(case.closing.body)
        about = one.proposal.about
        if about is not None:
            outcome = _outcome(case)
            if about.under_18:
                self._add("outcomes_under_18", outcome)
            if about.vulnerable:
                self._add("outcomes_vulnerable", outcome)

    def _engaged(self, body: Engaged) -> None:
        self._add("powers", body.power)
        self._add("force", body.force)
        self._engagement_min.append(body.minutes)
        self._numbers["searched"] += body.searched
        self._numbers["explained"] += body.explained
        self._numbers["complaint_route"] += body.complaint_route

    def _closed(self, body: Closed) -> None:
        self._add("truth", body.truth)
        self._add("truth_known_by", body.proof)
        self._numbers["arrests_from_alerts"] += body.arrests
        if body.outcome is not None:
            self._add("outcomes", body.outcome)
        if body.truth is Truth.TRUE:
            self._add("grounds", body.grounds)
        if body.truth is Truth.FALSE:
            self._add("causes", body.cause or "not-known")
            self._add("false_by_sex", _value(body.sex))
            self._add("false_by_age", _value(body.age))
            self._add("false_by_ethnicity", _value(body.ethnicity))
            self._add("false_known_by", NOT_RECORDED if body.ethnicity is None else body.ethnicity.known)

    def _add(self, table: str, code: str) -> None:
        self._by.setdefault(table, Counter())[str(code)] += 1

    def counted(self) -> Counted:
        """Return all of it."""
        tables = {name: dict(sorted(counter.items())) for name, counter in self._by.items()}
        spread = {
            "decision_s": sorted(self._decision_s),
            "looked_s": sorted(self._looked_s),
            "engagement_min": sorted(self._engagement_min),
        }
        return msgspec.convert({**self._numbers, **tables, **spread}, Counted)


def _outcome(case: Case) -> str:
    body = case.closing.body if case.closing else None
    return str(body.outcome) if isinstance(body, Closed) and body.outcome is not None else NONE_YET


def _value(described: Described | None) -> str:
    return NOT_RECORDED if described is None else described.value
