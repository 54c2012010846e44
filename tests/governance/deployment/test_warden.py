"""The warden at work: recalls within a second, warnings, and an end that nothing cuts short."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from governance.deployment.support import HOUR, set_clock
from governance.deployment.test_threshold import changed
from governance.lists.support import DIMENSION, MODEL, a_row, a_template
from lfr_kernel.governance.answering import WRITE_S
from lfr_kernel.governance.basis import NO_REPORT
from lfr_kernel.governance.deployment.looking import Tally
from lfr_kernel.governance.deployment.register import end, extended, recall
from lfr_kernel.governance.deployment.warden import ASK_S, MOST_SINGLE, Warden
from lfr_kernel.governance.deployment.wiping import folder_of, settle
from lfr_kernel.governance.standing import Ending, Stage
from lfr_kernel.messages import Recall, Receipt, Relist, SetThreshold, Wipe
from lfr_kernel.runtime import ActorError, ActorFailed, ActorStopped
from lfr_kernel.stages.gallery import Gallery
from lfr_kernel.stages.index import IndexHost
from lfr_kernel.testing import InlineLane, VirtualClock, run_actor
from lfr_kernel.testing.fakes import NumpyIndex

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import numpy as np

    from governance.deployment.support import Site
    from lfr_kernel.governance.deployment.governed import Governed
    from lfr_kernel.testing import ActorRun

pytestmark = pytest.mark.anyio


class Index:
    """Stands for the index's address: keeps what it is asked, and answers as the test wants."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.restarts = 0
        self.answer: Callable[[Any], Any] = lambda _: Receipt(destroyed=1)
        self.waits: Callable[[], Any] | None = None

    async def ask(self, request: Any, *, deadline_s: float) -> Any:
        assert deadline_s == ASK_S
        if self.waits is not None:
            await self.waits()
        self.asked.append(request)
        return self.answer(request)

    def restart(self) -> None:
        self.restarts += 1


class Watch:
    """A warden over a run, and everything that it told somebody."""

    def __init__(self, site: Site, governed: Governed, lane: InlineLane | None = None) -> None:
        assert governed.listed is not None
        self.site = site
        self.clock = VirtualClock()
        self.governed = governed
        self.listed = governed.listed
        self.stopped: list[str] = []
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.index = Index()
        self.warden = Warden(
            governed,
            governed.listed,
            lane or InlineLane(),
            tally=lambda: Tally(seen=4, alerts=1),
            basis=lambda: NO_REPORT,
            stop=self.stopped.append,
            log=lambda event, **facts: self.logged.append((event, facts)),
        )
        self.warden.index = self.index  # type: ignore[assignment]

    @property
    def key(self) -> Path:
        return self.site.vault.keyring.folder / "deployment-000001.key"

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.logged]

    @asynccontextmanager
    async def on_watch(self) -> AsyncIterator[ActorRun]:
        async with run_actor(self.warden, clock=self.clock) as run:
            yield run


def entry_of(site: Site, number: int) -> str:
    return site.rows[number].about.entry


def take_off(site: Site, number: int) -> str:
    recall(site.vault, site.signers["ben"], 1, entry_of(site, number), reason="found", text=None)
    return entry_of(site, number)


async def test_whoever_has_no_entry_left_is_recalled(site: Site) -> None:
    watch = Watch(site, site.running())
    async with watch.on_watch():
        entry = take_off(site, 2)
        await watch.clock.advance(0.5)
    assert watch.index.asked == [Recall(person="bob")]
    assert watch.logged == [("entry_withdrawn", {"entry": entry, "is_listed_still": False})]
    assert len(watch.listed) == 1


async def test_whoever_has_another_entry_is_listed_by_that_and_the_copy_is_erased(site: Site) -> None:
    watch = Watch(site, site.running())
    templates = []
    watch.index.answer = lambda request: templates.append(request.template.array.copy())
    async with watch.on_watch():
        take_off(site, 0)
        await watch.clock.advance(0.5)
    (change,) = watch.index.asked
    assert isinstance(change, Relist)
    assert change.person == "ada"
    assert templates[0] == pytest.approx(a_template(2), abs=1e-6)
    assert change.template.is_erased


async def test_an_entry_that_this_list_does_not_have_asks_nobody(site: Site) -> None:
    watch = Watch(site, site.running())
    async with watch.on_watch():
        recall(site.vault, site.signers["ben"], 1, a_row("x").about.entry, reason="found", text=None)
        await watch.clock.advance(0.5)
    assert watch.index.asked == []
    assert [event for event, _ in watch.logged] == ["entry_not_in_force"]


