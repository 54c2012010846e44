"""The commands of a deployment: authorise, authority, recall and check, what they print and what they refuse."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

import msgspec
import pytest

from governance.deployment.support import HOUR, LIVE, MODEL, Letters, Site, look, set_clock
from governance.lists.support import a_row
from lfr_kernel.governance.audit.anchors import Anchor
from lfr_kernel.governance.deployment.governed import Governed
from lfr_kernel.governance.deployment.register import end
from lfr_kernel.governance.deployment.statements import RECEIPT, WipeReceipt
from lfr_kernel.governance.keys.signing import Envelope, verify
from lfr_kernel.governance.people.keyfiles import write_key
from lfr_kernel.governance.people.packs import read_pack
from lfr_kernel.governance.people.sessions import end_session
from lfr_kernel.governance.standing import Stage
from lfr_kernel.planning import plan_of
from lfr_kernel.plugins import Registry
from lfr_kernel.profile import load_profile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from calling import Result
    from governance.conftest import FoundVault
    from governance.vaults import Force
    from lfr_kernel.governance.vault import Vault

PROFILE = """
name = "spring"
permit = "authority"
[[cameras]]
name = "gate"
plugin = "av"
options = { url = "clip.mp4" }
[watchlist]
file = 'FOLDER/spring.lfrlist'
threshold = 0.64
[[anchors]]
plugin = "print"
[governance]
vault = 'VAULT'
pack = "demo"
start = "sealed"
"""
FILES = {"gate": "realtime"}
PACK = read_pack("demo")


class Office(Site):
    """A site under the built-in pack `demo`, and the command line beside it."""

    def __init__(self, vault: Vault, force: Force, folder: Path, lfr: Callable[..., Result]) -> None:
        super().__init__(vault, force, folder)
        self.lfr = lfr
        self.rows = [a_row("ada", 1, category="volunteer"), a_row("bob", 2, category="volunteer")]
        self.profile = folder / "profile.toml"
        text = PROFILE.replace("VAULT", str(vault.folder)).replace("FOLDER", str(folder))
        self.profile.write_text(text, encoding="utf-8")
        self.a_list(pack="demo", pack_digest=PACK.digest)
        self.at_vault = ("--vault", vault.folder)

    def write(self, **changes: Any) -> Path:
        self.document(categories=["volunteer"], **changes)
        path = self.folder / "authority.toml"
        path.write_text(path.read_text(encoding="utf-8").replace("common-law", "consent"), encoding="utf-8")
        return path

    def ok(self, *arguments: object) -> str:
        result = self.lfr(*arguments)
        assert (result.code, result.err) == (0, "")
        return result.out

    def refused(self, *arguments: object) -> str:
        result = self.lfr(*arguments)
        assert (result.code, result.out) == (2, ""), result
        return " ".join(result.err.split())

    def sign(self, **changes: Any) -> str:
        return self.ok("authorise", self.write(**changes), "--profile", self.profile, "--as", "ada")

    def run(self) -> Governed:
        """Run the profile, as far as it goes without cameras."""
        registry = Registry.discover()
        profile, _ = load_profile(self.profile, registry)
        vault = self.force.open(self.vault.folder)
        governed = Governed(vault, plan_of(profile, self.profile, registry), self.opener(vault))
        self.opened.append(governed)
        governed.issue("authority", FILES)
        governed.open_list(MODEL, "letters", Letters())
        return governed


@pytest.fixture
def office(
    tmp_path: Path, found_vault: FoundVault, lfr: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    vault, force = found_vault(packs=[PACK])
    for module in ("asking", "authority", "check", "run"):
        monkeypatch.setattr(f"lfr_kernel.cli.{module}.read_clocks", force.clocks)
    monkeypatch.setenv("COLUMNS", "200")
    folder = tmp_path / "office"
    folder.mkdir()
    made = Office(vault, force, folder, lfr)
    yield made
    made.close()


def test_authorise_says_what_was_signed_and_what_is_missing(office: Office) -> None:
    lines = office.sign().splitlines()
    assert lines[0] == (
        "authority EX/1 is signed: deployment 1, from 2030-06-01 12:00Z to 2030-06-01 13:00Z, 2 entries, pack demo"
    )
    assert lines[1] == "missing: refers to no impact assessment (table [references])"
    assert len([line for line in lines if line.startswith("missing: ")]) == 6
    assert lines[-1] == f"open it with: lfr-kernel --profile {office.profile} --as OPERATOR"
    assert office.deployment().stage is Stage.AUTHORISED


def test_authorise_refuses_and_signs_nothing(office: Office) -> None:
    document = office.write()
    common = ("authorise", document, "--profile", office.profile)
    assert "authorised needs the role authoriser, and dee is operator" in office.refused(*common, "--as", "dee")
    assert "are on shift: say who you are (--as NAME, or LFR_AS)" in office.refused(*common)
    long = office.write(ends=office.now + 3 * HOUR)
    assert "ends: expected 2 h after starts at most (max_authority_h of pack demo)" in office.refused(
        "authorise", long, "--profile", office.profile, "--as", "ada"
    )
    office.path.unlink()
    office.a_list(is_written_down=False, pack="demo", pack_digest=PACK.digest)
    office.write()
    assert "the audit of this installation has no list_built by person ben" in office.refused(*common, "--as", "ada")
    demo = office.profile.read_text(encoding="utf-8").split("[[anchors]]", maxsplit=1)[0]
    office.profile.write_text(
        demo.replace('"authority"', '"demo"').replace("file = ", "images = ").replace(".lfrlist", ""), encoding="utf-8"
    )
    assert 'profile spring has permit = "demo": expected one with permit = "authority" and a section' in (
        office.refused(*common, "--as", "ada")
    )
    assert office.acts("authorised") == []


def test_list_shows_every_deployment(office: Office) -> None:
    assert office.ok("authority", "list", *office.at_vault) == "nothing was authorised yet\n"
    assert json.loads(office.ok("authority", "list", *office.at_vault, "--json")) == []
    office.sign()
    lines = [line.split("  ") for line in office.ok("authority", "list", *office.at_vault).splitlines()]
    assert [word.strip() for word in lines[0] if word.strip()] == [
        "no", "authority", "from", "to", "stage", "ending", "seen", "alerts",
    ]  # fmt: skip
    assert [word.strip() for word in lines[1] if word.strip()] == [
        "1", "EX/1", "2030-06-01 12:00Z", "2030-06-01 13:00Z", "authorised", "0", "0",
    ]  # fmt: skip
    (one,) = json.loads(office.ok("authority", "list", *office.at_vault, "--json"))
    assert one == {
        "deployment": 1,
        "authority": "EX/1",
        "stage": "authorised",
        "ending": None,
        "why": None,
        "starts": "2030-06-01T12:00:00.000000000Z",
        "ends": "2030-06-01T13:00:00.000000000Z",
        "passages_seen": 0,
        "alerts": 0,
        "list": office.deployment().list,
        "entries": 2,
    }


def test_show_tells_what_was_authorised_and_how_it_stands(office: Office) -> None:
    assert "there is no deployment 1: nothing was authorised yet" in office.refused(
        "authority", "show", 1, *office.at_vault
    )
    office.sign()
    office.clocks.pass_(minutes=5)
    text = office.ok("authority", "show", 1, *office.at_vault)
    for line in (
        r"stage +authorised$",
        r"left +0:55:00$",
        r"place +Station Square: Four of nine warrants",
        r"authorised by +A\. Example, superintendent, signed by person ada at 2030-06-01T12:00:00Z$",
        rf"watchlist +2 entries, root {office.deployment().root}$",
        r"missing +refers to no accuracy evidence",
    ):
        assert re.search(line, re.sub(r" +$", "", text, flags=re.MULTILINE), re.MULTILINE), line
    found = json.loads(office.ok("authority", "show", 1, *office.at_vault, "--json"))
    assert (found["deployment"], found["document"]["id"], len(found["warnings"])) == (1, "EX/1", 6)
    assert found["authorisation"]["profile_digest"] == office.deployment().authorisation.profile_digest


def _extend(office: Office, until: str, by: str = "ada") -> tuple[object, ...]:
    more = ("--reason", "in-progress", "--text", "arrest", "--profile", office.profile, "--as", by)
    return ("authority", "extend", 1, "--until", until, *more)


def test_extend_gives_a_later_end_within_the_pack(office: Office) -> None:
    office.sign()
    assert "cannot extend it: it is authorised and not open" in office.refused(
        *_extend(office, "2030-06-01T13:30:00+00:00")
    )
    governed = office.run()
    assert office.ok(*_extend(office, "2030-06-01T14:30:00+01:00")) == "authority EX/1 now ends at 2030-06-01 13:30Z\n"
    assert look(governed).remaining_s == 5400
    assert "expected an extension of 1 h at most (max_extension_h of pack demo), got 2 h" in office.refused(
        *_extend(office, "2030-06-01T15:30:00Z")
    )
    assert "expected a new end after 2030-06-01T13:30:00+00:00" in office.refused(
        *_extend(office, "2030-06-01T13:00:00Z")
    )
    assert "authority_extended needs the role authoriser, and dee is operator" in office.refused(
        *_extend(office, "2030-06-01T13:45:00Z", "dee")
    )
    result = office.lfr(*_extend(office, "2030-06-01T13:45:00"))
    assert result.code == 2
    assert "expected a date and time with its offset from UTC, as 2030-05-04T18:00:00+01:00" in result.err
    office.profile.write_text(office.profile.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    assert "is not what authority EX/1 is for: expected SHA-256" in office.refused(
        *_extend(office, "2030-06-01T13:45:00Z")
    )


def test_close_without_a_kernel_wipes_at_once(office: Office) -> None:
    office.sign()
    office.crash(office.run())
    assert "authority_closed needs the role" in office.refused("authority", "close", 1, *office.at_vault, "--as", "fay")
    out = office.ok("authority", "close", 1, *office.at_vault, "--as", "dee", "--text", "rain")
    anchor, said = out.splitlines()
    assert Anchor.parse(anchor).number == office.acts()[-1]["n"]
    assert said == "deployment 1 is closed and its list is wiped: lfr-kernel authority receipt 1"
    assert office.deployment().stage is Stage.CLOSED
    assert "cannot end it: it was closed" in office.refused("authority", "close", 1, *office.at_vault, "--as", "dee")


def test_close_leaves_the_wipe_to_the_kernel_that_runs(office: Office) -> None:
    office.sign()
    governed = office.run()
    out = office.ok("authority", "close", 1, *office.at_vault, "--as", "eva", "--revoke")
    assert out.splitlines()[1] == "deployment 1 is ending: the kernel that runs on this vault wipes its list now"
    assert look(governed).why == "revoked"
    assert office.deployment().stage is Stage.ENDING
    assert "deployment 1 is ending: there is a receipt once it is closed" in office.refused(
        "authority", "receipt", 1, *office.at_vault
    )


def test_receipt_shows_prints_and_writes_what_was_signed(office: Office) -> None:
    office.sign()
    assert "deployment 1 is authorised: there is a receipt once it is closed" in office.refused(
        "authority", "receipt", 1, *office.at_vault
    )
    office.crash(office.run())
    office.clocks.pass_(minutes=60)
    # What is over is settled by whoever asks for its receipt.
    text = office.ok("authority", "receipt", 1, *office.at_vault)
    for line in (
        "deployment +1, authority EX/1",
        r"ending +failed \(clock\)",
        "passages, alerts +0, 0",
        "key destroyed +2030-06-01T13:00",
        "receipt signed +2030-06-01T13:00",
        "commitments +2, each of another row, under salts that are gone",
    ):
        assert re.search(line, text), line
    found = json.loads(office.ok("authority", "receipt", 1, *office.at_vault, "--json"))
    assert (found["serial"], found["entries"], len(found["commitments"])) == (1, 2, 2)
    out = office.folder / "receipt.json"
    office.ok("authority", "receipt", 1, *office.at_vault, "--out", out)
    signed = msgspec.json.decode(out.read_bytes(), type=Envelope)
    assert verify(signed, RECEIPT, WipeReceipt, [office.vault.signer.public]) == office.receipt()


def test_confirm_clock_lets_capture_go_on(office: Office) -> None:
    confirm = ("authority", "confirm-clock", *office.at_vault, "--as")
    assert "there is nothing to confirm" in office.refused(*confirm, "eva")
    office.sign()
    set_clock(office.clocks, wall_s=300, is_synchronised=False)
    result = office.lfr("check", office.profile)
    assert result.code == 2
    assert "capture and purges wait until somebody confirms it: lfr-kernel authority confirm-clock" in result.out
    assert "clock_confirmed needs the role" in office.refused(*confirm, "dee")
    assert office.ok(*confirm, "eva") == "confirmed: it is 2030-06-01T12:05:00Z\n"
    assert office.lfr("check", office.profile).code == 0


def test_recall_takes_an_entry_off(office: Office) -> None:
    office.sign()
    governed = office.run()
    entry = office.rows[0].about.entry
    command = ("watchlist", "recall", entry, "--deployment", 1, "--reason", "found", *office.at_vault, "--as")
    assert "entry_recalled needs the role" in office.refused(*command, "ada")
    assert office.ok(*command, "cem") == f"entry {entry} is recalled from the list of deployment 1\n"
    assert look(governed).withdrawn == (entry,)
    assert f"entry {entry} was recalled, or has expired, before" in office.refused(*command, "cem")
    assert "expected the id of an entry, as e-" in office.refused("watchlist", "recall", "ada", *command[3:], "cem")


def test_check_says_whether_it_may_run_and_where_its_list_lies(office: Office) -> None:
    result = office.lfr("check", office.profile)
    assert result.code == 2
    assert re.search(r"permit  no authority for this profile, SHA-256 \w+…: nothing is authorised", result.out)
    assert "watchlist  sealed, people 2, photographs 2, reviews 1, threshold 0.64" in result.out
    office.sign()
    result = office.lfr("check", office.profile)
    assert result.code == 0, result.out
    permit = "authority (DEMONSTRATION: not an operational deployment; EX/1, deployment 1, pack demo)"
    assert f"permit  {permit}" in result.out
    governed = office.run()
    assert not office.path.exists()
    result = office.lfr("check", office.profile)
    assert result.code == 0, result.out
    assert "watchlist  sealed, people 2, photographs 2, reviews 1, threshold 0.64" in result.out
    office.crash(governed)


def test_a_run_without_an_authority_is_refused_and_lets_go_of_the_vault(office: Office) -> None:
    assert "no authority for this profile, SHA-256" in office.refused("--profile", office.profile)
    office.sign()
    end_session(office.vault, "dee")
    office.clocks.pass_(minutes=61)
    assert "nothing is authorised; lfr-kernel authorise signs one" in office.refused("--profile", office.profile)
    assert office.receipt().ending == "abandoned"


def test_a_live_camera_is_no_file(office: Office) -> None:
    office.sign()
    vault = office.force.open(office.vault.folder)
    registry = Registry.discover()
    profile, _ = load_profile(office.profile, registry)
    office.opened.append(Governed(vault, plan_of(profile, office.profile, registry), office.opener(vault)))
    with pytest.raises(PermissionError, match="gate would open a live camera, and pack demo plays files only"):
        office.opened[-1].issue("authority", LIVE)


def _write_key(office: Office, name: str) -> tuple[object, ...]:
    """Write somebody's key file; return how it is given."""
    about = {"holder": "person", **msgspec.to_builtins(office.force.people[name].public)}
    write_key(office.folder / f"{name}.key", hashlib.sha512(name.encode()).digest(), "secret", about)
    secret = office.folder / f"{name}.txt"
    secret.write_text("secret\n", encoding="utf-8")
    secret.chmod(0o600)
    return ("--key", office.folder / f"{name}.key", "--passphrase-file", secret)


