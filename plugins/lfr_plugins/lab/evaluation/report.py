"""What an evaluation says, as it goes into report.json. No clock is asked: the same data gives the same bytes.

Two kinds of figure stand in sections of their own and are never mixed: *descriptive* ones, whose threshold was read
from the very people that it describes, and *transferred* ones, whose threshold came from other people and another list.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  (msgspec resolves the annotations)
from typing import Literal

from msgspec import Struct

from lfr_kernel.api import Coverage, Finding  # noqa: TC001
from lfr_plugins.lab.evaluation.statistics import (  # noqa: TC001
    Curve,
    Difference,
    Equivalence,
    Homogeneity,
    ListRate,
    ListSize,
    Rate,
    Ratio,
    Threshold,
    Transferred,
)

__all__ = [
    "Choice",
    "Comparison",
    "Data",
    "Descriptive",
    "GroupFigures",
    "Histogram",
    "ListGrowth",
    "LossFunnel",
    "Measured",
    "ModelFacts",
    "People",
    "Point",
    "Recommendation",
    "Report",
    "Test",
]

SCHEMA = 1


class ModelFacts(Struct, frozen=True, kw_only=True):
    """Which model, by the digest of its weights."""

    plugin: str
    model: str = ""
    """Name of its card."""
    sha256: str
    trained_on: str = ""
    """As its card says."""


class Data(Struct, frozen=True, kw_only=True):
    """What was tested on, and what that flatters."""

    name: str
    report_class: Literal["benchmark", "operational"]
    source: str
    flatters: tuple[str, ...]
    """What makes these figures look better than the street."""
    protocol: str
    """Name of the CSV file."""
    protocol_sha256: str
    rows: int


class People(Struct, frozen=True, kw_only=True):
    """Who took part. People are the unit of every rate."""

    offered: int
    """People to be listed."""
    listed: int
    photographs: int
    """Of those who are listed, that were used."""
    rejected: Mapping[str, int]
    """Photographs that were not, by reason."""
    bystanders: int = 0
    """Photographs, of those used, that show several faces. The one nearest the middle was taken for the person; a run
    refuses such a photograph, so crop it before you list it."""
    refused: Mapping[str, str]
    """People of whom no photograph was good enough, and why. Whoever of them passes counts as missed."""
    mated: int
    nonmated: int
    passages_mated: int
    passages_nonmated: int


class LossFunnel(Struct, frozen=True, kw_only=True):
    """Where faces and people are lost, before any threshold."""

    pictures: int
    """Photographs of people who pass (faces of passages, for clips)."""
    lost: Mapping[str, int]
    """Of those, not used, by reason."""
    used: int
    never_searched: Mapping[str, int]
    """Passages of which nothing could be searched, by reason: misses when mated, no alert when not."""
    unaccounted: int = 0
    """People (or what was taken for one) followed in clips of whom the protocol says nothing; they are not scored."""


class Point(Struct, frozen=True, kw_only=True):
    """A descriptive figure: TPIR at the threshold that these people themselves set for an FPIR."""

    target: float
    threshold: Threshold
    tpir: Rate | None
    """None where there is no threshold."""


class Descriptive(Struct, frozen=True, kw_only=True):
    """Figures whose threshold was read from the same people: what this data looks like, and no promise."""

    looks: int | None
    """People with so many faces or more, and their first so many; None: everybody, all faces, however many."""
    mated: int
    nonmated: int
    mean_looks_mated: float
    mean_looks_nonmated: float
    rank_one: Rate
    """Mated people to whom nobody listed was nearer than they themselves."""
    points: tuple[Point, ...]
    curve: Curve
    note: str | None = None


class Measured(Struct, frozen=True, kw_only=True):
    """What one number of looks allows to recommend."""

    looks: int
    nonmated: int
    threshold: float | None
    note: str | None = None


class Recommendation(Struct, frozen=True, kw_only=True):
    """The smallest threshold whose upper 95 % bounds of FPIR meet the target, at the list size that will be used.

    Both bounds: Clopper and Pearson's over the people who passed, for this list, and that over people and lists.
    """

    target: float
    listed: int
    """People on the list that the threshold is for."""
    tested: int
    """People on the list of this evaluation."""
    looks: int | None
    """Faces of a passage that it was tested with."""
    wanted_looks: int | None
    """Faces of a passage that the profile pools at most."""
    threshold: float | None
    """Rounded up to a thousandth."""
    fpir: Rate | None
    """For the tested list."""
    fpir_over_lists: ListRate | None
    """For other lists of this length."""
    tpir: Rate | None
    wrong_person: Rate | None
    """Mated people who alert as somebody else who is listed."""
    by_looks: tuple[Measured, ...]
    note: str | None = None


class ListGrowth(Struct, frozen=True, kw_only=True):
    """FPIR over the length of the list, at one threshold."""

    threshold: float
    looks: int | None = None
    """Faces of a passage that were used: those that the threshold is for."""
    sizes: tuple[ListSize, ...]
    exponent: float | None
    """b of FPIR ~ N^b."""
    assumption: str


class Test(Struct, frozen=True, kw_only=True):
    """Whether groups differ, and whether so few people could have told."""

    homogeneity: Homogeneity
    p_holm: float
    """After Holm's correction for all tests of this report."""
    ratio: Ratio
    equivalence: Equivalence
    preset_ratio: float
    """Set before looking: the difference that one would want to see."""
    power: float | None
    """The chance to see that difference, for the smallest group against all others; None where it cannot be stated."""
    smallest_ratio: float | None
    """Seen with a chance of 80 %; None: no ratio is."""


