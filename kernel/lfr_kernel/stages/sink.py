"""The alert sink stage: its contract, and the actor that hosts a plugin of it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from lfr_kernel.messages import Alert, Expire, Notice, Receipt
from lfr_kernel.runtime import Actor, Consumes, PassingError, Policy, describe
from lfr_kernel.stages.measure import backoff_s

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import numpy as np
    from numpy.typing import NDArray

    from lfr_kernel.runtime import Lane

__all__ = ["AlertSink", "Evidence", "SinkContext", "SinkFacts", "SinkHost", "SinkLimits", "notice_of"]


class Evidence(Struct, frozen=True, kw_only=True, eq=False):
    """The two pictures a person needs in order to decide on an alert. Copies: whoever asked erases nothing."""

    probe: NDArray[np.uint8]
    """uint8 [H, W, 3] RGB: the aligned crop that was compared. It shows one face and nobody beside it."""
    listed: NDArray[np.uint8]
    """uint8 [H', W', 3] RGB: the listed photograph, cut the same way."""


class SinkContext(Struct, frozen=True, kw_only=True, eq=False):
    """What the host lends to a sink."""

    evidence: Callable[[str], Evidence]
    """Maps `notice.alert.evidence` to pictures. Raises EvidenceWithheldError where the profile does not allow this
    sink to see them (`evidence = true`), and KeyError once they have been erased; under an authority also for any
    other alert than the one that is being delivered. It does not block there."""
    run_blocking: Callable[[Callable[[], None]], Awaitable[None]]
    """Runs a blocking call on the sink's own lane: `await context.run_blocking(partial(write, line))`."""
    details: bool = False
    """Whether notices come with their whole alert: `details = true` in the profile."""
    pictures: bool = False
    """Whether `evidence` shows any: `evidence = true` in the profile. There are details, too, then."""


class AlertSink(Protocol):
    """Takes notices of alerts somewhere: a file, a screen, a message bus. Nothing else ever reaches it.

    `deliver` is called on the event loop, one notice at a time and in order. If it raises, the outbox tries the
    same alert again with backoff, so it has to be idempotent on `notice.id`, whatever else of the notice has changed
    meanwhile. A PermanentError gives the alert up. It has to cope with notices without an alert (`notice.alert`), or
    refuse to be created where `context.details` is false.
    """

    async def deliver(self, notice: Notice) -> None:
        """Deliver one notice; return once the other side has it for good."""

    async def expire(self, before_ns: int) -> int:
        """Delete what it keeps of alerts raised before `before_ns` (UTC); return how many. Keeps nothing: 0."""

    async def close(self) -> None:
        """Release everything; must not raise."""


def notice_of(alert: Alert, *, details: bool, state: str = "open", is_actionable: bool = True) -> Notice:
    """Return what leaves of an alert: id, camera, times, state and permit; with `details` the alert itself, too.

    Args:
        alert: what was raised.
        details: whether the sink may have more than that there is an alert (`details = true` in the profile).
        state: how far people have come with it by now.
        is_actionable: whether it comes in time for anybody to act on it.
    """
    return Notice(
        id=alert.id,
        camera=alert.camera,
        captured_at_ns=alert.captured_at_ns,
        alerted_at_ns=alert.alerted_at_ns,
        state=state,
        act_by_ns=alert.act_by_ns,
        is_actionable=is_actionable,
        permit=alert.permit,
        alert=alert if details else None,
    )


class SinkFacts(Struct, frozen=True, kw_only=True):
    """A snapshot of one sink."""

    name: str
    delivered: int
    retries: int
    given_up: int
    """Alerts that the sink refused for good."""
    undelivered: int
    """Alerts that were still being tried, or waited, when the run ended."""
    last_error: str | None


class SinkLimits(Struct, frozen=True, kw_only=True):
    """How the outbox of a sink tries. Seconds."""

    try_s: float = 10.0
    first_backoff_s: float = 0.5
    max_backoff_s: float = 30.0
    jitter: float = 0.25