def _command(office: Office, which: str) -> tuple[object, ...]:
    entry = ("--deployment", 1, "--reason", "found", "--as", "cem")
    commands: dict[str, tuple[object, ...]] = {
        "list": ("authority", "list"),
        "show": ("authority", "show", 1),
        "start": ("session", "start", "--as", "dee", *_write_key(office, "dee")),
        "recall": ("watchlist", "recall", office.rows[0].about.entry, *entry),
    }
    return (*commands[which], *office.at_vault)


@pytest.mark.usefixtures("cheap_scrypt")
@pytest.mark.parametrize("which", ["list", "show", "start", "recall"])
@pytest.mark.parametrize("how", ["by its clock", "by a wipe that was cut short"])
def test_whoever_opens_the_vault_finishes_what_is_over(office: Office, which: str, how: str) -> None:
    office.sign()
    office.crash(office.run())
    end_session(office.vault, "dee")
    if how == "by its clock":
        office.clocks.pass_(minutes=60)
    else:
        end(office.vault, 1, signer=office.signers["ada"], why="closed")
    key = office.vault.keyring.folder / "deployment-000001.key"
    assert key.exists()
    result = office.lfr(*_command(office, which))
    assert result.code == (2 if which == "recall" else 0), result  # nobody is taken off a list that is gone
    assert (office.deployment().stage, key.exists()) == (Stage.CLOSED, False)
    assert office.receipt().why == ("clock" if how == "by its clock" else "closed")


