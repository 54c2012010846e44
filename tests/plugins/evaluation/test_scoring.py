"""Scores are what a run would decide: held against the index's own host, and counted by people."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.plugins.evaluation.people import good_qualities

from lfr_kernel.api import Biometric, EnrolmentGates, Gates, gated
from lfr_kernel.governance.watchlist import Enrolled, Watchlist
from lfr_kernel.messages import Match, Passage, PassageSplit, Probe
from lfr_kernel.stages.index import Gallery as Loaded
from lfr_kernel.stages.index import IndexHost
from lfr_kernel.testing import InlineLane, run_actor
from lfr_kernel.testing.fakes import NumpyIndex, digest_of
from lfr_plugins.lab.evaluation import scoring
from lfr_plugins.lab.evaluation.observation import Observations
from lfr_plugins.lab.evaluation.protocol import Row
from lfr_plugins.lab.evaluation.scoring import (
    FLOOR,
    Faces,
    Gallery,
    Recipe,
    Scores,
    Walk,
    enrol,
    passages_of,
    score,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

D = 6
"""Few dimensions, so that everybody resembles somebody."""
MARGIN = 0.06
PLAIN = Recipe(gates=Gates(), enrolment=EnrolmentGates(), early_margin=MARGIN, live_mirrored=False)


def unit(array: Any) -> NDArray[np.float32]:
    found = np.asarray(array, np.float64)
    return np.asarray(found / np.linalg.norm(found, axis=-1, keepdims=True), np.float32)


def a_gallery(rng: np.random.Generator, people: int, photographs: int = 1) -> Gallery:
    rows = np.repeat(np.arange(people), photographs)
    return Gallery(
        persons=tuple(f"listed {number}" for number in range(people)),
        templates=unit(rng.normal(size=(len(rows), D))),
        rows_of=rows,
        refused={},
        photographs=len(rows),
        rejected={},
    )


def a_walk(identity: str, templates: Any, passage: str = "", weights: Any = None) -> Walk:
    held = unit(np.asarray(templates, np.float64).reshape(-1, D))
    return Walk(
        identity=identity,
        passage=passage,
        faces=Faces(templates=held, weights=np.ones(len(held)) if weights is None else np.asarray(weights, float)),
        lost=None if len(held) else "no_face",
    )


def random_walks(rng: np.random.Generator, gallery: Gallery, count: int, role: str) -> list[Walk]:
    """People with up to three passages of up to six faces; now and then somebody else walks through the picture."""
    walks = []
    for number in range(count):
        person = number % max(len(gallery.persons), 1)
        centre = gallery.templates[person] if role == "listed" else rng.normal(size=D)
        for passage in range(rng.integers(1, 4)):
            faces = centre / np.linalg.norm(centre) + rng.normal(scale=0.3, size=(rng.integers(0, 7), D))
            for intruder in np.flatnonzero(rng.random(len(faces)) < 0.2):
                faces[intruder : intruder + 2] = rng.normal(size=D)
            walks.append(a_walk(f"{role} {person if role == 'listed' else number}", faces, str(passage),
                                rng.uniform(0.1, 1, len(faces))))  # fmt: skip
    return walks


# ---- the rule ------------------------------------------------------------------------------------------------------


async def who_alerts(gallery: Gallery, walks: Sequence[Walk], threshold: float, margin: float) -> list[set[str]]:
    """Return who alerts in each walk when its faces go to the index's host one by one, as they would in a run."""
    digest = digest_of("model")
    host = IndexHost(
        NumpyIndex,
        InlineLane(),
        gallery=lambda: Loaded(
            templates=Biometric(gallery.templates.copy()),
            persons=tuple(gallery.persons[row] for row in gallery.rows_of),
            digest=digest,
            generation=1,
        ),
        digest=digest,
        dimension=D,
        threshold=threshold,
        early_margin=margin,
        looks=None,
        deadline_s=5,
    )
    walk_of: dict[str, int] = {}

    async with run_actor(host) as run:

        async def end(passage: str, probes: int) -> None:
            await run.send(
                Passage(passage=passage, camera="gate", probes=probes, began_stream_ns=0, ended_stream_ns=1, frames=9,
                        ended="age")
            )  # fmt: skip
            await run.settle()

        for number, walk in enumerate(walks):
            passage, sent = f"{number}-0", 0
            walk_of[passage] = number
            for template, weight in zip(walk.faces.templates, walk.faces.weights, strict=True):
                splits = len(run.emitted(PassageSplit))
                await run.send(
                    Probe(
                        passage=passage, number=sent, camera="gate", template=Biometric(template.copy()),
                        crop=Biometric(np.zeros((4, 4, 3), np.uint8)), quality=float(weight), box=(0.0, 0.0, 9.0, 9.0),
                        captured_at_ns=1, captured_monotonic_ns=1, embedded_monotonic_ns=1,
                    )
                )  # fmt: skip
                await run.settle()
                sent += 1
                if len(run.emitted(PassageSplit)) > splits:  # the tracker begins another passage
                    await end(passage, sent)
                    passage, sent = f"{passage}+", 0
                    walk_of[passage] = number
            await end(passage, sent)
        found: list[set[str]] = [set() for _ in walks]
        for match in run.emitted(Match):
            found[walk_of[match.passage]].add(match.person)
            match.crop.erase()
        return found


