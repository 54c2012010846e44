"""Anchors leave the machine while a deployment runs, and a sink that fails or hangs holds nothing up."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from governance.deployment.support import look
from lfr_kernel.governance.deployment.anchoring import AnchorHost
from lfr_kernel.testing import InlineLane, VirtualClock, run_actor

if TYPE_CHECKING:
    from governance.deployment.support import Site


class Sink:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.is_broken = False

    def deliver(self, line: str) -> None:
        if self.is_broken:
            raise OSError("no paper")
        self.lines.append(line)


@pytest.mark.anyio
async def test_anchors_leave_the_machine_and_wait_while_a_sink_fails(site: Site) -> None:
    governed, clock, sink = site.running(), VirtualClock(), Sink()
    governed.anchors, logged = {"printer": sink}, []
    host = AnchorHost(governed, InlineLane(), log=lambda event, **facts: logged.append((event, facts)))
    async with run_actor(host, clock=clock):
        await clock.advance(5)
        assert len(sink.lines) == 1
        assert site.vault.database.pending("anchor") == []
        sink.is_broken = True
        site.clocks.pass_(minutes=15)
        look(governed)
        await clock.advance(20)
        assert logged == [("anchor_not_delivered", {"problem": "anchor sink printer: OSError: no paper"})]
        sink.is_broken = False
        await clock.advance(5)
    assert len(sink.lines) == 2


@pytest.mark.anyio
async def test_a_sink_of_anchors_that_hangs_is_tried_again(site: Site) -> None:
    governed, clock, sink = site.running(), VirtualClock(), Sink()
    governed.anchors, logged = {"printer": sink}, []
    lane = InlineLane(hang_at=[1], clock=clock)
    host = AnchorHost(governed, lane, log=lambda event, **facts: logged.append((event, facts)))
    async with run_actor(host, clock=clock):
        await clock.advance(60)
    assert [event for event, _ in logged] == ["anchor_not_delivered"]
    assert "was told to hang" in logged[0][1]["problem"]
    assert len(sink.lines) == 1


def test_a_sink_of_anchors_is_not_called_again_while_it_hangs(site: Site) -> None:
    governed, asked, go_on = site.running(), threading.Semaphore(0), threading.Event()
    calls = []

    class Hung:
        def deliver(self, line: str) -> None:
            calls.append(line)
            asked.release()
            assert go_on.wait(10)

    governed.anchors = {"printer": Hung()}
    thread = threading.Thread(target=governed.deliver)
    thread.start()
    try:
        assert asked.acquire(timeout=10)
        for _ in range(3):
            assert governed.deliver() == ["an anchor sink has not returned from the call before"]
        assert len(calls) == 1
    finally:
        go_on.set()
        thread.join(10)
    assert governed.deliver() == []
    assert len(calls) == 1
    assert site.vault.database.pending("anchor") == []
