"""The empty shopping arcade that the demo's people walk through, drawn in one-point perspective.

Lengths are in metres: x to the right, height above the floor, and depth away from the camera. Pictures are BGR.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["ARCH_DEPTH_M", "View", "arch_opening", "draw_arcade", "lamp_light"]

ARCH_DEPTH_M = 9.4
"""Where the arcade ends in an archway to the street; people beyond it are hidden by its jambs."""

_HALF_WIDTH_M, _WALL_TOP_M, _CEILING_M = 2.15, 3.0, 3.5
_BAY_M, _PILASTER_M, _TILE_M = 2.1, 0.34, 0.43
_ARCH_HALF_M, _ARCH_SPRING_M = 1.2, 1.6
_LAMPS_M = tuple(1.2 + _BAY_M * bay for bay in range(4))
_SUPERSAMPLING = 2
_SUBPIXEL_BITS = 4

_STONE, _STONE_SHADE, _WOOD, _WOOD_LIGHT = (150, 172, 188), (112, 132, 148), (34, 46, 60), (62, 82, 104)
_FASCIAS = ((58, 64, 34), (44, 36, 84), (84, 58, 30), (40, 62, 74))
_WINDOWS = ((120, 186, 232), (150, 190, 214), (104, 168, 222), (160, 180, 190))

Colour = tuple[float, float, float]
Point = tuple[float, float, float]


class View(Struct, frozen=True, kw_only=True):
    """A level camera that looks along the depth axis."""

    width: int
    height: int
    focal_px: float
    horizon_px: float
    """The row at which the horizon lies."""
    camera_height_m: float

    def scale(self, depth_m: float) -> float:
        """Return how many px a metre across the view takes at this depth."""
        return self.focal_px / depth_m

    def project(self, x_m: float, height_m: float, depth_m: float) -> tuple[float, float]:
        """Return where a point lies in the picture, in px."""
        scale = self.scale(depth_m)
        return self.width / 2 + scale * x_m, self.horizon_px + scale * (self.camera_height_m - height_m)

    def times(self, factor: int) -> View:
        """Return the same view with `factor` times as many px each way."""
        return View(
            width=self.width * factor,
            height=self.height * factor,
            focal_px=self.focal_px * factor,
            horizon_px=self.horizon_px * factor,
            camera_height_m=self.camera_height_m,
        )


def lamp_light(depth_m: float | NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how strongly the lamps overhead light what stands at this depth, in [0, about 1]."""
    depth = np.asarray(depth_m, np.float32)
    return np.asarray(sum(np.exp(-np.square((depth - lamp) / 0.75)) for lamp in _LAMPS_M), np.float32)


def arch_opening(view: View) -> NDArray[np.float32]:
    """Return float32 [height, width]: 1 where one sees through the archway, 0 where its wall stands."""
    mask = np.zeros((view.height, view.width), np.uint8)
    points = [view.project(x, height, ARCH_DEPTH_M) for x, height in _arch()]
    cv2.fillPoly(mask, [_fixed(points)], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    return mask.astype(np.float32) / 255


def draw_arcade(view: View, seed: int) -> NDArray[np.uint8]:
    """Return the arcade as uint8 [height, width, 3] BGR; the same seed gives the same picture."""
    rng = np.random.default_rng(seed)
    large = view.times(_SUPERSAMPLING)
    canvas = np.empty((large.height, large.width, 3), np.uint8)
    canvas[:] = _STONE_SHADE
    _draw_ceiling(canvas, large)
    _draw_floor(canvas, large, rng)
    for side in (-1, 1):
        _draw_shops(canvas, large, side)
    picture = cv2.resize(canvas, (view.width, view.height), interpolation=cv2.INTER_AREA).astype(np.float32)
    picture *= _grain(rng, view)
    opening = arch_opening(view)[..., np.newaxis]
    _draw_end_wall(picture, view)
    picture += (_street(view, rng) - picture) * opening
    picture = _polish_floor(picture, view)
    picture *= _illumination(view) * (1 - opening) + opening
    picture += _glow(view)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 0.9), 0, 255).astype(np.uint8)


def _fixed(points: Sequence[tuple[float, float]]) -> NDArray[np.int32]:
    return np.rint(np.asarray(points, np.float64) * (1 << _SUBPIXEL_BITS)).astype(np.int32)


