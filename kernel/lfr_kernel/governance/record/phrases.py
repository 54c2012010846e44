"""Numbers, times and codes in words: the smallest pieces of what a record says."""

from __future__ import annotations

import datetime as dt
import math
from decimal import ROUND_HALF_UP, ROUND_UP, Decimal
from typing import TYPE_CHECKING

from lfr_kernel.governance.record.page import Column, Figure, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lfr_kernel.governance.record.figures import Estimate, Rate
    from lfr_kernel.governance.record.page import Cell

__all__ = [
    "NOTHING",
    "at_least",
    "clock",
    "count",
    "day",
    "duration",
    "estimate",
    "interval",
    "minutes",
    "moment",
    "one_in",
    "part",
    "per_cent",
    "plural",
    "rate",
    "seconds",
    "share",
    "similarity",
    "tally",
    "times",
    "total",
    "word",
    "zone",
]

NOTHING = "\N{EN DASH}"
"""Where there is no number, since nothing was counted to make it of."""
FEWER = "fewer than 1"
"""Of people: 0 would be nobody."""
SIGNIFICANT = 2
EXACT = 9
"""Digits of a number that was found by halving: what is behind them is noise."""
SURE = 99
MINUTE_S, HOUR_S = 60, 3_600
LONG_RATIO = 100


def count(number: int, n: int | None = None) -> Figure:
    """Return a count."""
    return Figure(text=f"{number:,}", value=number, n=n)


def share(number: int, of: int) -> Figure:
    """Return a count as a part of others."""
    return Figure(text=f"{number:,} of {of:,}", value=number, n=of)


def part(number: int, of: int) -> Figure:
    """Return a count as a part of others, with the percentage, where there are any and all of them were counted."""
    text = f"{number:,} of {of:,} ({per_cent(number / of)})" if of and number <= of else f"{number:,} of {of:,}"
    return Figure(text=text, value=number, n=of)


def total(tally: Mapping[str, int]) -> int:
    """Return how many there are of all codes."""
    return sum(tally.values())


