"""Whatever people, clocks and crashes do: numbers have no gaps, what is over stays over, and each gets one receipt."""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from governance.deployment.support import HOUR, LIVE, MODEL, PACK, Letters, Site, look, set_clock
from governance.vaults import PEOPLE, Clocks, Force
from lfr_kernel.governance.authority import AuthorityError
from lfr_kernel.governance.deployment.clockwork import confirm_clock
from lfr_kernel.governance.deployment.looking import Tally
from lfr_kernel.governance.deployment.plan import Plan, authorise
from lfr_kernel.governance.deployment.register import Deployment, deployments, end, extended, recall
from lfr_kernel.governance.deployment.wiping import receipt_of, settle
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.lists.entries import new_entry_id
from lfr_kernel.governance.permit import PermitRefusedError
from lfr_kernel.governance.standing import Stage, Standing
from lfr_kernel.testing.fakes import digest_of

if TYPE_CHECKING:
    from lfr_kernel.governance.deployment.governed import Governed

ORDER = list(Stage)
ANY = st.integers(0, 99)


class RegisterMachine(RuleBasedStateMachine):
    """One installation over some hours of a bad week."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        force = Force(PEOPLE, [PACK], Clocks())
        self.vault = force.open(force.found(self.folder / "vault"))
        self.site = Site(self.vault, force, self.folder)
        self.run: Governed | None = None
        self.authorised = 0
        self.stages: dict[int, Stage] = {}

    def on_shift(self, *names: str) -> None:
        """Begin sessions anew: the clocks may have ended or locked the last ones."""
        for name in names:
            self.vault.shifts.destroy(name)
            self.site.signers[name] = self.site.force.session(self.vault, name)

    def plan(self, number: int) -> Plan:
        return self.site.plan(list=self.folder / f"{number}.lfrlist", profile_digest=digest_of(str(number)))

    def any_of(self, which: int) -> Deployment:
        known = deployments(self.vault.database)
        return known[which % len(known)]

    def let_go(self) -> None:
        assert self.run is not None
        self.run.close()
        self.run = None

    @rule(in_min=st.sampled_from([-30, 0, 20]))
    def authorise(self, in_min: int) -> None:
        self.on_shift("ada", "ben", "cem", "fay")
        plan = self.plan(self.authorised + 1)
        begin = self.site.now + dt.timedelta(minutes=in_min)
        self.site.authorise(plan, id=f"EX/{self.authorised + 1}", starts=begin, ends=begin + HOUR)
        self.authorised += 1

    @precondition(lambda self: self.authorised)
    @rule(which=ANY)
    def authorise_again(self, which: int) -> None:
        self.on_shift("ada", "ben", "cem", "fay")
        used = self.any_of(which)
        listed = self.site.a_list(path=self.folder / "again.lfrlist")
        (self.folder / "again.lfrlist").unlink()
        plan = self.plan(0)
        with pytest.raises(AuthorityError, match=f"{used.authority}: cannot authorise it"):
            authorise(self.vault, self.site.signers["ada"], self.site.document(id=used.authority), plan, listed)

    @precondition(lambda self: self.run is None)
    @rule(which=ANY)
    def authorise_and_start(self, which: int) -> None:
        self.authorise(0)
        self.start(-1)
        if self.run is not None and which % 3 == 0:
            self.stop(failed=False)

    @precondition(lambda self: self.authorised)
    @rule(which=ANY)
    def start(self, which: int) -> None:
        self.on_shift("dee")
        number = self.any_of(which).serial
        over = {one.serial for one in deployments(self.vault.database) if one.stage in {Stage.ENDING, Stage.CLOSED}}
        governed = self.site.governed(self.plan(number))
        try:
            governed.issue("authority", LIVE)
            governed.open_list(MODEL, "letters", Letters())
        except (PermitRefusedError, RefusedError):
            governed.close()
            return
        assert self.run is None
        assert number not in over
        self.run = governed

    @precondition(lambda self: self.run)
    @rule(seen=st.integers(0, 2))
    def watch(self, seen: int) -> None:
        """Do as the warden does."""
        assert self.run is not None
        assert self.run.deployment is not None
        serial = self.run.deployment.serial
        found = look(self.run, seen=seen)
        if found.standing is Standing.IN_FORCE and not found.is_ending:
            assert self.site.deployment(serial).stage is Stage.OPEN
        elif found.is_ending or found.standing is Standing.ENDED:
            self.run.begin_end(found.why or "clock", Tally(seen=seen, alerts=0))
            self.run.finish()
            self.let_go()
            assert self.site.deployment(serial).stage is Stage.CLOSED
        else:
            self.run.stopped("stopped", Tally(seen=seen, alerts=0))
            self.let_go()

    @precondition(lambda self: self.run)
    @rule(failed=st.booleans())
    def stop(self, failed: bool) -> None:  # noqa: FBT001  (hypothesis hands it in by name)
        assert self.run is not None
        self.run.stopped("failed" if failed else "stopped", Tally(seen=1, alerts=0), failed)
        self.let_go()

    @precondition(lambda self: self.run)
    @rule()
    def crash(self) -> None:
        self.let_go()

    @precondition(lambda self: self.authorised)
    @rule(which=ANY, why=st.sampled_from(["closed", "revoked"]))
    def close(self, which: int, why: str) -> None:
        self.on_shift("eva")
        one = self.any_of(which)
        refused = one.stage is Stage.CLOSED
        with pytest.raises(AuthorityError, match="never opens again") if refused else contextlib.nullcontext():
            end(self.vault, one.serial, signer=self.site.signers["eva"], why=why)

    @precondition(lambda self: self.authorised)
    @rule(which=ANY)
    def extend(self, which: int) -> None:
        self.on_shift("ada")
        one = self.any_of(which)
        with contextlib.suppress(AuthorityError):
            ends_ns = one.term.ends_ns + 600 * 10**9
            extended(self.vault, self.site.signers["ada"], one.serial, ends_ns=ends_ns, reason="late-start", text="x")
            assert one.stage is Stage.OPEN

    @precondition(lambda self: self.authorised)
    @rule(which=ANY)
    def recall(self, which: int) -> None:
        self.on_shift("cem")
        with contextlib.suppress(RefusedError):
            serial = self.any_of(which).serial
            recall(self.vault, self.site.signers["cem"], serial, new_entry_id(), reason="found", text=None)

    @precondition(lambda self: self.run is None)
    @rule()
    def settle(self) -> None:
        settle(self.vault)
        assert Stage.ENDING not in {one.stage for one in deployments(self.vault.database)}

    @rule(minutes=st.sampled_from([1, 10, 45, 61]))
    def let_time_pass(self, minutes: int) -> None:
        self.site.clocks.pass_(minutes=minutes)

    @rule(minutes=st.sampled_from([-30, -2, 1, 5, 40]), is_synchronised=st.booleans())
    def set_the_clock(self, minutes: int, is_synchronised: bool) -> None:  # noqa: FBT001
        set_clock(self.site.clocks, wall_s=60 * minutes, is_synchronised=is_synchronised)

    @precondition(lambda self: self.run is None)
    @rule(minutes=st.integers(-20, 20))
    def reboot(self, minutes: int) -> None:
        self.site.clocks.reboot()
        self.site.clocks.set_wall(minutes=minutes)

    @rule()
    def confirm(self) -> None:
        self.on_shift("eva")
        with contextlib.suppress(RefusedError):
            confirm_clock(self.vault, self.site.signers["eva"])

    @invariant()
    def numbers_have_no_gaps_and_nothing_goes_back(self) -> None:
        known = deployments(self.vault.database)
        assert [one.serial for one in known] == list(range(1, self.authorised + 1))
        for one in known:
            assert ORDER.index(one.stage) >= ORDER.index(self.stages.get(one.serial, Stage.AUTHORISED))
            self.stages[one.serial] = one.stage
            assert (receipt_of(self.vault, one.serial) is not None) == (one.stage is Stage.CLOSED)
            if one.stage is Stage.CLOSED:
                assert not self.vault.keyring.has(one.keyname)

    def teardown(self) -> None:
        try:
            if self.run is not None:
                self.let_go()
            self.on_shift("eva")
            for one in deployments(self.vault.database):
                if one.stage is not Stage.CLOSED:
                    end(self.vault, one.serial, signer=self.site.signers["eva"], why="closed")
            settle(self.vault)
            for serial in range(1, self.authorised + 1):
                receipt = self.site.receipt(serial)
                assert (receipt.serial, receipt.entries) == (serial, 3)
                assert len(receipt.commitments) == (3 if receipt.opened else 0)
            wiped = Counter(one["facts"]["deployment"] for one in self.site.acts("wiped"))
            assert wiped == Counter(range(1, self.authorised + 1))
            self.site.expect_chain()
        finally:
            self.site.close()
            self.vault.close()
            shutil.rmtree(self.folder)


RegisterMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
TestRegister = RegisterMachine.TestCase
