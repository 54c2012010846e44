"""What a threshold rests on: every departure from what was tested is named, and being stricter never is one."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lfr_kernel.governance.basis import NO_REPORT, Basis, Coverage, InForce, judge
from lfr_kernel.governance.conditions import UNSAID, Conditions, Range

REPORT, DETECTOR, EMBEDDER, OTHER = ("3f2a91c0" + "0" * 56, "d" * 64, "e" * 64, "f" * 64)
SETTINGS = {
    "detector": "onnx",
    "detector.longest_side": 640,
    "embedder": "onnx",
    "mirror_live": False,
    "tracker": "passage",
    "tracker.min_sharpness": 0.15,
}
CONDITIONS = Conditions(
    passages=400, face_px=Range(p5=60, p95=180), highlight=Range(p5=90, p95=240), sharpness=Range(p5=0.4, p95=0.8)
)


def coverage(**changes: Any) -> Coverage:
    tested: dict[str, Any] = {
        "report_class": "benchmark",
        "data": "LFW",
        "detector": DETECTOR,
        "embedder": EMBEDDER,
        "listed": 444,
        "looks": 16,
        "target_fpir": 0.01,
        "threshold": 0.57,
        "settings": SETTINGS,
        "conditions": CONDITIONS,
    }
    return Coverage(**tested | changes)


def in_force(**changes: Any) -> InForce:
    now: dict[str, Any] = {
        "detector": DETECTOR,
        "embedder": EMBEDDER,
        "listed": 444,
        "looks": 16,
        "threshold": 0.57,
        "target_fpir": 0.01,
        "settings": SETTINGS,
    }
    return InForce(**now | changes)


def changed(**changes: Any) -> dict[str, Any]:
    """The settings with some of another value; None takes one away. A dot in a name is written __."""
    settings = SETTINGS | {name.replace("__", "."): value for name, value in changes.items()}
    return {"settings": {name: value for name, value in settings.items() if value is not None}}


def test_what_was_tested_is_covered() -> None:
    basis = judge(coverage(), REPORT, in_force())
    assert basis == Basis(state="covered", report=REPORT, report_class="benchmark")
    assert str(basis) == "report 3f2a91c0… (benchmark), covers this run"


def test_without_a_report_there_is_no_evidence() -> None:
    basis = judge(None, None, in_force())
    assert basis is NO_REPORT
    assert (basis.state, basis.report, basis.report_class) == ("none", None, None)
    assert basis.reasons == ("the profile cites no evaluation report: see [basis]",)
    assert str(basis) == "NO REPORT, the threshold rests on no evidence"


@pytest.mark.parametrize(
    ("tested", "now", "reason"),
    [
        ({}, {"detector": OTHER}, "detector ffffffff…, tested with dddddddd…"),
        ({}, {"embedder": OTHER}, "embedder ffffffff…, tested with eeeeeeee…"),
        ({}, {"listed": 489}, "list of 489, tested with 444"),
        ({}, {"looks": 17}, "17 looks, tested with 16"),
        ({}, {"looks": None}, "unlimited looks, tested with 16"),
        ({}, {"threshold": 0.56}, "threshold 0.56, needs 0.57 for FPIR 0.01"),
        ({}, {"threshold": 0.5699999999}, "threshold 0.5699999999, needs 0.57 for FPIR 0.01"),
        ({}, {"threshold": math.nextafter(0.57, 0)}, "threshold 0.5699999999999998, needs 0.57 for FPIR 0.01"),
        ({"threshold": None}, {"threshold": 1.0}, "threshold 1, none met FPIR 0.01 in the test"),
        ({}, {"target_fpir": 0.001}, "FPIR 0.001 wanted, tested for 0.01"),
        ({}, changed(detector__longest_side=960), "detector.longest_side 960, tested with 640"),
        ({}, changed(mirror_live=True), "mirror_live true, tested with false"),
        ({}, changed(tracker__min_sharpness=None), "tracker.min_sharpness not set, tested with 0.15"),
        ({}, changed(embedder__norm="l1"), 'embedder.norm "l1", tested with not set'),
        ({}, changed(tracker="other", tracker__min_sharpness=7), 'tracker "other", tested with "passage"'),
    ],
)
def test_each_departure_says_what_is_in_force_and_what_was_tested(
    tested: dict[str, Any], now: dict[str, Any], reason: str
) -> None:
    basis = judge(coverage(**tested), REPORT, in_force(**now))
    assert basis == Basis(state="outside", report=REPORT, report_class="benchmark", reasons=(reason,))


@pytest.mark.parametrize(
    "now",
    [
        {"listed": 444},
        {"listed": 1},
        {"looks": 1},
        {"threshold": 0.9},
        {"target_fpir": 0.5},
        {"detector": None, "embedder": None, "listed": None},
        changed(detector__longest_side=640.0),
    ],
)
def test_what_is_no_departure(now: dict[str, Any]) -> None:
    assert judge(coverage(), REPORT, in_force(**now)).state == "covered"


@given(listed=st.integers(1, 10**9), more=st.integers(-5, 5))
def test_a_list_may_be_as_long_as_the_threshold_is_for_and_not_one_person_longer(listed: int, more: int) -> None:
    state = judge(coverage(listed=listed), REPORT, in_force(listed=max(0, listed + more))).state
    assert state == ("covered" if more <= 0 else "outside")


NAMES = st.sampled_from(["detector", "detector.side", "embedder", "mirror_live", "tracker", "tracker.px"])
VALUES = st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.text(max_size=90)
MAPS = st.dictionaries(NAMES | st.text(max_size=90), VALUES, max_size=5)
MODELS = st.sampled_from([DETECTOR, OTHER])
COVERAGES = st.builds(
    Coverage,
    report_class=st.sampled_from(["benchmark", "operational"]),
    data=st.just("x"),
    detector=MODELS,
    embedder=MODELS,
    listed=st.integers(1, 50),
    looks=st.integers(1, 8),
    target_fpir=st.floats(1e-6, 0.5),
    threshold=st.none() | st.floats(-1, 1),
    settings=MAPS,
)
RUNS = st.builds(
    InForce,
    detector=st.none() | MODELS,
    embedder=st.none() | MODELS,
    listed=st.none() | st.integers(1, 60),
    looks=st.none() | st.integers(1, 9),
    threshold=st.floats(-1, 1),
    target_fpir=st.floats(1e-6, 0.5),
    settings=MAPS,
)


@given(tested=COVERAGES, now=RUNS, data=st.data())
def test_a_stricter_run_departs_in_nothing_new(tested: Coverage, now: InForce, data: st.DataObject) -> None:
    now = msgspec.structs.replace(now, settings=data.draw(st.just(tested.settings) | MAPS))
    stricter = msgspec.structs.replace(
        now,
        listed=data.draw(st.integers(1, now.listed)) if now.listed else None,
        looks=data.draw(st.integers(1, now.looks or 9)),
        threshold=data.draw(st.floats(now.threshold, 1)),
    )
    before, after = judge(tested, REPORT, now), judge(tested, REPORT, stricter)
    assert {_subject(reason) for reason in after.reasons} <= {_subject(reason) for reason in before.reasons}
    assert len(after.reasons) <= len(before.reasons)
    assert not (before.state == "covered" and after.state == "outside")


def _subject(reason: str) -> str:
    """What a sentence is about: its first word that is no number."""
    words = reason.split()
    return words[1] if words[1:2] == ["looks,"] else words[0]


@given(tested=COVERAGES, now=RUNS)
def test_a_state_has_its_reasons_and_a_line_fits_beside_an_alert(tested: Coverage, now: InForce) -> None:
    basis = judge(tested, REPORT, now)
    assert basis.state == ("outside" if basis.reasons else "covered")
    assert all(basis.reasons)
    line = str(basis)
    assert line.startswith(f"report 3f2a91c0… ({tested.report_class}), ")
    assert ("OUTSIDE" in line) == (basis.state == "outside")
    assert len(line) <= 70
    assert len(line.splitlines()) == 1


@given(tested=COVERAGES)
def test_what_was_tested_itself_is_covered_unless_no_threshold_was_good_enough(tested: Coverage) -> None:
    assume(tested.threshold is not None)
    now = {name: getattr(tested, name) for name in InForce.__struct_fields__}
    assert judge(tested, REPORT, InForce(**now)).state == "covered"


def test_the_line_says_how_many_departures_there_are_and_names_the_first() -> None:
    assert str(judge(coverage(), REPORT, in_force(listed=900))) == (
        "report 3f2a91c0… (benchmark), OUTSIDE: list of 900, tested with 444"
    )
    many = judge(coverage(), REPORT, in_force(listed=900, looks=None, threshold=0.2))
    assert str(many) == "report 3f2a91c0… (benchmark), OUTSIDE (3): list of 900, tested with…"
    assert many.heading == "report 3f2a91c0… (benchmark), OUTSIDE"


def test_a_report_without_conditions_is_no_departure_and_its_silence_is_said() -> None:
    basis = judge(coverage(conditions=None), REPORT, in_force())
    assert (basis.state, basis.reasons) == ("covered", ())
    assert basis.notes == ("the report does not say in which light and from how far faces were seen",)
    assert judge(None, None, in_force()).notes == ()


def test_what_a_run_departs_in_while_it_runs_comes_after_what_it_began_with() -> None:
    covered = judge(coverage(), REPORT, in_force())
    assert covered.departing(()) is covered
    dark = covered.departing(["camera gate: faces darker than tested"])
    assert (dark.state, dark.reasons) == ("outside", ("camera gate: faces darker than tested",))
    assert str(dark) == "report 3f2a91c0… (benchmark), OUTSIDE: camera gate: faces darker than…"
    longer = judge(coverage(), REPORT, in_force(listed=900)).departing(["camera gate: faces darker than tested"])
    assert longer.reasons == ("list of 900, tested with 444", "camera gate: faces darker than tested")
    assert str(longer).startswith("report 3f2a91c0… (benchmark), OUTSIDE (2): list of 900")


# ---- the part `covers` of a report ----------------------------------------------------------------------------------


def test_what_a_report_covers_survives_the_way_through_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(coverage()), type=Coverage) == coverage()


def test_a_report_that_is_older_than_conditions_is_read() -> None:
    old = msgspec.to_builtins(coverage())
    del old["conditions"]
    assert msgspec.json.decode(msgspec.json.encode(old), type=Coverage) == coverage(conditions=None)
    assert judge(coverage(conditions=None), REPORT, in_force()).notes == (UNSAID,)


@pytest.mark.parametrize(
    "change",
    [
        {"report_class": "rumour"},
        {"data": ""},
        {"detector": "D" * 64},
        {"embedder": "e" * 63},
        {"listed": 0},
        {"listed": 1.5},
        {"looks": 0},
        {"target_fpir": 0},
        {"target_fpir": 1.1},
        {"threshold": 1.1},
        {"threshold": "0.57"},
        {"settings": {"detector.longest_side": [640]}},
        {"only_by_daylight": True},
        {"conditions": {}},
        {"conditions": msgspec.to_builtins(CONDITIONS) | {"passages": 19}},
        {"conditions": msgspec.to_builtins(CONDITIONS) | {"by_daylight": True}},
        {"conditions": msgspec.to_builtins(CONDITIONS) | {"highlight": {"p5": 200, "p95": 100}}},
    ],
)
def test_a_report_that_cannot_be_held_to_is_not_read(change: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(coverage()) | change), type=Coverage)
