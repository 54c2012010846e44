"""What may become of an alert: a state machine over the steps that people took. Pure.

open ─▶ viewed ─▶ assessed (by one or two people) ─▶ dismissed
                                                  └▶ engage ─▶ engaged ─▶ outcome
                                                        └──▶ outcome: not found ─▶ engaged, if they are after all

No step is ever undone: a mistake is corrected by a further one that names it. What the machine proposed moves nothing:
each arrow is a person's.
"""

from __future__ import annotations

from enum import StrEnum
from functools import reduce
from typing import TYPE_CHECKING

from msgspec import Struct, field, structs

from lfr_kernel.governance.alerts.statements import Assessed, Closed, Engaged, Looked, Step
from lfr_kernel.governance.alerts.vocabulary import Outcome, Verdict
from lfr_kernel.governance.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lfr_kernel.governance.alerts.handling import Handling

__all__ = ["UNDECIDED", "Case", "State", "advance", "case_of", "is_secret", "shown_to"]


class State(StrEnum):
    """How far an alert has come."""

    OPEN = "open"
    VIEWED = "viewed"
    ASSESSED = "assessed"
    """Two people disagree, and a third decides."""
    DISMISSED = "dismissed"
    ENGAGE = "engage"
    ENGAGED = "engaged"
    OUTCOME = "outcome"


UNDECIDED = frozenset({State.OPEN, State.VIEWED, State.ASSESSED})


class Case(Struct, frozen=True, kw_only=True):
    """An alert, as far as people have come with it."""

    viewers: frozenset[str] = frozenset()
    """Who has looked at it."""
    witnesses: frozenset[str] = frozenset()
    """Who of them was shown both pictures."""
    assessments: tuple[Step, ...] = ()
    """Those that count, in the order of the people's first ones."""
    has_disagreed: bool = False
    """Whether two people assessed it differently, when what both had said was revealed."""
    engagement: Step | None = None
    closing: Step | None = None
    corrections: int = 0
    decided_ns: int | None = None
    """When it was first decided; UTC."""
    looked_ns: dict[str, int] = field(default_factory=dict)
    """When each person first looked at it; UTC."""
    decider_looked_ns: int | None = None
    """When whoever's assessment first decided it had first looked at it."""
    state: State = State.OPEN

    def assessed_by(self, name: str) -> Step | None:
        """Return what somebody made of it; None: nothing yet."""
        return next((one for one in self.assessments if one.by == name), None)


def case_of(steps: Iterable[Step], handling: Handling) -> Case:
    """Return what steps, in the order of the chain, have made of an alert.

    Raises:
        RefusedError: one of them may not have been taken.
    """
    return reduce(lambda case, step: advance(case, step, handling), steps, Case())


def is_secret(case: Case, handling: Handling) -> bool:
    """Return whether two people are assessing an alert: neither sees whether, nor how, the other has."""
    return handling.assessors > 1 and case.state is State.VIEWED


def shown_to(steps: Sequence[Step], name: str, handling: Handling) -> tuple[Step, ...]:
    """Return the steps that somebody may see: while two people assess, of the assessments their own alone.

    What can be told from them is what they may know of the alert: no count of anything gives away the others'.
    """
    if not is_secret(case_of(steps, handling), handling):
        return tuple(steps)
    return tuple(one for one in steps if one.by == name or not isinstance(one.body, Assessed))


def advance(case: Case, step: Step, handling: Handling) -> Case:
    """Return a case after one more step.

    Raises:
        RefusedError: it may not be taken now, or not by this person; the text says what has to come first.
    """
    body = step.body
    if isinstance(body, Looked):
        witnesses = case.witnesses | ({step.by} if body.pictures else set())
        after = structs.replace(case, viewers=case.viewers | {step.by}, witnesses=witnesses)
    elif isinstance(body, Assessed):
        after = _assess(case, step, body, handling)
    elif isinstance(body, Engaged):
        after = _engage(case, step, body)
    else:
        after = _close(case, step, body)
    is_correction = not isinstance(body, Looked) and body.corrects is not None
    state = _state(after, handling)
    if isinstance(body, Looked):
        after = structs.replace(after, looked_ns={step.by: step.at_ns, **case.looked_ns})
    if after.decided_ns is None and state not in UNDECIDED:
        after = structs.replace(after, decided_ns=step.at_ns, decider_looked_ns=after.looked_ns[step.by])
    return structs.replace(after, state=state, corrections=case.corrections + is_correction)


def _assess(case: Case, step: Step, body: Assessed, handling: Handling) -> Case:
    if body.corrects is not None:
        return _reassess(case, step, body, handling)
    if step.by not in case.viewers:
        raise RefusedError(
            f"{step.by} has not looked at this alert yet: lfr-kernel alerts show shows both pictures, and nobody "
            "decides on what they have not seen"
        )
    _expect_witness(case, step, body)
    if case.assessed_by(step.by) is not None:
        raise RefusedError(
            f"{step.by} has assessed this alert already; a mistake is corrected with --correct, which keeps both"
        )
    if case.state not in UNDECIDED:
        raise RefusedError(
            f"this alert is {_as_words(case.state)}: it was assessed already; a wrong decision is corrected with "
            "--correct by whoever took it"
        )
    assessments = (*case.assessments, step)
    has_disagreed = case.has_disagreed
    if len(assessments) == handling.assessors:
        has_disagreed = _differ(assessments)
    return structs.replace(case, assessments=assessments, has_disagreed=has_disagreed)


