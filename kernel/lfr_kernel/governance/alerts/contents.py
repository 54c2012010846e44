"""Whether what somebody writes of an engagement or an outcome fits together. Every mistake is found at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfr_kernel.decoding import shown, suggest
from lfr_kernel.governance.alerts.vocabulary import AgeBand, Grounds, Known, Outcome, Proof, Sex, Truth

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from lfr_kernel.governance.alerts.handling import Handling
    from lfr_kernel.governance.alerts.statements import Closed, Described, Engaged

__all__ = ["verify_closed", "verify_engaged"]

NOT_RECORDED = "not-recorded"


def verify_engaged(body: Engaged, handling: Handling) -> Iterator[str]:
    """Yield what is wrong with the record of an engagement."""
    yield from _of_codes("power", body.power, handling.titles.powers)


def verify_closed(body: Closed, handling: Handling) -> Iterator[str]:
    """Yield what is wrong with an outcome."""
    if (body.truth is Truth.NOT_ESTABLISHED) != (body.proof is Proof.NOT_KNOWN):
        yield (
            f"expected how it is known that the alert was true or false (--proof), and only then; got truth "
            f"{body.truth} with proof {body.proof}"
        )
    if body.grounds is not Grounds.NOT_RECORDED and body.truth is not Truth.TRUE:
        yield f"grounds {body.grounds}: expected grounds only where the right person was recognised (--truth true)"
    if (body.outcome is Outcome.ARREST) != (body.arrests > 0):
        yield f"expected arrests with the outcome arrest, and only then; got {body.outcome} with {body.arrests} arrests"
    if body.truth is not Truth.FALSE:
        if body.cause is not None or body.sex or body.age or body.ethnicity:
            yield "expected cause, sex, age and ethnicity of a false alert only (--truth false)"
        return
    groups = {**handling.titles.ethnic_groups, NOT_RECORDED: ""}
    for name, given, codes in (
        ("sex", body.sex, [str(one) for one in Sex]),
        ("age", body.age, [str(one) for one in AgeBand]),
        ("ethnicity", body.ethnicity, groups),
    ):
        if given is None:
            yield f"expected {name} of whoever was falsely alerted on, or that it was not recorded ({NOT_RECORDED})"
        else:
            yield from _of_described(name, given, codes)


def _of_described(name: str, given: Described, codes: Collection[str]) -> Iterator[str]:
    yield from _of_codes(name, given.value, codes)
    is_recorded = given.value != NOT_RECORDED
    if is_recorded != (given.known is not Known.NOT_RECORDED) or is_recorded != bool(given.by):
        yield (
            f"{name}: expected how {given.value} is known and by whom, or nothing recorded; got known {given.known} by "
            f"{given.by or 'nobody'}"
        )


def _of_codes(name: str, code: str, codes: Collection[str]) -> Iterator[str]:
    known = [str(one) for one in codes]
    if code not in known:
        yield f"{name}: expected one of {', '.join(known)}; got {shown(code)}{suggest(code, known)}"
