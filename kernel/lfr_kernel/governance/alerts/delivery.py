"""Delivers what lies in the vault's outbox: the host of a sink in a run under an authority."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfr_kernel.governance.answering import answered
from lfr_kernel.messages import Alert
from lfr_kernel.runtime import Consumes, Overflow, Policy, describe
from lfr_kernel.stages.sink import SinkHost, notice_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from lfr_kernel.governance.alerts.outbox import Outbox, Waiting
    from lfr_kernel.runtime import Lane

    T = TypeVar("T")

__all__ = ["OutboxHost"]

LOOK_S = 1.0


class OutboxHost(SinkHost):
    """One sink of a run under an authority. An alert that comes in only wakes it: what it delivers is in the vault."""

    consumes = (Consumes(message=Alert, policy=Policy(overflow=Overflow.DROP_OLDEST, capacity=1)),)
    tick_s = LOOK_S

    def __init__(self, *given: Any, outbox: Outbox, vault: Lane, **more: Any) -> None:
        """Host a sink.

        Args:
            given: see `SinkHost`.
            outbox: of this sink.
            vault: the vault's own lane.
            more: see `SinkHost`.
        """
        super().__init__(*given, **more)
        self._outbox = outbox
        self._vault = vault
        self._not_before_ns = 0
        self._failures = 0

    async def handle(self, alert: Alert) -> None:  # noqa: ARG002  (a wake-up)
        """Deliver at once, also where the sink failed a moment ago: the newer an alert, the more it counts."""
        await self._deliver()

    async def tick(self) -> None:
        """Deliver what is due."""
        if self.clock.monotonic_ns() >= self._not_before_ns:
            await self._deliver()

    async def finish(self) -> None:
        """Deliver what is left, as far as the sink takes it."""
        await self._deliver()

    async def _deliver(self) -> None:
        """Deliver until nothing waits, or the sink fails."""
        while (waiting := await self._blocking(self._outbox.next)) is not None:
            if not await self._is_settled(waiting):
                return

    async def _is_settled(self, waiting: Waiting) -> bool:
        """Try one delivery; return whether it is to be tried no more."""
        alert = waiting.alert
        notice = notice_of(
            alert, details=self._details, state=str(waiting.kept.state), is_actionable=waiting.is_actionable
        )
        error = await self._try(notice)
        if error is None:
            await self._blocking(self._outbox.delivered, alert.id)
            self._delivered += 1
            self._failures = 0
            return True
        is_final = self._is_final(alert.id, error)
        await self._blocking(self._outbox.given_up if is_final else self._outbox.failed, alert.id, describe(error))
        if not is_final:
            self._not_before_ns = self.clock.monotonic_ns() + int(self._pause_s(self._failures) * 1e9)
            self._failures += 1
        return is_final

    async def _blocking(self, call: Callable[..., T], *args: Any) -> T:
        return await answered(self._vault, call, *args)

    async def teardown(self) -> None:
        """Close the plugin, and say what waits for the next run."""
        try:
            self._undelivered = await self._blocking(self._outbox.waiting)
            if self._undelivered:
                self._log("alerts_wait", sink=self.sink_name, alerts=self._undelivered, error=self._last_error)
        finally:
            await super().teardown()

    async def dispose(self, message: Alert, reason: str) -> None:
        """A wake-up that comes too late is of no use: the alert is in the vault."""
