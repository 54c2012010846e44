"""Which threshold is in force for a deployment: the profile's, until two people have changed it.

A change is proposed by one person and confirmed by another: one of them authorises, the other answers for data
protection. Nothing but the chain says so: it is read there, and each signature is judged at its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, structs

from lfr_kernel.governance.audit.chain import is_signed, ns_of
from lfr_kernel.governance.deployment.binding import SignedAct, signed_acts
from lfr_kernel.governance.deployment.statements import THRESHOLD, Head, ThresholdChange
from lfr_kernel.governance.errors import RefusedError, SignatureError
from lfr_kernel.governance.people.statements import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lfr_kernel.governance.deployment.register import Deployment
    from lfr_kernel.governance.people.statements import Member
    from lfr_kernel.governance.vault import Vault

__all__ = [
    "Changed",
    "Thresholds",
    "changes_in",
    "one_of_two",
    "read_thresholds",
    "started_with",
    "threshold_of",
    "thresholds_of",
]

PROPOSED, CONFIRMED = "threshold_proposed", "threshold_confirmed"
TAKEN_UP = """SELECT number, at, act, body, digest, signature FROM entries
    WHERE act IN ('threshold_in_force', 'capture_started') AND json_extract(body, '$.facts.deployment') = ?
    ORDER BY number"""


class Changed(Struct, frozen=True, kw_only=True):
    """A change of threshold that two people made."""

    entry: int
    """Number of the one that confirmed it: what `threshold_in_force` names as `since`."""
    since_ns: int
    """When it was confirmed; nanoseconds since 1970, UTC."""
    in_force_ns: int | None
    """When the index of a kernel had it; None: no kernel has run since."""
    was: float
    threshold: float
    by: tuple[str, str]
    """Who proposed it and who confirmed it, as `authoriser ada`."""
    reason: str
    """A code."""
    report: str | None
    """SHA-256 of the report that was cited for it."""


class Thresholds(Struct, frozen=True, kw_only=True):
    """What the chain says of the threshold of a deployment."""

    changes: tuple[Changed, ...]
    """In order: each continues the one before."""
    pending: SignedAct[ThresholdChange] | None
    """The last proposal, while it waits for its confirmation."""


def read_thresholds(vault: Vault, deployment: Deployment) -> Thresholds:
    """Read what was proposed and confirmed for a deployment, and verify it.

    Args:
        vault: the installation's.
        deployment: as the register has it; `verify_signed` judges that.

    Raises:
        RefusedError: an act is of somebody who might not do it, or does not continue what was before.
        SignatureError: a signature does not hold, or an entry was changed or moved.
    """
    acts = [
        one for act in (PROPOSED, CONFIRMED) for one in signed_acts(vault, deployment, act, THRESHOLD, ThresholdChange)
    ]
    expected = (deployment.serial, vault.installation.installation, deployment.authority)
    for one in acts:
        found = (one.statement.serial, one.statement.installation, one.statement.authority)
        if found != expected:
            raise _misplaced(
                one,
                f"expected a change for deployment {expected[0]} at {expected[1]} (authority {expected[2]}), got one "
                f"for deployment {found[0]} at {found[1]} (authority {found[2]})",
            )
    acts.sort(key=lambda one: one.number)
    changes = changes_in(acts)
    last = changes[-1].entry if changes else 0
    pending = next((one for one in reversed(acts) if one.act == PROPOSED and one.number > last), None)
    return Thresholds(changes=_with_times(vault, deployment, changes), pending=pending)


def thresholds_of(vault: Vault, deployment: Deployment) -> tuple[Changed, ...]:
    """Return the changes of threshold of a deployment, in order; raises as `read_thresholds` does."""
    return read_thresholds(vault, deployment).changes


def started_with(vault: Vault, deployment: Deployment) -> float | None:
    """Return the threshold that the last start of a deployment began with; None: it never was started."""
    rows = vault.database.query(
        "SELECT json_extract(body, '$.facts.threshold') FROM entries WHERE act = 'capture_started' "
        "AND json_extract(body, '$.facts.deployment') = ? ORDER BY number DESC LIMIT 1",
        (deployment.serial,),
    )
    return float(rows[0][0]) if rows else None


def threshold_of(changes: Iterable[Changed], profile: float) -> float:
    """Return the threshold in force.

    Args:
        changes: what `thresholds_of` returned.
        profile: threshold of the profile that was authorised.

    Raises:
        RefusedError: the first change does not continue that.
    """
    threshold = profile
    for change in changes:
        if change.was != threshold:
            raise RefusedError(
                f"entry {change.entry} of the audit changes the threshold from {change.was!r}, and it was "
                f"{threshold!r}: it was signed for another profile; verify the audit (lfr-kernel audit verify)"
            )
        threshold = change.threshold
    return threshold


def changes_in(acts: Iterable[SignedAct[ThresholdChange]]) -> tuple[Changed, ...]:
    """Return what proposals and confirmations have changed. Pure.

    A confirmation is of the last proposal before it, which it names, and which says the same; it is by another person,
    and one of the two authorises while the other answers for data protection. A proposal by itself changes nothing.

    Args:
        acts: verified, and of one deployment, in the order of the chain.

    Raises:
        RefusedError: a confirmation is none, or does not continue the change before.
    """
    changes: list[Changed] = []
    pending: SignedAct[ThresholdChange] | None = None
    for act in acts:
        if act.act == PROPOSED:
            pending = act
            continue
        was = changes[-1].threshold if changes else act.statement.was
        problems = list(_problems(pending, act, was))
        if pending is None or problems:
            raise _misplaced(act, ", and ".join(problems))
        roles = one_of_two(pending.member, act.member)
        changes.append(
            Changed(
                entry=act.number,
                since_ns=act.at_ns,
                in_force_ns=None,
                was=was,
                threshold=act.statement.threshold,
                by=(f"{roles[0]} {pending.member.name}", f"{roles[1]} {act.member.name}"),
                reason=act.statement.reason,
                report=act.statement.report,
            )
        )
        pending = None
    return tuple(changes)


def one_of_two(proposer: Member, confirmer: Member) -> tuple[Role, Role]:
    """Return which role each of two people has in a change of threshold.

    Raises:
        RefusedError: they are one person, or have not both roles between them, one each.
    """
    if proposer.name == confirmer.name or proposer.signing == confirmer.signing:
        raise RefusedError(
            f"it takes two people, and {proposer.name} proposed it: whoever has both roles is one person all the same"
        )
    for roles in ((Role.AUTHORISER, Role.DATA_PROTECTION), (Role.DATA_PROTECTION, Role.AUTHORISER)):
        if roles[0] in proposer.roles and roles[1] in confirmer.roles:
            return roles
    raise RefusedError(
        f"expected an {Role.AUTHORISER} and somebody with the role {Role.DATA_PROTECTION}, got "
        + " and ".join(f"{one.name} ({', '.join(one.roles)})" for one in (proposer, confirmer))
    )


def _problems(
    proposal: SignedAct[ThresholdChange] | None, confirmation: SignedAct[ThresholdChange], was: float
) -> Iterator[str]:
    statement = confirmation.statement
    if proposal is None:
        yield "nothing was proposed since the change before"
        return
    if statement.confirms != Head(number=proposal.number, digest=proposal.digest):
        yield f"it does not confirm entry {proposal.number}, the last proposal before it"
    said = structs.replace(statement, confirms=None, by=proposal.statement.by, at=proposal.statement.at)
    if said != proposal.statement:
        yield "it says something else than what was proposed"
    if statement.was != was:
        yield f"it changes the threshold from {statement.was!r}, and it was {was!r}"
    try:
        one_of_two(proposal.member, confirmation.member)
    except RefusedError as error:
        yield str(error)


def _misplaced(act: SignedAct[ThresholdChange], why: str) -> RefusedError:
    serial = act.statement.serial
    return RefusedError(
        f"entry {act.number} of the audit ({act.act} by {act.member.name}) changes no threshold: {why}; verify the "
        f"audit (lfr-kernel audit verify), close deployment {serial} (lfr-kernel authority close {serial}) and have "
        "another authorised"
    )


def _with_times(vault: Vault, deployment: Deployment, changes: tuple[Changed, ...]) -> tuple[Changed, ...]:
    """Return changes with when the index of a kernel had each: as it ran, or as it started."""
    if not changes:
        return ()
    times: dict[int, int] = {}
    for number, at, act, body, digest, signature in vault.database.query(TAKEN_UP, (deployment.serial,)):
        if not is_signed(body, digest, signature, vault.signer.public):
            raise SignatureError(
                f"entry {number} of the audit ({act}) is not as this installation signed it: it was changed or moved; "
                "verify the audit (lfr-kernel audit verify)"
            )
        facts = msgspec.json.decode(body)["facts"]
        if act == "threshold_in_force":
            times.setdefault(facts["since"], ns_of(at))
            continue
        latest = next((one for one in reversed(changes) if one.entry < number), None)
        if latest is not None and latest.threshold == facts["threshold"]:
            times.setdefault(latest.entry, ns_of(at))
    return tuple(structs.replace(one, in_force_ns=times.get(one.entry)) for one in changes)
