"""Every test here fails if anything blocks the event loop, or hangs."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, NoReturn

import pytest
from blockbuster import blockbuster_ctx

from lfr_kernel.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_S = 30


@pytest.fixture(autouse=True)
def _loop_never_blocks() -> Iterator[None]:
    with blockbuster_ctx():
        yield


@pytest.fixture(autouse=True)
def _nothing_hangs() -> Iterator[None]:
    def give_up(*_: object) -> NoReturn:
        raise TimeoutError(f"the test did not end within {LIMIT_S} s")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()
