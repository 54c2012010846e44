"""Hands one alert on to a case system, sealed to its key: before the alert expires, and never without saying so."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from lfr_kernel.governance.alerts.statements import Pictures, Proposal, Step  # noqa: TC001  (msgspec resolves them)
from lfr_kernel.governance.alerts.states import State, case_of, is_secret
from lfr_kernel.governance.alerts.store import Kept, find, pictures_of, proposal_of, steps_of
from lfr_kernel.governance.deployment.register import find as find_deployment
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.keys.files import write_whole
from lfr_kernel.governance.keys.recipient import fingerprint_of, seal_for
from lfr_kernel.governance.keys.signing import Envelope, sign

if TYPE_CHECKING:
    from pathlib import Path

    from lfr_kernel.governance.alerts.vocabulary import Reason
    from lfr_kernel.governance.people.recipients import Recipient
    from lfr_kernel.governance.people.signer import SessionSigner
    from lfr_kernel.governance.vault import Vault

__all__ = ["ALERT", "Exported", "export"]

ALERT = "alert-export"
"""The kind of envelope that an `Exported` comes in, and the purpose that it is sealed for."""


class Exported(Struct, frozen=True, kw_only=True):
    """An alert with everything that is known of it, as the installation signs it for its recipient."""

    format: Literal["lfr-alert-1"] = "lfr-alert-1"
    organisation: str
    installation: str
    certificate: Envelope
    """The organisation's, of the installation that signed this."""
    deployment: int
    authority: str
    kept: Kept
    proposal: Proposal
    pictures: Pictures | None
    """Base64; None once they have expired."""
    steps: tuple[Step, ...]
    """In order, corrections included."""
    state: State
    disclosed_by: str
    disclosed_to: str
    reason: str


def export(
    vault: Vault, alert: str, by: SessionSigner, recipient: Recipient, path: Path, *, reason: Reason, text: str | None
) -> Kept:
    """Write an alert to a file that its recipient alone can open, and say in the chain who gave what to whom, and why.

    Args:
        vault: the installation's.
        alert: its id, or the beginning of it.
        by: the session of whoever discloses it.
        recipient: to whom.
        path: of the file, which is not there yet.
        reason: why.
        text: free text; kept encrypted.

    Raises:
        RefusedError: there is no such alert any more, two people are still assessing it, the file is there already or
            cannot be written, or somebody may not.
        AuditError: the disclosure cannot be written down: then there is no file either.
    """
    if path.exists():
        raise RefusedError(f"{path} is there already: nothing is overwritten; move it away, or give another --out")
    if not os.access(path.parent, os.W_OK):
        raise RefusedError(f"{path}: expected a folder that can be written to, got none such; nothing was disclosed")
    with vault.database.transaction() as transaction:
        kept = find(vault.database, alert)
        vault.may("alert_disclosed", by, deployment=kept.deployment)
        sealed = _sealed(vault, kept, by, recipient, reason)
        facts = {
            "deployment": kept.deployment,
            "alert": kept.id,
            "recipient": recipient.name,
            "key": fingerprint_of(recipient.public),
            "digest": hashlib.sha256(sealed).hexdigest(),
        }
        entry = vault.act(
            transaction, "alert_disclosed", by=by, facts=facts, reason=reason, text=text, deployment=kept.deployment
        )
    # Nothing of it is on the disk before the disclosure is in the chain for good.
    try:
        write_whole(path, sealed)
    except OSError as error:
        raise RefusedError(
            f"{path}: cannot be written: {error.strerror or error}; entry {entry.number} of the audit says that it was "
            "disclosed, and there is no file: do it again where it can be"
        ) from None
    return kept


def _sealed(vault: Vault, kept: Kept, by: SessionSigner, recipient: Recipient, reason: Reason) -> bytes:
    """Return what the recipient gets of an alert. Raises as `export` does."""
    deployment = find_deployment(vault.database, kept.deployment)
    handling, steps = deployment.authorisation.handling, steps_of(vault, kept)
    case = case_of(steps, handling)
    # Also while neither has: else whoever is the second learned by it whether the first has.
    if is_secret(case, handling):
        raise RefusedError(
            f"alert {kept.id} is being assessed by {handling.assessors} people, neither of whom may see whether or "
            "how the other did: expected it to be decided on first"
        )
    exported = Exported(
        organisation=vault.organisation.name,
        installation=vault.installation.installation,
        certificate=vault.certificate,
        deployment=kept.deployment,
        authority=deployment.authority,
        kept=kept,
        proposal=proposal_of(vault, kept),
        pictures=pictures_of(vault, kept),
        steps=tuple(steps),
        state=case.state,
        disclosed_by=by.name,
        disclosed_to=recipient.name,
        reason=reason,
    )
    signed = msgspec.json.encode(sign(ALERT, exported, vault.signer))
    about = {"alert": kept.id, "installation": exported.installation}
    return seal_for(recipient.public, ALERT, signed, about)
