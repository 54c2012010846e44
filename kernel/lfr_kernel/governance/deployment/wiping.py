"""The wipe: the key first, then everything else, then a receipt. Whatever is open, and whatever happens in between.

ending ─▶ key destroyed ─▶ memory cleared ─▶ files removed ─▶ database compacted ─▶ receipt signed: closed

Each step is harmless when it is done again, so a wipe that was cut short is simply done again, at the next start.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import structs

from lfr_kernel.governance.audit.anchors import anchor
from lfr_kernel.governance.audit.chain import iso_of
from lfr_kernel.governance.deployment.clockwork import known_time
from lfr_kernel.governance.deployment.custody import destroy_key, has_key
from lfr_kernel.governance.deployment.register import end, find, save, unclosed, withdrawn
from lfr_kernel.governance.deployment.statements import RECEIPT, WipeReceipt
from lfr_kernel.governance.errors import AuditError, KeyFileError
from lfr_kernel.governance.keys.files import destroy_file, is_destroyed, sync_folder
from lfr_kernel.governance.keys.signing import Envelope, sign
from lfr_kernel.governance.standing import Event, Stage, Standing, advance, stand

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lfr_kernel.governance.deployment.register import Deployment
    from lfr_kernel.governance.instant import Instant
    from lfr_kernel.governance.vault import Vault

__all__ = ["commitments_of", "folder_of", "receipt_of", "settle", "wipe"]

SALT_PURPOSE = b"lfr-commitments-1"
FOLDER = "deployments"
UNSTARTED_TOLERANCE_S = 0.0
RAISED = """SELECT count(*) FROM entries WHERE act = 'alert_raised'
    AND json_extract(body, '$.facts.deployment') = ?"""


def folder_of(vault: Vault, deployment: Deployment) -> Path:
    """Return where the working copy of a deployment's list lies."""
    return vault.folder / FOLDER / f"{deployment.serial:06d}"


def commitments_of(key: bytes, leaves: Iterable[bytes]) -> list[str]:
    """Return the commitments of a list's rows, hexadecimal, in ascending order.

    Args:
        key: of the deployment: the salts are made from it and die with it.
        leaves: hashes of the sealed rows.
    """
    salt = hmac.digest(key, SALT_PURPOSE, hashlib.sha256)
    return sorted(hmac.digest(salt, leaf, hashlib.sha256).hex() for leaf in leaves)


def wipe(vault: Vault, serial: int) -> Iterator[str]:
    """Do the steps of a wipe and yield the name of each as it is done. The last one closes the deployment.

    The caller clears index and memory between `key_destroyed` and what follows; after a restart there is nothing to
    clear. Steps that were done before a crash are done again.

    Args:
        vault: the installation's.
        serial: of a deployment that is ending.

    Raises:
        AuditError: the database cannot be written; the key is destroyed all the same.
    """
    deployment = find(vault.database, serial)
    destroy_key(vault, deployment)
    if deployment.opened_ns is None:
        # Of its list there is nothing here but what an opening left that was cut short: the receipt claims no more.
        _remove_files(vault, deployment)
        _close(vault, serial)
        yield "closed"
        return
    _done(vault, serial, "key_destroyed")
    yield "key_destroyed"
    _done(vault, serial, "memory_cleared")
    yield "memory_cleared"
    _done(vault, serial, "files_removed" if _remove_files(vault, deployment) else "sealed_list_not_removed")
    yield "files_removed"
    with vault.database.transaction() as transaction:
        transaction.execute("UPDATE deployments SET key = NULL WHERE serial = ?", (serial,))
        transaction.execute("DELETE FROM withdrawals WHERE list = ?", (deployment.list,))
    _done(vault, serial, "database_compacted" if _is_compacted(vault) else "log_not_emptied")
    yield "database_compacted"
    _close(vault, serial)
    yield "closed"


def _is_compacted(vault: Vault) -> bool:
    """Compact the database; return whether its log could be emptied, which another process may hold up that reads.

    What is left in the log then is of no use without the key, and goes with the next compaction.
    """
    try:
        vault.database.scrub()
    except AuditError:
        return False
    return True


def _done(vault: Vault, serial: int, step: str) -> None:
    with vault.database.transaction() as transaction:
        deployment = find(vault.database, serial)
        count = deployment.withdrawn_count
        if step == "key_destroyed":
            count = max(count, len(withdrawn(vault.database, deployment.list)))
        before = tuple(one for one in deployment.steps if one[0] != step)
        steps = (*before, (step, iso_of(vault.clocks().utc_ns)))
        save(transaction, structs.replace(deployment, steps=steps, withdrawn_count=count))


def _remove_files(vault: Vault, deployment: Deployment) -> bool:
    """Remove the working copy; return whether the sealed list is gone, too: it may lie where nobody can write."""
    folder = folder_of(vault, deployment)
    if folder.exists():
        for path in sorted(folder.iterdir()):
            destroy_file(path)
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise KeyFileError(f"{folder} could not be removed: {error.strerror}; remove it yourself") from error
        sync_folder(folder.parent)
    return remove_source(deployment)


def remove_source(deployment: Deployment) -> bool:
    """Remove the sealed list from which the working copy was made; return whether it is not where it was any more.

    What lies there and cannot be read may be the list: nobody claims that it is gone.
    """
    source = Path(deployment.source)
    try:
        if not deployment.source or not source.exists():
            return True
        if not _is_list(source, deployment.list):
            return True
        destroy_file(source)
    except OSError:
        with contextlib.suppress(OSError):
            return not source.exists()
        return False
    return True


