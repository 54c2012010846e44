"""From a protocol and a profile to a report: who is listed, who passes, scores, figures."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from lfr_kernel import __version__
from lfr_kernel.api import Coverage, conditions_of, gated, most_looks, recognition_settings, resemblances
from lfr_plugins.lab.evaluation.clips import walks_of
from lfr_plugins.lab.evaluation.comparing import ScoreTable, compare, facts_of, try_choices
from lfr_plugins.lab.evaluation.equity import group_figures
from lfr_plugins.lab.evaluation.figures import describe, growth, histogram, recommend, transfer
from lfr_plugins.lab.evaluation.protocol import ProtocolError
from lfr_plugins.lab.evaluation.report import Data, LossFunnel, ModelFacts, People, Report
from lfr_plugins.lab.evaluation.scoring import FLOOR, Recipe, enrol, passages_of, score
from lfr_plugins.lab.evaluation.statistics import threshold_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from lfr_kernel.api import Finding, Profile
    from lfr_plugins.lab.evaluation.clips import Walked
    from lfr_plugins.lab.evaluation.following import Watched
    from lfr_plugins.lab.evaluation.observation import Observations
    from lfr_plugins.lab.evaluation.protocol import About, Protocol, Role, Row
    from lfr_plugins.lab.evaluation.scoring import Gallery, Scores, Walk

__all__ = ["Evaluated", "Inputs", "assemble", "recipe_of"]

MOST_LOOKS = 8
"""Figures for people with so many faces or more; beyond it there are hardly ever enough of them."""
_FEWEST = 20
"""People on each side that figures for a number of looks need at least."""


class Inputs(Struct, frozen=True, kw_only=True, eq=False):
    """Everything that a report depends on."""

    protocol: Protocol
    about: About
    profile: Profile
    detector: ModelFacts
    embedder: ModelFacts
    photographs: Sequence[Row]
    """The rows of the protocol that are photographs."""
    seen: Observations
    """What was seen on them, in that order."""
    views: Sequence[str] = ()
    """Which other views of each face were observed."""
    in_clips: Sequence[Row] = ()
    """The rows of the protocol that are clips."""
    watched: Mapping[Path, Watched] = {}
    """What was followed in each clip."""
    target: float
    list_size: int | None = None
    """People on the list that the threshold is for; as many as are tested when None."""


class Evaluated(Struct, frozen=True, kw_only=True, eq=False):
    """A report, and the scores behind it."""

    report: Report
    table: ScoreTable


def recipe_of(profile: Profile) -> Recipe:
    """Return what a profile makes of faces."""
    return Recipe(
        gates=profile.tracker.options,
        enrolment=profile.watchlist.gates,
        early_margin=profile.watchlist.early_margin,
        live_mirrored=profile.embedder.mirror_live,
    )


def assemble(inputs: Inputs, *, against: Path | None = None, with_choices: bool = False) -> Evaluated:
    """Make the report.

    Args:
        inputs: what was observed, and under which profile.
        against: the folder of another evaluation to compare with.
        with_choices: whether to try other ways to use the same faces.

    Raises:
        ProtocolError: nobody could be listed, or `against` is no evaluation of the same people.
    """
    recipe = recipe_of(inputs.profile)
    sides = _Sides(inputs, recipe)
    if not sides.gallery.persons:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(sides.gallery.rejected.items()))
        raise ProtocolError(
            f"{inputs.protocol.path}: expected people who can be listed, but every photograph of them was refused "
            f"({reasons}): take better ones, or see [watchlist.gates] of the profile"
        )
    whole = score(sides.gallery, sides.mated, sides.nonmated, recipe)
    by_looks = {looks: sides.with_looks(looks) for looks in sides.looks}
    first = by_looks[1]
    wanted = most_looks(inputs.profile)
    advice = recommend(by_looks, target=inputs.target, listed=inputs.list_size, wanted_looks=wanted)
    # Whatever is counted at the threshold is counted with as many faces as it is for.
    looks = advice.looks or 1
    compared = first if looks == 1 else sides.scored(replace(recipe, most_looks=looks))
    compared_at = advice.threshold or threshold_at(compared.nearest, inputs.target).threshold
    if compared_at is not None:
        compared_at = max(compared_at, FLOOR)
    table = ScoreTable(all_faces=whole, first_face=first)
    data = _data(inputs)
    covers = Coverage(
        report_class=inputs.about.report_class,
        data=inputs.about.name,
        detector=inputs.detector.sha256,
        embedder=inputs.embedder.sha256,
        listed=advice.tested if advice.threshold is None else advice.listed,
        looks=advice.looks or max(sides.looks),
        target_fpir=inputs.target,
        threshold=advice.threshold,
        settings=recognition_settings(inputs.profile),
        conditions=conditions_of(
            [walk.conditions.tolist() for walk in (*sides.mated, *sides.nonmated) if walk.conditions is not None]
        ),
    )
    report = Report(
        lfr_kernel=__version__,
        data=data,
        detector=inputs.detector,
        embedder=inputs.embedder,
        covers=covers,
        people=_people(sides),
        funnel=_funnel(sides, inputs, recipe),
        recommendation=advice,
        descriptive=(
            describe(whole, None, _mixed(whole)),
            *(describe(scores, looks) for looks, scores in by_looks.items()),
        ),
        transferred=(transfer(whole, inputs.target), transfer(first, inputs.target)),
        list_growth=None
        if compared_at is None
        else growth(compared, looks, compared_at, [] if inputs.list_size is None else [inputs.list_size]),
        groups=()
        if compared_at is None
        else group_figures(inputs.protocol, compared, looks, compared_at, inputs.about.groups or "not said"),
        histogram=histogram(compared, looks),
        to_look_at=tuple(_resembling(inputs)),
        same_files=tuple(_same_files(inputs)),
        comparison=None if against is None else compare(against, table, facts_of(data, covers)),
        choices=try_choices(table, recipe, inputs.views, sides.scored, inputs.target) if with_choices else (),
    )
    return Evaluated(report=report, table=table)


class _Sides:
    """Who is listed and who passes, by a recipe."""

    def __init__(self, inputs: Inputs, recipe: Recipe) -> None:
        self._inputs = inputs
        self._recipe = recipe
        self.gallery = self._enrolled(recipe)
        self.mated = self._passing("mated", recipe)
        self.nonmated = self._passing("nonmated", recipe)

    def _rows(self, *roles: Role) -> tuple[list[Row], list[int]]:
        numbers = [number for number, row in enumerate(self._inputs.photographs) if row.role in roles]
        return [self._inputs.photographs[number] for number in numbers], numbers

    def _enrolled(self, recipe: Recipe) -> Gallery:
        return enrol(*self._rows("watchlist", "filler"), self._inputs.seen, recipe)

    def _passing(self, role: Role, recipe: Recipe) -> list[Walk]:
        walks = passages_of(*self._rows(role), self._inputs.seen, recipe)
        return [*walks, *self.walked(recipe).of(role)]

    def walked(self, recipe: Recipe) -> Walked:
        """Return the passages that were seen in clips."""
        inputs = self._inputs
        dimension = inputs.seen.plain.shape[1]
        return walks_of(inputs.in_clips, inputs.watched, dimension, live_mirrored=recipe.live_mirrored)

    def scored(self, recipe: Recipe) -> Scores:
        """Score everybody by another recipe."""
        return score(self._enrolled(recipe), self._passing("mated", recipe), self._passing("nonmated", recipe), recipe)

    @property
    def looks(self) -> list[int]:
        """The numbers of looks that enough people on both sides had; 1 is always there."""

        def have(walks: Sequence[Walk], looks: int) -> int:
            return len({walk.identity for walk in walks if len(walk.faces.templates) >= looks})

        enough = [n for n in range(2, MOST_LOOKS + 1) if min(have(self.mated, n), have(self.nonmated, n)) >= _FEWEST]
        return [1, *enough]

    def with_looks(self, looks: int) -> Scores:
        """Score those with so many faces or more, by the first so many of them; after one face, everybody."""

        def chosen(walks: Sequence[Walk]) -> list[Walk]:
            return [walk for walk in walks if looks == 1 or len(walk.faces.templates) >= looks]

        return score(self.gallery, chosen(self.mated), chosen(self.nonmated), replace(self._recipe, most_looks=looks))


def _data(inputs: Inputs) -> Data:
    about, protocol = inputs.about, inputs.protocol
    return Data(
        name=about.name,
        report_class=about.report_class,
        source=about.source,
        flatters=about.flatters,
        protocol=protocol.path.name,
        protocol_sha256=protocol.digest,
        rows=len(protocol.rows),
    )


def _mixed(scores: Scores) -> str | None:
    """Say so where mated and non-mated people were looked at unequally often."""
    mated, nonmated = float(scores.looks_mated.mean()), float(scores.looks_nonmated.mean())
    if abs(mated - nonmated) < 0.05:  # noqa: PLR2004  (a twentieth of a face)
        return None
    return (
        f"mated people have {mated:.1f} faces on average, non-mated ones {nonmated:.1f}: for a like comparison see the "
        "figures by number of looks"
    )


def _people(sides: _Sides) -> People:
    gallery = sides.gallery
    return People(
        offered=len(gallery.persons) + len(gallery.refused),
        listed=len(gallery.persons),
        photographs=gallery.photographs,
        rejected=dict(sorted(gallery.rejected.items())),
        bystanders=gallery.bystanders,
        refused=dict(sorted(gallery.refused.items())),
        mated=len({walk.identity for walk in sides.mated}),
        nonmated=len({walk.identity for walk in sides.nonmated}),
        passages_mated=len(sides.mated),
        passages_nonmated=len(sides.nonmated),
    )


def _funnel(sides: _Sides, inputs: Inputs, recipe: Recipe) -> LossFunnel:
    closed = gated(inputs.seen.qualities, recipe.gates)
    passing = [number for number, row in enumerate(inputs.photographs) if not row.is_listed]
    reasons = ["no_face" if not inputs.seen.faces[number] else closed[number] for number in passing]
    walked = sides.walked(recipe)
    in_clips = sum(len(walk.faces.templates) for _, walk in walked.walks)
    return LossFunnel(
        pictures=len(passing) + in_clips,
        lost=_tallied(reason for reason in reasons if reason is not None),
        used=sum(reason is None for reason in reasons) + in_clips,
        never_searched=_tallied(walk.lost for walk in (*sides.mated, *sides.nonmated) if walk.lost is not None),
        unaccounted=sum(walked.unaccounted.values()),
    )


def _tallied(reasons: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(reasons).items()))


def _resembling(inputs: Inputs) -> list[Finding]:
    """Return photographs of different identities, listed or not, that may show one person."""
    numbers = np.flatnonzero(inputs.seen.faces > 0).tolist()
    both = inputs.seen.plain[numbers] + inputs.seen.mirrored[numbers]
    templates = both / np.maximum(np.linalg.norm(both, axis=1, keepdims=True), 1e-12)
    rows = [inputs.photographs[number] for number in numbers]
    found = resemblances(templates.astype(np.float32), [row.identity for row in rows], [row.name for row in rows])
    return [one for one in found if one.kind == "duplicate"]


def _same_files(inputs: Inputs) -> list[tuple[str, str]]:
    """Return files with the same content, of two identities, or of one who is listed and passes with the same one."""
    first: dict[str, list[Row]] = {}
    same: list[tuple[str, str]] = []
    for row, digest in zip(inputs.photographs, inputs.seen.digests, strict=True):
        others = first.setdefault(digest, [])
        other = next((one for one in others if (one.identity, one.is_listed) != (row.identity, row.is_listed)), None)
        if other is not None:
            same.append((other.name, row.name))
        others.append(row)
    return same
