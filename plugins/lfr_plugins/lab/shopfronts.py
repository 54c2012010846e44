"""The shop fronts along the walls of the demo's arcade."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lfr_plugins.lab.perspective import Colour, View, fill_quad, upright

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["BAY_M", "draw_shop"]

BAY_M = 2.1
"""How long a shop front is, with the pilaster at its far end."""

_PILASTER_M = 0.34
_STONE, _STONE_SHADE, _STONE_BASE = (150, 172, 188), (112, 132, 148), (104, 122, 136)
_CORNICE, _CORNICE_SHADE = (172, 194, 208), (96, 114, 128)
_WOOD, _WOOD_LIGHT, _LETTERS = (34, 46, 60), (62, 82, 104), (150, 192, 208)
_FASCIAS = ((58, 64, 34), (44, 36, 84), (84, 58, 30), (40, 62, 74))
_WINDOWS = ((120, 186, 232), (150, 190, 214), (104, 168, 222), (160, 180, 190))


def draw_shop(
    canvas: NDArray[np.uint8], view: View, *, wall_m: float, bay: int, span_m: tuple[float, float], top_m: float
) -> None:
    """Draw one shop front: a door and a window, or two windows, between pilasters.

    Args:
        canvas: uint8 [H, W, 3] BGR, drawn on in place.
        view: how the canvas sees the arcade.
        wall_m: where the wall stands, to the right of the middle.
        bay: which front it is along that wall, from 0 beside the camera.
        span_m: the nearest and the furthest depth that is drawn.
        top_m: how high the wall is.
    """
    side, x = (1 if wall_m > 0 else -1), wall_m
    start, end = max(span_m[0], bay * BAY_M), min(span_m[1], (bay + 1) * BAY_M)
    if start >= end:
        return
    kind = (bay + (side > 0) * 2) % 4

    def fill(bottom: float, top: float, near: float, far: float, colour: Colour) -> None:
        near, far = max(near, start), min(far, end)
        if far > near:
            fill_quad(canvas, view, upright(x, bottom, top, near, far), colour)

    fill(0, top_m, start, end, _STONE)
    front, back = bay * BAY_M, (bay + 1) * BAY_M - _PILASTER_M
    fill(0, 2.72, front, back, _WOOD)
    fill(2.3, 2.66, front + 0.05, back - 0.05, _FASCIAS[kind])
    _draw_letters(fill, front + 0.4, back - 0.4, kind)
    door = bay % 2 == (side > 0)
    panes = [(front + 0.08, front + 0.78, 0.08), (front + 0.9, back - 0.08, 0.55)] if door else [
        (front + 0.08, (front + back) / 2 - 0.04, 0.55), ((front + back) / 2 + 0.04, back - 0.08, 0.55)]  # fmt: skip
    for near, far, sill in panes:
        fill(sill - 0.05, 2.22, near - 0.03, far + 0.03, _WOOD_LIGHT)
        _draw_pane(fill, (near, far), sill, _WINDOWS[kind], np.random.default_rng(abs(bay * 7 + side) + 11))
        if sill > 0.3:  # noqa: PLR2004  (a window, not a door: a panel lies under it)
            fill(0.12, sill - 0.12, near + 0.05, far - 0.05, _WOOD_LIGHT)
            fill(0.15, sill - 0.15, near + 0.08, far - 0.08, _WOOD)
    fill(0, 2.9, back, back + _PILASTER_M, _STONE_SHADE)
    fill(0, 2.9, back + 0.04, back + _PILASTER_M - 0.04, _STONE)
    fill(0, 0.28, back, back + _PILASTER_M, _STONE_BASE)
    fill(2.86, 2.93, start, end, _CORNICE_SHADE)
    fill(2.93, 3.0, start, end, _CORNICE)


def _draw_letters(fill: Callable[..., None], near: float, far: float, seed: int) -> None:
    """Draw a shop's name, too far away and too slanted to be read."""
    rng = np.random.default_rng(seed + 3)
    at = near
    while at < far - 0.1:
        wide = float(rng.uniform(0.035, 0.07))
        fill(2.43, 2.53 + float(rng.choice([0.0, 0.0, 0.03])), at, at + wide, _LETTERS)
        if rng.random() < 0.7:  # noqa: PLR2004  (most letters have a counter)
            fill(2.455, 2.48, at + 0.016, at + wide, _FASCIAS[seed])
        at += wide + (0.09 if rng.random() < 0.15 else 0.022)  # noqa: PLR2004  (now and then a word ends)


def _draw_pane(
    fill: Callable[..., None], span_m: tuple[float, float], sill: float, warm: Colour, rng: np.random.Generator
) -> None:
    """Draw a lit window, darker towards its sill, with shelves of goods behind it."""
    (near, far), steps = span_m, 14
    for step in range(steps):
        bottom = sill + (2.2 - sill) * step / steps
        brightness = 0.34 + 0.5 * step / steps
        fill(bottom, sill + (2.2 - sill) * (step + 1.2) / steps, near, far, tuple(c * brightness for c in warm))
    for shelf in np.arange(sill + 0.45, 2.0, 0.5):
        fill(shelf, shelf + 0.03, near, far, tuple(c * 0.35 for c in warm))
        at = near + 0.03
        while at < far - 0.06:
            wide, tall = float(rng.uniform(0.04, 0.12)), float(rng.uniform(0.08, 0.3))
            tint = rng.uniform(0.3, 0.9) * rng.uniform(0.75, 1.1, 3)
            fill(shelf + 0.03, shelf + 0.03 + tall, at, min(at + wide, far),
                 tuple(float(c * t) for c, t in zip(warm, tint, strict=True)))  # fmt: skip
            at += wide + float(rng.uniform(0.02, 0.1))
    fill(sill, 2.2, near, near + 0.02, _WOOD)