def _is_list(path: Path, list_id: str) -> bool:
    """Return whether a file is a list, or was: its destruction begins at the front, where no list has zeros.

    Raises:
        OSError: it cannot be read.
    """
    # Each command looks whether something is to be wiped; few ever find a list.
    from lfr_kernel.governance.lists.file import ListFile  # noqa: PLC0415
    from lfr_kernel.governance.lists.framing import MAGIC, ListFileError  # noqa: PLC0415

    with path.open("rb") as file:
        if is_destroyed(file.read(len(MAGIC))):
            return True
    try:
        return ListFile.open(path).header.id == list_id
    except ListFileError:
        return False


def _close(vault: Vault, serial: int) -> None:
    with vault.database.transaction() as transaction:
        deployment = find(vault.database, serial)
        now = iso_of(vault.clocks().utc_ns)
        (kept,) = transaction.execute("SELECT commitments FROM deployments WHERE serial = ?", (serial,)).fetchone()
        receipt = WipeReceipt(
            installation=vault.installation.installation,
            serial=serial,
            authority=deployment.authority,
            list=deployment.list,
            root=deployment.root,
            entries=deployment.authorisation.entries,
            withdrawn=deployment.withdrawn_count,
            opened=None if deployment.opened_ns is None else iso_of(deployment.opened_ns),
            ended=iso_of(deployment.ended_ns or 0),
            why=deployment.why,
            ending="" if deployment.ending is None else deployment.ending.value,
            passages_seen=deployment.seen,
            # The last ones may have been kept after the run had counted.
            alerts=max(deployment.alerts, _raised(vault, serial)),
            steps=(*deployment.steps, ("receipt_signed", now)),
            commitments=tuple(msgspec.json.decode(kept, type=list[str])) if kept else (),
        )
        signed = sign(RECEIPT, receipt, vault.signer)
        stage = advance(deployment.stage, Event.WIPED, authority=deployment.authority)
        save(transaction, structs.replace(deployment, stage=stage))
        transaction.execute(
            "UPDATE deployments SET receipt = ?, commitments = NULL WHERE serial = ?",
            (msgspec.json.encode(signed).decode(), serial),
        )
        facts = {
            "deployment": serial,
            "entries": receipt.entries,
            "withdrawn": receipt.withdrawn,
            "passages_seen": receipt.passages_seen,
            "alerts": receipt.alerts,
            "ending": receipt.ending,
            "receipt": hashlib.sha256(signed.body).hexdigest(),
        }
        vault.act(transaction, "wiped", by=vault.signer, facts=facts)
        anchor(transaction, vault.keyring, vault.installation.installation)


def _raised(vault: Vault, serial: int) -> int:
    rows = vault.database.query(RAISED, (serial,))
    return int(rows[0][0])


def receipt_of(vault: Vault, serial: int) -> Envelope | None:
    """Return the signed `WipeReceipt` of a deployment; None while there is none."""
    find(vault.database, serial)
    ((receipt,),) = vault.database.query("SELECT receipt FROM deployments WHERE serial = ?", (serial,))
    return None if receipt is None else msgspec.json.decode(receipt, type=Envelope)


def settle(vault: Vault, *, but: int | None = None, last: Instant | None = None) -> list[int]:
    """End what is over, and finish every wipe that was begun; return the serial numbers of what was closed.

    To be called while no kernel runs on this vault, at each start and by commands, or by the kernel that does.

    Args:
        vault: the installation's.
        but: leave this deployment alone: it runs, and its end is its warden's.
        last: the latest time that is certain to have come; looked for in the whole chain if not given.

    Raises:
        AuditError: the database cannot be written; keys were destroyed all the same.
        KeyFileError: a key could not be overwritten, or not removed; the others were destroyed all the same.
    """
    over: list[tuple[Deployment, str]] = []
    failure: KeyFileError | None = None
    found = [one for one in unclosed(vault.database) if one.serial != but]
    if found and last is None:
        last = known_time(vault.database)
    for deployment in found:
        why = _why_over(vault, deployment, last)
        if why:
            over.append((deployment, why))
            # All keys first: where the database cannot be written, nothing after this is done.
            try:
                destroy_key(vault, deployment)
            except KeyFileError as error:
                failure = failure or error
    if failure is not None:
        raise failure
    for deployment, why in over:
        if deployment.stage is not Stage.ENDING:
            end(vault, deployment.serial, signer=None, why=why, failed=deployment.is_capturing)
        for _ in wipe(vault, deployment.serial):
            pass
    return [deployment.serial for deployment, _ in over]


def _why_over(vault: Vault, deployment: Deployment, last: Instant | None) -> str:
    """Return why a deployment that is not closed is over; empty if it is not."""
    if deployment.stage is Stage.ENDING:
        return deployment.why
    if stand(deployment.term, vault.clocks(), last, tolerance_s=UNSTARTED_TOLERANCE_S) is Standing.ENDED:
        return "clock"
    # A key that is gone while the register says "open": the end was cut short before it could be written.
    return "key_gone" if deployment.stage is Stage.OPEN and not has_key(vault, deployment) else ""