class GroupFigures(Struct, frozen=True, kw_only=True):
    """One kind of self-declared group, at one threshold."""

    group: str
    known: str
    """How the groups are known."""
    threshold: float
    looks: int | None = None
    """Faces of a passage that were used: those that the threshold is for."""
    missed: Mapping[str, Rate]
    """FNIR of mated people."""
    alerted: Mapping[str, Rate]
    """FPIR of non-mated people."""
    missed_test: Test | None
    alerted_test: Test | None
    note: str | None = None


class Histogram(Struct, frozen=True, kw_only=True):
    """People by score."""

    looks: int | None = None
    """Faces of a passage that were used: those that the threshold is for."""

    edges: tuple[float, ...]
    """Rising; the first bin holds all that is lower, too."""
    mated: tuple[int, ...]
    """By similarity to the right listed person."""
    nonmated: tuple[int, ...]
    """By highest similarity to anybody listed."""
    unsearched_mated: int
    """Mated people of whom nothing was searched, or who could not be listed."""
    unsearched_nonmated: int
    """Non-mated people of whom nothing was searched."""


class Comparison(Struct, frozen=True, kw_only=True):
    """This configuration against another one that saw the same people."""

    other_report: str
    """SHA-256 of the other report.json."""
    differing: Mapping[str, tuple[str, str]]
    """What differs: there, and here. Settings, and the digests of protocol and models."""
    all_faces: tuple[Difference, ...]
    first_face: tuple[Difference, ...]


class Choice(Struct, frozen=True, kw_only=True):
    """What another way to use the same faces would give, on the same people."""

    choice: str
    instead: str
    target: float
    all_faces: float | None
    """Descriptive TPIR; None where so few people set no threshold."""
    first_face: float | None
    difference: Difference
    """Of this configuration to the other: above zero where this one is better. All faces."""


class Report(Struct, frozen=True, kw_only=True):
    """A whole report. `covers` is what a threshold cites; of the rest the kernel reads the curves, for its changes."""

    schema: int = SCHEMA
    lfr_kernel: str
    """Version."""
    data: Data
    detector: ModelFacts
    embedder: ModelFacts
    covers: Coverage
    people: People
    funnel: LossFunnel
    recommendation: Recommendation
    descriptive: tuple[Descriptive, ...]
    transferred: tuple[Transferred, ...]
    list_growth: ListGrowth | None
    groups: tuple[GroupFigures, ...]
    histogram: Histogram
    to_look_at: tuple[Finding, ...]
    """Photographs of different identities that may show one person: for people to judge, none was left out."""
    same_files: tuple[tuple[str, str], ...]
    """Files with the same content: of two identities, or of one who is listed and passes with the same picture."""
    comparison: Comparison | None = None
    choices: tuple[Choice, ...] = ()
