"""Passages become scores: one a person. The mathematics of pooling, enrolment and the sequential rule is the kernel's.

A person is the unit. Whoever passes several times counts once: a non-mated person by the highest of the passages (an
alert at any of them is a false alert), a mated one by the upper median (found in half of them or more). Whoever was
never found by the detector, never good enough, or could not be enrolled has -inf, and stays in every denominator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from msgspec import Struct

from lfr_kernel.api import Added, Pool, early_margin_of, gated, outliers, pool_photographs
from lfr_plugins.lab.evaluation.statistics import Pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from lfr_kernel.api import Gates
    from lfr_plugins.lab.evaluation.observation import Observations
    from lfr_plugins.lab.evaluation.protocol import Row

__all__ = ["Faces", "Gallery", "Recipe", "Scores", "Walk", "enrol", "passages_of", "score"]

FLOOR = 0.2
"""Pairs of a non-mated and a listed person below this are not kept: no profile may set its threshold so low."""
_BLOCK = 256
"""Passages compared with the list at a time."""


class Recipe(Struct, frozen=True, kw_only=True):
    """What a profile makes of faces, and what could be made of them instead."""

    gates: Gates
    """For faces that pass."""
    enrolment: Gates
    """For listed photographs."""
    early_margin: float
    """Of the watchlist."""
    live_mirrored: bool
    listed_mirrored: bool = True
    weight: Literal["quality", "equal"] = "quality"
    several: Literal["mean", "nearest"] = "mean"
    """How several photographs of one person are listed: as their mean, or each by itself."""
    views: tuple[int, ...] = ()
    """Which other views of a face are averaged in, of those that were observed."""
    most_looks: int | None = None
    """Faces of a passage that are used, in the order of the protocol; all when None."""


class Faces(Struct, frozen=True, kw_only=True, eq=False):
    """The faces of one passage, in the order in which they were seen, over the gates."""

    templates: NDArray[np.float32]
    """float32 [K, D], L2-normalised; K may be 0."""
    weights: NDArray[np.float64]
    """float64 [K], positive."""


class Walk(Struct, frozen=True, kw_only=True, eq=False):
    """One passage of one person, whatever it was seen on."""

    identity: str
    passage: str
    faces: Faces
    lost: str | None = None
    """Why nothing could be searched: `no_face`, `never_detected` (in a clip), or the most frequent gate."""
    conditions: NDArray[np.float64] | None = None
    """float64 [3]: in which conditions its faces were seen, the mean over those that were used; None without any."""


class Gallery(Struct, frozen=True, kw_only=True, eq=False):
    """Who is listed."""

    persons: tuple[str, ...]
    """N people."""
    templates: NDArray[np.float32]
    """float32 [M, D], L2-normalised; M is N unless each photograph is listed by itself."""
    rows_of: NDArray[np.int64]
    """int64 [M]: which of the N people each row is."""
    refused: Mapping[str, str]
    """People who could not be listed, and why."""
    photographs: int
    """How many were used."""
    rejected: Mapping[str, int]
    """Photographs that were not, by reason."""
    bystanders: int = 0
    """Photographs, of those used, that show several faces: a run would refuse them, a protocol is taken at its word."""


class Scores(Struct, frozen=True, kw_only=True, eq=False):
    """One score a person, and what led to it."""

    mated: tuple[str, ...]
    """n_m people."""
    own: NDArray[np.float64]
    """float64 [n_m]: similarity to the right listed person, under the sequential rule; -inf where there is none."""
    own_column: NDArray[np.int64]
    """int64 [n_m]: which of the N listed people that is; -1 for whoever could not be listed."""
    ranked_first: NDArray[np.bool_]
    """bool [n_m]: everybody else listed was less near, at the last look."""
    others: NDArray[np.float64]
    """float64 [n_m]: highest similarity to anybody else listed: an alert for the wrong person."""
    nonmated: tuple[str, ...]
    """n_n people."""
    nearest: NDArray[np.float64]
    """float64 [n_n]: the highest similarity of each to anybody listed, under the sequential rule; -inf for whoever was
    never searched."""
    pairs: Pairs
    """The non-mated people and the listed ones they resemble, from the floor on."""
    looks_mated: NDArray[np.int64]
    """int64 [n_m]: faces pooled in the passage that counts."""
    looks_nonmated: NDArray[np.int64]
    """int64 [n_n]: most faces pooled in a passage."""


def _templates(
    seen: Observations, rows: Sequence[int], *, mirrored: bool, views: Sequence[int] = ()
) -> NDArray[np.float32]:
    """Return one template a photograph, float32 [len(rows), D]: the L2-normalised mean over its views."""
    places = list(rows)
    parts = [seen.plain[places], *(seen.others[view, 0, places] for view in views)]
    if mirrored:
        parts += [seen.mirrored[places], *(seen.others[view, 1, places] for view in views)]
    if len(parts) == 1:
        return parts[0]
    total = np.sum(parts, axis=0)
    return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12), np.float32)


def enrol(photographs: Sequence[Row], numbers: Sequence[int], seen: Observations, recipe: Recipe) -> Gallery:
    """List people, as enrolment does: gates, no photograph that disagrees with its person's others, one mean a person.

    Args:
        photographs: rows of the protocol with the roles `watchlist` and `filler`.
        numbers: where each stands in `seen`.
        seen: what was observed.
        recipe: how.
    """
    closed = gated(seen.qualities, recipe.enrolment)
    rejected: dict[str, int] = {}
    why: dict[str, str] = {}
    kept: list[tuple[str, str, int]] = []
    for row, number in zip(photographs, numbers, strict=True):
        reason = "no_face" if not seen.faces[number] else closed[number]
        if reason is None:
            kept.append((row.identity, row.name, number))
        else:
            rejected[reason] = rejected.get(reason, 0) + 1
            why.setdefault(row.identity, reason)
    templates = _templates(seen, [number for _, _, number in kept], mirrored=recipe.listed_mirrored, views=recipe.views)
    unfit = outliers(templates, [person for person, _, _ in kept], [name for _, name, _ in kept])
    listed: dict[str, list[int]] = {}
    for place, (person, _, _) in enumerate(kept):
        if place in unfit:
            rejected["self_outlier"] = rejected.get("self_outlier", 0) + 1
            why.setdefault(person, "self_outlier")
        else:
            listed.setdefault(person, []).append(place)
    # Each row of the matrix, with the places of the photographs that it is the mean of.
    rows = [
        (owner, part)
        for owner, places in enumerate(listed.values())
        for part in ([places] if recipe.several == "mean" else [[place] for place in places])
    ]
    matrix = np.zeros((len(rows), templates.shape[1]), np.float32)
    for out, (_, part) in zip(matrix, rows, strict=True):
        pool_photographs(templates[part], out)
    return Gallery(
        persons=tuple(listed),
        templates=matrix,
        rows_of=np.array([owner for owner, _ in rows], np.int64),
        refused={person: reason for person, reason in why.items() if person not in listed},
        photographs=sum(map(len, listed.values())),
        rejected=rejected,
        bystanders=sum(int(seen.faces[kept[place][2]] > 1) for places in listed.values() for place in places),
    )


def passages_of(photographs: Sequence[Row], numbers: Sequence[int], seen: Observations, recipe: Recipe) -> list[Walk]:
    """Return the passages that photographs make: those of one person and one value of the column `passage`."""
    closed = gated(seen.qualities, recipe.gates)
    weights, conditions = seen.qualities.overall, seen.qualities.conditions
    grouped: dict[tuple[str, str], list[int]] = {}
    for row, number in zip(photographs, numbers, strict=True):
        grouped.setdefault((row.identity, row.passage), []).append(number)
    walks = []
    for (identity, passage), members in grouped.items():
        good = [number for number in members if seen.faces[number] and closed[number] is None]
        reasons = [
            ("no_face" if not seen.faces[number] else str(closed[number])) for number in members if number not in good
        ]
        walks.append(
            Walk(
                identity=identity,
                passage=passage,
                faces=Faces(
                    templates=_templates(seen, good, mirrored=recipe.live_mirrored, views=recipe.views),
                    weights=weights[good],
                ),
                lost=None if good else max(reasons, key=reasons.count),
                conditions=conditions[good].mean(axis=0) if good else None,
            )
        )
    return walks


def score(gallery: Gallery, mated: Sequence[Walk], nonmated: Sequence[Walk], recipe: Recipe) -> Scores:
    """Compare every passage with everybody listed, under the sequential rule, and count each person once."""
    columns = {person: column for column, person in enumerate(gallery.persons)}
    own, others, first, looks = _mated(gallery, mated, columns, recipe)
    pairs, nearest, names, looks_nonmated = _nonmated(gallery, nonmated, recipe)
    return Scores(
        mated=tuple(own),
        own=np.array(list(own.values()), np.float64),
        own_column=np.array([columns.get(person, -1) for person in own], np.int64),
        ranked_first=np.array(list(first.values()), np.bool_),
        others=np.array(list(others.values()), np.float64),
        nonmated=names,
        nearest=nearest,
        pairs=pairs,
        looks_mated=np.array(list(looks.values()), np.int64),
        looks_nonmated=looks_nonmated,
    )


def _mated(
    gallery: Gallery, walks: Sequence[Walk], columns: Mapping[str, int], recipe: Recipe
) -> tuple[dict[str, float], dict[str, float], dict[str, bool], dict[str, int]]:
    passed: dict[str, list[tuple[float, float, bool, int]]] = {}
    for walk, (ruled, last, looks) in zip(walks, _compared(gallery, walks, recipe), strict=True):
        column = columns.get(walk.identity)
        rest = np.ones(len(ruled), np.bool_)
        if column is not None:
            rest[column] = False
        similarity = -np.inf if column is None else float(ruled[column])
        wrong = float(ruled[rest].max(initial=-np.inf))
        is_first = column is not None and looks > 0 and bool(last[column] > last[rest].max(initial=-np.inf))
        passed.setdefault(walk.identity, []).append((similarity, wrong, is_first, looks))
    counted = {person: sorted(ones)[len(ones) // 2] for person, ones in passed.items()}
    worst = {person: max(one[1] for one in ones) for person, ones in passed.items()}
    return (
        {person: one[0] for person, one in counted.items()},
        worst,
        {person: one[2] for person, one in counted.items()},
        {person: one[3] for person, one in counted.items()},
    )


def _nonmated(
    gallery: Gallery, walks: Sequence[Walk], recipe: Recipe
) -> tuple[Pairs, NDArray[np.float64], tuple[str, ...], NDArray[np.int64]]:
    numbers = {person: number for number, person in enumerate(dict.fromkeys(walk.identity for walk in walks))}
    nearest, most = np.full(len(numbers), -np.inf), np.zeros(len(numbers), np.int64)
    listed = len(gallery.persons)
    cells, similarities = [np.zeros(0, np.int64)], [np.zeros(0)]
    for walk, (ruled, _, looks) in zip(walks, _compared(gallery, walks, recipe), strict=True):
        number = numbers[walk.identity]
        most[number] = max(most[number], looks)
        nearest[number] = max(nearest[number], ruled.max(initial=-np.inf))
        reached = np.flatnonzero(ruled >= FLOOR)
        cells.append(number * listed + reached)
        similarities.append(ruled[reached])
    places, highest = np.concatenate(cells), np.concatenate(similarities)
    order = np.lexsort((-highest, places))  # the highest of a person's passages first
    kept, first = np.unique(places[order], return_index=True)
    pairs = Pairs(
        people=len(numbers),
        listed=listed,
        rows=kept // max(listed, 1),
        columns=kept % max(listed, 1),
        similarities=highest[order][first],
        floor=FLOOR,
    )
    return pairs, nearest, tuple(numbers), most


def _compared(
    gallery: Gallery, walks: Sequence[Walk], recipe: Recipe
) -> Iterable[tuple[NDArray[np.float64], NDArray[np.float64], int]]:
    """Yield for each passage the score against everybody listed, the similarity at the last look, and its looks.

    Of a passage that the pool splits, each stretch is judged by itself, and the higher score counts.
    """
    for start in range(0, len(walks), _BLOCK):
        block = [_looks(walk.faces, recipe) for walk in walks[start : start + _BLOCK]]
        found = np.concatenate([stretch for stretches in block for stretch in stretches]) @ gallery.templates.T
        np.clip(found, -1.0, 1.0, out=found)  # of equal templates rounding makes a little more than 1
        end = 0
        for stretches in block:
            judged = []
            for stretch in stretches:
                end += len(stretch)
                judged.append(_ruled(found[end - len(stretch) : end].astype(np.float64), gallery, recipe))
            ruled, last, looks = zip(*judged, strict=True)
            yield np.max(ruled, axis=0), np.max(last, axis=0), sum(looks)


def _ruled(
    similarities: NDArray[np.float64], gallery: Gallery, recipe: Recipe
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Reduce [looks, M] similarities to one score for each of N people, as the index decides.

    Somebody alerts early when the similarity after k faces reaches threshold + margin / k, and at the end when it
    reaches the threshold: when the highest of those differences does.
    """
    looks = len(similarities)
    people = len(gallery.persons)
    if not looks:
        nothing = np.full(people, -np.inf)
        return nothing, nothing, 0
    nearest = np.full((people, looks), -np.inf)
    np.maximum.at(nearest, gallery.rows_of, similarities.T)
    margins = np.array([early_margin_of(recipe.early_margin, faces) for faces in range(1, looks + 1)])
    margins[-1] = 0.0
    return (nearest - margins).max(axis=1), nearest[:, -1], looks


def _looks(faces: Faces, recipe: Recipe) -> list[NDArray[np.float32]]:
    """Return the pooled template after 1, 2 … K faces, float32 [K, D], without those that disagree with the pool.

    That is one stretch; where the pool says that somebody else is there now, the next face begins another one, as the
    tracker begins another passage then.
    """
    count, dimension = faces.templates.shape
    most = count if recipe.most_looks is None else min(count, recipe.most_looks)
    pool, pooled = Pool(dimension), np.zeros((most, dimension), np.float32)
    began = filled = 0
    stretches = []
    for template, quality in zip(faces.templates[:most], faces.weights[:most].tolist(), strict=True):
        added = pool.add(template, quality if recipe.weight == "quality" else 1.0)
        if added is Added.SPLIT:
            stretches.append(pooled[began:filled])
            pool.erase()
            pool, began = Pool(dimension), filled
        elif added is Added.POOLED:
            pool.write_mean(pooled[filled])
            filled += 1
    pool.erase()
    return [*stretches, pooled[began:filled]]
