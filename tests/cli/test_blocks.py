"""Pictures as characters: each pixel is the mean of what it covers, and each character is two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color

from lfr_kernel.cli.blocks import INK, UPPER, blocks, shrunk

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.text import Text

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def picture(*rows: Any) -> NDArray[np.uint8]:
    return np.array(rows, np.uint8)


@st.composite
def pictures(draw: st.DrawFn) -> NDArray[np.uint8]:
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    data = draw(st.binary(min_size=height * width * 3, max_size=height * width * 3))
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def part(place: int, size: int, wanted: int) -> slice:
    """Which of `size` pixels one of `wanted` covers: those from its own beginning to that of the next other one."""
    start = place * size // wanted
    later = (other * size // wanted for other in range(place, wanted))
    return slice(start, next((one for one in later if one > start), size))


def naive(source: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    made = np.zeros((height, width, 3), np.uint8)
    for row in range(height):
        for column in range(width):
            covered = source[part(row, source.shape[0], height), part(column, source.shape[1], width)]
            for channel in range(3):
                values = covered[..., channel].ravel().tolist()
                made[row, column, channel] = round(sum(values) / len(values))
    return made


@given(source=pictures(), width=st.integers(1, 12), height=st.integers(1, 12))
def test_a_pixel_is_the_mean_of_those_that_it_covers(source: NDArray[np.uint8], width: int, height: int) -> None:
    found = shrunk(source, width, height)
    assert (found.dtype, found.shape) == (np.uint8, (height, width, 3))
    assert found.tolist() == naive(source, width, height).tolist()


def test_half_the_size_is_the_mean_of_four() -> None:
    source = picture([RED, RED, BLACK, BLACK], [RED, RED, BLACK, WHITE])
    assert shrunk(source, 2, 1).tolist() == [[[255, 0, 0], [64, 64, 64]]]


@given(source=pictures(), times=st.integers(1, 4))
def test_it_is_enlarged_by_repeating_pixels(source: NDArray[np.uint8], times: int) -> None:
    found = shrunk(source, source.shape[1] * times, source.shape[0] * times)
    assert found.tolist() == source.repeat(times, axis=0).repeat(times, axis=1).tolist()


@given(source=pictures())
def test_it_leaves_the_picture_as_it_is(source: NDArray[np.uint8]) -> None:
    before = source.copy()
    shrunk(source, 3, 2)
    assert (source == before).all()
    assert shrunk(source, source.shape[1], source.shape[0]).tolist() == before.tolist()


@given(source=pictures(), width=st.integers(1, 9), height=st.integers(1, 9), has_colours=st.booleans())
def test_it_has_as_many_lines_and_columns_as_were_asked_for(
    source: NDArray[np.uint8],
    width: int,
    height: int,
    has_colours: bool,  # noqa: FBT001
) -> None:
    lines = blocks(source, width, height, has_colours=has_colours)
    assert len(lines) == height
    assert {line.cell_len for line in lines} == {width}


def colours(line: Text) -> list[tuple[Color | None, Color | None]]:
    """Foreground and background of each character."""
    found: list[tuple[Color | None, Color | None]] = []
    for span in line.spans:
        assert not isinstance(span.style, str)
        found += [(span.style.color, span.style.bgcolor)] * (span.end - span.start)
    return found


def test_each_character_is_two_pixels_in_their_own_colours() -> None:
    source = picture([RED, GREEN], [BLUE, WHITE], [(1, 2, 3), BLACK], [(4, 5, 6), (7, 8, 9)])
    first, second = blocks(source, 2, 2, has_colours=True)
    assert (first.plain, second.plain) == (UPPER * 2, UPPER * 2)
    rgb = Color.from_rgb
    assert colours(first) == [(rgb(*RED), rgb(*BLUE)), (rgb(*GREEN), rgb(*WHITE))]
    assert colours(second) == [(rgb(1, 2, 3), rgb(4, 5, 6)), (rgb(*BLACK), rgb(7, 8, 9))]


def test_one_pixel_fills_what_it_is_given() -> None:
    lines = blocks(picture([(9, 8, 7)]), 3, 2, has_colours=True)
    assert [colours(line) for line in lines] == [[(Color.from_rgb(9, 8, 7),) * 2] * 3] * 2
    assert blocks(picture([WHITE]), 1, 1, has_colours=False)[0].plain == INK[-1]


@pytest.mark.parametrize(
    ("pixel", "ink"), [(BLACK, " "), (WHITE, "@"), ((128, 128, 128), "+"), (BLUE, " "), (GREEN, "#"), (RED, ":")]
)
def test_without_colours_the_ink_is_as_light_as_the_pixel(pixel: tuple[int, int, int], ink: str) -> None:
    (line,) = blocks(picture([pixel]), 4, 1, has_colours=False)
    assert line.plain == ink * 4
    assert line.spans == []
