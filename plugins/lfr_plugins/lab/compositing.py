"""Puts the demo's walkers into the arcade, one frame at a time, and treats the result as a camera would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from lfr_plugins.lab.arcade import ARCH_DEPTH_M, arch_opening, draw_arcade, lamp_light
from lfr_plugins.lab.choreography import FRAMES_PER_S, Pose, Walk, light_at, pose_at
from lfr_plugins.lab.figures import Figure, Sprite, load_cutouts, make_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lfr_plugins.lab.perspective import View

__all__ = ["Compositor"]

_SEED = 20_240_229
_FOCUS_M = 3.2
_SHUTTER_S = 1 / 90
_NOISE_STEPS = 4
_NOISE_LEAST, _NOISE_MOST = 1.4, 3.6
_NOISE_MARGIN = 128
_CONTRAST = 0.055
_LEGS_BEYOND_M = 2.6
"""Nearer than this the legs are below the picture."""
_REACH_M = 0.62
"""No walker is wider than this to either side of the nose."""
_SKY = (236.0, 234.0, 230.0)

Region = tuple[slice, slice]


class Compositor:
    """Makes the frames. `frame` may be called from several threads at once: it only reads."""

    def __init__(self, view: View, walks: Sequence[Walk], figures: dict[str, Figure]) -> None:
        self._view = view
        self._walks = tuple(walks)
        self._figures = figures
        self._background = draw_arcade(view, _SEED)
        self._opening = arch_opening(view)
        self._noise = _noise_fields(view)

    @classmethod
    def build(cls, view: View, walks: Sequence[Walk]) -> Compositor:
        """Cut out everybody who walks. Raises PermanentError when a portrait is missing."""
        cutouts = load_cutouts()
        return cls(view, walks, {walk.figure: make_figure(cutouts[walk.figure]) for walk in walks})

    def frame(self, number: int) -> NDArray[np.uint8]:
        """Return frame `number` as uint8 [height, width, 3] BGR, an array of its own."""
        time_s = number / FRAMES_PER_S
        picture = self._background.copy()
        poses = [(walk, pose) for walk in self._walks if (pose := pose_at(walk, time_s)) is not None]
        poses.sort(key=lambda one: -one[1].depth_m)
        for _, pose in poses:
            self._cast_shadow(picture, pose)
        for walk, pose in poses:
            self._put(picture, self._figures[walk.figure], pose)
        return self._expose(picture, number, time_s)

    def _put(self, picture: NDArray[np.uint8], figure: Figure, pose: Pose) -> None:
        scale = self._view.scale(pose.depth_m)
        nose = self._view.project(pose.x_m, figure.nose_height_m + pose.bob_m, pose.depth_m)
        region = self._region(nose, scale, figure.nose_height_m)
        if region is None:
            return
        height, width = (part.stop - part.start for part in region)
        local = nose[0] - region[1].start, nose[1] - region[0].start
        layer = _warp(figure.upper, local, scale, pose.roll_deg, (width, height))
        if pose.depth_m > _LEGS_BEYOND_M:
            legs = figure.legs[int(pose.phase * len(figure.legs)) % len(figure.legs)]
            steady = local[0], local[1] + pose.bob_m * scale
            _lay_over(layer, _warp(legs, steady, scale, 0.0, (width, height)))
        layer = _blur(layer, pose, scale)
        self._blend(picture, region, layer, pose)

    def _blend(self, picture: NDArray[np.uint8], region: Region, layer: NDArray[np.uint8], pose: Pose) -> None:
        lit = layer[..., :3].astype(np.float32)
        alpha = layer[..., 3:].astype(np.float32) / 255
        haze = 0.16 * min(1.0, max(0.0, (pose.depth_m - 4) / 6))
        lit *= _lighting(pose.depth_m) * (1 - haze)
        lit += alpha * np.asarray(_SKY, np.float32) * haze
        if pose.depth_m > ARCH_DEPTH_M:
            opening = self._opening[region][..., np.newaxis]
            lit *= opening
            alpha *= opening
        target = picture[region]
        np.clip(target * (1 - alpha) + lit, 0, 255, out=lit)
        target[:] = lit

    def _region(self, nose: tuple[float, float], scale: float, nose_height_m: float) -> Region | None:
        """Return the part of the picture that a walker can touch; None when there is none."""
        left, right = (int(np.clip(nose[0] + s * _REACH_M * scale, 0, self._view.width)) for s in (-1, 1))
        top = int(np.clip(nose[1] - 0.3 * scale, 0, self._view.height))
        bottom = int(np.clip(nose[1] + (nose_height_m + 0.15) * scale, 0, self._view.height))
        return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None

    def _cast_shadow(self, picture: NDArray[np.uint8], pose: Pose) -> None:
        """Darken the floor around the feet, and the reflection that a polished floor gives of the body."""
        scale = self._view.scale(pose.depth_m)
        x, y = self._view.project(pose.x_m, 0, pose.depth_m)
        across, along = 0.5 * scale, max(10.0, 0.075 * scale)
        top, bottom = int(max(0, y - 3 * along)), int(min(self._view.height, y + 9 * along))
        left, right = int(max(0, x - 3 * across)), int(min(self._view.width, x + 3 * across))
        if top >= bottom or left >= right or pose.depth_m > ARCH_DEPTH_M:
            return
        rows = (np.arange(top, bottom, dtype=np.float32) - y)[:, np.newaxis]
        columns = (np.arange(left, right, dtype=np.float32) - x)[np.newaxis]
        contact = np.exp(-np.square(rows / along) - np.square(columns / (0.62 * across)))
        mirrored = np.exp(-np.abs(rows - 2.5 * along) / (2.4 * along) - np.square(columns / (0.5 * across)))
        dark = 1 - 0.55 * contact - 0.22 * mirrored * (rows > 0)
        area = picture[top:bottom, left:right]
        area[:] = np.clip(area * dark[..., np.newaxis], 0, 255)

    def _expose(self, picture: NDArray[np.uint8], number: int, time_s: float) -> NDArray[np.uint8]:
        light = light_at(time_s)
        levels = np.arange(256, dtype=np.float32) / 255
        gains = light.gain * np.asarray((1 - light.warmth, 1.0, 1 + light.warmth), np.float32)
        linear = np.clip(levels[:, np.newaxis] * gains, 0, 1)
        curve = 255 * (linear - _CONTRAST * np.sin(2 * np.pi * linear))
        exposed = cv2.LUT(picture, np.clip(curve, 0, 255).astype(np.uint8)[np.newaxis])
        rng = np.random.default_rng((_SEED, number))
        y, x = (int(rng.integers(_NOISE_MARGIN)) for _ in range(2))
        field = self._noise[min(_NOISE_STEPS - 1, int(light.noise * _NOISE_STEPS))]
        grain = field[y : y + self._view.height, x : x + self._view.width]
        return np.asarray(cv2.add(exposed, grain, dtype=cv2.CV_8U), np.uint8)


def _warp(
    sprite: Sprite, nose: tuple[float, float], px_per_m: float, roll_deg: float, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return uint8 [H, W, 4]: the sprite turned and scaled so that its nose comes to lie at `nose`."""
    pixels, own_scale, anchor = sprite.nearest(px_per_m)
    affine = cv2.getRotationMatrix2D(anchor, roll_deg, px_per_m / own_scale)
    affine[:, 2] += np.subtract(nose, anchor)
    return np.asarray(cv2.warpAffine(pixels, affine, size, flags=cv2.INTER_LINEAR), np.uint8)


