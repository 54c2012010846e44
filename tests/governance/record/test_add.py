"""Counts of several deployments add up, in whatever order, and none gets lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.governance.record.counting import add
from lfr_kernel.governance.record.statements import Counted

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS = msgspec.structs.fields(Counted)
TALLIES = st.dictionaries(st.sampled_from(["true", "false", "male", "not-recorded", "black"]), st.integers(0, 10**6))
BY_DEFAULT: dict[type, st.SearchStrategy[Any]] = {
    int: st.integers(0, 10**9),
    dict: TALLIES,
    tuple: st.lists(st.integers(0, 900), max_size=6).map(sorted).map(tuple),
}


def values(one: Counted) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in FIELDS}


COUNTEDS = st.builds(Counted, **{name: BY_DEFAULT[type(value)] for name, value in values(Counted()).items()})


@given(COUNTEDS, COUNTEDS)
def test_the_order_is_all_the_same(one: Counted, other: Counted) -> None:
    assert add([one, other]) == add([other, one])


@given(COUNTEDS, COUNTEDS, COUNTEDS)
def test_sums_of_sums_are_the_sum(one: Counted, other: Counted, third: Counted) -> None:
    assert add([add([one, other]), third]) == add([one, add([other, third])]) == add([one, other, third])


@given(COUNTEDS)
def test_one_alone_is_its_own_sum_and_none_is_nothing(one: Counted) -> None:
    assert add([one]) == one == add([one, Counted()])
    assert add([]) == Counted()


@given(st.lists(COUNTEDS, max_size=5))
def test_nothing_that_was_counted_gets_lost(several: list[Counted]) -> None:
    total = values(add(several))
    sizes: dict[type, Callable[[Any], int]] = {int: int, dict: lambda one: sum(one.values()), tuple: len}
    for name, value in total.items():
        size = sizes[type(value)]
        assert size(value) == sum(size(values(one)[name]) for one in several)
        if isinstance(value, tuple):
            assert list(value) == sorted(value)
        if isinstance(value, dict):
            assert set(value) == {code for one in several for code in values(one)[name]}


@given(st.lists(COUNTEDS, max_size=4))
def test_what_follows_from_counts_adds_up_too(several: list[Counted]) -> None:
    total = add(several)
    assert total.true == sum(one.true for one in several)
    assert total.not_established == sum(one.not_established for one in several)
