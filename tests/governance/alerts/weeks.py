"""One installation over some weeks: one deployment after another, clocks that are set, and what that makes certain.

What is known to have happened is kept beside it, in `told`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec import structs

from governance.alerts.conftest import OPERATORS
from governance.alerts.naive import SECOND_NS, Mode, Told
from governance.deployment.support import LIVE, MODEL, PACK, Letters, Site, pack_with, set_clock
from governance.deployment.support import look as watch
from governance.lists.support import a_row
from governance.vaults import PEOPLE, Clocks, Force
from lfr_kernel.governance.alerts.store import listed
from lfr_kernel.governance.deployment.governed import Governed, Tally
from lfr_kernel.governance.deployment.register import deployments, end
from lfr_kernel.governance.deployment.wiping import settle
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.permit import PermitRefusedError
from lfr_kernel.governance.standing import Stage, Standing
from lfr_kernel.testing import InlineLane
from lfr_kernel.testing.fakes import an_alert, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY_S = 86_400
LONG, SHORT = (4.0 * DAY_S, 1.0 * DAY_S), (0.5 * DAY_S, 0.25 * DAY_S)
"""How long an alert and its pictures are kept, in seconds."""
TEXT_DAYS = 6
STOP_FALSE, STOP_PER_FACE = 2, 0.5
TOLERANCE_S = 10
GROUPS = ("", "under_18", "vulnerable")
"""Of the rows of a list."""


class Weeks:
    """The installation and what was told of its alerts; `run` is the kernel that captures, if one does."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        force = Force({**PEOPLE, **OPERATORS}, [PACK], Clocks())
        self.vault = force.open(force.found(self.folder / "vault"))
        self.site = Site(self.vault, force, self.folder)
        self.clocks = self.site.clocks
        self.run: Governed | None = None
        self.modes: list[Mode] = []
        self.told: list[Told] = []
        self.suspended: set[int] = set()
        """Deployments."""
        self.publics: dict[str, set[bytes]] = {}
        """Keys of sessions, by whose they are."""
        self.certain_ns = self.noted_ns = self.clocks.now.utc_ns
        """The latest time that is certain to have come: by the chain, and by what a kernel wrote down as it looked."""
        self.on_shift()

    def clear(self) -> None:
        self.site.close()
        self.vault.close()
        shutil.rmtree(self.folder)

    def on_shift(self) -> None:
        """Begin sessions anew: the clocks may have ended or locked the last ones."""
        for name in self.site.force.people:
            self.vault.shifts.destroy(name)
            signer = self.site.signers[name] = self.site.force.session(self.vault, name)
            self.publics.setdefault(signer.name, set()).add(signer.public)

    # Clocks.

    @property
    def now_ns(self) -> int:
        return self.clocks.now.utc_ns

    @property
    def has_jumped(self) -> bool:
        return not self.clocks.now.is_synchronised and self.now_ns - self.certain_ns > TOLERANCE_S * SECOND_NS

    def pass_(self, minutes: float) -> None:
        before_ns = self.clocks.now.boot_ns
        self.clocks.pass_(minutes=minutes)
        passed_ns = self.clocks.now.boot_ns - before_ns
        self.certain_ns += passed_ns
        self.noted_ns += passed_ns
        self.on_shift()

    def set(self, minutes: int, *, is_synchronised: bool) -> None:
        """Set the wall clock; the sessions that begin then put it into the chain."""
        set_clock(self.clocks, wall_s=60 * minutes, is_synchronised=is_synchronised)
        if not self.has_jumped:
            self.certain_ns = max(self.certain_ns, self.now_ns)
        self.on_shift()

    # Deployments.

    def open(self, mode: Mode) -> None:
        """Authorise another deployment and run it, if the clocks allow."""
        number = len(self.modes) + 1
        self.modes.append(mode)
        expires, of = self.site.now + dt.timedelta(days=2), "an assistant chief constable"
        self.site.rows = [
            a_row("ada", 1, expires=expires),
            a_row("bob", 2, expires=expires, under_18=True, higher_authority=of),
            a_row("cyd", 3, expires=expires, vulnerable=True, higher_authority=of),
        ]
        plan = self.site.plan(
            loaded=pack_with(
                assessors=mode[0],
                on_disagreement=mode[1],
                text_days=TEXT_DAYS,
                stop_min_false=STOP_FALSE,
                stop_false_per_face=STOP_PER_FACE,
            ),
            list=self.folder / f"{number}.lfrlist",
            profile_digest=digest_of(str(number)),
        )
        ends = self.site.now + dt.timedelta(hours=10)
        self.site.authorise(plan, id=f"EX/{number}", starts=self.site.now, ends=ends)
        governed = self.site.governed(plan)
        with self.purging():
            try:
                governed.issue("authority", LIVE)
                governed.open_list(MODEL, "letters", Letters())
            except (PermitRefusedError, RefusedError):
                governed.close()
                self.end("closed")
                return
            self.run = governed
            self.noted_ns = self.certain_ns
            watch(governed)

    def end(self, why: str) -> None:
        """End whatever deployment is not over, and whatever runs."""
        if self.run is not None:
            self.run.close()
            self.run = None
        for one in deployments(self.vault.database):
            if one.stage is not Stage.CLOSED:
                end(self.vault, one.serial, signer=self.site.signers["eva"], why=why)
        settle(self.vault)

    def watch(self, seen: int) -> None:
        """Do as the warden does, some seconds after it last did."""
        assert self.run is not None
        self.pass_(0.1)
        tally = Tally(seen=seen, alerts=0)
        with self.purging():
            found = watch(self.run, seen=seen)
            if found.standing is Standing.IN_FORCE and not found.is_ending:
                self.noted_ns = max(self.noted_ns, self.now_ns)
                assert found.is_suspended == (len(self.modes) in self.suspended)
                return
            if found.standing is Standing.ENDED:
                self.run.begin_end("clock", tally)
                self.run.finish()
            else:
                self.run.stopped("stopped", tally)
            self.end("closed")

    # Alerts.

    def plant(self, row: int, camera: str, late_s: int, lives_s: tuple[float, float]) -> None:
        """Raise an alert on a row of the list, as the desk does, and once more: the second time it is there."""
        assert self.run is not None
        assert self.run.listed is not None
        serial = len(self.modes)
        alert = structs.replace(
            an_alert(len(self.told) + 1),
            camera=camera,
            captured_at_ns=self.now_ns - SECOND_NS,
            alerted_at_ns=self.now_ns,
            act_by_ns=self.now_ns - late_s * SECOND_NS,
        )
        keeper = self.run.keeper(InlineLane(), shorter_s=lambda: lives_s, sinks=("case",))
        probe = keeper._stills.encode(np.full((2, 2, 3), 7, np.uint8))
        if serial in self.suspended:
            with self.unchanged():
                assert not keeper._keep(alert, probe, row)
            return
        assert keeper._keep(alert, probe, row)
        with self.unchanged():
            assert keeper._keep(alert, probe, row)
        group = GROUPS[row] if self.run.listed._by_row[row] else None
        self.told.append(Told(alert.id, serial, self.modes[-1], group, self.now_ns, alert.act_by_ns or 0))

    def falsely(self, serial: int) -> int:
        """How many alerts of a deployment somebody says were false."""
        return sum(one.is_false for one in self.told if one.serial == serial)

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        before = self.vault.database.head()
        yield
        assert self.vault.database.head() == before

    @contextlib.contextmanager
    def purging(self) -> Iterator[None]:
        """See that nothing goes that is not too old for certain, and believe of the rest that it is gone."""
        due = {one.id: one.expires_s * SECOND_NS for one in listed(self.vault.database)}
        pictures = dict(self.vault.database.query("SELECT alert, expires_s FROM pictures"))
        yield
        left = {one.id for one in listed(self.vault.database)}
        seen = {one for (one,) in self.vault.database.query("SELECT alert FROM pictures")}
        assert left <= due.keys()
        for one in self.told:
            if one.id in due.keys() - left:
                assert due[one.id] <= self.certain_ns
                one.is_gone = True
        for alert in pictures.keys() - seen:
            assert pictures[alert] * SECOND_NS <= min(self.certain_ns, due[alert])
