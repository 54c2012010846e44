"""The commands of governed lists, with the bundled models on bundled portraits, in a founded vault."""

from __future__ import annotations

import csv
import json
import shutil
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import click
import msgspec
import pytest

from governance.lists.support import BUILDER, INSTALLATION, MODEL, NOW, a_list, a_row, cells, facts, write_manifest
from governance.vaults import PEOPLE
from lfr_kernel.cli import main
from lfr_kernel.governance.errors import AuditError, RefusedError, SignatureError
from lfr_kernel.governance.lists.acts import review_list, verify_people
from lfr_kernel.governance.lists.file import ListFile, write_list
from lfr_kernel.governance.people.packs import read_pack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from governance.conftest import FoundVault
    from governance.vaults import Force
    from lfr_kernel.governance.vault import Vault

PROFILE = """
name = "spring"
permit = "authority"
[[cameras]]
name = "gate"
plugin = "av"
options = { url = "rtsp://192.0.2.7/" }
[watchlist]
file = "spring.lfrlist"
reader = "READER"
[[anchors]]
plugin = "print"
[governance]
vault = 'VAULT'
pack = 'PACK'
start = "sealed"
"""
PORTRAITS = ("obama.jpg", "obama2.jpg", "biden.jpg", "collins.jpg")


class Site:
    """A founded vault with ben (builder), cem (reviewer) and fay (auditor) on shift, and the command line."""

    def __init__(self, folder: Path, vault: Vault, force: Force, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.vault = vault
        self.force = force
        self.signers = {name: force.session(vault, name) for name in ("ben", "cem", "fay", "dee")}
        self.out = folder / "spring.lfrlist"
        self.reader = "images"
        self._capsys = capsys
        self.profile = folder / "profile.toml"
        photos = files("lfr_plugins.lab") / "portraits"
        for name in PORTRAITS:
            shutil.copy(str(photos / name), folder / name)

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        """Call `lfr-kernel watchlist`; return exit code, stdout and stderr."""
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["watchlist", *map(str, arguments)])
        out, err = self._capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    def build(
        self, rows: Sequence[Mapping[str, str]], *more: object, by: str = "ben", pack: str = "uk-met"
    ) -> tuple[int, str, str]:
        manifest = write_manifest(self.folder / "m.csv", rows)
        text = PROFILE.replace("VAULT", str(self.vault.folder)).replace("PACK", pack)
        self.profile.write_text(text.replace("READER", self.reader), encoding="utf-8")
        return self("build", manifest, "--out", self.out, "--profile", self.profile, "--as", by, *more)

    def acts(self) -> list[tuple[str, dict[str, Any]]]:
        rows = self.vault.database.query("SELECT act, body FROM entries WHERE act LIKE 'list_%' ORDER BY number")
        return [(act, msgspec.json.decode(body)["facts"]) for act, body in rows]


ROWS = [
    cells("obama", "obama.jpg"),
    cells("obama", "obama2.jpg"),
    cells("collins", "collins.jpg", under_18="yes", higher_authority="Supt. Grey"),
]


