"""One photograph of somebody who is to be listed: is it fit, and what is its template. The same for every list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import anyio
import numpy as np
from msgspec import Struct

from lfr_kernel.stages.alignment import similarity_transforms
from lfr_kernel.stages.embedder import embed_crops
from lfr_kernel.stages.quality import explained, face_qualities, gated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from numpy.typing import NDArray

    from lfr_kernel.messages import Picture
    from lfr_kernel.stages.detector import Detector
    from lfr_kernel.stages.embedder import Embedder
    from lfr_kernel.stages.quality import Gate, Gates

__all__ = ["PHOTO_S", "PORTRAIT_SCALE", "Unfit", "Usable", "examine", "work_through"]

PORTRAIT_SCALE = 2
"""A listed photograph is shown at this multiple of a probe's size."""
PHOTO_S = 30.0
"""How long reading and examining one may take."""


class Usable(Struct, frozen=True, kw_only=True, eq=False):
    """A photograph that shows one face, well enough. Whoever gets it owns both arrays and overwrites them."""

    template: NDArray[np.float32]
    """float32 [D], L2-normalised, the mirror image averaged in."""
    portrait: NDArray[np.uint8]
    """uint8 [H, W, 3] RGB, cut as probes are, at `PORTRAIT_SCALE` times their size."""
    quality: float
    """In [0, 1]; see `FaceQualities.overall`."""


class Unfit(Struct, frozen=True, kw_only=True):
    """A photograph that does not."""

    code: Gate | Literal["no_face", "several_faces"]
    text: str


def examine(picture: Picture, detector: Detector, embedder: Embedder, gates: Gates) -> Usable | Unfit:
    """Look for the one face of a photograph, measure it, and make its template. Blocks: runs on a lane."""
    faces = detector.detect(picture)
    if len(faces) != 1:
        found = f"{len(faces)} faces" if len(faces) else "no face"
        return Unfit(
            code="several_faces" if len(faces) else "no_face", text=f"expected exactly one face, found {found}"
        )
    width, height = embedder.crop_size
    affine = similarity_transforms(faces.landmarks, embedder.landmark_template)[0]
    crop = picture.patch(affine, (width, height))
    try:
        measured = face_qualities(faces.boxes, faces.landmarks, faces.confidences, crop[np.newaxis])
        (gate,) = gated(measured, gates)
        if gate is not None:
            return Unfit(code=gate, text=explained(gate, measured, 0, gates))
        template = embed_crops(embedder, crop[np.newaxis], mirrored=True)[0]
    finally:
        crop.fill(0)
    portrait = picture.patch(affine * PORTRAIT_SCALE, (width * PORTRAIT_SCALE, height * PORTRAIT_SCALE))
    return Usable(template=template, portrait=portrait, quality=float(measured.overall[0]))


async def work_through(count: int, work: Callable[[int], Awaitable[None]], *, at_once: int) -> None:
    """Do `work` for each number below `count`, so many at a time; the first error ends all of it and is raised."""
    waiting = iter(range(count))

    async def worker() -> None:
        for number in waiting:
            await work(number)

    try:
        async with anyio.create_task_group() as tasks:
            for _ in range(max(1, at_once)):
                tasks.start_soon(worker)
    except ExceptionGroup as error:
        raise error.exceptions[0] from None
