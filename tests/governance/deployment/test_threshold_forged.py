"""Changes of threshold that nobody made, or nobody who might: whatever the file says, none of them counts."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import structs

from governance.deployment.support import LIVE, look
from governance.deployment.test_binding import append, copied_key, edit_chain, update
from governance.deployment.test_threshold import changed, proposed
from governance.vaults import NOON
from lfr_kernel.governance.deployment.opening import permitted
from lfr_kernel.governance.deployment.rethreshold import confirm
from lfr_kernel.governance.deployment.statements import THRESHOLD, Head, ThresholdChange
from lfr_kernel.governance.deployment.thresholds import thresholds_of
from lfr_kernel.governance.errors import RefusedError, SignatureError
from lfr_kernel.governance.keys.signing import Envelope, sign
from lfr_kernel.governance.people.sessions import end_session
from lfr_kernel.governance.people.statements import Role
from lfr_kernel.governance.tested import figures_at
from lfr_kernel.testing.fakes import digest_of

if TYPE_CHECKING:
    from governance.deployment.support import Site
    from lfr_kernel.governance.deployment.thresholds import Changed
    from lfr_kernel.governance.keys.signing import Signer

PROPOSED, CONFIRMED = "threshold_proposed", "threshold_confirmed"


def changes(site: Site, serial: int = 1) -> tuple[Changed, ...]:
    return thresholds_of(site.vault, site.deployment(serial))


def statement(site: Site, by: str, **more: Any) -> ThresholdChange:
    whole = ThresholdChange(
        serial=1,
        installation=site.vault.installation.installation,
        authority="EX/1",
        was=0.64,
        threshold=0.5,
        report=None,
        before=figures_at(None, 0.64),
        after=figures_at(None, 0.5),
        reason="correction",
        confirms=None,
        by=f"person {by}",
        at="",
    )
    return structs.replace(whole, **more)


def head(site: Site, act: str = PROPOSED) -> Head:
    query = "SELECT number, digest FROM entries WHERE act = ? ORDER BY number DESC LIMIT 1"
    ((number, digest),) = site.vault.database.query(query, (act,))
    return Head(number=number, digest=digest)


def forge(site: Site, act: str, signer: Signer, made: ThresholdChange, serial: int = 1) -> None:
    append(site, act, signer, sign(THRESHOLD, made, signer), serial)


def test_whoever_has_one_key_only_changes_nothing(site: Site) -> None:
    site.authorise()
    ada = copied_key(site, "ada")
    forge(site, PROPOSED, ada, statement(site, "ada"))
    forge(site, CONFIRMED, ada, statement(site, "ada", confirms=head(site)))
    with pytest.raises(RefusedError, match=r"\(threshold_confirmed by ada\) changes no threshold: it takes two people"):
        changes(site)


def test_nor_does_one_whose_role_is_another(site: Site) -> None:
    site.authorise()
    forge(site, PROPOSED, copied_key(site, "ada"), statement(site, "ada"))
    forge(site, CONFIRMED, copied_key(site, "dee"), statement(site, "dee", confirms=head(site)))
    with pytest.raises(
        RefusedError, match="threshold_confirmed needs the role authoriser or data-protection, and dee is"
    ):
        changes(site)


def test_nor_does_the_machine(site: Site) -> None:
    site.authorise()
    forge(site, PROPOSED, site.vault.signer, statement(site, "ada"))
    with pytest.raises(
        RefusedError, match=r"\(threshold_proposed by installation\) was signed by nobody who is on the"
    ):
        changes(site)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"threshold": 0.2}, "it says something else than what was proposed"),
        ({"reason": "false-alerts"}, "it says something else than what was proposed"),
        ({"report": "0" * 64}, "it says something else than what was proposed"),
        ({"confirms": None}, r"it does not confirm entry \d+, the last proposal before it"),
        ({"confirms": Head(number=1, digest="0" * 64)}, r"it does not confirm entry \d+, the last proposal before it"),
    ],
)
def test_a_confirmation_is_of_what_was_proposed(site: Site, more: dict[str, Any], why: str) -> None:
    site.authorise()
    forge(site, PROPOSED, copied_key(site, "ada"), statement(site, "ada"))
    made = statement(site, "eva", **{"confirms": head(site), **more})
    forge(site, CONFIRMED, copied_key(site, "eva"), made)
    with pytest.raises(RefusedError, match=rf"\(threshold_confirmed by eva\) changes no threshold: .*{why}"):
        changes(site)


def test_a_proposal_that_another_one_replaced_is_not_confirmed(site: Site) -> None:
    site.authorise()
    ada = copied_key(site, "ada")
    forge(site, PROPOSED, ada, statement(site, "ada"))
    first = head(site)
    forge(site, PROPOSED, ada, statement(site, "ada", threshold=0.7))
    forge(site, CONFIRMED, copied_key(site, "eva"), statement(site, "eva", confirms=first))
    with pytest.raises(
        RefusedError, match=r"it does not confirm entry \d+, .*and it says something else than what was"
    ):
        changes(site)


def test_a_change_counts_once(site: Site) -> None:
    site.authorise()
    changed(site)
    (entry,) = site.acts(CONFIRMED)
    append(site, CONFIRMED, copied_key(site, "eva"), msgspec.convert(entry["facts"]["signed"], Envelope))
    with pytest.raises(RefusedError, match="changes no threshold: nothing was proposed since the change before"):
        changes(site)


def test_a_change_continues_the_one_before_or_is_none(site: Site) -> None:
    site.authorise()
    changed(site, 0.7)
    forge(site, PROPOSED, copied_key(site, "ada"), statement(site, "ada", was=0.64))
    forge(site, CONFIRMED, copied_key(site, "eva"), statement(site, "eva", was=0.64, confirms=head(site)))
    with pytest.raises(RefusedError, match=r"it changes the threshold from 0\.64, and it was 0\.7"):
        changes(site)


def test_a_change_of_another_deployment_is_refused(site: Site) -> None:
    site.authorise()
    changed(site)
    plan = site.plan(list=site.folder / "summer.lfrlist", profile_digest=digest_of("summer"))
    site.authorise(plan, id="EX/2")
    for act, name in ((PROPOSED, "ada"), (CONFIRMED, "eva")):
        (entry,) = site.acts(act)
        append(site, act, copied_key(site, name), msgspec.convert(entry["facts"]["signed"], Envelope), serial=2)
    with pytest.raises(
        RefusedError,
        match=r"expected a change for deployment 2 at \w+ \(authority EX/2\), got one for deployment 1 at",
    ):
        changes(site, 2)
    assert len(changes(site)) == 1


@pytest.mark.parametrize("act", [PROPOSED, CONFIRMED])
def test_an_entry_that_was_changed_is_refused(site: Site, act: str) -> None:
    site.authorise()
    changed(site)
    edit_chain(site, act, lambda body: body.update(reason="urgent"))
    with pytest.raises(
        SignatureError, match=rf"\({act} by person \w+\) is not as its session signed it: it was changed"
    ):
        permitted(site.vault, site.plan(), LIVE, swap=())


def test_a_statement_that_was_changed_is_refused(site: Site) -> None:
    site.authorise()
    changed(site)
    envelope = sign(THRESHOLD, statement(site, "eva", confirms=head(site)), site.vault.signer)
    edit_chain(site, CONFIRMED, lambda body: body["facts"].update(signed=msgspec.to_builtins(envelope)))
    with pytest.raises(SignatureError, match="this threshold-change is not signed by key"):
        permitted(site.vault, site.plan(), LIVE, swap=())


def test_when_the_index_had_it_is_what_the_machine_signed(site: Site) -> None:
    governed = site.running()
    changed(site)
    news = look(governed).threshold
    assert news is not None
    governed.took_up(news)
    edit_chain(site, "threshold_in_force", lambda body: body.update(at="2030-06-01T11:00:00.000000000Z"))
    with pytest.raises(SignatureError, match=r"\(threshold_in_force\) is not as this installation signed it"):
        changes(site)


def test_a_run_stops_at_a_change_that_was_forged(site: Site) -> None:
    governed = site.running()
    forge(site, PROPOSED, copied_key(site, "dee"), statement(site, "dee"))
    with pytest.raises(RefusedError, match="threshold_proposed needs the role authoriser or data-protection"):
        look(governed)


def test_a_session_that_was_ended_confirms_nothing(site: Site) -> None:
    site.authorise()
    entry = proposed(site).statement
    key = copied_key(site, "eva")
    end_session(site.vault, "eva")
    made = structs.replace(entry, confirms=head(site), by="person eva")
    forge(site, CONFIRMED, key, made)
    with pytest.raises(RefusedError, match=r"does not count: the session of eva was ended before"):
        changes(site)


@pytest.mark.parametrize("people", [{"ada": None}, {"eva": {"roles": (Role.AUDITOR,)}}, {"ada": {"signing": "1" * 64}}])
def test_what_was_changed_before_a_new_roster_stands(site: Site, people: dict[str, Any]) -> None:
    site.authorise()
    changed(site)
    update(site, **people)
    assert [one.threshold for one in changes(site)] == [0.7]


def test_what_was_changed_after_the_time_of_a_revocation_falls_with_it(site: Site) -> None:
    site.authorise()
    site.clocks.pass_(minutes=10)
    changed(site)
    site.clocks.pass_(minutes=10)
    update(site, ada={"revoked": NOON + dt.timedelta(minutes=5)})
    with pytest.raises(
        RefusedError, match=r"\(threshold_proposed by person ada\) does not count, by roster 1: the keys"
    ):
        changes(site)


def test_whoever_lost_the_role_since_the_proposal_does_not_confirm(site: Site) -> None:
    site.authorise()
    proposed(site)
    update(site, eva={"roles": (Role.AUDITOR,)})
    with pytest.raises(RefusedError, match="threshold_confirmed needs the role authoriser or data-protection, and eva"):
        confirm(site.vault, site.signers["eva"], 1)
