"""Checkpoints: entries signed by keys that evolve. Each names the next key and is the last thing its own key signs.

Whoever takes the machine over finds the present key, and none that could sign an earlier checkpoint anew.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from lfr_kernel.governance.audit.stamps import STAMPED, certain_by
from lfr_kernel.governance.errors import AuditError, KeyFileError
from lfr_kernel.governance.keys.signing import KeySigner

if TYPE_CHECKING:
    from lfr_kernel.governance.audit.chain import Entry
    from lfr_kernel.governance.audit.database import Database, Transaction
    from lfr_kernel.governance.keys.keyring import Keyring

__all__ = ["checkpoint", "found_checkpoints", "tidy_checkpoints"]

FILE = re.compile(r"checkpoint-(\d{6,})\.key\Z")
NEWEST = """SELECT body FROM entries WHERE act IN ('founded', 'checkpoint') ORDER BY number DESC LIMIT 1"""


def found_checkpoints(keyring: Keyring) -> bytes:
    """Make the first key and return its public part, for `founded`. Raises KeyFileError if it cannot be kept."""
    return KeySigner("checkpoint", keyring.make(_name(1))).public


def checkpoint(transaction: Transaction, keyring: Keyring) -> Entry:
    """Append a checkpoint. Its key is destroyed as soon as the transaction is committed.

    The next key is kept before that: after a crash there is at least the key that the chain names. What is left over
    `tidy_checkpoints` removes.

    Raises:
        AuditError: the key that the chain names is not there; see `tidy_checkpoints`.
        KeyFileError: a key cannot be read, kept or destroyed.
    """
    number, signer = _current(transaction.execute(NEWEST).fetchone(), keyring)
    following = KeySigner("checkpoint", keyring.make(_name(number + 1)))
    known = certain_by(body for (body,) in transaction.execute(STAMPED))
    facts = {"checkpoint": number, "next": following.public.hex(), "known": known}
    entry = transaction.append("checkpoint", signer=signer, facts=facts)
    transaction.afterwards.append(partial(_destroy, keyring, number))
    return entry


def tidy_checkpoints(database: Database, keyring: Keyring) -> None:
    """Destroy what a crash may have left: keys older than the one that the chain names, and newer. At each open.

    Raises:
        AuditError: the chain is empty, or the key that it names is not there or another: the database or the keys were
            put back to an older state. Nothing is destroyed then.
        KeyFileError: a key cannot be read or destroyed.
    """
    # Nobody makes a checkpoint while this holds the database.
    with database.transaction() as transaction:
        number, _ = _current(transaction.execute(NEWEST).fetchone(), keyring)
        found = [FILE.match(path.name) for path in keyring.folder.iterdir()]
        for other in sorted(int(one[1]) for one in found if one):
            if other != number:
                _destroy(keyring, other)


def _current(newest: tuple[str] | None, keyring: Keyring) -> tuple[int, KeySigner]:
    if newest is None:
        raise AuditError(f"expected an audit that was founded, got an empty one, beside the keys in {keyring.folder}")
    entry = msgspec.json.decode(newest[0])
    facts = entry["facts"]
    number = facts["checkpoint"] + 1 if entry["act"] == "checkpoint" else 1
    public = facts["next"] if entry["act"] == "checkpoint" else facts["checkpoint"]
    signer = KeySigner("checkpoint", keyring.get(_name(number))) if keyring.has(_name(number)) else None
    if signer is None or signer.public.hex() != public:
        raise AuditError(
            f"{keyring.folder}: expected the key of checkpoint {number}, which entry {entry['n']} of the audit names, "
            f"got {'none' if signer is None else 'another'}: the database or the keys were put back to an older state; "
            "keep both as they are and verify the audit against the anchors"
        )
    return number, signer


def _destroy(keyring: Keyring, number: int) -> None:
    try:
        keyring.destroy(_name(number))
    except OSError as error:
        raise KeyFileError(
            f"{keyring.folder}: the key of checkpoint {number} cannot be destroyed ({error.strerror or error}), so "
            "that whoever finds it could sign that checkpoint anew; the log itself was written. Make the folder "
            "writable and start again: it is tried at each start"
        ) from error


def _name(number: int) -> str:
    return f"checkpoint-{number:06d}"
