"""Text on pictures: OpenCV 5's own typeface where there is one, its stroke fonts before that."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Align", "Lettering"]

_HERSHEY_SCALE = 0.0335
"""Of FONT_HERSHEY_SIMPLEX: scale for a size of one px, so that capitals are as high as those of the typeface."""
_BOLD = 600

Align = Literal["left", "centre", "right"]
Colour = tuple[int, int, int]


class Lettering:
    """Draws text on one canvas, uint8 [H, W, 3]; colours are in the canvas's own order."""

    def __init__(self, canvas: NDArray[np.uint8]) -> None:
        self._canvas = canvas
        library: Any = cv2
        self._face = library.FontFace("sans") if hasattr(library, "FontFace") else None

    def width(self, text: str, size: int, weight: int = 400) -> float:
        """Return how many px `text` takes."""
        library: Any = cv2
        if self._face is not None:
            # Measured as where the pen ends up, which counts a trailing blank as well.
            end, _ = library.putText(np.zeros((1, 1, 3), np.uint8), text, (0, 0), (0, 0, 0), self._face, size, weight,
                                     0, (0, 1 << 20))  # fmt: skip
            return float(end[0])
        (width, _), _ = cv2.getTextSize(_plain(text), cv2.FONT_HERSHEY_SIMPLEX, size * _HERSHEY_SCALE, _stroke(weight))
        return float(width)

    def fitted(self, text: str, size: int, weight: int, space: float) -> str:
        """Return `text`, shortened with an ellipsis when it takes more than `space` px."""
        if self.width(text, size, weight) <= space:
            return text
        while text and self.width(text.rstrip() + "…", size, weight) > space:
            text = text[:-1]
        return text.rstrip() + "…"

    def write(
        self,
        text: str,
        at: tuple[float, float],
        size: int,
        colour: Colour,
        *,
        weight: int = 400,
        align: Align = "left",
        tracking: float = 0.0,
    ) -> float:
        """Write on the baseline that goes through `at`; return where the text ends, in px.

        Args:
            text: one line.
            at: x and y in px; what lies at x is the text's left end, middle or right end, as `align` says.
            size: of the typeface, in px.
            colour: in the canvas's channel order.
            weight: 100 (thin) to 900 (black).
            align: what `at` means.
            tracking: extra px between letters, for small capitals.
        """
        full = (
            sum(self.width(one, size, weight) + tracking for one in text)
            if tracking
            else self.width(text, size, weight)
        )
        x = at[0] - {"left": 0.0, "centre": full / 2, "right": full}[align]
        if not tracking:
            return self._put(text, (x, at[1]), size, colour, weight)
        for one in text:
            self._put(one, (x, at[1]), size, colour, weight)
            x += self.width(one, size, weight) + tracking
        return x

    def _put(self, text: str, at: tuple[float, float], size: int, colour: Colour, weight: int) -> float:
        library: Any = cv2
        origin = round(at[0]), round(at[1])
        if self._face is not None:
            end, _ = library.putText(self._canvas, text, origin, colour, self._face, size, weight)
            return float(end[0])
        scale, stroke = size * _HERSHEY_SCALE, _stroke(weight)
        cv2.putText(self._canvas, _plain(text), origin, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, stroke, cv2.LINE_AA)
        return at[0] + self.width(text, size, weight)


def _stroke(weight: int) -> int:
    return 2 if weight >= _BOLD else 1


def _plain(text: str) -> str:
    """Return `text` in ASCII: accents dropped, what has no likeness replaced. The stroke fonts know nothing else."""
    signs = text.translate(
        {ord("…"): "...", ord("·"): "-", ord("ß"): "ss", ord("ł"): "l", ord("Ł"): "L", ord("ø"): "o"}
    )
    letters = (one for one in unicodedata.normalize("NFKD", signs) if not unicodedata.combining(one))
    return "".join(one if one.isascii() else "?" for one in letters)
