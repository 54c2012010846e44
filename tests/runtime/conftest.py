"""Every asynchronous test here fails if anything blocks the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from blockbuster import blockbuster_ctx

from lfr_kernel.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _loop_never_blocks() -> Iterator[None]:
    with blockbuster_ctx():
        yield


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()
