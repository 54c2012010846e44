"""What people do with a list: each is a signature in the list's front and an act in the chain of the audit.

The file is written first: an act is never in the chain whose list is not there. A list without its act in the chain
opens for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from lfr_kernel.governance.errors import RefusedError, SignatureError
from lfr_kernel.governance.keys.signing import verify
from lfr_kernel.governance.lists.statements import Review, Sample, Signatory
from lfr_kernel.governance.people.roles import require
from lfr_kernel.governance.people.statements import SESSION, SessionCertificate, moment, written

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from lfr_kernel.governance.keys.signing import Envelope
    from lfr_kernel.governance.lists.build import Draft
    from lfr_kernel.governance.lists.file import ListFile
    from lfr_kernel.governance.lists.sampling import Checked
    from lfr_kernel.governance.people.signer import SessionSigner
    from lfr_kernel.governance.rules import LoadedPack
    from lfr_kernel.governance.vault import Vault

__all__ = [
    "Recorded",
    "build_list",
    "consult",
    "expect_another",
    "expect_signed_pack",
    "recorded",
    "review_list",
    "sample_list",
    "verify_people",
]


def expect_signed_pack(vault: Vault, pack: LoadedPack) -> None:
    """See that the organisation works by a pack.

    Raises:
        RefusedError: its digest is none of those that the organisation signed.
    """
    known = vault.packs.packs
    if pack.digest not in {one.digest for one in known}:
        raise RefusedError(
            f"rule pack {pack.pack.name} ({pack.origin}) is none of those that {vault.organisation.name} signed "
            f"for this installation, which are: {', '.join(one.name for one in known)}; take one of these, or have "
            "this one signed (lfr-kernel org packs) and taken in (lfr-kernel installation update)"
        )


def build_list(
    vault: Vault, signer: SessionSigner, draft: Draft, path: Path, *, name: str, pack: LoadedPack
) -> ListFile:
    """Write an accepted draft, sealed to this installation, and say so in the audit. Blocks.

    Args:
        vault: of the installation.
        signer: a list-builder's session.
        draft: whose rejections somebody has accepted.
        path: of the list.
        name: of the list.
        pack: whose rules the rows were judged by.

    Raises:
        RefusedError: the person may not, the file is there already, or `Draft.write` refuses.
    """
    vault.may("list_built", signer)
    if path.exists():
        raise RefusedError(f"{path} is there already: a list is never overwritten; choose another name")
    made = draft.write(
        path,
        name=name,
        pack=pack,
        signer=signer,
        recipient=vault.open_sealed_key().public_key(),
        now=_now(vault),
        certificate=_certificate(vault, signer),
    )
    header = made.header
    facts = {
        "list": header.id,
        "root": header.root,
        "rows": header.rows,
        "people": header.counts.people,
        "verdicts": header.facts.verdicts,
        "pack": header.facts.pack,
        "pack_digest": header.facts.pack_digest,
        "model": header.facts.model,
    }
    try:
        with vault.database.transaction() as transaction:
            vault.act(transaction, "list_built", by=signer, facts=facts)
    except BaseException:
        path.unlink()
        raise
    return made


def expect_another(source: ListFile, signer: SessionSigner) -> None:
    """See that somebody else than the builder is about to review.

    Raises:
        RefusedError: it is the builder.
    """
    if signer.name == source.header.builder.name:
        raise RefusedError(
            f"list {source.path} was built by {signer.member.name}: expected another person to review it, since nobody "
            "sees their own mistakes"
        )


def review_list(vault: Vault, signer: SessionSigner, source: ListFile, *, questioned: int, expired: int) -> ListFile:
    """Sign that a list was reviewed, in its front and in the audit.

    Args:
        vault: of the installation.
        signer: a reviewer's session; not the builder's.
        source: a list that was verified.
        questioned: rows that the person had to look at, and has.
        expired: rows whose expiry is past.

    Raises:
        RefusedError: the person may not, or has built it; or it was opened for a deployment.
    """
    vault.may("list_reviewed", signer)
    _expect_unopened(vault, source)
    expect_another(source, signer)
    header = source.header
    review = Review(
        list=header.id,
        root=header.root,
        reviewer=Signatory.of(signer, _certificate(vault, signer)),
        at=_now(vault),
        questioned=questioned,
        expired=expired,
    )
    reviewed = source.reviewed(signer, review)
    facts = {"list": header.id, "root": header.root, "questioned": questioned, "expired": expired}
    with vault.database.transaction() as transaction:
        vault.act(transaction, "list_reviewed", by=signer, facts=facts)
    return reviewed


def sample_list(vault: Vault, signer: SessionSigner, source: ListFile, checked: Checked) -> ListFile:
    """Sign what a dip sample found, in the list's front and in the audit.

    Args:
        vault: of the installation.
        signer: a reviewer's or an auditor's session.
        source: a list that was verified.
        checked: the rows, and what was found of each.

    Raises:
        RefusedError: the person may not, or no row was checked, or some were not looked at yet; or the list was opened
            for a deployment.
    """
    vault.may("list_sampled", signer)
    _expect_unopened(vault, source)
    if not checked.n:
        raise RefusedError("no row of the sample was checked: nothing is recorded")
    if checked.unanswered:
        raise RefusedError(f"{checked.unanswered} rows of the sample have no finding yet: nothing is recorded")
    header = source.header
    sample = Sample(
        list=header.id,
        root=header.root,
        n=checked.n,
        seed=checked.seed,
        findings=checked.counts,
        at=_now(vault),
        by=Signatory.of(signer, _certificate(vault, signer)),
    )
    sampled = source.sampled(signer, sample)
    facts = {
        "list": header.id,
        "root": header.root,
        "n": checked.n,
        "seed": checked.seed,
        "findings": checked.counts,
        "entries": checked.wrong,
    }
    with vault.database.transaction() as transaction:
        vault.act(transaction, "list_sampled", by=signer, facts=facts)
    return sampled


def consult(vault: Vault, signer: SessionSigner, source: ListFile, count: int) -> None:
    """Say in the audit, before anybody sees them, that rows of a list are shown.

    Args:
        vault: of the installation.
        signer: the session of whoever is to see them.
        source: a list.
        count: how many rows are shown.

    Raises:
        RefusedError: `signer` may not see any, or the list was opened for a deployment: a copy of it is no list.
    """
    _expect_unopened(vault, source)
    with vault.database.transaction() as transaction:
        vault.act(transaction, "list_consulted", by=signer, facts={"list": source.header.id, "n": count})


def _expect_unopened(vault: Vault, source: ListFile) -> None:
    rows = vault.database.query(
        "SELECT serial FROM deployments "
        "WHERE json_extract(body, '$.list') = ? AND json_extract(body, '$.opened_ns') IS NOT NULL",
        (source.header.id,),
    )
    if rows:
        raise RefusedError(
            f"list {source.path} was opened for deployment {rows[0][0]}: what is left of it is a copy, which nobody "
            "may look into; destroy it"
        )


def verify_people(vault: Vault, source: ListFile) -> None:
    """See that whoever signed a list is on the roster, may do what they did, and did it in a session of their own.

    Args:
        vault: of the installation.
        source: a list whose signatures were verified; see `ListFile.verify_public`.

    Raises:
        RefusedError: somebody may not, not any more, or has reviewed what they built.
        SignatureError: a session was not certified by the person whose it is said to be.
    """
    header = source.header
    _expect_person(vault, source, header.builder, "list_built", header.facts.made)
    for review in source.reviews:
        _expect_person(vault, source, review.reviewer, "list_reviewed", review.at)
        if review.reviewer.name == header.builder.name:
            raise RefusedError(f"list {source.path} was built and reviewed by one person, {header.builder.name}")
    for sample in source.samples:
        _expect_person(vault, source, sample.by, "list_sampled", sample.at)


class Recorded(Struct, frozen=True, kw_only=True):
    """What was done with a list by its file *and* by the audit: the one without the other counts for nothing."""

    reviews: tuple[Review, ...]
    samples: tuple[Sample, ...]
    wrong: dict[str, str]
    """What samples found, by entry, of those that are still listed. For this the audit is enough: a copy of the file
    from before the sample does not hide it, and no later sample takes it back."""


def recorded(vault: Vault, source: ListFile) -> Recorded:
    """Return the reviews and samples of a list that the audit knows of: nothing opens behind its back.

    Args:
        vault: of the installation.
        source: a list whose signatures were verified.

    Raises:
        RefusedError: it was built without an act in the chain of this installation.
    """
    rows = vault.database.query(
        "SELECT act, json_extract(body, '$.by'), json_extract(body, '$.facts.seed'), json_extract(body, '$.facts.n') "
        "FROM entries "
        "WHERE act IN ('list_built', 'list_reviewed', 'list_sampled') "
        "AND json_extract(body, '$.facts.list') = ? AND json_extract(body, '$.facts.root') = ?",
        (source.header.id, source.header.root),
    )

    def is_known(act: str, who: str, seed: str | None = None, count: int | None = None) -> bool:
        # Each claim needs an act of its own: a second review is not covered by the first.
        if (act, who, seed, count) not in rows:
            return False
        rows.remove((act, who, seed, count))
        return True

    builder = source.header.builder.name
    if not is_known("list_built", builder):
        raise RefusedError(
            f"list {source.path}: the audit of this installation has no list_built by {builder}, which the file "
            "claims: build it here, so that it is written down"
        )
    return Recorded(
        reviews=tuple(one for one in source.reviews if is_known("list_reviewed", one.reviewer.name)),
        samples=tuple(one for one in source.samples if is_known("list_sampled", one.by.name, one.seed, one.n)),
        wrong=_found_wrong(vault, source),
    )


def _found_wrong(vault: Vault, source: ListFile) -> dict[str, str]:
    header = source.header
    rows = vault.database.query(
        "SELECT found.key, found.value FROM entries, json_each(body, '$.facts.entries') AS found "
        "WHERE act = 'list_sampled' "
        "AND json_extract(body, '$.facts.list') = ? AND json_extract(body, '$.facts.root') = ? "
        "AND found.key NOT IN (SELECT entry FROM withdrawals WHERE list = ?) ORDER BY number",
        (header.id, header.root, header.id),
    )
    return dict(rows)


def _expect_person(vault: Vault, source: ListFile, by: Signatory, act: str, at: dt.datetime) -> None:
    where = f"list {source.path}: {act} by {by.name}"
    if by.certificate is None:
        raise RefusedError(f"{where} was signed without a session: expected one that the person's own key certified")
    try:
        claimed = msgspec.json.decode(by.certificate.body, type=SessionCertificate)
    except (msgspec.DecodeError, ValueError):
        raise SignatureError(f"{where}: the certificate of the session cannot be read") from None
    member = vault.member(claimed.person)
    certificate = verify(by.certificate, SESSION, SessionCertificate, [bytes.fromhex(member.signing)])
    if (f"person {certificate.person}", certificate.key) != (by.name, by.key):
        raise SignatureError(f"{where} cites the session of {certificate.person}, with another key")
    if not certificate.starts <= at <= certificate.ends:
        raise RefusedError(
            f"{where} on {written(at)}, when the session was not open: it was from {written(certificate.starts)} to "
            f"{written(certificate.ends)}"
        )
    require(act, member)


def _certificate(vault: Vault, signer: SessionSigner) -> Envelope:
    shift = vault.shifts.find(signer.member.name)
    if shift is None:
        raise RefusedError(f"the session of {signer.member.name} was ended meanwhile: nothing more is signed with it")
    return shift.envelope


def _now(vault: Vault) -> dt.datetime:
    return moment(vault.clocks().utc_ns)