def _quad(canvas: NDArray[np.uint8], view: View, corners: Sequence[Point], colour: Colour) -> None:
    points = [view.project(*corner) for corner in corners]
    cv2.fillConvexPoly(canvas, _fixed(points), colour, cv2.LINE_AA, _SUBPIXEL_BITS)


def _wall(canvas: NDArray[np.uint8], view: View, x: float, low: Point, high: Point, colour: Colour) -> None:
    """Fill a rectangle on a side wall between two (unused, height, depth) corners."""
    (_, bottom, near), (_, top, far) = low, high
    _quad(canvas, view, [(x, bottom, near), (x, top, near), (x, top, far), (x, bottom, far)], colour)


def _arch() -> list[tuple[float, float]]:
    turns = np.linspace(0, np.pi, 41)
    round_part = [(float(_ARCH_HALF_M * np.cos(t)), float(_ARCH_SPRING_M + _ARCH_HALF_M * np.sin(t))) for t in turns]
    return [(_ARCH_HALF_M, 0.0), *round_part, (-_ARCH_HALF_M, 0.0)]


def _draw_floor(canvas: NDArray[np.uint8], view: View, rng: np.random.Generator) -> None:
    across = int(np.ceil(_HALF_WIDTH_M / _TILE_M))
    for row in range(int(ARCH_DEPTH_M / _TILE_M) + 1, 2, -1):
        near, far = row * _TILE_M, (row + 1) * _TILE_M
        for column in range(-across, across):
            left = column * _TILE_M
            light = (row + column) % 2 == 0
            tone = (148 if light else 96) + float(rng.normal(0, 5))
            border = abs(left + _TILE_M / 2) > _HALF_WIDTH_M - _TILE_M
            colour = (tone * 0.62, tone * 0.66, tone * 0.70) if border else (tone * 0.88, tone * 0.95, tone)
            gap = 0.008
            _quad(canvas, view, [(left, 0, near), (left + _TILE_M, 0, near), (left + _TILE_M, 0, far), (left, 0, far)],
                  (70, 76, 82))  # fmt: skip
            _quad(canvas, view, [(left + gap, 0, near + gap), (left + _TILE_M - gap, 0, near + gap),
                                 (left + _TILE_M - gap, 0, far), (left + gap, 0, far)], colour)  # fmt: skip


def _draw_ceiling(canvas: NDArray[np.uint8], view: View) -> None:
    w, near = _HALF_WIDTH_M, 1.0
    for bay in range(5, -1, -1):
        front, back = max(near, bay * _BAY_M), min(ARCH_DEPTH_M, (bay + 1) * _BAY_M)
        if front >= back:
            continue
        _quad(canvas, view, [(-w, _CEILING_M, front), (w, _CEILING_M, front), (w, _CEILING_M, back),
                             (-w, _CEILING_M, back)], (128, 148, 160))  # fmt: skip
        for left in (-1.1, -0.02):
            for k in range(3):
                a, b = front + 0.3 + k * 0.55, front + 0.3 + k * 0.55 + 0.47
                if b < back:
                    _quad(canvas, view, [(left, _CEILING_M, a), (left + 1.08, _CEILING_M, a),
                                         (left + 1.08, _CEILING_M, b), (left, _CEILING_M, b)], (238, 232, 222))  # fmt: skip
        rib = back - 0.24
        _quad(canvas, view, [(-w, _CEILING_M - 0.22, rib), (w, _CEILING_M - 0.22, rib), (w, _CEILING_M, rib),
                             (-w, _CEILING_M, rib)], _STONE)  # fmt: skip


def _draw_shops(canvas: NDArray[np.uint8], view: View, side: int) -> None:
    for bay in range(4, -1, -1):
        _draw_shop(canvas, view, side, bay)


