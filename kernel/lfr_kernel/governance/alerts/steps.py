"""What people do with an alert: look, assess, engage, close. Each step is one transaction with its signed entry.

What an alert has come to is worked out inside of the transaction, from the steps in the chain: two people who decide at
the same time decide one after the other.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, structs

from lfr_kernel.governance.alerts.contents import verify_closed, verify_engaged
from lfr_kernel.governance.alerts.statements import Assessed, Closed, Engaged, Looked, Pictures, Proposal, Step
from lfr_kernel.governance.alerts.states import Case, State, advance, case_of, is_secret, shown_to
from lfr_kernel.governance.alerts.store import Kept, find, is_purging, is_suspended, pictures_of, proposal_of, steps_of
from lfr_kernel.governance.alerts.vocabulary import Truth, Verdict
from lfr_kernel.governance.audit.chain import iso_of, ns_of
from lfr_kernel.governance.deployment.register import find as find_deployment
from lfr_kernel.governance.deployment.register import save
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.people.statements import Role

if TYPE_CHECKING:
    from lfr_kernel.governance.alerts.handling import Handling
    from lfr_kernel.governance.alerts.statements import StepBody
    from lfr_kernel.governance.alerts.vocabulary import Reason
    from lfr_kernel.governance.audit.database import Transaction
    from lfr_kernel.governance.deployment.register import Deployment
    from lfr_kernel.governance.people.signer import SessionSigner
    from lfr_kernel.governance.vault import Vault

__all__ = ["Opened", "assess", "close", "engage", "look", "resume"]


class Opened(Struct, frozen=True, kw_only=True):
    """An alert, as far as somebody may see it."""

    kept: Kept
    proposal: Proposal
    pictures: Pictures | None
    """None once they have expired."""
    case: Case
    steps: tuple[Step, ...]
    handling: Handling


def look(vault: Vault, alert: str, by: SessionSigner, *, reason: Reason, with_pictures: bool = True) -> Opened:
    """Return an alert, after saying in the chain who looks at it and why.

    For an operator it is the first step of deciding. While two people assess, neither sees whether and how the other
    has.

    Args:
        vault: the installation's.
        alert: its id, or the beginning of it.
        by: somebody's session.
        reason: why they look.
        with_pictures: whether they are shown the pictures, too; otherwise `Opened.pictures` only says that there are
            some.

    Raises:
        RefusedError: there is no such alert, its key is destroyed, or somebody may not look at it.
    """
    with vault.database.transaction() as transaction:
        desk = _Desk(vault, transaction, find(vault.database, alert), by)
        pictures = pictures_of(vault, desk.kept)
        if Role.OPERATOR in by.member.roles:
            is_whole = with_pictures and pictures is not None and pictures.listed is not None
            desk.take("alert_viewed", Looked(pictures=is_whole), reason=reason)
        else:
            desk.vault.act(
                transaction,
                "alert_consulted",
                by=by,
                facts=desk.facts,
                reason=reason,
                deployment=desk.kept.deployment,
            )
        found = desk.kept
    handling = find_deployment(vault.database, found.deployment).authorisation.handling
    steps = shown_to(steps_of(vault, found), by.name, handling)
    return Opened(
        kept=found,
        proposal=proposal_of(vault, found),
        pictures=pictures,
        case=case_of(steps, handling),
        steps=steps,
        handling=handling,
    )


def assess(
    vault: Vault, alert: str, by: SessionSigner, verdict: Verdict, *, text: str = "", is_correction: bool = False
) -> Kept:
    """Say what somebody made of an alert: dismiss it, or engage.

    Args:
        vault: the installation's.
        alert: its id, or the beginning of it.
        by: an operator's session.
        verdict: to what they came.
        text: free text.
        is_correction: whether it replaces what they, or where one person assesses somebody, said before.

    Returns:
        The alert after that.

    Raises:
        RefusedError: they have not looked at it, have assessed it before, or it came too late for anybody to act on.
    """
    with vault.database.transaction() as transaction:
        desk = _Desk(vault, transaction, find(vault.database, alert), by)
        if verdict is Verdict.ENGAGE and not desk.kept.is_actionable(desk.now_ns):
            raise RefusedError(
                f"alert {desk.kept.id} came too late for anybody to act on it (it was good until "
                f"{iso_of(desk.kept.act_by_ns)[:19]}Z): expected --dismiss, got --engage"
            )
        body = Assessed(
            alert=desk.kept.id,
            verdict=verdict,
            text=text,
            salt=secrets.token_hex(16),
            corrects=_own_assessment(desk) if is_correction else None,
        )
        is_hidden = is_secret(desk.case, desk.handling)
        desk.take("assessment_committed" if is_hidden else "alert_assessed", body, names_alert=not is_hidden)
        if is_hidden and desk.case.state is not State.VIEWED:
            facts = desk.facts | {"state": desk.case.state, "of": [one.entry for one in desk.case.assessments]}
            vault.act(transaction, "assessments_revealed", by=vault.signer, facts=facts)
        return desk.kept


def engage(vault: Vault, alert: str, by: SessionSigner, body: Engaged, *, is_correction: bool = False) -> Kept:
    """Record that somebody was engaged. Takes and raises as `assess` does; also where the record does not fit."""
    with vault.database.transaction() as transaction:
        desk = _Desk(vault, transaction, find(vault.database, alert), by)
        _refuse(desk.kept, [*verify_engaged(body, desk.handling)])
        if is_correction:
            body = structs.replace(body, corrects=-1 if desk.case.engagement is None else desk.case.engagement.entry)
        desk.take("alert_engaged", body)
        return desk.kept


def close(vault: Vault, alert: str, by: SessionSigner, body: Closed, *, is_correction: bool = False) -> Kept:
    """Record what came of an alert, and whether it was the right person. Takes and raises as `engage` does.

    So many false alerts that the pack's stop rule says so suspend the alerts of the deployment, in the same
    transaction.
    """
    with vault.database.transaction() as transaction:
        desk = _Desk(vault, transaction, find(vault.database, alert), by)
        _refuse(desk.kept, [*verify_closed(body, desk.handling)])
        if is_correction:
            body = structs.replace(body, corrects=-1 if desk.case.closing is None else desk.case.closing.entry)
        desk.take("alert_closed", body)
        return desk.kept


def resume(vault: Vault, by: SessionSigner, serial: int, *, reason: str, text: str | None) -> None:
    """Let alerts of a deployment out again that the stop rule has suspended. The next false one suspends them again.

    Raises:
        RefusedError: they are not suspended, or somebody may not.
    """
    with vault.database.transaction() as transaction:
        deployment = find_deployment(vault.database, serial)
        if not is_suspended(vault.database, serial):
            raise RefusedError(f"the alerts of deployment {serial} are not suspended: there is nothing to resume")
        facts = {"deployment": serial, "false": deployment.false, "seen": deployment.seen}
        vault.act(transaction, "alerts_resumed", by=by, facts=facts, reason=reason, text=text, deployment=serial)


class _Desk:
    """One alert while somebody acts on it, within a transaction."""

    def __init__(self, vault: Vault, transaction: Transaction, kept: Kept, by: SessionSigner) -> None:
        self.vault = vault
        self.kept = kept
        self.by = by
        self.deployment = find_deployment(vault.database, kept.deployment)
        self.handling = self.deployment.authorisation.handling
        self.case = case_of(steps_of(vault, kept), self.handling)
        self.now_ns = vault.clocks().utc_ns
        self._transaction = transaction
        if is_purging(vault.database, kept.bucket):
            raise RefusedError(f"alert {kept.id} has expired: what became of it is counted already, and it is going")

    @property
    def facts(self) -> dict[str, object]:
        return {"deployment": self.kept.deployment, "alert": self.kept.id}

    def take(self, act: str, body: StepBody, *, reason: str | None = None, names_alert: bool = True) -> None:
        """Take one more step, if it may be taken."""
        kept, vault = self.kept, self.vault
        # First, so that nobody is told what would have to come before a step that is not theirs to take.
        vault.may(act, self.by, deployment=kept.deployment)
        text = _text_of(kept, body)
        # Judged before it is written: its number is not known yet, and changes nothing of that.
        step = Step(entry=0, at_ns=self.now_ns, by=self.by.name, reason=reason, body=body)
        after = advance(self.case, step, self.handling)
        is_first = kept.delivered_ns is None
        facts = self.facts | {"state": after.state} if names_alert else {"deployment": kept.deployment}
        if is_first and names_alert:
            facts |= {"actionable": kept.is_actionable(self.now_ns)}
        entry = vault.act(
            self._transaction,
            act,
            by=self.by,
            facts=facts,
            reason=reason,
            text=text,
            text_key=vault.keyring.get(kept.bucket.keyname),
            deployment=kept.deployment,
        )
        was_false = _is_false(self.case)
        self.case = advance(self.case, structs.replace(step, entry=entry.number, at_ns=ns_of(entry.at)), self.handling)
        self._transaction.execute("INSERT INTO steps (entry, alert) VALUES (?, ?)", (entry.number, kept.id))
        self.kept = structs.replace(
            kept, state=after.state, delivered_ns=self.now_ns if is_first else kept.delivered_ns
        )
        self._transaction.execute(
            "UPDATE alerts SET state = ?, delivered_ns = ? WHERE id = ?",
            (self.kept.state, self.kept.delivered_ns, kept.id),
        )
        if was_false != _is_false(self.case):
            false = self.deployment.false + (-1 if was_false else 1)
            _count_false(vault, self._transaction, self.deployment, false)


def _own_assessment(desk: _Desk) -> int:
    """Return the entry that a correction names; none that there can be where there is nothing to correct."""
    if desk.handling.assessors == 1:
        return desk.case.assessments[0].entry if desk.case.assessments else -1
    own = desk.case.assessed_by(desk.by.name)
    return -1 if own is None else own.entry


def _text_of(kept: Kept, body: StepBody) -> str:
    """Return a step as it is written, if it can be read again: what is signed stays, and an alert with it.

    Raises:
        RefusedError: something in it is too long, out of range, or no text.
    """
    try:
        text = msgspec.json.encode(body).decode()
        msgspec.json.decode(text, type=type(body))
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise RefusedError(f"alert {kept.id}: what is to be written of it cannot be: {error}") from None
    return text


def _refuse(kept: Kept, problems: list[str]) -> None:
    if problems:
        raise RefusedError(f"alert {kept.id}: " + "; ".join(problems))


def _is_false(case: Case) -> bool:
    closing = case.closing
    return closing is not None and isinstance(closing.body, Closed) and closing.body.truth is Truth.FALSE


def _count_false(vault: Vault, transaction: Transaction, deployment: Deployment, false: int) -> None:
    """Write down how many alerts were false so far, and suspend alerts where the stop rule says so."""
    handling = deployment.authorisation.handling
    is_too_many = false >= handling.stop_min_false and false > handling.stop_false_per_face * deployment.seen
    save(transaction, structs.replace(deployment, false=false))
    if is_too_many and false > deployment.false and not is_suspended(vault.database, deployment.serial):
        facts = {"deployment": deployment.serial, "false": false, "seen": deployment.seen}
        vault.act(transaction, "alerts_suspended", by=vault.signer, facts=facts)