def rule_scores(gallery: Gallery, walks: Sequence[Walk], margin: float) -> NDArray[np.float64]:
    recipe = msgspec.structs.replace(PLAIN, early_margin=margin)
    return np.array([ruled for ruled, _, _ in scoring._compared(gallery, walks, recipe)])


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), margin=st.sampled_from((0.0, 0.06, 0.3)), photographs=st.integers(1, 2))
def test_whoever_reaches_a_threshold_is_whom_the_index_alerts_for(seed: int, margin: float, photographs: int) -> None:
    rng = np.random.default_rng(seed)
    gallery = a_gallery(rng, 3, photographs)
    walks = random_walks(rng, gallery, 4, "listed") + random_walks(rng, gallery, 4, "strange")
    scores = rule_scores(gallery, walks, margin)
    for threshold in rng.uniform(0.2, 0.95, 3).tolist():
        if np.abs(scores - threshold).min() < 1e-5:
            continue  # float32 sums in another order
        alerted = anyio.run(partial(who_alerts, gallery, walks, threshold, margin))
        reached = [{gallery.persons[column] for column in np.flatnonzero(row >= threshold)} for row in scores]
        assert alerted == reached


def test_an_early_look_must_be_surer_and_the_last_need_not() -> None:
    gallery = msgspec.structs.replace(a_gallery(np.random.default_rng(0), 1), templates=unit([[1.0, 0, 0, 0, 0, 0]]))

    def at(*cosines: float) -> list[list[float]]:
        return [[cosine, (1 - cosine**2) ** 0.5, 0, 0, 0, 0] for cosine in cosines]

    def of(walk: Walk) -> float:
        return float(rule_scores(gallery, [walk], 0.06)[0, 0])

    assert of(a_walk("one look is the last", at(0.6))) == pytest.approx(0.6)
    (early,) = rule_scores(gallery, [a_walk("surer at first", at(0.9, 0.1))], 0.06)
    assert early[0] == pytest.approx(0.9 - 0.06)
    assert of(a_walk("surer at last", at(0.1, 0.9))) == pytest.approx(
        float((unit(at(0.1)) + unit(at(0.9)))[0, 0]) / np.linalg.norm(unit(at(0.1)) + unit(at(0.9)))
    )
    assert of(a_walk("never seen", [])) == -np.inf


def test_what_follows_a_split_counts_as_another_passage_and_is_not_lost() -> None:
    gallery = msgspec.structs.replace(a_gallery(np.random.default_rng(0), 2), templates=np.eye(2, D, dtype=np.float32))
    other, first, second = np.eye(D)[2], np.eye(D)[0], np.eye(D)[1]
    walk = a_walk("somebody", [other, first, first, second, second])
    (ruled,) = rule_scores(gallery, [walk], 0.06)
    assert ruled[0] == pytest.approx(0.0, abs=1e-6)  # held back, and then what tells of the split
    assert ruled[1] == pytest.approx(1.0)
    ((_, _, looks),) = scoring._compared(gallery, [walk], PLAIN)
    assert looks == 3


