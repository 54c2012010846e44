"""Sudden death at any write of a day leaves what can be gone on with, and a chain that an outsider can verify."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("dying.py")
FEWEST_POINTS = 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_whoever_dies_at_any_write_can_be_gone_on_after(tmp_path: Path) -> None:
    path = os.pathsep.join([str(SCRIPT.parent.parent), *sys.path])
    ended = subprocess.run(  # noqa: S603  (our own script)
        [sys.executable, SCRIPT, tmp_path],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    results = json.loads(ended.stdout)
    assert len(results) > FEWEST_POINTS
    assert [one["findings"] for one in results] == [[]] * len(results)
    assert [one["keys"] for one in results] == [[]] * len(results)
    assert {name for one in results for name in one["waiting"]} == {"dee", "eva"}
