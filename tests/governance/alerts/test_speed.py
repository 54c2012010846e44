"""Ten thousand alerts: a list of them is there before anybody waits for it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from governance.alerts.support import Duty
from governance.deployment.support import PACK, Site
from governance.vaults import PEOPLE, Force
from lfr_kernel.governance.alerts.custody import expiry_s
from lfr_kernel.governance.alerts.outbox import Outbox
from lfr_kernel.governance.alerts.statements import Pictures, Proposal
from lfr_kernel.governance.alerts.store import keep
from lfr_kernel.governance.audit.anchors import anchor
from lfr_kernel.governance.instant import read_clocks

if TYPE_CHECKING:
    from pathlib import Path

    from lfr_kernel.governance.instant import Instant

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="CPU time of a process by wait4")]

ALERTS = 10_000
PICTURE_BYTES = int(os.environ.get("LFR_BENCH_PICTURE_BYTES", "64"))
"""15,000 each is about what a camera's crop takes: alerts are then 300 MB, and no slower to list."""
ANCHORED_EVERY = 1_000
CALLS = 5
CALL = (sys.executable, "-c", "from lfr_kernel.cli import script; script()", "alerts", "list")


class MachineClocks:
    """The clocks of the machine, as a process of its own reads them."""

    @property
    def now(self) -> Instant:
        return read_clocks()

    def __call__(self) -> Instant:
        return read_clocks()


class Took(NamedTuple):
    """Medians of a few calls, in milliseconds."""

    wall: float
    cpu: float
    out: str


@pytest.fixture
def vault_of_many(tmp_path: Path) -> Path:
    """Return a vault with so many alerts of a deployment that is open, each delivered; no kernel runs on it."""
    force = Force(PEOPLE, [PACK], MachineClocks())  # type: ignore[arg-type]
    vault = force.open(force.found(tmp_path / "vault"))
    office = tmp_path / "office"
    office.mkdir()
    site = Site(vault, force, office)
    duty = Duty(site, {})
    pictures = Pictures(reader="letters", probe=os.urandom(PICTURE_BYTES), listed=os.urandom(PICTURE_BYTES))
    alert_s, evidence_s = duty.lives_s
    outbox = Outbox(vault, duty.serial, "tally")
    for number in range(ALERTS):
        alert = duty.alert()
        expires = (expiry_s(alert.alerted_at_ns, alert_s), expiry_s(alert.alerted_at_ns, evidence_s))
        proposal = Proposal(alert=alert, about=None)
        assert keep(vault, duty.serial, proposal, pictures, expires=expires, sinks=("tally",))
        outbox.delivered(alert.id)
        if number % ANCHORED_EVERY == ANCHORED_EVERY - 1:  # as a run does every few minutes
            with vault.database.transaction() as transaction:
                anchor(transaction, vault.keyring, vault.installation.installation)
    site.close()
    vault.close()
    return vault.folder


def listing(vault: Path, *arguments: str) -> Took:
    """Call the command in processes of their own."""
    walls, cpus, out = [], [], ""
    for _ in range(CALLS):
        before = time.perf_counter()
        with subprocess.Popen(  # noqa: S603  (our own command)
            [*CALL, "--vault", str(vault), *arguments], stdout=subprocess.PIPE, encoding="utf-8"
        ) as process:
            assert process.stdout is not None
            out = process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        walls.append(time.perf_counter() - before)
        cpus.append(used.ru_utime + used.ru_stime)
        assert process.returncode == 0
    took = Took(statistics.median(walls) * 1e3, statistics.median(cpus) * 1e3, out)
    print(f"alerts list {' '.join(arguments)}: {took.wall:.0f} ms, {took.cpu:.0f} ms of CPU time")  # noqa: T201
    return took


def test_ten_thousand_alerts_are_listed_at_once(vault_of_many: Path) -> None:
    newest, every = listing(vault_of_many), listing(vault_of_many, "--json", "--all")
    found = json.loads(every.out)
    assert len(found) == ALERTS
    assert [one["id"] for one in found[:40]] == [line.split()[0] for line in newest.out.splitlines()[1:41]]
    # CPU time, since whatever else runs here meanwhile takes time as well. The promises are of a machine at rest:
    # 300 ms on the clock, and here twice that.
    assert newest.cpu < 600
    assert every.cpu < 1_200
