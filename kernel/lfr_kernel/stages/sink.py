"""The alert sink stage: its contract, and the actor that hosts a plugin of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import numpy as np
    from numpy.typing import NDArray

    from lfr_kernel.messages import Alert

__all__ = ["AlertSink", "Evidence", "SinkContext"]


class Evidence(Struct, frozen=True, kw_only=True, eq=False):
    """The two pictures a person needs in order to decide on an alert. Copies: whoever asked erases nothing."""

    probe: NDArray[np.uint8]
    """uint8 [H, W, 3] RGB: the aligned crop that was compared. It shows one face and nobody beside it."""
    listed: NDArray[np.uint8]
    """uint8 [H', W', 3] RGB: the listed photograph, cut the same way."""


class SinkContext(Struct, frozen=True, kw_only=True, eq=False):
    """What the host lends to a sink."""

    evidence: Callable[[str], Evidence]
    """Maps `alert.evidence` to pictures. Raises EvidenceWithheldError where the profile does not allow this sink
    to see them (`evidence = true`), and KeyError once they have been erased."""
    run_blocking: Callable[[Callable[[], None]], Awaitable[None]]
    """Runs a blocking call on the sink's own lane: `await context.run_blocking(partial(write, line))`."""


class AlertSink(Protocol):
    """Takes alerts somewhere: a file, a screen, a message bus. Nothing but alerts ever reaches it.

    `deliver` is called on the event loop, one alert at a time and in order. If it raises, the outbox tries the
    same alert again with backoff, so it has to be idempotent on `alert.id`. A PermanentError gives the alert up.
    """

    async def deliver(self, alert: Alert) -> None:
        """Deliver one alert; return once the other side has it for good."""

    async def expire(self, before_ns: int) -> int:
        """Delete what it keeps of alerts raised before `before_ns` (UTC); return how many. Keeps nothing: 0."""

    async def close(self) -> None:
        """Release everything; must not raise."""
