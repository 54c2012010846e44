"""Faces are linked by where they were going, measured in face sizes, whatever the frame rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_plugins.trackers.motion import assign, begin, correct, measure, predict, shadows

if TYPE_CHECKING:
    from numpy.typing import NDArray


def box(x: float, y: float, width: float = 40.0) -> list[float]:
    """A face's box around (x, y), as much higher than wide as faces are."""
    height = 1.25 * width
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def boxes(*rows: list[float]) -> NDArray[np.float32]:
    return np.array(rows, dtype=np.float32).reshape(-1, 4)


def followed(speed: float, frame_s: float, frames: int = 15, width: float = 40.0) -> NDArray[np.float64]:
    """The state of a face that walked to the right for a while and is now at x = 0."""
    state = begin(measure(boxes(box(-speed * frame_s * (frames - 1), 100, width))))
    for number in range(1, frames):
        seen = measure(boxes(box(-speed * frame_s * (frames - 1 - number), 100, width)))
        state = correct(predict(state, np.array([frame_s])), seen)
    return state


def pairs(states: NDArray[np.float64], elapsed_s: float, now: NDArray[np.float32]) -> list[tuple[int, int]]:
    elapsed = np.full(len(states), elapsed_s)
    return assign(predict(states, elapsed), elapsed, measure(now))


def test_a_box_is_measured_by_centre_and_logarithm_of_size() -> None:
    x, y, size = measure(boxes([10, 20, 30, 60]))[0]
    assert (x, y) == (20, 40)
    assert size == pytest.approx(np.log(np.sqrt(20 * 40)))


def test_no_boxes_no_states_no_pairs() -> None:
    nothing = measure(boxes())
    assert nothing.shape == (0, 3)
    assert begin(nothing).shape == (0, 3, 5)
    assert predict(begin(nothing), np.zeros(0)).shape == (0, 3, 5)
    assert correct(begin(nothing), nothing).shape == (0, 3, 5)
    assert pairs(begin(nothing), 0.04, boxes(box(0, 0))) == []
    assert pairs(begin(measure(boxes(box(0, 0)))), 0.04, boxes()) == []


def test_a_box_without_extent_is_finite() -> None:
    assert np.isfinite(measure(boxes([5, 5, 5, 5], [9, 9, 3, 3]))).all()


@pytest.mark.parametrize("frame_s", [0.02, 0.04, 0.1])
def test_speed_is_learnt_in_seconds_whatever_the_frame_rate(frame_s: float) -> None:
    state = followed(speed=120.0, frame_s=frame_s, frames=round(1.0 / frame_s))
    assert state[0, 0, 1] == pytest.approx(120.0, rel=0.1)


def test_the_prediction_widens_with_time_and_slows_down() -> None:
    state = followed(speed=120.0, frame_s=0.04)
    soon, late = predict(state, np.array([0.04])), predict(state, np.array([1.0]))
    assert late[0, 0, 2] > 10 * soon[0, 0, 2]
    assert soon[0, 0, 0] == pytest.approx(120.0 * 0.04, abs=2.0)
    assert 40.0 < late[0, 0, 0] < 120.0


def test_two_side_by_side_are_not_swapped() -> None:
    states = begin(measure(boxes(box(100, 100), box(190, 100))))
    assert sorted(pairs(states, 0.2, boxes(box(195, 104), box(95, 98)))) == [(0, 1), (1, 0)]


def test_the_assignment_is_the_best_over_all_pairs() -> None:
    states = begin(measure(boxes(box(0, 100), box(60, 100))))
    now = boxes(box(35, 100), box(85, 100))
    assert sorted(pairs(states, 0.2, now)) == [(0, 0), (1, 1)]


def test_whoever_walks_is_expected_where_he_is_going() -> None:
    state = followed(speed=200.0, frame_s=0.04)
    assert pairs(state, 0.3, boxes(box(-25, 100), box(55, 100))) == [(0, 1)]


def test_a_face_of_another_size_is_somebody_else() -> None:
    states = begin(measure(boxes(box(100, 100, width=40))))
    assert pairs(states, 0.04, boxes(box(100, 100, width=80))) == []
    assert pairs(states, 0.04, boxes(box(100, 100, width=22))) == []
    assert pairs(states, 0.04, boxes(box(100, 100, width=46))) == [(0, 0)]


def test_the_gate_widens_with_the_time_since_the_face_was_seen() -> None:
    states = begin(measure(boxes(box(100, 100))))
    elsewhere = boxes(box(160, 100))
    assert pairs(states, 0.04, elsewhere) == []
    assert pairs(states, 0.5, elsewhere) == [(0, 0)]


def test_nobody_is_followed_across_half_the_picture() -> None:
    states = begin(measure(boxes(box(100, 100))))
    assert pairs(states, 1.0, boxes(box(400, 100))) == []


@settings(deadline=None)
@given(factor=st.floats(0.3, 20.0), x=st.floats(-100, 100), y=st.floats(-100, 100), elapsed_s=st.floats(0.02, 1.0))
def test_only_distance_in_face_sizes_matters(factor: float, x: float, y: float, elapsed_s: float) -> None:
    near = pairs(begin(measure(boxes(box(0, 0, 200.0)))), elapsed_s, boxes(box(x, y, 200.0)))
    scaled = boxes(box(x * factor, y * factor, 200.0 * factor))
    assert pairs(begin(measure(boxes(box(0, 0, 200.0 * factor)))), elapsed_s, scaled) == near


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 1000), st.floats(5, 400)), max_size=8),
    columns=st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 1000), st.floats(5, 400)), max_size=8),
    elapsed_s=st.floats(0.0, 10.0),
)
def test_each_track_and_each_face_is_paired_once_at_most(
    rows: list[tuple[float, float, float]], columns: list[tuple[float, float, float]], elapsed_s: float
) -> None:
    states = begin(measure(boxes(*(box(*row) for row in rows))))
    found = pairs(states, elapsed_s, boxes(*(box(*column) for column in columns)))
    assert len({track for track, _ in found}) == len({face for _, face in found}) == len(found)
    assert all(track < len(rows) and face < len(columns) for track, face in found)


@settings(deadline=None)
@given(steps=st.lists(st.tuples(st.floats(0, 2), st.floats(-50, 50)), max_size=30))
def test_variances_stay_positive(steps: list[tuple[float, float]]) -> None:
    state = begin(measure(boxes(box(0, 0))))
    for elapsed_s, x in steps:
        state = correct(predict(state, np.array([elapsed_s])), measure(boxes(box(x, 0))))
    assert np.isfinite(state).all()
    assert (state[:, :, 2] > 0).all()
    assert (state[:, :, 4] > 0).all()
    assert (state[:, :, 3] ** 2 <= state[:, :, 2] * state[:, :, 4]).all()


def test_a_second_box_on_one_face_is_a_shadow_and_a_neighbour_is_not() -> None:
    seen = measure(boxes(box(100, 100), box(118, 100), box(160, 100), box(100, 100, width=10)))
    assert shadows(seen, np.array([0.9, 0.8, 0.7, 0.6])).tolist() == [False, True, False, False]
