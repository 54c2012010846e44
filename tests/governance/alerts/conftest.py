"""A deployment that is open, to raise alerts in."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

import pytest

from governance.alerts.playing import play, rows
from governance.alerts.support import Duty
from governance.deployment.support import PACK, Site
from governance.vaults import PEOPLE, Clocks, Force
from lfr_kernel.governance.audit import opening
from lfr_kernel.governance.keys import sealing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from governance.alerts.playing import Story
    from governance.alerts.support import OpenDuty
    from governance.conftest import FoundVault

BEFORE_MIDNIGHT = dt.datetime(2030, 6, 1, 23, 36, tzinfo=dt.UTC)
"""When the story begins: some of what it raises expires a day before the rest."""
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


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Return what was played; its folder is the folder of work, and its clocks are those of the commands."""
    folder = tmp_path_factory.mktemp("forty")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(opening.PRAGMAS, "synchronous", 0)
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(sealing, "SCRYPT_N", 2**4)
        people = {**PEOPLE, **OPERATORS}
        force = Force(people, [PACK], Clocks(BEFORE_MIDNIGHT))
        for module in ("asking", "authority", "retention"):
            patch.setattr(f"lfr_kernel.cli.{module}.read_clocks", force.clocks)
        patch.chdir(folder)
        patch.setenv("LFR_VAULT", "vault")
        patch.setenv("COLUMNS", "100")
        patch.delenv("LFR_AS", raising=False)
        with force.open(force.found(folder / "vault")) as vault:
            site = Site(vault, force, folder, people)
            site.rows = rows()
            yield play(site)
            site.close()
