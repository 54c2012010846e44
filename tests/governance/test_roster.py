"""The roster, from a person's TOML to the organisation's signature; roles, and what each may do."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.vaults import FAR, NOON, PACK, Clocks, Force, person_named
from lfr_kernel.governance.document import DocumentError
from lfr_kernel.governance.errors import KeyFileError, RefusedError, SealError, SignatureError
from lfr_kernel.governance.keys.envelopes import write_envelope
from lfr_kernel.governance.people.keyfiles import (
    change_passphrase,
    lies_in_the_machine,
    new_person,
    open_key,
    read_public,
    unlock_person,
)
from lfr_kernel.governance.people.organisation import new_organisation, read_organisation, unlock_root
from lfr_kernel.governance.people.packs import read_pack
from lfr_kernel.governance.people.roles import ACTS, MACHINE_ACTS, combined, require, require_good
from lfr_kernel.governance.people.roster import RosterError, read_roster
from lfr_kernel.governance.people.statements import Member, PackDigest, Packs, Role, moment, written
from lfr_kernel.governance.rules import PackError

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).resolve().parents[2] / "docs" / "people.md"
ROW = re.compile(r"^\| `(\w+)` \|(.*)\|$", re.MULTILINE)


def member(*roles: Role, **changes: object) -> Member:
    made = Member(name="ada", signing="1" * 64, sealing="2" * 64, roles=roles, expires=FAR)
    return msgspec.structs.replace(made, **changes)


@given(st.sampled_from(sorted(ACTS)), st.sets(st.sampled_from(Role), min_size=1))
def test_an_act_takes_one_of_its_roles(act: str, roles: set[Role]) -> None:
    if ACTS[act] & roles:
        require(act, member(*roles))
    else:
        with pytest.raises(RefusedError, match=f"{act} needs the role .*, and ada is .*: ask somebody who has it"):
            require(act, member(*roles))


def test_a_refusal_names_act_person_and_roles() -> None:
    with pytest.raises(
        RefusedError, match="list_sampled needs the role reviewer or auditor, and ada is authoriser and operator: ask"
    ):
        require("list_sampled", member(Role.OPERATOR, Role.AUTHORISER))


def test_what_no_role_may_do_nobody_may() -> None:
    with pytest.raises(RefusedError, match="'rm_rf' is no act that a person may do: see the table of acts by role"):
        require("rm_rf", member(*Role))


def test_the_table_in_the_docs_is_the_one_in_the_code() -> None:
    text = DOCS.read_text(encoding="utf-8")
    heading = next(line for line in text.splitlines() if line.startswith("| act |"))
    columns = [one.strip() for one in heading.strip("|").split("|")][1:]
    assert columns == [str(role) for role in Role]
    table = {}
    for act, cells in ROW.findall(text):
        marks = [one.strip() for one in cells.split("|")]
        assert set(marks) <= {"x", ""}
        table[act] = frozenset(Role(column) for column, mark in zip(columns, marks, strict=True) if mark)
    assert table == dict(ACTS)


def test_the_docs_name_every_act_of_the_machine() -> None:
    line = next(one for one in DOCS.read_text(encoding="utf-8").split("\n\n") if one.startswith("Acts of the machine"))
    assert set(re.findall(r"`(\w+)`", line)) == MACHINE_ACTS


def test_a_key_counts_until_it_expires_or_is_revoked() -> None:
    one = member(Role.OPERATOR, expires=FAR, revoked=NOON)
    second = dt.timedelta(seconds=1)
    require_good(one, NOON - second)
    with pytest.raises(RefusedError, match="the keys of ada were revoked on 2030-06-01T12:00:00Z"):
        require_good(one, NOON)
    other = member(Role.OPERATOR)
    require_good(other, FAR - second)
    with pytest.raises(
        RefusedError, match="the roster's entry of ada expired on 2031-01-01T00:00:00Z: the organisation"
    ):
        require_good(other, FAR)


def test_roles_that_are_kept_apart_are_found_in_either_order() -> None:
    one = member(Role.AUDITOR, Role.AUTHORISER, Role.OPERATOR)
    pairs = [("authoriser", "auditor"), ("operator", "reviewer"), ("auditor", "operator")]
    assert combined(one, pairs) == ["authoriser and auditor", "auditor and operator"]
    assert combined(member(Role.AUDITOR), pairs) == []


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Write a roster, beside which lie the public keys of ada and ben."""
    for name in ("ada", "ben"):
        (tmp_path / f"{name}.pub").write_bytes(msgspec.json.encode(person_named(name).public))

    def write(text: str) -> Path:
        path = tmp_path / "roster.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


