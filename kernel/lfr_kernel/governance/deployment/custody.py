"""Where the key of a deployment lives: in one file, and how a start comes by it.

`sealed`: as the machine seals it; a start needs nobody. `operator-unlock`: sealed to every operator on the roster, so
that a start waits for one of them. It is never in a database, and in no backup of one.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from msgspec import Struct

from lfr_kernel.governance.errors import KeyFileError, RefusedError, SealError
from lfr_kernel.governance.keys.keyring import Keyring
from lfr_kernel.governance.keys.sealing import KEY_BYTES
from lfr_kernel.governance.people.keyfiles import seal_to_operators
from lfr_kernel.governance.vault import KEYS

if TYPE_CHECKING:
    from pathlib import Path

    from lfr_kernel.governance.deployment.plan import StartMode
    from lfr_kernel.governance.deployment.register import Deployment
    from lfr_kernel.governance.people.signer import SessionSigner
    from lfr_kernel.governance.vault import Vault

__all__ = ["Taken", "Unlock", "destroy_key", "destroy_keys", "expect_unlocking", "has_key", "keep_key", "take_key"]

Unlock: TypeAlias = Callable[[Mapping[str, bytes], bytes], bytes]
"""Opens what was sealed to operators: given by name of the operator, and for a purpose."""


class _Kept(Struct, frozen=True, kw_only=True):
    """What the file holds in mode `operator-unlock`: the key, sealed to each operator, in base64."""

    operators: dict[str, str]


def purpose_of(deployment: Deployment) -> bytes:
    """Return what a deployment's key is bound to."""
    return f"lfr-deployment-1 {deployment.serial} {deployment.list}".encode()


def keep_key(vault: Vault, deployment: Deployment, key: bytes, start: StartMode) -> None:
    """Put the key where it lives.

    Raises:
        RefusedError: it is to be sealed to the operators, and the roster has none.
    """
    if start == "operator-unlock":
        sealed = seal_to_operators(vault.roster, key, purpose_of(deployment))
        kept = _Kept(operators={name: base64.b64encode(one).decode() for name, one in sealed.items()})
        key = msgspec.json.encode(kept)
    vault.keyring.put(deployment.keyname, key)


class Taken(Struct, frozen=True, kw_only=True):
    """The key of a deployment, and the operator who opened it, if it waited for one."""

    key: bytes
    by: SessionSigner | None

    def __repr__(self) -> str:
        return "<Taken>"


class _Waiting(Struct, frozen=True, kw_only=True):
    """What a key that waits for an operator takes to go on, all of it there."""

    by: SessionSigner
    sealed: bytes
    """The key, as it was sealed to them."""
    unlock: Unlock


def expect_unlocking(
    vault: Vault, deployment: Deployment, operator: Callable[[], SessionSigner], unlock: Unlock | None
) -> None:
    """See that whoever is there may take the key, if it waits for an operator; takes and raises as `take_key`."""
    _waiting(vault, deployment, operator, unlock)


def take_key(
    vault: Vault, deployment: Deployment, operator: Callable[[], SessionSigner], unlock: Unlock | None
) -> Taken:
    """Return the key of a deployment that is open. One that waited for an operator is sealed anew, to the present ones.

    Args:
        vault: the installation's.
        deployment: that is open.
        operator: returns the session of an operator, or refuses.
        unlock: opens what was sealed to operators; None where nobody is there to do it.

    Raises:
        KeyFileError: it is not there any more.
        RefusedError: it waits for an operator, or this one may not.
        SealError: it does not open.
    """
    waiting = _waiting(vault, deployment, operator, unlock)
    if waiting is None:
        return Taken(key=vault.keyring.get(deployment.keyname), by=None)
    # Only what was sealed to whoever has the session: the key file has to be the same person's.
    key = waiting.unlock({waiting.by.member.name: waiting.sealed}, purpose_of(deployment))
    keep_key(vault, deployment, key, "operator-unlock")
    return Taken(key=key, by=waiting.by)


def _waiting(
    vault: Vault, deployment: Deployment, operator: Callable[[], SessionSigner], unlock: Unlock | None
) -> _Waiting | None:
    kept = vault.keyring.get(deployment.keyname)
    if len(kept) == KEY_BYTES:
        return None
    if unlock is None:
        raise RefusedError(
            f'deployment {deployment.serial} waits for an operator, as its profile says (start = "operator-unlock"): '
            "start it with --unlock KEYFILE"
        )
    try:
        operators = msgspec.json.decode(kept, type=_Kept).operators
    except msgspec.DecodeError as error:
        raise SealError(f"the key of deployment {deployment.serial} cannot be read: {error}") from None
    by = operator()
    vault.may("deployment_unlocked", by, deployment=deployment.serial)
    name = by.member.name
    if name not in operators:
        raise RefusedError(
            f"the key of deployment {deployment.serial} was sealed before {name} was an operator here: expected "
            f"{' or '.join(sorted(operators))} to go on with it, who thereby seals it to {name}, too"
        )
    return _Waiting(by=by, sealed=base64.b64decode(operators[name]), unlock=unlock)


def has_key(vault: Vault, deployment: Deployment) -> bool:
    """Return whether the key is still there."""
    return vault.keyring.has(deployment.keyname)


def destroy_keys(folder: Path) -> list[str]:
    """Destroy the keys of all deployments of a vault, whatever state its database is in; return their names.

    Args:
        folder: of the vault.

    Raises:
        KeyFileError: one of them could not be overwritten, or not removed; the others are destroyed all the same.
    """
    keys, failure = Keyring(folder / KEYS), None
    names = [name for name in keys.names() if name.startswith("deployment-")]
    for name in names:
        try:
            keys.destroy(name)
        except KeyFileError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return names


def destroy_key(vault: Vault, deployment: Deployment) -> None:
    """Destroy the key. Twice is harmless."""
    vault.keyring.destroy(deployment.keyname)
