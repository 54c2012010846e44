"""Photographs that fit ill are found, with reference and similarity, whatever the order and the size of a block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_kernel.governance import vetting
from lfr_kernel.governance.vetting import DUPLICATE_AT, OUTLIER_BELOW, outliers, pool_photographs, resemblances

if TYPE_CHECKING:
    from numpy.typing import NDArray

D = 64


def somebody(seed: int) -> NDArray[np.float32]:
    template = np.random.default_rng(seed).normal(size=D)
    return np.asarray(template / np.linalg.norm(template), np.float32)


def photographs(seed: int, count: int, spread: float = 0.08) -> list[NDArray[np.float32]]:
    """Templates of one person, alike by some 0.7."""
    random = np.random.default_rng(1000 + seed)
    noisy = [somebody(seed) + random.normal(scale=spread, size=D) for _ in range(count)]
    return [np.asarray(one / np.linalg.norm(one), np.float32) for one in noisy]


def listed(*people: tuple[str, list[NDArray[np.float32]]]) -> tuple[NDArray[np.float32], list[str], list[str]]:
    templates = [template for _, ones in people for template in ones]
    persons = [person for person, ones in people for _ in ones]
    return np.stack(templates), persons, [f"{person}/{number}" for number, person in enumerate(persons)]


def test_a_list_of_which_every_photograph_fits_has_no_findings() -> None:
    people = listed(*((f"p{seed}", photographs(seed, 3)) for seed in range(6)))
    assert outliers(*people) == {}
    assert resemblances(*people) == []


def test_somebody_elses_photograph_among_three_is_the_outlier() -> None:
    templates, persons, photos = listed(("ada", [*photographs(1, 2), somebody(2)]), ("bob", photographs(3, 2)))
    found = outliers(templates, persons, photos)
    assert list(found) == [2]
    assert (found[2].kind, found[2].photo, found[2].person) == ("self_outlier", "ada/2", "ada")
    assert found[2].other in {"ada/0", "ada/1"}
    assert found[2].similarity < OUTLIER_BELOW


def test_two_outliers_among_five_are_both_found() -> None:
    templates, persons, photos = listed(("ada", [*photographs(1, 3), somebody(2), somebody(3)]))
    assert sorted(outliers(templates, persons, photos)) == [3, 4]


def test_of_two_that_disagree_both_are_named() -> None:
    assert sorted(outliers(*listed(("ada", [somebody(1), somebody(2)])))) == [0, 1]


def test_one_photograph_cannot_disagree() -> None:
    assert outliers(*listed(("ada", [somebody(1)]))) == {}


def test_one_person_under_two_names_is_found_once_with_both_references() -> None:
    one = photographs(1, 4)
    (first, *rest) = resemblances(*listed(("ada", one[:2]), ("bob", photographs(2, 2)), ("eve", one[2:])))
    assert (first.kind, first.person) == ("duplicate", "ada")
    assert first.other.startswith("eve")
    assert first.similarity >= DUPLICATE_AT
    pairs = [{one.photo, one.other} for one in (first, *rest)]
    assert all(pairs.count(pair) == 1 for pair in pairs)
    assert "may show eve" in str(first)
    assert f"(similarity {first.similarity:.2f})" in str(first)


def test_a_photograph_nearer_to_somebody_else_than_to_its_own_is_a_clash() -> None:
    def unit(*parts: float) -> NDArray[np.float32]:
        return np.asarray(np.array(parts) / np.linalg.norm(parts), np.float32)

    ada, mixed, bob = unit(1, 0, 0), unit(0.5, 0.6, 0.6), unit(0, 1, 0.1)
    assert float(mixed @ ada) < float(mixed @ bob) < DUPLICATE_AT
    (clash,) = resemblances(*listed(("ada", [ada, mixed]), ("bob", [bob])))
    assert (clash.kind, clash.photo, clash.other) == ("clash", "ada/1", "bob/2")
    assert "is nearer to bob/2 than to the other photographs of ada" in str(clash)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=24), st.sampled_from([1, 3, 512]))
def test_blocks_and_order_make_no_difference(owners: list[int], block: int) -> None:
    random = np.random.default_rng(7)
    templates = random.normal(size=(len(owners), 3)).astype(np.float32)
    templates /= np.linalg.norm(templates, axis=1, keepdims=True)
    persons, photos = [f"p{owner}" for owner in owners], [f"photo {number}" for number in range(len(owners))]
    whole = {(one.kind, frozenset((one.photo, one.other))) for one in resemblances(templates, persons, photos)}
    order = random.permutation(len(owners))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vetting, "_BLOCK", block)
        mixed = resemblances(templates[order], [persons[at] for at in order], [photos[at] for at in order])
    assert {(one.kind, frozenset((one.photo, one.other))) for one in mixed} == whole
    duplicates = {
        frozenset((photos[a], photos[b]))
        for a in range(len(owners))
        for b in range(a)
        if persons[a] != persons[b] and float(templates[a] @ templates[b]) >= DUPLICATE_AT + 1e-6
    }
    assert duplicates <= {pair for kind, pair in whole if kind == "duplicate"}


def test_the_template_of_a_person_is_the_mean_of_the_photographs() -> None:
    ones = np.stack(photographs(1, 3))
    out = np.empty(D, np.float32)
    pool_photographs(ones, out)
    assert out == pytest.approx(ones.sum(axis=0) / np.linalg.norm(ones.sum(axis=0)), abs=1e-6)


def test_photographs_that_cancel_out_make_no_template() -> None:
    out = np.ones(D, np.float32)
    with pytest.raises(ValueError, match="cancel out"):
        pool_photographs(np.stack([somebody(1), -somebody(1)]), out)
    assert not out.any()


def test_two_against_two_are_all_named_whatever_their_order() -> None:
    ada, eve = photographs(1, 2), photographs(2, 2)
    for order in ([*ada, *eve], [*eve, *ada], [ada[0], eve[0], ada[1], eve[1]]):
        assert sorted(outliers(*listed(("ada", order)))) == [0, 1, 2, 3]


def test_two_pictures_twice_each_are_not_averaged_into_nobody() -> None:
    one, other = somebody(1), somebody(2)
    assert sorted(outliers(*listed(("ada", [one, one, other, other])))) == [0, 1, 2, 3]


def test_photographs_that_agree_through_another_one_belong_together() -> None:
    first, last = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    between = (first + last) / np.sqrt(2)
    stranger = np.array([0, 0, 1.0])
    templates = np.array([first, last, between, stranger], np.float32)
    assert list(outliers(templates, ["ada"] * 4, list("abcd"))) == [3]


@given(st.permutations(range(5)))
def test_the_order_of_photographs_has_no_say(order: list[int]) -> None:
    ones = [*photographs(1, 3), somebody(2), somebody(3)]
    found = outliers(*listed(("ada", [ones[place] for place in order])))
    assert {order[row] for row in found} == {3, 4}


def test_two_photographs_that_clash_with_each_other_are_told_once() -> None:
    def unit(*parts: float) -> NDArray[np.float32]:
        return np.asarray(np.array(parts) / np.linalg.norm(parts), np.float32)

    adas = [unit(1, 0, 0, 0), unit(0.1, 0, 1, 0)]
    bobs = [unit(0.6, 0.8, 0, 0), unit(0, 0.1, 0, 1)]
    found = resemblances(*listed(("ada", adas), ("bob", bobs)))
    assert float(adas[0] @ adas[1]) < float(adas[0] @ bobs[0]) < DUPLICATE_AT
    assert float(bobs[0] @ bobs[1]) < float(adas[0] @ bobs[0])
    assert [{one.photo, one.other} for one in found if one.similarity == pytest.approx(0.6)] == [{"ada/0", "bob/2"}]
