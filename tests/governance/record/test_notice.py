"""The public notice and the sign: made from the authority, and from nothing else."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from governance.record import samples
from governance.record.test_formats import Read
from lfr_kernel.governance.alerts.handling import handling_of
from lfr_kernel.governance.authority import References, load_authority
from lfr_kernel.governance.record import terminal
from lfr_kernel.governance.record.notice import address_in, notice_of, sign_of
from lfr_kernel.governance.record.poster import SIGN_FORMATS, sign_html, sign_pdf, sign_text
from lfr_kernel.governance.record.rendering import BINARY, FORMATS
from lfr_kernel.governance.rules import load_pack

if TYPE_CHECKING:
    from lfr_kernel.governance.authority import Authority

RULES = load_pack("uk-met").pack.rules
HANDLING = handling_of(RULES)
AUTHORITY = load_authority(Path(__file__).parents[3] / "docs" / "authority.toml").authority


def hostile() -> Authority:
    text = samples.HOSTILE
    return structs.replace(
        AUTHORITY, purpose=text, place=text, place_grounds=text, criteria=text, contact=text, authorising_officer=text
    )


def test_a_notice_says_who_where_when_why_and_where_to_complain() -> None:
    page = notice_of(AUTHORITY, "Example Police", handling=HANDLING, serial=14)
    text = " ".join(terminal.render(page).split())
    for said in (
        "Who Example Police",
        "Where Station Square, north entrance",
        "from Saturday 4 May 2030, 10:00 (UTC+01:00) to Saturday 4 May 2030, 16:00 (UTC+01:00)",
        "Legal basis Common law powers of the police",
        "On the list may be Wanted by the courts",
        "Authority EX/2030-014, deployment 14",
        "An alert 31 days at most",
        "The two pictures of an alert 24 hours at most",
        "A person compares the pictures before anybody speaks to you",
        "more than 30 seconds after you passed nobody acts",
        "Questions and complaints Example Police, 1 Example Street, telephone 000 0000",
        "Ask the contact above for the record of authority EX/2030-014, deployment 14.",
        "Impact assessment DPIA 2030/3",
    ):
        assert said in text


def test_a_notice_says_what_is_missing() -> None:
    authority = structs.replace(AUTHORITY, references=References(impact_assessment="DPIA 1"))
    text = " ".join(terminal.render(notice_of(authority, "x", handling=None)).split())
    assert "nothing here says how long alerts are kept" in text
    assert "The authority refers to no equality assessment, community assessment, appropriate policy" in text


def test_a_notice_of_two_assessors_and_an_assembly_says_so() -> None:
    two = structs.replace(HANDLING, assessors=2)
    authority = structs.replace(AUTHORITY, is_assembly=True, higher_authority="C. Chief, assistant commissioner")
    text = terminal.render(notice_of(authority, "x", handling=two))
    assert "Two people compare" in text
    assert "public assembly" in text
    assert "C. Chief" in text


def test_an_extension_is_in_the_notice_and_on_the_sign() -> None:
    later = AUTHORITY.ends + dt.timedelta(hours=2)
    assert "18:00 (UTC+01:00)" in terminal.render(notice_of(AUTHORITY, "x", handling=HANDLING, ends=later))
    assert sign_of(AUTHORITY, "x", ends=later).when == "Saturday 4 May 2030, 10:00 to 18:00 (UTC+01:00)"


def test_a_sign_over_midnight_names_both_days() -> None:
    later = AUTHORITY.ends + dt.timedelta(hours=10)
    when = sign_of(AUTHORITY, "x", ends=later).when
    assert when == "Saturday 4 May 2030, 10:00 (UTC+01:00) to Sunday 5 May 2030, 02:00 (UTC+01:00)"


@pytest.mark.parametrize("kind", FORMATS)
def test_a_hostile_notice_comes_in_every_format(kind: str) -> None:
    page = notice_of(hostile(), samples.HOSTILE, handling=structs.replace(HANDLING, mark=samples.HOSTILE))
    content = FORMATS[kind](page)
    assert content == FORMATS[kind](page)
    if kind == "html":
        assert "script" not in Read(content.decode()).tags
    if kind not in BINARY:
        assert not set(content.decode()) & {"\x1b", "\x07", "\u202e"}


@pytest.mark.parametrize("kind", SIGN_FORMATS)
def test_a_sign_is_the_same_again_and_holds_whatever_it_is_given(kind: str) -> None:
    for authority in (AUTHORITY, hostile(), structs.replace(AUTHORITY, purpose="why " * 900)):
        sign = sign_of(authority, samples.HOSTILE, mark=samples.HOSTILE)
        content = SIGN_FORMATS[kind](sign)
        assert content == SIGN_FORMATS[kind](sign)
        if kind == "pdf":
            assert content.count(b"/Type/Page/") + content.count(b"/Type/Page\n") + content.count(b"/Type/Page>") <= 1
            assert b"<xmpTPg:NPages>1<" in content
        else:
            assert not set(content.decode()) & {"\x1b", "\u202e"}


def test_a_sign_has_a_code_where_the_contact_names_a_page() -> None:
    with_page = structs.replace(AUTHORITY, contact="Ask at https://police.example/lfr?a=1&b=2.")
    sign = sign_of(with_page, "x")
    assert sign.address == "https://police.example/lfr?a=1&b=2"
    found = Read(sign_html(sign))
    assert found.tags.count("svg") == 1
    assert "script" not in found.tags
    assert sign_pdf(sign) != sign_pdf(structs.replace(sign, address=""))
    without = sign_of(AUTHORITY, "x")
    assert not without.address
    assert "svg" not in Read(sign_html(without)).tags


@pytest.mark.parametrize(
    ("contact", "address"),
    [
        ("https://a.example", "https://a.example"),
        ("see (http://a.example/x).", "http://a.example/x"),
        ("lfr@police.example", ""),
        ("https://", ""),
        ("https://[", ""),
        ("javascript:alert(1)", ""),
        ("https://a.example/" + "x" * 600, ""),
        ("https://a.example/\u202e", ""),
    ],
)
def test_only_the_address_of_a_page_becomes_a_code(contact: str, address: str) -> None:
    assert address_in(contact) == address


def test_a_sign_as_text_says_all_of_it() -> None:
    text = sign_text(sign_of(AUTHORITY, "Example Police", mark="DRAFT: not signed"))
    assert text.startswith("DRAFT: not signed\nLIVE FACIAL RECOGNITION IN OPERATION\nExample Police\n")
    assert "If there is no alert on you, your face is forgotten at once." in text
    assert "Authority EX/2030-014" in text