ADA = '[[people]]\nname = "ada"\nfile = "ada.pub"\nroles = ["authoriser"]\nexpires = 2031-01-01T00:00:00Z\n'
BEN = (
    '[[people]]\nname = "ben"\nfile = "ben.pub"\nroles = ["operator", "auditor"]\nexpires = 2031-01-01T01:00:00+01:00\n'
)


def test_a_roster_takes_keys_from_files_and_as_they_are(write: Callable[[str], Path]) -> None:
    cem = person_named("cem").public
    text = (
        f'number = 3\n{ADA}{BEN}[[people]]\nname = "cem"\nsigning = "{cem.signing}"\nsealing = "{cem.sealing}"\n'
        'roles = ["reviewer"]\nexpires = 2031-01-01T00:00:00Z\nrevoked = 2030-05-01T00:00:00Z\n'
    )
    roster = read_roster(write(text), NOON)
    assert (roster.number, roster.issued) == (3, NOON)
    assert [one.signing for one in roster.people] == [
        person_named(name).public.signing for name in ("ada", "ben", "cem")
    ]
    assert roster.people[1].expires == FAR
    assert [one.revoked is None for one in roster.people] == [True, True, False]
    assert roster.member("ben") is roster.people[1]
    assert roster.member("zoe") is None


def test_every_mistake_of_a_roster_is_named_at_once(write: Callable[[str], Path]) -> None:
    text = """
number = 0
[[people]]
name = "ada x"
file = "ada.pub"
roles = ["boss"]
expires = 2031-01-01
[[people]]
name = "ben"
file = "ben.pub"
roles = []
expires = "later"
mail = "b@example.org"
[[people]]
name = "cem"
file = "cem.pub"
roles = ["reviewer"]
expires = 2031-01-01T00:00:00Z
"""
    with pytest.raises(RosterError) as refused:
        read_roster(write(text), NOON)
    assert isinstance(refused.value, DocumentError)
    found = "\n".join(refused.value.problems)
    for place in (
        "number: expected an integer at least 1, got 0",
        "people[0].name: expected a name of up to 64 letters",
        "people[0].roles[0]: expected 'authoriser' or",
        "people[0].expires: expected a date and time with its offset, such as 2030-12-31T23:59:59Z",
        "people[1].mail: unknown key",
        "people[1].roles: expected",
        "people[1].expires: expected a date and time",
        "people[2].file: public keys ",
    ):
        assert place in found


def test_a_roster_that_is_wrong_as_a_whole_says_why(write: Callable[[str], Path]) -> None:
    text = (
        f"number = 1\n{ADA}"
        + ADA.replace('"ada"', '"Ada"').replace("authoriser", "operator")
        + BEN.replace("2031", "2029").replace('"auditor"', '"operator"')
        + ADA.replace('"ada"', '"cem"').replace("ada.pub", "cem.pub")
        + '[[people]]\nname = "dee"\nroles = ["operator"]\nexpires = 2031-01-01T00:00:00Z\nsigning = "'
        + f'{"1" * 64}"\n'
    )
    with pytest.raises(RosterError) as refused:
        read_roster(write(text), NOON)
    assert [re.sub(r"/\S*/", "", one) for one in refused.value.problems] == [
        "people[1].name: expected 'ada', whose keys ada.pub holds, got 'Ada'",
        "people[3].file: public keys cem.pub: expected a file that `person new` made, got: No such file or directory",
        "people[4]: expected for dee either `file`, or both `signing` and `sealing`",
        "expected each role of ben once, got operator, operator",
        "expected ben to expire after now, got 2029-01-01T01:00:00+01:00",
    ]


