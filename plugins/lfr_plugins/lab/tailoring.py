"""Draws the clothes that a portrait does not show: legs in mid-step, a suit below the chest, a helmet's lower half.

All functions return float32 [H, W, 4] BGRA with colours multiplied by alpha, values in [0, 255].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["WALK_PHASES", "draw_ellipse", "draw_hips", "draw_legs", "draw_suit", "hide_microphone"]

WALK_PHASES = 12
"""How many drawings a double step has."""

_SUBPIXEL_BITS = 4
_SKIN = (62, 86, 128)

Colour: TypeAlias = Sequence[float]
Points: TypeAlias = Sequence[tuple[float, float]]


def _shape(size: tuple[int, ...], points: NDArray[np.float64], soft_px: float) -> NDArray[np.float32]:
    """Return float32 [H, W] in [0, 1]: a filled polygon with a soft edge."""
    mask = np.zeros(size, np.uint8)
    fixed = np.rint(points * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), soft_px).astype(np.float32) / 255, np.float32)


def _rounded(points: Points, steps: int = 8) -> NDArray[np.float64]:
    """Return a smooth closed curve through `points` (Catmull and Rom, 1974)."""
    p = np.asarray(points, np.float64)
    before, after, second = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    t = (np.arange(steps) / steps)[np.newaxis, :, np.newaxis]
    a, b, c, d = (one[:, np.newaxis] for one in (before, p, after, second))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return np.asarray(curve.reshape(-1, 2), np.float64)


def _paint(canvas: NDArray[np.float32], mask: NDArray[np.float32], colour: NDArray[np.float32] | Colour) -> None:
    alpha = mask[..., np.newaxis]
    canvas[..., :3] += (np.asarray(colour, np.float32) - canvas[..., :3]) * alpha
    canvas[..., 3:] += (255 - canvas[..., 3:]) * alpha


def _cloth(size: tuple[int, ...], colour: Colour, px_per_m: float, seed: int) -> NDArray[np.float32]:
    """Return float32 [H, W, 3]: cloth with soft vertical folds."""
    rng = np.random.default_rng(seed)
    height, width = size
    small = rng.normal(0, 1, (max(2, height // 8), max(2, width // 8))).astype(np.float32)
    folds = cv2.GaussianBlur(small, (0, 0), sigmaX=px_per_m * 0.02 / 8, sigmaY=px_per_m * 0.09 / 8)
    folds = cv2.resize(folds / (folds.std() + 1e-6), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.asarray(colour, np.float32) * (1 + 0.09 * folds[..., np.newaxis]) + 3, np.float32)


def _rounding(mask: NDArray[np.float32], radius_px: float) -> NDArray[np.float32]:
    """Return float32 [H, W, 1]: light on the middle of a shape, shade towards its edges, as on a body."""
    small = cv2.resize(mask, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    inner = cv2.resize(cv2.GaussianBlur(small, (0, 0), max(radius_px / 8, 0.3)), mask.shape[::-1])
    return np.asarray(0.62 + 0.5 * np.clip(inner * 1.5 - 0.5, 0, 1), np.float32)[..., np.newaxis]


def draw_legs(
    phase: int,
    *,
    nose_height_m: float,
    middle_m: float,
    girth: float,
    trousers: Colour,
    shoes: Colour,
    px_per_m: float,
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Draw the legs of somebody who walks towards the camera.

    Args:
        phase: which of the `WALK_PHASES` drawings of a double step.
        nose_height_m: says how tall the person is.
        middle_m: how far the body's middle is to the right of the nose.
        girth: how wide the legs are, compared with ordinary trousers.
        trousers: BGR.
        shoes: BGR.
        px_per_m: scale.

    Returns:
        The drawing, and where the nose would be in px of it (above its upper edge).
    """
    hip = 0.6 * nose_height_m
    size = (round((hip + 0.08) * px_per_m), round(0.7 * px_per_m))
    centre, floor = size[1] / 2, hip * px_per_m

    def at(x_m: float, height_m: float) -> tuple[float, float]:
        return centre + x_m * px_per_m, floor - height_m * px_per_m

    canvas = np.zeros((*size, 4), np.float32)
    swing = np.sin(2 * np.pi * phase / WALK_PHASES)
    for side in sorted((-1, 1), key=lambda one: one * swing):
        forward = float(side * swing)
        lift = 0.11 * max(0.0, -forward) ** 1.5
        drop = 0.045 * max(0.0, forward)
        foot, knee = 0.05 + lift - drop, 0.29 * nose_height_m + 0.45 * lift
        x_hip, x_knee, x_foot = side * 0.092 * girth, side * (0.086 + 0.02 * max(0.0, -forward)) * girth, side * 0.076
        light = 0.9 + 0.14 * forward
        outline = [
            *((x_hip + way * 0.092 * girth, hip + 0.02) for way in (-1, 1)),
            (x_knee + 0.076 * girth, knee),
            *((x_foot + way * 0.06 * girth, foot + 0.03) for way in (1, -1)),
            (x_knee - 0.076 * girth, knee),
        ]
        leg = _shape(size, np.asarray([at(*point) for point in outline]), 1.3)
        shoe = np.asarray([at(x_foot - 0.05, foot + 0.06), at(x_foot + 0.05, foot + 0.06),
                           at(x_foot + side * 0.012 + 0.055, foot - 0.02), at(x_foot + side * 0.015, foot - 0.055),
                           at(x_foot + side * 0.012 - 0.055, foot - 0.02)])  # fmt: skip
        _paint(canvas, _shape(size, _rounded([(x, y) for x, y in shoe]), 0.9), np.asarray(shoes, np.float32) * light)
        cloth = _cloth(size, trousers, px_per_m, 5 + side) * _rounding(leg, 0.045 * px_per_m) * light
        _paint(canvas, leg, cloth)
    return canvas, (centre - middle_m * px_per_m, floor - nose_height_m * px_per_m)


