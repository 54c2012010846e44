"""Authorising: what may run is signed whole, and everything that breaks the pack is said at once."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import structs

from governance.deployment.support import HOUR, PACK, pack_with
from governance.lists.support import a_row
from lfr_kernel.governance.alerts.handling import handling_of
from lfr_kernel.governance.authority import AuthorityError
from lfr_kernel.governance.deployment.register import closing_head, deployments, document_of, end, extended, find
from lfr_kernel.governance.deployment.statements import AUTHORITY, EXTENSION, Authorisation, Extension
from lfr_kernel.governance.deployment.wiping import settle
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.keys.signing import Envelope, verify
from lfr_kernel.governance.rules import LoadedPack, PackError, load_pack
from lfr_kernel.governance.standing import Ending, Stage
from lfr_kernel.testing.fakes import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.deployment.support import Site


def test_what_is_signed_is_the_document_with_the_digests_of_all_that_may_run(site: Site) -> None:
    made = site.a_list()
    head = closing_head(site.vault.database)
    deployment = site.authorise()
    signed = verify(deployment.envelope, AUTHORITY, Authorisation, [site.signers["ada"].public])
    assert signed == Authorisation(
        serial=1,
        installation=site.vault.installation.installation,
        authority="EX/1",
        document=hashlib.sha256((site.folder / "authority.toml").read_bytes()).hexdigest(),
        pack="uk-met",
        pack_digest=PACK.digest,
        profile="spring",
        profile_digest=digest_of("profile"),
        list=made.header.id,
        root=made.header.root,
        entries=3,
        handling=handling_of(site.plan().pack.rules),
        after=head,
        by="person ada",
        at="2030-06-01T12:00:00.000000000Z",
    )
    assert head.number == 1
    assert (deployment.serial, deployment.stage, deployment.keyname) == (1, Stage.AUTHORISED, "deployment-000001")
    (act,) = site.acts("authorised")
    assert (act["by"], act["facts"]["deployment"], act["facts"]["authority"]) == ("person ada", 1, "EX/1")
    assert find(site.vault.database, 1) == deployment
    text = (site.folder / "authority.toml").read_text(encoding="utf-8")
    assert document_of(site.vault, deployment).purpose in text
    # A chain is never erased: what somebody wrote in words stands elsewhere, encrypted.
    assert not [one for one in site.acts("authorised") if document_of(site.vault, deployment).purpose in str(one)]
    site.expect_chain()


def test_only_an_authoriser_authorises(site: Site) -> None:
    site.a_list()
    with pytest.raises(RefusedError, match="authorised needs the role authoriser, and dee is operator"):
        site.authorise(by="dee")
    assert deployments(site.vault.database) == []


def test_a_pack_that_nobody_signed_or_that_was_changed_is_refused(site: Site) -> None:
    site.a_list()
    for loaded in (load_pack("uk-swp"), structs.replace(pack_with(), digest=digest_of("changed"))):
        with pytest.raises(RefusedError, match=r"rule pack uk-\w+ \(.*\) is none of those that Example Police signed"):
            site.authorise(site.plan(loaded=loaded))


def test_a_template_is_refused(site: Site) -> None:
    site.a_list()
    template = load_pack("eu")
    with pytest.raises(PackError, match=r"rule pack eu .*: a template, [0-9]+ of its rules are to be completed"):
        site.authorise(site.plan(loaded=LoadedPack(pack=template.pack, digest=PACK.digest, origin=template.origin)))


def test_an_authority_that_breaks_the_pack_is_told_every_reason(site: Site) -> None:
    site.a_list()
    plan = site.plan(threshold=0.6, cameras=("gate", "door"))
    with pytest.raises(RefusedError) as refused:
        site.authorise(plan, ends=site.now + 13 * HOUR)
    text = str(refused.value)
    assert text.startswith("authority EX/1: 3 reasons\n  ends: expected 12 h after starts at most (max_authority_h")
    assert "threshold: authorised from 0.64, but the profile would alert from 0.6" in text
    assert "cameras: the profile would open door, which the authority does not name" in text


def test_an_assembly_takes_a_higher_authority(site: Site) -> None:
    site.a_list()
    with pytest.raises(AuthorityError, match="higher_authority: missing, expected who gave the higher authority"):
        site.authorise(assembly="true")


def test_an_authority_whose_time_is_over_is_refused(site: Site) -> None:
    site.a_list()
    with pytest.raises(RefusedError, match="ends: expected a time to come"):
        site.authorise(starts=site.now - 2 * HOUR, ends=site.now - HOUR)


def _unreviewed(site: Site) -> None:
    site.a_list(reviewer=None)


def _reviewed_long_ago(site: Site) -> None:
    site.a_list()
    site.clocks.pass_(hours=25)


def _sampled_too_little(site: Site) -> None:
    site.a_list(sampled=2)


def _of_another_pack(site: Site) -> None:
    site.a_list(pack="uk-swp", pack_digest=digest_of("another"))


def _too_long(site: Site) -> None:
    site.a_list([a_row(f"p{number}", number) for number in range(5)])


def _all_expired(site: Site) -> None:
    site.a_list([a_row("ada", 1, expires=site.now + HOUR)])
    site.clocks.pass_(hours=1)


def _of_a_category_that_is_not_named(site: Site) -> None:
    site.a_list([a_row("ada", 1), a_row("bob", 2, category="missing-at-risk"), a_row("cy", 3, category="vulnerable")])


@pytest.mark.parametrize(
    ("prepare", "text"),
    [
        (_unreviewed, r"lfrlist: nobody has reviewed it: another person than its builder has to \(lfr-kernel watchli"),
        (_reviewed_long_ago, r"  it was built 25\.0 h ago, expected 24 h at most \(build_max_age_h of pack uk-met\)"),
        (_reviewed_long_ago, r"  it was reviewed 25\.0 h ago, expected 24 h at most \(review_max_age_h of pack uk-met"),
        (_sampled_too_little, r"expected a dip sample of 3 entries \(min_sample of pack uk-met\), got 2: lfr-kernel"),
        (_of_another_pack, r"it was built by pack uk-swp \(\w{8}…\), the profile's is uk-met \(\w{8}…\): build it aga"),
        (_too_long, r"expected 4 entries at most \(max_entries of pack uk-met\), got 5"),
        (_all_expired, "all of its entries have expired: build it again"),
        (
            _of_a_category_that_is_not_named,
            r"1 of its entries are of category missing-at-risk, which authority EX/1 does not name \(it names wanted-c",
        ),
    ],
)
def test_a_list_that_is_not_fit_is_refused(site: Site, prepare: Callable[[Site], None], text: str) -> None:
    prepare(site)
    with pytest.raises(RefusedError, match=text):
        site.authorise(site.plan(loaded=pack_with(max_entries=4)))
    assert deployments(site.vault.database) == []
    assert site.acts("authorised") == []


def test_a_list_is_made_for_one_deployment(site: Site) -> None:
    site.authorise()
    with pytest.raises(
        RefusedError, match=r"belongs to deployment 1 \(authority EX/1\), which is authorised: a list is made for one"
    ):
        site.authorise(id="EX/2")


def test_the_list_of_a_deployment_that_was_never_opened_may_be_used_again(site: Site) -> None:
    site.authorise()
    end(site.vault, 1, signer=site.signers["dee"], why="closed")
    assert settle(site.vault) == [1]
    assert site.deployment(1).ending is Ending.ABANDONED
    assert site.path.exists()
    again = site.authorise(id="EX/2")
    assert again.serial == 2
    assert again.authorisation.after == closing_head(site.vault.database)
    assert again.authorisation.after.number == site.acts("wiped")[-1]["n"]


@pytest.mark.parametrize(
    ("stage", "advice"),
    [
        (Stage.AUTHORISED, "it is authorised and not open: it can be opened, ended or abandoned"),
        (Stage.OPEN, "it is open: it can be extended, or ended, which wipes its list"),
        (Stage.ENDING, "it has ended and its list is being wiped: that is finished first"),
        (Stage.CLOSED, "it was closed, and its id never opens again: authorise a new one, with an id of its own"),
    ],
)
def test_an_id_is_used_once_whatever_became_of_it(site: Site, stage: Stage, advice: str) -> None:
    site.authorise()
    if stage is not Stage.AUTHORISED:
        site.crash(site.running())
    if stage in {Stage.ENDING, Stage.CLOSED}:
        end(site.vault, 1, signer=site.signers["ada"], why="closed")
    if stage is Stage.CLOSED:
        settle(site.vault)
    assert site.deployment().stage is stage
    other = site.plan(list=site.folder / "other.lfrlist")
    with pytest.raises(AuthorityError, match=f"authority EX/1: cannot authorise it: {advice}"):
        site.authorise(other)
    assert len(deployments(site.vault.database)) == 1


def test_an_unknown_deployment_is_refused_with_those_there_are(site: Site) -> None:
    with pytest.raises(RefusedError, match="there is no deployment 1: nothing was authorised yet"):
        find(site.vault.database, 1)
    site.authorise()
    with pytest.raises(RefusedError, match="there is no deployment 7: expected a number from 1 to 1"):
        find(site.vault.database, 7)


def _extend(site: Site, minutes: int = 90, by: str = "ada", **more: Any) -> Any:
    ends_ns = int((site.now.replace(hour=12, minute=0) + dt.timedelta(minutes=minutes)).timestamp()) * 10**9
    return extended(
        site.vault, site.signers[by], 1, ends_ns=ends_ns, **{"reason": "in-progress", "text": "arrest", **more}
    )


def test_an_extension_is_an_act_of_its_own_with_its_text_kept_apart(site: Site) -> None:
    site.crash(site.running())
    site.clocks.pass_(minutes=50)
    _extend(site)
    (act,) = site.acts("authority_extended")
    envelope = msgspec.convert(act["facts"]["signed"], Envelope)
    signed = verify(envelope, EXTENSION, Extension, [site.signers["ada"].public])
    assert (signed.was, signed.ends) == ("2030-06-01T13:00:00.000000000Z", "2030-06-01T13:30:00.000000000Z")
    assert (act["by"], act["reason"]) == ("person ada", "in-progress")
    assert "arrest" not in str(act)
    assert site.vault.database.text(act["n"], site.vault.text_key(1)) == "arrest"
    site.expect_chain()


def test_an_extension_is_refused_to_others_to_shorten_and_once_it_is_over(site: Site) -> None:
    site.authorise()
    with pytest.raises(AuthorityError, match="authority EX/1: cannot extend it: it is authorised and not open"):
        _extend(site)
    site.crash(site.running())
    with pytest.raises(RefusedError, match="authority_extended needs the role authoriser, and dee is operator"):
        _extend(site, by="dee")
    with pytest.raises(AuthorityError, match=r"expected an end after 2030-06-01T13:00.*, got 2030-06-01T13:00.*close"):
        _extend(site, 60)
    site.clocks.pass_(hours=1)
    with pytest.raises(AuthorityError, match="cannot extend it: it has ended, and what has ended never begins again"):
        _extend(site)
    assert site.acts("authority_extended") == []


def test_closing_needs_a_role_and_happens_once(site: Site) -> None:
    site.authorise()
    with pytest.raises(RefusedError, match="authority_closed needs the role authoriser or operator or data-protectio"):
        end(site.vault, 1, signer=site.signers["fay"], why="closed")
    end(site.vault, 1, signer=site.signers["eva"], why="closed", text="rain")
    assert end(site.vault, 1, signer=site.signers["eva"], why="revoked").why == "closed"
    (act,) = site.acts("authority_closed")
    assert (act["reason"], act["facts"]) == ("closed", {"deployment": 1, "ending": "abandoned"})
    settle(site.vault)
    with pytest.raises(AuthorityError, match="cannot end it: it was closed, and its id never opens again"):
        end(site.vault, 1, signer=site.signers["eva"], why="closed")
