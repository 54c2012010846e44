"""The machine's clock."""

from __future__ import annotations

import anyio
import pytest

from lfr_kernel.runtime import SystemClock


@pytest.mark.anyio
async def test_what_is_due_already_is_not_waited_for() -> None:
    with anyio.fail_after(1):
        await SystemClock().sleep(-5.0)
        await SystemClock().sleep(0.0)


@pytest.mark.anyio
async def test_no_deadline_is_no_deadline() -> None:
    with SystemClock().move_on_after(None) as scope:
        await SystemClock().sleep(0.0)
    assert not scope.cancelled_caught


def test_its_times_rise_and_are_nanoseconds() -> None:
    clock = SystemClock()
    assert clock.monotonic_ns() <= clock.monotonic_ns()
    assert 1_700_000_000_000_000_000 < clock.utc_ns() < 10_000_000_000_000_000_000
