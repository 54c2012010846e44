"""`lfr-kernel notice`: from what was signed, or as a draft from what is to be."""

from __future__ import annotations

import stat
import sys
from typing import TYPE_CHECKING

import pytest

from governance.deployment.support import HOUR
from governance.deployment.test_commands import PACK, Office

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from calling import Result
    from governance.conftest import FoundVault

MARK = "DEMONSTRATION: not an operational deployment"


@pytest.fixture
def office(
    tmp_path: Path, found_vault: FoundVault, lfr: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    vault, force = found_vault(packs=[PACK])
    for module in ("asking", "authority"):
        monkeypatch.setattr(f"lfr_kernel.cli.{module}.read_clocks", force.clocks)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("LFR_VAULT", raising=False)
    folder = tmp_path / "office"
    folder.mkdir()
    made = Office(vault, force, folder, lfr)
    yield made
    made.close()


def test_a_notice_of_what_was_signed_is_no_draft(office: Office) -> None:
    office.sign()
    text = " ".join(office.ok("notice", "--deployment", 1, *office.at_vault).split())
    assert text.startswith(f"{MARK} Live facial recognition in operation")
    assert "DRAFT" not in text
    assert "Legal basis Consent of the person" in text
    assert "On the list may be Takes part in the demonstration and has agreed to it" in text
    assert "Authority EX/1, deployment 1" in text
    assert "An alert 24 hours at most" in text


def test_an_extension_changes_what_a_notice_says(office: Office) -> None:
    office.sign()
    office.run()
    before = office.ok("notice", "--deployment", 1, *office.at_vault, "--sign")
    later = (office.now + 1.5 * HOUR).isoformat()
    office.ok(
        "authority", "extend", "1", "--until", later, "--reason", "in-progress", "--text", "why", "--profile",
        office.profile, "--as", "ada",
    )  # fmt: skip
    after = office.ok("notice", "--deployment", 1, *office.at_vault, "--sign")
    assert "12:00 to 13:00 (UTC)" in before
    assert "12:00 to 13:30 (UTC)" in after


def test_a_notice_of_a_document_is_a_draft(office: Office) -> None:
    document = office.write()
    text = office.ok("notice", document, "--profile", office.profile)
    assert "DRAFT: made from a document that nobody has signed yet." in text
    assert MARK in text
    assert office.vault.organisation.name in text
    sign = office.ok("notice", document, "--profile", office.profile, "--sign", "--organisation", "Somebody else")
    assert sign.startswith(f"DRAFT: not signed. {MARK}\nLIVE FACIAL RECOGNITION IN OPERATION\nSomebody else\n")


def test_it_writes_a_file_that_everybody_may_read(office: Office) -> None:
    office.sign()
    for kind, arguments in (("pdf", ()), ("html", ()), ("pdf", ("--sign",)), ("html", ("--sign",))):
        out = office.folder / f"notice.{kind}"
        result = office.lfr("notice", "--deployment", 1, *office.at_vault, "--format", kind, "--out", out, *arguments)
        assert (result.code, result.out, result.err) == (0, "", f"wrote {out}\n")
        assert out.read_bytes().startswith(b"%PDF-" if kind == "pdf" else b"<!doctype html>")
        assert stat.S_IMODE(out.stat().st_mode) & stat.S_IROTH


def test_a_pdf_is_not_for_a_terminal(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.sign()
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True, raising=False)
    call = ("notice", "--deployment", 1, *office.at_vault, "--format", "pdf")
    result = office.lfr(*call)
    assert (result.code, result.out) == (2, "")
    assert "a terminal cannot show a pdf: give --out FILE, or redirect it" in result.err


def test_what_it_refuses(office: Office) -> None:
    document = office.write()
    assert "expected either AUTHORITY.toml or --deployment N" in office.refused("notice")
    assert "expected either AUTHORITY.toml or --deployment N" in office.refused("notice", document, "--deployment", 1)
    assert "give --vault FOLDER" in office.refused("notice", "--deployment", 1)
    assert "give --organisation NAME, or --vault FOLDER" in office.refused("notice", document)
    assert "there is no deployment 1" in office.refused("notice", "--deployment", 1, *office.at_vault)
    assert "a sign comes as text, html, pdf, and not as csv" in office.refused(
        "notice", document, "--sign", "--format", "csv"
    )


def test_what_was_signed_needs_no_word_of_anybody_else(office: Office) -> None:
    office.sign()
    for given in (("--profile", office.profile), ("--organisation", "Somebody else")):
        refused = office.refused("notice", "--deployment", 1, *office.at_vault, *given)
        assert "expected no --organisation or --profile with --deployment" in refused
