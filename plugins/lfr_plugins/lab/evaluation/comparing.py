"""One configuration against another on the same people, and what each choice is worth.

The scores of an evaluation lie beside its report as scores.csv, so that anybody can recompute a figure, and so that
two configurations can be compared person by person.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from lfr_kernel.api import Gates, describe
from lfr_plugins.lab.evaluation.protocol import ProtocolError
from lfr_plugins.lab.evaluation.report import Choice, Comparison, Report
from lfr_plugins.lab.evaluation.statistics import alerted, paired_difference, threshold_at
from lfr_plugins.lab.evaluation.views import VIEW_SETS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from lfr_kernel.api import Coverage
    from lfr_plugins.lab.evaluation.report import Data
    from lfr_plugins.lab.evaluation.scoring import Recipe, Scores
    from lfr_plugins.lab.evaluation.statistics import Difference

__all__ = ["ScoreTable", "alternatives", "compare", "facts_of", "read_scores", "try_choices", "written_scores"]

COLUMNS = ("identity", "role", "faces", "all_faces", "first_face")
TARGETS = (0.01, 0.005)
OPEN = Gates(min_confidence=0.0, min_face_px=8.0, min_frontality=0.0, min_sharpness=0.0, min_openness=0.0)


class ScoreTable(Struct, frozen=True, kw_only=True, eq=False):
    """One score a person, with all faces and with the first one only."""

    all_faces: Scores
    first_face: Scores


class _Read(Struct, frozen=True, kw_only=True, eq=False):
    """What scores.csv says of one role: people, and their scores with all faces and with the first."""

    people: tuple[str, ...]
    all_faces: NDArray[np.float64]
    first_face: NDArray[np.float64]


def written_scores(table: ScoreTable) -> str:
    """Return the text of scores.csv. Somebody who was never searched has empty cells."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    whole, first = table.all_faces, table.first_face
    for role, people, looks, scores, early in (
        ("mated", whole.mated, whole.looks_mated, whole.own, first.own),
        ("nonmated", whole.nonmated, whole.looks_nonmated, whole.nearest, first.nearest),
    ):
        for person, faces, score, one in zip(people, looks.tolist(), scores.tolist(), early.tolist(), strict=True):
            writer.writerow((person, role, faces, _cell(score), _cell(one)))
    return out.getvalue()


def _cell(score: float) -> str:
    return repr(score) if math.isfinite(score) else ""


def read_scores(path: Path) -> dict[str, _Read]:
    """Read scores.csv by role. Raises ProtocolError when it is none."""
    try:
        header, *lines = csv.reader(io.StringIO(path.read_bytes().decode(), newline=""), strict=True)
        if tuple(header) != COLUMNS:
            raise ValueError(f"the columns are {', '.join(header)}")  # noqa: TRY301  (told like all others)
        held: dict[str, dict[str, tuple[float, float]]] = {"mated": {}, "nonmated": {}}
        for person, role, _, whole, first in lines:
            if person in held[role]:
                raise ValueError(f"{person!r} stands there twice as {role}")  # noqa: TRY301
            held[role][person] = (_number(whole), _number(first))
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise ProtocolError(
            f"{path}: expected the scores.csv of another evaluation, with {', '.join(COLUMNS)}: {describe(error)}"
        ) from None
    return {
        role: _Read(
            people=tuple(people),
            all_faces=np.array([whole for whole, _ in people.values()]),
            first_face=np.array([first for _, first in people.values()]),
        )
        for role, people in held.items()
    }


def _number(cell: str) -> float:
    number = float(cell) if cell else -math.inf
    if math.isnan(number) or number == math.inf:
        raise ValueError(f"{cell} is no similarity")
    return number


def facts_of(data: Data, covers: Coverage) -> dict[str, object]:
    """Return what two evaluations may differ in: settings, and the digests of protocol and models."""
    return {
        **covers.settings,
        "protocol (SHA-256)": data.protocol_sha256,
        "detector (SHA-256)": covers.detector,
        "embedder (SHA-256)": covers.embedder,
    }


