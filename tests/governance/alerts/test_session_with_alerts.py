"""Whole runs under an authority, on real threads: alerts are in the vault, and sinks hear that there are some."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import numpy as np
import pytest
from msgspec import structs

from governance.alerts.support import DISMISSED_WRONG
from governance.deployment.support import pack_with
from governance.deployment.test_session_run import BLUE, PATIENCE_S, RED, Run
from governance.deployment.test_session_run import listed as a_row_of
from lfr_kernel.governance.alerts.keeper import VaultKeeper
from lfr_kernel.governance.alerts.steps import assess, close, look
from lfr_kernel.governance.alerts.store import find, listed, pictures_of, proposal_of
from lfr_kernel.governance.alerts.vocabulary import Reason, Verdict
from lfr_kernel.plugins import API_VERSION, SinkPlugin
from lfr_kernel.runtime import PassingError
from lfr_kernel.testing.fakes import ListSink
from lfr_plugins.cameras.stills import JpegStills

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from governance.deployment.support import Site
    from lfr_kernel.messages import Notice
    from lfr_kernel.stages.sink import Evidence, SinkContext

pytestmark = pytest.mark.anyio


TIMES = {"captured_at", "captured_at_ns", "alerted_at", "alerted_at_ns", "act_by", "act_by_ns"}
FIELDS = {"type", "id", "camera", "state", "is_actionable", "permit", *TIMES}
"""Of a notice without details, in the file of a sink."""


class Broker(ListSink):
    """Down until somebody turns it on. What comes twice it has twice."""

    is_up = False

    async def deliver(self, notice: Notice) -> None:
        if not self.is_up:
            raise PassingError("the broker is down")
        self.delivered.append(notice)


class Painter(ListSink):
    """Looks at the pictures of each alert, as it is delivered."""

    def __init__(self, context: SinkContext) -> None:
        super().__init__()
        self._context = context
        self.seen: list[Evidence] = []

    async def deliver(self, notice: Notice) -> None:
        assert notice.alert is not None
        self.seen.append(self._context.evidence(notice.alert.evidence))
        self.delivered.append(notice)


@pytest.fixture(autouse=True)
def built(site: Site) -> None:
    """Build a list of two people, of whom one passes by."""
    stills = JpegStills()
    site.rows = [
        structs.replace(
            a_row_of(person, colour),
            portrait=stills.encode(np.broadcast_to(np.array(colour, np.uint8), (16, 16, 3)).copy()),
        )
        for person, colour in (("ada", RED), ("bob", BLUE))
    ]
    site.a_list(dimension=128)


async def run_until(run: Run, happened: Callable[[Run], Awaitable[Any]]) -> None:
    """Run it until something has happened, and stop it as a signal would."""
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await happened(run)
            run.session.stop("SIGINT")


async def test_alerts_are_in_the_vault_with_their_pictures_and_in_the_file_as_bare_notices(site: Site) -> None:
    site.authorise()
    path = site.folder / "alerts.jsonl"
    run = Run(site, sinks=[{"plugin": "jsonl", "options": {"path": str(path)}}])
    await run_until(run, lambda run: run.next("alert"))
    vault, rows = site.vault, site.rows
    assert {one.id for one in listed(vault.database)} == {one.id for one in run.alerts}
    for alert in run.alerts:
        kept = find(vault.database, alert.id)
        proposal, pictures = proposal_of(vault, kept), pictures_of(vault, kept)
        assert (proposal.alert, proposal.about) == (alert, rows[0].about)
        assert pictures is not None
        assert pictures.listed == rows[0].portrait
        assert run.governed._stills is not None
        probe = run.governed._stills.decode(pictures.probe)
        assert np.abs(probe.astype(int) - RED).mean() < 3
    lines = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    assert sorted(one["id"] for one in lines) == sorted(one.id for one in run.alerts)
    for line in lines:
        assert set(line) == FIELDS
        assert (line["camera"], line["state"], line["is_actionable"]) == ("gate", "open", True)
    site.expect_chain()


async def test_what_no_sink_took_is_delivered_by_the_next_run_once(site: Site) -> None:
    site.authorise()
    broker = Broker()
    plugin = SinkPlugin(name="broker", api=API_VERSION, create=lambda *_: broker)
    runs = [Run(site, plugins=[plugin], sinks=[{"plugin": "broker"}])]
    await run_until(runs[0], lambda run: run.next("alert_not_delivered"))
    assert broker.delivered == []
    assert "alerts_wait" in runs[0].logged
    broker.is_up = True
    runs.append(Run(site, plugins=[plugin], sinks=[{"plugin": "broker"}]))
    await run_until(runs[1], lambda run: run.next("alert"))
    raised = [alert.id for run in runs for alert in run.alerts]
    assert sorted(notice.id for notice in broker.delivered) == sorted(raised)
    assert {notice.alert for notice in broker.delivered} == {None}
    assert "alerts_wait" not in runs[1].logged
    assert len(site.acts("alert_delivered")) == len(raised)


async def test_a_sink_that_may_see_pictures_gets_them_and_no_vault_is_read_on_the_event_loop(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Painter] = []
    readers: list[str] = []
    read = VaultKeeper.show

    def note(self: VaultKeeper, reference: str) -> Evidence:
        readers.append(threading.current_thread().name)
        return read(self, reference)

    def create(_: Any, context: SinkContext) -> Painter:
        made.append(Painter(context))
        return made[0]

    monkeypatch.setattr(VaultKeeper, "show", note)
    plugin = SinkPlugin(name="painter", api=API_VERSION, create=create, protects=lambda _: "in this test")
    site.authorise()
    run = Run(site, plugins=[plugin], sinks=[{"plugin": "painter", "details": True, "evidence": True}])
    await run_until(run, lambda run: run.next("alert"))
    (painter,) = made
    assert sorted(notice.id for notice in painter.delivered) == sorted(one.id for one in run.alerts)
    assert len(painter.seen) == len(run.alerts) > 0
    for seen in painter.seen:
        for picture in (seen.probe, seen.listed):
            assert np.abs(picture.astype(int) - RED).mean() < 3
    assert set(readers) == {"lfr:vault"}


async def test_a_running_kernel_raises_no_alert_once_too_many_were_false(site: Site) -> None:
    pack = pack_with(require_report=False, stop_min_false=1, stop_false_per_face=1e-9)
    site.authorise(site.plan(loaded=pack))
    run = Run(site, pack)
    vault, dee = site.vault, site.signers["dee"]

    async def until_suspended(run: Run) -> None:
        await run.next("alert")
        alert = run.alerts[0].id
        look(vault, alert, dee, reason=Reason.ASSESS)
        assess(vault, alert, dee, Verdict.DISMISS)
        close(vault, alert, dee, DISMISSED_WRONG)
        await run.next("alerts_suspended")
        await run.next("outcome")
        before = len(run.alerts)
        await run.next("outcome")
        assert len(run.alerts) == before

    await run_until(run, until_suspended)
    assert len(listed(vault.database)) == len(run.alerts)
    summary = run.session.summary().authority
    assert summary is not None
    assert summary.is_suspended