def _draw_shop(canvas: NDArray[np.uint8], view: View, side: int, bay: int) -> None:
    x, start = side * _HALF_WIDTH_M, max(1.0, bay * _BAY_M)
    end = min(ARCH_DEPTH_M, (bay + 1) * _BAY_M)
    if start >= end:
        return
    kind = (bay + (side > 0) * 2) % 4

    def fill(bottom: float, top: float, near: float, far: float, colour: Colour, inset: float = 0.0) -> None:
        near, far = max(near, start), min(far, end)
        if far > near:
            _wall(canvas, view, x + side * inset, (0, bottom, near), (0, top, far), colour)

    fill(0, _CEILING_M, start, end, _STONE)
    front, back = bay * _BAY_M, (bay + 1) * _BAY_M - _PILASTER_M
    fill(0, 2.72, front, back, _WOOD)
    fill(2.3, 2.66, front + 0.05, back - 0.05, _FASCIAS[kind])
    _draw_letters(fill, front + 0.4, back - 0.4, kind)
    door = bay % 2 == (side > 0)
    panes = [(front + 0.08, front + 0.78, 0.08), (front + 0.9, back - 0.08, 0.55)] if door else [
        (front + 0.08, (front + back) / 2 - 0.04, 0.55), ((front + back) / 2 + 0.04, back - 0.08, 0.55)]  # fmt: skip
    for near, far, sill in panes:
        fill(sill - 0.05, 2.22, near - 0.03, far + 0.03, _WOOD_LIGHT)
        _draw_pane(fill, near, far, sill, _WINDOWS[kind], bay * 7 + side)
        if sill > 0.3:  # noqa: PLR2004  (a window, not a door: a panel lies under it)
            fill(0.12, sill - 0.12, near + 0.05, far - 0.05, _WOOD_LIGHT)
            fill(0.15, sill - 0.15, near + 0.08, far - 0.08, _WOOD)
    fill(0, 2.9, back, back + _PILASTER_M, _STONE_SHADE)
    fill(0, 2.9, back + 0.04, back + _PILASTER_M - 0.04, _STONE)
    fill(0, 0.28, back, back + _PILASTER_M, (104, 122, 136))
    fill(2.86, 2.93, start, end, (96, 114, 128))
    fill(2.93, _WALL_TOP_M, start, end, (172, 194, 208))


def _draw_letters(fill: Callable[..., None], near: float, far: float, seed: int) -> None:
    """Draw a shop's name, too far away and too slanted to be read."""
    rng = np.random.default_rng(seed + 3)
    at = near
    while at < far - 0.1:
        wide = float(rng.uniform(0.035, 0.07))
        fill(2.43, 2.53 + float(rng.choice([0.0, 0.0, 0.03])), at, at + wide, (150, 192, 208))
        if rng.random() < 0.7:  # noqa: PLR2004  (most letters have a counter)
            fill(2.455, 2.48, at + 0.016, at + wide, _FASCIAS[seed])
        at += wide + (0.09 if rng.random() < 0.15 else 0.022)  # noqa: PLR2004  (now and then a word ends)


def _draw_pane(fill: Callable[..., None], near: float, far: float, sill: float, warm: Colour, seed: int) -> None:
    rng = np.random.default_rng(abs(seed) + 11)
    steps = 14
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


def _draw_end_wall(picture: NDArray[np.float32], view: View) -> None:
    wall = np.empty_like(picture)
    wall[:] = _STONE
    mask = np.zeros(picture.shape[:2], np.uint8)
    w = _HALF_WIDTH_M
    corners = [(-w, 0.0), (w, 0.0), (w, _CEILING_M), (-w, _CEILING_M)]
    cv2.fillConvexPoly(mask, _fixed([view.project(x, h, ARCH_DEPTH_M) for x, h in corners]), 255, cv2.LINE_AA,
                       _SUBPIXEL_BITS)  # fmt: skip
    surround = [view.project(x * 1.13, h * 1.045, ARCH_DEPTH_M) for x, h in _arch()]
    drawn = np.ascontiguousarray(wall, np.float32)
    for x in (-1.95, 1.66):
        for inset, colour in ((0.0, (112, 130, 144)), (0.035, (164, 184, 198))):
            box = [(x + inset, 0.0), (x + 0.29 - inset, 0.0), (x + 0.29 - inset, 2.9), (x + inset, 2.9)]
            points = [view.project(px, ph, ARCH_DEPTH_M) for px, ph in box]
            cv2.fillConvexPoly(drawn, _fixed(points), colour, cv2.LINE_AA, _SUBPIXEL_BITS)
    for height, colour in ((2.9, (104, 120, 134)), (2.96, (176, 196, 210)), (0.14, (110, 126, 138))):
        band = [(-w, height - 0.06), (w, height - 0.06), (w, height), (-w, height)]
        points = [view.project(px, ph, ARCH_DEPTH_M) for px, ph in band]
        cv2.fillConvexPoly(drawn, _fixed(points), colour, cv2.LINE_AA, _SUBPIXEL_BITS)
    cv2.fillPoly(drawn, [_fixed(surround)], (182, 202, 216), cv2.LINE_AA, _SUBPIXEL_BITS)
    middle = [view.project(x * 1.03, h * 1.01, ARCH_DEPTH_M) for x, h in _arch()]
    cv2.polylines(drawn, [_fixed(middle)], False, (92, 110, 124), 3, cv2.LINE_AA, _SUBPIXEL_BITS)  # noqa: FBT003
    alpha = mask[..., np.newaxis].astype(np.float32) / 255
    picture += (drawn - picture) * alpha


