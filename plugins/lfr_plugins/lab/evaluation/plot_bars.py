"""Figures that count people: by score, by group, and where they are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lfr_plugins.lab.evaluation.drawing import (
    ACCENT,
    DIM,
    GRID,
    INK,
    OTHER,
    SMALL,
    WIDTH,
    axes,
    canvas,
    per_cent_ticks,
    said,
)
from lfr_plugins.lab.evaluation.wording import faces, per_cent, similarity
from lfr_plugins.lab.why_reasons import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lfr_plugins.lab.evaluation.report import GroupFigures, Report
    from lfr_plugins.lab.evaluation.statistics import Rate

__all__ = ["funnel", "groups", "scores"]


def scores(report: Report) -> Figure | None:
    """Draw people by score, mated above non-mated: counts of so different sizes are not laid over each other."""
    found = report.histogram
    mated, nonmated = sum(found.mated), sum(found.nonmated)
    if not mated and not nonmated:
        return None
    figure, _ = canvas(
        300,
        f"People by similarity: {faces(found.looks)} (descriptive)",
        f"{mated + found.unsearched_mated} mated people by the similarity to the right listed person, "
        f"{nonmated + found.unsearched_nonmated} non-mated ones by the highest to anybody listed. Cosines.",
    )
    edges = np.array(found.edges)
    upper, lower = axes(figure, 44, 182, 420, 94), axes(figure, 44, 34, 420, 94)
    for one, counts, colour, name, absent in (
        (upper, found.mated, ACCENT, "mated people", f"{found.unsearched_mated} never searched, or not listed"),
        (
            lower, found.nonmated, OTHER, "non-mated people",
            f"{found.unsearched_nonmated} never searched, or below {found.edges[0]:g}",
        ),
    ):  # fmt: skip
        one.stairs(counts, edges, fill=True, color=colour)
        one.set_xlim(edges[0], edges[-1])
        one.set_ylim(0, max(*counts, 1) * 1.08)
        one.locator_params(axis="y", nbins=4, integer=True)
        one.xaxis.grid(visible=False)
        one.set_title(f"{sum(counts)} {name}; besides, {absent}", loc="left", color=colour)
    upper.xaxis.set_tick_params(labelbottom=False)
    lower.set_xlabel("cosine similarity")
    threshold = report.recommendation.threshold
    if threshold is not None:
        for one in (upper, lower):
            one.axvline(threshold, color=INK, linewidth=1)
        lower.annotate(
            f"recommended {similarity(threshold)}", (threshold, lower.get_ylim()[1]), (4, -4),
            textcoords="offset points", va="top", fontsize=SMALL, color=INK,
        )  # fmt: skip
    return figure


_ROW = 22.0


def groups(figures: GroupFigures) -> Figure | None:
    """Draw FNIR and FPIR of each group with 95 % intervals; no event is an arrow from the bound downwards."""
    names = sorted({*figures.missed, *figures.alerted})
    if not names:
        return None
    mated = sum(rate.n for rate in figures.missed.values())
    nonmated = sum(rate.n for rate in figures.alerted.values())
    room = _ROW * len(names)
    figure, _ = canvas(
        room + 48,
        f"Rates by {said(figures.group, 40)}, at a threshold of {similarity(figures.threshold)}",
        f"{mated} mated and {nonmated} non-mated people, {faces(figures.looks)}; "
        f"groups are known: {said(figures.known, 90)}. "
        "Bars: 95 % intervals; an arrow: no event, the rate is at most where it starts.",
    )
    for left, rates, colour, title in (
        (112, figures.missed, ACCENT, "FNIR: mated people missed"),
        (306, figures.alerted, OTHER, "FPIR: non-mated alerted"),
    ):
        one = axes(figure, left, 24, 112, room)
        _rows(one, names, rates, colour)
        one.set_title(title, loc="left", color=colour)
        if left == 112:  # noqa: PLR2004  (the first)
            one.set_yticks(range(len(names)), [said(name) for name in names], color=INK)
        else:
            one.set_yticks([])
    return figure


def _rows(one: Axes, names: Sequence[str], rates: Mapping[str, Rate], colour: str) -> None:
    most = max((rate.high or 0.0 for rate in rates.values()), default=0.0) or 1.0
    for place, name in enumerate(names):
        rate = rates.get(name)
        if rate is None or rate.value is None or rate.low is None or rate.high is None:
            words = "nobody"
        elif rate.events:
            words = f"{rate.events:g} of {rate.n}"
            one.plot((rate.low, rate.high), (place, place), color=colour, linewidth=1.2)
            one.plot(rate.value, place, "o", color=colour, markersize=5.5)
        else:
            words = f"0 of {rate.n}"
            one.plot((0, rate.high), (place, place), color=colour, linewidth=1.2)
            one.plot(rate.high, place, "<", color=colour, markerfacecolor="none", markersize=6)
        one.annotate(
            words, (1, place), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
            fontsize=SMALL, color=INK,
        )  # fmt: skip
    one.set_ylim(len(names) - 0.5, -0.5)
    one.set_xlim(0, most * 1.04)
    ticks = _ticks(most)
    per_cent_ticks(one, "x", ticks, ticks)
    one.yaxis.grid(visible=False)


def _ticks(most: float) -> list[float]:
    """Return 0 and one or two round shares up to the highest."""
    step = 10.0 ** np.floor(np.log10(most))
    step = next(float(part * step) for part in (5, 2, 1, 0.5) if part * step <= most * 1.001)
    return [round(number * step, 12) for number in range(int(most * 1.001 / step) + 1)]


def funnel(report: Report) -> Figure | None:
    """Draw where pictures are lost, and passages of which nothing was searched."""
    found, people = report.funnel, report.people
    if not found.pictures:
        return None
    passages = people.passages_mated + people.passages_nonmated
    # name, count, of how many, colour; None leaves room
    rows: list[tuple[str, int, int, str] | None] = [
        ("pictures of people who pass", found.pictures, found.pictures, ACCENT),
        *((f"lost: {said(plain(reason))}", count, found.pictures, OTHER) for reason, count in _sorted(found.lost)),
        ("used", found.used, found.pictures, ACCENT),
    ]
    if passages:
        never = _sorted(found.never_searched) or [("", 0)]
        rows += [None, ("passages", passages, passages, ACCENT)]
        rows += [
            (f"never searched: {said(plain(reason))}".rstrip(": "), count, passages, OTHER) for reason, count in never
        ]
    height = _STEP * len(rows)
    figure, _ = canvas(
        height,
        "Where people are lost, before any threshold",
        f"{people.mated} mated and {people.nonmated} non-mated people in {passages} passages. "
        "Who is never searched stays in every denominator.",
    )
    one = axes(figure, 0, 0, WIDTH, height)
    one.set_axis_off()
    one.set_xlim(0, WIDTH)
    one.set_ylim(height, 0)
    for number, row in enumerate(rows):
        if row is not None:
            _step(one, _STEP * (number + 0.5), row)
    return figure


def _sorted(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


_STEP = 16.0


def _step(one: Axes, place: float, row: tuple[str, int, int, str]) -> None:
    name, count, of, colour = row
    start, room, size = 180.0, 190.0, SMALL + 0.5
    one.text(start - 8, place, name, ha="right", va="center", fontsize=size)
    one.barh(place, room, 9, start, color=GRID)
    if count:
        one.barh(place, max(room * count / of, 0.75), 9, start, color=colour)
    share = "" if count == of else f" ({per_cent(count / of)})"
    one.text(start + room + 8, place, f"{count:,}{share}", va="center", fontsize=size, color=INK if count else DIM)
