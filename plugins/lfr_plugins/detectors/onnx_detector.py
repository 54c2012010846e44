"""The built-in detector: any ONNX model of a known head, as its card describes it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, get_args

import numpy as np

from lfr_kernel.api import Detections, PermanentError
from lfr_plugins.detectors.anchors import anchors
from lfr_plugins.detectors.canvas import canvases, place
from lfr_plugins.detectors.heads import HEADS, Found
from lfr_plugins.detectors.suppression import nms
from lfr_plugins.models import load_model, overlapping_runs
from lfr_plugins.models.cards import Keypoint
from lfr_plugins.models.pixels import fill_picture
from lfr_plugins.models.rules import ROLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lfr_kernel.api import Picture
    from lfr_plugins.detectors.canvas import Placement
    from lfr_plugins.detectors.config import OnnxDetectorConfig
    from lfr_plugins.models import Card

__all__ = ["Decoder", "OnnxDetector"]


class Decoder:
    """Turns what a model puts out into faces on the canvas, as its card says.

    Args:
        card: of a detector.
    """

    def __init__(self, card: Card) -> None:
        if card.head is None or card.smallest_face_px is None:
            raise PermanentError(
                f'model {card.name!r} is for {card.task}, and a detector needs one with task = "detection"; choose '
                "another `model`: see `lfr-kernel models list`"
            )
        self.smallest_face_px = card.smallest_face_px
        self._levels = card.levels
        self._head = HEADS[card.head]
        # The landmarks of the contract, by where the model has them.
        self._points = [card.keypoints.index(one) for one in get_args(Keypoint)]
        levels = [one.stride for one in card.levels] if self._head.is_per_level else [None]
        by_role: dict[tuple[str | None, int | None], str] = {(one.role, one.stride): one.name for one in card.outputs}
        self._roles = len(ROLES[card.head])
        self.outputs = [by_role[role, stride] for stride in levels for role in ROLES[card.head]]
        """The names of the outputs that it takes, in this order."""

    def anchors(self, canvas: tuple[int, int]) -> list[NDArray[np.float32]]:
        """Return the anchors of a canvas (width, height), float32 [A, 3], one array for what is decoded together."""
        grids = []
        for level in self._levels:
            units = [level.stride] * len(level.anchors) if self._head.is_in_strides else level.anchors
            grids.append(anchors(canvas, level.stride, units, at=self._head.anchors_at))
        return grids if self._head.is_per_level else [np.concatenate(grids)]

    def __call__(
        self, outputs: Sequence[NDArray[np.float32]], grids: Sequence[NDArray[np.float32]], least: float
    ) -> Found:
        """Return the faces that reach a score, before suppression.

        Args:
            outputs: of the model for one picture, as `outputs` names them: float32 [1, A, n] or [A, n].
            grids: from `anchors`.
            least: score of what is returned.

        Raises:
            ValueError: an output has another number of anchors than the card's levels make.
        """
        parts = []
        for number, grid in enumerate(grids):
            first = number * self._roles
            arrays = [array.reshape(-1, array.shape[-1]) for array in outputs[first : first + self._roles]]
            for array, name in zip(arrays, self.outputs[first:], strict=False):
                if len(array) != len(grid):
                    raise ValueError(
                        f"output {name!r} has {len(array)} anchors, and the levels of the card make {len(grid)}"
                    )
            parts.append(self._head.decode(arrays, grid, least))
        found = parts[0] if len(parts) == 1 else Found(*(np.concatenate(one) for one in zip(*parts, strict=True)))
        return found._replace(landmarks=found.landmarks[:, self._points])


class _Buffers(threading.local):
    """The input buffers of one thread, one a canvas."""

    def __init__(self) -> None:
        self.by_canvas: dict[tuple[int, int], NDArray[np.float32]] = {}

    def of(self, canvas: tuple[int, int]) -> NDArray[np.float32]:
        """Return the buffer for a canvas (width, height), float32 [1, 3, height, width]."""
        if canvas not in self.by_canvas:
            self.by_canvas[canvas] = np.zeros((1, 3, canvas[1], canvas[0]), np.float32)
        return self.by_canvas[canvas]


class OnnxDetector:
    """Finds faces and five landmarks; the contract is `lfr_kernel.api.Detector`.

    Calls may overlap where the device allows it: they share one session, usually with one thread a run, and the
    anchors, which are read only. Input buffers belong to the thread that runs the call and are overwritten by its next
    picture; the host sends a blank one when it has nothing to do.

    Args:
        config: see `OnnxDetectorConfig`.
        threads: within one run of the session; see `load_model`.
    """

    max_concurrency: int
    digest: str
    device: str

    def __init__(self, config: OnnxDetectorConfig, *, threads: int = 1) -> None:
        loaded = load_model(config.model, device=config.device, threads=threads)
        self._session = loaded.session
        self._config = config
        self._card = loaded.card
        self._decoder = Decoder(loaded.card)
        self._input = loaded.card.inputs[0].name
        self._canvases = _canvases(loaded.card, config.longest_side)
        self._anchors = {canvas: self._decoder.anchors(canvas) for canvas in self._canvases}
        self._buffers = _Buffers()
        self.max_concurrency = overlapping_runs(loaded.device)
        self.digest = loaded.card.sha256
        self.device = loaded.device

    def detect(self, picture: Picture) -> Detections:
        """Find the faces of one picture, strongest first, possibly none."""
        placement = place(picture.size, self._canvases)
        tensor = self._buffers.of(placement.canvas)
        rgb = picture.rgb(*placement.size)
        fill_picture(tensor, rgb, self._card.pixels)
        rgb.fill(0)
        outputs = self._session.run(self._decoder.outputs, {self._input: tensor})
        found = self._decoder(outputs, self._anchors[placement.canvas], self._config.confidence)
        return self._faces(found, placement, picture.size)

    def smallest_face_px(self, width: int, height: int) -> float:
        """Return the width in px of the smallest face it can find in a picture of `width` x `height` px."""
        return self._decoder.smallest_face_px / place((width, height), self._canvases).scale

    def close(self) -> None:
        """Let go of the input buffers; the session goes with the instance."""
        self._buffers = _Buffers()

    def _faces(self, found: Found, placement: Placement, source: tuple[int, int]) -> Detections:
        kept = nms(found.boxes, found.scores, self._card.nms_overlap, self._config.max_faces)
        # Width and height were rounded to whole px each on its own.
        ratio = np.array([source[0] / placement.size[0], source[1] / placement.size[1]], np.float32)
        corners = np.clip(found.boxes[kept].reshape(-1, 2, 2) * ratio, 0, np.array(source, np.float32))
        inside = (corners[:, 1] > corners[:, 0]).all(axis=1)
        return Detections(
            boxes=corners[inside].reshape(-1, 4),
            # Scaling keeps the edges of a picture in place, so the centres of its pixels, which have whole numbers
            # as coordinates, move by half a pixel.
            landmarks=(found.landmarks[kept][inside] + np.float32(0.5)) * ratio - np.float32(0.5),
            confidences=found.scores[kept][inside],
        )


def _canvases(card: Card, longest_side: int) -> tuple[tuple[int, int], ...]:
    """Return the canvases (width, height) that a model may be given: a few, or the one that it takes."""
    height, width = card.inputs[0].shape[2:]
    if not isinstance(height, int) or not isinstance(width, int):
        return canvases(longest_side)
    if max(width, height) != longest_side:
        raise PermanentError(
            f"model {card.name!r} takes pictures of {width}x{height} only, got longest_side = {longest_side}; set "
            f"longest_side = {max(width, height)} in the detector's options"
        )
    return ((width, height),)
