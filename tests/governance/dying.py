"""A day at an installation, ended by sudden death at each write in turn; run by test_dying.py as a process of its own.

`os.fork` wants a process without threads, which a test run is not.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from pathlib import Path
from typing import Any

from governance.vaults import NOON, PACK, PEOPLE, Clocks, Force
from lfr_kernel.governance.audit.database import Database
from lfr_kernel.governance.audit.export import export
from lfr_kernel.governance.audit.verifier import verify
from lfr_kernel.governance.installation import update_installation
from lfr_kernel.governance.people.sessions import end_session, hand_over, open_session, show_sessions, start_session

DEAD = 9


def day(force: Force, folder: Path) -> None:
    """Found a vault and work in it: every kind of write that people and installations do."""
    force.found(folder)
    with force.open(folder) as vault:
        dee = force.session(vault, "dee")
        with vault.database.transaction() as transaction:
            vault.act(transaction, "deployment_opened", by=dee, text="rain", deployment=7)
        hand_over(vault, "dee", force.people["eva"])
        update_installation(vault, open_session(vault, None), roster=force.roster(2))
        end_session(vault, None)


def die_at(point: int, force: Force, folder: Path) -> bool:
    """Live through the day in a process that dies instead of its `point`th sync; return whether it died."""
    child = os.fork()
    if not child:
        count = 0

        def die(_: int) -> None:
            nonlocal count
            count += 1
            if count == point:
                os._exit(DEAD)

        os.fsync = die
        day(force, folder)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, DEAD}, code
    return code == DEAD


def go_on(force: Force, folder: Path, log: Path) -> dict[str, Any]:
    """Do what people do after a crash, and return what is to be seen then."""
    if not (folder / "vault.db").exists() or is_empty(force, folder):
        force.found(folder)
    with force.open(folder) as vault:
        waiting = [one.person for one in show_sessions(vault)]
        for name in waiting:
            end_session(vault, name)
        start_session(vault, force.people["eva"])
        newer = force.roster(vault.roster.number + 1, issued=NOON + dt.timedelta(hours=1))
        update_installation(vault, open_session(vault, "eva"), roster=newer)
        end_session(vault, "eva")
        export(vault.database, log)
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        found = verify(lines, [], force.root.organisation.key).findings
        keys = [path.name for path in (folder / "sessions").glob("*.session")]
        return {"findings": found, "keys": keys, "waiting": waiting}


def is_empty(force: Force, folder: Path) -> bool:
    """Return whether a database has no entry yet."""
    with Database(folder / "vault.db", clocks=force.clocks) as database:
        return not database.head()[0]


def main(folder: Path) -> None:
    """Die at every point there is, and print what was found after each."""
    results: list[dict[str, Any]] = []
    os.fsync = lambda _: None  # a process dies here, not the machine
    while True:
        force = Force(PEOPLE, [PACK], Clocks())
        place = folder / str(len(results))
        died = die_at(len(results) + 1, force, place)
        results.append(go_on(force, place, folder / "log.jsonl"))
        if not died:
            break
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
