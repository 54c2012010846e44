"""A site to try things at."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from governance.deployment.support import PACK, Site
from lfr_kernel.governance.audit import opening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from governance.conftest import FoundVault


@pytest.fixture(autouse=True)
def a_machine_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sync nothing to the disk: here processes die, and the machine never does."""
    monkeypatch.setitem(opening.PRAGMAS, "synchronous", 0)
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def site(tmp_path: Path, found_vault: FoundVault) -> Iterator[Site]:
    """Return an installation with everybody on shift."""
    vault, force = found_vault(packs=[PACK])
    folder = tmp_path / "office"
    folder.mkdir()
    made = Site(vault, force, folder)
    yield made
    made.close()
