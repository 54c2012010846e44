"""A report holds together: who took part, what it covers, and the same bytes for the same data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from tests.plugins.evaluation.people import good_qualities, made_up

from lfr_kernel.api import Coverage, most_looks, recognition_settings
from lfr_plugins.lab.evaluation import assembly
from lfr_plugins.lab.evaluation.assembly import assemble
from lfr_plugins.lab.evaluation.clips import Walked
from lfr_plugins.lab.evaluation.protocol import ProtocolError
from lfr_plugins.lab.evaluation.report import Report
from lfr_plugins.lab.evaluation.scoring import FLOOR, Faces, Walk

if TYPE_CHECKING:
    from lfr_plugins.lab.evaluation.assembly import Inputs

GROUPS = {"sex": ("woman", "man"), "age": ("young", "old", "not stated")}


def changed(inputs: Inputs, **fields: Any) -> Inputs:
    return msgspec.structs.replace(inputs, seen=msgspec.structs.replace(inputs.seen, **fields))


@pytest.fixture(scope="module")
def report() -> Report:
    return assemble(made_up(groups=GROUPS, without_face=0.1)).report


def test_the_same_data_gives_the_same_bytes_and_they_can_be_read_again(report: Report) -> None:
    again = assemble(made_up(groups=GROUPS, without_face=0.1)).report
    content = msgspec.json.encode(report, order="deterministic")
    assert msgspec.json.encode(again, order="deterministic") == content
    assert msgspec.json.decode(content, type=Report) == report
    assert b"NaN" not in content
    assert b"Infinity" not in content


def test_everybody_stays_in_every_denominator(report: Report) -> None:
    assert (report.people.mated, report.people.nonmated, report.people.listed) == (40, 200, 40)
    everybody, first = report.descriptive[:2]
    assert (everybody.looks, first.looks) == (None, 1)
    for one in (everybody, first):
        assert (one.mated, one.nonmated, one.rank_one.n) == (40, 200, 40)
        assert {point.tpir.n for point in one.points if point.tpir} == {40}
    assert all(one.tpir is not None and one.tpir.n == 40 for one in report.transferred)
    assert sum(one.n for one in report.groups[0].missed.values()) == 40
    assert sum(one.n for one in report.groups[1].alerted.values()) == 200
    assert sum(report.histogram.mated) + report.histogram.unsearched_mated == 40
    assert sum(report.histogram.nonmated) + report.histogram.unsearched_nonmated == 200


def test_conditions_are_of_passages_with_faces_that_were_used_and_a_passage_is_the_mean_of_its_faces() -> None:
    inputs = made_up(listed=10, mated=10, nonmated=30, photographs=2)
    passing = [number for number, row in enumerate(inputs.photographs) if not row.is_listed]
    width, sharp = np.full(len(inputs.photographs), 900.0), np.full(len(inputs.photographs), 0.8)
    for place, number in enumerate(passing):
        width[number] = 70 + place // 2 + (30 if place % 2 else -30)  # far away, then near
    sharp[passing[:2]] = 0.0  # both photographs of the first, blurred beyond use
    width[passing[3]], sharp[passing[3]] = 5_000, 0.0
    inputs = changed(inputs, qualities=good_qualities(len(width), width_px=width, sharpness=sharp))
    found = assemble(inputs).report.covers.conditions
    assert found is not None
    assert found.passages == 39
    assert (found.highlight.p5, found.highlight.p95) == (200, 200)
    assert (found.sharpness.p5, found.sharpness.p95) == (0.8, 0.8)
    # The second of forty is its one photograph that was used.
    assert (found.face_px.p5, found.face_px.p95) == (70 + 1 - 30, 70 + 39)


def test_too_few_passages_say_nothing_of_conditions() -> None:
    few = assemble(made_up(listed=5, mated=5, nonmated=14, photographs=1)).report
    assert few.covers.conditions is None
    assert assemble(made_up(listed=5, mated=5, nonmated=15, photographs=1)).report.covers.conditions is not None


def test_what_is_lost_is_told_and_adds_up() -> None:
    inputs = made_up(listed=10, mated=10, nonmated=60, photographs=3)
    sharp, faces = np.full(len(inputs.photographs), 0.8), np.ones(len(inputs.photographs), np.int64)
    sharp[[0, 10, 11, 12]] = 0.05  # one listed, and every photograph of the first mated person
    faces[[1, 13, 40, 41, 42]] = 0  # one listed, one of the next mated person, and all of a non-mated one
    report = assemble(changed(inputs, faces=faces, qualities=good_qualities(len(faces), sharpness=sharp))).report
    people, funnel = report.people, report.funnel
    assert (people.offered, people.listed, people.photographs) == (10, 8, 8)
    assert people.refused == {"listed 0": "blurred", "listed 1": "no_face"}
    assert people.rejected == {"blurred": 1, "no_face": 1}
    assert funnel.pictures == 3 * 70
    assert funnel.lost == {"blurred": 3, "no_face": 4}
    assert funnel.used == funnel.pictures - 7
    assert funnel.never_searched == {"blurred": 1, "no_face": 1}
    assert (people.passages_mated, people.passages_nonmated) == (10, 60)
    assert report.descriptive[0].rank_one.n == 10
    assert report.descriptive[0].rank_one.events <= 8


def test_it_covers_what_was_tested_and_the_kernel_can_read_that(report: Report) -> None:
    inputs = made_up()
    covers = report.covers
    read = msgspec.json.decode(msgspec.json.encode(covers), type=Coverage)
    assert read == covers
    assert (covers.listed, covers.target_fpir, covers.report_class) == (40, 0.05, "benchmark")
    assert covers.threshold == report.recommendation.threshold
    assert covers.looks == report.recommendation.looks == 2
    assert covers.settings == recognition_settings(inputs.profile)
    assert (covers.detector, covers.embedder) == ("1" * 64, "2" * 64)
    assert report.recommendation.wanted_looks == most_looks(inputs.profile)


@pytest.mark.parametrize(("size", "covered"), [(5, 5), (40, 40), (44, 44), (45, 40)])
def test_a_threshold_for_a_shorter_list_covers_no_longer_one(size: int, covered: int) -> None:
    report = assemble(made_up(list_size=size)).report
    assert report.covers.listed == covered
    assert (report.recommendation.listed, report.recommendation.tested) == (size, 40)
    assert (report.covers.threshold is None) == (size > 44)
    assert report.list_growth is not None
    assert size in {one.listed for one in report.list_growth.sizes}


def test_people_with_so_many_faces_have_figures_of_their_own_where_there_are_enough() -> None:
    report = assemble(made_up(photographs=3, without_face=0.3)).report
    looks = [one.looks for one in report.descriptive]
    assert looks[:3] == [None, 1, 2]
    two = report.descriptive[2]
    assert two.mated < 40
    assert (two.mean_looks_mated, two.mean_looks_nonmated) == (2.0, 2.0)
    assert [one.looks for one in report.recommendation.by_looks] == looks[1:]
    few = assemble(made_up(listed=19, mated=19)).report
    assert [one.looks for one in few.descriptive] == [None, 1], "twenty on each side"


@pytest.mark.parametrize(("listed", "mated", "nonmated"), [(1, 1, 1), (1, 1, 300), (2, 1, 3), (40, 1, 2), (9, 9, 400)])
def test_few_people_make_a_report_that_says_what_it_cannot(listed: int, mated: int, nonmated: int) -> None:
    report = assemble(made_up(listed=listed, mated=mated, nonmated=nonmated), with_choices=True).report
    assert report.people.listed == listed
    if nonmated < 59 or listed < 2:
        assert report.recommendation.threshold is None
        assert report.recommendation.note
    assert all(one.tpir is not None or one.note for one in report.transferred)
    assert (report.list_growth is None) == (listed < 8 or nonmated < 20)
    assert len(report.choices) == 7


@pytest.mark.parametrize(("target", "recommended"), [(0.5, FLOOR), (0.025, None)])
def test_a_target_that_is_met_below_every_threshold_is_no_error(target: float, recommended: float | None) -> None:
    """People who resemble nobody: thresholds read from them lie below the least one that there may be."""
    inputs = made_up(listed=20, mated=20, nonmated=100, noise=0.1, groups=GROUPS, target=target)
    spread = np.eye(200, dtype=np.float32)[[*range(20), *np.repeat(range(20), 2), *np.repeat(range(20, 120), 2)]]
    inputs = changed(inputs, plain=spread, mirrored=spread, others=np.zeros((0, 2, len(spread), 200), np.float32))
    report = assemble(inputs, with_choices=True).report
    assert report.recommendation.threshold == recommended
    assert report.groups[0].threshold == FLOOR
    assert report.list_growth is not None
    assert report.list_growth.threshold == FLOOR
    assert report.transferred[0].note
    assert report.histogram.unsearched_nonmated == 0
    assert report.histogram.nonmated[0] == 100


def test_when_nobody_can_be_listed_that_is_what_is_told() -> None:
    inputs = made_up(listed=3, mated=3, nonmated=3)
    faces = inputs.seen.faces.copy()
    faces[:3] = 0
    with pytest.raises(ProtocolError, match=r"every photograph of them was refused \(no_face 3\)"):
        assemble(changed(inputs, faces=faces))


def test_one_person_under_two_names_is_found_and_kept(report: Report) -> None:
    inputs = made_up(listed=10, mated=10, nonmated=60, photographs=1)
    plain, digests = inputs.seen.plain.copy(), list(inputs.seen.digests)
    plain[30], digests[30] = plain[3], digests[3]  # somebody who is not listed, with a listed photograph
    digests[12] = digests[2]  # listed with the picture that she passes with
    found = assemble(changed(inputs, plain=plain, mirrored=plain, digests=tuple(digests))).report
    assert found.same_files == (("listed 2/0.jpg", "listed 2/1.jpg"), ("listed 3/0.jpg", "passing 10/1.jpg"))
    pairs = [{one.photo, one.other} for one in found.to_look_at]
    assert {"listed 3/0.jpg", "passing 10/1.jpg"} in pairs
    assert found.people.nonmated == 60
    assert sum(found.histogram.nonmated) == 60
    assert found.histogram.nonmated[-1] == 1
    assert report.same_files == ()


def test_unequal_numbers_of_faces_are_pointed_out() -> None:
    inputs = made_up(photographs=2)
    assert assemble(inputs).report.descriptive[0].note is None
    faces = inputs.seen.faces.copy()
    faces[41:120:2] = 0  # the second face of every mated person
    note = assemble(changed(inputs, faces=faces)).report.descriptive[0].note
    assert note is not None
    assert note.startswith("mated people have 1.0 faces on average, non-mated ones 2.0")


def test_passages_seen_in_clips_count_beside_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = made_up(listed=10, mated=5, nonmated=60)
    faces = Faces(templates=inputs.seen.plain[[7]], weights=np.ones(1))
    nothing = Faces(templates=faces.templates[:0], weights=faces.weights[:0])
    walks = (
        ("mated", Walk(identity="listed 7", passage="a", faces=faces)),
        ("mated", Walk(identity="listed 8", passage="a", faces=nothing, lost="no_face")),
        ("nonmated", Walk(identity="passing 0", passage="b", faces=nothing, lost="too_small")),
    )
    walked = Walked(walks=walks, tracks=5, unaccounted={"a.mp4": 2}, joined=0, outliers=0)
    monkeypatch.setattr(assembly, "walks_of", lambda *_, **__: walked)
    evaluated = assemble(inputs)
    people = evaluated.report.people
    assert (people.mated, people.nonmated, people.passages_mated, people.passages_nonmated) == (7, 60, 7, 61)
    assert evaluated.report.funnel.never_searched == {"no_face": 1, "too_small": 1}
    assert evaluated.report.funnel.unaccounted == 2
    whole = evaluated.table.all_faces
    assert whole.own[whole.mated.index("listed 7")] == pytest.approx(1.0)
    assert whole.own[whole.mated.index("listed 8")] == -np.inf
    assert whole.nearest[whole.nonmated.index("passing 0")] > -np.inf


def test_groups_are_compared_at_the_threshold_that_is_recommended(report: Report) -> None:
    assert [one.group for one in report.groups] == ["sex", "age"]
    assert {one.threshold for one in report.groups} == {report.recommendation.threshold}
    assert report.groups[0].known == "drawn at random"
    assert assemble(made_up()).report.groups == ()
