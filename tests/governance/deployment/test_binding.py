"""The register held against what people signed: whoever edits it behind the audit's back gets nothing permitted."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import structs

from governance.deployment.support import HOUR, LIVE
from lfr_kernel.governance.audit.chain import iso_of
from lfr_kernel.governance.deployment.opening import permitted
from lfr_kernel.governance.deployment.register import extended, save
from lfr_kernel.governance.deployment.statements import AUTHORITY, EXTENSION, Authorisation, Extension
from lfr_kernel.governance.errors import RefusedError, SealError, SignatureError
from lfr_kernel.governance.keys.sealing import wrap
from lfr_kernel.governance.keys.signing import Envelope, sign
from lfr_kernel.testing.fakes import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.deployment.support import Site
    from lfr_kernel.governance.deployment.plan import Plan
    from lfr_kernel.governance.deployment.register import Deployment
    from lfr_kernel.governance.keys.signing import Signer

HOUR_NS = 3_600 * 10**9
NOT_SIGNED = r"the register's entry of deployment 1 is not what was signed \("
BEHIND = r"it was changed behind the audit's back; keep the vault as it is and verify the audit"


def permit(site: Site, plan: Plan | None = None) -> Deployment:
    return permitted(site.vault, plan or site.plan(), LIVE, swap=())


def edit(site: Site, **changes: Any) -> None:
    """Change the register as the account of the machine can."""
    with site.vault.database.transaction() as transaction:
        save(transaction, structs.replace(site.deployment(), **changes))


def edit_chain(site: Site, act: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change an entry of the chain as whoever can write the file may."""
    with site.vault.database.transaction() as transaction:
        transaction.execute("DROP TRIGGER IF EXISTS entries_are_not_changed")
        (number, text) = transaction.execute("SELECT number, body FROM entries WHERE act = ?", (act,)).fetchone()
        body = msgspec.json.decode(text)
        change(body)
        transaction.execute(
            "UPDATE entries SET body = ? WHERE number = ?", (msgspec.json.encode(body).decode(), number)
        )


def append(site: Site, act: str, signer: Signer, signed: Envelope) -> None:
    """Append to the chain past everything that asks whether the signer may."""
    with site.vault.database.transaction() as transaction:
        transaction.append(act, signer=signer, facts={"deployment": 1, "signed": signed})


def with_payload(envelope: Envelope, statement: Authorisation) -> Envelope:
    return structs.replace(envelope, payload=base64.b64encode(msgspec.json.encode(statement)).decode())


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize(("which", "by_ns"), [("ends_ns", HOUR_NS), ("ends_ns", -1), ("starts_ns", -HOUR_NS)])
def test_another_term_is_refused(site: Site, which: str, by_ns: int, *, running: bool) -> None:
    if running:
        site.crash(site.running())
    term = (site.deployment() if running else site.authorise()).term
    edit(site, term=structs.replace(term, **{which: getattr(term, which) + by_ns}))
    with pytest.raises(RefusedError, match=NOT_SIGNED + r"expected an end at 2030-06-01T13:00:00.*" + BEHIND):
        permit(site)
    edit(site, term=term)
    permit(site)


@pytest.mark.parametrize("changes", [{"list": "0" * 32}, {"root": "0" * 64}, {"authority": "EX/9"}])
def test_another_list_is_refused(site: Site, changes: dict[str, str]) -> None:
    was = site.authorise()
    edit(site, **changes)
    with pytest.raises(RefusedError, match=NOT_SIGNED + rf".* and list {was.list}\): " + BEHIND):
        permit(site)


@pytest.mark.parametrize("how", ["changed", "by the installation", "without signatures"])
def test_an_authorisation_for_another_profile_is_refused(site: Site, how: str) -> None:
    envelope = site.authorise().envelope
    wanted = digest_of("another profile")
    statement = structs.replace(site.deployment().authorisation, profile_digest=wanted)
    forged = {
        "changed": with_payload(envelope, statement),
        "by the installation": sign(AUTHORITY, statement, site.vault.signer),
        "without signatures": structs.replace(with_payload(envelope, statement), signatures=()),
    }[how]
    edit(site, envelope=forged)
    with pytest.raises(RefusedError, match=NOT_SIGNED + r"its authorisation is not the one in the chain\): " + BEHIND):
        permit(site, site.plan(profile_digest=wanted))


