"""A passage's templates, weighted by quality, as one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.stages.pooling import Added, Pool

D = 32


def unit(*parts: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    template = np.zeros(D, np.float32)
    template[: len(parts)] = parts
    return template / np.linalg.norm(template)


A, A2, B, B2, C = unit(1), unit(1, 0.3), unit(0, 0, 1), unit(0, 0, 1, 0.2), unit(0, 0, 0, 0, 1)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(0.01, 1)), min_size=1, max_size=8))
def test_the_mean_is_weighted_by_quality_and_has_length_1(faces: list[tuple[int, float]]) -> None:
    pool, total = Pool(D), np.zeros(D)
    for seed, quality in faces:
        near_a = unit(3, *np.random.default_rng(seed).uniform(-1, 1, 6))
        assert pool.add(near_a, quality) is Added.POOLED
        total += quality * near_a
    mean = np.empty(D, np.float32)
    pool.write_mean(mean)
    assert mean == pytest.approx(total / np.linalg.norm(total), abs=1e-5)
    assert pool.count == len(faces)


def test_one_outlier_is_held_back_and_does_not_move_the_mean() -> None:
    pool, mean = Pool(D), np.empty(D, np.float32)
    assert [pool.add(one, 1.0) for one in (A, A2, B, A)] == [Added.POOLED, Added.POOLED, Added.HELD, Added.POOLED]
    pool.write_mean(mean)
    assert mean == pytest.approx(unit(2 + A2[0], A2[1]), abs=1e-6)


def test_two_outliers_in_a_row_that_agree_split() -> None:
    pool = Pool(D)
    assert [pool.add(one, 1.0) for one in (A, B, B2)] == [Added.POOLED, Added.HELD, Added.SPLIT]


def test_two_outliers_that_disagree_do_not_split() -> None:
    pool = Pool(D)
    assert [pool.add(one, 1.0) for one in (A, B, C, B)] == [Added.POOLED, Added.HELD, Added.HELD, Added.HELD]


def test_outliers_that_are_not_in_a_row_do_not_split() -> None:
    pool = Pool(D)
    assert [pool.add(one, 1.0) for one in (A, B, A, B2)] == [Added.POOLED, Added.HELD, Added.POOLED, Added.HELD]


def test_templates_are_copied_and_erased() -> None:
    pool, given_template = Pool(D), B.copy()
    pool.add(A.copy(), 1.0)
    pool.add(given_template, 1.0)
    assert pool._sum is not None
    assert pool._held is not None
    total, memory = pool._sum.array, pool._held.array
    pool.erase()
    assert not total.any()
    assert not memory.any()
    assert given_template.any()
