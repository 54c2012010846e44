"""Opening a list: by an operator, with exactly the list that was authorised, and from then on by one key alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from governance.deployment.support import HOUR, LIVE, MODEL, Letters, look, pack_with
from governance.lists.support import a_row
from lfr_kernel.governance.authority import AuthorityError
from lfr_kernel.governance.deployment import opening
from lfr_kernel.governance.deployment.opening import working_copy
from lfr_kernel.governance.deployment.register import end, recall
from lfr_kernel.governance.deployment.wiping import settle
from lfr_kernel.governance.errors import AuditError, KeyFileError, RefusedError, SealError
from lfr_kernel.governance.lists.file import ListFile
from lfr_kernel.governance.lists.framing import ListFileError
from lfr_kernel.governance.people.sessions import end_session
from lfr_kernel.governance.permit import PermitRefusedError
from lfr_kernel.governance.standing import Ending, Stage

if TYPE_CHECKING:
    from typing import Any

    from governance.deployment.support import Site
    from lfr_kernel.governance.deployment.governed import Governed
    from lfr_kernel.governance.deployment.plan import Plan


def issued(site: Site, plan: Plan | None = None, **more: Any) -> Governed:
    governed = site.governed(plan, **more)
    governed.issue("authority", LIVE)
    return governed


def opened(site: Site, plan: Plan | None = None, **more: Any) -> Governed:
    governed = issued(site, plan, **more)
    governed.open_list(MODEL, "letters", Letters())
    return governed


def kept(site: Site) -> Any:
    return site.vault.keyring.folder / "deployment-000001.key"


def test_opening_leaves_one_key_and_a_copy_without_a_seal(site: Site) -> None:
    site.authorise()
    governed = opened(site)
    assert governed.listed is not None
    assert governed.listed.persons == ("ada", "bob")
    copy = ListFile.open(working_copy(site.vault, site.deployment()))
    assert not copy.has_seal
    assert copy.path.stat().st_mode & 0o777 == 0o600
    assert copy.path.parent.stat().st_mode & 0o777 == 0o700
    assert not site.path.exists()
    assert len(kept(site).read_bytes()) == 32
    assert kept(site).read_bytes() not in site.remains()
    found = site.deployment()
    assert (found.stage, found.source, found.is_capturing) == (Stage.OPEN, str(site.path), True)
    (act,) = site.acts("deployment_opened")
    assert (act["by"], act["facts"]["start"], act["facts"]["list"]) == ("person dee", "sealed", found.list)
    (started,) = site.acts("capture_started")
    assert (started["by"], started["facts"]["after_crash"]) == ("installation", False)
    # The anchor of the opening waits to leave the machine.
    assert len(site.vault.database.pending("anchor")) == 1
    assert len(governed.warnings) == 6
    site.expect_chain()


def test_opening_takes_an_operator_on_shift(site: Site) -> None:
    site.authorise()
    with pytest.raises(RefusedError, match="deployment_opened needs the role operator, and ada is authoriser"):
        opened(site, by="ada")
    site.opened.pop().close()
    end_session(site.vault, "dee")
    with pytest.raises(RefusedError, match="dee has no session here: lfr-kernel session start --as dee"):
        opened(site)
    assert site.deployment().stage is Stage.AUTHORISED
    assert site.path.exists()
    assert not kept(site).exists()


@pytest.mark.parametrize(
    ("by", "text"),
    [
        ("ada", "deployment_opened needs the role operator, and ada is authoriser"),
        ("dee", "the session of dee ended on 2030-07-13T04:00:00Z; its key is destroyed: lfr-kernel session start"),
    ],
)
def test_the_operator_is_asked_for_before_anything_is_loaded(site: Site, by: str, text: str) -> None:
    plan = site.plan(loaded=pack_with(build_max_age_h=2_000.0, review_max_age_h=2_000.0))
    site.authorise(plan, starts=site.now + 1_001 * HOUR, ends=site.now + 1_002 * HOUR)
    site.clocks.pass_(hours=1_001)
    if by != "dee":
        site.force.session(site.vault, by)
    with pytest.raises(RefusedError, match=text):
        site.governed(plan, by=by).issue("authority", LIVE)


def test_a_session_that_ends_while_models_are_loaded_opens_nothing(site: Site) -> None:
    site.authorise()
    governed = issued(site)
    end_session(site.vault, "dee")
    with pytest.raises(RefusedError, match="dee has no session here"):
        governed.open_list(MODEL, "letters", Letters())
    assert site.deployment().stage is Stage.AUTHORISED


def test_a_session_for_another_deployment_does_not_open_this_one(site: Site) -> None:
    site.authorise()
    end_session(site.vault, "dee")
    site.force.session(site.vault, "dee", deployment=2)
    with pytest.raises(
        RefusedError, match="the session of dee is good for deployment 2, and deployment_opened belongs"
    ):
        opened(site)


def test_going_on_takes_no_operator_when_it_is_sealed(site: Site) -> None:
    site.crash(site.running())
    end_session(site.vault, "dee")
    opened(site)
    assert [one["facts"]["after_crash"] for one in site.acts("capture_started")] == [False, True]


def test_another_list_at_the_same_place_is_refused(site: Site) -> None:
    site.authorise()
    site.path.unlink()
    other = site.a_list()
    with pytest.raises(
        RefusedError,
        match=f"is list {other.header.id}, and authority EX/1 was signed for list {site.deployment().list}: put that",
    ):
        opened(site)


def test_another_model_is_refused_and_nothing_is_written_of_a_start(site: Site) -> None:
    site.authorise()
    with pytest.raises(RefusedError, match="templates of two models cannot be compared"):
        issued(site).open_list("0" * 64, "letters", Letters())
    assert site.deployment().stage is Stage.AUTHORISED
    site.opened.pop().close()
    site.crash(site.running())
    with pytest.raises(RefusedError, match="templates of two models cannot be compared"):
        issued(site).open_list("0" * 64, "letters", Letters())
    assert len(site.acts("capture_started")) == 1


def test_a_list_for_another_installation_does_not_open_here(site: Site) -> None:
    site.a_list(recipient=X25519PrivateKey.generate().public_key())
    site.authorise()
    with pytest.raises(SealError, match="does not open with this installation's key: it was built for another install"):
        opened(site)
    assert site.deployment().stage is Stage.AUTHORISED


def test_a_list_that_was_built_behind_the_audits_back_does_not_open(site: Site) -> None:
    site.a_list(is_written_down=False)
    with pytest.raises(RefusedError, match="the audit of this installation has no list_built by person ben, which the"):
        site.authorise()


def test_a_list_whose_review_has_become_too_old_does_not_open(site: Site) -> None:
    site.authorise(starts=site.now + 25 * HOUR, ends=site.now + 26 * HOUR)
    site.clocks.pass_(hours=25.5)
    with pytest.raises(RefusedError, match=r"it was reviewed 25\.5 h ago, expected 24 h at most"):
        opened(site)


def test_a_list_that_is_gone_or_was_changed_does_not_open(site: Site) -> None:
    site.authorise()
    data = bytearray(site.path.read_bytes())
    data[-20] ^= 1
    site.path.write_bytes(bytes(data))
    with pytest.raises(ListFileError, match="chunk 2 of 3 was changed"):
        opened(site)
    site.opened.pop().close()
    site.path.unlink()
    with pytest.raises(ListFileError, match="cannot be read: No such file or directory"):
        opened(site)


def test_what_was_recalled_or_has_expired_is_left_out_when_it_goes_on(site: Site) -> None:
    site.rows = [a_row("ada", 1), a_row("bob", 2), a_row("cy", 3, expires=site.now + HOUR)]
    site.crash(site.running(ends=site.now + 3 * HOUR))
    recall(site.vault, site.signers["ben"], 1, site.rows[1].about.entry, reason="found", text=None)
    site.clocks.pass_(minutes=60)
    governed = opened(site)
    assert governed.listed is not None
    assert governed.listed.persons == ("ada",)
    assert [one.reason for one in governed.listed.rejected] == ["was recalled", "expired on 2030-06-01T13:00:00Z"]
    # What was left out already is no news.
    assert look(governed).withdrawn == ()


def test_a_clock_that_was_set_back_brings_no_entry_back(site: Site) -> None:
    site.rows = [a_row("ada", 1), a_row("cy", 3, expires=site.now + HOUR)]
    governed = site.running(ends=site.now + 3 * HOUR)
    site.clocks.pass_(minutes=61)
    look(governed)
    site.crash(governed)
    site.clocks.set_wall(minutes=-30)
    with site.vault.database.transaction() as transaction:
        transaction.execute("DELETE FROM withdrawals")
    again = opened(site)
    assert again.listed is not None
    assert again.listed.persons == ("ada",)


def test_what_is_recalled_while_the_list_is_read_is_news_at_the_first_look(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.authorise()
    governed = issued(site)
    entry = site.rows[0].about.entry
    read = opening.open_rows

    def slowly(*arguments: Any, **more: Any) -> Any:
        recall(site.vault, site.signers["ben"], 1, entry, reason="found", text=None)
        return read(*arguments, **more)

    monkeypatch.setattr(opening, "open_rows", slowly)
    governed.open_list(MODEL, "letters", Letters())
    assert look(governed).withdrawn == (entry,)
    assert look(governed).withdrawn == ()


def test_what_is_closed_while_the_list_is_verified_stays_closed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.authorise()
    governed = issued(site)
    kept_key = opening.keep_key

    def close_meanwhile(*arguments: Any) -> None:
        kept_key(*arguments)
        end(site.vault, 1, signer=site.signers["ada"], why="closed")

    monkeypatch.setattr(opening, "keep_key", close_meanwhile)
    with pytest.raises(
        AuthorityError, match="authority EX/1: cannot open it: it has ended and its list is being wiped"
    ):
        governed.open_list(MODEL, "letters", Letters())
    governed.close()
    assert site.deployment().stage is Stage.ENDING
    assert settle(site.vault) == [1]
    assert site.deployment().ending is Ending.ABANDONED
    assert not kept(site).exists()
    assert not working_copy(site.vault, site.deployment()).parent.exists()


def test_what_is_closed_before_it_goes_on_does_not_go_on(site: Site) -> None:
    site.crash(site.running())
    governed = issued(site)
    end(site.vault, 1, signer=site.signers["ada"], why="closed")
    with pytest.raises(PermitRefusedError, match="authority EX/1 was ended meanwhile: its list is gone, or going"):
        governed.open_list(MODEL, "letters", Letters())


def test_a_start_that_cannot_be_written_down_opens_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.crash(site.running())
    governed = issued(site)
    made: list[Any] = []
    read = opening.open_rows

    def note(*arguments: Any, **more: Any) -> Any:
        made.append(read(*arguments, **more))
        governed._vault.database._connection.execute("PRAGMA query_only = 1")
        return made[0]

    monkeypatch.setattr(opening, "open_rows", note)
    with pytest.raises(AuditError, match="it may not be written"):
        governed.open_list(MODEL, "letters", Letters())
    assert made[0].templates.is_erased


def test_a_crash_before_the_key_is_written_down_is_simply_begun_anew(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.authorise()
    with monkeypatch.context() as patch:
        patch.setattr(opening, "commitments_of", lambda *_: (_ for _ in ()).throw(OSError("power")))
        with pytest.raises(OSError, match="power"):
            opened(site)
    site.opened.pop().close()
    first = kept(site).read_bytes()
    assert (site.deployment().stage, site.path.exists()) == (Stage.AUTHORISED, True)
    governed = opened(site)
    assert governed.listed is not None
    assert len(governed.listed) == 2
    assert kept(site).read_bytes() != first


def test_a_crash_before_the_sealed_list_is_removed_is_made_good_when_it_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.authorise()
    with monkeypatch.context() as patch:
        patch.setattr(opening, "remove_source", lambda _: (_ for _ in ()).throw(OSError("power")))
        with pytest.raises(OSError, match="power"):
            opened(site)
    site.opened.pop().close()
    assert (site.deployment().stage, site.path.exists()) == (Stage.OPEN, True)
    opened(site)
    assert not site.path.exists()


def test_another_list_that_lies_where_the_opened_one_was_stays(site: Site) -> None:
    site.crash(site.running())
    site.a_list([a_row("cy", 4)])
    opened(site)
    assert site.path.exists()


def test_without_its_key_a_deployment_is_over(site: Site) -> None:
    site.crash(site.running())
    kept(site).unlink()
    assert settle(site.vault) == [1]
    assert (site.deployment().why, site.deployment().ending) == ("key_gone", Ending.FAILED)
    assert site.receipt().why == "key_gone"


def test_a_key_that_goes_between_permit_and_list_is_an_error(site: Site) -> None:
    site.crash(site.running())
    governed = issued(site)
    kept(site).unlink()
    with pytest.raises(KeyFileError, match=r"deployment-000001\.key: No such file or directory"):
        governed.open_list(MODEL, "letters", Letters())
