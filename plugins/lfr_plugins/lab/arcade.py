"""The empty shopping arcade that the demo's people walk through, drawn in one-point perspective.

Pictures are BGR; lengths are as in `perspective`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from lfr_plugins.lab.perspective import SUBPIXEL_BITS, View, fill_quad, to_fixed, upright
from lfr_plugins.lab.shopfronts import BAY_M, draw_shop

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ARCH_DEPTH_M", "arch_opening", "draw_arcade", "lamp_light"]

ARCH_DEPTH_M = 9.4
"""Where the arcade ends in an archway to the street; people beyond it are hidden by its jambs."""

_HALF_WIDTH_M, _CEILING_M, _TILE_M = 2.15, 3.5, 0.43
_ARCH_HALF_M, _ARCH_SPRING_M = 1.2, 1.6
_LAMPS_M = tuple(1.2 + BAY_M * bay for bay in range(4))
_STONE, _STONE_SHADE = (150, 172, 188), (112, 132, 148)
_SUPERSAMPLING = 2


def lamp_light(depth_m: float | NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how strongly the lamps overhead light what stands at this depth, in [0, about 1]."""
    depth = np.asarray(depth_m, np.float32)
    return np.asarray(sum(np.exp(-np.square((depth - lamp) / 0.75)) for lamp in _LAMPS_M), np.float32)


def arch_opening(view: View) -> NDArray[np.float32]:
    """Return float32 [height, width]: 1 where one sees through the archway, 0 where its wall stands."""
    mask = np.zeros((view.height, view.width), np.uint8)
    points = [view.project(x, height, ARCH_DEPTH_M) for x, height in _arch()]
    cv2.fillPoly(mask, [to_fixed(points)], 255, cv2.LINE_AA, SUBPIXEL_BITS)
    return np.asarray(mask.astype(np.float32) / 255, np.float32)


def draw_arcade(view: View, seed: int) -> NDArray[np.uint8]:
    """Return the arcade as uint8 [height, width, 3] BGR; the same seed gives the same picture."""
    rng = np.random.default_rng(seed)
    large = view.times(_SUPERSAMPLING)
    canvas = np.empty((large.height, large.width, 3), np.uint8)
    canvas[:] = _STONE_SHADE
    _draw_ceiling(canvas, large)
    _draw_floor(canvas, large, rng)
    for side in (-1, 1):
        for bay in range(int(ARCH_DEPTH_M / BAY_M), -1, -1):
            draw_shop(canvas, large, wall_m=side * _HALF_WIDTH_M, bay=bay, span_m=(1.0, ARCH_DEPTH_M), top_m=_CEILING_M)
    picture = cv2.resize(canvas, (view.width, view.height), interpolation=cv2.INTER_AREA).astype(np.float32)
    picture *= _grain(rng, view)
    opening = arch_opening(view)[..., np.newaxis]
    _draw_end_wall(picture, view)
    picture += (_street(view, rng) - picture) * opening
    picture = _polish_floor(picture, view)
    picture *= _illumination(view) * (1 - opening) + opening
    picture += _glow(view)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 0.9), 0, 255).astype(np.uint8)


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
            for gap, paint in ((0.0, (70, 76, 82)), (0.008, colour)):
                a, b, front = left + gap, left + _TILE_M - gap, near + gap
                fill_quad(canvas, view, [(a, 0, front), (b, 0, front), (b, 0, far), (a, 0, far)], paint)


def _draw_ceiling(canvas: NDArray[np.uint8], view: View) -> None:
    w, near = _HALF_WIDTH_M, 1.0
    for bay in range(5, -1, -1):
        front, back = max(near, bay * BAY_M), min(ARCH_DEPTH_M, (bay + 1) * BAY_M)
        if front >= back:
            continue
        fill_quad(canvas, view, [(-w, _CEILING_M, front), (w, _CEILING_M, front), (w, _CEILING_M, back),
                             (-w, _CEILING_M, back)], (128, 148, 160))  # fmt: skip
        for left in (-1.1, -0.02):
            for k in range(3):
                a, b = front + 0.3 + k * 0.55, front + 0.3 + k * 0.55 + 0.47
                if b < back:
                    right, h = left + 1.08, _CEILING_M
                    fill_quad(canvas, view, [(left, h, a), (right, h, a), (right, h, b), (left, h, b)], (238, 232, 222))
        rib = back - 0.24
        fill_quad(canvas, view, [(-w, _CEILING_M - 0.22, rib), (w, _CEILING_M - 0.22, rib), (w, _CEILING_M, rib),
                             (-w, _CEILING_M, rib)], _STONE)  # fmt: skip


