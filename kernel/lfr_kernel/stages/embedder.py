"""The embedder stage: its contract, and the actor that hosts a plugin of it."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
from msgspec import Struct

from lfr_kernel.messages import Biometric, Probe, ProbeLost, ProbeRequest
from lfr_kernel.runtime import Actor, CallAbandonedError, Consumes, PassingError, Policy
from lfr_kernel.stages.alignment import mean_template, mirror
from lfr_kernel.stages.detector import CLOSE_S, LOAD_S
from lfr_kernel.stages.idle import LOOK_S, IdleSpells, call_on_every_worker
from lfr_kernel.stages.measure import Durations, Quantiles
from lfr_kernel.stages.tally import EmbeddedFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from lfr_kernel.runtime import Lane

__all__ = ["BATCH", "Embedder", "EmbedderFacts", "EmbedderHost", "embed_crops"]

BATCH = 8
"""How many requests that wait already go to the lane together: a hop between threads is paid once for all of them."""
LENGTH_TOLERANCE = 1e-2
"""How far the length of a template may be from 1."""


class Embedder(Protocol):
    """Turns aligned crops into templates. One instance; calls run on the compute lane.

    An exception from `embed` loses those crops (a batch is first retried one by one) and restarts the stage: `close`,
    then a new instance. An instance whose call hung is left behind without `close`, which could crash. Blank crops come
    when there is nothing to do, to overwrite its buffers; an exception is ignored then.
    """

    max_concurrency: int
    """How many calls of `embed` may overlap."""
    batch_size: int
    """The one N that `embed` is called with; the host fills up the last batch with zeros. On a CPU: 1."""
    digest: str
    """SHA-256 of the weights, hexadecimal. A gallery is pinned to it."""
    device: str
    """On what it really runs, in one word such as `cpu` or `cuda`; not what was asked for."""
    dimension: int
    """D, the length of a template."""
    crop_size: tuple[int, int]
    """(width, height) of a crop in px."""
    landmark_template: NDArray[np.float64]
    """float64 [5, 2]: where the five landmarks lie in a crop, px."""

    def embed(self, crops: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Write one L2-normalised template a crop into `out`.

        Args:
            crops: uint8 [N, H, W, 3] RGB, aligned to `landmark_template`, N = `batch_size`.
            out: float32 [N, D], written in place, so that the host can overwrite it later.
        """

    def close(self) -> None:
        """Release everything; must not raise."""


class EmbedderFacts(Struct, frozen=True, kw_only=True):
    """A snapshot of the embedder."""

    probes: int
    """Templates made."""
    lost: dict[str, int]
    """Requests that died, by reason."""
    cameras: dict[str, EmbeddedFacts]
    """The same by camera."""
    call_ms: Quantiles
    capture_to_embedding_ms: Quantiles


def embed_crops(embedder: Embedder, crops: NDArray[np.uint8], *, mirrored: bool) -> NDArray[np.float32]:
    """Embed any number of crops by calls of the embedder's one batch size. Blocks: runs on a lane.

    Args:
        embedder: the plugin.
        crops: uint8 [N, H, W, 3] RGB, aligned.
        mirrored: average each template with that of the mirror image.

    Returns:
        float32 [N, D], L2-normalised. The caller owns and erases it.

    Raises:
        PassingError: the plugin returned numbers that are not finite, or templates that are not L2-normalised.
        ValueError: a face and its mirror image have templates that cancel out.
    """
    templates = np.zeros((len(crops), embedder.dimension), np.float32)
    try:
        _embed_into(templates, embedder, crops)
        if mirrored:
            _average_mirrors(templates, embedder, crops)
    except BaseException:
        templates.fill(0)
        raise
    return templates


def _average_mirrors(templates: NDArray[np.float32], embedder: Embedder, crops: NDArray[np.uint8]) -> None:
    mirrors, others = mirror(crops), np.zeros_like(templates)
    try:
        _embed_into(others, embedder, mirrors)
        mean_template(templates, others, out=templates)
    finally:
        mirrors.fill(0)
        others.fill(0)


def _embed_into(templates: NDArray[np.float32], embedder: Embedder, crops: NDArray[np.uint8]) -> None:
    count, size = len(crops), embedder.batch_size
    whole = count - count % size
    for start in range(0, whole, size):
        embedder.embed(crops[start : start + size], templates[start : start + size])
    if whole < count:
        filled = np.zeros((size, *crops.shape[1:]), np.uint8)
        out = np.zeros((size, embedder.dimension), np.float32)
        try:
            filled[: count - whole] = crops[whole:]
            embedder.embed(filled, out)
            templates[whole:] = out[: count - whole]
        finally:
            filled.fill(0)
            out.fill(0)
    _check_templates(templates)


def _check_templates(templates: NDArray[np.float32]) -> None:
    """Let nothing through that is no template: one of length 0 or NaN would spoil the pool of its whole passage."""
    if not np.isfinite(templates).all():
        raise PassingError("the embedder returned numbers that are not finite; expected L2-normalised templates")
    with np.errstate(over="ignore"):
        lengths = np.sqrt(np.einsum("nd,nd->n", templates, templates))
    if (np.abs(lengths - 1) > LENGTH_TOLERANCE).any():
        worst = float(lengths[np.abs(lengths - 1).argmax()])
        raise PassingError(f"the embedder returned a template of length {worst:.4g}; expected L2-normalised ones")


