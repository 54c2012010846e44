"""Cuts people out of portraits and gives them what a portrait does not show: a body to walk with.

Sprites are uint8 BGRA with colours already multiplied by alpha, so that they scale and blur without fringes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import msgspec
import numpy as np
from msgspec import Struct

from lfr_kernel.api import PermanentError
from lfr_plugins.lab.tailoring import WALK_PHASES, draw_ellipse, draw_hips, draw_legs, draw_suit, hide_microphone

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PORTRAITS", "Cutout", "Figure", "Sprite", "load_cutouts", "make_figure"]

PORTRAITS = Path(__file__).with_name("portraits")
_LEVELS = 5
_LEGS_PX_PER_M = 360.0
_ERODE_PX = 3
_SEAM_M = 0.03
_MARGINS_M = {"portrait": (0.06, 0.0), "suit": (0.3, 0.6), "pressure suit": (0.06, 0.28)}
"""How much is drawn beside and below a portrait."""
_GIRTH = {"portrait": 1.0, "suit": 1.0, "pressure suit": 1.22}


class Cutout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one person is cut out of one portrait; `portraits/figures.toml` explains the fields."""

    file: str
    person: str
    px_per_m: float
    nose: tuple[float, float]
    nose_height_m: float
    waist: float
    gain: float
    gamma: float
    trousers: tuple[int, int, int]
    shoes: tuple[int, int, int]
    outline: list[int]
    body: Literal["portrait", "suit", "pressure suit"] = "portrait"
    microphone: tuple[float, float, float, float, float] | None = None
    ellipse: tuple[float, float, float, float] | None = None
    middle_m: float


class Sprite(Struct, frozen=True, eq=False):
    """A picture with transparency, at several sizes, each half the one before."""

    levels: tuple[NDArray[np.uint8], ...]
    """uint8 [H, W, 4] BGRA, premultiplied."""
    px_per_m: float
    """Of the largest level."""
    anchor: tuple[float, float]
    """Where the nose is (or would be), in px of the largest level."""

    def nearest(self, px_per_m: float) -> tuple[NDArray[np.uint8], float, tuple[float, float]]:
        """Return the smallest level that need not be enlarged, with its px per metre and its anchor."""
        level = int(np.clip(np.floor(np.log2(self.px_per_m / px_per_m)), 0, len(self.levels) - 1))
        shrink = 0.5**level
        x, y = self.anchor
        return self.levels[level], self.px_per_m * shrink, ((x + 0.5) * shrink - 0.5, (y + 0.5) * shrink - 0.5)


class Figure(Struct, frozen=True, eq=False):
    """A person who can be put into a picture."""

    person: str
    nose_height_m: float
    upper: Sprite
    legs: tuple[Sprite, ...]
    """One for each phase of a double step."""


def load_cutouts(folder: Path = PORTRAITS) -> dict[str, Cutout]:
    """Read `figures.toml`.

    Raises:
        PermanentError: the file is missing or says something that it cannot.
    """
    path = folder / "figures.toml"
    try:
        return msgspec.toml.decode(path.read_bytes(), type=dict[str, Cutout])
    except (OSError, msgspec.ValidationError, msgspec.DecodeError) as error:
        raise PermanentError(f"{path}: cannot be read as the demo's figures ({error}); reinstall lfr-kernel") from error


def make_figure(cutout: Cutout, folder: Path = PORTRAITS) -> Figure:
    """Cut a person out of a portrait and draw the rest of the body.

    Raises:
        PermanentError: the portrait is missing or is no picture.
    """
    path = folder / cutout.file
    data = np.frombuffer(path.read_bytes(), np.uint8) if path.is_file() else np.zeros(0, np.uint8)
    portrait = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if portrait is None:
        raise PermanentError(
            f"{path}: expected a portrait as JPEG, found none that can be decoded; reinstall lfr-kernel"
        )
    upper = _upper(np.asarray(portrait, np.uint8), cutout)
    legs = tuple(_legs(cutout, phase) for phase in range(WALK_PHASES))
    return Figure(cutout.person, cutout.nose_height_m, upper, legs)