class SinkHost(Actor):
    """One sink and its outbox: alerts in order, each tried until it is delivered or the sink gives it up for good.

    What the sink is given of each is a notice, made anew for each try.
    """

    consumes = (Consumes(message=Alert, policy=Policy(capacity=1024)),)

    def __init__(
        self,
        name: str,
        create: Callable[[SinkContext], AlertSink],
        lane: Lane,
        *,
        evidence: Callable[[str], Evidence],
        details: bool = False,
        pictures: bool = False,
        limits: SinkLimits | None = None,
        log: Callable[..., None] = lambda *_, **__: None,
        seed: int | None = None,
    ) -> None:
        super().__init__(f"sink:{name}")
        self.sink_name = name
        self._create = create
        self._lane = lane
        self._limits = limits or SinkLimits()
        self._log = log
        self._rng = random.Random(seed)  # noqa: S311  (jitter, not a secret)
        self._details = details
        self._context = SinkContext(
            evidence=evidence, run_blocking=self._run_blocking, details=details, pictures=pictures
        )
        self._sink: AlertSink | None = None
        self._delivered = self._retries = self._given_up = self._undelivered = 0
        self._last_error: str | None = None

    async def _run_blocking(self, call: Callable[[], None]) -> None:
        await self._lane.run(call, deadline_s=self._limits.try_s)

    async def setup(self) -> None:
        """Create the plugin, on its lane: it may open files."""
        self._sink = await self._lane.run(self._create, self._context, deadline_s=self._limits.try_s)

    async def handle(self, alert: Alert) -> None:
        """Deliver one alert, trying as often as it takes."""
        tries = 0
        while (error := await self._try(self._notice(alert))) is not None:
            if self._is_final(alert.id, error):
                return
            await self.clock.sleep(self._pause_s(tries))
            tries += 1
        self._delivered += 1

    def _notice(self, alert: Alert) -> Notice:
        is_in_time = alert.act_by_ns is None or self.clock.utc_ns() <= alert.act_by_ns
        return notice_of(alert, details=self._details, is_actionable=is_in_time)

    async def _try(self, notice: Notice) -> Exception | None:
        """Give a notice to the sink; return why it did not take it."""
        assert self._sink is not None  # noqa: S101  (setup has seen to it)
        try:
            with self.clock.move_on_after(self._limits.try_s) as scope:
                await self._sink.deliver(notice)
        except Exception as error:  # noqa: BLE001  (a sink's failure is tried again, not spread)
            return error
        if scope.cancelled_caught:
            return PassingError(f"sink {self.sink_name!r} did not take the alert within {self._limits.try_s:g} s")
        return None

    def _is_final(self, alert: str, error: Exception) -> bool:
        """Note a failure; return whether the sink has refused the alert for good."""
        self._last_error = describe(error)
        is_final = bool(getattr(error, "is_permanent", False))
        self._given_up += is_final
        self._retries += not is_final
        event = "alert_given_up" if is_final else "alert_not_delivered"
        self._log(event, sink=self.sink_name, alert=alert, error=self._last_error)
        return is_final

    def _pause_s(self, tries: int) -> float:
        """Return how long to wait after so many failures."""
        wait_s = backoff_s(tries, self._limits.first_backoff_s, self._limits.max_backoff_s)
        return wait_s * (1 + self._limits.jitter * self._rng.random())

    async def answer(self, request: Any) -> Any:
        """Expire what the sink keeps."""
        if isinstance(request, Expire) and self._sink is not None:
            return Receipt(destroyed=await self._sink.expire(request.before_ns))
        return await super().answer(request)

    async def teardown(self) -> None:
        """Close the plugin."""
        if self._sink is not None:
            sink, self._sink = self._sink, None
            await sink.close()

    async def dispose(self, message: Alert, reason: str) -> None:
        """Count and name an alert that the run ended on."""
        self._undelivered += 1
        self._log("alert_undelivered", sink=self.sink_name, alert=message.id, why=reason, error=self._last_error)

    def facts(self) -> SinkFacts:
        """Return a snapshot."""
        return SinkFacts(
            name=self.sink_name,
            delivered=self._delivered,
            retries=self._retries,
            given_up=self._given_up,
            undelivered=self._undelivered,
            last_error=self._last_error,
        )
