"""The register held against what people signed: whoever edits it behind the audit's back gets nothing permitted."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import structs

from governance.deployment.support import HOUR, LIVE
from governance.vaults import NOON, PEOPLE
from lfr_kernel.governance.audit.chain import digest_of as body_digest
from lfr_kernel.governance.audit.chain import iso_of
from lfr_kernel.governance.deployment.opening import permitted
from lfr_kernel.governance.deployment.register import extended, save
from lfr_kernel.governance.deployment.statements import AUTHORITY, EXTENSION, Authorisation, Extension
from lfr_kernel.governance.errors import RefusedError, SealError, SignatureError
from lfr_kernel.governance.installation import update_installation
from lfr_kernel.governance.keys.sealing import wrap
from lfr_kernel.governance.keys.signing import Envelope, KeySigner, sign
from lfr_kernel.governance.people.sessions import end_session
from lfr_kernel.governance.people.statements import ROSTER, SESSION, Role, Roster, SessionCertificate
from lfr_kernel.testing.fakes import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from governance.deployment.support import Site
    from lfr_kernel.governance.deployment.plan import Plan
    from lfr_kernel.governance.deployment.register import Deployment
    from lfr_kernel.governance.keys.signing import Signer
    from lfr_kernel.governance.people.keyfiles import Person

HOUR_NS = 3_600 * 10**9
WANTED = digest_of("another profile")
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


def append(site: Site, act: str, signer: Signer, signed: Envelope, serial: int = 1) -> None:
    """Append to the chain past everything that asks whether the signer may."""
    with site.vault.database.transaction() as transaction:
        transaction.append(act, signer=signer, facts={"deployment": serial, "signed": signed})


def copied_key(site: Site, name: str) -> KeySigner:
    """Return what signs with the key of a session after somebody copied it."""
    shift = site.vault.shifts.find(name)
    assert shift is not None
    return KeySigner(f"person {name}", site.vault.shifts.private(shift))


def certify(site: Site, person: Person, **changes: Any) -> KeySigner:
    """Put a session into the chain that ada or somebody with her name certified, past everything that asks."""
    signer = KeySigner("person ada", hashlib.sha256(b"session").digest())
    whole = SessionCertificate(
        person="ada",
        key=signer.public.hex(),
        installation=site.vault.installation.installation,
        deployment=None,
        starts=site.now,
        ends=site.now + HOUR,
        idle_s=600,
    )
    envelope = sign(SESSION, structs.replace(whole, **changes), person.signer)
    with site.vault.database.transaction() as transaction:
        transaction.append("session_started", signer=signer, facts={"certificate": envelope})
    return signer


def prolong(site: Site, signer: Signer, **changes: Any) -> None:
    """Extend deployment 1 by an hour, in the register and in the chain, past everything that asks."""
    statement, term = structs.replace(extension(site), **changes), site.deployment().term
    edit(site, term=structs.replace(term, ends_ns=term.ends_ns + HOUR_NS))
    append(site, "authority_extended", signer, sign(EXTENSION, statement, signer))


def update(site: Site, number: int = 2, **people: Mapping[str, Any] | None) -> None:
    """Take in a roster with these changes; None: they are not on it any more."""
    members = [
        site.force.member(name, **(people.get(name) or {})) for name in PEOPLE if people.get(name, {}) is not None
    ]
    roster = sign(ROSTER, Roster(number=number, issued=site.now, people=tuple(members)), site.force.root._signer)
    update_installation(site.vault, site.signers["eva"], roster=roster)


def with_payload(envelope: Envelope, statement: Authorisation) -> Envelope:
    return structs.replace(envelope, payload=base64.b64encode(msgspec.json.encode(statement)).decode())


def forged(site: Site, how: str) -> Envelope:
    """Have something authorised, and return what somebody would like to have been signed: for another profile."""
    envelope = site.authorise().envelope
    statement = structs.replace(site.deployment().authorisation, profile_digest=WANTED)
    return {
        "changed": with_payload(envelope, statement),
        "by the installation": sign(AUTHORITY, statement, site.vault.signer),
        "without signatures": structs.replace(with_payload(envelope, statement), signatures=()),
    }[how]


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
    envelope = forged(site, how)
    edit(site, envelope=envelope)
    with pytest.raises(RefusedError, match=NOT_SIGNED + r"its authorisation is not the one in the chain\): " + BEHIND):
        permit(site, site.plan(profile_digest=WANTED))


@pytest.mark.parametrize("how", ["changed", "by the installation", "without signatures"])
def test_an_authorisation_that_was_changed_in_the_chain_as_well_is_refused(site: Site, how: str) -> None:
    envelope = forged(site, how)
    edit(site, envelope=envelope)
    edit_chain(site, "authorised", lambda body: body["facts"].update(signed=msgspec.to_builtins(envelope)))
    with pytest.raises(SignatureError, match="this authority is not signed by key"):
        permit(site, site.plan(profile_digest=WANTED))


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


def test_a_session_that_was_ended_prolongs_nothing(site: Site) -> None:
    site.crash(site.running())
    key = copied_key(site, "ada")
    end_session(site.vault, "ada")
    prolong(site, key)
    with pytest.raises(
        RefusedError, match=r"\(authority_extended by person ada\) does not count: the session of ada was"
    ):
        permit(site)


def test_what_a_session_signed_before_its_end_stands(site: Site) -> None:
    site.crash(site.running())
    ends_ns = site.deployment().term.ends_ns + HOUR_NS
    extended(site.vault, site.signers["ada"], 1, ends_ns=ends_ns, reason="in-progress", text="arrest")
    end_session(site.vault, "ada")
    assert permit(site).term.ends_ns == ends_ns


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"starts": NOON + HOUR, "ends": NOON + 2 * HOUR},
            "was from 2030-06-01T13:00:00Z to 2030-06-01T14:00:00Z, not",
        ),
        (
            {"starts": NOON - 2 * HOUR, "ends": NOON - HOUR},
            "was from 2030-06-01T10:00:00Z to 2030-06-01T11:00:00Z, not",
        ),
        ({"installation": "0" * 32}, f"was for installation {'0' * 32}, not for"),
        ({"deployment": 2}, "was good for deployment 2, not for 1;"),
    ],
)
def test_a_session_signs_only_what_it_was_certified_for(site: Site, changes: dict[str, Any], why: str) -> None:
    site.crash(site.running())
    prolong(site, certify(site, site.force.people["ada"], **changes))
    with pytest.raises(RefusedError, match=rf"does not count: the session of ada {why}"):
        permit(site)


def test_a_session_that_is_good_for_this_deployment_prolongs_it(site: Site) -> None:
    site.crash(site.running())
    prolong(site, certify(site, site.force.people["ada"], deployment=1))
    permit(site)


def test_a_session_that_starts_behind_its_act_certifies_nothing(site: Site) -> None:
    site.crash(site.running())
    signer = KeySigner("person ada", hashlib.sha256(b"session").digest())
    prolong(site, signer)
    certify(site, site.force.people["ada"])
    with pytest.raises(RefusedError, match="on the roster: no session with its key was started before"):
        permit(site)


def test_a_session_of_somebody_else_is_not_one_of_an_authoriser(site: Site) -> None:
    site.crash(site.running())
    prolong(site, certify(site, site.force.people["ben"]))
    with pytest.raises(
        SignatureError, match="does not count, by roster 1: this session-certificate is not signed by key"
    ):
        permit(site)


def test_the_name_of_an_entry_is_that_of_its_session(site: Site) -> None:
    site.crash(site.running())
    key = certify(site, site.force.people["ada"])
    key.name = "person eva"
    prolong(site, key)
    with pytest.raises(RefusedError, match="its key is not that of the session of ada that was started with it"):
        permit(site)


def test_an_extension_of_another_deployment_is_refused(site: Site) -> None:
    site.crash(site.running())
    ends_ns = site.deployment().term.ends_ns + HOUR_NS
    extended(site.vault, site.signers["ada"], 1, ends_ns=ends_ns, reason="in-progress", text="arrest")
    plan = site.plan(list=site.folder / "summer.lfrlist", profile_digest=digest_of("summer"))
    second = site.authorise(plan, id="EX/2")
    (entry,) = site.acts("authority_extended")
    copied = msgspec.convert(entry["facts"]["signed"], Envelope)
    append(site, "authority_extended", copied_key(site, "ada"), copied, serial=2)
    with site.vault.database.transaction() as transaction:
        save(transaction, structs.replace(second, term=structs.replace(second.term, ends_ns=ends_ns)))
    with pytest.raises(
        RefusedError,
        match=r"an extension of deployment 2 in the audit .*expected one of deployment 2 at \w+ \(authority EX/2\).*, "
        r"got one of deployment 1 at \w+ \(authority EX/1\) that ended at 2030-06-01T13:00:00",
    ):
        permit(site, plan)


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"was": iso_of(0)}, r"that ended at 1970-01-01T00:00:00"),
        ({"authority": "EX/9"}, r"\(authority EX/9\)"),
        ({"installation": "0" * 32}, rf"at {'0' * 32} "),
        ({"serial": 2}, "deployment 2 "),
    ],
)
def test_an_extension_that_does_not_continue_is_refused(site: Site, changes: dict[str, Any], got: str) -> None:
    site.crash(site.running())
    prolong(site, copied_key(site, "ada"), **changes)
    with pytest.raises(
        RefusedError, match=rf"does not continue it: expected one of deployment 1 .*, got one of .*{got}"
    ):
        permit(site)


def test_an_extension_counts_once(site: Site) -> None:
    site.crash(site.running())
    ends_ns = site.deployment().term.ends_ns + HOUR_NS
    extended(site.vault, site.signers["ada"], 1, ends_ns=ends_ns, reason="in-progress", text="arrest")
    (entry,) = site.acts("authority_extended")
    append(site, "authority_extended", copied_key(site, "ada"), msgspec.convert(entry["facts"]["signed"], Envelope))
    with pytest.raises(
        RefusedError, match=r"does not continue it: .* that ended at 2030-06-01T14:.* ended at 2030-06-01T13:"
    ):
        permit(site)


@pytest.mark.parametrize("how", ["body", "digest as well", "signature"])
def test_an_entry_that_its_session_did_not_sign_is_refused(site: Site, how: str) -> None:
    site.authorise()
    if how == "signature":
        with site.vault.database.transaction() as transaction:
            transaction.execute("DROP TRIGGER entries_are_not_changed")
            other = "(SELECT signature FROM entries WHERE number = 1)"
            transaction.execute(f"UPDATE entries SET signature = {other} WHERE act = 'authorised'")  # noqa: S608
    else:
        edit_chain(site, "authorised", lambda body: body.update(reason="urgent"))
    if how == "digest as well":
        (body,) = site.vault.database.query("SELECT body FROM entries WHERE act = 'authorised'")[0]
        with site.vault.database.transaction() as transaction:
            transaction.execute("UPDATE entries SET digest = ? WHERE act = 'authorised'", (body_digest(body),))
    with pytest.raises(
        SignatureError, match=r"\(authorised by person ada\) is not as its session signed it: it was changed"
    ):
        permit(site)


def test_an_entry_at_another_place_is_refused(site: Site) -> None:
    site.authorise()
    with site.vault.database.transaction() as transaction:
        transaction.execute("DROP TRIGGER entries_are_not_changed")
        transaction.execute("UPDATE entries SET number = number + 7 WHERE act = 'authorised'")
    with pytest.raises(SignatureError, match="is not as its session signed it: it was changed or moved"):
        permit(site)


def test_an_entry_that_cannot_be_read_is_refused(site: Site) -> None:
    site.authorise()
    edit_chain(site, "authorised", lambda body: body.pop("key"))
    with pytest.raises(
        SignatureError, match=r"entry \d+ of the audit, authorised, or the start .* cannot be read \(.*`key`"
    ):
        permit(site)


@pytest.mark.parametrize(
    "ada",
    [
        {"signing": "1" * 64},
        {"roles": (Role.AUDITOR,)},
        None,
        {"revoked": NOON + dt.timedelta(minutes=5)},
        {"expires": NOON + dt.timedelta(minutes=15)},
    ],
    ids=["another key", "another role", "left", "revoked", "expires"],
)
def test_what_was_signed_before_a_new_roster_stands(site: Site, ada: dict[str, Any] | None) -> None:
    site.crash(site.running())
    ends_ns = site.deployment().term.ends_ns + HOUR_NS
    extended(site.vault, site.signers["ada"], 1, ends_ns=ends_ns, reason="in-progress", text="arrest")
    site.clocks.pass_(minutes=10)
    update(site, ada=ada)
    site.clocks.pass_(minutes=10)
    assert permit(site).term.ends_ns == ends_ns


@pytest.mark.parametrize("gone", [False, True])
def test_what_was_signed_after_the_time_of_a_revocation_falls_with_it(site: Site, *, gone: bool) -> None:
    site.crash(site.running())
    site.clocks.pass_(minutes=10)
    update(site, ada={"revoked": NOON - HOUR})
    if gone:
        update(site, 3, ada=None)
    with pytest.raises(
        RefusedError,
        match=r"\(authorised by person ada\) does not count, by roster 1: the keys of ada were revoked on .*T11:00",
    ):
        permit(site)


@pytest.mark.parametrize(
    ("ada", "why"),
    [
        ({"revoked": NOON + dt.timedelta(minutes=5)}, "the keys of ada were revoked on 2030-06-01T12:05:00Z"),
        ({"expires": NOON + dt.timedelta(minutes=15)}, "the roster's entry of ada expired on 2030-06-01T12:15:00Z"),
        ({"roles": (Role.AUDITOR,)}, "authority_extended needs the role authoriser, and ada is auditor"),
    ],
)
def test_what_somebody_signs_who_may_no_more_is_refused(site: Site, ada: dict[str, Any], why: str) -> None:
    site.crash(site.running())
    site.clocks.pass_(minutes=10)
    update(site, ada=ada)
    site.clocks.pass_(minutes=10)
    prolong(site, copied_key(site, "ada"))
    with pytest.raises(RefusedError, match=rf"\(authority_extended by person ada\) does not count, by roster 2: {why}"):
        permit(site)


@pytest.mark.parametrize("ada", [None, {"signing": "1" * 64}])
def test_a_key_that_is_off_the_roster_signs_nothing_more(site: Site, ada: dict[str, Any] | None) -> None:
    site.crash(site.running())
    update(site, ada=ada)
    prolong(site, copied_key(site, "ada"))
    why = (
        "ada is not on roster 2, which was in force then"
        if ada is None
        else "does not count, by roster 2: this session-"
    )
    with pytest.raises((RefusedError, SignatureError), match=why):
        permit(site)


def test_setting_the_clock_back_does_not_undo_a_revocation(site: Site) -> None:
    site.crash(site.running())
    key = copied_key(site, "ada")
    site.clocks.pass_(minutes=10)
    update(site, ada={"revoked": NOON + dt.timedelta(minutes=5)})
    site.clocks.set_wall(minutes=-10)
    prolong(site, key)
    site.clocks.set_wall(minutes=10)
    with pytest.raises(RefusedError, match=r"authority_extended .*by roster 2: the keys of ada were revoked on"):
        permit(site)