def _lay_over(layer: NDArray[np.uint8], below: NDArray[np.uint8]) -> None:
    """Put `below` behind what `layer` holds, in place."""
    rows = np.flatnonzero(below[..., 3].any(axis=1))
    if rows.size:
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        gap = 255 - layer[part, :, 3:].astype(np.uint16)
        layer[part] += ((below[part] * gap + 127) // 255).astype(np.uint8)


def _blur(layer: NDArray[np.uint8], pose: Pose, scale: float) -> NDArray[np.uint8]:
    """Blur by defocus, and by how far the walker moves while the shutter is open."""
    defocus = 0.35 + 1.5 * abs(1 / pose.depth_m - 1 / _FOCUS_M) * (1.6 if pose.depth_m < _FOCUS_M else 1.0)
    layer = np.asarray(cv2.GaussianBlur(layer, (0, 0), defocus), np.uint8)
    smear = round(abs(pose.drift_m_s) * scale * _SHUTTER_S)
    return np.asarray(cv2.blur(layer, (smear | 1, 1)), np.uint8) if smear > 1 else layer


def _lighting(depth_m: float) -> NDArray[np.float32]:
    """Return the gain of a walker's blue, green and red: against the light far away, under lamps further on."""
    lamps = float(lamp_light(depth_m))
    gain = 0.78 + 0.3 * lamps - 0.14 * float(np.clip((depth_m - 6) / 3, 0, 1))
    return np.asarray((0.985 - 0.05 * lamps, 1.0, 1.0 + 0.03 * lamps), np.float32) * np.float32(gain)


def _noise_fields(view: View) -> tuple[NDArray[np.int16], ...]:
    """Return grain of rising strength, larger than the picture, so that a random part of it can be taken."""
    rng = np.random.default_rng(_SEED)
    size = (view.height + _NOISE_MARGIN, view.width + _NOISE_MARGIN)
    luma = cv2.GaussianBlur(rng.normal(0, 1, size).astype(np.float32), (0, 0), 0.6)
    chroma = cv2.GaussianBlur(rng.normal(0, 1, (*size, 3)).astype(np.float32), (0, 0), 1.1)
    grain = luma[..., np.newaxis] / luma.std() + 0.5 * chroma / chroma.std()
    strengths = np.linspace(_NOISE_LEAST, _NOISE_MOST, _NOISE_STEPS)
    return tuple(np.rint(grain * strength).astype(np.int16) for strength in strengths)