def compare(folder: Path, table: ScoreTable, facts: Mapping[str, object]) -> Comparison:
    """Compare with the evaluation in another folder: paired by person, thresholds fitted anew in each replicate.

    Args:
        folder: with report.json and scores.csv.
        table: of this evaluation.
        facts: of this evaluation, as `facts_of` returns them.

    Raises:
        ProtocolError: there is no evaluation, or it saw other people.
    """
    theirs = read_scores(folder / "scores.csv")
    try:
        content = (folder / "report.json").read_bytes()
        other = msgspec.json.decode(content, type=Report)
    except (OSError, msgspec.DecodeError) as error:
        raise ProtocolError(f"{folder / 'report.json'}: expected the report of another evaluation: {error}") from None
    whole, first = table.all_faces, table.first_face
    orders = {}
    for role, people in (("mated", whole.mated), ("nonmated", whole.nonmated)):
        if set(people) != set(theirs[role].people):
            raise ProtocolError(
                f"{folder}: expected an evaluation of the same people, got {len(theirs[role].people)} {role} ones of "
                f"whom {len(set(people) & set(theirs[role].people))} are among these {len(people)}"
            )
        places = {person: place for place, person in enumerate(theirs[role].people)}
        orders[role] = [places[person] for person in people]

    def differences(before: Callable[[_Read], NDArray[np.float64]], now: Scores) -> tuple[Difference, ...]:
        there = (before(theirs["mated"])[orders["mated"]], before(theirs["nonmated"])[orders["nonmated"]])
        return tuple(paired_difference(there, (now.own, now.nearest), target) for target in TARGETS)

    old, new = facts_of(other.data, other.covers), facts
    return Comparison(
        other_report=hashlib.sha256(content).hexdigest(),
        differing={
            name: (str(old.get(name, "not set")), str(new.get(name, "not set")))
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        },
        all_faces=differences(lambda one: one.all_faces, whole),
        first_face=differences(lambda one: one.first_face, first),
    )


def alternatives(recipe: Recipe, observed: Sequence[str]) -> list[tuple[str, str, Recipe]]:
    """Return other ways to use the same faces: what is chosen, what instead, and the recipe.

    Args:
        recipe: of this configuration.
        observed: names of the other views that there are templates of.
    """
    other_weight = "equal" if recipe.weight == "quality" else "quality"
    return [
        (
            "live faces",
            "without the mirror image" if recipe.live_mirrored else "with the mirror image averaged in",
            replace(recipe, live_mirrored=not recipe.live_mirrored),
        ),
        ("listed photographs", "without the mirror image", replace(recipe, listed_mirrored=not recipe.listed_mirrored)),
        ("weights of a pool", f"{other_weight} for every face", replace(recipe, weight=other_weight)),
        ("early alerts", "no margin: at the first look over the threshold", replace(recipe, early_margin=0.0)),
        ("early alerts", "twice the margin", replace(recipe, early_margin=2 * recipe.early_margin)),
        ("several photographs", "each listed by itself, the nearest counts", replace(recipe, several="nearest")),
        ("gates", "none at all, live and at enrolment", replace(recipe, gates=OPEN, enrolment=OPEN)),
        *(
            ("views of a face", what, replace(recipe, views=tuple(observed.index(name) for name in names)))
            for what, names in VIEW_SETS.items()
            if set(names) <= set(observed)
        ),
    ]


def try_choices(
    table: ScoreTable, recipe: Recipe, observed: Sequence[str], scored: Callable[[Recipe], Scores], target: float
) -> tuple[Choice, ...]:
    """Return what each alternative would give, on the same people, against this configuration.

    Args:
        table: of this configuration.
        recipe: of this configuration.
        observed: names of the other views that there are templates of.
        scored: makes scores by another recipe.
        target: descriptive FPIR.
    """
    here = table.all_faces
    found: list[Choice] = []
    for choice, instead, other in alternatives(recipe, observed):
        whole, first = scored(other), scored(replace(other, most_looks=1))
        found.append(
            Choice(
                choice=choice,
                instead=instead,
                target=target,
                all_faces=_tpir(whole, target),
                first_face=_tpir(first, target),
                difference=paired_difference((whole.own, whole.nearest), (here.own, here.nearest), target),
            )
        )
    return tuple(found)


def _tpir(scores: Scores, target: float) -> float | None:
    threshold = threshold_at(scores.nearest, target).threshold
    return None if threshold is None else float(alerted(scores.own, threshold)) / len(scores.mated)