def test_two_people_do_not_share_a_name_or_a_key(write: Callable[[str], Path]) -> None:
    ada = person_named("ada").public
    twin = f'[[people]]\nname = "ADA"\nsigning = "{ada.signing}"\nsealing = "{"3" * 64}"\nroles = ["operator"]\n'
    with pytest.raises(RosterError) as refused:
        read_roster(write(f"number = 1\n{ADA}{twin}expires = 2031-01-01T00:00:00Z\n"), NOON)
    assert refused.value.problems == (
        "expected a name of its own for ADA, got that of ada: whose act it was could not be told",
        "expected a signing key of its own for ADA, got that of ada: whose act it was could not be told",
    )


def test_a_roster_without_a_number_is_refused(write: Callable[[str], Path]) -> None:
    with pytest.raises(RosterError, match="number: missing, expected an integer at least 1"):
        read_roster(write(ADA), NOON)
    with pytest.raises(RosterError, match=r"roster\.toml: expected TOML, got a syntax error"):
        read_roster(write("["), NOON)


def test_the_number_of_a_roster_rises(tmp_path: Path) -> None:
    force = Force({"ada": ["authoriser"]}, [PACK], Clocks())
    out = tmp_path / "roster.json"
    roster = force.root.organisation.roster(force.roster(4))
    write_envelope(out, force.root.sign_roster(roster, out))
    with pytest.raises(RefusedError, match=r"expected a roster number above 4, which .*roster\.json has, got 4"):
        force.root.sign_roster(roster, out)
    five = force.root.sign_roster(msgspec.structs.replace(roster, number=5), out)
    assert force.root.organisation.roster(five).number == 5
    out.write_text("{}")
    with pytest.raises(SignatureError, match=r"roster\.json: expected a signed statement"):
        force.root.sign_roster(roster, out)


