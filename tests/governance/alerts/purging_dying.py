"""Purges in processes that kill themselves at one point after another; run by test_purge_killed.py.

A folder with a vault of which everything is too old is copied for each death. A script of its own, since `os.fork`
wants a process without threads, which a test run is not.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.alerts.conftest import OPERATORS
from governance.alerts.remains import left_of, of_alerts, rows_of
from governance.alerts.support import Duty
from governance.deployment.support import NOTHING_SEEN, PACK, Site
from governance.sudden import Death, _forked
from governance.vaults import PEOPLE, Clocks, Force
from lfr_kernel.governance.alerts.vocabulary import Verdict
from lfr_kernel.governance.audit import opening
from lfr_kernel.governance.audit.export import lines_of
from lfr_kernel.governance.audit.verifier import verify
from lfr_kernel.governance.deployment.register import end
from lfr_kernel.governance.record.making import signed_record
from lfr_kernel.governance.retention import retain
from lfr_kernel.governance.vault import Vault

if TYPE_CHECKING:
    from governance.canaries import Needles

FORCE = Force({**PEOPLE, **OPERATORS}, [PACK], Clocks())
PURGED = ["alerts_expired", "alerts_purged", "pictures_purged", "record_signed", "texts_purged"]


def prepare(folder: Path) -> tuple[list[str], Needles]:
    """Make a vault of which everything is too old; return its alerts, and what must not be left of them."""
    vault = FORCE.open(FORCE.found(folder / "vault"))
    (folder / "office").mkdir()
    site = Site(vault, FORCE, folder / "office")
    duty = Duty(site, {"text_days": 2})
    alerts = [duty.plant(sinks=["radio"]) for _ in range(2)]
    duty.assess(alerts[0], Verdict.DISMISS)
    needles = of_alerts(vault, alerts)
    end(vault, 1, signer=site.signers["dee"], why="closed", text="rain")
    duty.governed.begin_end("closed", NOTHING_SEEN)
    duty.governed.finish()
    site.close()
    needles["text"] = [vault.keyring.get("text-1")]
    vault.close()
    FORCE.clocks.pass_(days=3)
    return alerts, needles


def die(folder: Path, point: int | None) -> None:
    """Purge, and die at a point."""
    death = Death(point)
    death.lurk()
    with Vault.open(folder / "vault", clocks=FORCE.clocks) as vault:
        retain(vault)
    (folder / "count").write_text(str(death.operations), encoding="utf-8")


def go_on(folder: Path, alerts: list[str], needles: Needles) -> dict[str, Any]:
    """Open what a death has left, and purge; return what is to be seen then."""
    with Vault.open(folder / "vault", clocks=FORCE.clocks) as vault:
        retain(vault)
        acts = [one.act for one in vault.database.entries() if one.act in PURGED]
        (expired,) = vault.database.query("SELECT body FROM entries WHERE act = 'alerts_expired'")[0]
        found = {
            "acts": sorted(acts),
            "counted": json.loads(expired)["facts"]["counted"]["raised"],
            "rows": rows_of(vault, alerts),
            "left": sorted(left_of(folder / "vault", needles)),
            "purges": vault.database.query("SELECT count(*) FROM purges")[0][0],
            "keys": [one for one in vault.keyring.names() if one.startswith(("alert-", "evidence-", "text-1"))],
            "has_record": signed_record(vault, 1) is not None,
        }
    found["findings"] = verify(list(lines_of(folder / "vault" / "vault.db")), [], FORCE.root.organisation.key).findings
    return found


def main(folder: Path) -> None:
    """Die at every point there is, and print what was found after each."""
    os.umask(0o077)
    # Processes die here, and the machine goes on.
    os.fsync = lambda _: None
    opening.PRAGMAS["synchronous"] = 0
    alerts, needles = prepare(folder / "begun")
    shutil.copytree(folder / "begun", folder / "counted")
    assert os.waitstatus_to_exitcode(_forked(partial(die, folder / "counted", None))) == 0
    points = 2 * int((folder / "counted" / "count").read_text(encoding="utf-8"))
    results = []
    for point in range(points):
        place = shutil.copytree(folder / "begun", folder / str(point))
        ended = os.waitstatus_to_exitcode(_forked(partial(die, place, point)))
        results.append({"ended": ended, **go_on(place, alerts, needles)})
        shutil.rmtree(place)
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