def _street(view: View, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return what is seen through the archway: a sunlit lane, far out of focus."""
    rows = np.linspace(0, 1, view.height, dtype=np.float32)[:, np.newaxis, np.newaxis]
    sky = np.asarray((246, 232, 214), np.float32) + rows * np.asarray((-6, 20, 46), np.float32)
    canvas = np.clip(np.broadcast_to(sky, (view.height, view.width, 3)), 0, 252).astype(np.uint8)
    far = 60.0
    for side in (-1, 1):
        depth = far
        while depth > 12:  # noqa: PLR2004  (nearer ones are hidden by the archway's wall)
            length, height, x = float(rng.uniform(4, 7)), float(rng.uniform(5.5, 9.5)), side * 2.9
            near, tone = depth - length, float(rng.uniform(150, 205)) * (0.84 if side < 0 else 1.06)
            tint = rng.uniform(0.7, 0.95)
            _wall(canvas, view, x, (0, 0, near), (0, height, depth), (tone * tint * 0.92, tone * tint, tone))
            for floor in np.arange(0.7, height - 1.5, 2.4):
                for at in np.arange(near + 0.6, depth - 0.8, 1.9):
                    _wall(canvas, view, x, (0, float(floor), at), (0, float(floor) + 1.4, at + 0.9), (84, 88, 92))
            depth = near
    _quad(canvas, view, [(-2.9, 0, 9), (2.9, 0, 9), (2.9, 0, far), (-2.9, 0, far)], (166, 176, 184))
    _quad(canvas, view, [(-1.5, 0, 9), (1.5, 0, 9), (1.5, 0, far), (-1.5, 0, far)], (140, 148, 156))
    for x in (-2.2, 2.2):
        for _ in range(60):
            leaf = view.project(x + float(rng.normal(0, 0.5)), 3.6 + float(rng.normal(0, 0.6)), 21.0)
            green = float(rng.uniform(84, 150))
            centre, radius = (round(leaf[0]), round(leaf[1])), int(rng.integers(6, 13))
            cv2.circle(canvas, centre, radius, (green * 0.5, green, green * 0.72), -1, cv2.LINE_AA)
        _quad(canvas, view, [(x - 0.1, 0, 21), (x + 0.1, 0, 21), (x + 0.1, 3.4, 21), (x - 0.1, 3.4, 21)], (60, 74, 88))
    blurred = cv2.GaussianBlur(canvas.astype(np.float32), (0, 0), 4.5)
    return np.asarray(blurred * 0.9 + 22, np.float32)


def _depth(view: View) -> NDArray[np.float32]:
    """Return float32 [height, width]: how far away floor, walls, ceiling or end wall are along each px."""
    x = np.abs(np.arange(view.width, dtype=np.float32) - view.width / 2)[np.newaxis] + 1e-3
    y = np.arange(view.height, dtype=np.float32)[:, np.newaxis] - view.horizon_px
    below, above = np.maximum(y, 1e-3), np.maximum(-y, 1e-3)
    floor = view.focal_px * view.camera_height_m / below
    ceiling = view.focal_px * (_CEILING_M - view.camera_height_m) / above
    walls = view.focal_px * _HALF_WIDTH_M / x
    return np.asarray(np.minimum(np.minimum(floor, ceiling), np.minimum(walls, ARCH_DEPTH_M)), np.float32)


def _illumination(view: View) -> NDArray[np.float32]:
    depth = _depth(view)
    scale = view.focal_px / depth
    x = (np.arange(view.width, dtype=np.float32)[np.newaxis] - view.width / 2) / scale
    height = view.camera_height_m - (np.arange(view.height, dtype=np.float32)[:, np.newaxis] - view.horizon_px) / scale
    daylight = np.exp(-(ARCH_DEPTH_M - depth) / 3.2)
    corner = 1 - 0.42 * np.exp(-np.maximum(_HALF_WIDTH_M - np.abs(x), 0) / 0.25 - np.maximum(height, 0) / 0.35)
    upper = 1 - 0.25 * np.exp(-np.maximum(_CEILING_M - height, 0) / 0.3)
    light = (0.52 + 0.24 * lamp_light(depth) + 0.34 * daylight) * corner * upper
    tint = np.stack([light * (0.96 + 0.06 * daylight), light, light * (1.04 - 0.05 * daylight)], axis=-1)
    return np.asarray(tint * _vignette(view), np.float32)


def _vignette(view: View) -> NDArray[np.float32]:
    x = np.linspace(-1, 1, view.width, dtype=np.float32)[np.newaxis, :, np.newaxis]
    y = np.linspace(-1, 1, view.height, dtype=np.float32)[:, np.newaxis, np.newaxis]
    return np.asarray(1 - 0.24 * np.square((x * x + y * y) / 2), np.float32)


def _polish_floor(picture: NDArray[np.float32], view: View) -> NDArray[np.float32]:
    """Let the floor mirror what stands at the far end, as polished stone does at a grazing angle."""
    line = round(view.project(0, 0, ARCH_DEPTH_M)[1])
    rows = view.height - line
    mirrored = cv2.GaussianBlur(picture[line - rows : line][::-1], (0, 0), sigmaX=5, sigmaY=16)
    strength = 0.42 * np.exp(-np.arange(rows, dtype=np.float32) / 85)[:, np.newaxis, np.newaxis] + 0.05
    depth = _depth(view)[line:]
    x = np.abs(np.arange(view.width, dtype=np.float32) - view.width / 2)[np.newaxis] * depth / view.focal_px
    on_floor = (x < _HALF_WIDTH_M - 1e-2)[..., np.newaxis]
    picture[line:] += (mirrored - picture[line:]) * strength * on_floor
    return picture


def _glow(view: View) -> NDArray[np.float32]:
    """Return the light that lamps and archway scatter towards the lens, to be added."""
    glow = np.zeros((view.height, view.width, 3), np.float32)
    for lamp in _LAMPS_M:
        x, y = view.project(0, 3.05, lamp)
        if y > -40:  # noqa: PLR2004  (further up nothing of it is in the picture)
            radius = 0.11 * view.scale(lamp)
            cv2.circle(glow, (round(x), round(y)), round(radius), (190, 226, 250), -1, cv2.LINE_AA)
            cv2.line(glow, (round(x), 0), (round(x), round(y - radius)), (-46, -48, -50), 2, cv2.LINE_AA)
    halo = cv2.GaussianBlur(np.maximum(glow, 0), (0, 0), 22) * 0.9
    veil = cv2.GaussianBlur(cv2.resize(arch_opening(view), None, fx=0.25, fy=0.25), (0, 0), 16)
    light = cv2.resize(veil, (view.width, view.height))[..., np.newaxis] * np.asarray((30, 28, 26), np.float32)
    return np.asarray(glow + halo + light, np.float32)


def _grain(rng: np.random.Generator, view: View) -> NDArray[np.float32]:
    fine = rng.normal(0, 1, (view.height // 2, view.width // 2)).astype(np.float32)
    coarse = cv2.GaussianBlur(rng.normal(0, 1, (view.height // 8, view.width // 8)).astype(np.float32), (0, 0), 2)
    size = (view.width, view.height)
    return np.asarray(1 + 0.02 * cv2.resize(fine, size) + 0.12 * cv2.resize(coarse, size), np.float32)[..., np.newaxis]
