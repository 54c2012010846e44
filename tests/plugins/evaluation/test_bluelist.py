"""Blue-list mode: who was planned, who alerted, and what nobody can know yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lfr_kernel.api import Basis
from lfr_kernel.stages.sink import notice_of
from lfr_kernel.testing.fakes import a_notice, an_alert, digest_of
from lfr_plugins.lab.evaluation.bluelist import BlueListError, BlueListReport, blue_list_report, read_blue_list
from lfr_plugins.lab.evaluation.statistics import rate
from lfr_plugins.sinks.jsonl import encode

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from pathlib import Path

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HEADER = "identity,camera,start,end"
CAMERAS = ("gate", "hall")
THRESHOLD = 0.6


def at(minutes: float) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat()


def ns(minutes: float) -> int:
    return round(NOON.timestamp() * 1e9) + round(minutes * 60e9)


def plan(person: str, camera: str, start: float, end: float, *groups: str) -> str:
    return ",".join((person, camera, at(start), at(end), *groups))


class Fact(NamedTuple):
    """An alert: on whom, where, when; and how much later it was raised."""

    person: str
    camera: str = "gate"
    minutes: float = 1.0
    after_s: float = 2.0
    run: str = "ab12cd"


class Files:
    """The three inputs of a deployment that lasted an hour from noon."""

    def __init__(self, folder: Path) -> None:
        self.plan, self.alerts, self.run = folder / "plan.csv", folder / "alerts.jsonl", folder / "run.json"

    def write(self, lines: Sequence[str], facts: Sequence[Fact] = (), *, header: str = HEADER, **changes: Any) -> Files:
        self.plan.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
        raised = [
            msgspec.structs.replace(
                an_alert(number),
                passage=f"{fact.run}-{number:06d}",
                camera=fact.camera,
                person=fact.person,
                threshold=THRESHOLD,
                captured_at_ns=ns(fact.minutes),
                alerted_at_ns=ns(fact.minutes) + round(fact.after_s * 1e9),
            )
            for number, fact in enumerate(facts, start=1)
        ]
        self.alerts.write_bytes(b"".join(encode(notice_of(one, details=True)) for one in raised))
        mine = [one for one, fact in zip(raised, facts, strict=True) if fact.run == "ab12cd"]
        summary: dict[str, Any] = {
            "run": "ab12cd",
            "profile": "van",
            "permit": "permit 7",
            "basis": Basis(state="covered", report="3f" * 32, report_class="benchmark"),
            "began_at": "2026-03-01T12:00:00.000Z",
            "ended": "SIGTERM",
            "duration_s": 3600.0,
            "passages": {"seen": 640, "alerted": len(mine)},
            "faces": 12_345,
            "alerts": [{"id": one.id, "person": one.person} for one in mine],
            "watchlist": {
                "people": 500,
                "threshold": THRESHOLD,
                "model": digest_of("fake embedder"),
            },
            "models": {"detector": {"digest": digest_of("fake detector")}},
            "cameras": {name: {"name": name} for name in CAMERAS},
        }
        self.run.write_bytes(msgspec.json.format(msgspec.json.encode(summary | changes)))
        return self

    def report(self) -> BlueListReport:
        return blue_list_report(read_blue_list(self.plan, self.alerts, self.run))

    def refused(self) -> str:
        with pytest.raises(BlueListError) as caught:
            read_blue_list(self.plan, self.alerts, self.run)
        return str(caught.value)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_people_are_the_unit_and_half_of_the_passages_is_enough(files: Files) -> None:
    lines = [
        *(plan("half", "gate", 10 * n, 10 * n + 5) for n in range(4)),
        *(plan("less", "gate", 10 * n, 10 * n + 5) for n in range(3)),
        plan("never", "gate", 0, 5),
    ]
    report = files.write(lines, [Fact("half", minutes=1), Fact("half", minutes=31), Fact("less", minutes=21)]).report()
    assert [(one.identity, one.planned, one.alerted, one.is_found) for one in report.people] == [
        ("half", 4, 2, True),
        ("less", 3, 1, False),
        ("never", 1, 0, False),
    ]
    assert report.tpir == rate(1, 3)
    assert (report.passages_planned, report.passages_alerted) == (8, 3)
    assert report.report_class == "operational"


def test_several_alerts_in_one_passage_count_once_and_the_first_says_how_long_it_took(files: Files) -> None:
    facts = [Fact("ada", minutes=3, after_s=1), Fact("ada", minutes=1, after_s=0.5), Fact("bob", minutes=4)]
    report = files.write([plan("ada", "gate", 0, 5), plan("bob", "gate", 0, 5)], facts).report()
    assert (report.passages_alerted, report.alerts_in_planned_passages) == (2, 3)
    assert report.seconds_to_alert == msgspec.convert(
        {"count": 2, "p50": 60.5, "p95": 242.0, "max": 242.0}, type(report.seconds_to_alert)
    )


def test_an_alert_counts_only_for_its_person_at_its_camera_in_its_time(files: Files) -> None:
    facts = [
        Fact("ada", camera="hall", minutes=12),
        Fact("ada", minutes=9.99),
        Fact("ada", minutes=15),  # the end is not part of it
        Fact("bob", minutes=12),
        Fact("wanted", minutes=12),
        Fact("wanted", minutes=12),
    ]
    report = files.write([plan("ada", "gate", 10, 15), plan("bob", "gate", 20, 25)], facts).report()
    assert report.tpir.events == 0
    assert [(one.person, one.camera) for one in report.alerts_unplanned] == [
        ("ada", "gate"),
        ("ada", "hall"),
        ("bob", "gate"),
        ("ada", "gate"),
    ]
    assert report.alerts_unplanned[1].captured_at == "2026-03-01T12:12:00.000000Z"
    assert (report.alerts, report.alerts_on_others, report.alerts_in_planned_passages) == (6, 2, 0)
    started = files.write([plan("ada", "gate", 10, 15)], [Fact("ada", minutes=10)]).report()
    assert started.passages_alerted == 1


def test_what_nobody_can_know_yet_is_said_with_both_denominators(files: Files) -> None:
    report = files.write([plan("ada", "gate", 0, 5)], [Fact("wanted"), Fact("ada")]).report()
    assert [(one.per, one.denominator, one.value) for one in report.false_alerts] == [
        ("face seen", 12_345, None),
        ("alert", 2, None),
    ]
    assert all(one.note == "not measurable before adjudication" for one in report.false_alerts)


def test_what_ran_is_named(files: Files) -> None:
    report = files.write([plan("ada", "gate", 0, 5)]).report()
    assert (report.faces_seen, report.passages_seen, report.listed, report.threshold) == (12_345, 640, 500, 0.6)
    assert (report.detector, report.embedder) == (digest_of("fake detector"), digest_of("fake embedder"))
    assert (report.permit, report.basis.report_class, report.run) == ("permit 7", "benchmark", "ab12cd")
    assert (report.began_at, report.ended_at) == ("2026-03-01T12:00:00.000000Z", "2026-03-01T13:00:00.000000Z")
    assert not report.warnings
    assert all(len(digest) == 64 for digest in report.digests.values())


def test_the_report_is_json_and_comes_back_without_evidence(files: Files) -> None:
    lines = [plan("ada", "gate", 0, 5, "woman"), plan("bob", "gate", 0, 5, "man")]
    report = files.write(lines, [Fact("ada", minutes=50), Fact("bob")], header=HEADER + ",group_sex").report()
    written = msgspec.json.encode(report)
    assert msgspec.json.decode(written, type=BlueListReport) == report
    assert not any(word in written for word in (b"evidence", b"box", b"crop", b"template"))


def test_groups_are_counted_by_people(files: Files) -> None:
    lines = [
        *(plan(f"w{n}", "gate", 0, 5, "woman", "young") for n in range(6)),
        *(plan(f"m{n}", "gate", 0, 5, "man", "young") for n in range(6)),
        plan("m0", "gate", 10, 15, "man", "young"),
    ]
    facts = [Fact(f"w{n}") for n in range(6)] + [Fact("m0")]
    report = files.write(lines, facts, header=HEADER + ",group_sex,group_age").report()
    sex, age = report.groups["sex"], report.groups["age"]
    assert sex.tpir == {"man": rate(1, 6), "woman": rate(6, 6)}
    assert sex.homogeneity is not None
    assert sex.homogeneity.p == pytest.approx(14 / 924)  # all six women, or by symmetry the men, and 1 or 0 of the rest
    assert sex.misses is not None
    assert (sex.misses.worst, sex.misses.best) == ("man", "woman")
    assert sex.p_adjusted == pytest.approx(14 / 924)  # the other column tests nothing
    assert set(sex.detectable) == {"man", "woman"}
    assert age.tpir == {"young": rate(7, 12)}
    assert (age.misses, age.homogeneity, age.p_adjusted, age.detectable) == (None, None, None, {})


def test_times_outside_the_run_are_a_warning_and_count(files: Files) -> None:
    lines = [plan("ada", "gate", -5, 5), plan("bob", "gate", 58, 61), plan("eve", "gate", 0, 60)]
    report = files.write(lines, [Fact("ada"), Fact("bob", minutes=59)]).report()
    assert len(report.warnings) == 2
    assert report.warnings[0].startswith("ada was to pass gate from 2026-03-01T11:55:00.000000Z to ")
    assert report.warnings[1].startswith("bob was to pass gate ")
    assert report.tpir == rate(2, 3)


def test_a_plan_longer_than_the_list_a_failed_run_and_older_alerts_are_warnings(files: Files) -> None:
    listed = {"people": 1, "threshold": THRESHOLD, "model": digest_of("fake embedder")}
    lines = [plan("ada", "gate", 0, 5), plan("bob", "gate", 0, 5)]
    facts = [Fact("ada", run="ffffff"), Fact("bob")]
    report = files.write(lines, facts, watchlist=listed, ended="failed: the disk is full").report()
    assert [one[:30] for one in report.warnings] == [
        "2 people are in the plan and 1",
        "the run did not end in good or",
        "1 alerts in the file are of ot",
    ]
    assert (report.alerts, report.tpir.events) == (1, 1)


def test_mistakes_of_all_three_files_come_at_once_with_their_lines(files: Files) -> None:
    files.write(
        [
            plan("ada", "gate", 0, 5),
            plan("ada", "attic", 0, 5),
            "bob,gate,2026-03-01T12:00:00,2026-03-01T12:05:00Z",
            plan("bob", "gate", 5, 5),
            plan("", "gate", 0, 5),
            plan("ada", "gate", 4, 6),
            plan("ada", "gate", 0, 5) + ",more",
        ],
        [Fact("ada")],
        ended="running",
    )
    files.alerts.write_bytes(
        files.alerts.read_bytes() + b'{"type":"Notice","id":"7"}\n[]\n' + encode(a_notice(9, details=False))
    )
    text = files.refused()
    assert text.startswith("the blue list cannot be evaluated: 10 mistakes\n")
    for place, what in (
        (f"{files.plan}, line 3", "the run has no camera 'attic'; expected one of gate, hall"),
        (f"{files.plan}, line 4: start", "expected ISO 8601 with a time zone, such as 2026-03-01T14:05:00+00:00, got"),
        (f"{files.plan}, line 5", "expected start before end"),
        (f"{files.plan}, line 6", "identity is empty"),
        (f"{files.plan}, line 7", "ada is planned at gate while line 2 has the same"),
        (f"{files.plan}, line 8", "expected 4 cells, got more"),
        (f"{files.alerts}, line 2", "expected an alert as the sink jsonl writes it"),
        (f"{files.alerts}, line 3", "expected an alert as the sink jsonl writes it"),
        (f"{files.alerts}, line 4", "expected the details of the alert, got none: set details = true"),
        (
            f"{files.run}, line 1",
            "expected the summary that `lfr-kernel --profile P --json` prints at the end of a run, got one of",
        ),
    ):
        assert f"{place}: {what}" in text


def test_passages_may_follow_on_one_another(files: Files) -> None:
    lines = [plan("ada", "gate", 0, 5), plan("ada", "gate", 5, 10), plan("ada", "hall", 0, 10)]
    assert files.write(lines, [Fact("ada", minutes=5)]).report().passages_planned == 3


def test_a_long_passage_is_held_against_all_that_follow(files: Files) -> None:
    text = files.write([plan("ada", "gate", 0, 30), plan("ada", "gate", 1, 2), plan("ada", "gate", 8, 9)]).refused()
    assert "line 3: ada is planned at gate while line 2" in text
    assert "line 4: ada is planned at gate while line 2" in text


def test_groups_must_be_said_and_agree(files: Files) -> None:
    lines = [plan("ada", "gate", 0, 5, "woman"), plan("ada", "gate", 6, 9, "man"), plan("bob", "gate", 0, 5, "")]
    text = files.write(lines, header=HEADER + ",group_sex").refused()
    assert "line 3: group_sex of ada is 'man', but in line 2 'woman'" in text
    assert "line 4: group_sex is empty; write what was said, or 'not stated'" in text


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "identity,camera,start",
            "line 1: expected the columns identity, camera, start, end, got identity, camera, st",
        ),
        (HEADER + ",sex", "line 1: unknown column 'sex'; expected identity, camera, start, end, or one that begins"),
        (HEADER + ",end", "line 1: column 'end' stands there twice"),
    ],
)
def test_columns_are_checked(files: Files, header: str, message: str) -> None:
    assert message in files.write([plan("ada", "gate", 0, 5)], header=header).refused()


def test_an_empty_plan_is_a_mistake(files: Files) -> None:
    assert "line 1: expected planned passages below the header, found none" in files.write([]).refused()


def test_files_that_are_not_there_are_named(files: Files) -> None:
    text = files.refused()
    assert all(f"{path}: cannot be read: No such file" in text for path in (files.plan, files.alerts, files.run))


def test_alerts_that_the_file_lacks_are_no_misses(files: Files) -> None:
    files.write([plan("ada", "gate", 0, 5)], [Fact("ada"), Fact("bob")])
    files.alerts.write_bytes(files.alerts.read_bytes().splitlines(keepends=True)[1])
    assert (
        f"{files.alerts}, line 1: expected all alerts of run ab12cd, 1 are not there, such as {1:016x}; they exp"
        in (files.refused())
    )


def test_alerts_that_contradict_the_run_are_mistakes(files: Files) -> None:
    files.write([plan("ada", "gate", 0, 5)], [Fact("ada"), Fact("ada", camera="attic")])
    lines = files.alerts.read_bytes().splitlines(keepends=True)
    files.alerts.write_bytes(b"".join([*lines, lines[0]]).replace(b'"threshold":0.6', b'"threshold":0.5', 1))
    text = files.refused()
    assert (
        f"line 1: alert {1:016x} is of model {digest_of('fake embedder')[:8]}… at threshold 0.5; the run says" in text
    )
    assert f"line 2: alert {2:016x} is of camera 'attic', which the run does not have" in text
    assert f"line 3: alert {1:016x} stands in line 1 already" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n"run": "a",\n"faces": oops}', "line 3: expected the summary that `lfr-kernel --profile P --json` prints"),
        (
            b"{}",
            "line 1: expected the summary that `lfr-kernel --profile P --json` prints, got something else (Object ",
        ),
        (b"\xff", "line 1: expected the summary"),
    ],
)
def test_a_run_that_is_no_summary_is_a_mistake(files: Files, content: bytes, message: str) -> None:
    files.write([plan("ada", "gate", 0, 5)])
    files.run.write_bytes(content)
    assert f"{files.run}, {message}" in files.refused()


def test_text_that_is_not_utf_8_is_named_by_line(files: Files) -> None:
    files.write([plan("ada", "gate", 0, 5)])
    files.plan.write_bytes(files.plan.read_bytes() + "jos\xe9".encode("latin-1"))
    assert f"{files.plan}, line 3: expected UTF-8 text" in files.refused()


def test_only_so_many_mistakes_are_spelled_out(files: Files) -> None:
    text = files.write([plan(f"p{n}", "attic", 0, 5) for n in range(30)]).refused()
    assert "30 mistakes" in text
    assert text.endswith("and 10 more")


PEOPLE = ("ada", "bob", "eve", "dan")
PASSAGES = st.sets(st.tuples(st.sampled_from(PEOPLE), st.sampled_from(CAMERAS), st.integers(0, 5)), min_size=1)
ALERTS = st.lists(
    st.builds(
        Fact,
        st.sampled_from((*PEOPLE, "wanted")),
        st.sampled_from(CAMERAS),
        st.floats(0, 59, allow_nan=False),
        st.floats(0, 30, allow_nan=False),
        st.just("ab12cd"),
    ),
    max_size=12,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(PASSAGES, ALERTS, st.randoms(use_true_random=False))
def test_everything_adds_up_and_the_order_of_lines_makes_no_difference(
    files: Files, passages: set[tuple[str, str, int]], facts: list[Fact], shuffled: random.Random
) -> None:
    lines = [
        plan(who, where, 10 * slot, 10 * slot + 5, str(len(who) + who.count("a"))) for who, where, slot in passages
    ]
    report = files.write(lines, facts, header=HEADER + ",group_letters").report()
    found = [one for one in report.people if one.is_found]
    missed = [one for one in report.people if not one.is_found]
    assert len(found) + len(missed) == report.tpir.n == len({who for who, _, _ in passages})
    assert report.tpir.events == len(found)
    assert report.alerts == len(facts)
    assert report.alerts == (report.alerts_in_planned_passages + len(report.alerts_unplanned) + report.alerts_on_others)
    assert sum(one.planned for one in report.people) == report.passages_planned == len(passages)
    assert sum(one.alerted for one in report.people) == report.passages_alerted == report.seconds_to_alert.count
    assert report.passages_alerted <= report.alerts_in_planned_passages
    assert sum(one.n for one in report.groups["letters"].tpir.values()) == report.tpir.n
    assert sum(one.events for one in report.groups["letters"].tpir.values()) == report.tpir.events
    shuffled.shuffle(lines)
    raised = files.alerts.read_bytes().splitlines(keepends=True)
    shuffled.shuffle(raised)
    files.plan.write_text("\n".join((HEADER + ",group_letters", *lines)))
    files.alerts.write_bytes(b"".join(raised))
    again = files.report()
    assert msgspec.structs.replace(again, digests={}) == msgspec.structs.replace(report, digests={})