async def test_an_index_that_does_not_answer_is_restarted_since_it_loads_the_list_anew(site: Site) -> None:
    watch = Watch(site, site.running())

    def fail(_: Any) -> None:
        raise ActorError("index", "did not answer within 5 s")

    watch.index.answer = fail
    async with watch.on_watch():
        take_off(site, 0)
        take_off(site, 2)
        await watch.clock.advance(0.5)
    assert watch.index.restarts == 2
    assert watch.events == ["index_restarted", "entry_withdrawn"] * 2
    assert "did not answer" in watch.logged[0][1]["why"]


def a_crowd(site: Site) -> None:
    site.rows = [a_row(f"p{number}", number) for number in range(MOST_SINGLE + 3)]


async def test_many_who_are_taken_off_at_once_restart_the_index_once(site: Site) -> None:
    a_crowd(site)
    watch, plugin = Watch(site, site.running()), NumpyIndex()
    host = a_host(watch, plugin)
    async with run_actor(host, clock=watch.clock) as index, watch.on_watch():
        watch.warden.index = address = Restarts(index._system.address("index"))  # type: ignore[assignment]
        assert len(plugin) == MOST_SINGLE + 3
        for number in range(MOST_SINGLE + 1):
            take_off(site, number)
        await watch.clock.advance(1)
        assert (len(plugin), host.facts().entries) == (2, 2)
        assert (address.asked, address.restarts) == (0, 1)
    assert watch.logged == [("entries_withdrawn", {"entries": MOST_SINGLE + 1})]


async def test_as_many_as_can_be_are_taken_off_one_by_one(site: Site) -> None:
    a_crowd(site)
    watch = Watch(site, site.running())
    async with watch.on_watch():
        for number in range(MOST_SINGLE):
            take_off(site, number)
        await watch.clock.advance(0.5)
    assert len(watch.index.asked) == MOST_SINGLE
    assert watch.index.restarts == 0


async def test_who_is_recalled_between_the_opening_and_the_first_look_is_never_in_the_index(site: Site) -> None:
    watch, plugin = Watch(site, site.running()), NumpyIndex()
    host = a_host(watch, plugin)
    take_off(site, 2)
    async with watch.on_watch(), run_actor(host, clock=watch.clock) as index:
        watch.warden.index = index._system.address("index")
        assert (len(plugin), host.facts().entries) == (1, 1)
        assert nearest(plugin, a_template(3)) < 0.6
        await watch.clock.advance(1)
        assert len(plugin) == 1
    assert watch.listed.persons == ("ada", "bob")
    assert len(watch.listed) == 1
    assert watch.logged == []


class Restarts:
    """An address that counts."""

    def __init__(self, address: Any) -> None:
        self._address = address
        self.asked = self.restarts = 0

    async def ask(self, request: Any, *, deadline_s: float) -> Any:
        self.asked += not isinstance(request, Wipe)
        return await self._address.ask(request, deadline_s=deadline_s)

    def restart(self) -> None:
        self.restarts += 1
        self._address.restart()


def a_host(watch: Watch, plugin: NumpyIndex) -> IndexHost:
    listed = watch.listed

    def gallery() -> Gallery:
        return Gallery(templates=listed.templates, persons=listed.persons, digest=listed.digest, generation=1)

    return IndexHost(
        lambda: plugin,
        InlineLane("index"),
        gallery=gallery,
        digest=MODEL,
        dimension=DIMENSION,
        threshold=0.6,
        early_margin=0.0,
        looks=None,
        deadline_s=5,
    )


