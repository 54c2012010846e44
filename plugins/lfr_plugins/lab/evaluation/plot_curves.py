"""Figures of rates over something: the DET curve, rates over thresholds, FPIR over the length of the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from lfr_plugins.lab.evaluation.drawing import (
    ACCENT,
    DIM,
    INK,
    OTHER,
    SMALL,
    axes,
    canvas,
    per_cent_ticks,
    spread,
)
from lfr_plugins.lab.evaluation.statistics import MOST_BEYOND, interval
from lfr_plugins.lab.evaluation.wording import faces, per_cent, similarity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from lfr_plugins.lab.evaluation.report import Descriptive, Point, Report
    from lfr_plugins.lab.evaluation.statistics import ListSize

__all__ = ["det", "list_size", "thresholds"]

_FEW = 5
"""A rate of fewer people is drawn as one that hardly says anything."""
_SHARES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97, 0.99, 0.997)
_MOST_FPIR = 0.5


def _deviate(share: Any) -> NDArray[np.float64]:
    return np.asarray(stats.norm.ppf(share), np.float64)


def _looks(one: Descriptive) -> str:
    if one.looks is None:
        return "all faces"
    return "first face" if one.looks == 1 else f"first {one.looks}"


def det(report: Report) -> Figure | None:
    """Draw FNIR over FPIR, both as normal deviates (ISO/IEC 19795-1): straight lines for scores of normal shape."""
    curves = [one for one in report.descriptive if any(0 < fpir <= _MOST_FPIR for fpir in one.curve.fpir)]
    if not curves:
        return None
    people = max(one.nonmated for one in curves)
    floor = 0.5 / max(one.mated for one in curves)
    left, right = float(_deviate(0.7 / people)), float(_deviate(_MOST_FPIR))
    figure, height = canvas(
        300,
        "Missed people over falsely alerted ones (DET, descriptive)",
        f"{curves[0].mated} mated and {curves[0].nonmated} non-mated people; in brackets, those of each curve. "
        "Both axes: normal deviates, as in ISO/IEC 19795-1. Dots: the targets of the tables. "
        f"Dotted, and shaded for {_looks(curves[0])}: fewer than {_FEW} non-mated people alert.",
    )
    one = axes(figure, 44, 34, 312, height - 52)
    drawn = [_det_curve(curve, floor, is_first=curve is curves[0], plane=one) for curve in curves]
    highest = max(float(fnir.max()) for _, fnir in drawn)
    lowest = min(float(fnir[fpir <= _MOST_FPIR].min()) for fpir, fnir in drawn)
    bottom = float(_deviate(max(lowest * 0.6, floor)))
    top = float(_deviate(min(highest * 1.02 + 0.02, 0.9995)))
    one.set_xlim(left, right)
    one.set_ylim(bottom, top)
    _share_ticks(one, "x", left, right)
    _share_ticks(one, "y", bottom, top)
    few = float(_deviate(min((_FEW - 0.5) / curves[0].nonmated, _MOST_FPIR)))
    one.axvspan(left, few, color=DIM, alpha=0.1, linewidth=0)
    one.text(left, bottom, f" fewer than {_FEW} people", color=DIM, fontsize=SMALL, va="bottom")
    ends = [float(_deviate(fnir[fpir <= _MOST_FPIR][-1])) for fpir, fnir in drawn]
    gap = 11 / (height - 52) * (top - bottom)
    for curve, end, place in zip(curves, ends, spread(ends, gap, bottom, top), strict=True):
        is_first = curve is curves[0]
        one.annotate(
            f"{_looks(curve)} ({curve.mated}; {curve.nonmated})",
            xy=(right, end), xytext=(right + 0.05 * (right - left), place), annotation_clip=False, va="center",
            fontsize=SMALL, color=ACCENT if is_first else INK, fontweight="bold" if is_first else "normal",
            arrowprops={"arrowstyle": "-", "color": DIM, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 1},
        )  # fmt: skip
    one.set_xlabel("FPIR: non-mated people with an alert")
    one.set_title("FNIR: mated people missed", loc="left")
    return figure


def _det_curve(
    curve: Descriptive, floor: float, *, is_first: bool, plane: Axes
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw one curve; returns its FPIR and FNIR, FPIR rising. No miss at all is drawn at the floor."""
    targets = [
        (point.target, point.threshold.fpir.value or 0.0, 1 - point.tpir.value)
        for point in curve.points
        if point.tpir is not None and point.tpir.value is not None and point.threshold.fpir is not None
    ]
    # A target's point lies on the curve, which is thinned and so may not have it.
    both = [*zip(curve.curve.fpir, (1 - tpir for tpir in curve.curve.tpir), strict=True), *(one[1:] for one in targets)]
    both = sorted({pair for pair in both if 0 < pair[0] < 1}, key=lambda pair: (pair[0], -pair[1]))
    fpir = np.array([pair[0] for pair in both])
    fnir = np.clip([pair[1] for pair in both], floor, 1 - floor)
    colour, width, order = (ACCENT, 2.2, 3) if is_first else (DIM, 1.0, 2)
    seam = int((fpir * curve.nonmated < _FEW - 0.5).sum())
    for part, line in ((slice(0, seam + 1), ":"), (slice(seam, None), "-")):
        plane.plot(_deviate(fpir[part]), _deviate(fnir[part]), line, color=colour, linewidth=width, zorder=order)
    for target, false, missed in targets:
        if 0 < false < 1:
            at = (float(_deviate(false)), float(_deviate(np.clip(missed, floor, 1 - floor))))
            plane.plot(*at, "o", color=colour, markersize=5.5 if is_first else 3, zorder=order + 1)
            if is_first:
                plane.annotate(per_cent(target), at, (4, 5), textcoords="offset points", fontsize=SMALL, color=ACCENT)
    return fpir, fnir


