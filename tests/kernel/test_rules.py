"""Rule packs: every mistake at once, a template that runs nothing, and overrides that can only be stricter."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.governance.rulebook import rules_table
from lfr_kernel.governance.rules import (
    TO_BE_COMPLETED,
    LoadedPack,
    Pack,
    PackError,
    built_in_packs,
    load_pack,
    tightened,
    verify_runnable,
)
from lfr_kernel.governance.ruleset import Rules, Strictness, meaning_of, rule_types, strictness_of

ROOT = Path(__file__).resolve().parents[2]
BUILT_IN = ("demo", "eu", "uk-met", "uk-swp")
MET = load_pack("uk-met").pack


def met(*changes: tuple[str, str], name: str = "ours") -> str:
    """Return the text of uk-met under a name of its own, with each `old` replaced by its `new`."""
    text = built_in_packs()["uk-met"].read_text(encoding="utf-8")
    for old, new in (('name = "uk-met"', f'name = "{name}"'), *changes):
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def load(tmp_path: Path, text: str) -> LoadedPack:
    (tmp_path / "ours.toml").write_text(text, encoding="utf-8")
    return load_pack("ours.toml", here=tmp_path)


def problems(tmp_path: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(PackError) as caught:
        load(tmp_path, text)
    return caught.value.problems


def test_these_packs_are_built_in_and_bear_the_names_of_their_files() -> None:
    packs = built_in_packs()
    assert tuple(packs) == BUILT_IN
    for name in packs:
        loaded = load_pack(name)
        assert loaded.pack.name == name
        assert loaded.origin == f"built-in {name}"
        assert loaded.pack.status == "working reading; check primary text before it is called by a force's name"


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_pack_is_known_by_the_digest_of_its_bytes(name: str) -> None:
    assert load_pack(name).digest == hashlib.sha256(built_in_packs()[name].read_bytes()).hexdigest()


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_rule_of_a_built_in_pack_names_its_source(name: str) -> None:
    clauses = load_pack(name).pack.clauses
    assert tuple(clauses) == Rules.__struct_fields__
    assert all(clause.source.strip() for clause in clauses.values())


def test_the_packs_say_what_the_field_says() -> None:
    demo, swp = load_pack("demo").pack.rules, load_pack("uk-swp").pack.rules
    assert (MET.rules.max_entries, MET.rules.alert_days, MET.rules.evidence_hours) == (10_000, 31, 24)
    assert (MET.rules.review_max_age_h, MET.rules.media, MET.rules.require_report) == (24, "live", True)
    assert 0.60 <= MET.rules.min_threshold <= swp.min_threshold <= 0.64
    assert swp.alert_days == 1
    assert (demo.max_entries, demo.media, demo.min_sample) == (10, "files", 0)
    assert demo.mark == "DEMONSTRATION: not an operational deployment"


@pytest.mark.parametrize("name", ["uk-met", "uk-swp", "eu"])
def test_authoriser_operator_and_auditor_are_three_people_but_in_the_demonstration(name: str) -> None:
    pairs = {frozenset(pair) for pair in load_pack(name).pack.clauses["separate_roles"].value}
    wanted = [("authoriser", "operator"), ("authoriser", "auditor"), ("operator", "auditor")]
    assert {frozenset(pair) for pair in [*wanted, ("list-builder", "reviewer")]} <= pairs


@pytest.mark.parametrize("name", ["demo", "uk-met", "uk-swp"])
def test_a_pack_without_open_rules_runs(name: str) -> None:
    verify_runnable(load_pack(name))


def test_the_template_can_be_read_and_runs_nothing() -> None:
    loaded = load_pack("eu")
    assert loaded.pack.is_template
    assert "max_entries" in loaded.pack.open_rules
    assert loaded.pack.clauses["media"].value == "live"
    with pytest.raises(PackError, match=r"your organisation's own body has decided them. Copy the file") as caught:
        verify_runnable(loaded)
    assert [text.split(".")[1] for text in caught.value.problems] == list(loaded.pack.open_rules)
    assert f"a template, {len(loaded.pack.open_rules)} of its rules are to be completed" in str(caught.value)
    assert "have your organisation sign the digest of the copy" in str(caught.value)
    with pytest.raises(PackError, match="nothing runs under it"):
        _ = loaded.pack.rules
    with pytest.raises(PackError, match="nothing runs under it"):
        tightened(loaded.pack, {})


def test_a_completed_copy_of_a_template_runs_once_a_body_answers_for_it(tmp_path: Path) -> None:
    answers = {
        name: built_in_packs()["uk-met"].read_text(encoding="utf-8").split(f"[rules.{name}]\nvalue = ")[1]
        for name in load_pack("eu").pack.open_rules
    }
    text = built_in_packs()["eu"].read_text(encoding="utf-8").replace('name = "eu"', 'name = "ours"')
    for name, rest in answers.items():
        value = rest.split("\nsource = ")[0]
        text = text.replace(f'[rules.{name}]\nvalue = "{TO_BE_COMPLETED}"', f"[rules.{name}]\nvalue = {value}")
    with pytest.raises(PackError, match=r"nobody answers for them: expected a table \[completed\]"):
        verify_runnable(load(tmp_path, text))
    signed = '\n[completed]\nby = "the ministry"\non = 2030-01-31\nreference = "G 7/2030"\n'
    loaded = load(tmp_path, text.replace("template = true\n", "template = true\n" + signed))
    verify_runnable(loaded)
    assert loaded.pack.completed is not None
    assert loaded.pack.rules.max_entries == 10_000


def test_only_a_template_may_leave_a_rule_open(tmp_path: Path) -> None:
    text = met(("value = 10000", f'value = "{TO_BE_COMPLETED}"'))
    assert problems(tmp_path, text) == (
        "rules.max_entries.value: expected an integer from 1 to 1000000, got 'TO BE COMPLETED'",
    )


def test_every_mistake_is_reported_at_once_with_file_and_key_path(tmp_path: Path) -> None:
    text = met(
        ("value = 10000", 'value = "many"'),
        ("[rules.max_entry_days]", "[rules.max_entry_day]"),
        ('value = "live"\nsource = ', 'value = "both"\norigin = '),
        ('code = "wanted-court"', 'code = "other"'),
        ('code = "order-breach"', 'code = "wanted-offence"'),
        ('["authoriser", "operator"]', '["operator", "operator"]'),
        ('["operator", "auditor"]', '["operator", "janitor"]'),
        ("[rules.mark]\nvalue", "[rules.mark]\nvalu"),
    )
    found = problems(tmp_path, text)
    assert {problem.partition(":")[0] for problem in found} == {
        "rules.max_entries.value",
        "rules.max_entry_day",
        "rules.max_entry_days",
        "rules.media.value",
        "rules.media.origin",
        "rules.media.source",
        "rules.categories.value[0]",
        "rules.categories.value[2].code",
        "rules.separate_roles.value[0]",
        "rules.separate_roles.value[2]",
        "rules.mark.valu",
        "rules.mark.value",
    }
    with pytest.raises(
        PackError, match=rf"^{tmp_path}/ours.toml: {len(found)} mistakes\n  {tmp_path}/ours.toml: rules"
    ):
        load_pack("ours.toml", here=tmp_path)


@pytest.mark.parametrize("rule", Rules.__struct_fields__)
def test_no_rule_may_be_missing(tmp_path: Path, rule: str) -> None:
    found = problems(tmp_path, met((f"[rules.{rule}]", f"[rules.not_{rule}]")))
    assert f"rules.{rule}: missing, expected a table" in found
    assert any(text.startswith(f"rules.not_{rule}: unknown key") for text in found)


@pytest.mark.parametrize("rule", Rules.__struct_fields__)
def test_no_rule_is_without_a_source(tmp_path: Path, rule: str) -> None:
    before, after = met().split(f"[rules.{rule}]\n")
    text = f"{before}[rules.{rule}]\n{after.replace('source = ', 'note_of_source = ', 1)}"
    assert f"rules.{rule}.source: missing, expected text, not empty" in problems(tmp_path, text)
    kept, _, dropped = after.partition("source = ")
    blank = f'{before}[rules.{rule}]\n{kept}source = " "\n{dropped.partition(chr(10))[2]}'
    assert problems(tmp_path, blank) == (f"rules.{rule}.source: expected text, not empty, got ' '",)


@pytest.mark.parametrize("title", ["Others wanted", "Miscellaneous", "Wanted in general", "MISC"])
def test_a_closed_list_has_no_other(tmp_path: Path, title: str) -> None:
    text = met(("Wanted by the courts", title))
    [problem] = problems(tmp_path, text)
    assert problem.startswith("rules.categories.value[0]: expected a category that says who is meant, got '")
    assert problem.endswith("the list is closed; name the category, or leave it out")


def test_a_word_that_only_looks_like_other_is_none(tmp_path: Path) -> None:
    load(tmp_path, met(("Wanted by the courts", "Wanted by a generalised order, mother or brother")))


def test_a_pack_of_ones_own_does_not_go_by_the_name_of_a_built_in_one(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, met(("10000", "20000"), name="uk-swp"))
    assert problem.startswith("name: expected a name of its own, got 'uk-swp', which is a built-in pack with another")


def test_a_copy_of_a_built_in_pack_is_that_pack(tmp_path: Path) -> None:
    (tmp_path / "copy.toml").write_bytes(built_in_packs()["uk-met"].read_bytes())
    assert load_pack(str(tmp_path / "copy.toml")).digest == load_pack("uk-met").digest


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "expected a TOML file, found none there; check the path"),
        (b"name = ", "expected TOML, got a syntax error: "),
        (b"\xff", "expected UTF-8 text, got something else from byte 0; is it TOML?"),
        (b"x = " + b"[" * 100_000, "nested too deeply"),
        (b"#" * 1_000_001, "expected TOML, 1000000 bytes at most, got a longer file"),
        (b"rules = 7", "rules: expected a \\[rules.NAME\\] table for each rule, got 7"),
    ],
)
def test_what_is_no_pack_is_refused(tmp_path: Path, content: bytes | None, text: str) -> None:
    if content is not None:
        (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(PackError, match=text):
        load_pack("x.toml", here=tmp_path)


def test_a_folder_is_no_pack(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="expected a TOML file that can be read, got: "):
        load_pack(f"{tmp_path}/")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(PackError, match=r"one of: demo, eu, uk-met, uk-swp; or the path .*\(did you mean 'uk-met'\?\)"):
        load_pack("uk_met")


OVERRIDES: list[tuple[str, Any, Any]] = [
    ("categories", ["wanted-court"], ["wanted-court", "nosy"]),
    ("sources", ["custody"], ["web"]),
    ("legal_bases", ["warrant"], []),
    ("max_entries", 9_999, 10_001),
    ("max_photo_age_days", 1, 1_826),
    ("max_entry_days", 1, 8),
    ("build_max_age_h", 0.5, 24.001),
    ("review_max_age_h", 1, 25),
    ("min_sample", 51, 49),
    ("max_authority_h", 4, 13),
    ("max_extension_h", 0, 2.5),
    ("max_total_h", 4, 15),
    ("min_threshold", 0.7, 0.609),
    ("max_list_over_tested", 1, 1.2),
    ("session_idle_min", 5, 11),
    ("session_max_h", 8, 13),
    ("anchor_every_min", 5, 16),
    ("max_residency_s", 5, 61),
    ("refuse_unencrypted_swap", True, False),
    ("require_report", True, False),
    ("alert_days", 7, 32),
    ("evidence_hours", 12, 25),
    ("text_days", 30, 366),
    ("act_within_s", 20, 31),
    ("assessors", 2, 0),
    ("stop_false_per_face", 0.0005, 0.002),
    ("stop_min_false", 1, 4),
    ("clock_tolerance_s", 5, 11),
]


@pytest.mark.parametrize(("rule", "fine", "looser"), OVERRIDES)
def test_an_override_may_be_stricter_and_never_less_strict(rule: str, fine: Any, looser: Any) -> None:
    value = getattr(tightened(MET, {rule: fine}).rules, rule)
    assert ([one.code for one in value] if isinstance(value, tuple) else value) == fine
    with pytest.raises(PackError) as caught:
        tightened(MET, {rule: looser})
    [problem] = caught.value.problems
    assert problem.startswith(f"{rule}")
    assert "pack uk-met says" in problem
    assert f"stricter is {strictness_of(rule).value}" in problem


def test_every_rule_that_can_be_overridden_is_tried_above() -> None:
    tried = {rule for rule, _, _ in OVERRIDES} | {"separate_roles"}
    assert tried == {rule for rule in rule_types() if strictness_of(rule) is not Strictness.FIXED}


@pytest.mark.parametrize("rule", ["authorisers_note", "higher_authority", "media", "mark"])
def test_what_belongs_to_the_pack_cannot_be_overridden(rule: str) -> None:
    with pytest.raises(PackError, match=rf"{rule}: expected no override, got 'files'; pack uk-met says"):
        tightened(MET, {rule: "files"})


def test_more_roles_may_be_kept_apart_and_none_fewer() -> None:
    pairs = [list(pair) for pair in MET.rules.separate_roles]
    turned = [[other, one] for one, other in pairs]
    more = tightened(MET, {"separate_roles": [*turned, ["reviewer", "operator"]]}).rules
    assert more.separate_roles[-1] == ("reviewer", "operator")
    with pytest.raises(PackError, match="separate_roles: expected at least the pairs of the pack, got"):
        tightened(MET, {"separate_roles": pairs[1:]})


def test_the_refusal_says_what_the_pack_says_what_came_and_what_stricter_means() -> None:
    wrong = {"max_entries": 20_000, "max_entrys": 3, "categories": ["wanted-cort"], "alert_days": "x"}
    with pytest.raises(PackError, match=r"^overrides of rule pack uk-met: 4 mistakes\n") as caught:
        tightened(MET, wrong)
    entries, name, categories, days = caught.value.problems
    assert entries == (
        "max_entries: expected no more than the pack allows, got 20000; pack uk-met says 10000; "
        "stricter is a lower number"
    )
    assert name == "max_entrys: expected the name of a rule (did you mean 'max_entries'?)"
    assert categories == (
        "categories: expected codes of the pack, got ['wanted-cort'] (did you mean 'wanted-court'?); pack uk-met says "
        "wanted-court, wanted-offence, order-breach, missing-at-risk, risk-of-harm; "
        "stricter is some of the codes, and no other"
    )
    assert days == (
        "alert_days: expected a number above 0, at most 31, got 'x'; pack uk-met says 31; stricter is a lower number"
    )


def test_a_profile_may_repeat_what_the_pack_says() -> None:
    same = {
        rule: [one.code if isinstance(one, msgspec.Struct) else list(one) for one in value]
        if isinstance(value := getattr(MET.rules, rule), tuple)
        else value
        for rule in rule_types()
        if strictness_of(rule) is not Strictness.FIXED
    }
    assert tightened(MET, same) == MET


def test_an_override_leaves_the_pack_as_it_is() -> None:
    assert tightened(MET, {"max_entries": 5}).rules.max_entries == 5
    assert MET.rules.max_entries == 10_000


NUMBERS = [rule for rule in rule_types() if strictness_of(rule) in {Strictness.LOWER, Strictness.HIGHER}]


@given(rule=st.sampled_from(NUMBERS), value=st.integers(-5, 50_000) | st.floats() | st.booleans() | st.none())
def test_whatever_comes_the_outcome_is_never_less_strict(rule: str, value: object) -> None:
    try:
        got = getattr(tightened(MET, {rule: value}).rules, rule)
    except PackError:
        return
    said = getattr(MET.rules, rule)
    assert got <= said if strictness_of(rule) is Strictness.LOWER else got >= said


def test_overrides_on_overrides_only_narrow() -> None:
    once = tightened(MET, {"max_entries": 100})
    with pytest.raises(PackError, match="pack uk-met says 100"):
        tightened(once, {"max_entries": 200})


def test_the_documentation_holds_the_table_of_rules_as_they_are() -> None:
    wanted = rules_table()
    assert wanted in (ROOT / "docs" / "rules.md").read_text(encoding="utf-8"), (
        "docs/rules.md is out of date: replace its table of rules by what this prints: "
        'python -c "from lfr_kernel.governance.rulebook import rules_table; print(rules_table())"'
    )
    assert all(meaning_of(rule) and f"| `{rule}` |" in wanted for rule in rule_types())


def test_the_files_say_what_was_decoded() -> None:
    for name, file in built_in_packs().items():
        pack: Pack = load_pack(name).pack
        raw = tomllib.loads(file.read_text(encoding="utf-8"))["rules"]
        for rule, clause in pack.clauses.items():
            if clause.value is not None:
                assert msgspec.json.decode(msgspec.json.encode(clause.value)) == raw[rule]["value"]
            else:
                assert raw[rule]["value"] == TO_BE_COMPLETED
