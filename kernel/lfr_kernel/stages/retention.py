"""The retention stage: its contract, and the actor that hosts a plugin of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from lfr_kernel.messages import Expire
from lfr_kernel.runtime import Actor, ActorError, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lfr_kernel.runtime import Address

__all__ = ["CEILINGS_S", "RecordClass", "Retention", "RetentionFacts", "RetentionHost"]

STORE_S = 30.0
"""How long a store may take to expire its records."""

RecordClass = Literal["alert", "evidence"]

CEILINGS_S: dict[RecordClass, float] = {"alert": 31 * 86_400.0, "evidence": 86_400.0}
"""How long a record of each class may live at most, in seconds. Unmatched faces have no class: they are never kept."""


class Retention(Protocol):
    """Says how long records live: a pure function. It can only shorten the kernel's ceilings."""

    def seconds(self, record_class: RecordClass) -> float:
        """Return how many seconds a record of this class lives; the host takes the smaller of this and the ceiling."""


class RetentionFacts(Struct, frozen=True, kw_only=True):
    """A snapshot of retention."""

    seconds: dict[RecordClass, float]
    destroyed: dict[str, int]
    """Records destroyed so far, by class; the receipts hold counts only."""
    last_error: str | None


class RetentionHost(Actor):
    """Its own clock: tells every store to expire what is too old, and collects the receipts."""

    def __init__(
        self,
        create: Callable[[], Retention],
        *,
        period_s: float,
        log: Callable[..., None],
        ceilings_s: Mapping[RecordClass, float] = CEILINGS_S,
        is_held: Callable[[], bool] = lambda: False,
    ) -> None:
        """Watch over what expires.

        Args:
            create: makes the plugin.
            period_s: between two looks.
            log: gets an event and facts.
            ceilings_s: how long records of each class may live at most, in seconds; the kernel's own if not given.
            is_held: whether nothing may be deleted now, because the clock cannot be believed.
        """
        super().__init__("retention")
        self._ceilings_s = ceilings_s
        self._is_held = is_held
        self.tick_s = period_s
        self.stores: Sequence[tuple[RecordClass, Address]] = ()
        """Who keeps records of which class; set when the system is wired."""
        self._create = create
        self._log = log
        self._seconds: dict[RecordClass, float] = {}
        self._destroyed: Counter[str] = Counter()
        self._last_error: str | None = None

    async def setup(self) -> None:
        """Ask the plugin once: it is a pure function. It can shorten the ceilings, not lengthen them."""
        retention = self._create()
        self._seconds = {
            record_class: min(ceiling_s, max(0.0, retention.seconds(record_class)))
            for record_class, ceiling_s in self._ceilings_s.items()
        }

    async def tick(self) -> None:
        """Let every store expire what is too old. A store that fails is asked again next time."""
        if self._is_held():
            return
        now_ns = self.clock.utc_ns()
        for record_class, store in self.stores:
            before_ns = now_ns - int(self._seconds[record_class] * 1e9)
            try:
                receipt = await store.ask(Expire(before_ns=before_ns), deadline_s=STORE_S)
            except ActorError as error:
                self._last_error = describe(error)
                self._log("retention_failed", store=store.name, error=self._last_error)
                continue
            self._destroyed[record_class] += receipt.destroyed
            if receipt.destroyed:
                self._log("records_destroyed", store=store.name, of=record_class, count=receipt.destroyed)

    def facts(self) -> RetentionFacts:
        """Return a snapshot."""
        return RetentionFacts(
            seconds=dict(self._seconds.items()), destroyed=dict(self._destroyed), last_error=self._last_error
        )
