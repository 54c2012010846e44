"""Crashes at random, a stop at random: no message of a chain of three gets lost without being counted."""

from __future__ import annotations

import random
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from lfr_kernel.runtime import Consumes, Overflow, PermanentError, Policy, RestartPolicy
from lfr_kernel.testing import VirtualClock
from runtime.support import Echo, Feed, Keep, KeepEchoes, Note, Relay, is_conserved, notes, running

policies = st.one_of(
    st.builds(Policy, capacity=st.integers(1, 6)),
    st.builds(Policy, capacity=st.integers(1, 6), patience_s=st.floats(0.1, 3)),
    st.builds(Policy, capacity=st.integers(1, 6), overflow=st.just(Overflow.DROP_OLDEST)),
    st.builds(
        Policy,
        capacity=st.integers(1, 3),
        overflow=st.just(Overflow.LATEST_PER_KEY),
        key=st.just(lambda message: message.number % 3),
    ),
)
COUNT = 30


class Unsteady(Keep):
    """Takes its time, and crashes now and then, in any of its hooks."""

    def __init__(self, name: str, seed: int, crash: float) -> None:
        super().__init__(name)
        self.rng = random.Random(f"{seed} {name}")  # noqa: S311
        self.crash = crash

    def _maybe_crash(self) -> None:
        if self.rng.random() < self.crash:
            raise PermanentError("for good") if self.rng.random() < 0.02 else ValueError("for now")

    async def setup(self) -> None:
        await super().setup()
        if len(self.events) > 1:
            self._maybe_crash()

    async def handle(self, message: Any) -> None:
        await self.clock.sleep(self.rng.random())
        self._maybe_crash()
        await super().handle(message)

    async def teardown(self) -> None:
        await super().teardown()
        self._maybe_crash()

    async def dispose(self, message: Any, reason: str) -> None:
        await super().dispose(message, reason)
        self._maybe_crash()


class UnsteadyRelay(Unsteady, Relay):
    async def handle(self, message: Any) -> None:
        await Unsteady.handle(self, message)


class UnsteadyKeep(Unsteady, KeepEchoes):
    pass


class Scenario(Struct, frozen=True):
    seed: int
    crash: float
    first: Policy
    second: Policy
    concurrency: int
    batch: int
    stop_after_s: float | None


scenarios = st.builds(
    Scenario,
    seed=st.integers(0, 2**32),
    crash=st.sampled_from([0.0, 0.05, 0.3]),
    first=policies,
    second=policies,
    concurrency=st.integers(1, 3),
    batch=st.integers(1, 4),
    stop_after_s=st.one_of(st.none(), st.floats(0, 20)),
)


@given(scenarios)
@settings(max_examples=100, deadline=None)
def test_no_message_is_lost_uncounted(scenario: Scenario) -> None:
    anyio.run(play, scenario)


async def play(scenario: Scenario) -> None:
    clock = VirtualClock()
    feed = Feed(notes(*range(COUNT)))
    relay = UnsteadyRelay("relay", scenario.seed, scenario.crash)
    relay.consumes = (Consumes(message=Note, policy=scenario.first),)  # type: ignore[misc]
    relay.concurrency = scenario.concurrency
    keep = UnsteadyKeep("keep", scenario.seed, scenario.crash)
    keep.consumes = (Consumes(message=Echo, policy=scenario.second),)  # type: ignore[misc]
    keep.max_batch = scenario.batch
    restarts = RestartPolicy(max_restarts=20, backoff_s=0.1, max_backoff_s=1.0)
    async with running(feed, relay, keep, clock=clock, restarts=restarts, drain_s=2.0) as run:
        await clock.advance(1000 if scenario.stop_after_s is None else scenario.stop_after_s)
        if scenario.stop_after_s is not None:
            run.system.stop("test")
            await clock.advance(20)
        assert run.ended or run.failure, "it comes to an end"
    inlets = [run.inlet("relay"), run.inlet("keep")]
    assert all(is_conserved(inlet) for inlet in inlets)
    assert [inlet.queued for inlet in inlets] == [0, 0]
    made = set(range(COUNT - len(feed.waiting)))
    assert inlets[0].received == len(made), "every note that was made arrived"
    assert inlets[1].received == len(relay.handled), "every echo that was made arrived"
    for actor, inlet in zip((relay, keep), inlets, strict=True):
        assert len(actor.disposed) == sum(inlet.dropped.values()), "what was counted was disposed of, once"
    died_at_first = {message.number: reason for message, reason in relay.disposed}
    died_at_second = {message.number for message, _ in keep.disposed}
    handled = {message.number for message in keep.handled}
    assert died_at_first.keys() | died_at_second | handled == made
    assert {died_at_first[number] for number in died_at_first.keys() & died_at_second} <= {"stopped"}, (
        "both die only if a note is cut short while its echo waits"
    )
