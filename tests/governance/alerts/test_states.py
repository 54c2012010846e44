"""What may become of an alert: every step in every state, and what each refusal says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from governance.alerts.support import DISMISSED_WRONG, ENGAGED, GONE, RIGHT
from governance.deployment.support import pack_with
from lfr_kernel.governance.alerts.handling import handling_of
from lfr_kernel.governance.alerts.statements import Assessed, Closed, Engaged, Looked, Step
from lfr_kernel.governance.alerts.states import UNDECIDED, Case, State, advance, case_of, is_secret, shown_to
from lfr_kernel.governance.alerts.vocabulary import Verdict
from lfr_kernel.governance.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfr_kernel.governance.alerts.handling import Handling
    from lfr_kernel.governance.alerts.statements import StepBody

ONE = handling_of(pack_with().pack.rules)
TWO = structs.replace(ONE, assessors=2)
THIRD = structs.replace(TWO, on_disagreement="third-person")
WORDS: dict[str, StepBody] = {
    "look": Looked(pictures=True),
    "dismiss": Assessed(alert="a", verdict=Verdict.DISMISS, salt="00"),
    "decide": Assessed(alert="a", verdict=Verdict.ENGAGE, salt="00"),
    "engage": ENGAGED,
    "arrest": RIGHT,
    "gone": GONE,
    "known": DISMISSED_WRONG,
}
"""Of each step. `decide`: to engage; `arrest`: an outcome; `known`: no outcome, only whether it was the right one."""
CORRECTIONS = [f"{name}!" for name in WORDS if name != "look"]
STEPS = [*WORDS, *CORRECTIONS]
"""All there are; `!`: as the correction of what is there of its kind."""

PATHS = {
    "open": "",
    "viewed": "look",
    "dismissed": "look dismiss",
    "dismissed, known": "look dismiss known",
    "decided": "look decide",
    "decided, once known": "look dismiss known decide!",
    "engaged": "look decide engage",
    "engaged, once known": "look dismiss known decide! engage",
    "arrested": "look decide engage arrest",
    "gone": "look decide gone",
}
"""How an alert gets where, where one person assesses."""
NEXT = {
    "open": "look:viewed",
    "viewed": "look:viewed dismiss:dismissed decide:engage",
    "dismissed": "look:dismissed known:dismissed dismiss!:dismissed decide!:engage",
    "dismissed, known": "look:dismissed known!:dismissed dismiss!:dismissed decide!:engage",
    "decided": "look:engage engage:engaged gone:outcome dismiss!:dismissed decide!:engage",
    "decided, once known": "look:engage engage:engaged gone:outcome gone!:outcome dismiss!:dismissed decide!:engage",
    "engaged": "look:engaged engage!:engaged arrest:outcome",
    "engaged, once known": "look:engaged engage!:engaged arrest:outcome arrest!:outcome",
    "arrested": "look:outcome engage!:outcome arrest!:outcome",
    "gone": "look:outcome gone!:outcome engage:engaged",
}
"""What may be done there, and what it makes of the alert. Whatever is not here is refused."""
TIE = "look@dee look@dan look@dot dismiss@dee decide@dan"


def a_step(name: str, case: Case, entry: int) -> Step:
    """Return a step by its name, as `decide!@dan`: by dee unless it says by whom, a second after the one before."""
    what, _, by = name.partition("@")
    by = f"person {by or 'dee'}"
    body = WORDS[what.removesuffix("!")]
    if what.endswith("!"):
        own = case.assessed_by(by) or next(iter(case.assessments), None)
        found = {Assessed: own, Engaged: case.engagement, Closed: case.closing}[type(body)]
        body = structs.replace(body, corrects=found.entry if found else -1)  # type: ignore[type-var]
    return Step(entry=entry, at_ns=entry * 10**9, by=by, reason=None, body=body)


def steps_of(path: str, handling: Handling = ONE) -> list[Step]:
    steps: list[Step] = []
    for entry, name in enumerate(path.split(), start=1):
        steps.append(a_step(name, case_of(steps, handling), entry))
    return steps


def told(path: str, handling: Handling = ONE) -> Case:
    return case_of(steps_of(path, handling), handling)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("place", PATHS)
def test_every_step_in_every_state_leads_where_the_table_says_or_nowhere(place: str, name: str) -> None:
    before = told(PATHS[place])
    allowed = dict(one.split(":") for one in NEXT[place].split())
    step = a_step(name, before, 99)
    if name not in allowed:
        with pytest.raises(RefusedError):
            advance(before, step, ONE)
        return
    after = advance(before, step, ONE)
    assert after.state == allowed[name]
    assert after.corrections == before.corrections + name.endswith("!")
    assert (after.decided_ns is not None) == (after.state not in UNDECIDED)


@pytest.mark.parametrize("place", PATHS)
def test_somebody_who_has_not_looked_does_not_assess_and_does_not_correct_others(place: str) -> None:
    before = told(PATHS[place])
    for name in ("dismiss", "decide", "dismiss!", "decide!"):
        with pytest.raises(RefusedError):
            advance(before, a_step(f"{name}@dan", before, 99), ONE)


@pytest.mark.parametrize("handling", [TWO, THIRD], ids=["two", "third"])
@pytest.mark.parametrize("name", [one for one in STEPS if one not in {"look", "dismiss", "decide"}])
@pytest.mark.parametrize("path", ["", "look", "look look@dan", "look look@dan decide", "look look@dan decide decide!"])
def test_before_two_people_have_assessed_nothing_follows(path: str, name: str, handling: Handling) -> None:
    before = told(path, handling)
    is_own = "decide" in path and name in {"dismiss!", "decide!"}
    for who in ("dee", "dan") if not is_own else ("dan",):
        with pytest.raises(RefusedError):
            advance(before, a_step(f"{name}@{who}", before, 99), handling)


@pytest.mark.parametrize(
    ("path", "two", "third"),
    [
        ("dismiss@dee dismiss@dan", "dismissed", "dismissed"),
        ("decide@dee decide@dan", "engage", "engage"),
        ("dismiss@dee decide@dan", "dismissed", "assessed"),
        ("decide@dee dismiss@dan", "dismissed", "assessed"),
        ("decide@dee decide!@dee", "viewed", "viewed"),
        ("decide@dee dismiss!@dee dismiss@dan", "dismissed", "dismissed"),
        ("decide@dee decide!@dee decide@dan", "engage", "engage"),
        ("decide@dee dismiss@dan dismiss!@dee", "dismissed", "dismissed"),
        ("decide@dee decide@dan dismiss!@dan", "dismissed", "assessed"),
    ],
)
def test_what_two_people_say_decides_as_the_pack_rules(path: str, two: str, third: str) -> None:
    whole = f"look@dee look@dan look@dot {path}"
    assert told(whole, TWO).state == two
    assert told(whole, THIRD).state == third


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("who", ["dee", "dot"])
def test_where_two_disagree_only_the_third_person_or_a_change_of_mind_decides(who: str, name: str) -> None:
    before = told(TIE, THIRD)
    allowed = {
        "dot": {"look": "assessed", "dismiss": "dismissed", "decide": "engage"},
        "dee": {"look": "assessed", "dismiss!": "assessed"},
    }[who]
    step = a_step(f"{name}@{who}", before, 99)
    if name in allowed:
        assert advance(before, step, THIRD).state == allowed[name]
    else:
        with pytest.raises(RefusedError):
            advance(before, step, THIRD)


def test_a_third_person_decides_among_two_and_no_fourth_is_heard() -> None:
    path = f"{TIE} decide@dot"
    assert told(path, THIRD).state is State.ENGAGE
    with pytest.raises(RefusedError, match="it was assessed already"):
        told(f"{path} look@eva dismiss@eva", THIRD)
    assert told(f"{path} dismiss!@dan", THIRD).state is State.DISMISSED  # the first two agree now
    assert told(f"{path} dismiss!@dot", THIRD).state is State.DISMISSED


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("dismiss", "person dee has not looked at this alert yet: lfr-kernel alerts show shows both pictures"),
        ("look decide decide", "person dee has assessed this alert already; a mistake is corrected with --correct"),
        ("look look@dan decide decide@dan", "this alert is decided: engage: it was assessed already"),
        ("look dismiss!", "there is no assessment to correct: assess it without --correct"),
        ("look decide engage dismiss!", "what was decided then stands; correct the engagement or the outcome instead"),
        ("look decide gone dismiss!", "what was decided then stands"),
        ("engage", "this alert is open, and nobody has looked at it: expected a decision to engage"),
        ("look engage", "this alert is not decided on yet: expected a decision to engage"),
        ("look dismiss engage", "this alert is dismissed: expected a decision to engage"),
        ("look decide engage engage", "the engagement is recorded already"),
        ("look decide engage!", "there is no engagement to correct"),
        ("look decide engage arrest arrest", "the outcome is recorded already"),
        ("look decide engage arrest!", "there is no outcome to correct"),
        ("look known", "this alert is not decided on yet: expected a decision on it first"),
        ("look dismiss arrest", "this alert was dismissed, so nobody was engaged"),
        ("look decide arrest", "no engagement is recorded: record it first"),
        ("look decide engage known", "somebody was engaged: expected what came of it"),
        ("look decide engage gone", "somebody was engaged: expected what came of it"),
    ],
)
def test_a_refusal_says_what_has_to_come_first(path: str, text: str) -> None:
    with pytest.raises(RefusedError, match=text):
        told(path)


def test_where_two_assess_nobody_corrects_the_other() -> None:
    steps = steps_of("look@dee look@dan decide@dee", TWO)
    body = Assessed(alert="a", verdict=Verdict.DISMISS, salt="00", corrects=steps[-1].entry)
    step = Step(entry=9, at_ns=9, by="person dan", reason=None, body=body)
    with pytest.raises(RefusedError, match="expected person dee to correct an assessment of their own, got person dan"):
        advance(case_of(steps, TWO), step, TWO)


def test_where_one_assesses_somebody_else_who_has_looked_may_correct_them() -> None:
    after = told("look@dee decide@dee look@dan dismiss!@dan")
    assert (after.state, after.corrections, len(after.assessments)) == (State.DISMISSED, 1, 1)
    assert after.assessments[0].by == "person dan"


def test_when_it_was_decided_is_when_it_first_was() -> None:
    assert told("look look look dismiss").decided_ns == 4 * 10**9
    assert told("look look look dismiss look decide!").decided_ns == 4 * 10**9
    assert told(f"{TIE} look decide@dot", THIRD).decided_ns == 7 * 10**9
    assert told(TIE, THIRD).decided_ns is None


@pytest.mark.parametrize(
    ("path", "is_hidden"),
    [
        ("", False),
        ("look", True),
        ("look look@dan decide", True),
        ("look look@dan decide dismiss!", True),
        ("look look@dan decide decide@dan", False),
        (TIE, False),
    ],
)
def test_what_two_people_say_is_secret_until_both_have(path: str, is_hidden: bool) -> None:  # noqa: FBT001
    steps = steps_of(path, THIRD)
    assert is_secret(case_of(steps, THIRD), THIRD) == is_hidden
    without = [one for one in steps if not isinstance(one.body, Assessed)]
    assert kept(shown_to(steps, "person dot", THIRD)) == kept(without if is_hidden else steps)
    assert kept(shown_to(steps, "person dee", THIRD)) == kept(steps)
    assert kept(shown_to(steps_of("look decide"), "person dot", ONE)) == [1, 2]


def kept(steps: Sequence[Step]) -> list[int]:
    return [one.entry for one in steps]