def _share_ticks(one: Axes, which: str, low: float, high: float) -> None:
    shown = [share for share in _SHARES if low < float(_deviate(share)) <= high]
    per_cent_ticks(one, which, [float(_deviate(share)) for share in shown], shown)


def thresholds(report: Report) -> Figure | None:
    """Draw TPIR and FPIR over the threshold with 95 % intervals, for the looks that the recommendation is for."""
    advice = report.recommendation
    chosen = next((one for one in report.descriptive if one.looks == advice.looks), None)
    if chosen is None:
        return None
    # The last threshold is above every score; between it and the one before, nothing is known of TPIR.
    kept = [place for place, fpir in enumerate(chosen.curve.fpir) if fpir > 0]
    if len(kept) < 2:  # noqa: PLR2004  (a line needs two points)
        return None
    at = np.array(chosen.curve.thresholds)[kept]
    fpir, tpir = np.array(chosen.curve.fpir)[kept], np.array(chosen.curve.tpir)[kept]
    bound = interval(0, chosen.nonmated)[1]
    figure, _ = canvas(
        334,
        f"TPIR and FPIR over the threshold: {faces(chosen.looks)} (descriptive)",
        f"{chosen.mated} mated and {chosen.nonmated} non-mated people. Bands: 95 % intervals of Clopper and Pearson at "
        f"each threshold by itself. Triangle: above the highest score 0 of {chosen.nonmated} alert, the bound is "
        f"{per_cent(bound)}.",
    )
    upper, lower = axes(figure, 44, 206, 420, 106), axes(figure, 44, 34, 420, 136)
    left, right = float(at[0]), float(at[-1]) + 0.06 * float(at[-1] - at[0])
    for one, rates, people, colour in ((upper, tpir, chosen.mated, ACCENT), (lower, fpir, chosen.nonmated, OTHER)):
        bounds = np.array([interval(round(rate * people), people) for rate in rates.tolist()])
        one.fill_between(at, np.maximum(bounds[:, 0], 1e-9), bounds[:, 1], color=colour, alpha=0.2, linewidth=0)
        one.plot(at, rates, color=colour)
        one.set_xlim(left, right)
    upper.set_ylim(0, 1)
    per_cent_ticks(upper, "y", (0, 0.5, 1), (0, 0.5, 1))
    upper.xaxis.set_tick_params(labelbottom=False)
    upper.set_title("TPIR: mated people found", loc="left", color=ACCENT)
    _log_shares(lower, 0.4 / chosen.nonmated, 1)
    lower.set_title("FPIR: non-mated people with an alert", loc="left", color=OTHER)
    lower.set_xlabel("threshold, cosine similarity")
    lower.plot((float(at[-1]), right), (bound, bound), color=OTHER, linewidth=1)
    lower.plot((float(at[-1]) + right) / 2, bound, "v", color=OTHER, markersize=4)
    point = min(chosen.points, key=lambda one: abs(np.log(one.target / advice.target)), default=None)
    _mark(upper, lower, advice.threshold, point)
    return figure


