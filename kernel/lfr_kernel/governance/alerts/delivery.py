"""Delivers what lies in the vault's outbox: the host of a sink in a run under an authority."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from lfr_kernel.governance.alerts.outbox import Unreadable
from lfr_kernel.governance.answering import answered
from lfr_kernel.governance.errors import AuditError
from lfr_kernel.messages import Alert
from lfr_kernel.runtime import Consumes, Overflow, PassingError, PermanentError, Policy, describe
from lfr_kernel.stages.sink import SinkHost, notice_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from lfr_kernel.governance.alerts.outbox import Outbox, Waiting
    from lfr_kernel.runtime import Lane, LfrError
    from lfr_kernel.stages.sink import Evidence

    T = TypeVar("T")

__all__ = ["OutboxHost"]

LOOK_S = 1.0


class OutboxHost(SinkHost):
    """One sink of a run under an authority. An alert that comes in only wakes it: what it delivers is in the vault."""

    consumes = (Consumes(message=Alert, policy=Policy(overflow=Overflow.DROP_OLDEST, capacity=1)),)
    tick_s = LOOK_S

    def __init__(
        self, *given: Any, outbox: Outbox, vault: Lane, show: Callable[[str], Evidence] | None = None, **more: Any
    ) -> None:
        """Host a sink.

        Args:
            given: see `SinkHost`.
            outbox: of this sink.
            vault: the vault's own lane.
            show: returns the pictures of an alert, or raises KeyError; called on that lane, before each delivery.
                None: this sink is shown none, and `evidence` says so.
            more: see `SinkHost`.
        """
        if show is not None:
            more["evidence"] = self._evidence
        super().__init__(*given, **more)
        self._outbox = outbox
        self._vault = vault
        self._show = show
        self._shown: tuple[str, Evidence] | None = None
        """What the sink may ask for while it delivers, and its name."""
        self._not_before_ns = 0
        self._failures = 0

    def _evidence(self, reference: str) -> Evidence:
        """Return the pictures of the alert in hand: nothing is read here, on the event loop."""
        if self._shown is None or self._shown[0] != reference:
            raise KeyError(reference)
        return self._shown[1]

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
        passed: set[str] = set()
        while (waiting := await self._blocking(self._outbox.next, passed)) is not None:
            if isinstance(waiting, Unreadable):
                passed.add(waiting.alert)
                self._note(waiting)
            elif not await self._is_settled(waiting):
                return

    def _note(self, found: Unreadable) -> None:
        """Count and name an alert that the vault cannot read, as if the sink had not taken it."""
        error: LfrError = PassingError(f"nothing of it can be read: {found.why}; it is tried again")
        if found.is_final:
            error = PermanentError(f"nothing of it can be read: {found.why}; verify the audit, keep the vault as it is")
        if not self._is_final(found.alert, error):
            self._wait()

    def _wait(self) -> None:
        self._not_before_ns = self.clock.monotonic_ns() + int(self._pause_s(self._failures) * 1e9)
        self._failures += 1

    async def _is_settled(self, waiting: Waiting) -> bool:
        """Try one delivery; return whether it is to be tried no more."""
        alert = waiting.alert
        notice = notice_of(
            alert, details=self._details, state=str(waiting.kept.state), is_actionable=waiting.is_actionable
        )
        self._shown = await self._pictures(alert)
        try:
            error = await self._try(notice)
        finally:
            self._shown = None
        if error is None:
            await self._blocking(self._outbox.delivered, alert.id)
            self._delivered += 1
            self._failures = 0
            return True
        is_final = self._is_final(alert.id, error)
        # Of the error its kind alone: the column is in clear, and the text may quote whom the alert names.
        await self._blocking(self._outbox.given_up if is_final else self._outbox.failed, alert.id, type(error).__name__)
        if not is_final:
            self._wait()
        return is_final

    async def _pictures(self, alert: Alert) -> tuple[str, Evidence] | None:
        """Return the pictures of an alert; None if there are none, or nobody can read them.

        Raises:
            AuditError: the vault cannot be read.
        """
        if self._show is None:
            return None
        try:
            return alert.evidence, await self._blocking(self._show, alert.evidence)
        except AuditError:
            raise
        except KeyError:
            return None  # they have been erased
        except (PermanentError, OSError, msgspec.DecodeError) as error:
            self._log("pictures_unreadable", sink=self.sink_name, alert=alert.id, error=describe(error))
            return None

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
