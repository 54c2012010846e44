"""Draws what a person needs to decide on an alert: both photographs, and the similarity on its scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from lfr_plugins.sinks.lettering import Align, Lettering
from lfr_plugins.sinks.wording import printable, utc_seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lfr_kernel.api import Alert, Evidence

__all__ = ["draw"]

_MARGIN, _SIDE, _GAP = 56, 340, 28
_WIDTH = 2 * _MARGIN + 2 * _SIDE + _GAP
_LEFT, _RIGHT = _MARGIN, _WIDTH - _MARGIN
_PICTURES_TOP = 190
_AXIS = _PICTURES_TOP + _SIDE + 128
_FACTS = _AXIS + 118
_BASIS = _FACTS + 70
_HEIGHT = _BASIS + 158
_CORNER = 12
_NAME_SIZES = (40, 32, 26)
_SUBPIXEL_BITS = 4

_GROUND, _RAISED, _LINE = (23, 24, 28), (38, 40, 46), (58, 61, 69)
_INK, _QUIET, _FAINT = (240, 240, 236), (164, 168, 176), (112, 116, 125)
_ACCENT = (255, 179, 71)


def draw(alert: Alert, evidence: Evidence) -> NDArray[np.uint8]:
    """Return the comparison of an alert as a picture, uint8 [H, W, 3] RGB.

    Similarity and threshold are drawn as what they are, cosines on an axis from 0 to 1 (lower ones at its left end),
    never as a percentage.
    """
    canvas = np.empty((_HEIGHT, _WIDTH, 3), np.uint8)
    canvas[:] = _GROUND
    letters = Lettering(canvas)
    _draw_heading(letters, alert)
    for left, picture, label in (
        (_LEFT, evidence.probe, "SEEN BY CAMERA"),
        (_RIGHT - _SIDE, evidence.listed, "LISTED PHOTOGRAPH"),
    ):
        letters.write(label, (left, _PICTURES_TOP - 14), 13, _FAINT, weight=600, tracking=1.2)
        _place(canvas, picture, left, _PICTURES_TOP)
    _draw_scale(canvas, letters, alert)
    _draw_facts(canvas, letters, alert)
    return canvas


def _draw_heading(letters: Lettering, alert: Alert) -> None:
    letters.write("PROPOSED MATCH", (_LEFT, 72), 14, _ACCENT, weight=700, tracking=1.8)
    letters.write(utc_seconds(alert.captured_at_ns), (_RIGHT, 72), 15, _QUIET, align="right")
    name, space = printable(alert.person), _RIGHT - _LEFT
    size = next((one for one in _NAME_SIZES if letters.width(name, one, 600) <= space), _NAME_SIZES[-1])
    letters.write(letters.fitted(name, size, 600, space), (_LEFT, 124), size, _INK, weight=600)


def _place(canvas: NDArray[np.uint8], picture: NDArray[np.uint8], left: int, top: int) -> None:
    """Put a picture into a square with rounded corners, whole, enlarged smoothly."""
    height, width = picture.shape[:2]
    scale = _SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    square = np.empty((_SIDE, _SIDE, 3), np.uint8)
    square[:] = _RAISED
    x, y = (_SIDE - size[0]) // 2, (_SIDE - size[1]) // 2
    square[y : y + size[1], x : x + size[0]] = cv2.resize(picture, size, interpolation=how)
    area = canvas[top : top + _SIDE, left : left + _SIDE]
    mask = _rounded(_SIDE, _CORNER)[..., np.newaxis]
    area[:] = np.rint(area + (square.astype(np.float32) - area) * mask)


def _rounded(side: int, radius: int) -> NDArray[np.float32]:
    """Return float32 [side, side]: 1 inside a square with rounded corners, smooth at its edge."""
    from_middle = np.abs(np.arange(side, dtype=np.float32) + 0.5 - side / 2) - (side / 2 - radius)
    outside = np.hypot(np.maximum(from_middle, 0)[np.newaxis], np.maximum(from_middle, 0)[:, np.newaxis])
    return np.asarray(np.clip(radius + 0.5 - outside, 0, 1), np.float32)


def _position(cosine: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * min(1.0, max(0.0, cosine))


def _bar(canvas: NDArray[np.uint8], start: float, end: float, colour: tuple[int, int, int]) -> None:
    """Draw a round-ended bar along the axis."""
    points = [(round(x * (1 << _SUBPIXEL_BITS)), _AXIS << _SUBPIXEL_BITS) for x in (start, end)]
    cv2.line(canvas, points[0], points[1], colour, 6, cv2.LINE_AA, _SUBPIXEL_BITS)


def _draw_scale(canvas: NDArray[np.uint8], letters: Lettering, alert: Alert) -> None:
    here, limit = _position(alert.similarity), _position(alert.threshold)
    _bar(canvas, _LEFT, _RIGHT, _LINE)
    _bar(canvas, _LEFT, here, _ACCENT)
    for tenth in range(0, 11, 2):
        x = _position(tenth / 10)
        align: Align = "left" if tenth == 0 else "right" if tenth == 10 else "centre"  # noqa: PLR2004  (the ends of the axis)
        letters.write(f"{tenth / 10:.1f}", (x, _AXIS + 32), 14, _FAINT, align=align)
    cv2.line(canvas, (round(limit), _AXIS - 15), (round(limit), _AXIS + 15), _INK, 2, cv2.LINE_AA)
    centre = (round(here * (1 << _SUBPIXEL_BITS)), _AXIS << _SUBPIXEL_BITS)
    for radius, colour in ((12, _GROUND), (9, _ACCENT)):
        cv2.circle(canvas, centre, radius << _SUBPIXEL_BITS, colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
    _draw_values(letters, alert, here, limit)


def _draw_values(letters: Lettering, alert: Alert, here: float, limit: float) -> None:
    """Write both values over the axis, the similarity to the right of the threshold, apart from each other."""
    faces = "1 face" if alert.faces == 1 else f"{alert.faces} faces"
    value, limit_text = f"{alert.similarity:.2f}", f"threshold {alert.threshold:.2f}"
    wide = letters.width(value, 44, 600) + 12 + letters.width("similarity", 16)
    start = min(max(here - letters.width(value, 44, 600) / 2, _LEFT), _RIGHT - wide)
    end = letters.write(value, (start, _AXIS - 30), 44, _ACCENT, weight=600)
    letters.write("similarity", (end + 12, _AXIS - 30), 16, _QUIET)
    half = letters.width(limit_text, 16, 500) / 2
    middle = min(max(limit, _LEFT + half), _RIGHT - half)
    letters.write(limit_text, (middle, _AXIS + 58), 16, _INK, weight=500, align="centre")
    note = f"cosine, {faces} pooled"
    if middle + half + 24 + letters.width(note, 14) < _RIGHT:
        letters.write(note, (_RIGHT, _AXIS + 58), 14, _FAINT, align="right")
    else:
        letters.write(note, (_LEFT, _AXIS + 58), 14, _FAINT)


def _draw_facts(canvas: NDArray[np.uint8], letters: Lettering, alert: Alert) -> None:
    facts = (
        (_LEFT, _LEFT + 212, _FACTS, "CAMERA", alert.camera),
        (_LEFT + 170, _LEFT + 460, _FACTS, "ALERT", alert.id),
        (_LEFT + 370, _RIGHT, _FACTS, "PERMIT", alert.permit),
        (_LEFT, _RIGHT, _BASIS, "BASIS OF THE THRESHOLD", alert.basis),
    )
    cv2.line(canvas, (_LEFT, _FACTS - 26), (_RIGHT, _FACTS - 26), _LINE, 1)
    for left, end, top, label, value in facts:
        letters.write(label, (left, top + 8), 12, _FAINT, weight=600, tracking=1.2)
        letters.write(letters.fitted(printable(value), 16, 400, end - left), (left, top + 34), 16, _QUIET)
    letters.write("A proposal. A person decides.", (_LEFT, _BASIS + 102), 22, _INK, weight=600)
