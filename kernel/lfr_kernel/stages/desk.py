"""The alert desk: makes an alert of a match, and keeps the evidence a person needs to decide on it."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from lfr_kernel.messages import Alert, Biometric, Expire, Match, Receipt
from lfr_kernel.runtime import Actor, Consumes, LfrError, Policy
from lfr_kernel.stages.measure import Durations, Quantiles
from lfr_kernel.stages.sink import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["AlertDesk", "DeskFacts", "EvidenceStore", "EvidenceWithheldError"]

EVIDENCE_CAPACITY = 2_000


class EvidenceWithheldError(LfrError, PermissionError):
    """The profile does not let this sink see pictures."""

    is_permanent = True


class EvidenceStore:
    """The pictures behind alerts, in memory, bounded; erased when they expire and when the run ends."""

    def __init__(self, listed: Callable[[int], NDArray[np.uint8]]) -> None:
        """Keep evidence. `listed` maps a watchlist entry to its photograph, uint8 [H, W, 3] RGB."""
        self._listed = listed
        self._kept: OrderedDict[str, tuple[int, Biometric, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, reference: str, crop: Biometric, entry: int, at_ns: int) -> None:
        """Take over `crop` as the evidence `reference` of an alert raised at `at_ns` (UTC)."""
        self._kept[reference] = (at_ns, crop, entry)
        if len(self._kept) > EVIDENCE_CAPACITY:
            self._kept.popitem(last=False)[1][1].erase()

    def show(self, reference: str) -> Evidence:
        """Return copies of both pictures. Raises KeyError once they have been erased."""
        _, crop, entry = self._kept[reference]
        return Evidence(probe=crop.array.copy(), listed=self._listed(entry))

    def expire(self, before_ns: int) -> int:
        """Erase what is older than `before_ns` (UTC); return how many."""
        old = [reference for reference, (at_ns, _, _) in self._kept.items() if at_ns < before_ns]
        for reference in old:
            self._kept.pop(reference)[1].erase()
        return len(old)

    def close(self) -> None:
        """Erase everything."""
        while self._kept:
            self._kept.popitem()[1][1].erase()


class DeskFacts(Struct, frozen=True, kw_only=True):
    """A snapshot of the desk."""

    alerts: int
    evidence: int
    capture_to_alert_ms: Quantiles


class AlertDesk(Actor):
    """Proposes. Deciding is for people."""

    consumes = (Consumes(message=Match, policy=Policy(capacity=64)),)
    produces = (Alert,)

    def __init__(self, evidence: EvidenceStore, *, model: str, permit: str, basis: str) -> None:
        super().__init__("desk")
        self._evidence = evidence
        self._model = model
        self._permit = permit
        self.basis = basis
        """What the threshold in force rests on."""
        self._alerts = 0
        self._delays = Durations()

    async def handle(self, match: Match) -> None:
        """Raise one alert."""
        now_ns = self.clock.monotonic_ns()
        alert = Alert(
            id=secrets.token_hex(8),
            passage=match.passage,
            camera=match.camera,
            person=match.person,
            similarity=match.similarity,
            threshold=match.threshold,
            faces=match.faces,
            quality=match.quality,
            box=match.box,
            captured_at_ns=match.captured_at_ns,
            captured_monotonic_ns=match.captured_monotonic_ns,
            alerted_at_ns=self.clock.utc_ns(),
            alerted_monotonic_ns=now_ns,
            model=self._model,
            evidence=secrets.token_hex(8),
            permit=self._permit,
            basis=self.basis,
        )
        crop = Biometric(match.crop.array.copy(), is_kept=True)
        self._evidence.keep(alert.evidence, crop, match.entry, alert.alerted_at_ns)
        self._delays.add((now_ns - match.captured_monotonic_ns) / 1e9)
        self._alerts += 1
        await self.emit(alert)
        match.erase()

    async def answer(self, request: Any) -> Any:
        """Expire evidence."""
        if isinstance(request, Expire):
            return Receipt(destroyed=self._evidence.expire(request.before_ns))
        return await super().answer(request)

    async def dispose(self, message: Match, reason: str) -> None:  # noqa: ARG002
        """Erase the crop."""
        message.erase()

    def facts(self) -> DeskFacts:
        """Return a snapshot."""
        return DeskFacts(
            alerts=self._alerts, evidence=len(self._evidence), capture_to_alert_ms=self._delays.quantiles()
        )