@pytest.mark.usefixtures("cheap_scrypt")
@pytest.mark.parametrize("which", ["list", "show", "start"])
def test_while_a_kernel_runs_they_leave_that_to_it(office: Office, which: str) -> None:
    office.sign()
    governed = office.run()
    end_session(office.vault, "dee")
    end(office.vault, 1, signer=office.signers["ada"], why="closed")
    office.ok(*_command(office, which))
    assert office.deployment().stage is Stage.ENDING
    assert look(governed).is_ending


def test_destroy_keys_needs_no_database_that_works_and_no_session(office: Office) -> None:
    office.sign()
    office.crash(office.run())
    office.vault.close()
    database = office.vault.folder / "vault.db"
    good = database.read_bytes()
    database.write_bytes(b"\xff" * 4096)
    assert office.lfr("authority", "list", *office.at_vault).code == 1
    assert office.lfr("authority", "destroy-keys", *office.at_vault).code != 0  # nobody said yes
    assert (office.vault.keyring.folder / "deployment-000001.key").exists()
    assert office.ok("authority", "destroy-keys", "--yes", *office.at_vault) == "keys destroyed: 1\n"
    assert list(office.vault.keyring.folder.glob("deployment-*")) == []
    database.write_bytes(good)
    shown = json.loads(office.ok("authority", "list", *office.at_vault, "--json"))
    assert (shown[0]["stage"], shown[0]["why"], shown[0]["ending"]) == ("closed", "key_gone", "failed")


