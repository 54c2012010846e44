"""Many deaths of one script: tried side by side in processes of their own, and read by the test that asked for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["KILLED", "found_after", "try_each"]

KILLED = -9
TESTS = str(Path(__file__).parents[1])
PATIENCE_S = 300
RESULTS = "results.json"


def found_after(request: pytest.FixtureRequest, script: Path, deaths: int, folder: Path) -> Mapping[str, Any]:
    """Run a script that ends in `try_each`; return what was found after each death that was asked for, by seed.

    Args:
        request: of a fixture whose module's tests have a parameter `seed`.
        script: takes a folder, the number of deaths and the seeds.
        deaths: how many there could be.
        folder: empty.
    """
    wanted = [item.callspec.params for item in request.session.items if isinstance(item, pytest.Function)
              and item.module is request.module and hasattr(item, "callspec")]  # fmt: skip
    seeds = sorted({params["seed"] for params in wanted})
    ended = subprocess.run(  # noqa: S603  (our own script)
        [sys.executable, script, folder, *map(str, (deaths, *seeds))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([TESTS, *sys.path])},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    results: dict[str, Any] = json.loads((folder / RESULTS).read_bytes())
    return results


def try_each(seeds: Sequence[int], kill: Callable[[int], dict[str, Any]], folder: Path, *, at_once: int) -> None:
    """Die once for each seed, a few at a time, and write down what was found; needs a process without threads."""
    left, running = list(reversed(seeds)), 0
    while left or running:
        if left and running < at_once:
            running += 1
            _start(left.pop(), kill, folder)
            continue
        os.wait()
        running -= 1
    results = {seed: json.loads((folder / f"{seed}.json").read_bytes()) for seed in seeds}
    (folder / RESULTS).write_text(json.dumps(results), encoding="utf-8")


def _start(seed: int, kill: Callable[[int], dict[str, Any]], folder: Path) -> None:
    """Begin with one death in a process of its own."""
    if os.fork():
        return
    try:
        found = kill(seed)
    except BaseException:  # noqa: BLE001  (the test shows it)
        found = {"problems": [traceback.format_exc()]}
    (folder / f"{seed}.json").write_text(json.dumps(found), encoding="utf-8")
    os._exit(0)
