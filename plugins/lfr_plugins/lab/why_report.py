"""What `lfr-kernel why` found out: of each passage, and of all of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from lfr_kernel.api import CameraFunnel, Verdict
from lfr_plugins.lab.why_reasons import Cause, cause_of_gate, cause_of_loss, cause_of_miss, gate_limit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfr_kernel.api import Outcome, Profile
    from lfr_plugins.lab.why_watch import Watched

__all__ = ["Explained", "Help", "WhyReport", "explain"]

_GATED = "gated_"


class Explained(Struct, frozen=True, kw_only=True):
    """One passage."""

    number: int
    """From 1, in the order in which they came."""
    passage: str
    at_s: float
    """When its face was first seen, in seconds of the clip."""
    seconds: float
    frames: int
    widest_px: float
    """Its face at its largest, px of the clip; 0 where that is not known."""
    quality: float
    """Of its best face, in [0, 1]; 0 where that is not known."""
    parts: Mapping[str, float]
    """Of that quality, by name: see `FaceQualities`."""
    gated: Mapping[str, int]
    """Faces refused, by reason."""
    asked: int
    embedded: int
    pooled: int
    outliers: int
    lost: Mapping[str, int]
    """Faces asked for that never came, by reason."""
    best_similarity: float | None
    """A cosine, to be read beside the threshold; None where nothing was searched."""
    verdict: Verdict
    reason: str | None
    ended: str | None
    persons: Sequence[str]
    """Who it may have been, by the alerts: proposals, for a person to decide."""
    short: str
    says: str
    helps: str
    picture: str | None = None
    """Its best moment, beside this report; every face in it is pixelated."""

    @property
    def tone(self) -> str:
        """How it is coloured: its verdict, and `unsearched` where nothing was lost but nobody is listed."""
        return "unsearched" if self.reason == "nobody_listed" else str(self.verdict)


class Help(Struct, frozen=True, kw_only=True):
    """One thing that would help, and how many passages it would have helped at most."""

    passages: int
    short: str
    helps: str


class WhyReport(Struct, frozen=True, kw_only=True):
    """A clip, explained."""

    clip: str
    width: int
    height: int
    seconds: float
    """Of the clip, as far as it was played."""
    permit: str
    listed: int
    """People; 0: nothing was searched."""
    threshold: float
    smallest_face_px: float | None
    """About the narrowest face that the detector finds in this clip."""
    passages: Sequence[Explained]
    funnel: CameraFunnel
    what_would_help: Sequence[Help]
    """The most passages first."""
    notes: Sequence[str]


def explain(watched: Watched, profile: Profile, *, clip: str) -> WhyReport:
    """Put a run into words.

    Args:
        watched: the run.
        profile: what was run.
        clip: its name.
    """
    summary, watcher = watched.summary, watched.watcher
    ordered = sorted(watched.outcomes, key=lambda one: (one.began_stream_ns or 0, one.passage))
    persons: dict[str, list[str]] = {}
    for alert in watched.alerts:
        persons.setdefault(alert.passage, []).append(alert.person)
    explained = [
        _explained(outcome, number, watched, persons.get(outcome.passage, []), profile)
        for number, outcome in enumerate(ordered, start=1)
    ]
    (funnel,) = summary.funnel.values()
    return WhyReport(
        clip=clip,
        width=watcher.size[0],
        height=watcher.size[1],
        seconds=round((watcher.last_ns - watcher.began_ns) / 1e9, 2),
        permit=summary.permit,
        listed=summary.watchlist.people,
        threshold=profile.watchlist.threshold,
        smallest_face_px=None if watcher.smallest_face_px is None else round(watcher.smallest_face_px, 1),
        passages=explained,
        funnel=funnel,
        what_would_help=_what_would_help(explained),
        notes=_notes(watched, funnel, profile),
    )


def _explained(outcome: Outcome, number: int, watched: Watched, persons: Sequence[str], profile: Profile) -> Explained:
    seen = watched.watcher.sighted(outcome)
    began_ns = watched.watcher.began_ns
    lost = dict(outcome.probes_lost)
    facts = Explained(
        number=number,
        passage=outcome.passage,
        at_s=round(((outcome.began_stream_ns or began_ns) - began_ns) / 1e9, 2),
        seconds=round(outcome.seconds, 2),
        frames=outcome.frames,
        widest_px=round(seen.widest_px, 1) if seen is not None else 0.0,
        quality=round(seen.quality, 3) if seen is not None else 0.0,
        parts=seen.parts if seen is not None else {},
        gated=dict(outcome.refused),
        asked=outcome.asked,
        embedded=max(outcome.asked - sum(lost.values()), outcome.probes + outcome.outliers),
        pooled=outcome.probes,
        outliers=outcome.outliers,
        lost=lost,
        best_similarity=None if outcome.best_similarity is None else round(outcome.best_similarity, 3),
        verdict=outcome.verdict,
        reason=outcome.reason,
        ended=outcome.ended,
        persons=persons,
        short="",
        says="",
        helps="",
    )
    cause = _cause(facts, profile.watchlist.threshold)
    says = _filled(cause, facts, profile)
    return replace(facts, short=cause.short.format(), says=says, helps=cause.helps)


def _cause(facts: Explained, threshold: float) -> Cause:
    if facts.verdict is Verdict.ALERTED:
        return Cause(
            short="alerted",
            says="alerted: {best}, over the threshold of {threshold}, with {pooled} faces pooled; a proposal, which a "
            "person decides on",
            helps="",
        )
    if facts.verdict is Verdict.NOT_MATCHED:
        return cause_of_miss(threshold - (facts.best_similarity if facts.best_similarity is not None else -1.0))
    reason = facts.reason or "unknown"
    return cause_of_gate(reason.removeprefix(_GATED)) if reason.startswith(_GATED) else cause_of_loss(reason)


def _filled(cause: Cause, facts: Explained, profile: Profile) -> str:
    """Return the sentence of a cause with the facts in it, and what else got in the way behind it."""
    threshold, best = profile.watchlist.threshold, facts.best_similarity
    gate = (facts.reason or "").removeprefix(_GATED)
    says = cause.says.format(
        count=facts.gated.get(gate, facts.frames),
        frames=facts.frames,
        widest=f"{facts.widest_px:.0f}",
        limit=gate_limit(gate, profile.tracker.options),
        asked=facts.asked,
        pooled=facts.pooled,
        best="none" if best is None else f"{best:.2f}",
        short="" if best is None else f"{max(threshold - best, 0):.2f}",
        threshold=f"{threshold:.2f}",
    )
    others = [f"{cause_of_gate(one).short} in {count}" for one, count in facts.gated.items() if one != gate and count]
    if others:
        says += f"; {', '.join(others)} of {facts.frames} frames"
    if facts.outliers:
        says += f"; {facts.outliers} left out as unlike the rest"
    return f"{says[:1].upper()}{says[1:]}."


def _what_would_help(explained: Sequence[Explained]) -> list[Help]:
    """Count what would help over the passages that did not alert."""
    found: Counter[tuple[str, str]] = Counter((one.short, one.helps) for one in explained if one.helps)
    return [Help(passages=count, short=short, helps=helps) for (short, helps), count in found.most_common()]


def _notes(watched: Watched, funnel: CameraFunnel, profile: Profile) -> list[str]:
    summary, smallest = watched.summary, watched.watcher.smallest_face_px
    longest_side: Any = getattr(profile.detector.options, "longest_side", None)
    notes = []
    if smallest is not None:
        scaled = isinstance(longest_side, int) and longest_side < max(watched.watcher.size)
        more = f"; raise longest_side of the detector (now {longest_side}) to find smaller ones" if scaled else ""
        notes.append(f"Faces narrower than about {smallest:.0f} px are hardly ever found in this clip{more}.")
    if not summary.watchlist.people:
        notes.append("Nobody is listed, so nothing was searched: give --watchlist FOLDER to go on from there.")
    if funnel.faces.untracked:
        notes.append(
            f"{funnel.faces.untracked} of {funnel.faces.detected} faces found are of nobody who was followed: second "
            "looks at one face, things that are no face, or somebody seen once."
        )
    notes += [f"Photograph {photo} was rejected: {why}." for photo, why in summary.watchlist.rejected.items()]
    notes += [
        f"The stage {name} failed (restarts: {actor.restarts}): {actor.last_error}."
        for name, actor in summary.actors.items()
        if actor.restarts
    ]
    return notes