def draw_suit(size: tuple[int, ...], nose: tuple[float, float], px_per_m: float, colour: Colour) -> NDArray[np.float32]:
    """Draw jacket, sleeves and hands of somebody whose nose is at `nose`, arms hanging."""

    def at(points: Points) -> NDArray[np.float64]:
        return np.asarray([(nose[0] + x * 0.86 * px_per_m, nose[1] + y * px_per_m) for x, y in points])

    def rounded(points: Points) -> NDArray[np.float64]:
        return _rounded([(float(x), float(y)) for x, y in at(points)])

    canvas = np.zeros((*size, 4), np.float32)
    middle = 0.02
    cloth = _cloth(size, colour, px_per_m, 3)
    torso = _shape(size, rounded([
        (middle - 0.06, 0.1), (middle + 0.06, 0.1), (middle + 0.185, 0.122), (middle + 0.235, 0.185),
        (middle + 0.215, 0.36), (middle + 0.19, 0.56), (middle + 0.2, 0.75), (middle + 0.205, 0.93),
        (middle, 0.945), (middle - 0.205, 0.93), (middle - 0.2, 0.75), (middle - 0.19, 0.56),
        (middle - 0.215, 0.36), (middle - 0.235, 0.19), (middle - 0.185, 0.135)]), 1.6)  # fmt: skip
    _paint(canvas, torso, cloth * _rounding(torso, 0.07 * px_per_m))
    _draw_front(canvas, at, middle, colour)
    for side in (-1, 1):
        hand = _shape(size, rounded([(middle + side * x, y) for x, y in (
            (0.236, 0.74), (0.282, 0.74), (0.296, 0.82), (0.288, 0.88), (0.262, 0.91), (0.242, 0.875),
            (0.234, 0.85), (0.226, 0.845), (0.224, 0.81))]), 1.5)  # fmt: skip
        _paint(canvas, hand, np.asarray(_SKIN, np.float32) * _rounding(hand, 0.02 * px_per_m))
        cuff = _shape(size, at([(middle + side * x, y) for x, y in (
            (0.226, 0.74), (0.292, 0.74), (0.293, 0.781), (0.228, 0.783))]), 1.2)  # fmt: skip
        _paint(canvas, cuff, (196, 198, 200))
        sleeve = _shape(size, rounded([(middle + side * x, y) for x, y in (
            (0.13, 0.115), (0.2, 0.128), (0.252, 0.19), (0.27, 0.34), (0.288, 0.5), (0.294, 0.66), (0.296, 0.764),
            (0.222, 0.767), (0.212, 0.64), (0.202, 0.5), (0.184, 0.36), (0.16, 0.25))]), 1.6)  # fmt: skip
        _paint(canvas, sleeve, cloth * _rounding(sleeve, 0.035 * px_per_m) * 1.06)
    return canvas


def _draw_front(
    canvas: NDArray[np.float32], at: Callable[[Points], NDArray[np.float64]], middle: float, colour: Colour
) -> None:
    """Draw shirt, tie and lapels down to the button, then the edge where the jacket closes."""
    size = canvas.shape[:2]
    dark = np.asarray(colour, np.float32)
    shirt = at([(middle - 0.05, 0.2), (middle + 0.07, 0.2), (middle + 0.02, 0.42), (middle - 0.006, 0.455),
                (middle - 0.035, 0.42)])  # fmt: skip
    _paint(canvas, _shape(size, shirt, 1.5), (196, 196, 198))
    tie = at([(middle - 0.034, 0.2), (middle + 0.03, 0.2), (middle + 0.022, 0.41), (middle - 0.006, 0.452),
              (middle - 0.034, 0.41)])  # fmt: skip
    _paint(canvas, _shape(size, tie, 1.5), (52, 44, 186))
    for side in (-1, 1):
        lapel = at([(middle + side * x - 0.004, y) for x, y in ((0.055, 0.2), (0.12, 0.3), (0.075, 0.38), (0.0, 0.47))])
        _paint(canvas, _shape(size, lapel, 1.8) * 0.75, dark * 1.12 + 4)
    edge = at([(middle - 0.002, 0.455), (middle + 0.012, 0.46), (middle + 0.02, 0.75), (middle + 0.06, 0.94),
               (middle + 0.052, 0.94), (middle + 0.012, 0.75)])  # fmt: skip
    _paint(canvas, _shape(size, edge, 2.0) * 0.8, dark * 0.45)
    button = at([(middle + 0.008, 0.5), (middle - 0.002, 0.508), (middle - 0.01, 0.5), (middle - 0.002, 0.492)])
    _paint(canvas, _shape(size, button, 1.2), dark * 0.4)
    for side in (-1, 1):
        flap = at([(middle + side * x, y) for x, y in ((0.085, 0.7), (0.18, 0.705), (0.18, 0.712), (0.085, 0.707))])
        _paint(canvas, _shape(size, flap, 1.5) * 0.7, dark * 0.5)


