"""The first signal stops in good order, the second ends the process at once: in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from lfr_kernel.runtime import stop_signals

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent SIGINT there")

IN_ORDER = """
import asyncio, anyio
from lfr_kernel.runtime import Actor, Consumes, Edge, Policy, Source, System, stop_signals

class Note: pass

class Feed(Source):
    produces = (Note,)
    async def produce(self):
        await self.emit(Note())
        print("ready", flush=True)
        await anyio.sleep_forever()

class Keep(Actor):
    async def handle(self, message): print("handled", flush=True)
    async def teardown(self): print("torn down", flush=True)

async def main():
    edge = Edge(producer="feed", consumer="keep", message=Note, policy=Policy())
    system = System([Feed("feed"), Keep("keep")], [edge])
    loop = asyncio.get_running_loop()
    with stop_signals(lambda reason: loop.call_soon_threadsafe(system.stop, reason)):
        print(await system.run(), flush=True)

anyio.run(main)
"""

BLOCKED = """
import sys, time, anyio
from lfr_kernel.runtime import stop_signals

def at_once():
    print("at once", flush=True)
    if sys.argv[1:]: raise RuntimeError("the terminal is gone")

async def main():
    with stop_signals(lambda reason: print(reason, flush=True), at_once):
        print("ready", flush=True)
        time.sleep(60)

anyio.run(main)
"""


@contextmanager
def process(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", script, *arguments]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=quiet, text=True) as running:  # noqa: S603  (ours)
        try:
            yield running
        finally:
            running.kill()


def lines(running: subprocess.Popen[str], count: int) -> list[str]:
    assert running.stdout is not None
    return [running.stdout.readline().strip() for _ in range(count)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_in_good_order(number: signal.Signals) -> None:
    with process(IN_ORDER) as running:
        assert sorted(lines(running, 2)) == ["handled", "ready"]
        running.send_signal(number)
        assert lines(running, 2) == ["torn down", number.name]
        assert running.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("arguments", [(), ("fail",)], ids=["", "and its callback fails"])
def test_the_second_signal_ends_the_process_though_the_loop_is_blocked(
    number: signal.Signals, arguments: tuple[str, ...]
) -> None:
    with process(BLOCKED, *arguments) as running:
        assert lines(running, 1) == ["ready"]
        running.send_signal(number)
        assert lines(running, 1) == [number.name]
        running.send_signal(number)
        assert lines(running, 1) == ["at once"]
        assert running.wait(10) == 128 + number


def test_the_handlers_of_before_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stop_signals(lambda _: None):
        assert signal.getsignal(signal.SIGINT) not in before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
