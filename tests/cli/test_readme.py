"""The walkthrough of the README is run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIM = """#!{python}
from lfr_kernel.cli import script
script()
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the walkthrough is for a POSIX shell")
def test_the_walkthrough_in_the_readme_works_as_it_stands(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- walkthrough: begin -->\s+```sh\n(.*?)```\s+<!-- walkthrough: end -->", text, re.DOTALL)
    assert found is not None
    for name in ("docs", "plugins"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "lfr-kernel"
    shim.write_text(SHIM.format(python=sys.executable), encoding="utf-8")
    shim.chmod(0o755)
    (tmp_path / "lfr-demo").mkdir()
    pytest.importorskip("lfr_plugins.lab.walkpast").render(tmp_path / "lfr-demo" / "walk-past.mp4")
    ran = subprocess.run(  # noqa: S603  (the README's own commands)
        ["bash", "-euo", "pipefail", "-c", found[1]],  # noqa: S607
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=240,
    )
    said = " ".join(ran.stdout.split())
    assert ran.returncode == 0, ran.stdout
    for part in (
        "rows 4: accepted 2, duplicate 1, invalid 1",
        "authority DEMO/1 is signed: deployment 1",
        "may be P-1",
        "may be P-2",
        "deployment 1 is closed and its list is wiped",
        "completed (closed)",
        "2 entries, 1 of them withdrawn before the end",
        "there are no later entries",
    ):
        assert part in said, part
    first, _, second = said.partition("is recalled from the list of deployment 1")
    assert "may be P-2" in first
    assert "may be P-1" in second
    assert "may be P-2" not in second
    day = tmp_path / "day"
    assert not (day / "list.lfrlist").exists()
    assert not list((day / "vault" / "keys").glob("deployment-*"))
