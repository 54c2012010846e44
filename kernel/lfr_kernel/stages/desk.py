"""The alert desk: makes an alert of a match, and has it kept with what a person needs to decide on it."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from lfr_kernel.messages import Alert, Biometric, Expire, Match, Receipt
from lfr_kernel.runtime import Actor, Consumes, LfrError, Policy
from lfr_kernel.stages.alignment import without
from lfr_kernel.stages.measure import Durations, Quantiles
from lfr_kernel.stages.sink import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["AlertDesk", "DeskFacts", "EvidenceStore", "EvidenceWithheldError", "Keeper"]

EVIDENCE_CAPACITY = 2_000


class EvidenceWithheldError(LfrError, PermissionError):
    """The profile does not let this sink see pictures."""

    is_permanent = True


class Keeper(Protocol):
    """Keeps alerts and their pictures: for good, or for as long as they may be kept."""

    def __len__(self) -> int:
        """How many pairs of pictures are held in memory."""

    async def keep(self, alert: Alert, crop: Biometric, entry: int) -> bool:
        """Keep an alert before anybody hears of it.

        Args:
            alert: to be kept.
            crop: uint8 [H, W, 3] RGB, without the faces of others; the keeper's from now on, also where this fails.
            entry: of the watchlist, whose photograph goes with it.

        Returns:
            Whether it was kept. False: alerts are suspended, and nobody may hear of this one.
        """

    def expire(self, before_ns: int) -> int:
        """Erase the pictures in memory of alerts raised before `before_ns` (UTC); return how many."""


class EvidenceStore:
    """The pictures behind alerts, in memory, bounded; erased when they expire and when the run ends."""

    def __init__(self, listed: Callable[[int], NDArray[np.uint8]]) -> None:
        """Keep evidence. `listed` maps a watchlist entry to its photograph, uint8 [H, W, 3] RGB."""
        self._listed = listed
        self._kept: OrderedDict[str, tuple[int, Biometric, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    async def keep(self, alert: Alert, crop: Biometric, entry: int) -> bool:
        """See `Keeper.keep`; what is in memory is never suspended."""
        self._kept[alert.evidence] = (alert.alerted_at_ns, crop, entry)
        if len(self._kept) > EVIDENCE_CAPACITY:
            self._kept.popitem(last=False)[1][1].erase()
        return True

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
    suspended: int
    """Matches of which no alert was made, since the stop rule has suspended alerts."""
    evidence: int
    """Pairs of pictures in memory."""
    capture_to_alert_ms: Quantiles


class AlertDesk(Actor):
    """Proposes. Deciding is for people."""

    consumes = (Consumes(message=Match, policy=Policy(capacity=64)),)
    produces = (Alert,)

    def __init__(
        self,
        keeper: Keeper,
        *,
        model: str,
        root: str = "",
        permit: str,
        basis: Callable[[], str],
        act_within_s: float | None = None,
    ) -> None:
        """Make alerts.

        Args:
            keeper: keeps them.
            model: SHA-256 of the embedder's weights.
            root: of the sealed watchlist; empty for a folder of photographs.
            permit: which the system runs under.
            basis: returns what the threshold rests on now.
            act_within_s: from the capture to the latest delivery on which anybody may act; None: nobody said.
        """
        super().__init__("desk")
        self._keeper = keeper
        self._model = model
        self._root = root
        self._permit = permit
        self._basis = basis
        self._act_within_ns = None if act_within_s is None else int(act_within_s * 1e9)
        self._alerts = self._suspended = 0
        self._delays = Durations()

    async def handle(self, match: Match) -> None:
        """Raise one alert, unless alerts are suspended: it is kept first, and told of then."""
        now_ns = self.clock.monotonic_ns()
        number = secrets.token_hex(8)
        alert = Alert(
            id=number,
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
            decoded_at_ns=match.decoded_at_ns,
            alerted_at_ns=self.clock.utc_ns(),
            alerted_monotonic_ns=now_ns,
            act_by_ns=None if self._act_within_ns is None else match.captured_at_ns + self._act_within_ns,
            model=self._model,
            list=self._root,
            evidence=number,
            permit=self._permit,
            basis=self._basis(),
        )
        crop = Biometric(without(match.crop.array, match.others), is_kept=True)
        if not await self._keeper.keep(alert, crop, match.entry):
            self._suspended += 1
            match.erase()
            return
        self._delays.add((self.clock.monotonic_ns() - match.captured_monotonic_ns) / 1e9)
        self._alerts += 1
        await self.emit(alert)
        match.erase()

    async def answer(self, request: Any) -> Any:
        """Expire evidence."""
        if isinstance(request, Expire):
            return Receipt(destroyed=self._keeper.expire(request.before_ns))
        return await super().answer(request)

    async def dispose(self, message: Match, reason: str) -> None:  # noqa: ARG002
        """Erase the crop."""
        message.erase()

    def facts(self) -> DeskFacts:
        """Return a snapshot."""
        return DeskFacts(
            alerts=self._alerts,
            suspended=self._suspended,
            evidence=len(self._keeper),
            capture_to_alert_ms=self._delays.quantiles(),
        )
