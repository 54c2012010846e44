"""What time a chain makes certain is the same, from wherever the reading starts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from governance.logbook import SECOND_NS, Logbook
from lfr_kernel.governance.audit import opening
from lfr_kernel.governance.audit.chain import stamp_of
from lfr_kernel.governance.audit.stamps import STAMPED, STAMPED_TOLERANCE_S, certain_by
from lfr_kernel.governance.deployment.clockwork import known_time
from lfr_kernel.governance.instant import remember

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfr_kernel.governance.instant import Instant

MOVES = st.tuples(
    st.integers(0, 7_200).map(float),
    st.sampled_from([0.0, 0.0, 0.0, 5.0, -5.0, 40.0, -40.0, 90_000.0, -90_000.0]),
    st.sampled_from([True, False, False, None]),
    st.sampled_from([False, False, False, True]),
)
"""Seconds that pass, by which the wall clock is set meanwhile, whether it is in step, and whether it was a reboot."""
ACTS = st.sampled_from(["tested", "tested", "tested", "checkpoint", "clock_confirmed"])


@pytest.fixture(autouse=True)
def a_machine_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sync nothing to the disk: here nothing dies."""
    monkeypatch.setitem(opening.PRAGMAS, "synchronous", 0)
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Logbook]:
    made = Logbook(tmp_path)
    yield made
    made.database.close()


class Hands:
    """Both clocks, moved by hand."""

    def __init__(self, now: Instant) -> None:
        self.now = now

    def __call__(self) -> Instant:
        return self.now

    def move(self, passed_s: float, set_s: float, is_synchronised: bool | None, is_reboot: bool) -> None:  # noqa: FBT001
        now = self.now
        self.now = structs.replace(
            now,
            utc_ns=now.utc_ns + int((passed_s + set_s) * SECOND_NS),
            boot_ns=SECOND_NS if is_reboot else now.boot_ns + int(passed_s * SECOND_NS),
            boot_id=f"{now.boot_id}+" if is_reboot else now.boot_id,
            is_synchronised=is_synchronised,
        )


def all_of_it(log: Logbook) -> Instant | None:
    """What the whole chain says, read from its beginning, or from what somebody confirmed."""
    known: Instant | None = None
    for entry in log.database.entries():
        if entry.act == "clock_confirmed":
            known = None
        known = remember(known, stamp_of(entry.body), tolerance_s=STAMPED_TOLERANCE_S)
    return known


@settings(max_examples=40, deadline=None)
@given(story=st.lists(st.tuples(MOVES, ACTS), max_size=12))
def test_a_checkpoint_spares_reading_what_is_before_it_and_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[tuple[float, float, bool | None, bool], str]]
) -> None:
    log = Logbook(tmp_path_factory.mktemp("log"))
    hands = Hands(log.clock())
    log.database._clocks = hands
    for move, act in story:
        hands.move(*move)
        if act == "checkpoint":
            log.checkpoint()
        else:
            log.act(act)
    read = log.database.query(STAMPED)
    acts = [act for _, act in story]
    since = next((n for n, act in enumerate(reversed(acts), 1) if act != "tested"), len(acts) + 1)
    assert len(read) == since
    assert certain_by(body for (body,) in read) == known_time(log.database) == all_of_it(log)
    log.database.close()


def test_a_checkpoint_that_says_nothing_of_the_time_is_read_past(log: Logbook) -> None:
    log.act("tested")
    with log.database.transaction() as transaction:
        transaction.append("checkpoint", signer=log.machine, facts={"checkpoint": 1, "next": "00"})
    log.act("tested")
    assert len(log.database.query(STAMPED)) == 4
    assert known_time(log.database) == all_of_it(log)
