"""Whatever happens to a mailbox: each message is handled, dropped with a reason, or still there. Never two of these."""

from __future__ import annotations

import asyncio
from collections import Counter
from operator import attrgetter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lfr_kernel.runtime import Inlet, Mailbox, Overflow, Policy
from lfr_kernel.testing import VirtualClock
from runtime.support import Note, is_conserved

policies = st.one_of(
    st.builds(Policy, capacity=st.integers(1, 4)),
    st.builds(Policy, capacity=st.integers(1, 4), patience_s=st.floats(0.5, 3)),
    st.builds(Policy, capacity=st.integers(1, 4), overflow=st.just(Overflow.DROP_OLDEST)),
    st.builds(
        Policy,
        capacity=st.integers(1, 3),
        overflow=st.just(Overflow.LATEST_PER_KEY),
        key=st.just(attrgetter("key")),
    ),
)


class MailboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = VirtualClock()
        self.disposed: Counter[int] = Counter()
        self.reasons: Counter[str] = Counter()
        self.senders: list[asyncio.Task[bool]] = []
        self.held: list[tuple[Inlet, Note]] = []
        self.handled: set[int] = set()
        self.sent = 0
        self.returned = 0

    def teardown(self) -> None:
        self.do(self.mailbox.die("stopped"))
        self.nothing_is_lost()
        assert not any(inlet.statistics().queued for inlet in self.inlets)
        assert all(sender.done() for sender in self.senders)
        self.runner.close()

    def do(self, coroutine: Any) -> Any:
        async def settled() -> Any:
            result = await coroutine
            await self.clock.advance()
            return result

        return self.runner.run(settled())

    @initialize(policies=st.lists(policies, min_size=1, max_size=3))
    def open(self, policies: list[Policy]) -> None:
        async def dispose(message: Note, reason: str) -> None:
            await asyncio.sleep(0)
            self.disposed[message.number] += 1
            self.reasons[reason] += 1

        self.mailbox = Mailbox("box", self.clock, dispose)
        self.inlets = [self.mailbox.inlet(f"p{place}", Note, policy) for place, policy in enumerate(policies)]

    @rule(data=st.data(), key=st.sampled_from("ab"))
    def send(self, data: st.DataObject, key: str) -> None:
        inlet = data.draw(st.sampled_from(self.inlets))

        async def start() -> None:
            self.senders.append(asyncio.create_task(inlet.send(Note(self.sent, key))))

        self.do(start())
        self.sent += 1

    @rule(seconds=st.floats(0.1, 2))
    def wait(self, seconds: float) -> None:
        self.do(self.clock.advance(seconds))

    @precondition(lambda self: any(not sender.done() for sender in self.senders))
    @rule(data=st.data())
    def cancel_a_sender(self, data: st.DataObject) -> None:
        waiting = [sender for sender in self.senders if not sender.done()]
        chosen = data.draw(st.sampled_from(waiting))

        async def cancel() -> None:
            chosen.cancel()

        self.do(cancel())
        assert chosen.cancelled()

    @rule()
    def take(self) -> None:
        async def take() -> None:
            if (found := self.mailbox.receive_nowait()) is not None:
                self.held.append(found)

        self.do(take())

    @precondition(lambda self: self.held)
    @rule()
    def handle(self) -> None:
        self.handled.add(self.held.pop(0)[1].number)

    @precondition(lambda self: self.held)
    @rule()
    def crash(self) -> None:
        inlet, message = self.held.pop(0)
        inlet.handled -= 1
        self.do(inlet.drop(message, "crashed"))

    @precondition(lambda self: self.held)
    @rule()
    def put_back(self) -> None:
        self.returned += len(self.held)
        self.mailbox.put_back(self.held)
        self.held = []

    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        async def close() -> None:
            data.draw(st.sampled_from(self.inlets)).close()

        self.do(close())

    @rule()
    def die(self) -> None:
        self.do(self.mailbox.die("failed"))

    @invariant()
    def nothing_is_lost(self) -> None:
        statistics = [inlet.statistics() for inlet in self.inlets]
        assert all(is_conserved(inlet) for inlet in statistics)
        waiting = sum(not sender.done() for sender in self.senders)
        assert sum(inlet.received for inlet in statistics) + waiting == self.sent
        assert sum(inlet.handled for inlet in statistics) == len(self.handled) + len(self.held)
        dropped = sum((Counter(inlet.dropped) for inlet in statistics), Counter[str]())
        assert dropped == self.reasons
        assert all(times == 1 for times in self.disposed.values()), "a message dies once"
        assert not self.handled & self.disposed.keys(), "what was handled does not die"

    @invariant()
    def nothing_outgrows_its_bound(self) -> None:
        for inlet in self.inlets:
            assert inlet.statistics().queued <= inlet.policy.capacity + self.returned

    @invariant()
    def who_waits_waits_for_a_place(self) -> None:
        for inlet in self.inlets:
            if inlet.senders:
                assert inlet.policy.overflow is Overflow.BLOCK
                assert inlet.statistics().queued > inlet.policy.capacity // 2


MailboxMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestMailbox = MailboxMachine.TestCase