@pytest.fixture
def site(
    tmp_path: Path, found_vault: FoundVault, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Site:
    vault, force = found_vault(PEOPLE, packs=[read_pack("uk-met"), read_pack("demo")])
    monkeypatch.setattr("lfr_kernel.cli.asking.read_clocks", force.clocks)
    folder = tmp_path / "office"
    folder.mkdir()
    return Site(folder, vault, force, capsys)


@pytest.fixture
def built(site: Site) -> Site:
    """A list of two people that ben built."""
    code, _, err = site.build(ROWS)
    assert code == 0, err
    return site


def test_a_list_is_built_sampled_reviewed_and_verified(built: Site) -> None:
    site, vault = built, built.vault.folder
    code, out, err = site("sample", site.out, "--sheet", site.folder / "s.csv", "--vault", vault, "--as", "fay")
    assert (code, out) == (0, f"3 rows are in {site.folder / 's.csv'}: fill in `finding`, then use --findings\n"), err
    fill_in(site.folder / "s.csv", {"collins": "wrong-category"})
    code, out, err = site("sample", site.out, "--findings", site.folder / "s.csv", "--vault", vault, "--as", "fay")
    assert (code, out) == (0, "sampled by fay: rows checked 3 of 3; ok 2, wrong-category 1\n"), err
    code, out, err = site("review", site.out, "--vault", vault, "--as", "cem", "--yes")
    assert code == 0, err
    assert out.endswith("reviewed by cem\n")
    code, out, err = site("verify", site.out, "--vault", vault)
    assert code == 0, err
    assert "3 rows are those that person ben signed; reviews 1" in out
    assert "whoever signed it is on roster 1 of Example Police" in out
    assert "it opens at this installation: rows 3" in out
    found = ListFile.open(site.out)
    (built_, shown, sampled, looked, reviewed) = site.acts()
    for act, told in (shown, looked):
        assert (act, told["list"]) == ("list_consulted", found.header.id)
    assert (shown[1]["n"], looked[1]["n"]) == (3, 0)
    assert built_[0] == "list_built"
    assert (built_[1]["list"], built_[1]["root"]) == (found.header.id, found.header.root)
    assert (built_[1]["rows"], built_[1]["people"], built_[1]["verdicts"]) == (3, 2, {"accepted": 3})
    assert (sampled[0], sampled[1]["n"], sampled[1]["findings"]) == ("list_sampled", 3, {"ok": 2, "wrong-category": 1})
    assert list(sampled[1]["entries"].values()) == ["wrong-category"]
    assert (reviewed[0], reviewed[1]["questioned"], reviewed[1]["expired"]) == ("list_reviewed", 0, 0)


def _asks(site: Site) -> tuple[tuple[object, ...], ...]:
    at_vault = ("--vault", site.vault.folder, "--as")
    return (
        ("review", site.out, *at_vault, "cem"),
        ("sample", site.out, *at_vault, "fay"),
        ("sample", site.out, "--sheet", site.folder / "s.csv", *at_vault, "fay"),
    )


@pytest.fixture
def questioned(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A list of two people who resemble each other, about whom a review therefore asks."""
    monkeypatch.setattr("lfr_kernel.governance.lists.review.DUPLICATE_AT", -1.0)
    code, _, err = site.build([cells("obama", "obama.jpg"), cells("collins", "collins.jpg")])
    assert code == 0, err
    return site


@pytest.mark.parametrize("which", range(3))
def test_rows_are_shown_once_the_audit_says_so_also_if_nothing_comes_of_it(
    questioned: Site, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    site, known = questioned, []
    shown = ListFile._place

    def note(listed: ListFile, index: int) -> Any:
        known.append(site.acts()[-1][0])
        return shown(listed, index)

    def abort(*_: object, **__: object) -> None:
        raise click.Abort

    monkeypatch.setattr(ListFile, "_place", note)
    monkeypatch.setattr("lfr_kernel.cli.watchlist.click.confirm", abort)
    monkeypatch.setattr("lfr_kernel.cli.watchlist_sample.click.prompt", abort)
    code, out, err = site(*_asks(site)[which])
    if which == 2:
        assert code == 0, err
        assert "obama" in (site.folder / "s.csv").read_text(encoding="utf-8")
    else:
        assert code == 130
        assert "obama" in out + err
    assert known == ["list_consulted"] * 2
    assert [(act, facts.get("n")) for act, facts in site.acts()] == [("list_built", None), ("list_consulted", 2)]


@pytest.mark.parametrize("which", range(3))
def test_rows_are_not_shown_if_the_audit_cannot_say_so(
    questioned: Site, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AuditError("the disk is full")

    monkeypatch.setattr(type(questioned.vault), "act", fail)
    code, out, err = questioned(*_asks(questioned)[which])
    assert code == 1
    assert "the disk is full" in err
    assert "obama" not in out + err
    assert not (questioned.folder / "s.csv").exists()
    assert [act for act, _ in questioned.acts()] == ["list_built"]


def fill_in(path: Path, findings: Mapping[str, str]) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "finding": findings.get(row["person"], "ok")} for row in rows)


def test_show_needs_no_key_and_says_nothing_of_anybody(built: Site) -> None:
    code, out, _ = built("show", built.out)
    assert code == 0
    assert "2 people" in out
    assert "not yet" in out
    assert "under 18: 1" in out
    for secret in ("obama", "collins", "warrant 17", "Supt. Grey"):
        assert secret not in out
    code, out, _ = built("show", built.out, "--json")
    shown = json.loads(out)
    assert shown["header"]["rows"] == 3
    assert (shown["reviews"], shown["has_seal"]) == ([], True)


def test_without_a_vault_verify_says_what_it_did_not_verify(built: Site) -> None:
    code, out, _ = built("verify", built.out)
    assert code == 0
    assert "not verified without a vault: whose keys these are, and whether it opens" in out


def test_names_reasons_and_faces_are_in_no_file_that_is_left_behind(built: Site) -> None:
    found = ListFile.open(built.out)
    row = found.row(found.open_key(built.vault.open_sealed_key()), 0)
    secrets = [row.template[:64], row.portrait[200:264]]
    for text in ("obama", "warrant 17", "Supt. Grey", "stop and identify"):
        secrets += [text.encode(), text.encode("utf-16-le")]
    left = [built.out, *(path for path in built.vault.folder.rglob("*") if path.is_file())]
    assert len(left) > 5
    for path in left:
        content = path.read_bytes()
        assert not any(secret in content for secret in secrets), path
    assert not [path for path in built.folder.iterdir() if path.name.startswith(".")], "and nothing is left over"


def test_a_changed_list_is_refused(built: Site) -> None:
    content = bytearray(built.out.read_bytes())
    content[-1] ^= 1
    built.out.write_bytes(content)
    for command in (("verify",), ("review", "--yes", "--as", "cem"), ("sample", "--as", "fay")):
        code, _, err = built(*command, built.out, "--vault", built.vault.folder)
        assert code == 2
        assert "chunk 2 of 3 was changed; get the file again from its maker" in " ".join(err.split())


def test_rejections_must_be_accepted_and_every_verdict_can_be_had(site: Site) -> None:
    rows = [*ROWS, cells("gone", "gone.jpg"), cells("copy", "collins.jpg"), cells("witness", "biden.jpg")]
    exclude = site.folder / "exclude.csv"
    exclude.write_text("person,reason\nwitness,protected\n", encoding="utf-8")
    more = ("--exclude", exclude, "--verdicts", site.folder / "v.csv", "--json")
    code, out, err = site.build(rows, *more)
    assert code == 1
    assert "nothing was written: mend the manifest, or accept that these rows are left off" in err
    assert not site.out.exists()
    assert site.acts() == []
    told = json.loads(out)
    assert told["list"] is None
    assert {one["person"]: one["code"] for one in told["verdicts"]} == {
        "gone": "unreadable",
        "copy": "duplicate",
        "witness": "excluded",
    }
    with (site.folder / "v.csv").open(encoding="utf-8", newline="") as file:
        verdicts = list(csv.DictReader(file))
    assert [row["verdict"] for row in verdicts] == ["accepted"] * 3 + ["rejected"] * 3
    assert (site.folder / "v.csv").stat().st_mode & 0o777 == 0o600
    code, out, err = site.build(rows, *more, "--accept-rejections")
    assert code == 0, err
    found = ListFile.open(site.out)
    assert json.loads(out)["root"] == found.header.root
    assert found.header.facts.exclusions is not None
    assert found.header.facts.verdicts == {"accepted": 3, "duplicate": 1, "excluded": 1, "unreadable": 1}


def test_a_list_is_never_overwritten(built: Site) -> None:
    code, _, err = built.build(ROWS)
    assert code == 2
    assert "is there already: a list is never overwritten" in " ".join(err.split())


def test_only_a_list_builder_builds(site: Site) -> None:
    code, _, err = site.build(ROWS, by="cem")
    assert code == 2
    assert "list_built needs the role list-builder, and cem is reviewer" in " ".join(err.split())


def test_a_pack_that_the_organisation_did_not_sign_is_refused(site: Site) -> None:
    code, _, err = site.build(ROWS, pack="uk-swp")
    assert code == 2
    assert "is none of those that Example Police signed for this installation, which are: uk-met, demo" in " ".join(
        err.split()
    )


def test_the_demo_lists_ten_at_most(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lfr_kernel.governance.lists.review.SAME_PICTURE_AT", 1.1)
    row = {"category": "volunteer", "legal_basis": "consent", "source": "volunteer", "expires": "2030-06-01"}
    rows = [cells(f"p{number}", f"p{number}.jpg", **row) for number in range(11)]
    for number, one in enumerate(rows):
        # Bytes behind its end make a JPEG another file, and the same picture.
        content = (site.folder / "collins.jpg").read_bytes() + bytes(number)
        (site.folder / one["photo"]).write_bytes(content)
    code, _, err = site.build(rows, "--accept-rejections", pack="demo")
    assert code == 2
    assert "pack demo allows 10 entries, got 11: leave 1 of them out" in " ".join(err.split())


def test_the_builder_does_not_review(found_vault: FoundVault, tmp_path: Path) -> None:
    """Where the packs let one person have both roles, one list is still looked at by two."""
    pack = msgspec.structs.replace(read_pack("demo"), separate_roles=())
    vault, force = found_vault({"ann": ("list-builder", "reviewer")}, packs=[pack])
    signer = force.session(vault, "ann")
    made = write_list(
        tmp_path / "x",
        [a_row("ada")],
        total=1,
        facts=facts(),
        signer=signer,
        recipient=vault.open_sealed_key().public_key(),
    )
    with pytest.raises(RefusedError, match="was built by ann: expected another person to review it"):
        review_list(vault, signer, made, questioned=0, expired=0)


def test_only_a_reviewer_reviews_and_only_who_may_samples(built: Site) -> None:
    vault = built.vault.folder
    code, _, err = built("review", built.out, "--vault", vault, "--as", "dee", "--yes")
    assert code == 2
    assert "list_reviewed needs the role reviewer, and dee is operator" in " ".join(err.split())
    code, _, err = built("sample", built.out, "--vault", vault, "--as", "dee")
    assert code == 2
    assert "list_sampled needs the role reviewer or auditor" in " ".join(err.split())


def test_a_list_for_another_installation_does_not_open_here(site: Site) -> None:
    signer = site.signers["ben"]
    shift = site.vault.shifts.find("ben")
    assert shift is not None
    write_list(
        site.out,
        [a_row("ada")],
        total=1,
        facts=facts(),
        signer=signer,
        recipient=INSTALLATION.public_key(),
        certificate=shift.envelope,
    )
    code, _, err = site("verify", site.out, "--vault", site.vault.folder)
    assert code == 2
    assert "was built for another installation" in " ".join(err.split())


def test_who_is_not_on_the_roster_or_cites_another_session_has_built_nothing(site: Site) -> None:
    made = a_list(site.folder / "x", [a_row("ada")])
    with pytest.raises(RefusedError, match="list_built by person ann was signed without a session"):
        verify_people(site.vault, made)
    shift = site.vault.shifts.find("ben")
    assert shift is not None
    recipient = site.vault.open_sealed_key().public_key()
    stolen = write_list(
        site.folder / "y",
        [a_row("ada")],
        total=1,
        facts=facts(),
        signer=BUILDER,
        recipient=recipient,
        certificate=shift.envelope,
    )
    with pytest.raises(SignatureError, match="cites the session of ben, with another key"):
        verify_people(site.vault, stolen)
    early = write_list(
        site.folder / "z",
        [a_row("ada")],
        total=1,
        facts=facts(made=NOW.replace(hour=3)),
        signer=site.signers["ben"],
        recipient=recipient,
        certificate=shift.envelope,
    )
    with pytest.raises(RefusedError, match="on 2030-06-01T03:00:00Z, when the session was not open"):
        verify_people(site.vault, early)


def test_a_dip_sample_can_be_taken_at_the_terminal(built: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["o", "g", "s"])
    monkeypatch.setattr("lfr_kernel.cli.watchlist_sample.click.prompt", lambda *_, **__: next(answers))
    code, out, err = built("sample", built.out, "--vault", built.vault.folder, "--as", "cem")
    assert code == 0, err
    assert out == "sampled by cem: rows checked 2 of 3; grounds-lapsed 1, ok 1, skipped 1\n"
    assert "row 3 of 3" in err
    assert "warrant 17" in err


def answering(site: Site, monkeypatch: pytest.MonkeyPatch, answers: Sequence[tuple[int, str]]) -> None:
    """Answer at the prompt, each after some minutes."""
    left = iter(answers)

    def answer(*_: object, **__: object) -> str:
        minutes, letter = next(left)
        site.force.clocks.pass_(minutes=minutes)
        return letter

    monkeypatch.setattr("lfr_kernel.cli.watchlist_sample.click.prompt", answer)


def test_whoever_answers_is_not_idle(built: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(built, monkeypatch, [(6, "o"), (6, "o"), (6, "g")])
    code, out, err = built("sample", built.out, "--vault", built.vault.folder, "--as", "fay")
    assert code == 0, err
    assert out == "sampled by fay: rows checked 3 of 3; grounds-lapsed 1, ok 2\n"


@pytest.mark.parametrize("answers", [[(1, "o"), (11, "g")], [(11, "o")]])
def test_a_session_that_is_locked_loses_no_answer(
    built: Site, monkeypatch: pytest.MonkeyPatch, answers: list[tuple[int, str]]
) -> None:
    site, vault = built, built.vault.folder
    answering(site, monkeypatch, answers)
    code, out, err = site("sample", site.out, "--vault", vault, "--as", "fay")
    (kept,) = site.folder.glob("spring-*.findings.csv")
    assert (code, out) == (2, "")
    text = " ".join(err.split())
    assert "the session of fay is locked: idle 11 min, limit 10; its key is destroyed: lfr-kernel session start" in text
    assert f"so far is in {kept}: go on with lfr-kernel watchlist sample {site.out} --findings {kept}" in text
    assert kept.stat().st_mode & 0o777 == 0o600
    assert not any(person in kept.read_text(encoding="utf-8") for person in ("obama", "collins"))
    code, _, err = site("sample", site.out, "--findings", kept, "--vault", vault, "--as", "fay")
    assert code == 2, "nobody goes on without a session"
    site.force.session(site.vault, "fay")
    answering(site, monkeypatch, [(1, "s")] * (3 - len(answers)))
    code, out, err = site("sample", site.out, "--findings", kept, "--vault", vault, "--as", "fay")
    assert code == 0, err
    assert f"rows checked {len(answers)} of 3" in out
    (_, first, again, sampled) = site.acts()
    assert (first[1]["n"], again[1]["n"]) == (3, 3 - len(answers))
    assert sum(sampled[1]["findings"].values()) == 3


def test_a_reader_without_stills_is_refused(site: Site) -> None:
    site.reader = "bare"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lfr_kernel.plugins.Registry.discover", classmethod(lambda _: _bare_registry()))
        code, _, err = site.build(ROWS)
    assert code == 2
    assert "camera plugin 'bare', the profile's reader of photographs, cannot pack portraits" in " ".join(err.split())


def _bare_registry() -> Any:
    from lfr_kernel.plugins import Installed, Registry  # noqa: PLC0415
    from lfr_plugins import lfr_plugins  # noqa: PLC0415

    plugins = list(lfr_plugins())
    images = next(one for one in plugins if (one.stage, one.name) == ("camera", "images"))
    bare = msgspec.structs.replace(images, name="bare", stills=None)
    return Registry([Installed(plugin=one) for one in (*plugins, bare)])


def test_a_list_that_the_audit_does_not_know_of_does_not_stay(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(type(site.vault), "act", fail)
    code, _, err = site.build(ROWS)
    assert (code, site.out.exists()) == (1, False)
    assert "disk full" in err


def test_the_templates_are_those_of_the_profiles_models(built: Site) -> None:
    found = ListFile.open(built.out)
    assert found.model != MODEL
    assert len(found.model) == 64
    assert found.header.facts.dimension == 192
