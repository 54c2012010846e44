"""`kill -9` at fifty points of build, open, run and wipe: nothing is left half-written, and whoever goes on can.

Each seed draws one point from its fiftieth of all the durable operations that a dry run counts; `sudden.py` does it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from governance.deaths import KILLED, found_after

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPT = Path(__file__).with_name("sudden.py")
DEATHS = 50

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs fork, and to see which file is being written"),
]


@pytest.fixture(scope="module")
def deaths(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, dict[str, Any]]:
    """What was found after each death that was asked for, by seed; several go on at a time."""
    return found_after(request, SCRIPT, DEATHS, tmp_path_factory.mktemp("sudden"))


@pytest.mark.parametrize("seed", range(DEATHS))
def test_whoever_dies_suddenly_leaves_nothing_half_written_and_can_be_gone_on_after(
    seed: int, deaths: Mapping[str, dict[str, Any]]
) -> None:
    found = deaths[str(seed)]
    assert found["problems"] == [], found
    assert found["ended"] == KILLED
    assert (found["acts"] + found["afterwards"])[-2:] == ["wiped", "checkpoint"]
