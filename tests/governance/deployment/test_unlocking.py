"""A key that waits for an operator: the one whose session it is, who still is one, and says so in the chain."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from governance.deployment.support import HOUR, LIVE, MODEL, PACK, Letters, Site
from governance.vaults import PEOPLE
from lfr_kernel.governance.deployment.governed import Governed
from lfr_kernel.governance.deployment.opening import Opener
from lfr_kernel.governance.errors import RefusedError, SealError
from lfr_kernel.governance.installation import update_installation
from lfr_kernel.governance.people.keyfiles import open_as, write_key
from lfr_kernel.governance.people.sessions import end_session
from lfr_kernel.governance.standing import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from governance.conftest import FoundVault
    from lfr_kernel.governance.deployment.custody import Unlock
    from lfr_kernel.governance.deployment.plan import Plan


def opened(site: Site, plan: Plan | None = None, **more: Any) -> Governed:
    governed = site.governed(plan, **more)
    governed.issue("authority", LIVE)
    governed.open_list(MODEL, "letters", Letters())
    return governed


def kept(site: Site) -> Any:
    return site.vault.keyring.folder / "deployment-000001.key"


@pytest.fixture
def keyfile_in(tmp_path: Path, cheap_scrypt: None) -> Callable[[Site], Callable[[str], Path]]:
    """Return how somebody's key file is made, under the passphrase `secret`."""
    del cheap_scrypt

    def make(site: Site, name: str) -> Path:
        about = {"holder": "person", **msgspec.to_builtins(site.force.people[name].public)}
        write_key(tmp_path / f"{name}.key", hashlib.sha512(name.encode()).digest(), "secret", about)
        return tmp_path / f"{name}.key"

    return lambda site: partial(make, site)


@pytest.fixture
def keyfile(site: Site, keyfile_in: Callable[[Site], Callable[[str], Path]]) -> Callable[[str], Path]:
    return keyfile_in(site)


def test_a_deployment_that_waits_for_an_operator_goes_on_with_one(site: Site, keyfile: Callable[[str], Path]) -> None:
    plan = site.plan(start="operator-unlock")
    governed = site.running(plan)
    assert governed.listed is not None
    site.crash(governed)
    assert set(msgspec.json.decode(kept(site).read_bytes())["operators"]) == {"dee"}
    with pytest.raises(
        RefusedError,
        match=r'deployment 1 waits for an operator, as its profile says \(start = "operator-unlock"\): start it with -',
    ):
        opened(site, plan)
    site.opened.pop().close()
    with pytest.raises(RefusedError, match=r"this was sealed to dee, and the key file .*eva\.key is eva's"):
        opened(site, plan, unlock=partial(open_as, keyfile("eva"), "secret"))
    site.opened.pop().close()
    with pytest.raises(SealError):
        opened(site, plan, unlock=partial(open_as, keyfile("dee"), "wrong"))
    site.opened.pop().close()
    assert len(site.acts("capture_started")) == 1
    again = opened(site, plan, unlock=partial(open_as, keyfile("dee"), "secret"))
    assert again.listed is not None
    assert again.listed.persons == ("ada", "bob")


def test_a_key_that_cannot_be_read_is_an_error(site: Site) -> None:
    plan = site.plan(start="operator-unlock")
    site.crash(site.running(plan))
    kept(site).write_bytes(b"{")
    with pytest.raises(SealError, match="the key of deployment 1 cannot be read"):
        opened(site, plan, unlock=lambda _sealed, _purpose: b"")


def test_to_nobody_nothing_is_sealed(site: Site) -> None:
    plan = site.plan(start="operator-unlock")
    site.authorise(plan)
    site.clocks.pass_(minutes=1)
    roster = site.force.roster(2, issued=site.now, dee={"revoked": site.now + HOUR})
    update_installation(site.vault, site.signers["eva"], roster=roster)
    with pytest.raises(RefusedError, match="expected an operator on the roster to seal this to, found none"):
        opened(site, plan)
    assert site.deployment().stage is Stage.AUTHORISED


class Waiting:
    """A deployment whose key waits for dee, the operator; dov is an auditor yet."""

    def __init__(self, site: Site, keyfile: Callable[[str], Path]) -> None:
        self.site, self.plan, self._keyfile = site, site.plan(start="operator-unlock"), keyfile
        site.signers["dov"] = site.force.session(site.vault, "dov")
        site.crash(site.running(self.plan))

    def key_of(self, name: str) -> Unlock:
        return partial(open_as, self._keyfile(name), "secret")

    def unlock(self, by: str, key: str | None = None) -> Governed:
        return opened(self.site, self.plan, by=by, unlock=self.key_of(key or by))

    def refused(self, by: str, key: str | None = None, *, match: str) -> None:
        with pytest.raises(RefusedError, match=match):
            self.unlock(by, key)
        self.site.opened.pop().close()
        assert self.site.acts("deployment_unlocked") == []
        assert len(self.site.acts("capture_started")) == 1

    def change(self, **people: dict[str, Any]) -> None:
        """Let a new roster be installed."""
        self.site.clocks.pass_(minutes=1)
        roster = self.site.force.roster(self.site.vault.roster.number + 1, issued=self.site.now, **people)
        update_installation(self.site.vault, self.site.signers["eva"], roster=roster)

    @property
    def sealed_to(self) -> set[str]:
        return set(msgspec.json.decode(kept(self.site).read_bytes())["operators"])


