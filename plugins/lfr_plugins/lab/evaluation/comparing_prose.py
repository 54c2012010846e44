"""In words: one configuration against another on the same people, and what each choice is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfr_plugins.lab.evaluation.wording import plain, points, table, target_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfr_plugins.lab.evaluation.report import Report
    from lfr_plugins.lab.evaluation.statistics import Difference

__all__ = ["choices", "comparison"]


def _difference(one: Difference) -> tuple[str, str, str, str, str]:
    if one.difference is None or one.low is None or one.high is None or one.lower is None:
        return target_text(one.target), "-", "-", plain(one.note or ""), ""
    verdict = "yes" if one.lower > 0 else "no"
    return (
        target_text(one.target),
        f"{one.first:.4f}",
        f"{one.second:.4f}",
        f"{points(one.difference)} ({points(one.low)} to {points(one.high)})",
        f"{points(one.lower)}: {verdict}",
    )


_DIFFERENCE = ("FPIR", "TPIR there", "TPIR here", "difference in points, 95 %", "lower 95 % bound: above zero?")


def comparison(report: Report) -> Iterator[str]:
    """Yield the section that compares with another evaluation; nothing where there is none."""
    found = report.comparison
    if found is None:
        return
    yield "## Against another evaluation of the same people"
    yield ""
    yield f"The other report: `{found.other_report}`. Paired by person, thresholds fitted anew in each replicate."
    yield ""
    if found.differing:
        rows = ((f"`{name}`", plain(old), plain(new)) for name, (old, new) in sorted(found.differing.items()))
        yield from table(("what differs", "there", "here"), rows)
    for name, differences in (("All faces", found.all_faces), ("First face only", found.first_face)):
        yield f"### {name}"
        yield ""
        yield from table(_DIFFERENCE, map(_difference, differences))


def choices(report: Report) -> Iterator[str]:
    """Yield the section of other ways to use the same faces; nothing where none was tried."""
    if not report.choices:
        return
    yield "## What each choice is worth"
    yield ""
    yield (
        f"The same faces used otherwise; descriptive TPIR at FPIR {target_text(report.choices[0].target)}. The last "
        "columns: how much better this configuration is, all faces, paired by person."
    )
    yield ""
    rows = []
    for one in report.choices:
        gain = one.difference
        told = gain.difference is not None and gain.low is not None and gain.high is not None
        rows.append(
            (
                one.choice,
                one.instead,
                *("-" if tpir is None else f"{tpir:.4f}" for tpir in (one.all_faces, one.first_face)),
                f"{points(gain.difference or 0)} ({points(gain.low or 0)} to {points(gain.high or 0)})"
                if told
                else "-",
            )
        )
    yield from table(("choice", "instead", "all faces", "first face", "this one better by, points"), rows)