def nearest(plugin: NumpyIndex, template: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    return float(plugin.search(template[None], 1).similarities[0, 0])


async def test_within_a_second_an_entry_that_was_recalled_elsewhere_matches_nobody(site: Site) -> None:
    watch, plugin = Watch(site, site.running()), NumpyIndex()
    host = a_host(watch, plugin)
    async with run_actor(host, clock=watch.clock) as index, watch.on_watch():
        watch.warden.index = index._system.address("index")
        assert nearest(plugin, a_template(3)) == pytest.approx(1, abs=1e-6)
        take_off(site, 2)
        await watch.clock.advance(1)
        assert nearest(plugin, a_template(3)) < 0.6
        take_off(site, 0)
        await watch.clock.advance(1)
        assert nearest(plugin, a_template(2)) == pytest.approx(1, abs=1e-6)
        assert (len(plugin), host.facts().entries) == (1, 1)
        # Nothing comes back with a restart.
        index.restart()
        await watch.clock.advance(1)
        assert nearest(plugin, a_template(2)) == pytest.approx(1, abs=1e-6)
        assert len(plugin) == 1
        end(site.vault, 1, signer=site.signers["dee"], why="closed")
        await watch.clock.advance(1)
        assert (len(plugin), host.facts().entries) == (0, 0)
    assert site.deployment().stage is Stage.CLOSED
    assert site.receipt().withdrawn == 2


async def test_within_a_second_a_threshold_that_was_changed_elsewhere_is_in_the_index(site: Site) -> None:
    watch, rested = Watch(site, site.running()), list[float]()
    watch.warden.rests_on = rested.append
    async with watch.on_watch():
        await watch.clock.advance(0.5)
        entry = changed(site).entry
        await watch.clock.advance(1)
        assert watch.index.asked == [SetThreshold(threshold=0.7)]
        await watch.clock.advance(2)
    assert watch.index.asked == [SetThreshold(threshold=0.7)]
    facts = {"deployment": 1, "was": 0.64, "threshold": 0.7, "reason": "false-alerts", "entry": entry}
    assert watch.logged == [("threshold_changed", facts)]
    assert rested == [0.7]
    assert [one["facts"]["since"] for one in site.acts("threshold_in_force")] == [entry]


async def test_an_index_that_does_not_answer_gets_its_threshold_at_the_next_look(site: Site) -> None:
    watch = Watch(site, site.running())

    def fail(_: Any) -> None:
        raise ActorError("index", "did not answer within 5 s")

    answer, watch.index.answer = watch.index.answer, fail
    async with watch.on_watch():
        changed(site)
        await watch.clock.advance(0.25)
        assert site.acts("threshold_in_force") == []
        watch.index.answer = answer
        await watch.clock.advance(0.25)
    assert watch.events == ["threshold_not_taken_up", "threshold_changed"]
    assert len(site.acts("threshold_in_force")) == 1


async def test_a_threshold_below_the_floor_is_not_taken_up_whoever_signed_it(site: Site) -> None:
    watch = Watch(site, site.running())
    async with watch.on_watch():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("lfr_kernel.governance.deployment.rethreshold._reasons", lambda *_, **__: ())
            changed(site, 0.5)
        await watch.clock.advance(2)
    assert watch.index.asked == []
    assert watch.events == ["threshold_refused"]
    assert "expected 0.61 at least (min_threshold of pack uk-met)" in watch.logged[0][1]["why"][0]
    assert site.acts("threshold_in_force") == []


async def test_an_index_that_starts_again_after_the_wipe_has_nobody_and_is_well(site: Site) -> None:
    watch, plugin = Watch(site, site.running()), NumpyIndex()
    host = a_host(watch, plugin)
    async with run_actor(host, clock=watch.clock) as index:
        assert len(plugin) == 2
        watch.listed.erase()
        index.restart()
        await watch.clock.advance(1)
        assert (len(plugin), host.facts().entries) == (0, 0)
        assert index.log == []


async def test_the_end_by_the_clock_goes_in_order(site: Site) -> None:
    watch = Watch(site, site.running())
    folder, seen = folder_of(site.vault, site.deployment()), []

    def note(request: Any) -> Receipt:
        erased = watch.listed.templates.is_erased
        seen.append((request, site.deployment().stage, watch.key.exists(), erased, folder.exists(), watch.stopped[:]))
        return Receipt(destroyed=2)

    watch.index.answer = note
    async with watch.on_watch():
        await watch.clock.advance(0.5)
        assert watch.index.asked == []
        site.clocks.pass_(minutes=60)
        await watch.clock.advance(0.25)
        assert watch.warden.is_wiped
        await watch.clock.advance(60)
    assert seen == [(Wipe(), Stage.ENDING, False, True, True, ["authority_ended"])]
    assert watch.logged == [("list_wiped", {"why": "clock"})]
    receipt = site.receipt()
    assert (receipt.why, receipt.ending, receipt.passages_seen, receipt.alerts) == ("clock", "completed", 4, 1)
    acts = [one["act"] for one in site.acts()][-6:]
    assert acts == ["capture_started", "basis_judged", "capture_stopped", "deployment_ended", "wiped", "checkpoint"]
    site.expect_chain()


async def test_the_end_by_somebodys_act_is_by_theirs(site: Site) -> None:
    watch = Watch(site, site.running())
    async with watch.on_watch():
        end(site.vault, 1, signer=site.signers["eva"], why="revoked", text="complaint")
        await watch.clock.advance(0.25)
    assert watch.index.asked == [Wipe()]
    assert site.deployment().ending is Ending.REVOKED
    assert site.receipt().why == "revoked"
    assert site.acts("deployment_ended") == []
    assert len(site.acts("authority_closed")) == 1


async def test_an_extension_in_time_keeps_it_running(site: Site) -> None:
    watch = Watch(site, site.running())
    async with watch.on_watch():
        site.clocks.pass_(minutes=59)
        ends_ns = site.deployment().term.ends_ns + 600 * 10**9
        extended(site.vault, site.signers["ada"], 1, ends_ns=ends_ns, reason="in-progress", text="arrest")
        site.clocks.pass_(minutes=2)
        await watch.clock.advance(0.5)
        assert watch.stopped == []
        site.clocks.pass_(minutes=9)
        await watch.clock.advance(0.5)
    assert watch.stopped == ["authority_ended"]
    assert watch.warden.is_wiped


async def test_the_wipe_is_not_cut_short(site: Site) -> None:
    watch = Watch(site, site.running())
    watch.index.waits = lambda: watch.clock.sleep(4)
    async with watch.on_watch() as run:
        site.clocks.pass_(minutes=60)
        await watch.clock.advance(0.25)
        assert (watch.key.exists(), watch.warden.is_wiped) == (False, False)
        await run.stop()
    assert watch.warden.is_wiped
    assert site.deployment().stage is Stage.CLOSED


@pytest.mark.parametrize(
    ("error", "events", "restarts"),
    [(ActorStopped, ["list_wiped"], 0), (ActorError, ["index_restarted", "list_wiped"], 1)],
)
async def test_an_index_that_does_not_answer_does_not_keep_the_wipe_from_its_end(
    site: Site, error: type[ActorError], events: list[str], restarts: int
) -> None:
    watch = Watch(site, site.running())

    def gone(_: Any) -> None:
        raise error("index", "does not answer")

    watch.index.answer = gone
    async with watch.on_watch():
        site.clocks.pass_(minutes=60)
        await watch.clock.advance(0.25)
    assert (watch.events, watch.index.restarts) == (events, restarts)
    assert site.deployment().stage is Stage.CLOSED


def block(governed: Governed) -> None:
    governed._vault.database._connection.execute("PRAGMA query_only = 1")


async def fail_to_write(watch: Watch, minutes: int) -> None:
    async with watch.on_watch():
        block(watch.governed)
        watch.site.clocks.pass_(minutes=minutes)
        await watch.clock.advance(1)


async def test_an_audit_that_cannot_be_written_fails_the_run(site: Site) -> None:
    watch = Watch(site, site.running())
    with pytest.raises(ActorFailed, match=r"warden: .*vault\.db: it may not be written: see who owns the file"):
        await fail_to_write(watch, 1)
    assert watch.key.exists()
    assert not watch.warden.is_over
    watch.governed.close()
    site.clocks.pass_(minutes=60)
    assert settle(site.vault) == [1]
    assert site.deployment().ending is Ending.FAILED


async def test_at_the_end_the_key_and_the_index_go_though_the_audit_cannot_be_written(site: Site) -> None:
    watch = Watch(site, site.running())
    with pytest.raises(ActorFailed, match=r"warden: .*vault\.db: it may not be written"):
        await fail_to_write(watch, 60)
    assert not watch.key.exists()
    assert watch.index.asked == [Wipe()]
    assert watch.listed.templates.is_erased
    assert (watch.warden.is_over, watch.warden.is_wiped) == (True, False)
    watch.governed.close()
    assert settle(site.vault) == [1]
    site.expect_chain()


async def hang(watch: Watch) -> None:
    async with watch.on_watch():
        await watch.clock.advance(0.5 + WRITE_S)


async def test_a_vault_that_hangs_fails_the_run(site: Site) -> None:
    clock = VirtualClock()
    watch = Watch(site, site.running(), InlineLane(hang_at=range(2, 1000), clock=clock))
    watch.clock = clock
    with pytest.raises(ActorFailed, match="warden: the vault did not answer within 30 s, and what cannot"):
        await hang(watch)
    assert watch.events == []


async def test_a_clock_that_jumped_stops_the_run_and_leaves_the_list(site: Site) -> None:
    watch = Watch(site, site.running())
    async with watch.on_watch():
        await watch.clock.advance(0.5)
        set_clock(site.clocks, wall_s=1200, boot_s=1)
        await watch.clock.advance(2)
    assert watch.stopped == ["clock_jumped"]
    assert watch.logged == [("capture_stopped", {"why": "clock_jumped"})]
    assert watch.key.exists()
    assert site.deployment().stage is Stage.OPEN


async def test_the_operator_is_told_that_the_end_is_near(site: Site) -> None:
    watch = Watch(site, site.running())
    async with watch.on_watch():
        for minutes in (45, 5, 5):
            site.clocks.pass_(minutes=minutes)
            await watch.clock.advance(1)
    command = "lfr-kernel authority extend 1 --until ..."
    assert watch.logged == [
        ("authority_ends_soon", {"minutes": 15, "remaining_s": 900, "to_extend": command}),
        ("authority_ends_soon", {"minutes": 5, "remaining_s": 300, "to_extend": command}),
    ]
    assert watch.warden.remaining_s == 300


async def test_an_entry_that_expires_leaves_the_index(site: Site) -> None:
    site.rows = [a_row("ada", 1), a_row("bob", 2, expires=site.now + HOUR / 2)]
    watch = Watch(site, site.running())
    async with watch.on_watch():
        site.clocks.pass_(minutes=30)
        await watch.clock.advance(0.5)
    assert watch.index.asked == [Recall(person="bob")]
