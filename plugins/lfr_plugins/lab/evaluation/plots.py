"""The figures of a report, as SVG. What a figure shows is in `plot_curves` and `plot_bars`, how in `drawing`.

matplotlib takes half a second to import, and so is imported when something is drawn.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lfr_plugins.lab.evaluation.report import Report

__all__ = ["group_plot", "plots"]

_PLAIN = re.compile(r"[a-z0-9_-]{1,40}")


def group_plot(group: str) -> str:
    """Return the name of the figure of a kind of group, fit for a file name whatever a protocol calls its column."""
    if _PLAIN.fullmatch(group):
        return f"groups_{group}"
    plain = re.sub(r"[^a-z0-9]+", "-", group.lower())[:24].strip("-")
    return f"groups_{plain}-{hashlib.sha256(group.encode()).hexdigest()[:8]}"


def plots(report: Report) -> dict[str, str]:
    """Return the figures that the report has data for, SVG by name. The same report gives the same text.

    `det`, `thresholds`, `scores`, `list_size`, `groups_…` (see `group_plot`) and `funnel`.
    """
    from lfr_plugins.lab.evaluation import drawing, plot_bars, plot_curves  # noqa: PLC0415

    with drawing.style():
        drawn = {
            "det": plot_curves.det(report),
            "thresholds": plot_curves.thresholds(report),
            "scores": plot_bars.scores(report),
            "list_size": plot_curves.list_size(report),
            **{group_plot(one.group): plot_bars.groups(one) for one in report.groups},
            "funnel": plot_bars.funnel(report),
        }
        return {name: drawing.svg(figure, name) for name, figure in drawn.items() if figure is not None}
