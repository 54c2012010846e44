"""What a rule pack rules: each rule with its type, what it means, and what being stricter means for it.

The annotations of `Rules` are the one table of that. Packs are checked against it, overrides are judged by it, and the
table in docs/rules.md is made from it.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

from msgspec import Meta, Struct

from lfr_kernel.decoding import Problem, decode, extra_of, help_of, shown, suggest
from lfr_kernel.governance.document import Text  # noqa: TC001  (msgspec resolves the annotations when it decodes)
from lfr_kernel.governance.people.statements import Role

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Category",
    "HigherAuthority",
    "Named",
    "PhotoSource",
    "Rules",
    "Strictness",
    "meaning_of",
    "rule_types",
    "spelled",
    "stricter",
    "strictness_of",
]

NO_CATEGORY = {"other", "others", "misc", "miscellaneous", "general", "various"}
"""Words by which a closed list is opened again."""

Code = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}\Z", title="1 to 32 lower-case letters, digits and -")]
Pair = Annotated[tuple[Role, Role], Meta(title='pairs of roles, as ["list-builder", "reviewer"]')]
Hours = Annotated[float, Meta(gt=0, le=8760)]


class Strictness(Enum):
    """How two values of a rule are compared. The text says what an override may be; the pack's own value always may."""

    LOWER = "a lower number"
    HIGHER = "a higher number"
    SUBSET = "some of the codes, and no other"
    SUPERSET = "all of the pairs, and more"
    ON = "true where the pack says false"
    FIXED = "nothing: it cannot be overridden"


