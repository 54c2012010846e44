"""Two configurations are compared person by person, on scores that go to disk and come back bit for bit."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plugins.evaluation.people import made_up
from tests.plugins.evaluation.test_figures import scores_of

from lfr_plugins.lab.evaluation.assembly import assemble, recipe_of
from lfr_plugins.lab.evaluation.comparing import ScoreTable, alternatives, read_scores, try_choices, written_scores
from lfr_plugins.lab.evaluation.protocol import ProtocolError
from lfr_plugins.lab.evaluation.statistics import paired_difference
from lfr_plugins.lab.evaluation.views import VIEW_SETS, VIEWS

if TYPE_CHECKING:
    from pathlib import Path

    from lfr_plugins.lab.evaluation.assembly import Evaluated
    from lfr_plugins.lab.evaluation.scoring import Recipe, Scores

SIMILARITY = st.one_of(st.floats(-1, 1, width=64), st.just(-np.inf))
PERSON = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(lambda name: " ".join(name.split()))
"""As a protocol has them; an empty one is told as a mistake there, and is none here."""


def lie(folder: Path, evaluated: Evaluated) -> Path:
    """Write what a comparison reads."""
    folder.mkdir(exist_ok=True)
    (folder / "report.json").write_bytes(msgspec.json.encode(evaluated.report))
    (folder / "scores.csv").write_bytes(written_scores(evaluated.table).encode())
    return folder


@pytest.fixture(scope="module")
def evaluated() -> Evaluated:
    return assemble(made_up())


@settings(deadline=None, max_examples=50)
@given(
    people=st.lists(PERSON, min_size=2, max_size=6, unique=True),
    scores=st.lists(st.tuples(SIMILARITY, SIMILARITY), min_size=6, max_size=6),
)
def test_scores_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, people: list[str], scores: list[tuple[float, float]]
) -> None:
    half = len(people) // 2

    def table(column: int) -> Scores:
        own, nearest = [one[column] for one in scores[:half]], [one[column] for one in scores[half : len(people)]]
        return scores_of([[one] for one in nearest], own=own, mated=tuple(people[:half]), nonmated=tuple(people[half:]))

    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    path.write_bytes(written_scores(ScoreTable(all_faces=table(0), first_face=table(1))).encode())
    read = read_scores(path)
    assert read["mated"].people == tuple(people[:half])
    assert read["nonmated"].people == tuple(people[half:])
    for column, name in enumerate(("all_faces", "first_face")):
        assert getattr(read["mated"], name).tobytes() == table(column).own.tobytes()
        assert getattr(read["nonmated"], name).tobytes() == table(column).nearest.tobytes()


def test_scores_are_a_table_that_anybody_can_count_again(evaluated: Evaluated) -> None:
    rows = list(csv.DictReader(io.StringIO(written_scores(evaluated.table))))
    assert [row["role"] for row in rows] == ["mated"] * 40 + ["nonmated"] * 200
    advice = evaluated.report.recommendation
    assert advice.threshold is not None
    (two,) = [one for one in evaluated.report.descriptive if one.looks == 2]
    column = "first_face" if advice.looks == 1 else "all_faces"
    assert two.nonmated == 200, "everybody has two faces, so all faces are the first two"
    alerts = [row for row in rows if row["role"] == "nonmated" and float(row[column]) >= advice.threshold]
    assert advice.fpir is not None
    assert len(alerts) == advice.fpir.events


def test_against_itself_there_is_no_difference_at_all(evaluated: Evaluated, tmp_path: Path) -> None:
    report = assemble(made_up(), against=lie(tmp_path / "old", evaluated)).report
    assert report.comparison is not None
    assert report.comparison.differing == {}
    for one in (*report.comparison.all_faces, *report.comparison.first_face):
        assert (one.difference, one.low, one.high, one.lower) == (0.0, 0.0, 0.0, 0.0)
        assert one.first == one.second
    digest = msgspec.json.encode(evaluated.report)
    assert (tmp_path / "old" / "report.json").read_bytes() == digest


def test_what_differs_is_named_and_people_are_paired_whatever_their_order(evaluated: Evaluated, tmp_path: Path) -> None:
    inputs = made_up(seed=5, noise=0.9, profile={"embedder": {"mirror_live": True}})
    inputs = msgspec.structs.replace(
        inputs,
        embedder=msgspec.structs.replace(inputs.embedder, sha256="3" * 64),
        protocol=msgspec.structs.replace(inputs.protocol, digest="4" * 64),
    )
    folder = lie(tmp_path / "old", evaluated)
    found = assemble(inputs, against=folder)
    assert found.report.comparison is not None
    differing = found.report.comparison.differing
    assert differing["embedder (SHA-256)"] == ("2" * 64, "3" * 64)
    assert differing["protocol (SHA-256)"] == ("0" * 64, "4" * 64)
    assert "detector (SHA-256)" not in differing
    header, *lines = (folder / "scores.csv").read_text().splitlines()
    (folder / "scores.csv").write_text("\n".join([header, *lines[::-1]]) + "\n")
    assert assemble(inputs, against=folder).report.comparison == found.report.comparison
    there, here = evaluated.table.all_faces, found.table.all_faces
    assert there.mated == here.mated
    wanted = paired_difference((there.own, there.nearest), (here.own, here.nearest), 0.01)
    assert found.report.comparison.all_faces[0] == wanted
    assert wanted.difference is not None
    assert wanted.difference < 0, "noisier faces are found less often: here less there"


def test_other_people_are_refused(evaluated: Evaluated, tmp_path: Path) -> None:
    folder = lie(tmp_path / "old", evaluated)
    with pytest.raises(ProtocolError, match="same people, got 200 nonmated ones of whom 199 are among these 199"):
        assemble(made_up(nonmated=199), against=folder)
    with pytest.raises(ProtocolError, match="same people, got 40 mated ones"):
        assemble(made_up(mated=39), against=folder)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "expected the scores.csv of another evaluation"),
        (b"identity,role\n", "the columns are identity, role"),
        (b"identity,role,faces,all_faces,first_face\na,mated,1,0.5\n", "not enough values"),
        (b"identity,role,faces,all_faces,first_face\na,mated,1,high,0.5\n", "could not convert"),
        (b"identity,role,faces,all_faces,first_face\na,mated,1,nan,0.5\n", "nan is no similarity"),
        (b"identity,role,faces,all_faces,first_face\na,filler,1,0.1,0.5\n", "filler"),
        (b"identity,role,faces,all_faces,first_face\na,mated,1,0.1,0.5\na,mated,1,0.1,0.5\n", "'a' stands there twice"),
        (b"identity,role,faces,all_faces,first_face\n\xff,mated,1,0.1,0.5\n", "can't decode"),
    ],
)
def test_scores_that_are_none_are_refused_and_not_guessed_at(
    evaluated: Evaluated, tmp_path: Path, content: bytes, told: str
) -> None:
    folder = lie(tmp_path / "old", evaluated)
    (folder / "scores.csv").write_bytes(content)
    with pytest.raises(ProtocolError, match=told):
        assemble(made_up(), against=folder)


def test_a_folder_without_a_report_is_no_evaluation(evaluated: Evaluated, tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match=r"scores\.csv: expected the scores"):
        assemble(made_up(), against=tmp_path)
    folder = lie(tmp_path / "old", evaluated)
    (folder / "report.json").write_text('{"covers": {}}')
    with pytest.raises(ProtocolError, match=r"report\.json: expected the report of another evaluation"):
        assemble(made_up(), against=folder)


def test_each_choice_departs_from_the_recipe_in_one_thing() -> None:
    recipe = recipe_of(made_up().profile)
    found = alternatives(recipe, ())
    assert all(other != recipe for _, _, other in found)
    assert len(alternatives(recipe, tuple(VIEWS))) == len(found) + len(VIEW_SETS)
    with_views = alternatives(recipe, tuple(VIEWS))[-1]
    assert with_views[2].views == tuple(range(len(VIEWS)))


def test_choices_are_scored_on_the_same_people_and_compared_with_what_is() -> None:
    recipe = recipe_of(made_up().profile)
    rng = np.random.default_rng(1)
    matrix, own = rng.uniform(0, 0.5, (300, 3)), rng.uniform(0, 1, 3)
    here = scores_of(matrix, own)
    asked: list[Recipe] = []

    def scored(other: Recipe) -> Scores:
        asked.append(other)
        return scores_of(matrix, np.zeros(3)) if other.early_margin == 0 else here

    found = try_choices(ScoreTable(all_faces=here, first_face=here), recipe, (), scored, 0.01)
    assert [one.instead for one in found] == [instead for _, instead, _ in alternatives(recipe, ())]
    assert [other.most_looks for other in asked] == [None, 1] * len(found)
    (worse,) = [one for one in found if "no margin" in one.instead]
    assert worse.all_faces == 0.0
    assert worse.difference.difference == pytest.approx((own >= worse_threshold(here)).mean())
    assert all(one.difference.difference == 0 for one in found if one is not worse)


def worse_threshold(scores: Scores) -> float:
    return float(np.nextafter(np.sort(scores.nearest)[-4], 1))


def test_a_choice_that_cannot_be_measured_has_no_figure() -> None:
    few: Any = scores_of([[0.5], [0.4]], own=[0.9])
    recipe = recipe_of(made_up().profile)
    found = try_choices(ScoreTable(all_faces=few, first_face=few), recipe, (), lambda _: few, 0.01)
    assert {(one.all_faces, one.first_face, one.difference.difference) for one in found} == {(None, None, None)}
