"""Quantiles in bounded memory, and how long to wait."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.stages.measure import Durations, backoff_s

SECONDS = st.floats(1e-4, 1_000, allow_nan=False)


def measured(seconds: list[float]) -> Durations:
    durations = Durations()
    for one in seconds:
        durations.add(one)
    return durations


@given(st.lists(SECONDS, min_size=1, max_size=300))
def test_quantiles_are_those_of_numpy_to_one_per_cent(seconds: list[float]) -> None:
    found = measured(seconds).quantiles()
    expected = np.quantile(seconds, [0.5, 0.95, 0.99], method="inverted_cdf") * 1e3
    assert found.count == len(seconds)
    assert [found.p50, found.p95, found.p99] == pytest.approx(expected, rel=0.01)
    assert found.max == pytest.approx(max(seconds) * 1e3, abs=1e-3)


@given(st.lists(SECONDS, min_size=1, max_size=50))
def test_quantiles_rise_and_none_is_beyond_the_longest(seconds: list[float]) -> None:
    found = measured(seconds).quantiles()
    assert None not in {found.p50, found.p95, found.p99, found.max}
    rising = [found.p50, found.p95, found.p99, found.max]
    assert rising == sorted(rising, key=lambda one: one or 0.0)


def test_nothing_measured_is_none_and_not_zero() -> None:
    found = Durations().quantiles()
    assert (found.count, found.p50, found.p95, found.p99, found.max) == (0, None, None, None, None)


def test_out_of_range_durations_are_counted_at_the_ends() -> None:
    found = measured([-5.0, 0.0, 1e-9, 86_400.0]).quantiles()
    assert found.count == 4
    assert found.p50 == pytest.approx(0.001, abs=0.001)
    assert found.max == 86_400_000.0


def test_backoff_doubles_up_to_its_ceiling() -> None:
    assert [backoff_s(failures, 0.5, 30.0) for failures in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


@given(st.integers(0, 10**9))
def test_backoff_never_overflows_however_long_an_outage_lasts(failures: int) -> None:
    assert 0.5 <= backoff_s(failures, 0.5, 30.0) <= 30.0
    assert math.isfinite(backoff_s(failures, 0.5, 1e300))
