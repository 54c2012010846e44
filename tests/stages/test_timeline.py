"""One rising line out of time stamps that jump."""

from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.stages.timeline import SEAM_NS, Timeline

STEP = 40_000_000


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=60))
def test_whatever_the_stamps_are_the_line_starts_at_0_and_rises(positions: list[int]) -> None:
    timeline = Timeline()
    line = [timeline.rise(position) for position in positions]
    assert line[0] == 0
    assert all(before < after for before, after in pairwise(line))


@given(st.lists(st.integers(1, SEAM_NS), min_size=1, max_size=60), st.integers(-(2**40), 2**40))
def test_an_orderly_stream_keeps_its_own_steps(steps: list[int], first: int) -> None:
    timeline = Timeline()
    positions = list(accumulate(steps, initial=first))
    assert [timeline.rise(position) for position in positions] == [position - first for position in positions]


def test_a_seam_goes_on_by_the_usual_step() -> None:
    timeline = Timeline()
    loop = [timeline.rise(position) for position in (0, STEP, 2 * STEP, 0, STEP)]
    assert loop == [0, STEP, 2 * STEP, 3 * STEP, 4 * STEP]
    assert timeline.rise(STEP + SEAM_NS + 1) == 5 * STEP
