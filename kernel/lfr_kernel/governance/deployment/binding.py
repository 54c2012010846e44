"""What people signed about a deployment, and whether the register still says the same.

The register is a file that the account of this machine can write. So what a run may do is read from signatures, in the
chain, by sessions that people's own keys certified: the register is held against that, and is not believed by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from lfr_kernel.governance.audit.chain import iso_of, ns_of
from lfr_kernel.governance.deployment.register import document_of
from lfr_kernel.governance.deployment.statements import AUTHORITY, EXTENSION, Authorisation, Extension
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.keys.signing import Envelope, key_id, verify
from lfr_kernel.governance.people.roles import require
from lfr_kernel.governance.people.statements import SESSION, SessionCertificate

if TYPE_CHECKING:
    from lfr_kernel.governance.deployment.register import Deployment
    from lfr_kernel.governance.vault import Vault

__all__ = ["verify_signed"]

T = TypeVar("T")
ENTRIES = """SELECT body FROM entries WHERE act = ? AND json_extract(body, '$.facts.deployment') = ? ORDER BY number"""
STARTS = """SELECT body FROM entries WHERE act = 'session_started' AND json_extract(body, '$.key') = ?"""


def verify_signed(vault: Vault, deployment: Deployment) -> None:
    """See that a deployment is what an authoriser signed, with the extensions that one signed.

    Args:
        vault: the installation's.
        deployment: as the register has it.

    Raises:
        RefusedError: the register says something else than was signed.
        SignatureError: nobody who may has signed it.
    """
    signed = deployment.authorisation
    if _signed(vault, deployment, "authorised", AUTHORITY, Authorisation) != [signed]:
        raise _tampered(deployment, "its authorisation is not the one in the chain")
    document = document_of(vault, deployment)
    ends_ns = document.ends_ns
    for extension in _signed(vault, deployment, "authority_extended", EXTENSION, Extension):
        ends_ns = ns_of(extension.ends)
    expected = (signed.serial, signed.authority, signed.list, signed.root, document.starts_ns, ends_ns)
    term = deployment.term
    found = (
        deployment.serial, deployment.authority, deployment.list, deployment.root, term.starts_ns, term.ends_ns
    )  # fmt: skip
    if found != expected or signed.installation != vault.installation.installation:
        raise _tampered(deployment, f"expected an end at {iso_of(ends_ns)} and list {signed.list}")


def _signed(vault: Vault, deployment: Deployment, act: str, kind: str, into: type[T]) -> list[T]:
    found = []
    for (text,) in vault.database.query(ENTRIES, (act, deployment.serial)):
        body = msgspec.json.decode(text)
        envelope = msgspec.convert(body["facts"]["signed"], Envelope)
        found.append(verify(envelope, kind, into, [_session_key(vault, act, body)]))
    return found


def _session_key(vault: Vault, act: str, body: dict[str, Any]) -> bytes:
    """Return the key of the session that signed an entry, if its person may do the act and had certified it."""
    for (text,) in vault.database.query(STARTS, (body["key"],)):
        envelope = msgspec.convert(msgspec.json.decode(text)["facts"]["certificate"], Envelope)
        claimed = msgspec.json.decode(envelope.body, type=SessionCertificate)
        member = vault.roster.member(claimed.person)
        if member is None:
            break
        certificate = verify(envelope, SESSION, SessionCertificate, [bytes.fromhex(member.signing)])
        require(act, member)
        key = bytes.fromhex(certificate.key)
        if key_id(key) == body["key"]:
            return key
    raise RefusedError(
        f"entry {body['n']} of the audit ({act} by {body['by']}) was signed by nobody who is on the roster: verify the "
        "audit (lfr-kernel audit verify)"
    )


def _tampered(deployment: Deployment, why: str) -> RefusedError:
    return RefusedError(
        f"the register's entry of deployment {deployment.serial} is not what was signed ({why}): it was changed behind "
        "the audit's back; keep the vault as it is and verify the audit (lfr-kernel audit verify)"
    )
