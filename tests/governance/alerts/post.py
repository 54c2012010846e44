"""The host of one sink of a deployment that is open, and sinks that do what they may."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lfr_kernel.governance.alerts.delivery import OutboxHost
from lfr_kernel.runtime import PassingError
from lfr_kernel.stages.sink import SinkLimits
from lfr_kernel.testing import InlineLane, VirtualClock, run_actor
from lfr_kernel.testing.fakes import ListSink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from governance.alerts.support import Duty
    from lfr_kernel.messages import Notice
    from lfr_kernel.testing import ActorRun

BUSY = PassingError("the broker is busy")
SINK = ("list",)
STEADY = SinkLimits(jitter=0.0)


class Picky(ListSink):
    """Takes some alerts at no time, hangs on others, and counts every try."""

    def __init__(self, never: Iterable[str] = (), hangs: Iterable[str] = (), error: Exception = BUSY) -> None:
        super().__init__()
        self.tried: list[str] = []
        self._never, self._hangs, self._error = set(never), set(hangs), error

    async def deliver(self, notice: Notice) -> None:
        self.tried.append(notice.id)
        if notice.id in self._hangs:
            await anyio.sleep_forever()
        if notice.id in self._never:
            raise self._error
        self.delivered.append(notice)  # also what it has: whether it comes twice is to be seen


class Post:
    """The host of one sink of a deployment, on a clock that stands still until it is told to go on."""

    def __init__(
        self,
        duty: Duty,
        sink: ListSink | None = None,
        *,
        name: str = "list",
        vault: InlineLane | None = None,
        **more: Any,
    ) -> None:
        self.clock = VirtualClock()
        self.sink = sink or Picky()
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.host = OutboxHost(
            name,
            lambda _: self.sink,
            InlineLane(),
            evidence=lambda _: pytest.fail("nobody asks for pictures"),
            limits=STEADY,
            outbox=duty.governed.outbox(name),
            vault=vault or InlineLane(),
            log=lambda event, **facts: self.logged.append((event, facts)),
            **more,
        )

    @property
    def ids(self) -> list[str]:
        return [notice.id for notice in self.sink.delivered]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ActorRun]:
        async with run_actor(self.host, clock=self.clock) as run:
            yield run

    async def deliver(self, seconds: float = 0.0) -> Post:
        """Run it for so long; what waits is delivered at the latest as the run ends."""
        async with self.running():
            await self.clock.advance(seconds)
        return self


def row_of(duty: Duty, alert: str, sink: str = "list") -> tuple[str, int, str | None]:
    """How far a delivery has come: state, tries, and why the last one failed."""
    sql = "SELECT state, tries, why FROM deliveries WHERE alert = ? AND sink = ?"
    ((state, tries, why),) = duty.site.vault.database.query(sql, (alert, sink))
    return state, tries, why


def entries_of(duty: Duty, act: str) -> list[dict[str, Any]]:
    return [one["facts"] for one in duty.site.acts(act)]
