"""A whole run under an authority, on real threads with a made-up live camera: alert, recall, end, wipe."""

from __future__ import annotations

import threading
from itertools import cycle
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import numpy as np
import pytest

from governance.deployment.support import Site, pack_with
from governance.lists.support import MODEL, a_row
from lfr_kernel.governance.deployment.governed import Governed
from lfr_kernel.governance.deployment.register import end, recall
from lfr_kernel.governance.deployment.rethreshold import Wish, confirm, propose
from lfr_kernel.governance.deployment.thresholds import thresholds_of
from lfr_kernel.governance.errors import AuditError, RefusedError
from lfr_kernel.governance.people.sessions import end_session
from lfr_kernel.governance.standing import Ending, Stage
from lfr_kernel.messages import Alert
from lfr_kernel.plugins import (
    API_VERSION,
    AnchorPlugin,
    CameraPlugin,
    DetectorPlugin,
    EmbedderPlugin,
    Installed,
    Registry,
    SinkPlugin,
    TrackerPlugin,
)
from lfr_kernel.profile import parse_profile
from lfr_kernel.runtime import ActorFailed, SystemClock
from lfr_kernel.session import Listener, Session
from lfr_kernel.testing.fakes import FakeCamera, FakeDetector, FakeEmbedder, FakeFace, FakePicture, FakeTracker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfr_kernel.governance.lists.entries import Row
    from lfr_kernel.governance.rules import LoadedPack
    from lfr_kernel.telemetry.summary import Summary

pytestmark = pytest.mark.anyio
RED, BLUE = (200, 40, 40), (40, 40, 200)
FRAME_S = 0.02
PATIENCE_S = 20
EVENTS = ("alert", "outcome", "entry_withdrawn", "threshold_changed", "alerts_suspended", "alert_not_delivered")


def listed(person: str, colour: tuple[int, int, int]) -> Row:
    embedder, template = FakeEmbedder(), np.empty((1, 128), np.float32)
    embedder.embed(np.broadcast_to(np.array(colour, np.uint8), (1, 32, 32, 3)), template)
    assert embedder.digest == MODEL
    return msgspec.structs.replace(a_row(person), template=template.tobytes())


def street() -> Iterator[Any]:
    """Somebody red, nobody for a while, somebody red again, and so on."""
    wait = threading.Event()
    faces = [FakePicture.of([FakeFace(40, 30, 64, RED)])] * 20 + [FakePicture.of(())] * 10
    for picture in cycle(faces):
        yield lambda: wait.wait(FRAME_S)
        yield picture


class Printer:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def deliver(self, line: str) -> None:
        self.lines.append(line)


class DayOf(SystemClock):
    """The machine's clock, on a day at a site."""

    def __init__(self, site: Site) -> None:
        self.utc_ns = lambda: site.clocks.now.utc_ns  # type: ignore[method-assign]


class Run:
    """One run of the profile, with these plugins and sections beside its own."""

    def __init__(
        self, site: Site, loaded: LoadedPack | None = None, *, plugins: Sequence[SinkPlugin] = (), **sections: Any
    ) -> None:
        self.printer = Printer()
        self.alerts: list[Alert] = []
        self.logged: list[str] = []
        self.happened = {name: anyio.Event() for name in EVENTS}
        installed = [
            CameraPlugin(name="street", api=API_VERSION, create=lambda _: FakeCamera(street(), pace="live")),
            DetectorPlugin(name="fake", api=API_VERSION, create=lambda _: FakeDetector()),
            TrackerPlugin(name="fake", api=API_VERSION, create=lambda _: FakeTracker(lost_after_s=0.1)),
            EmbedderPlugin(name="fake", api=API_VERSION, create=lambda _: FakeEmbedder()),
            AnchorPlugin(name="printer", api=API_VERSION, create=lambda _: self.printer),
            *plugins,
        ]
        registry = Registry([*Registry.discover(), *(Installed(plugin=one) for one in installed)])
        data = {
            "name": "spring",
            "permit": "authority",
            "cameras": [{"name": "gate", "plugin": "street"}],
            "watchlist": {"file": str(site.path), "threshold": 0.64},
            "detector": {"plugin": "fake"},
            "tracker": {"plugin": "fake"},
            "embedder": {"plugin": "fake"},
            "anchors": [{"plugin": "printer"}],
            "governance": {"vault": str(site.vault.folder), "pack": "uk-met", "start": "sealed"},
            "runtime": {"compute_threads": 1},
            **sections,
        }
        profile, _ = parse_profile(data, registry, source="a test", here=site.folder)
        vault = site.force.open(site.vault.folder)
        self.governed = Governed(vault, site.plan(loaded=loaded or pack_with(require_report=False)), site.opener(vault))
        site.opened.append(self.governed)
        listener = Listener(log=self._log, fact=self._fact)
        self.session = Session(profile, registry, governed=self.governed, listener=listener, clock=DayOf(site))
        self.summary: Summary | None = None

    def _log(self, event: str, **_: Any) -> None:
        self.logged.append(event)
        self._say(event)

    def _fact(self, what: Any) -> None:
        if isinstance(what, Alert):
            self.alerts.append(what)
        self._say("alert" if isinstance(what, Alert) else "outcome")

    def _say(self, event: str) -> None:
        if event in self.happened:
            self.happened[event].set()
            self.happened[event] = anyio.Event()

    async def __call__(self) -> None:
        self.summary = await self.session.run()

    async def next(self, event: str) -> None:
        await self.happened[event].wait()


