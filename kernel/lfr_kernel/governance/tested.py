"""What an evaluation report says of one threshold, and what a strict pack refuses to run outside of it. Pure.

A report has its figures at certain thresholds only: where its curve has a point, and at the edges of its histogram. Of
any other one it has none, so each rate is taken from the nearest tested threshold at which it is no better: FPIR from
below, FNIR from above.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from lfr_kernel.governance.record.figures import Rate  # noqa: TC001  (msgspec resolves the annotations)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lfr_kernel.governance.basis import Coverage
    from lfr_kernel.governance.rules import Pack

__all__ = ["CitedReport", "Curve", "Figure", "FiguresAt", "Histogram", "figures_at", "outside_tested"]

Count = Annotated[int, Meta(ge=0)]
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


class Histogram(Struct, frozen=True, kw_only=True):
    """People by score, as a report.json has them."""

    edges: tuple[float, ...]
    """Rising; the first bin holds all that is lower, too, and the last one whoever reaches its upper edge."""
    mated: tuple[Count, ...]
    nonmated: tuple[Count, ...]
    unsearched_mated: Count
    unsearched_nonmated: Count
    looks: int | None = None

    def __post_init__(self) -> None:
        if not len(self.edges) == len(self.mated) + 1 == len(self.nonmated) + 1:
            raise ValueError("expected a histogram with one edge more than it has bins")

    @property
    def curve(self) -> Curve | None:
        """The same as a curve, at the edges between bins; None where nobody took part."""
        mated, nonmated = (
            sum(bins) + unsearched
            for bins, unsearched in (
                (self.mated, self.unsearched_mated),
                (self.nonmated, self.unsearched_nonmated),
            )
        )
        if not mated or not nonmated:
            return None
        inner = range(1, len(self.mated))
        return Curve(
            thresholds=self.edges[1:-1],
            fpir=tuple(sum(self.nonmated[place:]) / nonmated for place in inner),
            tpir=tuple(sum(self.mated[place:]) / mated for place in inner),
            nonmated=nonmated,
            mated=mated,
        )


class CitedReport(Struct, frozen=True, kw_only=True):
    """A cited report, as far as the threshold rests on it."""

    report: str
    """SHA-256 of the report.json."""
    covers: Coverage
    curves: tuple[Curve, ...]
    """For as many looks as it covers, or else for all; empty if it has neither."""
    looks: int | None
    """Faces of a passage that they are for; None: all there were."""
    listed: int | None
    """People on the list that they were measured with; None if the report does not say."""


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
    if not tested.curves:
        note = "the cited report has no figures over thresholds"
        return FiguresAt(threshold=threshold, fpir=None, fnir=None, listed=tested.listed, note=note)
    fpir = max(_below(tested.curves, threshold), key=lambda one: one.threshold, default=None)
    fnir = min(_above(tested.curves, threshold), key=lambda one: one.threshold, default=None)
    return FiguresAt(
        threshold=threshold,
        fpir=fpir,
        fnir=fnir,
        looks=tested.looks,
        listed=tested.listed,
        note=_note(threshold, fpir, fnir),
    )


def _rate(events: int, n: int) -> Rate:
    from lfr_kernel.governance.record.statistics import rate  # noqa: PLC0415  (needs numpy, which few commands do)

    return rate(events, n)


def _below(curves: Iterable[Curve], threshold: float) -> Iterator[Figure]:
    """Yield FPIR at the nearest threshold of each curve that is no higher."""
    for curve in curves:
        if place := bisect_right(curve.thresholds, threshold):
            alerted = round(curve.fpir[place - 1] * curve.nonmated)
            yield Figure(threshold=curve.thresholds[place - 1], rate=_rate(alerted, curve.nonmated))


def _above(curves: Iterable[Curve], threshold: float) -> Iterator[Figure]:
    """Yield FNIR at the nearest threshold of each curve that is no lower."""
    for curve in curves:
        place = bisect_left(curve.thresholds, threshold)
        if place < len(curve.thresholds):
            missed = curve.mated - round(curve.tpir[place] * curve.mated)
            yield Figure(threshold=curve.thresholds[place], rate=_rate(missed, curve.mated))


def _note(threshold: float, fpir: Figure | None, fnir: Figure | None) -> str:
    if fpir is None:
        return f"the report says nothing of FPIR at {threshold:.6g} or below"
    if fnir is None:
        return f"the report says nothing of FNIR at {threshold:.6g} or above"
    if fpir.threshold == fnir.threshold:
        return ""
    return (
        f"the report has no figure for {threshold:.6g} itself: FPIR is at the nearest tested threshold below, FNIR at "
        "the nearest above, and neither is better at this one"
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
