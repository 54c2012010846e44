"""What is written of an engagement or an outcome has to fit together, and all that does not is said at once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import structs

from governance.alerts.support import DISMISSED_WRONG, ENGAGED, GONE, NOT_RECORDED, RIGHT, WRONG
from governance.deployment.support import pack_with
from lfr_kernel.governance.alerts.contents import verify_closed, verify_engaged
from lfr_kernel.governance.alerts.handling import Titles, handling_of
from lfr_kernel.governance.alerts.statements import Closed, Described, Engaged
from lfr_kernel.governance.alerts.vocabulary import Cause, Grounds, Known, Outcome, Proof, Truth
from lfr_kernel.governance.rules import load_pack

HANDLING = handling_of(pack_with().pack.rules)
SEEN = Known.OBSERVED_IN_PERSON
ESTABLISHED_BY = [proof for proof in Proof if proof is not Proof.NOT_KNOWN]


def closed(body: Closed, **changes: Any) -> list[str]:
    return list(verify_closed(structs.replace(body, **changes), HANDLING))


@pytest.mark.parametrize("body", [RIGHT, WRONG, DISMISSED_WRONG, GONE])
def test_what_fits_together_is_taken(body: Closed) -> None:
    assert closed(body) == []


def test_a_power_is_one_of_the_pack() -> None:
    for power in HANDLING.titles.powers:
        assert list(verify_engaged(structs.replace(ENGAGED, power=power), HANDLING)) == []
    (problem,) = verify_engaged(structs.replace(ENGAGED, power="pace-42"), HANDLING)
    assert "power: expected one of" in problem
    assert "got 'pace-42' (did you mean 'pace-24'?)" in problem


@pytest.mark.parametrize("minutes", [-0.5, 2_881])
def test_nobody_is_held_up_for_less_than_no_time_or_more_than_two_days(minutes: float) -> None:
    written = msgspec.json.encode(structs.replace(ENGAGED, minutes=minutes))
    with pytest.raises(msgspec.ValidationError, match="minutes"):
        msgspec.json.decode(written, type=Engaged)


@pytest.mark.parametrize("truth", [Truth.TRUE, Truth.FALSE])
def test_what_is_established_says_by_what(truth: Truth) -> None:
    body = RIGHT if truth is Truth.TRUE else WRONG
    for proof in ESTABLISHED_BY:
        assert closed(body, proof=proof) == []
    (problem,) = closed(body, proof=Proof.NOT_KNOWN)
    assert problem.startswith("expected how it is known that the alert was true or false (--proof), and only then")
    assert f"got truth {truth} with proof not-known" in problem


@pytest.mark.parametrize("proof", ESTABLISHED_BY)
def test_what_is_not_established_has_no_proof(proof: Proof) -> None:
    (problem,) = closed(GONE, proof=proof)
    assert f"got truth not-established with proof {proof}" in problem


@pytest.mark.parametrize("grounds", Grounds)
def test_whether_grounds_still_stood_is_asked_of_the_right_person_only(grounds: Grounds) -> None:
    assert closed(RIGHT, grounds=grounds) == []
    for body in (WRONG, GONE):
        problems = closed(body, grounds=grounds)
        assert len(problems) == (grounds is not Grounds.NOT_RECORDED)
        assert all(f"grounds {grounds}: expected grounds only where the right person" in one for one in problems)


@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_there_are_arrests_where_the_outcome_is_one_and_only_there(outcome: Outcome | None) -> None:
    is_arrest = outcome is Outcome.ARREST
    assert closed(RIGHT, outcome=outcome, arrests=2 if is_arrest else 0) == []
    (problem,) = closed(RIGHT, outcome=outcome, arrests=0 if is_arrest else 2)
    assert "expected arrests with the outcome arrest, and only then" in problem


@pytest.mark.parametrize(
    "changes",
    [
        {"cause": Cause.TWIN_OR_KIN},
        {"sex": NOT_RECORDED},
        {"age": NOT_RECORDED},
        {"ethnicity": NOT_RECORDED},
    ],
)
@pytest.mark.parametrize("body", [RIGHT, GONE])
def test_nothing_is_recorded_of_whoever_was_not_falsely_alerted_on(body: Closed, changes: dict[str, Any]) -> None:
    assert closed(body, **changes) == ["expected cause, sex, age and ethnicity of a false alert only (--truth false)"]


@pytest.mark.parametrize("name", ["sex", "age", "ethnicity"])
def test_of_a_false_alert_all_three_are_answered(name: str) -> None:
    (problem,) = closed(WRONG, **{name: None})
    assert problem.startswith(f"expected {name} of whoever was falsely alerted on, or that it was not recorded")
    assert closed(WRONG, **{name: NOT_RECORDED}) == []


@pytest.mark.parametrize("cause", [None, *Cause])
def test_a_false_alert_may_have_a_cause(cause: Cause | None) -> None:
    assert closed(WRONG, cause=cause) == []


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [("sex", "female", "femal"), ("age", "25-34", "25-35"), ("ethnicity", "black", "blakc")],
)
def test_each_is_a_word_of_its_own_list(name: str, good: str, bad: str) -> None:
    assert closed(WRONG, **{name: Described(value=good, known=SEEN, by="PC 1")}) == []
    (problem,) = closed(WRONG, **{name: Described(value=bad, known=SEEN, by="PC 1")})
    assert f"{name}: expected one of" in problem
    assert f"(did you mean '{good}'?)" in problem


def test_groups_are_those_that_the_pack_fixed() -> None:
    ours = structs.replace(HANDLING, titles=Titles(ethnic_groups={"north": "Northerners"}))
    body = structs.replace(WRONG, ethnicity=Described(value="north", known=SEEN, by="PC 1"))
    assert list(verify_closed(body, ours)) == []
    assert len(list(verify_closed(body, HANDLING))) == 1


@pytest.mark.parametrize("name", ["sex", "age", "ethnicity"])
@pytest.mark.parametrize(
    ("known", "by"), [(Known.NOT_RECORDED, "PC 1"), (SEEN, ""), (Known.NOT_RECORDED, "")], ids=["how", "who", "either"]
)
def test_what_is_recorded_says_how_it_is_known_and_by_whom(name: str, known: Known, by: str) -> None:
    value = {"sex": "male", "age": "18-24", "ethnicity": "white"}[name]
    (problem,) = closed(WRONG, **{name: Described(value=value, known=known, by=by)})
    assert f"{name}: expected how {value} is known and by whom, or nothing recorded" in problem
    assert f"got known {known} by {by or 'nobody'}" in problem


@pytest.mark.parametrize("name", ["sex", "age", "ethnicity"])
@pytest.mark.parametrize(("known", "by"), [(SEEN, ""), (Known.NOT_RECORDED, "PC 1"), (SEEN, "PC 1")])
def test_nobody_knows_what_is_not_recorded(name: str, known: Known, by: str) -> None:
    (problem,) = closed(WRONG, **{name: Described(value="not-recorded", known=known, by=by)})
    assert f"{name}: expected how not-recorded is known" in problem


def test_all_that_is_wrong_is_said_at_once() -> None:
    problems = closed(
        WRONG,
        proof=Proof.NOT_KNOWN,
        grounds=Grounds.VALID,
        arrests=1,
        sex=None,
        age=Described(value="old", known=SEEN, by=""),
    )
    assert len(problems) == 6


def test_a_code_means_what_its_own_list_says_it_does() -> None:
    titles = handling_of(load_pack("demo").pack.rules).titles
    assert titles.categories["volunteer"] == "Takes part in the demonstration and has agreed to it"
    assert titles.sources["volunteer"] == "Given by the person for the demonstration"