def test_a_close_that_cannot_wipe_says_that_the_list_is_still_there(office: Office) -> None:
    office.sign()
    office.crash(office.run())
    lock = office.vault.folder / "running.lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()
    error = office.refused("authority", "close", 1, *office.at_vault, "--as", "dee")
    assert "deployment 1 is ending, and its list is NOT wiped yet" in error
    assert "expected a file that this account can write" in error
    lock.rmdir()
    office.ok("authority", "list", *office.at_vault)
    assert office.deployment().stage is Stage.CLOSED


@pytest.mark.parametrize(
    "command",
    [
        ("authority", "list"),
        ("authority", "show", 1),
        ("session", "show"),
        ("session", "end", "--as", "fay"),
        ("installation", "show"),
        ("watchlist", "recall", "e-azxmf3qanb44syrhlka5cpy65a", "--deployment", 1, "--reason", "found", "--as", "ben"),
    ],
)
def test_any_command_that_opens_the_vault_wipes_what_is_over(office: Office, command: tuple[object, ...]) -> None:
    office.sign()
    office.crash(office.run())
    office.clocks.pass_(minutes=61)
    where = (office.vault.folder,) if command[0] == "installation" else office.at_vault
    office.lfr(*command, *where)
    assert office.deployment().stage is Stage.CLOSED
    assert not list(office.vault.keyring.folder.glob("deployment-*"))
