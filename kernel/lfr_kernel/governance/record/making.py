"""Making a record: read from the chain and from what is left of a deployment, counted, and signed when it is final.

Every count has its source in the chain: alerts are counted as they are while their keys are there, and as they were
counted in the moment before these were destroyed.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from lfr_kernel.governance.alerts.purging import settled
from lfr_kernel.governance.alerts.store import listed
from lfr_kernel.governance.audit.chain import iso_of, ns_of
from lfr_kernel.governance.authority import warnings
from lfr_kernel.governance.deployment.register import document_of, find
from lfr_kernel.governance.deployment.statements import Head
from lfr_kernel.governance.deployment.thresholds import thresholds_of
from lfr_kernel.governance.errors import AuditError, RefusedError
from lfr_kernel.governance.keys.signing import Envelope, sign, verify
from lfr_kernel.governance.people.statements import written
from lfr_kernel.governance.record.counting import add, count
from lfr_kernel.governance.record.statements import (
    RECORD,
    Calibration,
    Counted,
    Evidence,
    Grounds,
    ListPart,
    Record,
    Sampled,
    Span,
    Suspension,
    ThresholdSpan,
)
from lfr_kernel.governance.standing import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfr_kernel.governance.audit.database import Transaction
    from lfr_kernel.governance.authority import Authority
    from lfr_kernel.governance.deployment.register import Deployment
    from lfr_kernel.governance.deployment.thresholds import Changed
    from lfr_kernel.governance.people.signer import SessionSigner
    from lfr_kernel.governance.vault import Vault

__all__ = ["arrests", "calibrate", "finalise", "record_of", "signed_record", "why_not_final"]

SECOND_NS = 10**9
OF_DEPLOYMENT = "SELECT number, body FROM entries WHERE json_extract(body, '$.facts.deployment') = ? ORDER BY number"
SAMPLES = """SELECT body FROM entries WHERE act = 'list_sampled' AND json_extract(body, '$.facts.list') = ?
    AND json_extract(body, '$.facts.root') = ? ORDER BY number"""
BEGUN = "SELECT expires_s FROM purges WHERE kind = 'alert' AND deployment = ?"
THRESHOLDS = frozenset({"capture_started", "threshold_in_force"})
ENDS = frozenset({"capture_stopped", "wiped"})
OF_A_RUN = THRESHOLDS | {"alert_raised", "alert_delivered", "basis_judged", "end_is_near", "entry_expired"}
"""What a kernel writes down while it looks at cameras."""
WITHDRAWALS = frozenset({"entry_recalled", "entry_expired"})


class _Entry(Struct, frozen=True, kw_only=True):
    """What is read of the body of an entry."""

    n: int
    at: str
    act: str
    by: str
    facts: dict[str, Any]
    reason: str | None = None


def record_of(vault: Vault, serial: int, *, is_final: bool = False) -> Record:
    """Return the record of a deployment as things stand, at one moment: others may raise or purge alerts meanwhile.

    Args:
        vault: the installation's.
        serial: of the deployment.
        is_final: whether nothing of it can change any more; see `why_not_final`.

    Raises:
        RefusedError: there is no such deployment, or its authority was deleted since, as its time had come.
        AuditError: what was raised and what is counted do not come to the same: the chain or the alerts were changed.
    """
    with vault.database.snapshot():
        return _record_of(vault, serial, is_final=is_final)


def _record_of(vault: Vault, serial: int, *, is_final: bool) -> Record:
    deployment = find(vault.database, serial)
    handling = deployment.authorisation.handling
    if not vault.keyring.has(f"text-{serial}"):
        raise RefusedError(
            f"the authority of deployment {serial} was deleted when its time had come: of it there is the signed "
            "record, if it was opened, and nothing else"
        )
    entries = list(_entries(vault, serial))
    opened = next((one.facts for one in entries if one.act == "deployment_opened"), {})
    spans = tuple(_spans(entries))
    number, digest = vault.database.head()
    return Record(
        organisation=vault.organisation.name,
        installation=vault.installation.installation,
        installation_name=vault.installation.name,
        serial=serial,
        after=deployment.authorisation.after,
        head=Head(number=number, digest=digest),
        made=iso_of(vault.clocks().utc_ns),
        is_final=is_final,
        pack=deployment.authorisation.pack,
        pack_digest=deployment.authorisation.pack_digest,
        mark=handling.mark,
        group_ratio=handling.group_ratio,
        titles=handling.titles,
        grounds=_grounds(deployment, document_of(vault, deployment), entries),
        stage=deployment.stage.value,
        ending=None if deployment.ending is None else deployment.ending.value,
        why=deployment.why,
        opened=None if deployment.opened_ns is None else iso_of(deployment.opened_ns),
        ended=None if deployment.ended_ns is None else iso_of(deployment.ended_ns),
        captured=spans,
        model=opened.get("model"),
        watchlist=_watchlist(vault, deployment, opened, entries),
        thresholds=tuple(_thresholds(entries, thresholds_of(vault, deployment), vault.clocks().utc_ns)),
        evidence=tuple(dict.fromkeys(_evidence(entries))),
        suspensions=tuple(
            Suspension(at=one.at, false=one.facts["false"], seen=one.facts["seen"])
            for one in entries
            if one.act == "alerts_suspended"
        ),
        calibrations=tuple(_calibrations(vault, serial, entries)),
        arrests_in_operation=next(
            (one.facts["arrests"] for one in reversed(entries) if one.act == "arrests_counted"), None
        ),
        counted=_counted(vault, deployment, entries),
    )


def why_not_final(vault: Vault, serial: int) -> str:
    """Return why a record cannot be final yet; empty if it can."""
    deployment = find(vault.database, serial)
    if deployment.stage is not Stage.CLOSED:
        return f"deployment {serial} is {deployment.stage.value}, and not closed"
    left = listed(vault.database, deployment=serial)
    if left:
        last = iso_of(max(one.expires_s for one in left) * SECOND_NS)[:16]
        return f"{len(left)} of its alerts are still there, and may be decided on or corrected, until {last}Z"
    return ""


def finalise(vault: Vault, serial: int) -> Envelope:
    """Return the signed record of a deployment of which nothing can change any more; made once, and kept.

    Raises:
        RefusedError: something of it may still change; see also `record_of`.
    """
    kept = signed_record(vault, serial)
    if kept is not None:
        return kept
    if why := why_not_final(vault, serial):
        raise RefusedError(f"the record of deployment {serial} cannot be final yet: {why}")
    with vault.database.transaction() as transaction:
        kept = signed_record(vault, serial)  # by another process, a moment ago
        if kept is not None:
            return kept
        signed = sign(RECORD, record_of(vault, serial, is_final=True), vault.signer)
        transaction.execute(
            "INSERT INTO records (deployment, body) VALUES (?, ?)", (serial, msgspec.json.encode(signed).decode())
        )
        vault.act(transaction, "record_signed", by=vault.signer, facts={"deployment": serial})
    return signed


def signed_record(vault: Vault, serial: int) -> Envelope | None:
    """Return the final record of a deployment; None if there is none yet.

    Raises:
        SignatureError: what lies there was changed.
    """
    rows = vault.database.query("SELECT body FROM records WHERE deployment = ?", (serial,))
    if not rows:
        return None
    envelope = msgspec.json.decode(rows[0][0], type=Envelope)
    verify(envelope, RECORD, Record, [vault.signer.public])
    return envelope


def calibrate(vault: Vault, by: SessionSigner, serial: int, given: Calibration, *, is_correction: bool = False) -> None:
    """Put down how many people were counted by hand, and how many passages they made meanwhile.

    Args:
        vault: the installation's.
        by: somebody's session.
        serial: of the deployment.
        given: the count.
        is_correction: whether it takes the place of all counts by hand of the deployment so far: they stay in the
            audit, and count no more.

    Raises:
        RefusedError: somebody may not, or the record is final; it does not say how it was counted, or there were not
            as many passages; or there is none that it could take the place of.
    """
    if not given.how.strip():
        raise RefusedError("expected where, how and for how long people were counted, in a few words (--how), got none")
    facts: dict[str, Any] = {"deployment": serial, "people": given.people, "passages": given.passages}
    if is_correction:
        facts["replaces"] = True
    with _adding(vault, serial) as transaction:
        _expect_fit(vault, serial, given, is_correction=is_correction)
        vault.act(transaction, "people_counted", by=by, facts=facts, text=given.how, deployment=serial)


def _expect_fit(vault: Vault, serial: int, given: Calibration, *, is_correction: bool) -> None:
    seen = find(vault.database, serial).seen
    if given.passages > seen:
        raise RefusedError(
            f"expected at most {seen} passages, as many as the system has counted in the whole of deployment {serial} "
            f"so far, got {given.passages}: --passages are those that it counted while people were counted by hand"
        )
    if is_correction and not any(one.act == "people_counted" for one in _entries(vault, serial)):
        raise RefusedError(f"nobody has counted people by hand in deployment {serial}: there is nothing to replace")


def arrests(vault: Vault, by: SessionSigner, serial: int, number: int, how: str) -> None:
    """Put down how many arrests there were in the whole operation; the last such number counts. Raises as above."""
    facts = {"deployment": serial, "arrests": number}
    with _adding(vault, serial) as transaction:
        vault.act(transaction, "arrests_counted", by=by, facts=facts, text=how or None, deployment=serial)


@contextlib.contextmanager
def _adding(vault: Vault, serial: int) -> Iterator[Transaction]:
    """Begin a transaction in which something is added to what the record says, if anything still may be."""
    find(vault.database, serial)
    with vault.database.transaction() as transaction:
        if signed_record(vault, serial) is not None:
            raise RefusedError(f"the record of deployment {serial} is final: nothing is added to it")
        yield transaction


def _entries(vault: Vault, serial: int) -> Iterator[_Entry]:
    for _, body in vault.database.query(OF_DEPLOYMENT, (serial,)):
        yield msgspec.json.decode(body, type=_Entry)


def _grounds(deployment: Deployment, document: Authority, entries: Sequence[_Entry]) -> Grounds:
    signed = deployment.authorisation
    return Grounds(
        id=document.id,
        purpose=document.purpose,
        legal_basis=document.legal_basis,
        legal_basis_title=signed.handling.titles.legal_bases.get(document.legal_basis, document.legal_basis),
        place=document.place,
        place_grounds=document.place_grounds,
        criteria=document.criteria,
        categories=document.categories,
        cameras=document.cameras,
        contact=document.contact,
        is_assembly=document.is_assembly,
        authorising_officer=document.authorising_officer,
        higher_authority=document.higher_authority,
        starts=written(document.starts),
        ends=iso_of(deployment.term.ends_ns),
        extensions=sum(one.act == "authority_extended" for one in entries),
        signed_by=signed.by,
        signed_at=signed.at,
        missing=tuple(warnings(document)),
    )


def _watchlist(vault: Vault, deployment: Deployment, opened: dict[str, Any], entries: Sequence[_Entry]) -> ListPart:
    counts = opened.get("counts", {})
    samples = [
        msgspec.json.decode(body, type=_Entry).facts
        for (body,) in vault.database.query(SAMPLES, (deployment.list, deployment.root))
    ]
    return ListPart(
        entries=deployment.authorisation.entries,
        people=counts.get("people"),
        withdrawn=sum(one.act in WITHDRAWALS for one in entries),
        categories=counts.get("categories", {}),
        sources=counts.get("sources", {}),
        conviction_status=counts.get("conviction_status", {}),
        under_18=counts.get("under_18"),
        vulnerable=counts.get("vulnerable"),
        samples=tuple(Sampled(n=one["n"], findings=one["findings"]) for one in samples),
    )


def _spans(entries: Sequence[_Entry]) -> Iterator[Span]:
    """Yield when cameras were looked at. One that no entry ended was cut off, as by a loss of power."""
    since: str | None = None
    for one in entries:
        if one.act == "capture_started":
            if since is not None:
                yield Span(starts=since, ends=None, why="cut-off")
            since = one.at
        elif one.act == "capture_stopped" and since is not None:
            yield Span(starts=since, ends=one.at, why=one.reason or "")
            since = None
        elif one.act == "wiped" and since is not None:
            yield Span(starts=since, ends=None, why="cut-off")
            since = None
    if since is not None:
        yield Span(starts=since, ends=None, why="")


def _thresholds(entries: Sequence[_Entry], changes: Sequence[Changed], now_ns: int) -> Iterator[ThresholdSpan]:
    """Yield each threshold with the time that it was in force while cameras were looked at, in order.

    Of a run that was cut off nobody knows how long it went on: it counts up to the last that it wrote down.
    """
    since: _Entry | None = None
    last_ns = 0
    for one in entries:
        if one.act in THRESHOLDS | ENDS and since is not None:
            is_cut_off = one.act in {"capture_started", "wiped"}
            yield _threshold_span(since, changes, last_ns if is_cut_off else ns_of(one.at))
            since = None
        if one.act in OF_A_RUN:
            last_ns = ns_of(one.at)
        if one.act in THRESHOLDS:
            since = one
    if since is not None:
        yield _threshold_span(since, changes, now_ns)


def _threshold_span(since: _Entry, changes: Sequence[Changed], until_ns: int) -> ThresholdSpan:
    change = next((one for one in reversed(changes) if one.entry < since.n), None)
    return ThresholdSpan(
        threshold=since.facts["threshold"],
        seconds=max(0.0, (until_ns - ns_of(since.at)) / SECOND_NS),
        since=since.at,
        by=() if change is None else change.by,
        reason=None if change is None else change.reason,
    )


def _evidence(entries: Sequence[_Entry]) -> Iterator[Evidence]:
    for one in entries:
        if one.act == "basis_judged":
            facts = {name: value for name, value in one.facts.items() if name != "deployment"}
            yield msgspec.convert(facts, Evidence)


def _calibrations(vault: Vault, serial: int, entries: Sequence[_Entry]) -> Iterator[Calibration]:
    counts = [one for one in entries if one.act == "people_counted"]
    first = max((number for number, one in enumerate(counts) if one.facts.get("replaces")), default=0)
    for one in counts[first:]:
        how = vault.database.text(one.n, vault.text_key(serial)) or ""
        yield Calibration(people=one.facts["people"], passages=one.facts["passages"], by=one.by, how=how)


def _counted(vault: Vault, deployment: Deployment, entries: Sequence[_Entry]) -> Counted:
    gone = [msgspec.convert(one.facts["counted"], Counted) for one in entries if one.act == "alerts_expired"]
    # Those whose purge was begun, and not finished, are in the chain already.
    begun = {expires_s for (expires_s,) in vault.database.query(BEGUN, (deployment.serial,))}
    left = [one for one in listed(vault.database, deployment=deployment.serial) if one.expires_s not in begun]
    there = count(settled(vault, left), are_expired=False)
    found = add([*gone, there, Counted(seen=deployment.seen, lost=deployment.lost)])
    raised = Counter(one.act for one in entries)["alert_raised"]
    if raised != found.raised:
        raise AuditError(
            f"deployment {deployment.serial}: by the audit {raised} alerts were raised, and what became of "
            f"{found.raised} is known: alerts or the audit were changed; keep the vault as it is and verify the audit "
            "(lfr-kernel audit verify)"
        )
    return found