@pytest.mark.parametrize("how", ["changed", "by the installation", "without signatures"])
def test_an_authorisation_that_was_changed_in_the_chain_as_well_is_refused(site: Site, how: str) -> None:
    envelope = site.authorise().envelope
    wanted = digest_of("another profile")
    statement = structs.replace(site.deployment().authorisation, profile_digest=wanted)
    forged = {
        "changed": with_payload(envelope, statement),
        "by the installation": sign(AUTHORITY, statement, site.vault.signer),
        "without signatures": structs.replace(with_payload(envelope, statement), signatures=()),
    }[how]
    edit(site, envelope=forged)
    edit_chain(site, "authorised", lambda body: body["facts"].update(signed=msgspec.to_builtins(forged)))
    with pytest.raises(SignatureError, match="this authority is not signed by key"):
        permit(site, site.plan(profile_digest=wanted))


def test_an_authorisation_that_is_not_in_the_chain_or_twice_is_none(site: Site) -> None:
    one = site.authorise()
    append(site, "authorised", site.signers["ada"], one.envelope)
    with pytest.raises(RefusedError, match=NOT_SIGNED + "its authorisation is not the one in the chain"):
        permit(site)
    with site.vault.database.transaction() as transaction:
        transaction.execute("DROP TRIGGER entries_are_not_removed")
        transaction.execute("DELETE FROM entries WHERE act = 'authorised'")
    with pytest.raises(RefusedError, match=NOT_SIGNED + "its authorisation is not the one in the chain"):
        permit(site)


def test_another_document_is_refused(site: Site) -> None:
    site.authorise()
    text = (site.folder / "authority.toml").read_text(encoding="utf-8").replace("Station Square", "Everywhere")

    def put(sealed: bytes | None) -> None:
        with site.vault.database.transaction() as transaction:
            transaction.execute("UPDATE deployments SET document = ?", (sealed,))

    put(wrap(site.vault.text_key(1), text.encode(), b"lfr-authority-1 1"))
    with pytest.raises(
        RefusedError, match=r"authority EX/1: expected the document that was signed, with SHA-256 \w+, got \w+: it was"
    ):
        permit(site)
    put(None)
    with pytest.raises(SealError):
        permit(site)


def extension(site: Site) -> Extension:
    one = site.deployment()
    return Extension(
        serial=1,
        installation=site.vault.installation.installation,
        authority=one.authority,
        was=iso_of(one.term.ends_ns),
        ends=iso_of(one.term.ends_ns + HOUR_NS),
        by="person ada",
        at=iso_of(site.clocks.now.utc_ns),
    )


def test_an_extension_counts_if_an_authoriser_signed_it(site: Site) -> None:
    site.crash(site.running())
    ends_ns = site.deployment().term.ends_ns + HOUR_NS
    extended(site.vault, site.signers["ada"], 1, ends_ns=ends_ns, reason="in-progress", text="arrest")
    assert permit(site).term.ends_ns == ends_ns
    site.clocks.pass_(hours=1.5)
    permit(site)


def test_an_extension_by_anybody_else_is_refused(site: Site) -> None:
    site.crash(site.running())
    statement, dee = extension(site), site.signers["dee"]
    term = site.deployment().term
    edit(site, term=structs.replace(term, ends_ns=term.ends_ns + HOUR_NS))
    append(site, "authority_extended", dee, sign(EXTENSION, statement, dee))
    with pytest.raises(RefusedError, match="authority_extended needs the role authoriser, and dee is operator"):
        permit(site)


def test_an_extension_by_the_installation_is_refused(site: Site) -> None:
    site.crash(site.running())
    statement, machine = extension(site), site.vault.signer
    term = site.deployment().term
    edit(site, term=structs.replace(term, ends_ns=term.ends_ns + HOUR_NS))
    append(site, "authority_extended", machine, sign(EXTENSION, statement, machine))
    with pytest.raises(
        RefusedError,
        match=r"entry \d+ of the audit \(authority_extended by installation\) was signed by nobody who is on",
    ):
        permit(site)


def test_what_runs_is_held_against_the_authority_again_at_every_start(site: Site) -> None:
    site.crash(site.running())
    with pytest.raises(RefusedError, match=r"authority EX/1: .*threshold.*0\.6\b"):
        permit(site, site.plan(threshold=0.6))
    with pytest.raises(RefusedError, match=r"authority EX/1: .*yard"):
        permit(site, site.plan(cameras=("gate", "yard")))
    site.clocks.pass_(minutes=59)
    assert permit(site).serial == 1
    assert site.deployment().term.ends_ns == site.deployment().term.starts_ns + int(HOUR.total_seconds()) * 10**9