def draw_hips(size: tuple[int, ...], nose: tuple[float, float], px_per_m: float, colour: Colour) -> NDArray[np.float32]:
    """Draw the part of a wide pressure suit between belt and thighs."""
    points = [(-0.24, 0.4), (0.17, 0.4), (0.185, 0.56), (0.165, 0.8), (-0.03, 0.86), (-0.225, 0.8), (-0.235, 0.56)]
    curve = _rounded([(nose[0] + x * px_per_m, nose[1] + y * px_per_m) for x, y in points])
    mask = _shape(size, curve, 1.5)
    below_nose_m = (np.arange(size[0], dtype=np.float32) - nose[1]) / px_per_m
    mask *= np.clip((0.83 - below_nose_m) / 0.16, 0, 1)[:, np.newaxis]
    canvas = np.zeros((*size, 4), np.float32)
    _paint(canvas, mask, _cloth(size, colour, px_per_m, 9) * _rounding(mask, 0.05 * px_per_m))
    return canvas


def draw_ellipse(size: tuple[int, ...], ellipse: tuple[float, float, float, float]) -> NDArray[np.float32]:
    """Draw something dark and round that a portrait cuts off. `ellipse`: centre x, y and half axes in px."""
    x, y, across, down = ellipse
    turns = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    mask = _shape(size, np.stack([x + across * np.cos(turns), y + down * np.sin(turns)], axis=1), 1.4)
    canvas = np.zeros((*size, 4), np.float32)
    _paint(canvas, mask, np.asarray((20, 17, 17), np.float32) * _rounding(mask, across * 0.3))
    return canvas


def hide_microphone(pixels: NDArray[np.float32], microphone: tuple[float, float, float, float, float]) -> None:
    """Paint shirt and tie over a microphone that stands before a speaker, in place.

    Args:
        pixels: float32 [H, W, 3] BGR.
        microphone: centre x, y and half axes of its head, width of its stem, in px.
    """
    size = pixels.shape[:2]
    x, y, across, down, stem = microphone
    turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    head = np.stack([x + across * np.cos(turns), y + down * np.sin(turns)], axis=1)
    pole = np.asarray([(x - stem / 2, y), (x + stem / 2, y), (x + stem / 2 + 2, size[0]), (x - stem / 2 - 2, size[0])])
    hidden = np.maximum(_shape(size, head, 1.5), _shape(size, pole, 1.5))
    centre = np.asarray((x, y))
    layer = np.empty_like(pixels)
    layer[:] = (244, 242, 242)
    creases = ([(-5, -42), (-37, 15)], [(19, -36), (37, 5)])
    knot = [(-10, -35), (20, -35), (12, 31), (-14, 31)]
    blade = [(-15, 27), (12, 27), (30, 129), (19, 240), (-45, 240), (-52, 129)]
    for (x_top, y_top), (x_tip, y_tip) in creases:
        crease = np.asarray([(x_top, y_top), (x_tip, y_tip), (x_tip + 4, y_tip), (x_top + 4, y_top)]) + centre
        layer += (np.asarray((178, 172, 174), np.float32) - layer) * _shape(size, crease, 1.8)[..., np.newaxis]
    rows = np.arange(size[0], dtype=np.float32)[:, np.newaxis, np.newaxis]
    columns = np.arange(size[1], dtype=np.float32)[np.newaxis, :, np.newaxis]
    for part, slope, light in ((blade, 0.8, 1.0), (knot, -0.5, 0.94)):
        wave = (columns * slope + rows) * (2 * np.pi / 20)
        stripes = np.clip(np.cos(wave) * 6 - 4.6, 0, 1), np.clip(np.cos(wave + 1.3) * 5 - 4.0, 0, 1)
        red = np.asarray((66, 50, 216), np.float32) + stripes[0] * np.asarray((100, 110, 20), np.float32)
        red -= stripes[1] * np.asarray((20, 20, 60), np.float32)
        alpha = _shape(size, np.asarray(part, np.float64) + centre, 1.3)
        layer += (red * light * (0.45 + 0.55 * _rounding(alpha, 9.0)) - layer) * alpha[..., np.newaxis]
    pixels += (layer - pixels) * hidden[..., np.newaxis]
