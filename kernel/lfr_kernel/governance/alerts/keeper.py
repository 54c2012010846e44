"""Keeps alerts of a deployment in its vault: an alert that anybody hears of is on the disk, and survives anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfr_kernel.governance.alerts.custody import expiry_s
from lfr_kernel.governance.alerts.statements import Pictures, Proposal
from lfr_kernel.governance.alerts.store import find, keep, pictures_of
from lfr_kernel.governance.answering import answered
from lfr_kernel.governance.errors import RefusedError, SealError
from lfr_kernel.governance.lists.framing import ListFileError
from lfr_kernel.stages.sink import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lfr_kernel.governance.alerts.handling import Handling
    from lfr_kernel.governance.lists.opened import OpenedList
    from lfr_kernel.governance.vault import Vault
    from lfr_kernel.messages import Alert, Biometric
    from lfr_kernel.runtime import Lane
    from lfr_kernel.stages.camera import StillCodec

__all__ = ["VaultKeeper"]


class VaultKeeper:
    """See `lfr_kernel.stages.desk.Keeper`. It holds no picture in memory."""

    def __init__(
        self,
        vault: Vault,
        serial: int,
        lane: Lane,
        *,
        listed: OpenedList,
        reader: str,
        stills: StillCodec,
        handling: Handling,
        shorter_s: Callable[[], tuple[float, float]],
        sinks: Sequence[str],
    ) -> None:
        """Keep alerts of one deployment.

        Args:
            vault: the installation's.
            serial: of the deployment.
            lane: the vault's own.
            listed: the list in memory.
            reader: name of the camera plugin whose `stills` these are.
            stills: packs and unpacks pictures.
            handling: of its alerts.
            shorter_s: returns how long an alert and its pictures are to be kept, where that is shorter; in seconds.
            sinks: names of those that get every alert.
        """
        self._vault = vault
        self._serial = serial
        self._lane = lane
        self._listed = listed
        self._reader = reader
        self._stills = stills
        self._handling = handling
        self._shorter_s = shorter_s
        self._sinks = tuple(sinks)

    def __len__(self) -> int:
        return 0

    async def keep(self, alert: Alert, crop: Biometric, entry: int) -> bool:
        """See `Keeper.keep`.

        Raises:
            AuditError: it cannot be written, or not in time: then nobody hears of it, and the run ends.
        """
        try:
            # A call of its own: cancelled, it may read a crop that is being erased, and nothing of it is kept.
            probe = await answered(self._lane, self._stills.encode, crop.array)
        finally:
            crop.erase()
        return await answered(self._lane, self._keep, alert, probe, entry)

    def _keep(self, alert: Alert, probe: bytes, entry: int) -> bool:
        try:
            row = self._listed.shown(entry)
        except (KeyError, ListFileError, SealError):
            row = None  # withdrawn, or the list erased, a moment ago; the person who decides is told so
        pictures = Pictures(
            reader=self._reader,
            probe=probe,
            listed=None if row is None else row.portrait,
        )
        alert_s, evidence_s = self._shorter_s()
        expires_s = expiry_s(alert.alerted_at_ns, min(alert_s, self._handling.alert_s))
        pictures_s = expiry_s(alert.alerted_at_ns, min(evidence_s, self._handling.evidence_s))
        return keep(
            self._vault,
            self._serial,
            Proposal(alert=alert, about=None if row is None else row.about),
            pictures,
            expires=(expires_s, pictures_s),
            sinks=self._sinks,
        )

    def expire(self, before_ns: int) -> int:  # noqa: ARG002  (the purge destroys their keys)
        """Nothing is held in memory."""
        return 0

    def show(self, reference: str) -> Evidence:
        """Return both pictures of an alert, for a sink that may see them. Blocks.

        Raises:
            KeyError: they are not there any more.
        """
        try:
            pictures = pictures_of(self._vault, find(self._vault.database, reference))
        except RefusedError:
            pictures = None
        if pictures is None or pictures.listed is None:
            raise KeyError(reference)
        return Evidence(probe=self._stills.decode(pictures.probe), listed=self._stills.decode(pictures.listed))
