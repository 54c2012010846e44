"""The authority document: every mistake at once, and every way in which it breaks its pack."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lfr_kernel.governance.authority import (
    Authority,
    AuthorityError,
    References,
    load_authority,
    verify_authority,
    verify_extension,
    warnings,
)
from lfr_kernel.governance.rules import PackError, load_pack, tightened

TEMPLATE = Path(__file__).resolve().parents[2] / "docs" / "authority.toml"
TEXT = TEMPLATE.read_text(encoding="utf-8")
AUTHORITY = load_authority(TEMPLATE).authority
MET = load_pack("uk-met").pack
HOUR_NS = 3_600 * 10**9
BEFORE = AUTHORITY.starts_ns - HOUR_NS


def changed(*changes: tuple[str, str]) -> str:
    text = TEXT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def load(tmp_path: Path, text: str) -> Authority:
    (tmp_path / "a.toml").write_text(text, encoding="utf-8")
    return load_authority(tmp_path / "a.toml").authority


def problems(tmp_path: Path, *changes: tuple[str, str]) -> tuple[str, ...]:
    with pytest.raises(AuthorityError) as caught:
        load(tmp_path, changed(*changes))
    return caught.value.problems


def judged(
    pack: Any = MET,
    threshold: float = 0.64,
    cameras: tuple[str, ...] = ("north",),
    now_ns: int = BEFORE,
    **changes: Any,
) -> list[str]:
    authority = msgspec.structs.replace(AUTHORITY, **changes)
    return verify_authority(authority, pack, threshold=threshold, cameras=cameras, now_ns=now_ns)


def test_the_template_of_the_documentation_loads_breaks_nothing_and_warns_of_nothing() -> None:
    loaded = load_authority(TEMPLATE)
    assert loaded.digest == hashlib.sha256(TEMPLATE.read_bytes()).hexdigest()
    assert loaded.text == TEXT
    assert judged() == []
    assert warnings(loaded.authority) == ()
    assert loaded.authority.ends_ns - loaded.authority.starts_ns == 6 * HOUR_NS
    assert loaded.authority.starts_ns == 1_904_115_600 * 10**9


def test_every_mistake_is_reported_at_once_with_its_key_path(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        ('id = "EX/2030-014"', 'id = "EX//14"'),
        ("purpose = ", "porpoise = "),
        ("2030-05-04T10:00:00+01:00\nends", "2030-05-04T10:00:00\nends"),
        ("threshold = 0.64", "threshold = 64"),
        ('cameras = ["north"]', "cameras = []"),
        ("assembly = false", "assembly = true"),
        ('"DPIA 2030/3"', '" "'),
    )
    assert {problem.partition(":")[0] for problem in found} == {
        "id",
        "purpose",
        "porpoise",
        "starts",
        "threshold",
        "cameras",
        "higher_authority",
        "references.impact_assessment",
    }
    assert len(found) == 8
    with pytest.raises(AuthorityError, match=rf"^{tmp_path}/a.toml: 8 mistakes\n  {tmp_path}/a.toml: starts: expected"):
        load_authority(tmp_path / "a.toml")


@pytest.mark.parametrize("good", ["abc", "EX/2030-014", "a.b_c", "9" * 64])
def test_ids_of_letters_digits_and_single_signs_are_taken(tmp_path: Path, good: str) -> None:
    assert load(tmp_path, changed(("EX/2030-014", good))).id == good


@pytest.mark.parametrize("bad", ["ab", "/abc", "abc/", "a..b", "../x", "a b c", "é12", "9" * 65, "abc\\n", ""])
def test_other_ids_are_refused(tmp_path: Path, bad: str) -> None:
    [problem] = problems(tmp_path, ("EX/2030-014", bad))
    assert problem.startswith("id: expected 3 to 64 letters and digits, with single / - . _ between them, got ")


@pytest.mark.parametrize("key", ["starts", "ends"])
def test_a_time_without_its_offset_is_refused_and_the_text_says_what_is_missing(tmp_path: Path, key: str) -> None:
    line = next(line for line in TEXT.splitlines() if line.startswith(f"{key} = "))
    [problem] = problems(tmp_path, (line, line.removesuffix("+01:00")))
    assert problem.startswith(f"{key}: expected a date and time with its offset from UTC and no quotes, as 2030-")
    assert "whose offset is missing: put Z behind it for UTC, or the hours and minutes" in problem


@pytest.mark.parametrize("value", ['"2030-05-04T10:00:00+01:00"', "2030-05-04", "10:00:00", "7"])
def test_what_is_no_date_and_time_is_refused_once(tmp_path: Path, value: str) -> None:
    [problem] = problems(tmp_path, ("starts = 2030-05-04T10:00:00+01:00", f"starts = {value}"))
    assert problem.startswith("starts: expected a date and time with its offset from UTC and no quotes, as")


def test_it_ends_after_it_starts_whatever_the_offsets(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, ("ends = 2030-05-04T16:00:00+01:00", "ends = 2030-05-04T11:00:00+02:00"))
    assert problem == ("ends: expected a time after starts, 2030-05-04T10:00:00+01:00, got 2030-05-04T11:00:00+02:00")


def test_an_assembly_names_its_higher_authority(tmp_path: Path) -> None:
    assert problems(tmp_path, ("assembly = false", "assembly = true")) == (
        "higher_authority: missing, expected who gave the higher authority that a public assembly takes",
    )
    given = changed(("assembly = false", "assembly = true"), ("# higher_authority", "higher_authority"))
    assert load(tmp_path, given).higher_authority == "Name, rank"


def test_whether_it_is_an_assembly_has_to_be_said(tmp_path: Path) -> None:
    assert problems(tmp_path, ("assembly = false", "")) == ("assembly: missing, expected true or false",)


def test_each_reference_that_is_missing_becomes_one_warning(tmp_path: Path) -> None:
    head, _, tail = TEXT.partition("[references]")
    lines = tail.strip().splitlines()
    assert len(lines) == len(References.__struct_fields__)
    assert warnings(load(tmp_path, head)) == tuple(
        f"refers to no {line.split(' = ')[0].replace('_', ' ')}" for line in lines
    )
    assert warnings(load(tmp_path, f"{head}[references]\n{lines[1]}\n"))[1] == "refers to no community assessment"


BREACHES: list[tuple[dict[str, Any], str]] = [
    (
        {"pack": tightened(MET, {"max_authority_h": 5})},
        "ends: expected 5 h after starts at most (max_authority_h of pack uk-met), got 6 h",
    ),
    (
        {"pack": tightened(MET, {"max_total_h": 5.5})},
        "ends: expected 5.5 h after starts at most (max_total_h of pack uk-met), got 6 h",
    ),
    (
        {"now_ns": AUTHORITY.ends_ns},
        "ends: expected a time to come, got 2030-05-04T16:00:00+01:00; it is 2030-05-04T15:00:00+00:00",
    ),
    (
        {"legal_basis": "common_law"},
        (
            "legal_basis: expected one of pack uk-met: common-law, warrant, court-order, protect-life; got "
            "'common_law' (did you mean 'common-law'?)"
        ),
    ),
    (
        {"categories": ("wanted-court", "anybody")},
        (
            "categories[1]: expected one of pack uk-met: wanted-court, wanted-offence, order-breach, missing-at-risk, "
            "risk-of-harm; got 'anybody'"
        ),
    ),
    (
        {"threshold": 0.62, "pack": tightened(MET, {"min_threshold": 0.63})},
        (
            "threshold: authorised from 0.64, but the profile would alert from 0.62; raise [watchlist] threshold of "
            "the profile, or have another threshold authorised"
        ),
    ),
    (
        {"cameras": ("south",)},
        "cameras: expected cameras of the profile, south; got north",
    ),
    (
        {"cameras": ("north", "south")},
        (
            "cameras: the profile would open south, which the authority does not name; remove it from the profile, or "
            "have it authorised"
        ),
    ),
    (
        {"is_assembly": True},
        (
            "higher_authority: a public assembly takes the authority of an officer of chief officer rank "
            "(higher_authority of pack uk-met), and the document names nobody"
        ),
    ),
]


@pytest.mark.parametrize(("changes", "breach"), BREACHES)
def test_each_breach_is_named(changes: dict[str, Any], breach: str) -> None:
    assert breach in judged(**changes)
    assert breach not in judged()


def test_a_threshold_below_the_floor_of_the_pack_is_a_breach() -> None:
    low = msgspec.structs.replace(AUTHORITY, threshold=0.6)
    found = verify_authority(low, MET, threshold=0.605, cameras=["north"], now_ns=BEFORE)
    assert found == [
        "threshold: expected 0.61 at least (min_threshold of pack uk-met), got 0.6",
        "threshold: expected 0.61 at least of the profile too (min_threshold of pack uk-met), got 0.605",
    ]
    assert len(verify_authority(low, MET, threshold=0.61, cameras=["north"], now_ns=BEFORE)) == 1


def test_the_profile_may_ask_for_more_than_what_was_authorised() -> None:
    assert judged(threshold=0.9) == []


def test_all_breaches_come_at_once() -> None:
    found = judged(
        pack=tightened(MET, {"max_authority_h": 1}),
        threshold=0.3,
        cameras=("south",),
        now_ns=AUTHORITY.ends_ns + 1,
        legal_basis="x",
        categories=("y", "z"),
        is_assembly=True,
    )
    assert len(found) == 9


def test_the_last_nanosecond_is_still_to_come() -> None:
    assert judged(now_ns=AUTHORITY.ends_ns - 1) == []


def test_a_template_that_is_not_completed_judges_nothing() -> None:
    with pytest.raises(PackError, match="nothing runs under it"):
        judged(pack=load_pack("eu").pack)


def extension(hours: float, earlier_h: float = 0, pack: Any = MET) -> list[str]:
    ends_ns = AUTHORITY.ends_ns + round(earlier_h * HOUR_NS)
    return verify_extension(AUTHORITY, pack, ends_ns=ends_ns, until_ns=ends_ns + round(hours * HOUR_NS))


def test_an_extension_is_as_long_as_the_pack_allows_and_no_longer() -> None:
    assert extension(2) == []
    assert extension(2.5) == [
        (
            "expected an extension of 2 h at most (max_extension_h of pack uk-met), got 2.5 h until "
            "2030-05-04T17:30:00+00:00; choose an earlier end"
        )
    ]
    assert "expected an extension of 0 h at most" in extension(0.5, pack=tightened(MET, {"max_extension_h": 0}))[0]


def test_all_extensions_together_stay_within_the_longest_authority() -> None:
    assert extension(2, earlier_h=6) == []
    assert extension(1, earlier_h=7.5) == [
        (
            "expected an authority with its extensions of 14 h at most (max_total_h of pack uk-met), got 14.5 h until "
            "2030-05-04T23:30:00+00:00; choose an earlier end"
        )
    ]


@pytest.mark.parametrize("hours", [0, -1])
def test_an_extension_ends_later_than_what_it_extends(hours: int) -> None:
    assert extension(hours)[0].startswith("expected a new end after 2030-05-04T15:00:00+00:00, got 2030-05-04T1")
