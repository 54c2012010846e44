"""The time and life of an authority: whatever becomes of the clocks, it ends."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lfr_kernel.governance import instant
from lfr_kernel.governance.authority import AuthorityError
from lfr_kernel.governance.instant import (
    UNKNOWN_BOOT,
    Instant,
    has_jumped,
    is_behind,
    moved,
    read_clocks,
    remember,
)
from lfr_kernel.governance.standing import (
    WARNINGS_MIN,
    Ending,
    Event,
    Stage,
    Standing,
    Term,
    advance,
    due_warning,
    remaining_s,
    stand,
    tied,
)

S = 10**9
MINUTE, HOUR = 60 * S, 3_600 * S
NOON = 1_900_000_000 * S
TOLERANCE_S = 10.0


def at(wall_ns: int, boot_ns: int, boot: str = "a", *, is_synchronised: bool | None = False) -> Instant:
    """The clocks some time after noon, and some time after the machine had been up for an hour."""
    return Instant(utc_ns=NOON + wall_ns, boot_ns=HOUR + boot_ns, boot_id=boot, is_synchronised=is_synchronised)


TERM = Term(starts_ns=NOON, ends_ns=NOON + 2 * HOUR, anchored=at(-HOUR, -HOUR))


def standing(now: Instant, last: Instant | None = None, term: Term = TERM) -> Standing:
    return stand(term, now, last, tolerance_s=TOLERANCE_S)


def test_it_is_in_force_from_its_start_until_its_end_and_not_a_nanosecond_longer() -> None:
    assert standing(at(-1, -1)) is Standing.NOT_YET
    assert standing(at(0, 0)) is Standing.IN_FORCE
    assert standing(at(2 * HOUR - 1, 2 * HOUR - 1)) is Standing.IN_FORCE
    assert standing(at(2 * HOUR, 2 * HOUR)) is Standing.ENDED


def test_a_clock_that_is_set_back_prolongs_nothing() -> None:
    last = at(HOUR, HOUR)
    assert standing(at(0, HOUR), last) is Standing.IN_FORCE
    assert standing(at(HOUR - 1, 2 * HOUR - 1), last) is Standing.IN_FORCE
    assert standing(at(HOUR, 2 * HOUR), last) is Standing.ENDED
    assert standing(at(-9 * HOUR, 3 * HOUR), last) is Standing.ENDED


def test_a_clock_that_is_set_forward_ends_it_early() -> None:
    assert standing(at(2 * HOUR, HOUR), at(HOUR, HOUR)) is Standing.ENDED
    assert standing(at(2 * HOUR, HOUR, is_synchronised=True), at(HOUR, HOUR)) is Standing.ENDED


@pytest.mark.parametrize(
    ("is_synchronised", "wanted"),
    [(False, Standing.CLOCK_JUMPED), (None, Standing.CLOCK_JUMPED), (True, Standing.IN_FORCE)],
)
def test_a_jump_forward_stops_capture_unless_something_keeps_the_clock_in_step(
    is_synchronised: bool | None,  # noqa: FBT001  (the clock's own three states)
    wanted: Standing,
) -> None:
    last = at(MINUTE, MINUTE)
    assert standing(at(2 * MINUTE + 11 * S, 2 * MINUTE, is_synchronised=is_synchronised), last) is wanted


def test_a_drift_within_the_tolerance_is_no_jump() -> None:
    assert standing(at(MINUTE + 10 * S, MINUTE), at(0, 0)) is Standing.IN_FORCE
    assert standing(at(MINUTE + 10 * S + 1, MINUTE), at(0, 0)) is Standing.CLOCK_JUMPED


def test_a_jump_cannot_open_an_authority_before_its_time() -> None:
    assert standing(at(MINUTE, -HOUR), at(-HOUR, -HOUR)) is Standing.CLOCK_JUMPED


def test_a_suspend_counts() -> None:
    # Both clocks go on; a clock that stood still over it would not see the end.
    assert standing(at(HOUR, HOUR), at(MINUTE, MINUTE)) is Standing.IN_FORCE
    assert standing(at(5 * HOUR, 5 * HOUR), at(MINUTE, MINUTE)) is Standing.ENDED
    # … and with a wall clock that came back wrong, it still ends.
    assert standing(at(MINUTE, 5 * HOUR), at(MINUTE, MINUTE)) is Standing.ENDED


def test_a_machine_that_starts_in_the_past_is_refused_until_the_clock_is_right() -> None:
    last = at(HOUR, HOUR)
    assert standing(at(HOUR - 11 * S, 0, "b"), last) is Standing.CLOCK_BEHIND
    assert standing(at(HOUR - 10 * S, 0, "b"), last) is Standing.IN_FORCE
    assert standing(at(-9 * HOUR, 0, "b", is_synchronised=True), last) is Standing.CLOCK_BEHIND
    assert standing(at(HOUR + 1, 0, "b"), last) is Standing.IN_FORCE


def test_the_authorisation_itself_is_a_time_that_was_written_down() -> None:
    term = msgspec.structs.replace(TERM, anchored=at(HOUR, HOUR))
    assert standing(at(0, 0, "b"), None, term) is Standing.CLOCK_BEHIND


def test_in_another_boot_only_the_wall_clock_can_say_when_it_ends() -> None:
    assert standing(at(HOUR, 9 * HOUR, "b"), at(MINUTE, MINUTE)) is Standing.IN_FORCE
    assert standing(at(2 * HOUR, 0, "b"), at(MINUTE, MINUTE)) is Standing.ENDED


def test_after_a_restart_a_clock_that_is_set_back_prolongs_nothing_before_the_term_is_tied_to_this_boot() -> None:
    last = at(HOUR, 0, "b")
    assert standing(at(0, HOUR - 1, "b"), last) is Standing.IN_FORCE
    assert standing(at(0, HOUR, "b"), last) is Standing.ENDED
    # What was certain in another boot says nothing of how much time has passed since.
    assert standing(at(HOUR, HOUR, "c"), last) is Standing.IN_FORCE


def test_where_no_boot_id_is_told_the_doubt_is_against_whoever_asks() -> None:
    term = msgspec.structs.replace(TERM, anchored=at(0, 0, UNKNOWN_BOOT))
    last = at(HOUR, HOUR, UNKNOWN_BOOT)
    assert standing(at(0, 2 * HOUR, UNKNOWN_BOOT), last, term) is Standing.ENDED
    assert standing(at(HOUR - MINUTE, HOUR + MINUTE, UNKNOWN_BOOT), last, term) is Standing.CLOCK_BEHIND
    assert standing(at(HOUR - MINUTE, -HOUR, UNKNOWN_BOOT), last, term) is Standing.CLOCK_BEHIND
    assert standing(at(HOUR + MINUTE, HOUR + MINUTE, UNKNOWN_BOOT), last, term) is Standing.IN_FORCE


def test_the_tie_is_made_once_a_boot() -> None:
    assert tied(TERM, at(MINUTE, HOUR)) is TERM
    again = tied(TERM, at(HOUR, 0, "b"))
    assert again.anchored == at(HOUR, 0, "b")
    assert standing(at(HOUR, HOUR, "b"), None, again) is Standing.ENDED


def test_an_extension_shifts_both_ends_by_the_same_time_even_on_a_clock_that_was_set_back() -> None:
    longer = msgspec.structs.replace(TERM, ends_ns=TERM.ends_ns + HOUR)
    assert remaining_s(longer, at(0, 2 * HOUR)) == 3_600
    assert standing(at(0, 3 * HOUR), None, longer) is Standing.ENDED


def test_what_remains_is_what_the_stricter_clock_says() -> None:
    assert remaining_s(TERM, at(HOUR, HOUR)) == 3_600
    assert remaining_s(TERM, at(0, HOUR)) == 3_600
    assert remaining_s(TERM, at(HOUR + MINUTE, HOUR)) == 3_540
    assert remaining_s(TERM, at(3 * HOUR, HOUR)) == 0
    assert remaining_s(TERM, at(HOUR, 9 * HOUR, "b")) == 3_600


def test_warnings_come_15_and_5_minutes_before_the_end() -> None:
    assert WARNINGS_MIN == (5, 15)
    end = 2 * HOUR
    looks = [(16 * MINUTE, None), (15 * MINUTE, 15), (10 * MINUTE, None), (5 * MINUTE, 5), (1, None), (0, None)]
    given: set[int] = set()
    for left, wanted in looks:
        mark = due_warning(TERM, at(end - left, end - left), given)
        assert mark == wanted
        given |= {mark} if mark else set()


def test_a_late_look_gives_the_nearer_warning_only() -> None:
    end = 2 * HOUR
    assert due_warning(TERM, at(end - MINUTE, end - MINUTE), ()) == 5
    assert due_warning(TERM, at(end - 10 * MINUTE, end - 10 * MINUTE), {5}) is None


def test_how_far_the_wall_clock_was_moved() -> None:
    assert moved(at(0, 0), at(MINUTE, MINUTE)) == 0
    assert moved(at(0, 0), at(3 * MINUTE, MINUTE)) == 120
    assert moved(at(0, 0), at(-MINUTE, MINUTE)) == -120
    assert moved(at(0, 0), at(HOUR, 0, "b")) is None
    assert moved(at(0, 0), at(HOUR, -1)) is None


def test_a_jump_holds_until_the_clock_is_vouched_for_or_set_right() -> None:
    last = at(0, 0)
    for minutes in range(1, 5):
        now = at(minutes * MINUTE + HOUR, minutes * MINUTE)
        assert has_jumped(last, now, tolerance_s=TOLERANCE_S)
        last = remember(last, now, tolerance_s=TOLERANCE_S)
    assert last == at(0, 0)
    assert standing(at(6 * MINUTE, 6 * MINUTE), last) is Standing.IN_FORCE
    vouched = at(HOUR + 6 * MINUTE, 6 * MINUTE, is_synchronised=True)
    assert standing(vouched, last) is Standing.IN_FORCE
    assert remember(last, vouched, tolerance_s=TOLERANCE_S) == vouched


def test_a_jump_past_the_end_ends_the_authority_and_is_told_apart_so_that_purges_wait() -> None:
    last, now = at(0, 0), at(30 * HOUR, MINUTE)
    assert standing(now, last) is Standing.ENDED
    assert has_jumped(last, now, tolerance_s=TOLERANCE_S)


def test_time_that_has_come_is_not_taken_back_by_setting_the_clock_back() -> None:
    last = remember(at(HOUR, HOUR), at(0, HOUR + MINUTE), tolerance_s=TOLERANCE_S)
    assert last == at(HOUR + MINUTE, HOUR + MINUTE)
    assert is_behind(last, at(HOUR, 0, "b"), tolerance_s=TOLERANCE_S)


def test_a_machine_that_started_in_the_past_does_not_forget_it_at_the_second_look() -> None:
    last = at(HOUR, HOUR)
    for seconds in range(3):
        now = at(seconds * S, seconds * S, "b")
        assert standing(now, last) is Standing.CLOCK_BEHIND
        last = remember(last, now, tolerance_s=TOLERANCE_S)


def test_the_first_look_has_nothing_to_remember() -> None:
    assert remember(None, at(0, 0), tolerance_s=TOLERANCE_S) == at(0, 0)


def test_the_clocks_of_this_machine_can_be_read() -> None:
    before, now = read_clocks(), read_clocks()
    assert before.boot_ns <= now.boot_ns
    assert before.boot_id == now.boot_id != ""
    assert abs(now.utc_ns - time.time_ns()) < MINUTE
    assert abs(moved(before, now) or 0.0) < 1
    assert now.is_synchronised in {True, False, None}


def test_reading_the_clocks_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise OSError

    instant._boot_id.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(time, "clock_gettime_ns", fail)
        patch.setattr(Path, "read_text", fail)
        patch.setattr(instant.ctypes, "CDLL", fail)
        now = read_clocks()
    instant._boot_id.cache_clear()
    assert (now.boot_id, now.is_synchronised) == (UNKNOWN_BOOT, None)
    assert now.boot_ns > 0


@pytest.mark.parametrize(("state", "wanted"), [(0, True), (1, True), (5, False), (-1, None)])
def test_what_the_system_says_of_its_clock(
    monkeypatch: pytest.MonkeyPatch,
    state: int,
    wanted: bool | None,  # noqa: FBT001  (the clock's own three states)
) -> None:
    class Library:
        @staticmethod
        def adjtimex(buffer: Any) -> int:
            assert not any(buffer.raw)
            return state

    monkeypatch.setattr(instant.sys, "platform", "linux")
    monkeypatch.setattr(instant.ctypes, "CDLL", lambda _: Library)
    assert read_clocks().is_synchronised is wanted


LIFE = {
    (None, Event.AUTHORISE): Stage.AUTHORISED,
    (Stage.AUTHORISED, Event.OPEN): Stage.OPEN,
    (Stage.AUTHORISED, Event.END): Stage.ENDING,
    (Stage.AUTHORISED, Event.ABANDON): Stage.ENDING,
    (Stage.OPEN, Event.EXTEND): Stage.OPEN,
    (Stage.OPEN, Event.END): Stage.ENDING,
    (Stage.ENDING, Event.END): Stage.ENDING,
    (Stage.ENDING, Event.WIPED): Stage.CLOSED,
}


@pytest.mark.parametrize(("stage", "event"), list(itertools.product([None, *Stage], Event)))
def test_a_deployment_takes_these_steps_and_no_others(stage: Stage | None, event: Event) -> None:
    if wanted := LIFE.get((stage, event)):
        assert advance(stage, event, authority="EX/1") is wanted
    else:
        with pytest.raises(AuthorityError, match=rf"^authority EX/1: cannot {event.value}: "):
            advance(stage, event, authority="EX/1")


@pytest.mark.parametrize(
    ("stage", "event", "text"),
    [
        (None, Event.OPEN, "cannot open it: there is no such authority yet: it has to be authorised first"),
        (Stage.AUTHORISED, Event.AUTHORISE, "cannot authorise it: it is authorised and not open: it can be opened, "),
        (Stage.OPEN, Event.OPEN, "cannot open it: it is open: it can be extended, or ended, which wipes its list"),
        (Stage.ENDING, Event.EXTEND, "cannot extend it: it has ended and its list is being wiped: that is finished "),
        (Stage.CLOSED, Event.OPEN, "cannot open it: it was closed, and its id never opens again: authorise a new one"),
    ],
)
def test_a_refused_step_says_what_can_be_done(stage: Stage | None, event: Event, text: str) -> None:
    with pytest.raises(AuthorityError, match=f"^authority EX/1: {text}"):
        advance(stage, event, authority="EX/1")


def test_the_endings_are_these() -> None:
    assert [one.value for one in Ending] == ["completed", "revoked", "abandoned", "failed", "saw nobody"]


MOVES_S = st.sampled_from([-3_000, -1_200, -9, 9, 1_200, 5_400])


class AuthorityMachine(RuleBasedStateMachine):
    """A machine whose clocks are tampered with, and an authority on it that was given an hour before its end."""

    def __init__(self) -> None:
        super().__init__()
        self.wall, self.boot, self.boots, self.is_synchronised = NOON, HOUR, 0, False
        self.passed = 0
        """Nanoseconds that the machine was on, or suspended, since the authorisation: what no one can tamper with."""
        self.passed_in_boot = 0
        self.certain_ns = 0
        """By the latest look of this boot that was believed: what time it was when the machine was started."""
        self.term = Term(starts_ns=NOON - HOUR, ends_ns=NOON + HOUR, anchored=self.now)
        self.authorised_ns = HOUR
        self.stage = advance(None, Event.AUTHORISE, authority="EX/1")
        self.last: Instant | None = None
        self.given: set[int] = set()
        self.warned: Counter[tuple[int, int]] = Counter()
        self.was_closed = False
        self.in_force_at: dict[int, list[int]] = {}
        """Of each boot: how much of it had passed at the looks that found the authority in force."""

    @property
    def now(self) -> Instant:
        return Instant(
            utc_ns=self.wall, boot_ns=self.boot, boot_id=str(self.boots), is_synchronised=self.is_synchronised
        )

    def look(self) -> Standing:
        """What the guard does, again and again."""
        now = self.now
        found = stand(self.term, now, self.last, tolerance_s=TOLERANCE_S)
        if found is Standing.IN_FORCE:
            self.term = tied(self.term, now)
            self.in_force_at.setdefault(self.boots, []).append(self.passed_in_boot)
        self.last = remember(self.last, now, tolerance_s=TOLERANCE_S)
        if self.last.boot_id == now.boot_id:
            self.certain_ns = max(self.certain_ns, self.last.utc_ns - self.passed_in_boot)
        if (mark := due_warning(self.term, now, self.given)) is not None:
            self.given.add(mark)
            self.warned[self.term.ends_ns, mark] += 1
        return found

    def _pass(self, duration_ns: int) -> None:
        self.wall += duration_ns
        self.boot += duration_ns
        self.passed += duration_ns
        self.passed_in_boot += duration_ns
        self.look()

    @rule(duration_s=st.sampled_from([1, 60, 600, 1_500]))
    def pass_time(self, duration_s: int) -> None:
        self._pass(duration_s * S)

    @rule(duration_s=st.sampled_from([600, 2_400, 4_000]))
    def suspend(self, duration_s: int) -> None:
        # The boot clock counts it, so that it is time like any other; but nobody looks meanwhile.
        self._pass(duration_s * S)

    @rule(moved_s=MOVES_S)
    def set_the_wall_clock(self, moved_s: int) -> None:
        self.wall += moved_s * S

    @rule(is_synchronised=st.booleans())
    def synchronise(self, *, is_synchronised: bool) -> None:
        self.is_synchronised = is_synchronised
        if is_synchronised:
            self.wall = NOON + self.passed

    @rule(off_s=st.sampled_from([0, 60, 900]), moved_s=MOVES_S)
    def reboot(self, off_s: int, moved_s: int) -> None:
        self.wall += (off_s + moved_s) * S
        self.boot, self.boots, self.passed_in_boot, self.is_synchronised = S, self.boots + 1, 0, False
        self.certain_ns = 0

    @rule(event=st.sampled_from(Event), minutes=st.sampled_from([1, 20]))
    def do(self, event: Event, minutes: int) -> None:
        wanted = LIFE.get((self.stage, event))
        if wanted is None:
            with pytest.raises(AuthorityError, match=rf"^authority EX/1: cannot {event.value}: "):
                advance(self.stage, event, authority="EX/1")
            return
        if event in {Event.OPEN, Event.EXTEND} and self.look() is not Standing.IN_FORCE:
            return
        self.stage = advance(self.stage, event, authority="EX/1")
        self.was_closed |= self.stage is Stage.CLOSED
        if event is Event.EXTEND:
            self.term = msgspec.structs.replace(self.term, ends_ns=self.term.ends_ns + minutes * MINUTE)
            self.authorised_ns += minutes * MINUTE
            self.given = set()

    @invariant()
    def it_is_never_in_force_after_its_time_by_either_clock(self) -> None:
        if stand(self.term, self.now, self.last, tolerance_s=TOLERANCE_S) is Standing.IN_FORCE:
            assert self.wall < self.term.ends_ns
            assert self.wall >= self.term.starts_ns
            assert self.boots > 0 or self.passed < self.authorised_ns

    @invariant()
    def it_is_never_in_force_after_its_time_by_what_was_certain_once(self) -> None:
        if stand(self.term, self.now, self.last, tolerance_s=TOLERANCE_S) is Standing.IN_FORCE:
            assert self.certain_ns + self.passed_in_boot < self.term.ends_ns

    @invariant()
    def in_all_boots_together_it_is_in_force_no_longer_than_was_authorised(self) -> None:
        spans = [looks[-1] - looks[0] for looks in self.in_force_at.values()]
        # A boot may start behind the time that was written down by as much as is tolerated.
        assert sum(spans) <= self.authorised_ns + self.boots * TOLERANCE_S * S

    @invariant()
    def each_warning_is_given_once_a_term(self) -> None:
        assert all(count == 1 for count in self.warned.values())

    @invariant()
    def what_was_closed_stays_closed(self) -> None:
        assert not self.was_closed or self.stage is Stage.CLOSED


TestAuthority = AuthorityMachine.TestCase
TestAuthority.settings = settings(max_examples=250, stateful_step_count=50, deadline=None)
