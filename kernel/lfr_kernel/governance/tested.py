"""What an evaluation report says of one threshold, and what a strict pack refuses to run outside of it. Pure.

A report's curve has its figures at certain thresholds only. Of any other one it has none, so each rate is taken from
the nearest tested threshold at which it is no better: FPIR from below, FNIR from above.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from lfr_kernel.governance.record.figures import Rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfr_kernel.governance.basis import Coverage
    from lfr_kernel.governance.rules import Pack

__all__ = ["CitedReport", "Curve", "Figure", "FiguresAt", "figures_at", "outside_tested"]

TAIL = 0.025
"""On either side of a 95 % interval."""
Share = Annotated[float, Meta(ge=0, le=1)]


class Curve(Struct, frozen=True, kw_only=True):
    """FPIR and TPIR over thresholds, as a report.json has them. Whoever reaches a threshold alerts at it."""

    thresholds: tuple[float, ...]
    """Rising."""
    fpir: tuple[Share, ...]
    tpir: tuple[Share, ...]
    nonmated: Annotated[int, Meta(ge=1)]
    """People whom FPIR is of."""
    mated: Annotated[int, Meta(ge=1)]
    """People whom TPIR is of."""

    def __post_init__(self) -> None:
        lengths = {len(self.thresholds), len(self.fpir), len(self.tpir)}
        if len(lengths) > 1 or any(one >= other for one, other in pairwise(self.thresholds)):
            raise ValueError("expected a curve of rising thresholds, each with its FPIR and TPIR")


class CitedReport(Struct, frozen=True, kw_only=True):
    """A cited report, as far as the threshold rests on it."""

    report: str
    """SHA-256 of the report.json."""
    covers: Coverage
    curve: Curve | None
    """For as many looks as it covers, or else for all; None if it has neither."""
    looks: int | None
    """Faces of a passage that the curve is for; None: all there were."""
    listed: int | None
    """People on the list that the curve was measured with; None if the report does not say."""


class Figure(Struct, frozen=True, kw_only=True):
    """A rate at a threshold that was tested."""

    threshold: float
    rate: Rate


class FiguresAt(Struct, frozen=True, kw_only=True):
    """What a report says of a threshold: of passers-by who alert, and of people listed who do not."""

    threshold: float
    """That is asked about."""
    fpir: Figure | None
    """At it, or at the nearest tested one below, where it is no lower."""
    fnir: Figure | None
    """At it, or at the nearest tested one above, where it is no lower."""
    looks: int | None = None
    """Faces of a passage that they are for; None: all there were."""
    listed: int | None = None
    """People on the list that they were measured with."""
    note: str = ""
    """What the report does not say, in words; empty if it says all."""


def figures_at(tested: CitedReport | None, threshold: float) -> FiguresAt:
    """Return what a report says of a threshold.

    Args:
        tested: the cited report; None if none is cited.
        threshold: cosine similarity.
    """
    if tested is None:
        return FiguresAt(threshold=threshold, fpir=None, fnir=None, note="no evaluation report is cited")
    curve = tested.curve
    if curve is None or not curve.thresholds:
        note = "the cited report has no figures over thresholds"
        return FiguresAt(threshold=threshold, fpir=None, fnir=None, listed=tested.listed, note=note)
    below, above = bisect_right(curve.thresholds, threshold) - 1, bisect_left(curve.thresholds, threshold)
    fpir = fnir = None
    if below >= 0:
        alerted = round(curve.fpir[below] * curve.nonmated)
        fpir = Figure(threshold=curve.thresholds[below], rate=_rate(alerted, curve.nonmated))
    if above < len(curve.thresholds):
        missed = curve.mated - round(curve.tpir[above] * curve.mated)
        fnir = Figure(threshold=curve.thresholds[above], rate=_rate(missed, curve.mated))
    return FiguresAt(
        threshold=threshold,
        fpir=fpir,
        fnir=fnir,
        looks=tested.looks,
        listed=tested.listed,
        note=_note(curve, threshold, is_tested=below == above),
    )


def _note(curve: Curve, threshold: float, *, is_tested: bool) -> str:
    if is_tested:
        return ""
    span = f"it was tested from {curve.thresholds[0]:.6g} to {curve.thresholds[-1]:.6g}"
    if threshold < curve.thresholds[0]:
        return f"the report says nothing of FPIR at {threshold:.6g} or below: {span}"
    if threshold > curve.thresholds[-1]:
        return f"the report says nothing of FNIR at {threshold:.6g} or above: {span}"
    return (
        f"the report has no figure for {threshold:.6g} itself: FPIR is at the nearest tested threshold below, FNIR at "
        "the nearest above, and neither is better at this one"
    )


def _rate(events: int, n: int) -> Rate:
    """Return a rate with Clopper and Pearson's interval, as reports have it."""
    from scipy.special import betaincinv  # noqa: PLC0415  (takes a while to load, and only a change of threshold asks)

    def bound(tail: float) -> float:
        return float(betaincinv(events + 1, n - events, tail)) if events < n else 1.0

    return Rate(
        events=events,
        n=n,
        value=events / n,
        low=float(betaincinv(events, n - events + 1, TAIL)) if events else 0.0,
        high=bound(1 - TAIL),
        upper=bound(1 - 2 * TAIL),
    )


def outside_tested(
    covers: Coverage | None,
    pack: Pack,
    *,
    threshold: float,
    detector: str | None,
    embedder: str | None,
    listed: int | None,
) -> Iterator[str]:
    """Yield every way in which something leaves what was tested that a pack refuses; nothing if it demands no report.

    Args:
        covers: what the cited report covers; None if none is cited.
        pack: of the profile.
        threshold: in force, or to be.
        detector: SHA-256 of the detector's weights; None while it is not known, and then it is not judged.
        embedder: likewise.
        listed: people on the list; likewise.
    """
    if not pack.rules.require_report:
        return
    if covers is None:
        yield (
            f"pack {pack.name} asks for an evaluation report (require_report), and the profile cites none: see [basis]"
        )
        return
    for name, model, other in (("detector", detector, covers.detector), ("embedder", embedder, covers.embedder)):
        if model is not None and model != other:
            yield (
                f"the cited report tested {name} {other[:12]}…, and {model[:12]}… is in use: use the one that was "
                "tested, or cite an evaluation of this one"
            )
    if covers.threshold is None:
        yield (
            f"no threshold met FPIR {covers.target_fpir:.6g} in the cited report, so none may be used: cite an "
            "evaluation that recommends one"
        )
    elif threshold < covers.threshold:
        yield (
            f"expected a threshold of {covers.threshold!r} at least, the lowest that the cited report recommends for "
            f"FPIR {covers.target_fpir:.6g}, got {threshold!r}: raise it, or cite an evaluation that supports it"
        )
    most = pack.rules.max_list_over_tested * covers.listed
    if listed is not None and listed > most:
        yield (
            f"expected {most:.6g} people on the list at most, {pack.rules.max_list_over_tested:.6g} times the "
            f"{covers.listed} of the cited report (max_list_over_tested of pack {pack.name}), got {listed}: list "
            "fewer, or cite an evaluation of a longer list"
        )