async def test_from_the_first_alert_to_the_receipt(site: Site) -> None:
    site.rows = [listed("ada", RED), listed("bob", BLUE)]
    site.a_list(dimension=128)
    site.authorise()
    run = Run(site)
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await run.next("alert")
            recall(site.vault, site.signers["ben"], 1, site.rows[0].about.entry, reason="found", text=None)
            await run.next("entry_withdrawn")
            # What had matched before is done with when a passage ends; the next person in red is nobody.
            await run.next("outcome")
            alerts = len(run.alerts)
            await run.next("outcome")
            await run.next("outcome")
            end(site.vault, 1, signer=site.signers["dee"], why="closed")
    assert {one.person for one in run.alerts} == {"ada"}
    assert len(run.alerts) == alerts
    assert run.summary is not None
    assert run.summary.ended == "authority_ended"
    authority = run.summary.authority
    assert authority is not None
    assert (authority.id, authority.deployment, authority.is_wiped) == ("EX/1", 1, True)
    # One of them was recalled, and the list is wiped: what is said is whom it began with.
    assert (run.summary.watchlist.people, run.summary.watchlist.photographs) == (2, 2)
    assert run.logged.count("authority_incomplete") == 1  # six references are missing, and the log is not to drown
    assert "list_wiped" in run.logged
    deployment, receipt = site.deployment(), site.receipt()
    assert (deployment.stage, deployment.ending) == (Stage.CLOSED, Ending.COMPLETED)
    assert (receipt.withdrawn, receipt.alerts) == (1, len(run.alerts))
    assert receipt.passages_seen >= 1
    # Opening and wipe both left the machine.
    assert len(run.printer.lines) == 2
    assert str(site.acts()[-1]["n"]) == run.printer.lines[-1].split()[3]
    assert site.vault.database.pending("anchor") == []
    site.expect_chain()


async def test_a_running_kernel_takes_a_change_of_threshold_up(site: Site) -> None:
    site.rows = [listed("ada", RED), listed("bob", BLUE)]
    site.a_list(dimension=128)
    plan = site.plan(loaded=pack_with(require_report=False))
    site.authorise(plan)
    run = Run(site)
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await run.next("alert")
            wish = Wish(threshold=0.9, reason="false-alerts", text=None)
            propose(site.vault, site.signers["eva"], plan, 1, wish=wish, tested=None)
            entry = confirm(site.vault, site.signers["ada"], 1).entry
            await run.next("threshold_changed")
            before = len(run.alerts)
            await run.next("alert")
            summary = run.session.summary()
            run.session.stop("SIGINT")
    assert {one.threshold for one in run.alerts[:before]} == {0.64}
    assert {one.threshold for one in run.alerts[before:]} == {0.9}
    assert summary.authority is not None
    assert (summary.authority.threshold, summary.watchlist.threshold) == (0.9, 0.9)
    assert [one["facts"]["since"] for one in site.acts("threshold_in_force")] == [entry]
    assert run.logged.count("threshold_basis") == 2
    (change,) = thresholds_of(site.vault, site.deployment())
    assert change.in_force_ns is not None
    # The next run begins with it.
    run = Run(site)
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await run.next("alert")
            run.session.stop("SIGINT")
    assert {one.threshold for one in run.alerts} == {0.9}
    assert [one["facts"]["threshold"] for one in site.acts("capture_started")] == [0.64, 0.9]
    site.expect_chain()


async def test_models_that_were_not_tested_open_nothing_under_a_strict_pack(site: Site) -> None:
    site.rows = [listed("ada", RED)]
    site.a_list(dimension=128)
    site.authorise()
    run = Run(site, pack_with())
    with (
        anyio.fail_after(PATIENCE_S),
        pytest.raises(RefusedError, match="leaves what was tested: pack uk-met asks"),
    ):
        await run()
    assert site.acts("capture_started") == []
    assert site.path.exists()


async def test_without_an_operator_on_shift_no_model_is_loaded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.authorise()
    end_session(site.vault, "dee")
    run, made = Run(site), list[str]()
    monkeypatch.setattr(f"{__name__}.FakeDetector", lambda: made.append("detector"))
    with anyio.fail_after(PATIENCE_S), pytest.raises(RefusedError, match="dee has no session here"):
        await run()
    assert made == []


async def test_a_run_that_is_stopped_leaves_its_deployment_open_for_the_next(site: Site) -> None:
    site.rows = [listed("ada", RED)]
    site.a_list(dimension=128)
    site.authorise()
    for number in (1, 2):
        run = Run(site)
        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                await run.next("alert")
                run.session.stop("SIGINT")
        assert run.summary is not None
        assert run.summary.ended == "SIGINT"
        assert site.deployment().stage is Stage.OPEN
        assert len(site.acts("capture_stopped")) == number
    assert [one["facts"]["after_crash"] for one in site.acts("capture_started")] == [False, False]
    assert site.deployment().alerts >= 2


async def test_a_wipe_that_failed_is_tried_again_as_the_run_closes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.rows = [listed("ada", RED)]
    site.a_list(dimension=128)
    site.authorise()
    run = Run(site)
    failed = AuditError("the disk is full")

    def fail() -> None:
        raise failed

    monkeypatch.setattr(run.governed, "finish", fail)

    async def end_it() -> None:
        await run.next("alert")
        end(site.vault, 1, signer=site.signers["dee"], why="closed")

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_it)
            with pytest.raises(ActorFailed, match="the disk is full"):
                await run()
    assert site.receipt().why == "closed"
    assert not list(site.vault.keyring.folder.glob("deployment-*"))
    authority = run.session.summary().authority
    assert authority is not None
    assert (authority.is_over, authority.is_wiped) == (True, False)
    site.expect_chain()