class EmbedderHost(Actor):
    """Turns the requests that wait, a few at a time, into probes.

    When none has come for a while, the plugin's buffers are overwritten by blank crops.
    """

    tick_s = LOOK_S

    consumes = (Consumes(message=ProbeRequest, policy=Policy(capacity=16, patience_s=2.0)),)
    produces = (Probe, ProbeLost)

    def __init__(self, create: Callable[[], Embedder], lane: Lane, *, mirror_live: bool, deadline_s: float) -> None:
        super().__init__("embedder")
        self._create = create
        self._lane = lane
        self._mirror_live = mirror_live
        self._deadline_s = deadline_s
        self._embedder: Embedder | None = None
        self._is_hung = False
        self._spells = IdleSpells()
        self._handed_on: set[tuple[str, int]] = set()
        self._probes: Counter[str] = Counter()
        self._lost: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._durations = Durations()
        self._delays = Durations()

    async def setup(self) -> None:
        """Create the plugin, on the lane: loading weights takes a while."""
        self._embedder = await self._lane.run(self._create, deadline_s=max(self._deadline_s, LOAD_S))
        self.concurrency = max(1, min(self._embedder.max_concurrency, self._lane.workers))
        self.max_batch = max(BATCH, self._embedder.batch_size)
        self._is_hung = False

    async def handle_batch(self, messages: Sequence[ProbeRequest]) -> None:
        """Embed what waits; nothing is sent before all of it is there."""
        with self._spells.work(self.clock):
            await self._handle_batch(messages)

    async def _handle_batch(self, messages: Sequence[ProbeRequest]) -> None:
        assert self._embedder is not None  # noqa: S101  (setup has seen to it)
        began_ns = self.clock.monotonic_ns()
        try:
            templates = await self._lane.run(
                self._embed, self._embedder, messages, deadline_s=self._deadline_s * len(messages), discard=_erase
            )
        except BaseException as error:
            # Whoever stops waiting does not stop the call: only after the plugin's own exception nothing runs any more.
            self._is_hung |= isinstance(error, CallAbandonedError) or not isinstance(error, Exception)
            raise
        now_ns = self.clock.monotonic_ns()
        self._durations.add((now_ns - began_ns) / 1e9 / len(messages))
        probes = [
            Probe(
                passage=request.passage,
                number=request.number,
                camera=request.camera,
                template=Biometric(template.copy(), since_ns=request.captured_monotonic_ns),
                crop=request.crop,
                quality=request.quality,
                box=request.box,
                others=request.others,
                captured_at_ns=request.captured_at_ns,
                captured_monotonic_ns=request.captured_monotonic_ns,
                decoded_at_ns=request.decoded_at_ns,
                embedded_monotonic_ns=now_ns,
            )
            for request, template in zip(messages, templates, strict=True)
        ]
        templates.fill(0)
        await self._send(probes)

    async def _send(self, probes: Sequence[Probe]) -> None:
        unsent = deque(probes)
        try:
            while unsent:
                probe = unsent.popleft()
                self._delays.add((probe.embedded_monotonic_ns - probe.captured_monotonic_ns) / 1e9)
                self._probes[probe.camera] += 1
                self._handed_on.add((probe.passage, probe.number))
                await self.emit(probe)
        except BaseException:
            for probe in unsent:
                probe.template.erase()
            raise
        self._handed_on.difference_update((probe.passage, probe.number) for probe in probes)

    def _embed(self, embedder: Embedder, requests: Sequence[ProbeRequest]) -> NDArray[np.float32]:
        crops = np.stack([request.crop.array for request in requests])
        try:
            return embed_crops(embedder, crops, mirrored=self._mirror_live)
        finally:
            crops.fill(0)

    async def dispose(self, message: ProbeRequest, reason: str) -> None:
        """Erase the crop, and tell the index that this probe will not come (unless it is on its way already)."""
        if (message.passage, message.number) in self._handed_on:
            self._handed_on.discard((message.passage, message.number))
            return
        message.erase()
        self._lost[message.camera][reason] += 1
        await self.emit(ProbeLost(passage=message.passage, number=message.number, camera=message.camera, reason=reason))

    async def tick(self) -> None:
        """Overwrite the plugin's buffers, if there has been nothing to do for a while."""
        if self._embedder is None or not self._spells.is_due(self.clock):
            return
        try:
            did_all = await call_on_every_worker(
                self._lane,
                partial(_embed_nothing, self._embedder),
                overlapping=self.concurrency,
                deadline_s=self._deadline_s,
            )
        except BaseException:
            self._is_hung = True  # as in `handle_batch`: what the plugin itself raises does not come here
            raise
        if not did_all:
            self._spells.try_again(self.clock)

    async def teardown(self) -> None:
        """Close the plugin, unless a call of it hangs."""
        embedder, self._embedder = self._embedder, None
        if embedder is not None and not self._is_hung:
            await self._lane.run(embedder.close, deadline_s=CLOSE_S)

    def facts(self) -> EmbedderFacts:
        """Return a snapshot."""
        cameras = {
            name: EmbeddedFacts(embedded=self._probes[name], lost=dict(self._lost[name]))
            for name in sorted({*self._probes, *self._lost})
        }
        return EmbedderFacts(
            probes=self._probes.total(),
            lost=dict(sum(self._lost.values(), Counter())),
            cameras=cameras,
            call_ms=self._durations.quantiles(),
            capture_to_embedding_ms=self._delays.quantiles(),
        )


def _embed_nothing(embedder: Embedder) -> None:
    width, height = embedder.crop_size
    crops = np.zeros((embedder.batch_size, height, width, 3), np.uint8)
    embedder.embed(crops, np.zeros((embedder.batch_size, embedder.dimension), np.float32))


def _erase(templates: NDArray[np.float32]) -> None:
    templates.fill(0)
