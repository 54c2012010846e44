"""A run under an authority, from its permit to its end: what the warden asks, and what a session opens."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from typing import TYPE_CHECKING

from msgspec import structs

from lfr_kernel.governance.alerts.keeper import VaultKeeper
from lfr_kernel.governance.alerts.outbox import Outbox
from lfr_kernel.governance.alerts.store import is_suspended
from lfr_kernel.governance.audit.anchors import anchor, deliver_anchors
from lfr_kernel.governance.authority import warnings
from lfr_kernel.governance.deployment.clockwork import confirmation, hold_purges, is_held, known_time, note_time
from lfr_kernel.governance.deployment.custody import destroy_key
from lfr_kernel.governance.deployment.looking import Look, Tally
from lfr_kernel.governance.deployment.opening import Loaded, expect_opener, open_deployment, permit_of, permitted
from lfr_kernel.governance.deployment.register import (
    Deployment,
    counted,
    document_of,
    end,
    find,
    save,
    withdraw,
    withdrawn,
)
from lfr_kernel.governance.deployment.settling import is_taken, lock_of, settle_all
from lfr_kernel.governance.deployment.takeup import Takeup
from lfr_kernel.governance.deployment.wiping import settle, wipe
from lfr_kernel.governance.errors import BusyError, KeyFileError, RefusedError, SealError, SignatureError
from lfr_kernel.governance.instant import remember
from lfr_kernel.governance.people.statements import moment
from lfr_kernel.governance.standing import Stage, Standing, due_warning, remaining_s, stand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lfr_kernel.governance.audit.anchors import AnchorSink
    from lfr_kernel.governance.basis import Basis, Coverage
    from lfr_kernel.governance.deployment.opening import Opener
    from lfr_kernel.governance.deployment.plan import Plan
    from lfr_kernel.governance.deployment.takeup import News
    from lfr_kernel.governance.instant import Instant
    from lfr_kernel.governance.lists.opened import OpenedList
    from lfr_kernel.governance.permit import Permit, PermitKind
    from lfr_kernel.governance.vault import Vault
    from lfr_kernel.runtime import Lane
    from lfr_kernel.stages.camera import StillCodec

__all__ = ["Governed"]

LOCK_WAIT_S = 5.0
"""How long a start waits for a command that is finishing a wipe."""
NOTE_TIME_NS = 5_000_000_000
"""How often the time is written down while nothing else is."""


class Governed:
    """One run under an authority. Every method blocks and is called on one lane."""

    def __init__(self, vault: Vault, plan: Plan, opener: Opener) -> None:
        """Prepare; nothing is opened yet."""
        self.plan = plan
        self.deployment: Deployment | None = None
        self.warnings: tuple[str, ...] = ()
        """What every report of this run has to say of its authority."""
        self.listed: OpenedList | None = None
        self.anchors: Mapping[str, AnchorSink] = {}
        """Where anchors go, by name."""
        self.cited: Coverage | None = None
        """What the cited report covers; set before the list is opened, as the next one is."""
        self.detector: str | None = None
        """SHA-256 of the detector's weights."""
        self._takeup = Takeup(vault, plan)
        self._vault = vault
        self._opener = opener
        self._lock = lock_of(vault)
        self._known: set[str] = set()
        """Withdrawn entries that a look has told of: the first one tells of all, so that none is missed."""
        self._version: int | None = None
        self._last: Instant | None = None
        self._confirmed = 0
        """The entry by which somebody confirmed the clock, from where `_last` counts."""
        self._noted_ns = 0
        self._anchored_ns = 0
        self._before = Tally(seen=0, alerts=0)
        self._basis: Basis | None = None
        """What was last written down of it."""
        self._reader = ""
        self._stills: StillCodec | None = None
        self._holds_purges = threading.Event()
        self._delivering = threading.Lock()

    @property
    def holds_purges(self) -> bool:
        """Whether nothing may be deleted because of its age: the clock was set forward. May be asked on any thread."""
        return self._holds_purges.is_set()

    @property
    def threshold(self) -> float:
        """The threshold that the index has, or is to start with."""
        return self._takeup.threshold

    @property
    def _open_deployment(self) -> Deployment:
        if self.deployment is None:
            raise RuntimeError("nothing was permitted yet")
        return self.deployment

    def issue(self, kind: PermitKind, paces: Mapping[str, str]) -> Permit:
        """Return the permit; see `PermitIssuer`. What is over on this vault is ended and wiped first.

        Raises:
            PermitRefusedError, PackError, RefusedError: nothing may capture, or nobody is there who may open the list.
            KeyFileError, SealError: the key of a deployment that is open is gone, or cannot be read.
            AuditError: the audit cannot be written.
        """
        del kind
        if not self._lock.is_locked:
            if not is_taken(self._lock, wait_s=LOCK_WAIT_S):
                raise RefusedError(
                    f"another kernel runs on vault {self._vault.folder}, or a command is wiping there: one at a time; "
                    "end the other first"
                )
            settle_all(self._vault)
        self.deployment = permitted(self._vault, self.plan, paces)
        expect_opener(self._vault, self.deployment, self._opener)
        self.warnings = warnings(document_of(self._vault, self.deployment))
        return permit_of(self.deployment, self.plan)

    def open_list(self, model: str, reader: str, stills: StillCodec) -> OpenedList:
        """Open the list; see `open_deployment`.

        Args:
            model: SHA-256 of the embedder's weights.
            reader: name of the camera plugin whose `stills` these are.
            stills: packs and unpacks pictures.
        """
        self._reader, self._stills = reader, stills
        serial = self._open_deployment.serial
        # Before the list is read: what is recalled while it is counts as news at the first look.
        self._known = set(withdrawn(self._vault.database, self._open_deployment.list))
        loaded = Loaded(threshold=self._takeup.start(self._open_deployment), detector=self.detector, cited=self.cited)
        self.listed = open_deployment(
            self._vault, self.plan, serial, self._opener, model=model, loaded=loaded, stills=stills
        )
        self._takeup.loaded = loaded
        self.deployment = find(self._vault.database, serial)
        self._before = Tally(seen=self.deployment.seen, alerts=self.deployment.alerts, lost=self.deployment.lost)
        self._confirmed, self._last = confirmation(self._vault.database), known_time(self._vault.database)
        self._anchored_ns = self._vault.clocks().boot_ns
        if is_held(self._vault.database):
            self._holds_purges.set()
        return self.listed

    def keeper(self, lane: Lane, *, shorter_s: Callable[[], tuple[float, float]], sinks: Sequence[str]) -> VaultKeeper:
        """Return what keeps the alerts of this run; takes what `VaultKeeper` does."""
        if self.listed is None or self._stills is None:
            raise RuntimeError("no list was opened yet")
        return VaultKeeper(
            self._vault,
            self._open_deployment.serial,
            lane,
            listed=self.listed,
            reader=self._reader,
            stills=self._stills,
            handling=self._open_deployment.authorisation.handling,
            shorter_s=shorter_s,
            sinks=sinks,
        )

    def outbox(self, sink: str) -> Outbox:
        """Return what a sink has yet to be given of this deployment."""
        return Outbox(self._vault, self._open_deployment.serial, sink)

    def look(self, tally: Tally, basis: Basis | None = None) -> Look:
        """Look at the clocks and at what others have written, and write down what is due.

        Args:
            tally: what this run has counted so far.
            basis: what the threshold rests on, with every departure that there was; None: nobody said.

        Raises:
            AuditError: the audit cannot be written: then nothing may capture.
        """
        vault, rules = self._vault, self.plan.pack.rules
        # Read once: what somebody commits after that is news at the next look.
        version = vault.database.data_version()
        is_changed = version != self._version
        deployment, now = self._refreshed(version), vault.clocks()
        standing = stand(deployment.term, now, self._last, tolerance_s=rules.clock_tolerance_s)
        is_ending = deployment.stage is not Stage.OPEN
        warning = due_warning(deployment.term, now, deployment.warned)
        expired = self._expired(remember(self._last, now, tolerance_s=rules.clock_tolerance_s))
        is_due = now.boot_ns - self._noted_ns >= NOTE_TIME_NS
        is_anchor_due = now.boot_ns - self._anchored_ns >= rules.anchor_every_min * 60e9
        is_news = standing is Standing.CLOCK_JUMPED or warning is not None or bool(expired) or is_due or is_anchor_due
        # What is over is only wiped: an audit that cannot be written must not keep the key from being destroyed.
        goes_on = not is_ending and standing is not Standing.ENDED
        if is_news and goes_on:
            self._write(deployment, now, standing, warning=warning, expired=expired, tally=tally, anchors=is_anchor_due)
        if basis is not None and basis != self._basis and goes_on:
            self._note_basis(basis)
        if (is_due or is_changed) and goes_on:
            self._settle_others()
        if is_changed and goes_on:
            self._takeup.look(deployment, self.listed)
        found = withdrawn(vault.database, deployment.list)
        news = tuple(entry for entry in found if entry not in self._known)
        self._known.update(news)
        return Look(
            deployment=deployment.serial,
            standing=standing,
            is_ending=is_ending,
            why=deployment.why,
            withdrawn=news,
            warning_min=warning,
            remaining_s=remaining_s(deployment.term, now),
            is_suspended=is_suspended(vault.database, deployment.serial),
            threshold=self._takeup.news,
        )

    def took_up(self, news: News) -> None:
        """Write down that the index has a threshold that was changed.

        Raises:
            AuditError: it cannot be written.
        """
        self._takeup.took_up(self._open_deployment, news)

    def _note_basis(self, basis: Basis) -> None:
        facts = {
            "deployment": self._open_deployment.serial,
            "state": basis.state,
            "report": basis.report,
            "report_class": basis.report_class,
            "reasons": basis.reasons,
        }
        with self._vault.database.transaction() as transaction:
            self._vault.act(transaction, "basis_judged", by=self._vault.signer, facts=facts)
        self._basis = basis

    def _settle_others(self) -> None:
        """Purge what is too old, and wipe the lists of other deployments that are over.

        While this run holds the lock, nobody else does.
        """
        # What is left is tried again at the next look that is due; an audit that cannot be written ends the run.
        with contextlib.suppress(KeyFileError, RefusedError, SealError, SignatureError, BusyError):
            settle_all(self._vault, but=self._open_deployment.serial, last=self._last)

    def _refreshed(self, version: int) -> Deployment:
        """Return the deployment as the register has it now, read again if somebody else has written since."""
        if version != self._version:
            self._version = version
            self.deployment = find(self._vault.database, self._open_deployment.serial)
            self._heed_confirmation()
        return self._open_deployment

    def _heed_confirmation(self) -> None:
        """Let the time that somebody has confirmed meanwhile count, in place of what this run took for certain."""
        confirmed = confirmation(self._vault.database)
        if confirmed != self._confirmed:
            self._confirmed, self._last = confirmed, known_time(self._vault.database)

    def _expired(self, known: Instant) -> list[str]:
        """Return the entries that have expired: not by a clock that jumped, and no later by one that was set back."""
        listed = self.listed
        if listed is None or listed.next_expiry is None:
            return []
        return [entry for entry in listed.expired(moment(known.utc_ns)) if entry not in self._known]

    def _write(
        self,
        deployment: Deployment,
        now: Instant,
        standing: Standing,
        *,
        warning: int | None,
        expired: list[str],
        tally: Tally,
        anchors: bool,
    ) -> None:
        vault = self._vault
        with vault.database.transaction() as transaction:
            found = find(vault.database, deployment.serial)
            if warning is not None:
                found = structs.replace(found, warned=(*found.warned, warning))
                facts = {"deployment": found.serial, "minutes": warning}
                vault.act(transaction, "end_is_near", by=vault.signer, facts=facts)
            for entry in expired:
                if withdraw(transaction, found.list, entry):
                    of: dict[str, int | str] = {"deployment": found.serial, "entry": entry}
                    vault.act(transaction, "entry_expired", by=vault.signer, facts=of)
            if standing is Standing.CLOCK_JUMPED and hold_purges(transaction):
                vault.act(transaction, "clock_jumped", by=vault.signer, facts={"deployment": found.serial})
            if anchors:
                anchor(transaction, vault.keyring, vault.installation.installation)
            found = self._counted(found, tally)
            save(transaction, found)
            tolerance_s = self.plan.pack.rules.clock_tolerance_s
            self._heed_confirmation()  # one that came since this look began would be lost under what is noted here
            self._last = note_time(transaction, self._last, now, tolerance_s=tolerance_s)
        self.deployment = found
        self._noted_ns = now.boot_ns
        if anchors:
            self._anchored_ns = now.boot_ns
        if standing is Standing.CLOCK_JUMPED:
            self._holds_purges.set()

    def stopped(self, why: str, tally: Tally, failed: bool = False) -> None:  # noqa: FBT001, FBT002  (called on a lane)
        """Write down that this run captures no more, once index and memory are cleared.

        The deployment stays open, unless it was ended while the run stopped: then it is wiped here.

        Args:
            why: a code.
            tally: what the run has counted.
            failed: whether it failed.

        Raises:
            AuditError: it cannot be written down; of what was ended the key is destroyed all the same.
        """
        try:
            if self.listed is not None:
                self._note_stop(why, tally, failed=failed)
        finally:
            settle(self._vault)

    def _note_stop(self, why: str, tally: Tally, *, failed: bool) -> None:
        vault, serial = self._vault, self._open_deployment.serial
        with vault.database.transaction() as transaction:
            found = self._counted(find(vault.database, serial), tally)
            save(transaction, structs.replace(found, is_capturing=False, has_failed=failed))
            facts = {
                "deployment": serial,
                "failed": failed,
                "passages_seen": tally.seen,
                "alerts": tally.alerts,
                "lost": tally.lost,
            }
            vault.act(transaction, "capture_stopped", by=vault.signer, facts=facts, reason=why)

    def _counted(self, deployment: Deployment, tally: Tally) -> Deployment:
        before = self._before
        return counted(
            deployment,
            seen=before.seen + tally.seen,
            alerts=before.alerts + tally.alerts,
            lost=Counter(before.lost) + Counter(tally.lost),
        )

    def begin_end(self, why: str, tally: Tally) -> None:
        """Begin the end: the key first, whatever becomes of the rest."""
        deployment = self._open_deployment
        destroy_key(self._vault, deployment)
        self._note_stop(why, tally, failed=False)
        end(self._vault, deployment.serial, signer=None, why=why)

    def finish(self) -> None:
        """Finish the wipe, once index and memory are cleared.

        Raises:
            AuditError: the database cannot be written; it is finished at the next start.
        """
        for _ in wipe(self._vault, self._open_deployment.serial):
            pass

    def settle(self) -> None:
        """Finish what an end that failed has left, as the next start would.

        Raises:
            AuditError, KeyFileError: it cannot be finished now.
        """
        settle(self._vault)

    def deliver(self) -> list[str]:
        """Let anchors that wait leave the machine; see `deliver_anchors`. May be called on another lane."""
        if not self._delivering.acquire(blocking=False):
            return ["an anchor sink has not returned from the call before"]
        try:
            return deliver_anchors(self._vault.database, self.anchors)
        finally:
            self._delivering.release()

    def close(self) -> None:
        """Let go of list and vault. Twice is harmless."""
        if self.listed is not None:
            self.listed.erase()
        self._lock.release()
        self._vault.close()