def test_a_single_face_that_disagrees_is_left_out() -> None:
    gallery = msgspec.structs.replace(a_gallery(np.random.default_rng(0), 2), templates=np.eye(2, D, dtype=np.float32))
    other, first = np.eye(D)[2], np.eye(D)[0]
    (ruled,) = rule_scores(gallery, [a_walk("somebody", [other, first, other])], 0.0)
    assert ruled.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("block", [1, 2, 7])
def test_how_many_are_compared_at_a_time_makes_no_difference(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    rng = np.random.default_rng(3)
    gallery = a_gallery(rng, 4)
    walks = random_walks(rng, gallery, 9, "strange")
    whole = rule_scores(gallery, walks, MARGIN)
    monkeypatch.setattr(scoring, "_BLOCK", block)
    assert np.allclose(rule_scores(gallery, walks, MARGIN), whole, atol=1e-6)


# ---- people --------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), photographs=st.integers(1, 3))
def test_a_person_counts_once_by_the_highest_or_by_the_upper_median(seed: int, photographs: int) -> None:
    rng = np.random.default_rng(seed)
    gallery = a_gallery(rng, 4, photographs)
    mated, nonmated = random_walks(rng, gallery, 4, "listed"), random_walks(rng, gallery, 6, "strange")
    found = score(gallery, mated, nonmated, PLAIN)
    dense = rule_scores(gallery, [*mated, *nonmated], MARGIN)
    last = np.array([one for _, one, _ in scoring._compared(gallery, mated, PLAIN)])
    assert len(set(found.mated)) == len(found.mated) == len(found.own) == len(found.others) == len(found.ranked_first)
    for place, person in enumerate(found.mated):
        rows = [row for row, walk in enumerate(mated) if walk.identity == person]
        column = gallery.persons.index(person)
        passed = sorted((dense[row, column], row) for row in rows)
        similarity, row = passed[len(passed) // 2]
        assert found.own[place] == pytest.approx(similarity)
        assert (dense[rows, column] >= similarity).sum() * 2 >= len(rows), "found in half of the passages, or more"
        assert (dense[rows, column] > similarity).sum() * 2 < len(rows), "and in fewer at any threshold above"
        others = np.delete(dense[rows], column, axis=1)
        assert found.others[place] == pytest.approx(others.max())
        assert found.own_column[place] == column
        if similarity > -np.inf:
            assert found.ranked_first[place] == (last[row].argmax() == column)
        else:
            assert not found.ranked_first[place]
    highest = np.array(
        [dense[[len(mated) + row for row, walk in enumerate(nonmated) if walk.identity == person]].max(axis=0)
         for person in found.nonmated]
    )  # fmt: skip
    assert found.nearest == pytest.approx(highest.max(axis=1))
    assert (found.pairs.people, found.pairs.listed) == highest.shape
    sparse = np.full(highest.shape, -np.inf)
    sparse[found.pairs.rows, found.pairs.columns] = found.pairs.similarities
    assert np.allclose(sparse[highest >= FLOOR], highest[highest >= FLOOR])
    assert np.isneginf(sparse[highest < FLOOR - 1e-6]).all()


def test_who_resembles_nobody_much_still_has_a_score() -> None:
    gallery = msgspec.structs.replace(a_gallery(np.random.default_rng(0), 1), templates=np.eye(1, D, dtype=np.float32))
    walks = [a_walk("far", [-np.eye(D)[0]]), a_walk("off", [np.eye(D)[1]]), a_walk("never", [])]
    found = score(gallery, [a_walk("listed 0", [])], walks, PLAIN)
    assert found.nearest.tolist() == [-1.0, 0.0, -np.inf]
    assert found.looks_nonmated.tolist() == [1, 1, 0]
    assert found.pairs.people == 3
    assert not len(found.pairs.rows)


def test_nobody_leaves_a_denominator() -> None:
    rng = np.random.default_rng(1)
    gallery = msgspec.structs.replace(a_gallery(rng, 2), refused={"refused": "blurred"})
    mated = [
        a_walk("listed 0", gallery.templates[0]),
        a_walk("listed 1", []),
        a_walk("refused", gallery.templates[0]),
        a_walk("listed 0", [], "again"),
    ]
    found = score(gallery, mated, [a_walk("eve", []), a_walk("zoe", rng.normal(size=D))], PLAIN)
    assert found.mated == ("listed 0", "listed 1", "refused")
    assert found.own.tolist() == [pytest.approx(1.0), -np.inf, -np.inf]  # found in one of two passages: in half of them
    assert found.own_column.tolist() == [0, 1, -1]
    assert found.ranked_first.tolist() == [True, False, False]
    assert found.others[2] == pytest.approx(1.0), "somebody who could not be listed may alert as somebody else"
    assert found.nonmated == ("eve", "zoe")
    assert found.nearest[0] == -np.inf
    assert found.pairs.people == 2


def test_a_list_of_one_and_of_nobody() -> None:
    rng = np.random.default_rng(1)
    gallery = a_gallery(rng, 1)
    found = score(gallery, [a_walk("listed 0", gallery.templates[0])], [a_walk("eve", [])], PLAIN)
    assert found.ranked_first.tolist() == [True]
    assert found.others.tolist() == [-np.inf]
    found = score(a_gallery(rng, 0), [a_walk("listed 0", np.ones(D))], [a_walk("eve", np.ones(D))], PLAIN)
    assert found.own.tolist() == found.nearest.tolist() == [-np.inf]
    assert found.ranked_first.tolist() == [False]
    assert found.pairs.listed == 0


def test_a_tie_with_somebody_else_is_no_first_rank() -> None:
    gallery = msgspec.structs.replace(
        a_gallery(np.random.default_rng(0), 2), templates=np.eye(1, D, dtype=np.float32).repeat(2, axis=0)
    )
    found = score(gallery, [a_walk("listed 1", np.eye(D)[0])], [a_walk("eve", [])], PLAIN)
    assert found.ranked_first.tolist() == [False]


@given(looks=st.integers(1, 7), seed=st.integers(0, 100))
def test_so_many_looks_are_the_first_so_many_faces(looks: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    gallery = a_gallery(rng, 3)
    mated, nonmated = random_walks(rng, gallery, 3, "listed"), random_walks(rng, gallery, 3, "strange")

    def cut(walk: Walk) -> Walk:
        faces = Faces(templates=walk.faces.templates[:looks], weights=walk.faces.weights[:looks])
        return msgspec.structs.replace(walk, faces=faces)

    found = score(gallery, mated, nonmated, replace(PLAIN, most_looks=looks))
    wanted = score(gallery, [cut(walk) for walk in mated], [cut(walk) for walk in nonmated], PLAIN)
    assert same(found, wanted)
    assert found.looks_mated.max(initial=0) <= looks


def same(found: Scores, wanted: Scores) -> bool:
    names = ("own", "others", "nearest", "own_column", "ranked_first", "looks_mated", "looks_nonmated")
    return (found.mated, found.nonmated) == (wanted.mated, wanted.nonmated) and all(
        np.allclose(getattr(found, name), getattr(wanted, name), atol=1e-6) for name in names
    )


# ---- from photographs ----------------------------------------------------------------------------------------------


def observed(plain: Any, faces: Sequence[int] | None = None, mirrored: Any = None, **changed: Any) -> Observations:
    templates = unit(plain)
    count = len(templates)
    return Observations(
        digests=tuple(f"{number:064x}" for number in range(count)),
        faces=np.array([1] * count if faces is None else faces),
        qualities=good_qualities(count, **changed),
        plain=templates,
        mirrored=templates if mirrored is None else unit(mirrored),
        others=np.zeros((0, 2, count, D), np.float32),
    )


def rows_of(*people: tuple[str, str], passages: Sequence[str] | None = None) -> list[Row]:
    return [
        Row(line=number + 2, path=Path(f"{number}.jpg"), name=f"{number}.jpg", identity=person, role=role,
            passage="" if passages is None else passages[number])
        for number, (person, role) in enumerate(people)
    ]  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    persons=st.lists(st.sampled_from("abc"), min_size=1, max_size=9),
    noise=st.floats(0.05, 1.2),
)
def test_several_photographs_are_listed_as_a_watchlist_lists_them(seed: int, persons: list[str], noise: float) -> None:
    rng = np.random.default_rng(seed)
    centres = dict(zip("abc", rng.normal(size=(3, D)), strict=True))
    plain = np.array([centres[person] + rng.normal(scale=noise, size=D) for person in persons])
    seen = observed(plain)
    rows = rows_of(*((person, "watchlist") for person in persons))
    found = enrol(rows, range(len(rows)), seen, PLAIN)
    watchlist = Watchlist(
        [
            Enrolled(person=row.identity, photo=row.name, template=Biometric(template.copy()),
                     portrait=Biometric(np.zeros((2, 2, 3), np.uint8)))
            for row, template in zip(rows, seen.plain, strict=True)
        ],
        (), digest=digest_of("model"), dimension=D,
    )  # fmt: skip
    assert found.persons == watchlist.persons
    assert np.allclose(found.templates, watchlist.templates.array, atol=1e-6)
    assert found.photographs == watchlist.photographs
    assert found.rejected.get("self_outlier", 0) == len(watchlist.rejected)
    assert set(found.persons) | set(found.refused) == set(persons)
    watchlist.erase()


def test_gates_refuse_photographs_and_whoever_has_no_other_is_refused_with_the_reason() -> None:
    seen = observed(
        np.eye(5, D), faces=[1, 1, 0, 2, 1], sharpness=[0.8, 0.1, 0.8, 0.8, 0.1], confidence=[0.9, 0.9, 0.9, 0.5, 0.1]
    )
    rows = rows_of(
        ("ada", "watchlist"), ("ada", "watchlist"), ("bob", "filler"), ("cleo", "watchlist"), ("di", "filler")
    )
    found = enrol(rows, range(5), seen, PLAIN)
    assert found.persons == ("ada",)
    assert found.refused == {"bob": "no_face", "cleo": "low_confidence", "di": "low_confidence"}
    assert found.rejected == {"blurred": 1, "no_face": 1, "low_confidence": 2}
    assert (found.photographs, found.templates.shape) == (1, (1, D))
    closed = gated(seen.qualities, PLAIN.enrolment)
    assert [reason is None for reason in closed] == [True, False, True, False, False]


def test_the_gates_of_a_passage_are_not_those_of_enrolment() -> None:
    seen = observed(np.eye(4, D), faces=[1, 0, 1, 1], sharpness=[0.16, 0.9, 0.1, 0.1])
    rows = rows_of(("ada", "mated"), ("ada", "mated"), ("ada", "mated"), ("eve", "nonmated"))
    ada, eve = passages_of(rows, range(4), seen, PLAIN)
    assert (ada.identity, len(ada.faces.templates), ada.lost) == ("ada", 1, None)
    assert ada.faces.weights.tolist() == [seen.qualities.overall[0]]
    assert (len(eve.faces.templates), eve.lost) == (0, "blurred")
    (lost,) = passages_of(rows_of(*[("bob", "mated")] * 4), [1, 2, 3, 1], seen, PLAIN)
    assert lost.lost in {"no_face", "blurred"}
    (lost,) = passages_of(rows_of(*[("bob", "mated")] * 3), [1, 2, 3], seen, PLAIN)
    assert lost.lost == "blurred", "the most frequent reason"


def test_passages_are_those_of_the_column_and_faces_keep_the_order_of_the_protocol() -> None:
    rows = rows_of(*[("ada", "mated")] * 4, passages=["b", "a", "b", ""])
    walks = passages_of(rows, [3, 2, 1, 0], observed(np.eye(4, D)), PLAIN)
    assert [walk.passage for walk in walks] == ["b", "a", ""]
    assert walks[0].faces.templates.argmax(axis=1).tolist() == [3, 1]


def test_mirror_images_and_other_views_are_averaged_where_the_recipe_says_so() -> None:
    first, second, third = np.eye(3, D)
    seen = observed([first], mirrored=[second])
    seen = msgspec.structs.replace(seen, others=np.array([[[third], [third]]], np.float32))
    rows = rows_of(("ada", "mated"))

    def template(**changed: Any) -> list[float]:
        (walk,) = passages_of(rows, [0], seen, msgspec.structs.replace(PLAIN, **changed))
        return [round(float(part) ** 2, 4) for part in walk.faces.templates[0, :3]]

    assert template() == [1, 0, 0]
    assert template(live_mirrored=True) == [0.5, 0.5, 0]
    assert template(views=(0,)) == [0.5, 0, 0.5]
    assert template(views=(0,), live_mirrored=True) == [0.1667, 0.1667, 0.6667]
    gallery = enrol(rows_of(("ada", "watchlist")), [0], seen, PLAIN)
    assert gallery.templates[0, :3] == pytest.approx([0.5**0.5, 0.5**0.5, 0])
    gallery = enrol(rows_of(("ada", "watchlist")), [0], seen, msgspec.structs.replace(PLAIN, listed_mirrored=False))
    assert gallery.templates[0, :3].tolist() == [1, 0, 0]


def test_weights_are_by_quality_or_equal() -> None:
    gallery = msgspec.structs.replace(a_gallery(np.random.default_rng(0), 1), templates=np.eye(1, D, dtype=np.float32))
    tilted = unit([[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]])
    walk = a_walk("listed 0", tilted, weights=[0.1, 0.9])

    def of(weight: str) -> float:
        recipe = msgspec.structs.replace(PLAIN, weight=weight, early_margin=5.0)
        return float(score(gallery, [walk], [a_walk("eve", [])], recipe).own[0])

    def mean(first: float, second: float) -> float:
        pooled = first * tilted[0] + second * tilted[1]
        return float(pooled[0] / np.linalg.norm(pooled))

    assert of("quality") == pytest.approx(mean(0.1, 0.9))
    assert of("equal") == pytest.approx(mean(1, 1))


def test_each_photograph_may_be_listed_by_itself_and_counts_for_its_person() -> None:
    seen = observed([[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]])
    rows = rows_of(("ada", "watchlist"), ("ada", "watchlist"), ("bob", "watchlist"))
    recipe = msgspec.structs.replace(PLAIN, several="nearest")
    gallery = enrol(rows, range(3), seen, recipe)
    assert gallery.persons == ("ada", "bob")
    assert gallery.rows_of.tolist() == [0, 0, 1]
    found = score(gallery, [a_walk("ada", seen.plain[1])], [a_walk("eve", seen.plain[2])], recipe)
    assert found.own.tolist() == pytest.approx([1.0])
    assert found.pairs.columns.tolist() == [1]


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), shuffled=st.permutations(range(18)))
def test_the_order_of_the_lines_of_different_people_makes_no_difference(seed: int, shuffled: list[int]) -> None:
    rng = np.random.default_rng(seed)
    people = [(f"p{number}", role) for number in range(6) for role in ("watchlist", "mated")]
    people += [(f"q{number}", "nonmated") for number in range(6)]
    seen = observed(rng.normal(size=(18, D)), faces=(rng.random(18) > 0.2).astype(int).tolist())

    def scored(order: Sequence[int]) -> dict[str, tuple[float, ...]]:
        rows = [rows_of(*people)[number] for number in order]

        def of(*roles: str) -> tuple[list[Row], list[int]]:
            chosen = [(row, number) for row, number in zip(rows, order, strict=True) if row.role in roles]
            return [row for row, _ in chosen], [number for _, number in chosen]

        gallery = enrol(*of("watchlist"), seen, PLAIN)
        found = score(gallery, passages_of(*of("mated"), seen, PLAIN), passages_of(*of("nonmated"), seen, PLAIN), PLAIN)
        mated = zip(found.mated, found.own, found.others, found.ranked_first, strict=True)
        return {
            **{person: tuple(map(float, facts)) for person, *facts in mated},
            **{person: (float(one),) for person, one in zip(found.nonmated, found.nearest, strict=True)},
        }

    straight, mixed = scored(range(18)), scored(shuffled)
    assert straight.keys() == mixed.keys()
    for person, facts in straight.items():
        assert mixed[person] == pytest.approx(facts, abs=1e-6), person