class Named(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of a list: `code` is what documents and records write, `title` what people read."""

    code: Code
    title: Text


class Category(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reason to be on a watchlist. The list of them is closed: there is no "other"."""

    code: Code
    title: Text

    def __post_init__(self) -> None:
        words = {word.casefold() for word in re.findall(r"[^\W\d_]+", f"{self.code} {self.title}")}
        if found := sorted(words & NO_CATEGORY):
            raise ValueError(
                f"expected a category that says who is meant, got {found[0]!r} in {self.code!r} ({self.title}): "
                "the list is closed; name the category, or leave it out"
            )


class PhotoSource(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place where photographs may come from."""

    code: Code
    title: Text
    needs_conviction_status: bool
    """Whether an entry must say if its person was convicted: custody images of those who were not are held apart."""


class HigherAuthority(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The office whose authority is needed, in the words of the pack."""

    under_18: Text
    """… for each entry of a person under 18."""
    vulnerable: Text
    """… for each entry of a vulnerable person."""
    assembly: Text
    """… for a deployment at a public assembly."""


def _rule(description: str, strictness: Strictness, **bounds: Any) -> Meta:
    return Meta(description=description, extra={"strictness": strictness}, **bounds)


_LOWER, _HIGHER, _FIXED = Strictness.LOWER, Strictness.HIGHER, Strictness.FIXED


class Rules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The values of every rule."""

    categories: Annotated[
        tuple[Category, ...], _rule("who may be on a watchlist: a closed list", Strictness.SUBSET, min_length=1)
    ]
    sources: Annotated[
        tuple[PhotoSource, ...], _rule("where photographs may come from", Strictness.SUBSET, min_length=1)
    ]
    legal_bases: Annotated[
        tuple[Named, ...],
        _rule("what an authority, and each entry, may rest on in law", Strictness.SUBSET, min_length=1),
    ]
    max_entries: Annotated[int, _rule("entries of a watchlist, at most", _LOWER, ge=1, le=1_000_000)]
    max_photo_age_days: Annotated[int, _rule("age of a photograph at the build", _LOWER, ge=1, le=36_500)]
    max_entry_days: Annotated[int, _rule("how far ahead an entry may expire", _LOWER, ge=1, le=3_650)]
    build_max_age_h: Annotated[Hours, _rule("age of a list when a deployment opens", _LOWER)]
    review_max_age_h: Annotated[Hours, _rule("age of its review when a deployment opens", _LOWER)]
    min_sample: Annotated[
        int,
        _rule(
            "entries checked by dip sample before opening (or all, of a shorter list); 0: none needed", _HIGHER, ge=0
        ),
    ]
    max_authority_h: Annotated[Hours, _rule("length of an authority", _LOWER)]
    max_extension_h: Annotated[float, _rule("length of one extension; 0: none", _LOWER, ge=0, le=8760)]
    max_total_h: Annotated[Hours, _rule("length of an authority with all its extensions", _LOWER)]
    min_threshold: Annotated[
        float, _rule("threshold, at least; on the scale of the model in use", _HIGHER, ge=0.2, le=1)
    ]
    max_list_over_tested: Annotated[
        float, _rule("length of the list as a multiple of the one in the cited evaluation", _LOWER, gt=0, le=10)
    ]
    authorisers_note: Annotated[Text, _rule("who may authorise a deployment: for people to check", _FIXED)]
    higher_authority: Annotated[
        HigherAuthority, _rule("whose authority it takes for under-18s, vulnerable people and assemblies", _FIXED)
    ]
    separate_roles: Annotated[tuple[Pair, ...], _rule("roles that one person may not combine", Strictness.SUPERSET)]
    session_idle_min: Annotated[float, _rule("minutes without an act after which a session locks", _LOWER, gt=0)]
    session_max_h: Annotated[Hours, _rule("length of a session", _LOWER)]
    anchor_every_min: Annotated[
        float, _rule("minutes between anchors of the audit chain outside of the machine", _LOWER, gt=0)
    ]
    max_residency_s: Annotated[
        float, _rule("seconds that crops and templates of passers-by stay in memory, at most", _LOWER, gt=0)
    ]
    media: Annotated[
        Literal["live", "files"],
        _rule("`live`: only live cameras that the authority names; `files`: only files", _FIXED),
    ]
    refuse_unencrypted_swap: Annotated[
        bool, _rule("no start while memory may be written to an unencrypted disk", Strictness.ON)
    ]
    require_report: Annotated[bool, _rule("no start without a cited evaluation report", Strictness.ON)]
    alert_days: Annotated[float, _rule("days after which an alert is deleted", _LOWER, gt=0, le=31)]
    evidence_hours: Annotated[float, _rule("hours after which an alert's pictures are deleted", _LOWER, gt=0, le=744)]
    text_days: Annotated[
        float,
        _rule(
            "days after its end at which free texts and the authority of a deployment are deleted",
            _LOWER,
            gt=0,
            le=3_650,
        ),
    ]
    act_within_s: Annotated[
        float, _rule("seconds from the capture to the latest delivery on which anybody may act", _LOWER, gt=0, le=3_600)
    ]
    assessors: Annotated[
        int,
        _rule(
            "people who assess an alert, each without seeing the other, before anybody is engaged", _HIGHER, ge=1, le=2
        ),
    ]
    on_disagreement: Annotated[
        Literal["dismiss", "third-person"],
        _rule("two who assess disagree: the alert is dismissed, or a third person decides", _FIXED),
    ]
    stop_false_per_face: Annotated[
        float, _rule("false alerts per face seen, above which alerts are suspended", _LOWER, gt=0, le=1)
    ]
    stop_min_false: Annotated[int, _rule("false alerts before that rule counts", _LOWER, ge=1, le=1_000)]
    group_ratio: Annotated[
        float,
        _rule("ratio of false alerts between groups that a record says how likely it was to see", _FIXED, gt=1, le=100),
    ]
    powers: Annotated[
        tuple[Named, ...], _rule("powers that may be used on somebody who is engaged", _FIXED, min_length=1)
    ]
    ethnic_groups: Annotated[
        tuple[Named, ...],
        _rule("groups that a person may record of somebody who was falsely alerted on", _FIXED, min_length=1),
    ]
    clock_tolerance_s: Annotated[
        float,
        _rule("seconds that wall clock and boot clock may drift apart between looks; more is a jump", _LOWER, gt=0),
    ]
    mark: Annotated[str, _rule("text printed on every output", _FIXED)]


def rule_types() -> dict[str, Any]:
    """Return the annotated type of each rule, by name, in the order in which packs and tables write them."""
    hints = get_type_hints(Rules, include_extras=True)
    return {name: hints[name] for name in Rules.__struct_fields__}


def meaning_of(rule: str) -> str:
    """Return what a rule means, in a few words."""
    return help_of(rule_types()[rule])


def strictness_of(rule: str) -> Strictness:
    """Return how two values of a rule are compared."""
    found: Strictness = extra_of(rule_types()[rule])["strictness"]
    return found


def stricter(rule: str, pack: str, now: Any, wanted: object, note: Callable[[Problem], None]) -> Any:
    """Return the value of `rule` that `wanted` overrides the pack with, or None after noting why it may not.

    Args:
        rule: name of the rule.
        pack: name of the pack, for the messages.
        now: what the pack says.
        wanted: what the profile says, as the TOML parser gave it.
        note: told what is wrong: what the pack says, what came and what stricter means.
    """
    how = strictness_of(rule)
    says = f"pack {pack} says {spelled(now)}; stricter is {how.value}"
    if how is Strictness.FIXED:
        note(Problem(rule, f"expected no override, got {shown(wanted)}; {says}"))
        return None
    kind = Annotated[tuple[Code, ...], Meta(min_length=1)] if how is Strictness.SUBSET else rule_types()[rule]
    value = decode(kind, wanted, rule, lambda problem: note(Problem(problem.path, f"{problem.text}; {says}")))
    if value is None:
        return None
    if how is Strictness.SUBSET:
        codes = {one.code: one for one in now}
        unknown = [code for code in value if code not in codes]
        hint = suggest(unknown[0], codes) if unknown else ""
        is_fit, value = not unknown, tuple(codes[code] for code in codes if code in value)
    elif how is Strictness.SUPERSET:
        hint, is_fit = "", {frozenset(pair) for pair in now} <= {frozenset(pair) for pair in value}
    else:
        hint = ""
        is_fit = value <= now if how is Strictness.LOWER else value >= now
    if not is_fit:
        note(Problem(rule, f"expected {_EXPECTED[how]}, got {shown(wanted)}{hint}; {says}"))
        return None
    return value


_EXPECTED = {
    Strictness.LOWER: "no more than the pack allows",
    Strictness.HIGHER: "no less than the pack demands",
    Strictness.SUBSET: "codes of the pack",
    Strictness.SUPERSET: "at least the pairs of the pack",
    Strictness.ON: "true, as in the pack",
}


def spelled(value: Any) -> str:
    """Return the value of a rule as messages and tables write it: lists by their codes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.10g}"
    if isinstance(value, HigherAuthority):
        return f"under 18: {value.under_18}; vulnerable: {value.vulnerable}; assembly: {value.assembly}"
    if isinstance(value, tuple):
        return ", ".join(" + ".join(one) if isinstance(one, tuple) else one.code for one in value) or "none"
    return str(value) or "none"
