"""The detector stage: its contract, and the actor that hosts a plugin of it."""

from __future__ import annotations

from collections import OrderedDict
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from msgspec import Struct

from lfr_kernel.messages import Biometric, Faces, Frame
from lfr_kernel.runtime import Actor, CallAbandonedError, Consumes, Overflow, Policy
from lfr_kernel.stages.alignment import similarity_transforms
from lfr_kernel.stages.idle import LOOK_S, BlankPicture, IdleSpells, call_on_every_worker
from lfr_kernel.stages.measure import Durations, Quantiles
from lfr_kernel.stages.ordering import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lfr_kernel.messages import Picture
    from lfr_kernel.runtime import Lane

__all__ = ["CLOSE_S", "LOAD_S", "Detections", "Detector", "DetectorFacts", "DetectorHost"]

LOAD_S = 60.0
"""How long loading a model may take."""
CLOSE_S = 1.0
"""How long closing a plugin may take."""
SIZES = 8
"""How many sizes of pictures are remembered: a plugin may keep a buffer for each of them."""


class Detections(Struct, frozen=True, kw_only=True, eq=False):
    """The faces found in one picture, strongest first, possibly none."""

    boxes: NDArray[np.float32]
    """float32 [N, 4], xyxy in px of the source picture."""
    landmarks: NDArray[np.float32]
    """float32 [N, 5, 2] in px of the source picture: the eye at the image's left, the other eye, nose tip, the
    mouth corner at the image's left, the other one."""
    confidences: NDArray[np.float32]
    """float32 [N] in [0, 1]."""

    def __len__(self) -> int:
        return len(self.boxes)


Looked: TypeAlias = "tuple[Detections, Biometric, NDArray[np.float64]]"
"""Faces, their crops, and how each crop was cut; see `Faces.affines`."""


class Detector(Protocol):
    """Finds faces. One instance, shared by all cameras; calls run on the compute lane.

    An exception from `detect` loses that picture and restarts the stage: `close`, then a new instance. An instance
    whose call hung is left behind without `close`, which could crash. When there is nothing to do a blank picture
    comes, to overwrite its buffers; an exception is ignored then.
    """

    max_concurrency: int
    """How many calls of `detect` may overlap."""
    digest: str
    """SHA-256 of the weights, hexadecimal."""
    device: str
    """On what it really runs, in one word such as `cpu` or `cuda`; not what was asked for."""

    def detect(self, picture: Picture) -> Detections:
        """Find the faces of one picture."""

    def smallest_face_px(self, width: int, height: int) -> float:
        """Return the width in px of the smallest face it can find in a picture of `width` x `height` px."""

    def close(self) -> None:
        """Release everything; must not raise."""


class DetectorFacts(Struct, frozen=True, kw_only=True):
    """A snapshot of the detector."""

    frames: int
    """Frames that were looked at."""
    faces: int
    """Faces found in all of them."""
    missed: int
    """Frames dropped before or in the detector, as far as later ones of their camera show."""
    call_ms: Quantiles


