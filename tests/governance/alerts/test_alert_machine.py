"""Whatever people, clocks and ends of deployments do: no path skips a person, no step is lost or unsigned, and counts
are what happened."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs

from governance.alerts.naive import CONSULTS, SECOND_NS, Mode, Told, counted
from governance.alerts.naive import OPERATORS as ASSESSORS
from governance.alerts.support import DISMISSED_WRONG, ENGAGED, GONE, RIGHT, WRONG
from governance.alerts.weeks import DAY_S, LONG, SHORT, STOP_FALSE, STOP_PER_FACE, TEXT_DAYS, Weeks
from governance.vaults import NOON
from lfr_kernel.governance.alerts.custody import buckets
from lfr_kernel.governance.alerts.statements import Assessed
from lfr_kernel.governance.alerts.states import case_of
from lfr_kernel.governance.alerts.steps import assess, close, engage, look, resume
from lfr_kernel.governance.alerts.store import is_suspended, listed, steps_of
from lfr_kernel.governance.alerts.vocabulary import Force as Used
from lfr_kernel.governance.alerts.vocabulary import Reason, Truth, Verdict
from lfr_kernel.governance.audit.chain import is_signed
from lfr_kernel.governance.deployment.clockwork import confirm_clock, is_held
from lfr_kernel.governance.deployment.register import deployments
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.keys.signing import verify
from lfr_kernel.governance.record.making import record_of, signed_record
from lfr_kernel.governance.record.statements import RECORD, Counted, Record
from lfr_kernel.governance.retention import retain
from lfr_kernel.governance.standing import Stage

DAY_MIN = 1_440
ENGAGEMENTS = (
    (ENGAGED, True),
    (structs.replace(ENGAGED, searched=True, force=Used.HANDCUFFS, minutes=9.5, explained=False), True),
    (structs.replace(ENGAGED, power="because"), False),
)
"""Records of engagements, with whether they are fit to be written."""
OUTCOMES = (
    (RIGHT, True),
    (WRONG, True),
    (DISMISSED_WRONG, True),
    (structs.replace(DISMISSED_WRONG, truth=Truth.TRUE, sex=None, age=None, ethnicity=None), True),
    (GONE, True),
    (structs.replace(RIGHT, arrests=0), False),
    (structs.replace(WRONG, ethnicity=None), False),
)
MODES: st.SearchStrategy[Mode] = st.sampled_from([(1, "dismiss"), (2, "dismiss"), (2, "third-person")])
OUTCOME = st.sampled_from([0, 0, 1, 1, 2, 2, 2, 3, 4, 4, 5, 6])
WHO = st.sampled_from([*sorted(ASSESSORS), "dee", "dan", "dot", "fay", "ada", "ben"])
ACTS = st.one_of(
    st.tuples(st.just("look"), WHO, st.just(0), st.just(value=False)),
    st.tuples(st.sampled_from(["assess", "look and assess"]), WHO, st.integers(0, 1), st.booleans()),
    st.tuples(st.just("engage"), WHO, st.integers(0, len(ENGAGEMENTS) - 1), st.booleans()),
    st.tuples(st.just("close"), WHO, OUTCOME, st.booleans()),
)
"""What is tried, by whom, with which words, and whether as a correction."""


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, str, int, bool]]:
    """Return what usually happens, with steps left out: acts by chance seldom get far."""
    one, two, three = draw(st.permutations(sorted(ASSESSORS)))
    way = draw(st.integers(0, 1))
    looks = st.sampled_from([*["look and assess"] * 4, "assess"])
    whole = [(draw(looks), who, draw(st.sampled_from([way, way, 1 - way])), False) for who in (one, two, three)]
    whole += [
        ("assess", one, draw(st.integers(0, 1)), True),
        ("engage", two, draw(st.integers(0, 1)), False),
        ("close", one, draw(OUTCOME), False),
        ("close", three, draw(OUTCOME), True),
        ("engage", one, 1, True),
    ]
    return [act for act in whole if draw(st.sampled_from([True, True, True, False]))]


FEW = st.integers(0, 4)
NAMES = {"Looked": "looked", "Assessed": "assessed", "Engaged": "engaged", "Closed": "closed"}
SECRET_ACTS = {"alert_raised", "alert_viewed", "alert_consulted"}
END = NOON + dt.timedelta(days=150)
"""Before which the roster expires."""


class AlertMachine(Weeks, RuleBasedStateMachine):
    """Some weeks of one installation, with one deployment after another."""

    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)
        Weeks.__init__(self)
        self.read = 0
        """Up to which entry the chain was looked at."""

    @initialize(mode=MODES)
    def begin_the_first(self, mode: Mode) -> None:
        self.begin(mode)

    @precondition(lambda self: self.run is None and len(self.modes) < 3 and self.site.now < END)
    @rule(mode=MODES)
    def begin(self, mode: Mode) -> None:
        self.open(mode)
        for row in range(2 if self.run else 0):
            self.plant(row, "gate", -30, LONG)

    @precondition(lambda self: self.run and len(self.told) > 3 * len(self.modes))
    @rule(why=st.sampled_from(["closed", "revoked"]))
    def finish(self, why: str) -> None:
        self.end(why)

    @precondition(lambda self: self.run)
    @rule(seen=st.integers(0, 4))
    def look_out(self, seen: int) -> None:
        self.watch(seen)

    @precondition(lambda self: self.run)
    @rule(
        row=st.integers(0, 2),
        camera=st.sampled_from(["gate", "yard"]),
        late_s=st.sampled_from([-30, -30, 1]),
        lives_s=st.sampled_from([LONG, SHORT]),
    )
    def propose(self, row: int, camera: str, late_s: int, lives_s: tuple[float, float]) -> None:
        self.plant(row, camera, late_s, lives_s)

    @precondition(lambda self: self.run and len(self.told) > 3)
    @rule(row=st.integers(0, 2))
    def withdraw(self, row: int) -> None:
        assert self.run is not None
        assert self.run.listed is not None
        for entry in [*self.run.listed._by_row[row]]:
            self.run.listed.withdraw(entry)

    @precondition(lambda self: self.told)
    @rule(which=FEW, acts=st.one_of(st.lists(ACTS, min_size=1, max_size=7), stories(), stories()))
    def handle(self, which: int, acts: list[tuple[str, str, int, bool]]) -> None:
        one = self.told[max(-1 - which, -len(self.told))]
        for act, who, variant, corrects in acts:
            for name in act.split(" and "):
                self.do(one, name, who, variant, corrects=corrects)
                self.every_step_is_there_and_the_states_are_the_same()

    @precondition(lambda self: self.told)
    @rule(which=FEW, acts=stories())
    def handle_as_usual(self, which: int, acts: list[tuple[str, str, int, bool]]) -> None:
        self.handle(which, acts)

    @precondition(lambda self: self.told)
    @rule(which=FEW, first=stories(), second=stories())
    def handle_two(self, which: int, first: Any, second: Any) -> None:
        self.handle(which, first)
        self.handle(which + 1, second)

    def do(self, one: Told, act: str, who: str, variant: int, *, corrects: bool) -> None:
        """Try to do something with an alert: it is refused exactly if the model says so, and then nothing changed."""
        vault, by = self.vault, self.site.signers[who]
        verdict, (talk, is_talk), (closing, is_closing) = (
            list(Verdict)[variant % 2],
            ENGAGEMENTS[variant % len(ENGAGEMENTS)],
            OUTCOMES[variant],
        )
        more = {"is_correction": corrects}
        may, words, call = {
            "look": (one.may_look(who), None, lambda: self.look(one, who)),
            "assess": (
                one.may_assess(who, verdict, self.now_ns, corrects=corrects),
                verdict.value,
                lambda: assess(vault, one.id, by, verdict, **more),
            ),
            "engage": (
                one.may_engage(who, is_fit=is_talk, corrects=corrects),
                talk,
                lambda: engage(vault, one.id, by, talk, **more),
            ),
            "close": (
                one.may_close(who, closing, is_fit=is_closing, corrects=corrects),
                closing,
                lambda: close(vault, one.id, by, closing, **more),
            ),
        }[act]
        if not may:
            with self.unchanged(), pytest.raises(RefusedError):
                call()
            return
        was = self.falsely(one.serial)
        call()
        if act == "look":
            pictures = self.opened.pictures
            words = pictures is not None and pictures.listed is not None
        if who not in CONSULTS:
            kind = {"look": "looked", "assess": "assessed", "engage": "engaged", "close": "closed"}[act]
            one.take(who, kind, words, self.now_ns, corrects=corrects and act != "look")
        if act == "look":
            self.expect_seen(one, who)
        false, seen = self.falsely(one.serial), self.site.deployment(one.serial).seen
        if false > was and false >= STOP_FALSE and false > STOP_PER_FACE * seen:
            self.suspended.add(one.serial)

    def look(self, one: Told, who: str) -> None:
        self.opened = look(self.vault, one.id, self.site.signers[who], reason=Reason.ASSESS)

    def expect_seen(self, one: Told, who: str) -> None:
        """See that nobody was shown whether, or how, another assesses it at the same time."""
        opened, expected = self.opened, one.seen_by(who)
        shown = [(step.by.removeprefix("person "), NAMES[type(step.body).__name__]) for step in opened.steps]
        assert shown == [(name, kind) for name, kind, _ in expected]
        assert opened.kept.state == opened.case.state == one.state
        assert opened.case.corrections == sum(not one.is_secret or name == who for name in one.corrections)
        if one.is_secret:
            assert {step.by for step in opened.case.assessments} <= {f"person {who}"}

    @precondition(lambda self: self.suspended)
    @rule(who=st.sampled_from(["eva", "ada", "dee", "fay"]), is_suspended=st.booleans())
    def resume(self, who: str, is_suspended: bool) -> None:  # noqa: FBT001  (hypothesis hands it in by name)
        serial = min(self.suspended) if is_suspended else len(self.modes)
        may = serial in self.suspended and who in {"eva", "ada"}
        with contextlib.nullcontext() if may else pytest.raises(RefusedError):
            resume(self.vault, self.site.signers[who], serial, reason="checked", text=None)
        self.suspended -= {serial} if may else set()

    @rule(minutes=st.sampled_from([0.25, 0.25, 45, 45, 60 * 7, DAY_MIN, 3 * DAY_MIN, 7 * DAY_MIN]))
    def let_time_pass(self, minutes: float) -> None:
        self.pass_(minutes)

    @rule(minutes=st.sampled_from([-3 * DAY_MIN, -40, -1, 1, 40, DAY_MIN]), is_synchronised=st.booleans())
    def set_the_clock(self, minutes: int, is_synchronised: bool) -> None:  # noqa: FBT001  (hypothesis hands it in so)
        self.set(minutes, is_synchronised=is_synchronised)

    @rule()
    def confirm(self) -> None:
        may = is_held(self.vault.database) or self.now_ns < self.certain_ns
        with contextlib.nullcontext() if may else pytest.raises(RefusedError):
            confirm_clock(self.vault, self.site.signers["eva"])
        if may:
            self.certain_ns = self.noted_ns = self.now_ns

    @rule()
    def retain(self) -> None:
        """Destroy what is too old: all of it, unless the clock was set forward."""
        with self.purging():
            retain(self.vault)
        if is_held(self.vault.database) or self.has_jumped:
            return
        past_ns = max(self.now_ns, self.noted_ns)
        assert [one.id for one in listed(self.vault.database) if one.expires_s * SECOND_NS <= past_ns] == []
        assert [one for one in buckets(self.vault.keyring) if one.expires_s * SECOND_NS <= past_ns] == []
        for one in deployments(self.vault.database):
            end_ns = (one.ended_ns or 0) + TEXT_DAYS * DAY_S * SECOND_NS
            if (
                one.stage is Stage.CLOSED
                and end_ns <= past_ns
                and not listed(self.vault.database, deployment=one.serial)
            ):
                assert not self.vault.keyring.has(f"text-{one.serial}")

    # What has to be so after each step.

    @invariant()
    def every_step_is_there_and_the_states_are_the_same(self) -> None:
        database = self.vault.database
        there = {one.id: one for one in listed(database)}
        assert sorted(there) == sorted(one.id for one in self.told if not one.is_gone)
        for one in self.told:
            if one.is_gone:
                continue
            kept = there[one.id]
            steps = steps_of(self.vault, kept)
            case = case_of(steps, self.site.deployment(one.serial).authorisation.handling)
            assert kept.state == case.state == one.state
            assert kept.delivered_ns == one.first_had_ns
            said = [(step.by.removeprefix("person "), NAMES[type(step.body).__name__]) for step in steps]
            assert said == [(who, kind) for who, kind, _ in one.said]
            self.nobody_is_engaged_before_people_said_so(steps, one.mode[0])
            if one.is_secret:
                of = database.query("SELECT act FROM entries WHERE json_extract(body, '$.facts.alert') = ?", (one.id,))
                assert {act for (act,) in of} <= SECRET_ACTS

    def nobody_is_engaged_before_people_said_so(self, steps: Any, assessors: int) -> None:
        kinds = [NAMES[type(step.body).__name__] for step in steps]
        if "engaged" not in kinds:
            return
        before = steps[: kinds.index("engaged")]
        looked, verdicts, said = set[str](), dict[str, Verdict](), list[Verdict]()
        for step in before:
            if isinstance(step.body, Assessed):
                assert step.by in looked
                verdicts[step.by] = step.body.verdict
                said.append(step.body.verdict)
            else:
                looked.add(step.by)
        assert len(verdicts) >= assessors
        # Where one person assesses, another may correct them: what was said last counts.
        counts = said[-1:] if assessors == 1 else [*verdicts.values()]
        assert counts.count(Verdict.ENGAGE) >= assessors

    @invariant()
    def every_step_is_signed_by_somebodys_session_and_no_secret_names_an_alert(self) -> None:
        database, ids = self.vault.database, [one.id for one in self.told]
        taken = {number for (number,) in database.query("SELECT entry FROM steps WHERE entry > ?", (self.read,))}
        for entry, signature in database.signed_entries(self.read):
            body = msgspec.json.decode(entry.body)
            if entry.number in taken:
                assert body["by"].removeprefix("person ") in ASSESSORS
                assert any(is_signed(entry.body, entry.digest, signature, key) for key in self.publics[body["by"]])
                taken.discard(entry.number)
            if entry.act == "assessment_committed":
                assert body["facts"].keys() == {"deployment"}
                assert not any(one in entry.body for one in ids)
            self.read = entry.number
        assert not taken

    @invariant()
    def records_count_what_happened(self) -> None:
        raised = Counter(one["facts"]["deployment"] for one in self.site.acts("alert_raised"))
        for serial in range(1, len(self.modes) + 1):
            alerts = [one for one in self.told if one.serial == serial]
            assert raised[serial] == len(alerts)
            deployment = self.site.deployment(serial)
            assert deployment.false == self.falsely(serial)
            assert is_suspended(self.site.vault.database, serial) == (serial in self.suspended)
            expected = msgspec.convert({"seen": deployment.seen, **counted(alerts)}, Counted)
            assert self.record(serial).counted == expected

    def record(self, serial: int) -> Record:
        if self.vault.keyring.has(f"text-{serial}"):
            return record_of(self.vault, serial)
        signed = signed_record(self.vault, serial)
        assert signed is not None
        return verify(signed, RECORD, Record, [self.vault.signer.public])

    def teardown(self) -> None:
        try:
            self.every_step_is_there_and_the_states_are_the_same()
            self.records_count_what_happened()
            self.end("closed")
            self.site.expect_chain()
        finally:
            self.clear()


AlertMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
TestAlerts = AlertMachine.TestCase