@pytest.mark.usefixtures("cheap_scrypt")
def test_an_organisation_is_made_once(tmp_path: Path) -> None:
    made = new_organisation("Example Police", tmp_path / "root", "correct horse")
    assert read_organisation(tmp_path / "root" / "organisation.pub") == made
    assert unlock_root(tmp_path / "root" / "organisation.key", "correct horse").organisation == made
    assert (tmp_path / "root" / "organisation.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyFileError, match=r"organisation\.key is there already: a key is never overwritten"):
        new_organisation("Example Police", tmp_path / "root", "correct horse")
    with pytest.raises(RefusedError, match="expected the name of the organisation, got an empty one"):
        new_organisation(" ", tmp_path / "other", "correct horse")
    with pytest.raises(SealError, match="wrong passphrase"):
        unlock_root(tmp_path / "root" / "organisation.key", "wrong")
    with pytest.raises(KeyFileError, match=r"expected the organisation\.pub that `org init` made, got: No such file"):
        read_organisation(tmp_path / "organisation.pub")
    with pytest.raises(KeyFileError, match=r"expected the organisation\.pub that `org init` made: Expected `object`"):
        read_organisation(Path(__file__))


@pytest.mark.usefixtures("cheap_scrypt")
def test_somebodys_keys_are_made_once_and_opened_by_their_passphrase(tmp_path: Path) -> None:
    public = new_person("ada", tmp_path / "a.lovelace", "correct horse")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.lovelace.key", "a.lovelace.pub"]
    assert read_public(tmp_path / "a.lovelace.pub") == public
    key = tmp_path / "a.lovelace.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert unlock_person(key, "correct horse").public == public
    with pytest.raises(SealError, match="wrong passphrase"):
        unlock_person(key, "wrong")
    with pytest.raises(KeyFileError, match=r"a\.lovelace\.key is there already: a key is never overwritten"):
        new_person("ada", tmp_path / "a.lovelace", "correct horse")
    with pytest.raises(KeyFileError, match="expected a folder that can be written to, got: No such file"):
        new_person("ada", tmp_path / "none" / "ada", "correct horse")
    with pytest.raises(RefusedError, match=r"expected a name of up to 64 letters, digits.*got '\.\./ada'"):
        new_person("../ada", tmp_path / "ada", "correct horse")


@pytest.mark.usefixtures("cheap_scrypt")
def test_a_passphrase_can_be_changed(tmp_path: Path) -> None:
    public = new_person("ada", tmp_path / "ada", "old")
    with pytest.raises(SealError, match="wrong passphrase"):
        change_passphrase(tmp_path / "ada.key", "older", "new")
    with pytest.raises(SealError, match="expected a passphrase, got an empty one"):
        change_passphrase(tmp_path / "ada.key", "old", "")
    change_passphrase(tmp_path / "ada.key", "old", "new")
    assert unlock_person(tmp_path / "ada.key", "new").public == public
    with pytest.raises(SealError, match="wrong passphrase"):
        unlock_person(tmp_path / "ada.key", "old")


@pytest.mark.usefixtures("cheap_scrypt")
def test_a_key_file_is_taken_for_nothing_else(tmp_path: Path) -> None:
    new_person("ada", tmp_path / "ada", "old")
    with pytest.raises(KeyFileError, match=r"expected one of kind organisation, got one of kind person \(ada\)"):
        unlock_root(tmp_path / "ada.key", "old")
    with pytest.raises(KeyFileError, match="expected 32 bytes of key, got 64; was it made by another version"):
        open_key(tmp_path / "ada.key", "old", "person", 32)
    (tmp_path / "ada.key").write_text("[]")
    with pytest.raises(KeyFileError, match=r"ada\.key: expected a sealed key, got something else"):
        unlock_person(tmp_path / "ada.key", "old")
    with pytest.raises(KeyFileError, match=r"public keys .*ada\.key: expected a file that `person new` made: "):
        read_public(tmp_path / "ada.key")


def test_a_key_on_a_disk_of_the_machine_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert lies_in_the_machine(tmp_path / "ada.key")
    if Path("/proc").is_dir():
        assert not lies_in_the_machine(Path("/proc/ada.key"))


def test_a_pack_is_signed_with_what_it_says_of_people() -> None:
    pack = read_pack("uk-met")
    assert pack.name == "uk-met"
    assert re.fullmatch(r"[0-9a-f]{64}", pack.digest)
    assert (Role.AUTHORISER, Role.OPERATOR) in pack.separate_roles
    assert pack.session_idle_min > 0
    assert read_pack("demo").separate_roles == ()


def test_a_template_that_nobody_completed_is_not_signed() -> None:
    with pytest.raises(PackError, match=r"rule pack eu \(built-in eu\)"):
        read_pack("eu")
    with pytest.raises(PackError, match="expected a built-in pack"):
        read_pack("uk-mett")


def test_packs_are_signed_each_once() -> None:
    root = Force({}, [PACK], Clocks()).root
    with pytest.raises(RefusedError, match="expected rule packs, each of them once, got strict"):
        root.sign_packs([PACK, PACK], NOON)
    with pytest.raises(RefusedError, match="expected rule packs, each of them once, got none"):
        root.sign_packs([], NOON)


def test_of_several_packs_the_strictest_counts() -> None:
    other = PackDigest(
        name="other", digest="0" * 64, separate_roles=((Role.OPERATOR, Role.AUDITOR),), session_idle_min=5
    )
    packs = Packs(issued=NOON, packs=(PACK, other))
    assert packs.separate_roles == (*PACK.separate_roles, (Role.OPERATOR, Role.AUDITOR))
    assert (packs.session_idle_s, packs.session_max_s) == (300, 12 * 3600)


@given(st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2100, 1, 1)))  # noqa: DTZ001  (made UTC below)
def test_times_are_written_in_whole_seconds_with_z(at: dt.datetime) -> None:
    at = at.replace(tzinfo=dt.UTC)
    text = written(at)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text)
    whole = at.replace(microsecond=0)
    assert dt.datetime.fromisoformat(text) == whole
    assert moment(int(whole.timestamp()) * 10**9 + 999_999_999) == whole
    assert written(whole.astimezone(dt.timezone(dt.timedelta(hours=5)))) == text
