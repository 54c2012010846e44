"""`kill -9` at every step of a purge that lasts; `purging_dying.py` does it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("purging_dying.py")
PATIENCE_S = 120
KILLED = -9
LEAST = 40
"""Points before and after what lasts: commits, the emptying of the log, keys that are overwritten and removed."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs fork, and to see which file is being written")


def test_whoever_is_killed_while_purging_leaves_nothing_that_the_next_purge_does_not_finish(tmp_path: Path) -> None:
    path = os.pathsep.join([str(SCRIPT.parents[2]), *sys.path])
    ended = subprocess.run(  # noqa: S603  (our own script)
        [sys.executable, SCRIPT, tmp_path],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    deaths = json.loads(ended.stdout)
    assert len(deaths) >= LEAST
    finished = {
        "ended": KILLED,
        "acts": ["alerts_expired", "alerts_purged", "pictures_purged", "record_signed", "texts_purged"],
        "counted": 2,
        "rows": {},
        "left": [],
        "purges": 0,
        "keys": [],
        "has_record": True,
        "findings": [],
    }
    assert [point for point, found in enumerate(deaths) if found != finished] == []