class DetectorHost(Actor):
    """Looks for faces and cuts their crops: conversion, detection and cutting in one call on the compute lane.

    As many calls overlap as the plugin and the lane allow; results are put back in order per camera. When no frame has
    come for a while, the plugin's buffers are overwritten by blank pictures of the sizes that it saw.
    """

    tick_s = LOOK_S

    consumes = (
        Consumes(
            message=Frame,
            policy=Policy(overflow=Overflow.LATEST_PER_KEY, capacity=1, key=attrgetter("camera")),
            unpaced=Policy(capacity=2),
        ),
    )
    produces = (Faces,)

    def __init__(
        self,
        create: Callable[[], Detector],
        lane: Lane,
        *,
        landmark_template: NDArray[np.float64],
        crop_size: tuple[int, int],
        deadline_s: float,
    ) -> None:
        super().__init__("detector")
        self._create = create
        self._lane = lane
        self._template = landmark_template
        self._crop_size = crop_size
        self._deadline_s = deadline_s
        self._detector: Detector | None = None
        self._is_hung = False
        self._turns = Turns()
        self._next: dict[str, int] = {}
        self._spells = IdleSpells()
        self._sizes: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._frames = self._faces = self._missed = 0
        self._durations = Durations()

    async def setup(self) -> None:
        """Create the plugin, on the lane: loading weights takes a while."""
        self._detector = await self._lane.run(self._create, deadline_s=max(self._deadline_s, LOAD_S))
        self.concurrency = max(1, min(self._detector.max_concurrency, self._lane.workers))
        self._turns = Turns()
        self._is_hung = False

    async def handle(self, frame: Frame) -> None:
        """Find the faces of one frame."""
        with self._spells.work(self.clock):
            await self._handle(frame)

    async def _handle(self, frame: Frame) -> None:
        assert self._detector is not None  # noqa: S101  (setup has seen to it)
        self._note_size(frame.picture.size)
        turn = self._turns.take(frame.camera)
        began_ns = self.clock.monotonic_ns()
        try:
            found, crops, affines = await self._lane.run(
                self._look, self._detector, frame, deadline_s=self._deadline_s, discard=_erase_crops
            )
        except BaseException as error:
            # Whoever stops waiting does not stop the call: only after the plugin's own exception nothing runs any more.
            self._is_hung |= isinstance(error, CallAbandonedError) or not isinstance(error, Exception)
            async with turn:
                raise
        self._durations.add((self.clock.monotonic_ns() - began_ns) / 1e9)
        is_sent = False
        try:
            async with turn:
                is_sent = True
                await self._send(frame, found, crops, affines)
        except BaseException:
            if not is_sent:
                crops.erase()
            raise

    async def _send(self, frame: Frame, found: Detections, crops: Biometric, affines: NDArray[np.float64]) -> None:
        missed = frame.sequence - self._next.get(frame.camera, 0)
        faces = Faces(
            camera=frame.camera,
            sequence=frame.sequence,
            missed=missed,
            picture=frame.picture,
            captured_at_ns=frame.captured_at_ns,
            captured_monotonic_ns=frame.captured_monotonic_ns,
            stream_ns=frame.stream_ns,
            decoded_at_ns=frame.decoded_at_ns,
            boxes=found.boxes,
            landmarks=found.landmarks,
            confidences=found.confidences,
            crops=crops,
            affines=affines,
        )
        self._frames += 1
        self._faces += len(found)
        if await self.emit(faces):
            self._missed += missed
            self._next[frame.camera] = frame.sequence + 1

    def _look(self, detector: Detector, frame: Frame) -> Looked:
        """Detect and cut. Runs on the compute lane."""
        picture = frame.picture
        found = detector.detect(picture)
        width, height = self._crop_size
        crops = Biometric(np.zeros((len(found), height, width, 3), np.uint8), since_ns=frame.captured_monotonic_ns)
        try:
            affines = similarity_transforms(found.landmarks, self._template)
            for crop, affine in zip(crops.array, affines, strict=True):
                patch = picture.patch(affine, self._crop_size)
                crop[:] = patch
                patch.fill(0)
        except BaseException:
            crops.erase()
            raise
        return found, crops, affines

    def _note_size(self, size: tuple[int, int]) -> None:
        self._sizes[size] = None
        self._sizes.move_to_end(size)
        if len(self._sizes) > SIZES:
            self._sizes.popitem(last=False)

    async def tick(self) -> None:
        """Overwrite the plugin's buffers, if there has been nothing to do for a while."""
        if self._detector is None or not self._spells.is_due(self.clock):
            return
        detector, blanks = self._detector, [BlankPicture(size) for size in self._sizes]
        try:
            did_all = await call_on_every_worker(
                self._lane,
                lambda: [detector.detect(blank) for blank in blanks],
                overlapping=self.concurrency,
                deadline_s=self._deadline_s * len(blanks),
            )
        except BaseException:
            self._is_hung = True  # as in `handle`: what the plugin itself raises does not come here
            raise
        if not did_all:
            self._spells.try_again(self.clock)

    async def teardown(self) -> None:
        """Close the plugin, unless a call of it hangs."""
        detector, self._detector = self._detector, None
        if detector is not None and not self._is_hung:
            await self._lane.run(detector.close, deadline_s=CLOSE_S)

    def facts(self) -> DetectorFacts:
        """Return a snapshot."""
        return DetectorFacts(
            frames=self._frames, faces=self._faces, missed=self._missed, call_ms=self._durations.quantiles()
        )


def _erase_crops(result: Looked) -> None:
    result[1].erase()
