"""What a threshold rests on: an evaluation report, cited by its digest, and whether it covers what runs.

A report says what was tested; `judge` holds that against what is in force and names every departure. It stops
nothing: whoever runs outside of what was tested may have to, but never without its being said in status, alerts and
record.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  (msgspec resolves the annotations when it decodes)
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct, structs

from lfr_kernel.governance.conditions import UNSAID, Conditions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["NO_REPORT", "Basis", "Coverage", "InForce", "Setting", "judge"]

Setting: TypeAlias = str | int | float | bool
ReportClass: TypeAlias = Literal["benchmark", "operational"]
Digest: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]

LINE = 70
"""Columns of the short line: an alert on a terminal of 80 puts up to ten in front of it."""


class Coverage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part `covers` of a report.json: what was tested.

    A field that this version does not know makes it unreadable: it would be a condition that nobody checks.
    """

    report_class: ReportClass
    """`benchmark`: a data set; `operational`: people who passed cameras as they will be used."""
    data: Annotated[str, Meta(min_length=1)]
    """Name of the data set."""
    detector: Digest
    """SHA-256 of the detector's weights."""
    embedder: Digest
    """SHA-256 of the embedder's weights."""
    listed: Annotated[int, Meta(ge=1)]
    """People on the list that the threshold is for."""
    looks: Annotated[int, Meta(ge=1)]
    """Most faces that were pooled in one passage."""
    target_fpir: Annotated[float, Meta(gt=0, le=1)]
    threshold: Annotated[float, Meta(ge=-1, le=1)] | None
    """The recommended one: the smallest whose upper 95 % bound of FPIR meets the target, at that list size and number
    of looks. None: there was none, or too few passages to say."""
    settings: Mapping[str, Setting]
    """What else changes similarities, or which faces are used: see `recognition_settings`."""
    conditions: Conditions | None = None
    """In which light and from how far faces were seen. None: the report is older than this field, or too few were."""


class InForce(Struct, frozen=True, kw_only=True):
    """What runs, in the words of `Coverage`."""

    detector: str | None
    """None while it is not loaded; it is not judged then. So for `embedder` and `listed`."""
    embedder: str | None
    listed: int | None
    looks: int | None
    """None: without limit."""
    threshold: float
    target_fpir: float
    """What the profile wants."""
    settings: Mapping[str, Setting]


class Basis(Struct, frozen=True, kw_only=True):
    """What the threshold in force rests on.

    `str` of it is one line of 70 columns at most: ids, numbers and names of cameras only.
    """

    state: Literal["none", "covered", "outside"]
    report: str | None = None
    """SHA-256 of the report.json."""
    report_class: ReportClass | None = None
    reasons: tuple[str, ...] = ()
    """One sentence for each departure: what is in force, and what was tested."""
    notes: tuple[str, ...] = ()
    """What the report is silent about, so that nobody compares it."""

    @property
    def heading(self) -> str:
        """What the reasons are to be listed under."""
        if self.report is None:
            return "NO REPORT, the threshold rests on no evidence"
        ending = "covers this run" if self.state == "covered" else "OUTSIDE"
        return f"report {self.report[:8]}… ({self.report_class}), {ending}"

    def departing(self, reasons: Iterable[str]) -> Basis:
        """Return this basis with what a run departs in besides, such as the conditions at its cameras."""
        more = tuple(reasons)
        return structs.replace(self, state="outside", reasons=(*self.reasons, *more)) if more else self

    def __str__(self) -> str:
        if self.state != "outside":
            return self.heading
        count = f" ({len(self.reasons)})" if len(self.reasons) > 1 else ""
        return shorten(f"{self.heading}{count}: {self.reasons[0]}", LINE, placeholder="…")


NO_REPORT = Basis(state="none", reasons=("the profile cites no evaluation report: see [basis]",))
"""The basis of a threshold that somebody chose by feel."""


def judge(coverage: Coverage | None, digest: str | None, now: InForce) -> Basis:
    """Say whether a report covers what runs.

    Args:
        coverage: what the cited report covers; None if none is cited.
        digest: SHA-256 of that report.
        now: what is in force.
    """
    if coverage is None:
        return NO_REPORT
    reasons = tuple(_departures(coverage, now))
    return Basis(
        state="outside" if reasons else "covered",
        report=digest,
        report_class=coverage.report_class,
        reasons=reasons,
        notes=() if coverage.conditions else (UNSAID,),
    )


def _departures(tested: Coverage, now: InForce) -> Iterator[str]:
    """Yield a sentence for each departure, subject and numbers first: a short line may cut the rest."""
    for name, model, other in (
        ("detector", now.detector, tested.detector),
        ("embedder", now.embedder, tested.embedder),
    ):
        if model is not None and model != other:
            yield f"{name} {model[:8]}…, tested with {other[:8]}…"
    # FPIR grows in proportion to the list. A report for a list longer than its own (by a tenth at most) says so.
    if now.listed is not None and now.listed > tested.listed:
        yield f"list of {now.listed}, tested with {tested.listed}"
    if now.looks is None or now.looks > tested.looks:
        yield f"{'unlimited' if now.looks is None else now.looks} looks, tested with {tested.looks}"
    if tested.threshold is None:
        yield f"threshold {now.threshold:.6g}, none met FPIR {tested.target_fpir:.6g} in the test"
    elif now.threshold < tested.threshold:
        here, needed = _told_apart(now.threshold, tested.threshold)
        yield f"threshold {here}, needs {needed} for FPIR {tested.target_fpir:.6g}"
    if now.target_fpir < tested.target_fpir:
        wanted, target = _told_apart(now.target_fpir, tested.target_fpir)
        yield f"FPIR {wanted} wanted, tested for {target}"
    yield from _changed(tested.settings, now.settings)


def _told_apart(one: float, other: float) -> tuple[str, str]:
    """Return two different numbers, as short as still tells them apart."""
    short = f"{one:.6g}", f"{other:.6g}"
    return short if short[0] != short[1] else (repr(one), repr(other))


def _changed(tested: Mapping[str, Setting], now: Mapping[str, Setting]) -> Iterator[str]:
    names = sorted(name for name in tested.keys() | now.keys() if tested.get(name) != now.get(name))
    # Another plugin has other settings: naming each of them would hide what matters.
    replaced = tuple(f"{name}." for name in names if "." not in name)
    for name in names:
        if not name.startswith(replaced):
            yield f"{name} {_spelled(now, name)}, tested with {_spelled(tested, name)}"


def _spelled(settings: Mapping[str, Setting], name: str) -> str:
    return msgspec.json.encode(settings[name]).decode() if name in settings else "not set"
