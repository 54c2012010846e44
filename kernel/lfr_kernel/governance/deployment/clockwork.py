"""The latest time that is certain to have come, kept across starts; and the hold that a jump of the clock puts on it.

A clock that was set forward, and that nothing vouches for, must not delete anything: it would be deleted too early. So
purges are held until somebody confirms the clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import structs

from lfr_kernel.governance.audit.stamps import STAMPED, STAMPED_TOLERANCE_S, certain_by
from lfr_kernel.governance.deployment.register import deployments, save
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.instant import Instant, remember
from lfr_kernel.governance.standing import Stage, tied

if TYPE_CHECKING:
    from lfr_kernel.governance.audit.database import Database, Transaction
    from lfr_kernel.governance.keys.signing import Signer
    from lfr_kernel.governance.vault import Vault

__all__ = ["STAMPED_TOLERANCE_S", "confirm_clock", "confirmation", "hold_purges", "is_held", "known_time", "note_time"]


def confirmation(database: Database) -> int:
    """Return the number of the last entry by which somebody confirmed the clock; 0: none has."""
    return int(database.query("SELECT coalesce(max(number), 0) FROM entries WHERE act = 'clock_confirmed'")[0][0])


def known_time(database: Database) -> Instant | None:
    """Return the latest time that is certain to have come: by the last look, or by the entries of the chain.

    See `certain_by`. Takes as long as there are entries behind the last checkpoint.
    """
    rows = database.query("SELECT body FROM known_time")
    noted = msgspec.json.decode(rows[0][0], type=Instant) if rows else None
    known = certain_by(body for (body,) in database.query(STAMPED))
    if known is None or (noted is not None and noted.utc_ns >= known.utc_ns):
        return noted
    return known


def note_time(transaction: Transaction, last: Instant | None, now: Instant, *, tolerance_s: float) -> Instant:
    """Write down what `remember` makes of a look, and return it."""
    known = remember(last, now, tolerance_s=tolerance_s)
    transaction.execute(
        "INSERT INTO known_time (one, body) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET body = excluded.body",
        (msgspec.json.encode(known).decode(),),
    )
    return known


def hold_purges(transaction: Transaction) -> bool:
    """Hold purges from now on; return whether they were not held before."""
    return transaction.execute("INSERT INTO holds (kind) VALUES ('clock') ON CONFLICT DO NOTHING").rowcount == 1


def is_held(database: Database) -> bool:
    """Return whether purges are held."""
    return bool(database.query("SELECT 1 FROM holds WHERE kind = 'clock'"))


def confirm_clock(vault: Vault, by: Signer) -> None:
    """Let somebody say that the clock is right as it is: from now on it counts, and purges go on.

    What was authorised before the machine was started is tied to the clock anew; within a boot nothing is, since that
    would prolong it.

    Raises:
        RefusedError: `by` may not, or there is nothing to confirm.
    """
    now, last = vault.clocks(), known_time(vault.database)
    is_back = last is not None and now.utc_ns < last.utc_ns
    if not is_held(vault.database) and not is_back:
        raise RefusedError("there is nothing to confirm: the clock is not behind, and no purge is held")
    with vault.database.transaction() as transaction:
        transaction.execute("DELETE FROM holds WHERE kind = 'clock'")
        note_time(transaction, None, now, tolerance_s=0)
        for one in deployments(vault.database):
            if one.stage in {Stage.AUTHORISED, Stage.OPEN}:
                save(transaction, structs.replace(one, term=tied(one.term, now)))
        facts = {"was": None if last is None else last.utc_ns, "now": now.utc_ns}
        vault.act(transaction, "clock_confirmed", by=by, facts=facts)
