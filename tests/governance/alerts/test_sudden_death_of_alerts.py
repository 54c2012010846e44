"""`kill -9` at a hundred points of a shift: what was acknowledged is there, whole, and no sink has an alert twice.

Each seed draws one point from its hundredth of all that a dry run writes; `killing.py` does it, in a few processes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from governance.deaths import KILLED, found_after

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPT = Path(__file__).with_name("killing.py")
DEATHS = 100
ACTS = 45
"""Acknowledged in a whole shift: seven alerts, what became of each at two sinks, and what people did."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs fork, and to see which file is being written"),
]


@pytest.fixture(scope="module")
def deaths(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, dict[str, Any]]:
    """What was found after each death that was asked for, by seed."""
    return found_after(request, SCRIPT, DEATHS, tmp_path_factory.mktemp("shift"))


@pytest.mark.parametrize("seed", range(DEATHS))
def test_whoever_dies_suddenly_loses_nothing_that_was_acknowledged_and_no_sink_has_it_twice(
    seed: int, deaths: Mapping[str, dict[str, Any]]
) -> None:
    found = deaths[str(seed)]
    assert found["problems"] == [], found
    assert found["ended"] == KILLED
    # The deaths are spread over the whole of it.
    assert abs(found["told"] - ACTS * (seed + 0.5) / DEATHS) < ACTS / 5