def _upper(portrait: NDArray[np.uint8], cutout: Cutout) -> Sprite:
    pixels = portrait.astype(np.float32)
    alpha = _matte(portrait.shape[:2], cutout.outline)
    if cutout.microphone is not None:
        hide_microphone(pixels, cutout.microphone)
    pixels = np.asarray(255 * np.power(np.clip(pixels / 255, 0, 1), cutout.gamma) * cutout.gain, np.float32)
    sprite = np.dstack([pixels * alpha[..., np.newaxis], 255 * alpha])
    size = round(cutout.px_per_m * _SEAM_M)
    sprite = _fade_out(sprite, size if cutout.body == "suit" else 0, 2 * size)
    beside, below = (round(metres * cutout.px_per_m) for metres in _MARGINS_M[cutout.body])
    sprite = np.pad(sprite, ((0, below), (beside, beside), (0, 0)))
    x, y = cutout.nose[0] + beside, cutout.nose[1]
    if cutout.ellipse is not None:
        centre, row, across, down = cutout.ellipse
        _lay_under(sprite, draw_ellipse(sprite.shape[:2], (centre + beside, row, across, down)))
    if cutout.body == "suit":
        _lay_under(sprite, draw_suit(sprite.shape[:2], (x, y), cutout.px_per_m, cutout.trousers))
    elif cutout.body == "pressure suit":
        _lay_under(sprite, draw_hips(sprite.shape[:2], (x, y), cutout.px_per_m, cutout.trousers))
    if cutout.waist != 1:
        sprite = _narrow(sprite, x, y, cutout.waist)
    return _sprite(sprite, cutout.px_per_m, (x, y))


def _legs(cutout: Cutout, phase: int) -> Sprite:
    pixels, anchor = draw_legs(
        phase,
        nose_height_m=cutout.nose_height_m,
        middle_m=cutout.middle_m,
        girth=_GIRTH[cutout.body],
        trousers=cutout.trousers,
        shoes=cutout.shoes,
        px_per_m=_LEGS_PX_PER_M,
    )
    return _sprite(pixels, _LEGS_PX_PER_M, anchor)


def _matte(shape: tuple[int, ...], outline: list[int]) -> NDArray[np.float32]:
    """Return float32 [H, W]: 1 inside the outline, with an edge as soft as that of a photograph."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.asarray(outline, np.int32).reshape(-1, 2)], 255, cv2.LINE_AA)
    padded = cv2.copyMakeBorder(mask, _ERODE_PX, _ERODE_PX, _ERODE_PX, _ERODE_PX, cv2.BORDER_REPLICATE)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_ERODE_PX, _ERODE_PX))
    soft = cv2.GaussianBlur(cv2.erode(padded, disc), (0, 0), 1.4)
    inner = soft[_ERODE_PX:-_ERODE_PX, _ERODE_PX:-_ERODE_PX]
    return np.asarray(inner.astype(np.float32) / 255, np.float32)


def _fade_out(sprite: NDArray[np.float32], sides: int, bottom: int) -> NDArray[np.float32]:
    """Let a portrait run out softly over so many px where its frame cut the person off."""
    height, width = sprite.shape[:2]
    last = int(np.flatnonzero(sprite[..., 3].max(axis=1) > 0)[-1])
    weight = _smooth((last - np.arange(height, dtype=np.float32)) / bottom)[:, np.newaxis]
    if sides:
        x = np.arange(width, dtype=np.float32)
        weight = weight * _smooth(np.minimum(x, width - 1 - x) / sides)[np.newaxis]
    return np.asarray(sprite * weight[..., np.newaxis], np.float32)


def _smooth(x: NDArray[Any]) -> NDArray[np.float32]:
    clipped = np.clip(x, 0, 1)
    return np.asarray(clipped * clipped * (3 - 2 * clipped), np.float32)


def _lay_under(sprite: NDArray[np.float32], under: NDArray[np.float32]) -> None:
    sprite += under * (1 - sprite[..., 3:] / 255)


def _narrow(sprite: NDArray[np.float32], centre: float, top: float, waist: float) -> NDArray[np.float32]:
    """Squeeze rows towards the middle, the more the further below the nose they are."""
    height, width = sprite.shape[:2]
    rows = np.arange(height, dtype=np.float32)[:, np.newaxis]
    squeeze = 1 - (1 - waist) * np.clip((rows - top * 1.9) / (height - top * 1.9), 0, 1)
    x = centre + (np.arange(width, dtype=np.float32)[np.newaxis] - centre) / squeeze
    y = np.broadcast_to(rows, x.shape)
    return np.asarray(cv2.remap(sprite, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR), np.float32)


def _sprite(pixels: NDArray[np.float32], px_per_m: float, anchor: tuple[float, float]) -> Sprite:
    levels = [np.clip(pixels, 0, 255).astype(np.uint8)]
    while len(levels) < _LEVELS:
        levels.append(np.asarray(cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8))
    return Sprite(tuple(levels), px_per_m, anchor)
