"""The commands of people: from a root key to the end of a shift, and each refusal with its exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click import termui

from governance.vaults import Clocks
from lfr_kernel.governance.errors import KeyFileError, RefusedError, SealError, SignatureError

if TYPE_CHECKING:
    from collections.abc import Callable

    from calling import Result

    Lfr = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("cheap_scrypt")

PEOPLE = {"ada": ["authoriser"], "dee": ["operator"], "dov": ["operator"], "eva": ["data-protection"]}


class Office:
    """A folder with everything that the commands made, and a clock that is moved by hand."""

    def __init__(self, folder: Path, lfr: Lfr, clocks: Clocks) -> None:
        self.folder, self.call, self.clocks = folder, lfr, clocks
        self.vault = folder / "vault"
        self.number = 0
        for name in ("root", *PEOPLE):
            self.secret(name, f"passphrase of {name}")

    def secret(self, name: str, text: str) -> Path:
        path = self.folder / f"{name}.txt"
        path.write_text(f"{text}\n", encoding="utf-8")
        path.chmod(0o600)
        return path

    def by(self, name: str) -> tuple[object, ...]:
        """Return how somebody's passphrase is given."""
        return ("--passphrase-file", self.folder / f"{name}.txt")

    def key(self, name: str) -> tuple[object, ...]:
        """Return how somebody's key is given."""
        return ("--key", self.folder / f"{name}.key", *self.by(name))

    def ok(self, *arguments: object) -> Result:
        result = self.call(*arguments)
        assert result.code == 0, result
        return result

    def refused(self, *arguments: object) -> str:
        """Return what a call said that was refused, on one line."""
        result = self.call(*arguments)
        assert result.code == 2, result
        assert "Traceback" not in result.err
        return " ".join(result.err.split())

    def root(self) -> tuple[object, ...]:
        return ("--root", self.folder / "root" / "organisation.key", *self.by("root"))

    def sign_roster(self, **extra: str) -> Path:
        """Sign a roster with the next number; `extra` are lines of somebody's table."""
        self.number += 1
        tables = [
            f'[[people]]\nname = "{name}"\nfile = "{name}.pub"\nroles = {json.dumps(roles)}\n'
            f"expires = 2031-01-01T00:00:00Z\n{extra.get(name, '')}\n"
            for name, roles in PEOPLE.items()
        ]
        path, out = self.folder / "roster.toml", self.folder / "roster.json"
        path.write_text(f"number = {self.number}\n" + "".join(tables), encoding="utf-8")
        self.ok("org", "roster", path, *self.root(), "--out", out)
        return out


