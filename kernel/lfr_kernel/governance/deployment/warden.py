"""The warden: looks at clocks and register four times a second, takes entries off the list, and ends what is over."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio

from lfr_kernel.governance.answering import WRITE_S, answered
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.permit import PermitRefusedError
from lfr_kernel.governance.standing import Standing
from lfr_kernel.messages import Biometric, Recall, Relist, SetThreshold, Wipe
from lfr_kernel.runtime import Actor, ActorError, ActorStopped, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lfr_kernel.governance.basis import Basis
    from lfr_kernel.governance.deployment.governed import Governed
    from lfr_kernel.governance.deployment.looking import Look, Tally
    from lfr_kernel.governance.deployment.takeup import News
    from lfr_kernel.governance.lists.opened import OpenedList, Withdrawal
    from lfr_kernel.runtime import Address, Lane

__all__ = ["Warden"]

LOOK_S = 0.25
ASK_S = 5.0
MOST_SINGLE = 16
"""Entries that are taken off the index one by one; more, and it loads the list anew, which takes no longer."""


class Warden(Actor):
    """Watches over a run under an authority.

    At the end of the authority, by either clock or by somebody's act, capture stops and the list is wiped at once: the
    key first, then index and memory, whatever else is still under way. An audit that cannot be written stops the run.
    """

    tick_s = LOOK_S

    def __init__(
        self,
        governed: Governed,
        listed: OpenedList,
        lane: Lane,
        *,
        tally: Callable[[], Tally],
        basis: Callable[[], Basis],
        stop: Callable[[str], None],
        log: Callable[..., None],
    ) -> None:
        """Watch over one run.

        Args:
            governed: what is run.
            listed: the list in memory.
            lane: the vault's own.
            tally: returns what was counted so far.
            basis: returns what the threshold rests on, with every departure that there was so far.
            stop: begins to stop the run.
            log: gets an event and facts.
        """
        super().__init__("warden")
        self.index: Address
        """Set when the system is wired."""
        self.rests_on: Callable[[float], None] = lambda _: None
        """Told a threshold once the index has it: the session's, to say what that rests on."""
        self.is_over = False
        """Whether the deployment has ended: there is nothing left to watch over."""
        self.is_wiped = False
        """Whether its list was wiped, to the last step."""
        self.remaining_s: float | None = None
        """Seconds to the end, as of the last look; None before the first."""
        self.is_suspended = False
        """Whether the stop rule lets no alert out, as of the last look."""
        self._has_begun = False
        self._is_stopping = False
        self._governed = governed
        self._listed = listed
        self._lane = lane
        self._tally = tally
        self._basis = basis
        self._stop = stop
        self._log = log

    async def setup(self) -> None:
        """Look once more before anything captures: loading takes a while. A restart leaves that to the next look.

        Raises:
            PermitRefusedError: the authority is not in force any more, or was ended meanwhile.
        """
        if self._has_begun:
            return
        look = await self._look()
        if look.is_ending or look.standing is not Standing.IN_FORCE:
            raise PermitRefusedError(
                f"the authority is in force no more ({look.why or look.standing.value}): nothing was captured"
            )
        for entry in look.withdrawn:
            self._taken_off(entry)  # the index has not loaded the list yet
        self._has_begun = True

    async def tick(self) -> None:
        """Look, and do what is due."""
        if self.is_over:
            return
        look = await self._look()
        if look.is_ending or look.standing is Standing.ENDED:
            await self._end(look)
            return
        if len(look.withdrawn) > MOST_SINGLE:
            self._withdraw_all(look.withdrawn)
        else:
            for entry in look.withdrawn:
                await self._withdraw(entry)
        if look.threshold is not None:
            await self._take_up(look.deployment, look.threshold)
        if look.warning_min is not None:
            self._log(
                "authority_ends_soon",
                minutes=look.warning_min,
                remaining_s=round(look.remaining_s),
                to_extend=f"lfr-kernel authority extend {look.deployment} --until ...",
            )
        if look.standing is not Standing.IN_FORCE and not self._is_stopping:
            self._is_stopping = True
            self._log("capture_stopped", why=look.standing.value)
            self._stop(look.standing.value)

    async def _look(self) -> Look:
        look = await answered(self._lane, self._governed.look, self._tally(), self._basis())
        self.remaining_s = look.remaining_s
        if look.is_suspended != self.is_suspended:
            self.is_suspended = look.is_suspended
            more = {"to_resume": f"lfr-kernel alerts resume {look.deployment}"} if look.is_suspended else {}
            self._log("alerts_suspended" if look.is_suspended else "alerts_resumed", **more)
        return look

    def _taken_off(self, entry: str) -> Withdrawal | None:
        """Take an entry off the list in memory; None if it was left out at the opening, or is none of this list's."""
        try:
            return self._listed.withdraw(entry)
        except RefusedError:
            return None

    def _withdraw_all(self, entries: Sequence[str]) -> None:
        """Take many entries off at once, as when a day ends: the index loads what is left of the list anew."""
        for entry in entries:
            self._taken_off(entry)
        self.index.restart()
        self._log("entries_withdrawn", entries=len(entries))

    async def _withdraw(self, entry: str) -> None:
        withdrawal = self._taken_off(entry)
        if withdrawal is None:
            self._log("entry_not_in_force", entry=entry)
            return
        change = self._change(withdrawal)
        try:
            await self.index.ask(change, deadline_s=ASK_S)
        except ActorError as error:
            # It loads the list anew when it starts, and the list no longer has the entry.
            self._log("index_restarted", why=describe(error))
            self.index.restart()
        finally:
            if isinstance(change, Relist):
                change.erase()
        self._log("entry_withdrawn", entry=entry, is_listed_still=withdrawal.is_listed)

    def _change(self, withdrawal: Withdrawal) -> Recall | Relist:
        if not withdrawal.is_listed:
            return Recall(person=withdrawal.person)
        template = self._listed.templates.array[withdrawal.row].copy()
        return Relist(person=withdrawal.person, template=Biometric(template, is_kept=True))

    async def _take_up(self, deployment: int, news: News) -> None:
        """Let the index have a threshold that two people changed, and write down that it has."""
        change, is_refused = news.change, bool(news.refused)
        if not is_refused:
            try:
                await self.index.ask(SetThreshold(threshold=change.threshold), deadline_s=ASK_S)
            except ActorError as error:
                # The next look finds it again.
                self._log("threshold_not_taken_up", deployment=deployment, why=describe(error))
                return
        await answered(self._lane, self._governed.took_up, news)
        if is_refused:
            self._log("threshold_refused", deployment=deployment, threshold=change.threshold, why=list(news.refused))
            return
        self.rests_on(change.threshold)
        self._log(
            "threshold_changed",
            deployment=deployment,
            was=news.was,
            threshold=change.threshold,
            reason=change.reason,
            entry=change.entry,
        )

    async def _end(self, look: Look) -> None:
        """Stop capture and wipe. Nothing cuts this short; a crash does, and the next start finishes it."""
        self.is_over = True
        why = look.why or "clock"
        self._stop("authority_ended")
        with anyio.CancelScope(shield=True):
            try:
                await self._lane.run(self._governed.begin_end, why, self._tally(), deadline_s=WRITE_S)
            finally:
                await self._clear()
            await self._lane.run(self._governed.finish, deadline_s=math.inf)
        self.is_wiped = True
        self._log("list_wiped", why=why)

    async def _clear(self) -> None:
        self._listed.erase()
        try:
            await self.index.ask(Wipe(), deadline_s=ASK_S)
        except ActorStopped:
            pass  # the run is stopping, and the index was faster: its own teardown has erased what it held
        except ActorError as error:
            # It has no list to load any more.
            self._log("index_restarted", why=describe(error))
            self.index.restart()
