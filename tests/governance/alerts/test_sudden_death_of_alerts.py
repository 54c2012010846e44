"""`kill -9` at a hundred points of a shift: what was acknowledged is there, whole, and no sink has an alert twice.

Each seed draws one point from its hundredth of all that a dry run writes; `killing.py` does it, in a few processes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPT = Path(__file__).with_name("killing.py")
TESTS = SCRIPT.parent.parent.parent
DEATHS = 100
PATIENCE_S = 300
KILLED = -9
ACTS = 45
"""Acknowledged in a whole shift: seven alerts, what became of each at two sinks, and what people did."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs fork, and to see which file is being written"),
]


@pytest.fixture(scope="module")
def deaths(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, dict[str, Any]]:
    """What was found after each death that was asked for, by seed."""
    wanted = [item.callspec.params for item in request.session.items if isinstance(item, pytest.Function)
              and item.module is request.module and hasattr(item, "callspec")]  # fmt: skip
    seeds = sorted({params["seed"] for params in wanted})
    folder = tmp_path_factory.mktemp("shift")
    ended = subprocess.run(  # noqa: S603  (our own script)
        [sys.executable, SCRIPT, folder, *map(str, (DEATHS, *seeds))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    results: dict[str, dict[str, Any]] = json.loads((folder / "results.json").read_bytes())
    return results


@pytest.mark.parametrize("seed", range(DEATHS))
def test_whoever_dies_suddenly_loses_nothing_that_was_acknowledged_and_no_sink_has_it_twice(
    seed: int, deaths: Mapping[str, dict[str, Any]]
) -> None:
    found = deaths[str(seed)]
    assert found["problems"] == [], found
    assert found["ended"] == KILLED
    # The deaths are spread over the whole of it.
    assert abs(found["told"] - ACTS * (seed + 0.5) / DEATHS) < ACTS / 5
