"""How figures are written: rates with their interval and n, never a similarity as a percentage."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lfr_kernel.api import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lfr_plugins.lab.evaluation.statistics import ListRate, Rate

__all__ = ["faces", "per_cent", "plain", "points", "rate_text", "similarity", "table", "target_text"]

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&])")


def plain(text: str) -> str:
    """Return somebody else's text for Markdown: on one line, without any meaning to it, nor to a terminal."""
    return _SPECIAL.sub(r"\\\1", printable(text))


def per_cent(share: float) -> str:
    """Return a share of people in per cent, with three significant digits where that is less than ten."""
    value = 100 * share
    return f"{value:.1f} %" if value >= 10 or not value else f"{value:.3g} %"  # noqa: PLR2004  (99.5, 9.95, 0.995)


def points(difference: float) -> str:
    """Return a difference of two shares in percentage points, with its sign."""
    return f"{100 * difference:+.2f}"


def rate_text(rate: Rate | ListRate | None) -> str:
    """Return a rate with its interval and n; in words where it cannot be measured."""
    if rate is None:
        return "-"
    if rate.value is None or rate.low is None or rate.high is None:
        return rate.note or "not measurable"
    events = f"{rate.events:.0f}" if float(rate.events).is_integer() else f"{rate.events:.1f}"
    if not rate.events and rate.upper is not None:
        return f"0 of {rate.n} (at most {per_cent(rate.upper)})"
    return f"{per_cent(rate.value)} ({per_cent(rate.low)} to {per_cent(rate.high)}; {events} of {rate.n})"


def similarity(value: float | None) -> str:
    """Return a threshold or a similarity: a cosine with three decimals."""
    return "-" if value is None else f"{value:.3f}"


def target_text(target: float) -> str:
    """Return an FPIR that was asked for."""
    return per_cent(target)


def faces(looks: int | None) -> str:
    """Return how many faces of a passage were used."""
    if looks is None:
        return "all faces"
    return "first face only" if looks == 1 else f"first {looks} faces"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table; its cells are written as they are."""
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""
