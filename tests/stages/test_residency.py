"""How long faces live in the process: counted from capture, by whoever owns them, in bounded memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lfr_kernel.messages import Biometric
from lfr_kernel.stages.residency import Residency

if TYPE_CHECKING:
    from collections.abc import Iterator

MS = 1_000_000


class Clock:
    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def residency(clock: Clock) -> Iterator[Residency]:
    found = Residency(clock, bound_s=2.0)
    Biometric.watch = found
    yield found
    Biometric.watch = None


def a_face(**more: object) -> Biometric:
    return Biometric(np.ones(4, np.float32), **more)  # type: ignore[arg-type]


def test_a_life_lasts_from_capture_to_erasing(clock: Clock, residency: Residency) -> None:
    clock.now_ns = 500 * MS
    made, captured = a_face(), a_face(since_ns=100 * MS)
    clock.now_ns = 700 * MS
    facts = residency.facts()
    assert (facts.count, facts.p50, facts.max, facts.live, facts.oldest) == (0, None, None, 2, 600.0)
    made.erase()
    captured.erase()
    captured.erase()
    facts = residency.facts()
    assert (facts.count, facts.max, facts.live, facts.oldest) == (2, 600.0, 0, None)
    assert facts.p50 == pytest.approx(200, rel=0.01)
    assert facts.p95 == pytest.approx(600, rel=0.01)


def test_who_lives_longer_than_the_bound_is_counted_before_and_after_its_end(
    clock: Clock, residency: Residency
) -> None:
    short, long = a_face(), a_face()
    clock.now_ns = 2_000 * MS
    short.erase()
    assert residency.facts().over_bound == 0
    clock.now_ns = 2_001 * MS
    assert residency.facts().over_bound == 1
    long.erase()
    facts = residency.facts()
    assert (facts.over_bound, facts.bound, facts.max) == (1, 2000.0, 2001.0)


def test_who_is_listed_and_the_evidence_of_alerts_are_not_counted(residency: Residency) -> None:
    a_face(is_kept=True).erase()
    kept = a_face(is_kept=True)
    assert (residency.facts().count, residency.facts().live) == (0, 0)
    kept.erase()


def test_who_is_let_go_of_is_overwritten_and_counted(residency: Residency) -> None:
    memory = np.ones(4, np.float32)
    owner = Biometric(memory)
    assert residency.facts().live == 1
    del owner
    assert not memory.any()
    assert (residency.facts().count, residency.facts().live) == (1, 0)


def test_whoever_was_made_before_the_run_belongs_to_the_run_before(clock: Clock) -> None:
    first, second = Residency(clock), Residency(clock)
    Biometric.watch = first
    face = a_face()
    Biometric.watch = second
    face.erase()
    Biometric.watch = None
    assert (first.facts().count, second.facts().count) == (1, 0)


def test_threads_may_count_at_once(residency: Residency) -> None:
    def live_and_die() -> None:
        for _ in range(500):
            a_face().erase()

    threads = [threading.Thread(target=live_and_die) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (residency.facts().count, residency.facts().live) == (2000, 0)
