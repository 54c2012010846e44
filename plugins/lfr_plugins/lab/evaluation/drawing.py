"""How figures look, and how they become SVG: the same bytes for the same data, on any machine, light and dark.

Text stays text, in the reader's own font: smaller than outlines, found by a search, and read aloud. Each colour has a
counterpart that the SVG's own style sheet puts in its place where the reader prefers dark pages; a viewer without style
sheets shows the light ones. Blue and orange are told apart by colour-blind people too; nothing rests on colour alone.
"""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from lfr_kernel.api import printable
from lfr_plugins.lab.evaluation.wording import per_cent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes

__all__ = [
    "ACCENT", "DIM", "GRID", "INK", "OTHER", "SMALL", "WIDTH",
    "axes", "canvas", "per_cent_ticks", "said", "spread", "style", "svg",
]  # fmt: skip

INK, DIM, GRID = "#1d2127", "#616a76", "#d5dae0"
ACCENT = "#1f6fb2"
"""Mated people, and what a figure is about."""
OTHER = "#b35900"
"""Non-mated people."""
_DARK = {INK: "#e6e8eb", DIM: "#98a2af", GRID: "#3a424c", ACCENT: "#6cb6ff", OTHER: "#ffab4d"}
WIDTH = 480.0
"""Points, of every figure."""
SMALL = 8.5
"""Points, of text beside the data."""
_TOP = 14.0
_LINE = 12.0
_COLUMNS = 98
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_RC: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": DIM,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.8,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9.0,
    "figure.facecolor": "none",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],  # matplotlib brings it; it only measures, readers have their own
    "font.size": 9.0,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "lfr-kernel",
    "text.color": INK,
    "text.parse_math": False,  # names of groups may hold a dollar sign
    "xtick.color": DIM,
    "xtick.major.size": 0.0,
    "xtick.minor.size": 0.0,
    "ytick.color": DIM,
    "ytick.major.size": 0.0,
    "ytick.minor.size": 0.0,
}


@contextmanager
def style() -> Iterator[None]:
    """Set how everything inside is drawn, whatever the user's own settings of matplotlib are."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # the reader's font may have it
        yield


def said(text: str, most: int = 22) -> str:
    """Return somebody else's word for a figure: on one line, not too long, and without what XML cannot hold."""
    return textwrap.shorten(printable(text), most, placeholder=" …") if " " in text else _cut(printable(text), most)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def canvas(height: float, title: str, *lines: str) -> tuple[Figure, float]:
    """Return an empty figure under a title, and how much room is left below it.

    Args:
        height: of what is below the title, points.
        title: one line.
        lines: what the reader must know, smaller; each is wrapped.
    """
    wrapped = [part for line in lines for part in textwrap.wrap(line, _COLUMNS)]
    total = height + _TOP + _LINE * len(wrapped) + 10
    figure = Figure(figsize=(WIDTH / 72, total / 72), dpi=72)
    FigureCanvasSVG(figure)
    figure.text(0, 1 - 11 / total, title, fontsize=11, fontweight="bold", va="baseline")
    for number, line in enumerate(wrapped):
        baseline = _TOP + _LINE * (number + 1)
        figure.text(0, 1 - baseline / total, line, color=DIM, fontsize=SMALL, va="baseline")
    return figure, height


def axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Return axes at a place of a figure, all in points from its lower left corner."""
    total = figure.get_figheight() * 72
    return figure.add_axes((left / WIDTH, bottom / total, width / WIDTH, height / total))


def per_cent_ticks(one: Axes, which: str, places: Sequence[float], values: Sequence[float]) -> None:
    """Label an axis (`x` or `y`) with shares of people."""
    axis = one.xaxis if which == "x" else one.yaxis
    axis.set_ticks(list(places), [per_cent(value).replace(".0 ", " ") for value in values])
    axis.set_ticks([], minor=True)


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return places moved apart, in the same order, so that labels at them do not overlap.

    Args:
        places: where the labels would stand.
        gap: least distance between two.
        low: of the room for them.
        high: likewise.
    """
    order = sorted(range(len(places)), key=lambda number: places[number])
    found = dict.fromkeys(order, low)
    last = low - gap
    for number in order:
        last = found[number] = max(places[number], last + gap)
    last = high + gap
    for number in reversed(order):
        last = found[number] = min(found[number], last - gap)
    return [found[number] for number in range(len(places))]


def svg(figure: Figure, name: str) -> str:
    """Return a figure as SVG that can stand in a file or in a page.

    Ids are made unique by the figure's name, for several figures on one page.
    """
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = out.getvalue()
    text = re.sub(r"<!--.*?-->\n?", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = text.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "").replace("xlink:href=", "href=")
    text = re.sub(r"; font-family: 'DejaVu Sans', sans-serif|font-family: 'DejaVu Sans', sans-serif; ", "", text)
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", text)
    text = re.sub(r'(url\(|href=")#', rf"\1#{name}-", text)
    head = f'<svg class="plot" font-family="{_FONT}" '
    return re.sub(r"<style [^>]*>.*?</style>", f"<style>{_STYLE}</style>", head + text[5:], count=1, flags=re.DOTALL)


# No selector names an ancestor: markers are drawn by <use>, and what that shows has none.
_TURNED = "".join(
    f' [style*="{what}: {light}"] {{ {what}: {dark} !important }}'
    for light, dark in _DARK.items()
    for what in ("fill", "stroke")
)
_STYLE = f"path {{ stroke-linejoin: round; stroke-linecap: butt }} @media (prefers-color-scheme: dark) {{{_TURNED} }}"