def _expect_witness(case: Case, step: Step, body: Assessed) -> None:
    if body.verdict is Verdict.ENGAGE and step.by not in case.witnesses:
        raise RefusedError(
            f"{step.by} was not shown both pictures of this alert, and nobody is engaged on anything else: lfr-kernel "
            "alerts show shows them, until they expire or the entry is withdrawn; expected --dismiss, got --engage"
        )


def _reassess(case: Case, step: Step, body: Assessed, handling: Handling) -> Case:
    if case.state in {State.ENGAGED, State.OUTCOME}:
        raise RefusedError(
            "somebody was engaged on this decision: what was decided then stands; correct the engagement or the "
            "outcome instead"
        )
    found = next((one for one in case.assessments if one.entry == body.corrects), None)
    if found is None:
        raise RefusedError("there is no assessment to correct: assess it without --correct")
    if handling.assessors > 1 and found.by != step.by:
        raise RefusedError(
            f"expected {found.by} to correct an assessment of their own, got {step.by}: two people assess"
        )
    if handling.assessors > 1 and body.verdict is Verdict.ENGAGE and case.state is not State.VIEWED:
        raise RefusedError(
            "two people have assessed this alert, and each knows by now what the other said: expected --dismiss as a "
            "correction, got --engage"
        )
    if step.by not in case.viewers:
        raise RefusedError(f"{step.by} has not looked at this alert yet: lfr-kernel alerts show")
    _expect_witness(case, step, body)
    return structs.replace(case, assessments=tuple(step if one is found else one for one in case.assessments))


def _engage(case: Case, step: Step, body: Engaged) -> Case:
    closing = case.closing
    if body.corrects is not None:
        if case.engagement is None or case.engagement.entry != body.corrects:
            raise RefusedError("there is no engagement to correct: record it without --correct")
    elif case.engagement is not None:
        raise RefusedError(
            "the engagement is recorded already; a mistake is corrected with --correct, which keeps both"
        )
    elif _is_gone(case):
        closing = None  # found after all: what comes of it is yet to be said
    elif case.state is not State.ENGAGE:
        raise RefusedError(
            f"this alert is {_as_words(case.state)}: expected a decision to engage before anybody is engaged "
            "(lfr-kernel alerts assess --engage)"
        )
    return structs.replace(case, engagement=step, closing=closing)


def _is_gone(case: Case) -> bool:
    """Return whether somebody was to be engaged, and could not be found."""
    body = case.closing.body if case.closing else None
    return case.state is State.OUTCOME and isinstance(body, Closed) and body.outcome is Outcome.NOT_FOUND


def _close(case: Case, step: Step, body: Closed) -> Case:
    if body.corrects is not None and (case.closing is None or case.closing.entry != body.corrects):
        raise RefusedError("there is no outcome to correct: record it without --correct")
    if body.corrects is None and case.closing is not None and not _is_reopened(case):
        raise RefusedError("the outcome is recorded already; a mistake is corrected with --correct, which keeps both")
    if case.state is State.DISMISSED:
        if body.outcome is not None:
            raise RefusedError(
                "this alert was dismissed, so nobody was engaged: expected whether it was true or false, and no "
                "--outcome"
            )
    elif case.engagement is not None:
        if body.outcome in {None, Outcome.NOT_FOUND}:
            raise RefusedError("somebody was engaged: expected what came of it (--outcome)")
    elif case.state in {State.ENGAGE, State.OUTCOME}:
        if body.outcome is not Outcome.NOT_FOUND:
            raise RefusedError(
                "no engagement is recorded: record it first (lfr-kernel alerts engage), or say that the person had "
                "gone (--outcome not-found)"
            )
    else:
        raise RefusedError(f"this alert is {_as_words(case.state)}: expected a decision on it first")
    return structs.replace(case, closing=step)


def _is_reopened(case: Case) -> bool:
    """Return whether a dismissal was corrected of which the truth was established: the outcome is yet to be said."""
    body = case.closing.body if case.closing else None
    return case.state is not State.DISMISSED and isinstance(body, Closed) and body.outcome is None


def _state(case: Case, handling: Handling) -> State:
    decision = _decision(case, handling)
    if decision is not State.ENGAGE:
        return decision
    closing = case.closing.body if case.closing else None
    if isinstance(closing, Closed) and closing.outcome is not None:
        return State.OUTCOME
    return State.ENGAGE if case.engagement is None else State.ENGAGED


def _decision(case: Case, handling: Handling) -> State:
    verdicts = [_verdict(one) for one in case.assessments]
    if len(verdicts) < handling.assessors:
        return State.VIEWED if case.viewers else State.OPEN
    if handling.assessors == 1 or not _differ(case.assessments):
        return _DECIDED[verdicts[0]]
    if handling.on_disagreement == "dismiss":
        return State.DISMISSED
    return _DECIDED[verdicts[2]] if len(verdicts) > 2 else State.ASSESSED  # noqa: PLR2004  (the third person)


_DECIDED = {Verdict.DISMISS: State.DISMISSED, Verdict.ENGAGE: State.ENGAGE}


def _differ(assessments: Sequence[Step]) -> bool:
    """Return whether the first two say different things."""
    return len({_verdict(one) for one in assessments[:2]}) > 1


def _verdict(step: Step) -> Verdict:
    assert isinstance(step.body, Assessed)  # noqa: S101  (only such are in `assessments`)
    return step.body.verdict


def _as_words(state: State) -> str:
    return {
        State.OPEN: "open, and nobody has looked at it",
        State.VIEWED: "not decided on yet",
        State.ASSESSED: "waiting for a third person, since two disagree",
        State.DISMISSED: "dismissed",
        State.ENGAGE: "decided: engage",
        State.ENGAGED: "engaged",
        State.OUTCOME: "closed, with its outcome",
    }[state]
