"""How an installation comes to be, and how it learns of new people and packs."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from lfr_kernel.governance.audit.checkpoints import found_checkpoints
from lfr_kernel.governance.audit.database import Database
from lfr_kernel.governance.errors import KeyFileError, RefusedError
from lfr_kernel.governance.keys.envelopes import read_envelope, write_envelope
from lfr_kernel.governance.keys.keyring import Keyring
from lfr_kernel.governance.keys.signing import KeySigner, sign, verify
from lfr_kernel.governance.people.roles import require_good
from lfr_kernel.governance.people.roster import RosterError, problems_of
from lfr_kernel.governance.people.statements import REQUEST, Request, written
from lfr_kernel.governance.vault import DATABASE, KEYS, SEALING, SIGNING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lfr_kernel.governance.instant import Instant
    from lfr_kernel.governance.keys.keyring import Sealer
    from lfr_kernel.governance.keys.signing import Envelope, Signer
    from lfr_kernel.governance.people.organisation import Organisation
    from lfr_kernel.governance.people.statements import Packs, Roster
    from lfr_kernel.governance.vault import Vault

__all__ = ["REQUEST_FILE", "found_installation", "new_installation", "update_installation"]

REQUEST_FILE = "request.json"


def new_installation(folder: Path, name: str, sealer: Sealer | None = None) -> Request:
    """Make the keys of an installation, and the request that the organisation is to certify.

    Args:
        folder: of the vault to be; made when it is not there.
        name: what people call the installation.
        sealer: what the machine offers to keep keys to itself.

    Raises:
        RefusedError: the folder holds something already, or the name cannot be one.
        KeyFileError: it cannot be made.
    """
    signing, sealing = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
    try:
        request = msgspec.convert(
            {
                "installation": secrets.token_hex(16),
                "name": name,
                "signing": signing.public_key().public_bytes_raw().hex(),
                "sealing": sealing.public_key().public_bytes_raw().hex(),
            },
            Request,
        )
    except msgspec.ValidationError:
        raise RefusedError(
            f"expected a name of up to 64 letters, digits, -, _ and ., without spaces, got {name!r}"
        ) from None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The folder may be one that somebody made before, for everybody to read.
        folder.chmod(0o700)
        # What a crash left of an earlier try is in nobody's way.
        found = sorted(
            one.name for one in folder.iterdir() if one.name != KEYS and not one.name.startswith(f".{REQUEST_FILE}.")
        )
    except OSError as error:
        raise KeyFileError(f"{folder}: expected a folder that can be made, got: {error.strerror}") from None
    if found:
        raise RefusedError(
            f"expected a folder that is empty or not there yet, and {folder} has {found[0]}: choose another"
        )
    keyring = Keyring(folder / KEYS, sealer)
    keyring.put(SIGNING, signing.private_bytes_raw())
    keyring.put(SEALING, sealing.private_bytes_raw())
    # The request comes last: where it is, the keys are, too.
    signer = KeySigner("installation", signing.private_bytes_raw())
    write_envelope(folder / REQUEST_FILE, sign(REQUEST, request, signer))
    return request


def found_installation(
    folder: Path,
    organisation: Organisation,
    *,
    certificate: Envelope,
    roster: Envelope,
    packs: Envelope,
    clocks: Callable[[], Instant],
    sealer: Sealer | None = None,
) -> None:
    """Begin the chain of an installation with what its organisation signed: all of it holds, or nothing is done.

    Args:
        folder: of the vault, where `new_installation` left its keys.
        organisation: whom the installation believes from now on.
        certificate: of this installation.
        roster: who may act.
        packs: which rule packs count.
        clocks: tells the time.
        sealer: what the machine offers to keep keys to itself.

    Raises:
        SignatureError: something is not signed by the organisation.
        RefusedError: the certificate is another installation's, or the vault was founded already.
        RosterError: a person combines roles that the packs keep apart, or the like.
    """
    keyring = Keyring(folder / KEYS, sealer)
    if not (folder / REQUEST_FILE).exists():
        raise RefusedError(f"{folder} has no {REQUEST_FILE}: first lfr-kernel installation new {folder} --name NAME")
    signer = KeySigner("installation", keyring.get(SIGNING))
    request = verify(read_envelope(folder / REQUEST_FILE), REQUEST, Request, [signer.public])
    certified = organisation.certificate(certificate)
    if (certified.installation, certified.signing, certified.sealing) != (
        request.installation,
        request.signing,
        request.sealing,
    ):
        raise RefusedError(
            f"the certificate is that of installation {certified.installation} ({certified.name}), and {folder} is "
            f"{request.installation} ({request.name}): have {folder / REQUEST_FILE} certified (lfr-kernel org certify)"
        )
    _judge(organisation.roster(roster), organisation.packs(packs))
    path = folder / DATABASE
    # An empty one is what a crash left that came before the first entry.
    with Database(path, clocks=clocks) if path.exists() else Database.create(path, clocks=clocks) as database:
        if database.query("SELECT 1 FROM entries LIMIT 1"):
            raise RefusedError(f"{folder} was founded already: for new people or packs, lfr-kernel installation update")
        facts = {
            "organisation": organisation.key,
            "organisation_name": organisation.name,
            "certificate": certificate,
            "roster": roster,
            "packs": packs,
            "checkpoint": found_checkpoints(keyring).hex(),
        }
        with database.transaction() as transaction:
            transaction.append("founded", signer=signer, facts=facts)


def update_installation(
    vault: Vault, by: Signer, *, roster: Envelope | None = None, packs: Envelope | None = None
) -> None:
    """Take in a newer roster, newer packs, or both at once: all of it holds, or nothing is done.

    Args:
        vault: that is to know them.
        by: the session of whoever does it.
        roster: None: stays as it is.
        packs: likewise.

    Raises:
        SignatureError: something is not signed by the organisation of this vault.
        RefusedError: it is no newer than what is in force, or `by` may not do this.
        RosterError: a person combines roles that the packs keep apart, or the like.
    """
    if roster is None and packs is None:
        raise RefusedError("expected a roster, packs, or both, got nothing that is new")
    new_roster = vault.organisation.roster(roster) if roster else vault.roster
    new_packs = vault.organisation.packs(packs) if packs else vault.packs
    _judge(new_roster, new_packs)
    _require_good_after(new_roster, vault, by)
    with vault.database.transaction() as transaction:
        # Judged within the transaction, so that two updates at once cannot both find themselves the newest.
        if roster is not None:
            if new_roster.number <= vault.roster.number:
                raise RefusedError(
                    f"expected a roster above number {vault.roster.number}, got number {new_roster.number}"
                )
            vault.act(transaction, "roster_installed", by=by, facts={"roster": roster, "number": new_roster.number})
        if packs is not None:
            if new_packs.issued <= vault.packs.issued:
                raise RefusedError(
                    f"expected packs that were signed after {written(vault.packs.issued)}, got ones of "
                    f"{written(new_packs.issued)}"
                )
            vault.act(transaction, "packs_installed", by=by, facts={"packs": packs})


def _require_good_after(roster: Roster, vault: Vault, by: Signer) -> None:
    """Nobody installs their own end: the roster counts from its entry on, whose signature would then be nobody's."""
    name = by.name.removeprefix("person ")
    member = roster.member(name)
    if member is None:
        raise RefusedError(f"{name} is not on roster {roster.number}, and so cannot be the one who installs it")
    require_good(member, vault.wall_time())


def _judge(roster: Roster, packs: Packs) -> None:
    if found := problems_of(roster, packs.separate_roles):
        raise RosterError(f"roster {roster.number}", found)