def _draw_end_wall(picture: NDArray[np.float32], view: View) -> None:
    wall = np.empty_like(picture)
    wall[:] = _STONE
    mask = np.zeros(picture.shape[:2], np.uint8)
    w = _HALF_WIDTH_M
    corners = [(-w, 0.0), (w, 0.0), (w, _CEILING_M), (-w, _CEILING_M)]
    cv2.fillConvexPoly(mask, to_fixed([view.project(x, h, ARCH_DEPTH_M) for x, h in corners]), 255, cv2.LINE_AA,
                       SUBPIXEL_BITS)  # fmt: skip
    surround = [view.project(x * 1.13, h * 1.045, ARCH_DEPTH_M) for x, h in _arch()]
    drawn = np.ascontiguousarray(wall, np.float32)
    for course in range(12):
        height = 0.14 + course * 0.27
        joints = [(-w + 0.3 + (course % 2) * 0.28 + k * 0.56, height) for k in range(8)]
        lines = [[(-w, height), (w, height)], *([(x, height), (x, height + 0.27)] for x, height in joints)]
        for line in lines:
            points = [view.project(px, ph, ARCH_DEPTH_M) for px, ph in line]
            cv2.polylines(drawn, [to_fixed(points)], False, (134, 155, 170), 1, cv2.LINE_AA, SUBPIXEL_BITS)  # noqa: FBT003
    for x in (-1.95, 1.66):
        for inset, colour in ((0.0, (112, 130, 144)), (0.035, (164, 184, 198))):
            box = [(x + inset, 0.0), (x + 0.29 - inset, 0.0), (x + 0.29 - inset, 2.9), (x + inset, 2.9)]
            points = [view.project(px, ph, ARCH_DEPTH_M) for px, ph in box]
            cv2.fillConvexPoly(drawn, to_fixed(points), colour, cv2.LINE_AA, SUBPIXEL_BITS)
    for height, colour in ((2.9, (104, 120, 134)), (2.96, (176, 196, 210)), (0.14, (110, 126, 138))):
        band = [(-w, height - 0.06), (w, height - 0.06), (w, height), (-w, height)]
        points = [view.project(px, ph, ARCH_DEPTH_M) for px, ph in band]
        cv2.fillConvexPoly(drawn, to_fixed(points), colour, cv2.LINE_AA, SUBPIXEL_BITS)
    cv2.fillPoly(drawn, [to_fixed(surround)], (182, 202, 216), cv2.LINE_AA, SUBPIXEL_BITS)
    middle = [view.project(x * 1.03, h * 1.01, ARCH_DEPTH_M) for x, h in _arch()]
    cv2.polylines(drawn, [to_fixed(middle)], False, (92, 110, 124), 3, cv2.LINE_AA, SUBPIXEL_BITS)  # noqa: FBT003
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
            fill_quad(canvas, view, upright(x, 0, height, near, depth), (tone * tint * 0.92, tone * tint, tone))
            for floor in np.arange(0.7, height - 1.5, 2.4):
                for at in np.arange(near + 0.6, depth - 0.8, 1.9):
                    corners = upright(x, float(floor), float(floor) + 1.4, float(at), float(at) + 0.9)
                    fill_quad(canvas, view, corners, (84, 88, 92))
            depth = near
    fill_quad(canvas, view, [(-2.9, 0, 9), (2.9, 0, 9), (2.9, 0, far), (-2.9, 0, far)], (166, 176, 184))
    fill_quad(canvas, view, [(-1.5, 0, 9), (1.5, 0, 9), (1.5, 0, far), (-1.5, 0, far)], (140, 148, 156))
    for x in (-2.2, 2.2):
        for _ in range(60):
            leaf = view.project(x + float(rng.normal(0, 0.5)), 3.6 + float(rng.normal(0, 0.6)), 21.0)
            green = float(rng.uniform(84, 150))
            centre, radius = (round(leaf[0]), round(leaf[1])), int(rng.integers(6, 13))
            cv2.circle(canvas, centre, radius, (green * 0.5, green, green * 0.72), -1, cv2.LINE_AA)
        fill_quad(
            canvas, view, [(x - 0.1, 0, 21), (x + 0.1, 0, 21), (x + 0.1, 3.4, 21), (x - 0.1, 3.4, 21)], (60, 74, 88)
        )
    blurred = cv2.GaussianBlur(canvas.astype(np.float32), (0, 0), 6.5)
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
