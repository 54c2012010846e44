"""One outcome a passage, whatever comes in whatever order, and however often the index is restarted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lfr_kernel.messages import Outcome, Passage, Verdict
from lfr_kernel.stages.ledger import Ledger

D = 4


def ended(passage: str, probes: int, **extra: object) -> Passage:
    fields: dict[str, object] = {
        "camera": "gate", "began_stream_ns": 0, "ended_stream_ns": 2_000_000_000, "frames": 9, "ended": "age", **extra
    }  # fmt: skip
    return Passage(passage=passage, probes=probes, **fields)  # type: ignore[arg-type]


class Passages(RuleBasedStateMachine):
    """The world around a ledger: passages are seen, ask for probes, and end; messages overtake one another."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.outcomes: list[Outcome] = []
        self.asked: dict[str, int] = {}
        self.on_their_way: list[str] = []
        self.ends_to_come: set[str] = set()
        self.told: set[str] = set()
        self.now_ns = 0

    def settle_if_complete(self, passage: str) -> None:
        entry = self.ledger._open.get(passage)
        if entry is not None and entry.is_complete:
            self.outcomes.append(self.ledger.settle(entry))

    def find(self, passage: str) -> None:
        self.now_ns += 1
        self.ledger.find(passage, "gate", D, self.now_ns)
        self.told.add(passage)

    @rule(probes=st.integers(0, 4))
    def somebody_comes(self, probes: int) -> None:
        passage = f"p{len(self.asked)}"
        self.asked[passage] = probes
        self.on_their_way += [passage] * probes
        self.ends_to_come.add(passage)

    @precondition(lambda self: self.on_their_way)
    @rule(data=st.data(), lost=st.sampled_from([None, "overflow", "crashed"]))
    def a_probe_comes(self, data: st.DataObject, lost: str | None) -> None:
        passage = data.draw(st.sampled_from(self.on_their_way))
        self.on_their_way.remove(passage)
        self.find(passage)
        self.ledger.answer(passage, lost)
        self.settle_if_complete(passage)

    @precondition(lambda self: self.ends_to_come)
    @rule(data=st.data())
    def an_end_comes(self, data: st.DataObject) -> None:
        passage = data.draw(st.sampled_from(sorted(self.ends_to_come)))
        self.ends_to_come.remove(passage)
        self.find(passage)
        self.ledger.end(ended(passage, self.asked[passage]))
        self.settle_if_complete(passage)

    @rule(reason=st.sampled_from(["restart", "wiped"]))
    def the_index_restarts(self, reason: str) -> None:
        self.outcomes += [self.ledger.settle(entry, reason) for entry in self.ledger]

    @precondition(lambda self: len(self.ledger) > 0)
    @rule(data=st.data())
    def a_deadline_passes(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from(list(self.ledger)))
        self.outcomes.append(self.ledger.settle(entry, "deadline"))

    @invariant()
    def nobody_has_two_outcomes(self) -> None:
        assert max(Counter(outcome.passage for outcome in self.outcomes).values(), default=0) <= 1

    @invariant()
    def who_was_heard_of_is_open_or_has_an_outcome(self) -> None:
        settled = {outcome.passage for outcome in self.outcomes}
        assert settled | {entry.passage for entry in self.ledger} == self.told
        assert not settled & {entry.passage for entry in self.ledger}

    def teardown(self) -> None:
        for passage in list(self.on_their_way):
            self.find(passage)
            self.ledger.answer(passage)
            self.settle_if_complete(passage)
        for passage in list(self.ends_to_come):
            self.find(passage)
            self.ledger.end(ended(passage, self.asked[passage]))
            self.settle_if_complete(passage)
        assert sorted(outcome.passage for outcome in self.outcomes) == sorted(self.asked)
        assert not len(self.ledger)
        assert not self.ledger._settled_early, "whatever was settled early is forgotten once all of it has come"


TestPassages = Passages.TestCase
TestPassages.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def outcome_of(
    end: Passage | None,
    *,
    lost: tuple[str, ...] = (),
    searched: int = 0,
    alerted: bool = False,
    reason: str | None = None,
) -> Outcome:
    ledger = Ledger()
    entry = ledger.find("p", "gate", D, 0)
    assert entry is not None
    for one in lost:
        ledger.answer("p", one)
    if end is not None:
        ledger.end(end)
    entry.searched = searched
    if alerted:
        entry.alerted.add("somebody")
    return ledger.settle(entry, reason)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (outcome_of(ended("p", 2), searched=2), (Verdict.NOT_MATCHED, None)),
        (outcome_of(ended("p", 2), searched=2, alerted=True), (Verdict.ALERTED, None)),
        (outcome_of(ended("p", 2), lost=("overflow",), searched=1), (Verdict.NOT_MATCHED, None)),
        (outcome_of(ended("p", 3), lost=("crashed", "overflow", "overflow")), (Verdict.LOST, "probe_overflow")),
        (outcome_of(ended("p", 0, gated="too_small")), (Verdict.LOST, "gated_too_small")),
        (outcome_of(ended("p", 0)), (Verdict.LOST, "no_face_wanted")),
        (outcome_of(ended("p", 2, ended="restart"), searched=2), (Verdict.LOST, "restart")),
        (outcome_of(ended("p", 2, ended="restart"), searched=2, alerted=True), (Verdict.ALERTED, None)),
        (outcome_of(None, searched=3, reason="restart"), (Verdict.LOST, "restart")),
        (outcome_of(None, searched=3, alerted=True, reason="wiped"), (Verdict.ALERTED, None)),
    ],
)
def test_verdicts(outcome: Outcome, expected: tuple[Verdict, str | None]) -> None:
    assert (outcome.verdict, outcome.reason) == expected


def test_an_outcome_says_how_long_it_took() -> None:
    outcome = outcome_of(ended("p", 1, first_probe_ns=400_000_000), searched=1)
    assert (outcome.seconds, outcome.first_probe_s, outcome.probes) == (2.0, 0.4, 1)


def test_settling_erases_the_pool() -> None:
    ledger = Ledger()
    entry = ledger.find("p", "gate", D, 0)
    assert entry is not None
    pool = entry.pool
    pool.add(np.ones(D, np.float32), 1.0)
    assert pool._sum is not None
    ledger.settle(entry, "restart")
    assert pool._sum.is_erased