@pytest.fixture
def office(tmp_path: Path, lfr: Lfr, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Return an office in which nothing was made yet."""
    clocks = Clocks()
    for command in ("asking", "installation", "org"):
        monkeypatch.setattr(f"lfr_kernel.cli.{command}.read_clocks", clocks)
    for name in ("LFR_VAULT", "LFR_AS"):
        monkeypatch.delenv(name, raising=False)
    return Office(tmp_path, lfr, clocks)


@pytest.fixture
def founded(office: Office) -> Office:
    """Return an office whose vault was founded."""
    folder = office.folder
    office.ok("org", "init", "--name", "Example Police", "--out", folder / "root", *office.by("root"))
    for name in PEOPLE:
        office.ok("person", "new", name, "--out", folder / name, *office.by(name))
    office.sign_roster()
    office.ok("org", "packs", "uk-met", *office.root(), "--out", folder / "packs.json")
    office.ok("installation", "new", office.vault, "--name", "van-3")
    office.ok("org", "certify", office.vault / "request.json", *office.root(), "--out", folder / "certificate.json")
    office.ok("installation", "found", office.vault, *statements(office))
    return office


def statements(office: Office) -> list[object]:
    names = {"certificate": "certificate.json", "roster": "roster.json", "packs": "packs.json"}
    given: list[object] = [one for name, file in names.items() for one in (f"--{name}", office.folder / file)]
    return [*given, "--root", office.folder / "root" / "organisation.pub"]


def test_from_a_root_key_to_the_end_of_a_shift(founded: Office) -> None:
    vault = ("--vault", founded.vault)
    shown = founded.ok("installation", "show", founded.vault).out
    for text in ("van-3 of Example Police", "roster 1", "dee", "operator", "pack uk-met", "authoriser and operator"):
        assert text in shown
    facts = json.loads(founded.ok("installation", "show", founded.vault, "--json").out)
    assert facts["organisation"]["name"] == "Example Police"
    assert [one["name"] for one in facts["roster"]["people"]] == list(PEOPLE)

    assert founded.ok("session", "show", *vault).out == "nobody is on shift\n"
    started = founded.ok("session", "start", "--as", "dee", *founded.key("dee"), *vault, "--deployment", 7).out
    assert started.startswith("dee is on shift until 2030-06-02T00:00:00Z")
    sessions = json.loads(founded.ok("session", "show", *vault, "--json").out)
    assert [(one["person"], one["deployment"], one["locked"]) for one in sessions] == [("dee", 7, None)]
    assert founded.ok("session", "handover", "--to", "dov", *founded.key("dov"), *vault).out.startswith(
        "dov is on shift"
    )
    assert "unlocked" in founded.ok("session", "show", *vault).out
    assert founded.ok("session", "end", *vault).out == "the session of dov is ended\n"

    founded.ok("session", "start", "--as", "eva", *founded.key("eva"), *vault)
    roster = founded.sign_roster(dee="revoked = 2030-05-01T00:00:00Z")
    assert (
        "roster 2 and the packs uk-met" in founded.ok("installation", "update", founded.vault, "--roster", roster).out
    )
    assert "revoked 2030-05-01T00:00:00Z" in founded.ok("installation", "show", founded.vault).out
    assert "the keys of dee were revoked" in founded.refused(
        "session", "start", "--as", "dee", *founded.key("dee"), *vault
    )
    assert founded.call("audit", "verify", founded.vault / "vault.db").code == 0


def test_the_vault_and_the_person_can_come_from_the_environment(
    founded: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LFR_VAULT", str(founded.vault))
    monkeypatch.setenv("LFR_AS", "dee")
    founded.ok("session", "start", *founded.key("dee"))
    founded.ok("session", "start", "--as", "eva", *founded.key("eva"))
    assert founded.ok("session", "end").out == "the session of dee is ended\n"
    monkeypatch.delenv("LFR_AS")
    assert founded.ok("session", "end").out == "the session of eva is ended\n"
    assert "nobody is on shift here" in founded.refused("session", "end")


def test_an_idle_session_is_shown_as_locked_once(founded: Office) -> None:
    vault = ("--vault", founded.vault)
    founded.ok("session", "start", "--as", "dee", *founded.key("dee"), *vault)
    founded.clocks.pass_(hours=3)
    shown = founded.ok("session", "show", *vault).out
    assert "is locked" in " ".join(shown.split())
    assert founded.ok("session", "show", *vault).out == "nobody is on shift\n"


def test_a_root_key_prints_what_is_to_be_compared(founded: Office) -> None:
    key = json.loads((founded.folder / "root" / "organisation.pub").read_text())["key"]
    other = founded.folder / "other"
    assert key not in founded.ok("org", "init", "--name", "O", "--out", other, *founded.by("root")).out
    made = founded.ok("installation", "new", founded.folder / "van-4", "--name", "van-4").out
    out = founded.folder / "van-4.json"
    certified = founded.ok(
        "org", "certify", founded.folder / "van-4" / "request.json", *founded.root(), "--out", out
    ).out
    installation_key = made.strip().rsplit(" ", 1)[1]
    assert f"key {installation_key}" in " ".join(certified.split())
    given = ["--roster", founded.folder / "roster.json", "--packs", founded.folder / "packs.json", "--certificate", out]
    public = founded.folder / "root" / "organisation.pub"
    found = founded.ok("installation", "found", founded.folder / "van-4", *given, "--root", public).out
    assert f"was founded by Example Police, whose root key is {key}" in " ".join(found.split())


def test_nothing_is_overwritten(founded: Office) -> None:
    folder = founded.folder
    again = founded.refused("org", "init", "--name", "O", "--out", folder / "root", *founded.by("root"))
    assert "organisation.key is there already: a key is never overwritten" in again
    assert "ada.key is there already" in founded.refused(
        "person", "new", "ada", "--out", folder / "ada", *founded.by("ada")
    )
    assert "expected a folder that is empty" in founded.refused("installation", "new", founded.vault, "--name", "van-3")
    assert "was founded already" in founded.refused("installation", "found", founded.vault, *statements(founded))


def test_a_roster_is_signed_with_a_number_that_rises(founded: Office) -> None:
    founded.number = 0
    out = founded.folder / "roster.json"
    arguments = ("org", "roster", founded.folder / "roster.toml", *founded.root(), "--out", out)
    assert "expected a roster number above 1" in founded.refused(*arguments)
    (founded.folder / "roster.toml").write_text('number = "two"\n[[people]]\n')
    said = founded.refused(*arguments)
    for text in ("number: expected an integer", "people[0].name: missing", "people[0].roles: missing"):
        assert text in said


def test_an_unfinished_template_is_not_signed(founded: Office) -> None:
    out = founded.folder / "eu.json"
    assert "rule pack eu" in founded.refused("org", "packs", "uk-met", "eu", *founded.root(), "--out", out)
    assert not out.exists()


def test_an_update_takes_a_session_with_the_role(founded: Office) -> None:
    roster = founded.sign_roster()
    arguments = ("installation", "update", founded.vault, "--roster", roster)
    assert "nobody is on shift here" in founded.refused(*arguments)
    founded.ok("session", "start", "--as", "dee", *founded.key("dee"), "--vault", founded.vault)
    said = founded.refused(*arguments)
    assert "roster_installed needs the role authoriser or data-protection, and dee is operator" in said
    assert "eva has no session here" in founded.refused(*arguments, "--as", "eva")
    assert "expected a roster, packs, or both" in founded.refused("installation", "update", founded.vault)


def test_a_key_of_somebody_else_starts_nothing(founded: Office) -> None:
    said = founded.refused(
        "session",
        "start",
        "--as",
        "dee",
        "--key",
        founded.folder / "dov.key",
        *founded.by("dov"),
        "--vault",
        founded.vault,
    )
    assert "expected the key of dee, and" in said
    assert "is the key of dov" in said
    wrong = ("--key", founded.folder / "dee.key", *founded.by("dov"))
    said = founded.refused("session", "start", "--as", "dee", *wrong, "--vault", founded.vault)
    assert "wrong passphrase, or the key file was changed or damaged" in said
    said = founded.refused("session", "start", "--as", "zoe", *founded.key("dee"), "--vault", founded.vault)
    assert "zoe is not on roster 1" in said


def test_a_passphrase_file_that_others_can_read_is_refused(founded: Office) -> None:
    (founded.folder / "dee.txt").chmod(0o644)
    said = founded.refused("session", "start", "--as", "dee", *founded.key("dee"), "--vault", founded.vault)
    assert "dee.txt can be read by others (mode 0644, expected 0600)" in said


def test_an_empty_passphrase_is_refused(office: Office) -> None:
    office.secret("ada", "")
    said = office.refused("person", "new", "ada", "--out", office.folder / "ada", *office.by("ada"))
    assert "expected a passphrase, got an empty one" in said
    (office.folder / "ada.txt").write_text("")
    assert office.call("person", "new", "ada", "--out", office.folder / "ada", *office.by("ada")).code == 2
    assert not (office.folder / "ada.key").exists()


def test_a_passphrase_is_asked_for_twice_and_never_shown(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["secret words", "secret wards", "secret words", "secret words"])
    asked = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return next(answers)

    monkeypatch.setattr(termui, "hidden_prompt_func", answer)
    result = office.ok("person", "new", "ada", "--out", office.folder / "ada")
    assert len(asked) == 4
    assert "New passphrase of the key of ada" in asked[0]
    assert "secret" not in result.out + result.err
    answers = iter(["secret words", "other words", "other words"])
    office.ok("person", "passphrase", office.folder / "ada.key")
    answers = iter(["secret words", "new", "new"])
    assert "wrong passphrase" in office.refused("person", "passphrase", office.folder / "ada.key")


def test_a_key_on_the_machines_own_disk_is_warned_of(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: office.folder)
    said = office.ok("person", "new", "ada", "--out", office.folder / "ada", *office.by("ada")).err
    assert "lies on a disk of this machine" in " ".join(said.split())
    monkeypatch.setattr("lfr_kernel.cli.person.lies_in_the_machine", lambda _: False)
    assert office.ok("person", "new", "ben", "--out", office.folder / "ben", *office.by("ada")).err == ""


@pytest.mark.parametrize("group", ["org", "person", "installation", "session"])
def test_every_group_says_what_it_is_for_with_an_example(lfr: Lfr, group: str) -> None:
    result = lfr(group, "--help")
    assert result.code == 0
    assert f"lfr-kernel {group}" in result.out.split("Example:")[1]


@pytest.mark.parametrize("kind", [RefusedError, SignatureError, SealError, KeyFileError])
def test_what_governance_refuses_ends_with_two(
    kind: type[Exception], lfr: Lfr, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise kind("no")

    monkeypatch.setattr("lfr_kernel.cli.asking.Vault.open", fail)
    result = lfr("session", "show", "--vault", "x")
    assert (result.code, result.err) == (2, "error: no\n")


def test_no_passphrase_lies_in_the_vault(founded: Office) -> None:
    founded.ok("session", "start", "--as", "dee", *founded.key("dee"), "--vault", founded.vault)
    key = json.loads((founded.folder / "dee.key").read_text())
    for path in founded.vault.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"passphrase of" not in content
            assert key["sealed"].encode() not in content
