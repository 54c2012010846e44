"""How alerts of one deployment are handled, and how long what is kept of it lives: what its authoriser signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from lfr_kernel.stages.retention import CEILINGS_S

if TYPE_CHECKING:
    from lfr_kernel.governance.ruleset import Rules

__all__ = ["NAMED", "Handling", "Titles", "handling_of"]


class Titles(Struct, frozen=True, kw_only=True):
    """The titles that a pack gives to its codes: by list, since two lists may have one code for different things."""

    categories: dict[str, str] = {}
    sources: dict[str, str] = {}
    legal_bases: dict[str, str] = {}
    powers: dict[str, str] = {}
    ethnic_groups: dict[str, str] = {}


NAMED = Titles.__struct_fields__


class Handling(Struct, frozen=True, kw_only=True):
    """The rules of a pack, as tightened by a profile, that alerts need once neither is at hand any more."""

    alert_s: float
    """How long an alert is kept at most, in seconds."""
    evidence_s: float
    """How long its pictures are, in seconds."""
    text_s: float
    """How long free texts and the authority are kept after the end of the deployment, in seconds."""
    act_within_s: float
    """From the capture to the latest delivery on which anybody may act, in seconds."""
    assessors: int
    """How many people assess each alert."""
    on_disagreement: Literal["dismiss", "third-person"]
    stop_false_per_face: float
    stop_min_false: int
    group_ratio: float
    titles: Titles
    """A record and a notice name them when the pack is not at hand any more."""
    mark: str
    """Text that the pack has printed on every output."""


def handling_of(rules: Rules) -> Handling:
    """Return what an authority has to fix of a pack's rules."""
    text_s = rules.text_days * 86_400
    # No alert outlives the text of the authority that it was raised under, no picture its alert, nothing the kernel's
    # own ceilings.
    alert_s = min(rules.alert_days * 86_400, CEILINGS_S["alert"], text_s)
    return Handling(
        alert_s=alert_s,
        evidence_s=min(rules.evidence_hours * 3_600, CEILINGS_S["evidence"], alert_s),
        text_s=text_s,
        act_within_s=rules.act_within_s,
        assessors=rules.assessors,
        on_disagreement=rules.on_disagreement,
        stop_false_per_face=rules.stop_false_per_face,
        stop_min_false=rules.stop_min_false,
        group_ratio=rules.group_ratio,
        titles=Titles(**{name: {one.code: one.title for one in getattr(rules, name)} for name in NAMED}),
        mark=rules.mark,
    )