@pytest.fixture
def waiting(
    tmp_path: Path, found_vault: FoundVault, keyfile_in: Callable[[Site], Callable[[str], Path]]
) -> Iterator[Waiting]:
    vault, force = found_vault({**PEOPLE, "dov": ("auditor",)}, packs=[PACK])
    folder = tmp_path / "office"
    folder.mkdir()
    site = Site(vault, force, folder)
    yield Waiting(site, keyfile_in(site))
    site.close()


def test_it_says_in_the_chain_who_unlocked(waiting: Waiting) -> None:
    waiting.unlock("dee")
    (act,) = waiting.site.acts("deployment_unlocked")
    assert (act["by"], act["facts"]) == ("person dee", {"deployment": 1})
    started = waiting.site.acts("capture_started")[-1]
    assert started["n"] == act["n"] + 1
    waiting.site.expect_chain()


def test_the_key_file_is_that_of_whose_session_it_is(waiting: Waiting) -> None:
    waiting.change(dov={"roles": ("operator",)})
    waiting.site.crash(waiting.unlock("dee"))
    assert waiting.sealed_to == {"dee", "dov"}
    with pytest.raises(RefusedError, match=r"this was sealed to dee, and the key file .*dov\.key is dov's"):
        waiting.unlock("dee", "dov")
    waiting.site.opened.pop().close()
    with pytest.raises(RefusedError, match=r"this was sealed to dov, and the key file .*dee\.key is dee's"):
        waiting.unlock("dov", "dee")
    assert [one["by"] for one in waiting.site.acts("deployment_unlocked")] == ["person dee"]


def test_who_is_no_operator_or_was_revoked_unlocks_nothing(waiting: Waiting) -> None:
    waiting.refused("fay", "dee", match="deployment_unlocked needs the role operator, and fay is auditor")
    before = waiting.site.signers["dee"]
    waiting.change(dee={"revoked": waiting.site.now}, dov={"roles": ("operator",)})
    waiting.refused("dee", match="the keys of dee were revoked on 2030-06-01T12:00:00Z")
    # So where the session was opened before the roster came.
    vault = waiting.site.force.open(waiting.site.vault.folder)
    opener = Opener(operator=lambda: before, unlock=waiting.key_of("dee"))
    governed = Governed(vault, waiting.plan, opener)
    waiting.site.opened.append(governed)
    with pytest.raises(RefusedError, match="the keys of dee were revoked on 2030-06-01T12:00:00Z"):
        governed.issue("authority", LIVE)
    assert waiting.site.acts("deployment_unlocked") == []


def test_without_a_session_a_key_file_unlocks_nothing(waiting: Waiting) -> None:
    end_session(waiting.site.vault, "dee")
    waiting.refused("dee", match="dee has no session here")


@pytest.mark.parametrize(
    ("by", "has_key", "text"),
    [
        ("dee", False, "deployment 1 waits for an operator, as its profile says"),
        ("fay", True, "deployment_unlocked needs the role operator, and fay is auditor"),
        ("eva", True, "deployment_unlocked needs the role operator, and eva is data-protection"),
        ("dov", True, "the key of deployment 1 was sealed before dov was an operator here"),
        ("nobody", True, "nobody has no session here"),
    ],
)
def test_who_may_not_unlock_is_told_before_anything_is_loaded(
    waiting: Waiting, by: str, *, has_key: bool, text: str
) -> None:
    waiting.change(dov={"roles": ("operator",)})
    unlocked: list[object] = []
    unlock = (lambda *given: unlocked.append(given) or b"") if has_key else None
    with pytest.raises(RefusedError, match=text):
        waiting.site.governed(waiting.plan, by=by, unlock=unlock).issue("authority", LIVE)
    assert unlocked == []


def test_a_session_that_ends_while_models_are_loaded_unlocks_nothing(waiting: Waiting) -> None:
    governed = waiting.site.governed(waiting.plan, unlock=waiting.key_of("dee"))
    governed.issue("authority", LIVE)
    end_session(waiting.site.vault, "dee")
    with pytest.raises(RefusedError, match="dee has no session here"):
        governed.open_list(MODEL, "letters", Letters())
    assert waiting.site.acts("deployment_unlocked") == []


def test_a_new_operator_unlocks_once_another_one_has_sealed_it_to_the_present_roster(waiting: Waiting) -> None:
    site = waiting.site
    assert waiting.sealed_to == {"dee"}
    waiting.change(dov={"roles": ("operator",)})
    waiting.refused(
        "dov",
        match="the key of deployment 1 was sealed before dov was an operator here: expected dee to go on with it, who",
    )
    site.crash(waiting.unlock("dee"))
    assert waiting.sealed_to == {"dee", "dov"}
    waiting.change(dee={"revoked": site.now}, dov={"roles": ("operator",)})
    again = waiting.unlock("dov")
    assert again.listed is not None
    assert again.listed.persons == ("ada", "bob")
    assert waiting.sealed_to == {"dov"}
    assert [one["by"] for one in site.acts("deployment_unlocked")] == ["person dee", "person dov"]
    site.expect_chain()
