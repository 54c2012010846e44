"""A deployment that is open, to raise alerts in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from governance.alerts.support import Duty
from governance.deployment.support import PACK, Site
from governance.vaults import PEOPLE
from lfr_kernel.governance.audit import opening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from governance.alerts.support import OpenDuty
    from governance.conftest import FoundVault

OPERATORS = {"dan": ("operator",), "dot": ("operator",)}
"""Beside dee: two who assess, and a third."""


@pytest.fixture(autouse=True)
def a_machine_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sync nothing to the disk: here processes die, and the machine never does."""
    monkeypatch.setitem(opening.PRAGMAS, "synchronous", 0)
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def site(tmp_path: Path, found_vault: FoundVault) -> Iterator[Site]:
    """Return an installation with everybody on shift, three operators among them."""
    people = {**PEOPLE, **OPERATORS}
    vault, force = found_vault(people, packs=[PACK])
    folder = tmp_path / "office"
    folder.mkdir()
    made = Site(vault, force, folder, people)
    yield made
    made.close()


@pytest.fixture
def open_duty(site: Site) -> OpenDuty:
    """Return how a deployment is opened, with rules of the pack that are other than it says."""
    return lambda **rules: Duty(site, rules)


@pytest.fixture
def duty(open_duty: OpenDuty) -> Duty:
    """Return a deployment that is open, in which one person assesses."""
    return open_duty()