def _mark(upper: Axes, lower: Axes, recommended: float | None, point: Point | None) -> None:
    """Mark the recommended threshold and the descriptive one, labelled below the curve of TPIR, where there is room."""
    marks: list[tuple[float, str, str, str]] = []
    if recommended is not None:
        marks.append((recommended, f"recommended {similarity(recommended)}", INK, "-"))
    if point is not None and (value := point.threshold.threshold) is not None:
        marks.append((value, f"descriptive, FPIR {per_cent(point.target)}: {similarity(value)}", DIM, "--"))
    low, high = lower.get_xlim()
    # All labels stand on the side with more room; a line ends above the labels that reach across it.
    is_left = sum(value for value, *_ in marks) > len(marks) * float(low + high) / 2
    for number, (value, text, colour, line) in enumerate(sorted(marks, reverse=is_left)):
        lower.axvline(value, color=colour, linewidth=1, linestyle=line)
        upper.axvline(value, 0.12 * number, color=colour, linewidth=1, linestyle=line)
        upper.annotate(
            text, (value, 0.0), (-4 if is_left else 4, 4 + 12.5 * number), textcoords="offset points",
            ha="right" if is_left else "left", fontsize=SMALL, color=colour,
        )  # fmt: skip


def _log_shares(one: Axes, low: float, high: float) -> None:
    one.set_yscale("log")
    one.set_ylim(low, high)
    shown = [10.0**power for power in range(-7, 1) if low <= 10.0**power <= high]
    per_cent_ticks(one, "y", shown, shown)


def list_size(report: Report) -> Figure | None:
    """Draw FPIR over the length of the list, both logarithmic, with 95 % intervals."""
    growth = report.list_growth
    if growth is None or not growth.sizes:
        return None
    sizes = growth.sizes
    people = sizes[0].fpir.n
    tested = report.recommendation.tested
    is_advice = growth.threshold == report.recommendation.threshold
    power = "" if growth.exponent is None else f" FPIR grew as the list to the power of {growth.exponent:.2f}."
    figure, height = canvas(
        260,
        f"FPIR over the length of the list: {faces(growth.looks)}",
        f"{people} non-mated people, {tested} listed; threshold {similarity(growth.threshold)} "
        f"({'the recommended one' if is_advice else 'descriptive: read from the same people'}).{power} Bars: 95 % "
        "intervals; a triangle: no event, up to there.",
    )
    one = axes(figure, 44, 34, 420, height - 52)
    one.set_xscale("log")
    shown = [one.fpir.value or one.fpir.high or 1.0 for one in sizes]
    least = min(max(one.fpir.low or 0, value / 10) for one, value in zip(sizes, shown, strict=True))
    _log_shares(one, least / 1.2, min(max(one.fpir.high or 0 for one in sizes) * 1.6, 1.2))
    one.set_xlim(min(one.listed for one in sizes) / 1.4, max(one.listed for one in sizes) * 1.4)
    measured = [size for size in sizes if size.how != "extrapolated"]
    beyond = [size for size in sizes if size.how == "extrapolated"]
    for part, colour, line in ((measured[-1:] + beyond, DIM, "--"), (measured, ACCENT, "-")):
        drawn = [size for size in part if size.fpir.value]
        one.plot([size.listed for size in drawn], [size.fpir.value or 0.0 for size in drawn], line, color=colour)
    for size in sizes:
        is_filled = size.how != "extrapolated"
        _bar(one, size, ACCENT if is_filled else DIM, is_filled=is_filled)
    one.axvline(MOST_BEYOND * tested, color=INK, linewidth=1)
    for text, corner, offset, up, colour in (
        ("measured, and over shorter\nlists of the same people", (0, 1), (5, -4), "top", ACCENT),
        (
            f"beyond 1.1 times {tested}: extrapolated,\nand nothing is recommended",
            (1, 0),
            (-2, 5),
            "bottom",
            DIM,
        ),
    ):
        one.annotate(
            text, corner, offset, xycoords="axes fraction", textcoords="offset points", va=up,
            ha="right" if corner[0] else "left", fontsize=SMALL, color=colour,
        )  # fmt: skip
    one.set_xlabel("people listed")
    places = [10**power for power in range(7) if one.get_xlim()[0] <= 10**power <= one.get_xlim()[1]]
    one.xaxis.set_ticks(places, [f"{place:,}" for place in places])
    one.xaxis.set_ticks([], minor=True)
    one.set_title("FPIR: non-mated people with an alert", loc="left")
    return figure


def _bar(one: Axes, size: ListSize, colour: str, *, is_filled: bool) -> None:
    rate = size.fpir
    if rate.high is None:
        return
    bottom = rate.low if rate.value and rate.low else one.get_ylim()[0]
    one.plot((size.listed, size.listed), (bottom, rate.high), color=colour, linewidth=1)
    face = colour if is_filled else "none"
    marker = "o" if rate.value else "v"
    one.plot(size.listed, rate.value or rate.high, marker, color=colour, markerfacecolor=face, markersize=5)
