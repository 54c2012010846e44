"""Whether an authority is in force, and what may become of it: pure functions of clocks, and a state machine.

An authority ends when either clock says so. Whoever sets the wall clock back gains nothing: the boot clock ends it. The
time that a stopped machine does not count, the wall clock does; and a machine that starts with an earlier time than it
has already written down is refused.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from lfr_kernel.governance.authority import AuthorityError
from lfr_kernel.governance.instant import Instant, has_jumped, is_behind, is_same_boot

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = [
    "WARNINGS_MIN",
    "Ending",
    "Event",
    "Stage",
    "Standing",
    "Term",
    "advance",
    "due_warning",
    "remaining_s",
    "stand",
    "tied",
]

WARNINGS_MIN = (5, 15)
"""Minutes before the end at which the operator is warned."""
_SECOND_NS = 10**9


class Standing(Enum):
    """What the clocks say of an authority. Only under `IN_FORCE` may anything capture."""

    NOT_YET = "not_yet"
    IN_FORCE = "in_force"
    ENDED = "ended"
    CLOCK_BEHIND = "clock_behind"
    """The machine was started and claims a time before one that it has already written down."""
    CLOCK_JUMPED = "clock_jumped"
    """The wall clock was set forward, and nothing keeps it in step."""


class Term(Struct, frozen=True, kw_only=True):
    """From when to when an authority runs. To extend it, replace `ends_ns`, and nothing else."""

    starts_ns: int
    """Nanoseconds since 1970, UTC."""
    ends_ns: int
    """Likewise; at this one it has ended."""
    anchored: Instant
    """When the end was tied to the boot clock: at the authorisation, and once in every later boot; see `tied`."""


def tied(term: Term, now: Instant) -> Term:
    """Return `term` tied to the boot clock of this boot; unchanged if it is already.

    Within a boot the tie is never made anew: a clock that was set back in between would prolong the authority. Tie only
    what does not stand `CLOCK_BEHIND`.
    """
    if is_same_boot(term.anchored, now):
        return term
    return msgspec.structs.replace(term, anchored=now)


def stand(term: Term, now: Instant, last: Instant | None, *, tolerance_s: float) -> Standing:
    """Say whether an authority is in force.

    Args:
        term: of the authority.
        now: what the clocks say.
        last: what `remember` returned at the last look, written down with the audit; None before the first.
        tolerance_s: `clock_tolerance_s` of the pack.
    """
    if _remaining_ns(term, now) <= 0 or _is_past(term, now, last):
        return Standing.ENDED
    # The tie was written down as well: it holds where nothing else was before the machine started again.
    if any(is_behind(earlier, now, tolerance_s=tolerance_s) for earlier in (last, term.anchored)):
        return Standing.CLOCK_BEHIND
    if has_jumped(last, now, tolerance_s=tolerance_s):
        return Standing.CLOCK_JUMPED
    return Standing.NOT_YET if now.utc_ns < term.starts_ns else Standing.IN_FORCE


def remaining_s(term: Term, now: Instant) -> float:
    """Return the seconds until either clock ends an authority; 0 once it has ended."""
    return max(0, _remaining_ns(term, now)) / _SECOND_NS


def due_warning(term: Term, now: Instant, given: Collection[int]) -> int | None:
    """Return the mark, of `WARNINGS_MIN`, at which the operator is to be warned now; None if there is nothing to say.

    A look that comes late passes over a mark in favour of a nearer one, which says more.

    Args:
        term: of the authority.
        now: what the clocks say.
        given: the marks that were returned before for this term. After an extension: none.
    """
    left_ns = _remaining_ns(term, now)
    for minutes in WARNINGS_MIN:
        if minutes in given:
            return None
        if 0 < left_ns <= minutes * 60 * _SECOND_NS:
            return minutes
    return None


def _is_past(term: Term, now: Instant, last: Instant | None) -> bool:
    """Return whether the end has come by what was last certain and the time that passed since, by the boot clock.

    So a clock that is set back after a restart prolongs nothing, also where the term is not tied to this boot yet.
    """
    return last is not None and is_same_boot(last, now) and last.utc_ns + now.boot_ns - last.boot_ns >= term.ends_ns


def _remaining_ns(term: Term, now: Instant) -> int:
    by_wall = term.ends_ns - now.utc_ns
    if not is_same_boot(term.anchored, now):
        return by_wall
    by_boot = (term.ends_ns - term.anchored.utc_ns) - (now.boot_ns - term.anchored.boot_ns)
    return min(by_wall, by_boot)


class Stage(Enum):
    """How far a deployment has come."""

    AUTHORISED = "authorised"
    OPEN = "open"
    ENDING = "ending"
    """Capture has stopped, and the list is being wiped."""
    CLOSED = "closed"


class Event(Enum):
    """What can happen to a deployment. The text is what somebody wanted to do."""

    AUTHORISE = "authorise it"
    OPEN = "open it"
    EXTEND = "extend it"
    END = "end it"
    WIPED = "report its list as wiped"
    ABANDON = "abandon it"


class Ending(Enum):
    """How a deployment came to its end. Each kind has a record."""

    COMPLETED = "completed"
    REVOKED = "revoked"
    ABANDONED = "abandoned"
    """It was never opened."""
    FAILED = "failed"
    EMPTY = "saw nobody"


_NEXT: dict[tuple[Stage | None, Event], Stage] = {
    (None, Event.AUTHORISE): Stage.AUTHORISED,
    (Stage.AUTHORISED, Event.OPEN): Stage.OPEN,
    (Stage.AUTHORISED, Event.END): Stage.ENDING,
    (Stage.AUTHORISED, Event.ABANDON): Stage.ENDING,
    (Stage.OPEN, Event.EXTEND): Stage.OPEN,
    (Stage.OPEN, Event.END): Stage.ENDING,
    # The clock and a person may both end it, and a crash may have come in between.
    (Stage.ENDING, Event.END): Stage.ENDING,
    (Stage.ENDING, Event.WIPED): Stage.CLOSED,
}
_ADVICE = {
    None: "there is no such authority yet: it has to be authorised first",
    Stage.AUTHORISED: "it is authorised and not open: it can be opened, ended or abandoned; for other times or "
    "another place, authorise another one",
    Stage.OPEN: "it is open: it can be extended, or ended, which wipes its list",
    Stage.ENDING: "it has ended and its list is being wiped: that is finished first, and nothing else happens to it",
    Stage.CLOSED: "it was closed, and its id never opens again: authorise a new one, with an id of its own",
}


def advance(stage: Stage | None, event: Event, *, authority: str) -> Stage:
    """Return the stage that a deployment is in after `event`.

    Args:
        stage: that it is in; None before it was authorised.
        event: what is to happen.
        authority: its id, for the message.

    Raises:
        AuthorityError: that cannot happen in this stage; the text says what can.
    """
    after = _NEXT.get((stage, event))
    if after is None:
        raise AuthorityError(f"authority {authority}", [f"cannot {event.value}: {_ADVICE[stage]}"])
    return after
