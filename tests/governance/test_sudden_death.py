"""`kill -9` at fifty points of build, open, run and wipe: nothing is left half-written, and whoever goes on can.

Each seed draws one point from its fiftieth of all the durable operations that a dry run counts; `sudden.py` does it.
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

SCRIPT = Path(__file__).with_name("sudden.py")
DEATHS = 50
PATIENCE_S = 300
KILLED = -9

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs fork, and to see which file is being written"),
]


@pytest.fixture(scope="module")
def deaths(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, dict[str, Any]]:
    """What was found after each death that was asked for, by seed; several go on at a time."""
    wanted = [item.callspec.params for item in request.session.items if isinstance(item, pytest.Function)
              and item.module is request.module and hasattr(item, "callspec")]  # fmt: skip
    seeds = sorted({params["seed"] for params in wanted})
    path = os.pathsep.join([str(SCRIPT.parent.parent), *sys.path])
    ended = subprocess.run(  # noqa: S603  (our own script)
        [sys.executable, SCRIPT, tmp_path_factory.mktemp("sudden"), *map(str, (DEATHS, *seeds))],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    results: dict[str, dict[str, Any]] = json.loads(ended.stdout)
    return results


@pytest.mark.parametrize("seed", range(DEATHS))
def test_whoever_dies_suddenly_leaves_nothing_half_written_and_can_be_gone_on_after(
    seed: int, deaths: Mapping[str, dict[str, Any]]
) -> None:
    found = deaths[str(seed)]
    assert found["problems"] == [], found
    assert found["ended"] == KILLED
    assert (found["acts"] + found["afterwards"])[-2:] == ["wiped", "checkpoint"]
