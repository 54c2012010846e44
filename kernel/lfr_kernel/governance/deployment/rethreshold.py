"""Changing the threshold of a deployment: one person proposes, another confirms, and what may not be is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct, structs

from lfr_kernel.governance.audit.chain import iso_of
from lfr_kernel.governance.deployment.opening import list_of
from lfr_kernel.governance.deployment.plan import expect_authorised, refuse, verify_pack
from lfr_kernel.governance.deployment.register import document_of, find
from lfr_kernel.governance.deployment.statements import THRESHOLD, Head, ThresholdChange
from lfr_kernel.governance.deployment.thresholds import one_of_two, read_thresholds, threshold_of, thresholds_of
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.keys.signing import sign
from lfr_kernel.governance.standing import Stage
from lfr_kernel.governance.tested import figures_at, outside_tested

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfr_kernel.governance.deployment.plan import Plan
    from lfr_kernel.governance.deployment.register import Deployment
    from lfr_kernel.governance.people.signer import SessionSigner
    from lfr_kernel.governance.tested import CitedReport
    from lfr_kernel.governance.vault import Vault

__all__ = ["LOWEST", "Acted", "Wish", "confirm", "detector_of", "propose"]

LOWEST = 0.2
"""The least threshold that a profile or an authority may name."""
STARTED = """SELECT body FROM entries WHERE act = 'capture_started' AND json_extract(body, '$.facts.deployment') = ?
    ORDER BY number DESC LIMIT 1"""


class Wish(Struct, frozen=True, kw_only=True):
    """What somebody wants to change, and why."""

    threshold: float
    reason: str
    """A code."""
    text: str | None
    """In words; kept encrypted."""


class Acted(NamedTuple):
    """An act, and the entry that it has in the chain."""

    entry: int
    statement: ThresholdChange


def propose(
    vault: Vault, signer: SessionSigner, plan: Plan, serial: int, *, wish: Wish, tested: CitedReport | None
) -> Acted:
    """Sign a proposal, in place of one that waits. It changes nothing until somebody else confirms it.

    Args:
        vault: the installation's.
        signer: a session of somebody who authorises, or answers for data protection.
        plan: what runs, or would.
        serial: of the deployment.
        wish: what is wanted.
        tested: the report that the profile cites; None if it cites none.

    Raises:
        PackError: the pack is to be completed.
        RefusedError: it is below what pack, authority or report allow, or outside of what was tested: every reason; or
            the signer may not, the deployment is over, or the profile is another one.
    """
    vault.may("threshold_proposed", signer, deployment=serial)
    verify_pack(vault, plan)
    before = _expect_alive(find(vault.database, serial))
    expect_authorised(plan, before)
    was = _in_force(vault, plan, before)
    refuse(f"threshold {wish.threshold!r}", list(_reasons(vault, plan, before, wish=wish, was=was, tested=tested)))
    figures = figures_at(tested, was), figures_at(tested, wish.threshold)
    with vault.database.transaction() as transaction:
        # Read anew: reading the list takes a while, and somebody may have changed it meanwhile.
        deployment = _expect_alive(find(vault.database, serial))
        if _in_force(vault, plan, deployment) != was:
            raise RefusedError(f"the threshold of deployment {serial} was changed meanwhile: look, and propose again")
        statement = ThresholdChange(
            serial=serial,
            installation=vault.installation.installation,
            authority=deployment.authority,
            was=was,
            threshold=wish.threshold,
            report=None if tested is None else tested.report,
            before=figures[0],
            after=figures[1],
            reason=wish.reason,
            confirms=None,
            by=signer.name,
            at=iso_of(vault.clocks().utc_ns),
        )
        facts = {"deployment": serial, "signed": sign(THRESHOLD, statement, signer)}
        entry = vault.act(
            transaction,
            "threshold_proposed",
            by=signer,
            facts=facts,
            reason=wish.reason,
            text=wish.text,
            deployment=serial,
        )
    return Acted(entry.number, statement)


def confirm(
    vault: Vault, signer: SessionSigner, serial: int, *, proposal: int | None = None, text: str | None = None
) -> Acted:
    """Sign the proposal that waits: from now on it is in force, and a kernel that runs takes it up within a second.

    Args:
        vault: the installation's.
        signer: a session of another person than who proposed it, with the other one of the two roles.
        serial: of the deployment.
        proposal: number of the entry that is confirmed; None: the last one.
        text: in words; kept encrypted.

    Raises:
        RefusedError: there is no such proposal, it is not the last, the signer may not or proposed it, or the
            deployment is over.
    """
    vault.may("threshold_confirmed", signer, deployment=serial)
    with vault.database.transaction() as transaction:
        deployment = _expect_alive(find(vault.database, serial))
        known = read_thresholds(vault, deployment)
        waiting = known.pending
        if waiting is None:
            raise RefusedError(
                f"no change of threshold is proposed for deployment {serial}: lfr-kernel threshold propose {serial}"
            )
        if proposal is not None and proposal != waiting.number:
            raise RefusedError(
                f"expected the last proposal, entry {waiting.number}, got {proposal}: look at it first (lfr-kernel "
                f"threshold show {serial})"
            )
        proposed = waiting.statement
        if known.changes and known.changes[-1].threshold != proposed.was:
            raise RefusedError(
                f"entry {waiting.number} changes the threshold from {proposed.was!r}, and it is "
                f"{known.changes[-1].threshold!r} by now: propose it anew"
            )
        one_of_two(waiting.member, vault.member(signer.member.name))
        statement = structs.replace(
            proposed,
            confirms=Head(number=waiting.number, digest=waiting.digest),
            by=signer.name,
            at=iso_of(vault.clocks().utc_ns),
        )
        facts = {"deployment": serial, "signed": sign(THRESHOLD, statement, signer)}
        entry = vault.act(
            transaction,
            "threshold_confirmed",
            by=signer,
            facts=facts,
            reason=statement.reason,
            text=text,
            deployment=serial,
        )
    return Acted(entry.number, statement)


def detector_of(vault: Vault, serial: int) -> str | None:
    """Return the digest of the detector that the last start under a deployment had; None: nothing says."""
    rows = vault.database.query(STARTED, (serial,))
    found: str | None = msgspec.json.decode(rows[0][0])["facts"].get("detector") if rows else None
    return found


def _in_force(vault: Vault, plan: Plan, deployment: Deployment) -> float:
    return threshold_of(thresholds_of(vault, deployment), plan.threshold)


def _expect_alive(deployment: Deployment) -> Deployment:
    if deployment.stage not in {Stage.AUTHORISED, Stage.OPEN}:
        raise RefusedError(f"deployment {deployment.serial} is {deployment.stage.value}: its threshold changes no more")
    return deployment


def _reasons(
    vault: Vault, plan: Plan, deployment: Deployment, *, wish: Wish, was: float, tested: CitedReport | None
) -> Iterator[str]:
    threshold = wish.threshold
    if not LOWEST <= threshold <= 1:
        yield f"expected a threshold from {LOWEST} to 1, got {threshold!r}"
        return
    if threshold == was:
        yield "it is in force already"
    yield from below_allowed(vault, plan, deployment, threshold)
    listed = list_of(vault, plan, deployment)
    yield from outside_tested(
        None if tested is None else tested.covers,
        plan.pack,
        threshold=threshold,
        detector=detector_of(vault, deployment.serial),
        embedder=listed.model,
        listed=listed.header.counts.people,
    )


def below_allowed(vault: Vault, plan: Plan, deployment: Deployment, threshold: float) -> Iterator[str]:
    """Yield in which way a threshold is below what the pack or the authority allows."""
    floor, authorised = plan.pack.rules.min_threshold, document_of(vault, deployment).threshold
    if threshold < floor:
        yield f"expected {floor!r} at least (min_threshold of pack {plan.pack.name}): the pack allows no lower one"
    if threshold < authorised:
        yield (
            f"expected {authorised!r} at least, which authority {deployment.authority} names as the lowest that may be "
            "used: have another one authorised"
        )
