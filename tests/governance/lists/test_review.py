"""Comparing photographs with each other: what is the same picture, whose is wrong, whom a person must look at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.governance.lists import review
from lfr_kernel.governance.lists.review import Vetted, vet

D = 64


def templates(*rows: dict[int, float]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Templates by their coordinates; similarity is then easily reckoned."""
    made = np.zeros((len(rows), D), np.float32)
    for number, row in enumerate(rows):
        made[number, list(row)] = list(row.values())
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def vetted(rows: list[dict[int, float]], persons: str, digests: str | None = None) -> Vetted:
    names = [f"{number}.png" for number in range(len(rows))]
    return vet(
        templates(*rows) if rows else np.zeros((0, D), np.float32),
        list(persons),
        names,
        list(digests or map(str, range(len(rows)))),
    )


def test_people_who_resemble_nobody_are_all_right() -> None:
    found = vetted([{0: 1}, {0: 1, 1: 0.5}, {5: 1}], "aab")
    assert found == Vetted()


def test_the_same_file_twice_is_a_duplicate_whoever_it_is_said_to_be() -> None:
    found = vetted([{0: 1}, {1: 1}, {0: 1}], "abc", "xyx")
    assert found.rejected == {2: ("duplicate", "is the same picture as 0.png, of a")}


def test_the_same_picture_in_another_file_is_a_duplicate_of_the_first_that_stays() -> None:
    found = vetted([{0: 1}, {0: 1, 1: 0.1}, {0: 1, 1: 0.22}], "aaa")
    assert found.rejected == {1: ("duplicate", "is the same picture as 0.png, of a")}, (
        "the third is like the second only"
    )


def test_a_photograph_unlike_the_others_of_its_person_is_an_outlier() -> None:
    found = vetted([{0: 1}, {0: 1, 1: 0.5}, {7: 1}], "aaa")
    assert {row: code for row, (code, _) in found.rejected.items()} == {2: "self_outlier"}
    assert "disagrees with the other photographs of a" in found.rejected[2][1]


def test_a_photograph_nearer_to_somebody_else_is_a_clash() -> None:
    # 1 is 0.6 like its own 0, and 0.8 like 2, who has one photograph only and so nothing to be nearer to.
    found = vetted([{0: 1}, {0: 0.6, 1: 0.8}, {1: 1}], "aab")
    assert found.rejected == {
        1: (
            "clash",
            "is nearer to 2.png, of b (similarity 0.80), than to every other photograph of a (0.60)",
        )
    }
    assert found.questioned == {}, "whom it resembled is asked about no more"


def test_whoever_resembles_somebody_else_is_listed_and_both_are_questioned() -> None:
    found = vetted([{0: 1}, {0: 0.8, 1: 0.6}, {9: 1}], "abc")
    assert found.rejected == {}
    assert found.questioned == {
        0: "resembles 1.png, of b (similarity 0.80): one person under two references, or twins?",
        1: "resembles 0.png, of a (similarity 0.80): one person under two references, or twins?",
    }


def test_one_photograph_and_none_at_all_are_all_right() -> None:
    assert vetted([{0: 1}], "a") == Vetted()
    assert vetted([], "") == Vetted()


@given(seed=st.integers(0, 1000), people=st.integers(1, 12))
def test_it_does_not_matter_how_many_rows_are_compared_at_a_time(seed: int, people: int) -> None:
    rng = np.random.default_rng(seed)
    persons = [f"p{one}" for one in rng.integers(0, people, 40)]
    rows = rng.standard_normal((40, 3)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    names = [str(number) for number in range(40)]
    whole = vet(rows, persons, names, names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(review, "_BLOCK", 7)
        assert vet(rows, persons, names, names) == whole


@given(seed=st.integers(0, 200))
def test_the_verdicts_are_those_of_the_definitions(seed: int) -> None:
    """Against a plain reading of each definition, pair by pair."""
    rng = np.random.default_rng(seed)
    persons = [f"p{one}" for one in rng.integers(0, 6, 24)]
    rows = rng.standard_normal((24, 4)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    names = [str(number) for number in range(24)]
    found = vet(rows, persons, names, names)
    alike = rows @ rows.T
    stays: list[int] = []
    for row in range(24):
        if all(alike[row, other] < 0.98 for other in stays):
            stays.append(row)
    assert {row for row, (code, _) in found.rejected.items() if code == "duplicate"} == set(range(24)) - set(stays)
    left = [row for row in stays if found.rejected.get(row, ("",))[0] != "self_outlier"]
    clashing = set()
    for row in left:
        own = [alike[row, one] for one in left if one != row and persons[one] == persons[row]]
        others = [alike[row, one] for one in left if persons[one] != persons[row]]
        if own and others and max(others) > max(own):
            clashing.add(row)
    assert {row for row, (code, _) in found.rejected.items() if code == "clash"} == clashing
    left = [row for row in left if row not in clashing]
    questioned = {row for row in left if any(alike[row, one] >= 0.7 for one in left if persons[one] != persons[row])}
    assert set(found.questioned) == questioned
