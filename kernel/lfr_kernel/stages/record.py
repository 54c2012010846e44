"""The record: one outcome a passage, and the alerts. What is counted is counted in passages, never in frames."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from msgspec import Struct

from lfr_kernel.messages import Alert, Outcome, Verdict
from lfr_kernel.runtime import Actor, Consumes, Policy
from lfr_kernel.stages.tally import RecordedFacts

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Record", "RecordFacts"]

ALERTS_KEPT = 1_000


class RecordFacts(Struct, frozen=True, kw_only=True):
    """What became of the passages so far."""

    alerted: int
    not_matched: int
    lost: dict[str, int]
    """By reason."""
    alerts: tuple[Alert, ...]
    """The newest ones."""
    cameras: dict[str, RecordedFacts]
    """By camera: how its passages ended."""


class Record(Actor):
    """Hears every outcome and every alert."""

    consumes = (
        Consumes(message=Outcome, policy=Policy(capacity=256)),
        Consumes(message=Alert, policy=Policy(capacity=256)),
    )

    def __init__(self, listen: Callable[[Alert | Outcome], None] = lambda _: None) -> None:
        """Keep the record; `listen` is told each fact as it comes (and must be quick)."""
        super().__init__("record")
        self._listen = listen
        self._verdicts: Counter[tuple[str, Verdict]] = Counter()
        self._lost: Counter[tuple[str, str]] = Counter()
        self._alerts: deque[Alert] = deque(maxlen=ALERTS_KEPT)

    async def handle(self, message: Outcome | Alert) -> None:
        """Write it down."""
        self._listen(message)
        self._write(message)

    async def dispose(self, message: Outcome | Alert, reason: str) -> None:  # noqa: ARG002
        """Write it down all the same: a passage is counted even when nobody listens any more."""
        self._write(message)

    def _write(self, message: Outcome | Alert) -> None:
        if isinstance(message, Alert):
            self._alerts.append(message)
            return
        self._verdicts[message.camera, message.verdict] += 1
        if message.verdict is Verdict.LOST:
            self._lost[message.camera, message.reason or "unknown"] += 1

    def facts(self) -> RecordFacts:
        """Return a snapshot."""
        cameras = {name: self._recorded(name) for name in sorted({name for name, _ in self._verdicts})}
        lost: Counter[str] = Counter()
        for camera in cameras.values():
            lost.update(camera.lost)
        return RecordFacts(
            alerted=sum(camera.alerted for camera in cameras.values()),
            not_matched=sum(camera.not_matched for camera in cameras.values()),
            lost=dict(lost),
            alerts=tuple(self._alerts),
            cameras=cameras,
        )

    def _recorded(self, camera: str) -> RecordedFacts:
        return RecordedFacts(
            alerted=self._verdicts[camera, Verdict.ALERTED],
            not_matched=self._verdicts[camera, Verdict.NOT_MATCHED],
            lost={reason: count for (name, reason), count in self._lost.items() if name == camera},
        )
