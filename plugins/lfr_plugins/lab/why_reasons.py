"""What each reason means to somebody who set the camera up, and what would help. A table; the words are all here.

`says` may use: {count} faces refused for this reason, of {frames} in which the person was seen; {widest} px, the widest
the face ever was; {limit}, the gate as it is set; {asked}, {pooled} faces; {best}, {short}, {threshold}: similarities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GATES", "LOSSES", "Cause", "cause_of_gate", "cause_of_loss", "cause_of_miss", "gate_limit", "plain"]


class Cause(Struct, frozen=True, kw_only=True):
    """Why somebody was not compared, or not found."""

    short: str
    """A few words, for a table."""
    says: str
    """A whole sentence without its full stop."""
    helps: str
    """What would help; empty where nothing is amiss."""


GATES: Mapping[str, Cause] = {
    "too_small": Cause(
        short="face too small",
        says="the face was never wider than {widest} px{limit}; too small in {count} of {frames} frames",
        helps="a longer lens, a nearer camera, or a stream with more pixels (the main stream, not the sub-stream)",
    ),
    "turned_away": Cause(
        short="turned away",
        says="the face was turned away in {count} of {frames} frames",
        helps="hang the camera lower and where people walk towards it, or put something beside it that they look at",
    ),
    "blurred": Cause(
        short="blurred",
        says="the face was blurred in {count} of {frames} frames",
        helps="a shorter exposure (1/200 s or less) with more light, and a lens that is in focus where people walk",
    ),
    "too_dark": Cause(
        short="too dark",
        says="the face was in the dark in {count} of {frames} frames",
        helps="light on the faces from the camera's side, a larger aperture, or no bright window or sky behind them",
    ),
    "overexposed": Cause(
        short="burnt out",
        says="the face was burnt out in {count} of {frames} frames",
        helps="a shorter exposure, measured on faces, and no lamp or low sun straight on them",
    ),
    "low_confidence": Cause(
        short="hardly a face",
        says="the detector was unsure that it was a face at all in {count} of {frames} frames",
        helps="look at the picture: a face half hidden needs another angle; if it is none, nothing was lost",
    ),
    "occluded": Cause(
        short="covered",
        says="eyes or mouth seemed covered in {count} of {frames} frames",
        helps="lower min_openness; covering a face is no reason for anything",
    ),
}
"""By the reason that a tracker gives for a face that it refuses."""

_LIMITS = {"too_small": ("min_face_px", ", and the gate is {:g}")}
"""By gate: the tracker's setting, and how it is told."""

_ANY_GATE = Cause(
    short="{reason}", says="the tracker refused its face as {reason} in {count} of {frames} frames", helps=""
)

LOSSES: Mapping[str, Cause] = {
    "nobody_listed": Cause(
        short="embedded, not searched",
        says="{pooled} of its faces were embedded; nothing was searched, since nobody is listed",
        helps="",
    ),
    "no_face_wanted": Cause(
        short="no face asked for",
        says="followed through {frames} frames, and the tracker asked for none of its faces",
        helps="look at the tracker's settings",
    ),
    "probe_overflow": Cause(
        short="machine too slow",
        says="{asked} faces were to be embedded, and the machine did not get round to them",
        helps="fewer frames or cameras, a smaller longest_side, or a faster machine",
    ),
    "probe_crashed": Cause(
        short="embedder failed",
        says="{asked} faces were to be embedded, and the embedder failed at them",
        helps="see the error under the notes; run again",
    ),
    "restart": Cause(
        short="a stage failed",
        says="a stage failed and was started anew while this person passed",
        helps="see the error under the notes; run again",
    ),
    "stopped": Cause(short="stopped", says="the run was stopped while this person passed", helps="run it to its end"),
    "deadline": Cause(
        short="no answer in time",
        says="its faces were not embedded in time",
        helps="see the error under the notes; run again",
    ),
    "unanswered": Cause(
        short="no answer",
        says="{asked} faces were to be embedded, and no template of them came",
        helps="see the error under the notes; run again",
    ),
}
"""By the reason of a lost passage; gates apart."""

_ANY_LOSS = Cause(short="{reason}", says="lost, for the reason {reason}", helps="")

_MISSES: tuple[tuple[float, Cause], ...] = (
    (
        0.05,
        Cause(
            short="just under the threshold",
            says="just under the threshold: {best}, which is {short} short of {threshold}, with {pooled} faces pooled",
            helps="if this is somebody listed: another, newer photograph of that person in the list, and nearer, more "
            "frontal faces; if not, it is as it should be",
        ),
    ),
    (
        0.2,
        Cause(
            short="under the threshold",
            says="under the threshold: {best} against {threshold}, with {pooled} faces pooled",
            helps="if this is somebody listed: a better photograph in the list, and nearer, more frontal faces; if "
            "not, it is as it should be",
        ),
    ),
    (2.0, Cause(short="like nobody listed", says="like nobody listed: {best} against {threshold}", helps="")),
)
"""By how much the best similarity fell short at most, the least first."""


def plain(reason: str) -> str:
    """Return a reason as people write it."""
    return reason.replace("_", " ")


def cause_of_gate(gate: str) -> Cause:
    """Return why faces were refused."""
    return GATES.get(gate) or _named(_ANY_GATE, gate)


def cause_of_loss(reason: str) -> Cause:
    """Return why a passage was lost; for gates see `cause_of_gate`."""
    return LOSSES.get(reason) or _named(_ANY_LOSS, reason)


def cause_of_miss(short: float) -> Cause:
    """Return what to say of a best similarity that fell so far short of the threshold."""
    return next((cause for most, cause in _MISSES if short <= most), _MISSES[-1][1])


def gate_limit(gate: str, options: Any) -> str:
    """Return how the tracker's options set a gate; nothing where that says nothing, or the tracker is another one."""
    setting, text = _LIMITS.get(gate, ("", ""))
    limit = getattr(options, setting, None) if setting else None
    return text.format(limit) if isinstance(limit, int | float) else ""


def _named(cause: Cause, reason: str) -> Cause:
    # A plugin's own word goes into a template: its braces must not be taken for ours.
    word = plain(reason).replace("{", "{{").replace("}", "}}")
    return Cause(
        short=cause.short.replace("{reason}", word), says=cause.says.replace("{reason}", word), helps=cause.helps
    )