def plural(number: int, one: str, many: str = "") -> str:
    """Return a count and its noun: `1 alert`, `11 alerts`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def times(number: int) -> str:
    """Return how often: `once`, `3 times`."""
    return "once" if number == 1 else f"{number:,} times"


def per_cent(value: float) -> str:
    """Return a share of everything as a percentage of two significant digits."""
    if value in {0, 1}:
        return f"{value * 100:.0f} %"
    exact = Decimal(repr(value)) * 100
    decimals = max(0, SIGNIFICANT - 1 - exact.adjusted())
    rounded = exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    # What is nearly all is not all, and what is nearly nothing is not nothing.
    return f"over {SURE} %" if rounded >= 100 else f"{rounded:f} %"  # noqa: PLR2004


def at_least(value: float) -> str:
    """Return a share from which on something holds, as a percentage: rounded up, so that it holds there, too.

    Args:
        value: above 0 and below 1.
    """
    exact = Decimal(f"{value:.{EXACT}g}") * 100
    decimals = max(0, SIGNIFICANT - 1 - exact.adjusted())
    while (rounded := exact.quantize(Decimal(1).scaleb(-decimals), ROUND_UP)) >= 100:  # noqa: PLR2004
        decimals += 1  # what is nearly all is not all
    return f"{rounded:f} %"


def one_in(value: float) -> str:
    """Return a rate as `1 in 1,100`, of three significant digits."""
    inverse = 1 / value
    digits = max(0, math.floor(math.log10(inverse)) - 2)
    rounded = round(inverse, -digits) if inverse >= 10 else round(inverse, 1)  # noqa: PLR2004
    return f"1 in {rounded:,.0f}" if rounded >= 10 or rounded == int(rounded) else f"1 in {rounded:.1f}"  # noqa: PLR2004


def rate(one: Rate) -> Figure:
    """Return a rate with its interval for programs; its text is the percentage."""
    text = NOTHING if one.value is None else per_cent(one.value)
    return Figure(text=text, value=one.value, low=one.low, high=one.high, n=one.n)


def interval(one: Rate) -> str:
    """Return the 95 % interval of a rate."""
    if one.low is None or one.high is None:
        return NOTHING
    return f"{per_cent(one.low)} to {per_cent(one.high)}"


def estimate(one: Estimate, digits: int = 1) -> Figure:
    """Return an estimate with its interval.

    Args:
        one: the estimate.
        digits: decimals; 0 rounds to two significant digits, as befits an `about`.
    """
    low, high = _shown(one.low, digits), "any number" if one.high is None else _shown(one.high, digits)
    value = _shown(one.value, digits)
    within = low if low == high else f"{low} to {high}"
    text = f"{value if value == FEWER else f'about {value}'} (95 % interval {within})"
    return Figure(text=text, value=one.value, low=one.low, high=one.high)


def _shown(value: float, digits: int) -> str:
    if not digits and 0 < value < 1:
        return FEWER
    if digits or value < 100:  # noqa: PLR2004  (it has no digits to spare)
        return f"{value:,.{digits}f}"
    return f"{round(value, SIGNIFICANT - 1 - math.floor(math.log10(value))):,.0f}"


def similarity(value: float) -> Figure:
    """Return a threshold: a cosine, and never a percentage."""
    return Figure(text=f"{value:.3f}".rstrip("0").ljust(4, "0"), value=value)


def seconds(value: float | None) -> Figure:
    """Return a length of time in seconds."""
    return Figure(
        text=NOTHING if value is None else f"{value:,.3g} s" if value < LONG_RATIO else f"{value:,.0f} s", value=value
    )


def minutes(value: float | None) -> Figure:
    """Return a length of time in minutes."""
    return Figure(text=NOTHING if value is None else f"{value:,.3g} min", value=value)


def duration(value: float) -> Figure:
    """Return a longer time, in hours and minutes; for programs in seconds."""
    whole = round(value)
    hours, rest = divmod(whole, HOUR_S)
    parts = [f"{hours} h"] if hours else []
    if rest >= MINUTE_S:
        parts.append(f"{rest // MINUTE_S} min")
    if (not hours and rest % MINUTE_S) or not parts:
        parts.append(f"{rest % MINUTE_S} s")
    return Figure(text=" ".join(parts), value=value)


def _parsed(iso: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(iso)
    except ValueError:
        return None


def moment(iso: str | None) -> str:
    """Return a moment as `4 May 2030, 10:00:00 UTC`; what is none, as it is."""
    at = None if iso is None else _parsed(iso)
    if at is None:
        return iso or NOTHING
    return f"{_date(at)}, {at:%H:%M:%S} {zone(at)}"


def day(iso: str) -> str:
    """Return the day of a moment as `4 May 2030`."""
    at = _parsed(iso)
    return iso if at is None else _date(at)


def clock(at: dt.datetime) -> str:
    """Return a moment that was written by hand, with its offset: `Saturday 4 May 2030, 10:00 (UTC+01:00)`."""
    return f"{WEEKDAYS[at.weekday()]} {_date(at)}, {at:%H:%M} ({zone(at)})"


WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
"""By name here: strftime speaks the language of the machine."""


def _date(at: dt.datetime) -> str:
    return f"{at.day} {MONTHS[at.month - 1]} {at.year}"


def zone(at: dt.datetime) -> str:
    """Return the offset of a moment: `UTC`, `UTC+01:00`."""
    return str(dt.timezone(at.utcoffset() or dt.timedelta()))


def word(code: str, *names: Mapping[str, str]) -> str:
    """Return a code in words: of the first of `names` that has it, or as it is, with blanks."""
    for known in names:
        if code in known:
            return known[code]
    return code.replace("-", " ").replace("_", " ")


def tally(
    caption: str,
    headings: tuple[str, str],
    counts: Mapping[str, int],
    named: Callable[[str], str],
    n: int | None = None,
) -> Table:
    """Return a table of how many there are of each code, the most frequent first.

    Args:
        caption: of the table.
        headings: of its two columns.
        counts: by code.
        named: returns a code in words.
        n: of how many in all; the sum of the counts if not given.
    """
    of = total(counts) if n is None else n
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    rows: tuple[tuple[Cell, ...], ...] = tuple((named(code), count(number, of)) for code, number in ordered)
    columns = (Column(heading=headings[0]), Column(heading=headings[1], is_number=True))
    return Table(caption=caption, columns=columns, rows=rows)
