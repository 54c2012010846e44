"""The tracker stage: its contract, and the actor that hosts a plugin of it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from lfr_kernel.messages import Biometric, Faces, Passage, PassageSplit, ProbeRequest
from lfr_kernel.runtime import Actor, Consumes, Overflow, PassingError, Policy
from lfr_kernel.stages.detector import LOAD_S
from lfr_kernel.stages.measure import Durations, Quantiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfr_kernel.runtime import Lane

__all__ = ["TrackEnded", "TrackOpened", "TrackUpdate", "Tracker", "TrackerFacts", "TrackerHost", "Wanted"]


class TrackOpened(Struct, frozen=True):
    """A person came into view; `track` is a number this instance has not used before."""

    track: int
    stream_ns: int


class Wanted(Struct, frozen=True):
    """Face number `face` of the update's `Faces` belongs to `track` and should be embedded."""

    track: int
    face: int
    quality: float
    """In (0, 1]; the weight of this face in its passage's pool."""


class TrackEnded(Struct, frozen=True):
    """A track is over."""

    track: int
    stream_ns: int
    """When its face was last seen."""
    frames: int
    """In how many frames it was seen."""
    why: Literal["age", "cut", "split", "end"]
    gated: str | None = None
    """When no face of it was wanted: the most frequent reason, such as `too_small` or `turned_away`."""


class TrackUpdate(Struct, frozen=True, kw_only=True):
    """What one frame changed. A track may be opened, wanted and ended in one update."""

    opened: tuple[TrackOpened, ...] = ()
    wanted: tuple[Wanted, ...] = ()
    ended: tuple[TrackEnded, ...] = ()


class Tracker(Protocol):
    """Says who is who across frames. One instance a camera; calls run one at a time on the tracker's lane.

    It goes by motion in time and by distance relative to face size, never by box overlap (which breaks when
    frames are dropped), and never by appearance. A failure ends all open tracks as lost and starts a new instance.
    """

    def update(self, faces: Faces) -> TrackUpdate:
        """Take in the faces of one frame (possibly none). `faces.stream_ns` rises from call to call."""

    def split(self, track: int) -> None:
        """Be told that the track's templates stopped agreeing: end it (`split`) at the next update.

        What is seen there from then on belongs to a new track. Unknown and ended tracks are ignored.
        """

    def finish(self) -> TrackUpdate:
        """End every open track (`end`): the input is over."""


class TrackerFacts(Struct, frozen=True, kw_only=True):
    """A snapshot of the tracker."""

    seen: int
    """Passages begun since the start: the number that everything else must add up to."""
    open: int
    probes: int
    """Faces asked to be embedded."""
    call_ms: Quantiles


class _Open:
    """The host's own book of one open passage: it survives the plugin's failure."""

    __slots__ = ("began_ns", "camera", "first_probe_ns", "last_ns", "passage", "probes")

    def __init__(self, passage: str, camera: str, began_ns: int) -> None:
        self.passage = passage
        self.camera = camera
        self.began_ns = self.last_ns = began_ns
        self.probes = 0
        self.first_probe_ns: int | None = None


class TrackerHost(Actor):
    """Turns faces into passages: one plugin instance a camera, one lane for all of them.

    It gives passages their ids, which are never used twice, and ends each exactly once, also when the plugin fails.
    """

    consumes = (
        Consumes(message=Faces, policy=Policy(capacity=2, patience_s=2.0)),
        Consumes(message=PassageSplit, policy=Policy(overflow=Overflow.DROP_OLDEST, capacity=64), feedback=True),
    )
    produces = (ProbeRequest, Passage)

    def __init__(self, create: Callable[[], Tracker], lane: Lane, *, run: str, deadline_s: float) -> None:
        """Host a tracker.

        Args:
            create: makes one plugin instance.
            lane: where it runs.
            run: a word that no other run has, the beginning of every passage id.
            deadline_s: for one call.
        """
        super().__init__("tracker")
        self._create = create
        self._lane = lane
        self._run = run
        self._deadline_s = deadline_s
        self._trackers: dict[str, Tracker] = {}
        self._open: dict[tuple[str, int], _Open] = {}
        self._cut_short: deque[_Open] = deque()
        self._seen = self._probes = 0
        self._durations = Durations()

    async def setup(self) -> None:
        """Make one instance, to find out now whether it can be made; end what the teardown had no time to end."""
        self._trackers = {}
        await self._end_cut_short()
        await self._lane.run(self._create, deadline_s=LOAD_S)

    async def handle(self, message: Faces | PassageSplit) -> None:
        """Follow the faces of one frame, or split a passage."""
        if isinstance(message, PassageSplit):
            await self._split(message)
            return
        tracker = self._trackers.get(message.camera)
        if tracker is None:
            tracker = await self._lane.run(self._create, deadline_s=LOAD_S)
            self._trackers[message.camera] = tracker
        began_ns = self.clock.monotonic_ns()
        update = await self._lane.run(tracker.update, message, deadline_s=self._deadline_s)
        self._durations.add((self.clock.monotonic_ns() - began_ns) / 1e9)
        await self._take(message.camera, update, message)
        message.erase()

    async def _split(self, message: PassageSplit) -> None:
        for (camera, track), book in self._open.items():
            if book.passage == message.passage:
                await self._lane.run(self._trackers[camera].split, track, deadline_s=self._deadline_s)
                return

    async def _take(self, camera: str, update: TrackUpdate, faces: Faces | None) -> None:
        for opened in update.opened:
            if (camera, opened.track) in self._open:
                raise PassingError(
                    f"the tracker opened track {opened.track} twice; every track needs a number of its own"
                )
            self._seen += 1
            passage = f"{self._run}-{self._seen:06d}"
            self._open[camera, opened.track] = _Open(passage, camera, opened.stream_ns)
        for wanted in update.wanted:
            if faces is not None:
                await self._ask(self._book(camera, wanted.track), wanted, faces)
        for ended in update.ended:
            book = self._book(camera, ended.track)
            del self._open[camera, ended.track]
            await self._end(book, ended.why, ended.stream_ns, ended.frames, ended.gated)

    def _book(self, camera: str, track: int) -> _Open:
        book = self._open.get((camera, track))
        if book is None:
            raise PassingError(f"the tracker spoke of track {track}, which is not open: expected `opened` before")
        return book

    async def _ask(self, book: _Open, wanted: Wanted, faces: Faces) -> None:
        book.last_ns = faces.stream_ns
        if book.first_probe_ns is None:
            book.first_probe_ns = faces.stream_ns - book.began_ns
        left, top, right, bottom = (float(edge) for edge in faces.boxes[wanted.face])
        request = ProbeRequest(
            passage=book.passage,
            number=book.probes,
            camera=book.camera,
            crop=Biometric(faces.crops.array[wanted.face].copy()),
            quality=wanted.quality,
            box=(left, top, right, bottom),
            captured_at_ns=faces.captured_at_ns,
            captured_monotonic_ns=faces.captured_monotonic_ns,
        )
        book.probes += 1
        self._probes += 1
        await self.emit(request)

    async def _end(self, book: _Open, why: str, ended_ns: int, frames: int, gated: str | None) -> None:
        await self.emit(
            Passage(
                passage=book.passage,
                camera=book.camera,
                began_stream_ns=book.began_ns,
                ended_stream_ns=ended_ns,
                frames=frames,
                probes=book.probes,
                ended=why,
                gated=gated,
                first_probe_ns=book.first_probe_ns,
            )
        )

    async def finish(self) -> None:
        """End every passage: the input is over."""
        failure: Exception | None = None
        for camera, tracker in self._trackers.items():
            try:
                update = await self._lane.run(tracker.finish, deadline_s=self._deadline_s)
                await self._take(camera, update, None)
            except Exception as error:  # noqa: BLE001  (one camera's tracker must not cut short the others' passages)
                failure = failure or error
        if failure is not None:
            raise failure

    async def teardown(self) -> None:
        """End what is open still: the plugin failed, or was cut short."""
        self._trackers = {}
        self._cut_short += self._open.values()
        self._open = {}
        await self._end_cut_short()

    async def _end_cut_short(self) -> None:
        while self._cut_short:
            book = self._cut_short.popleft()
            why = "stopped" if self.is_cut_short else "restart"
            await self._end(book, why, book.last_ns, 0, None)

    async def dispose(self, message: Faces | PassageSplit, reason: str) -> None:  # noqa: ARG002
        """Erase the crops."""
        if isinstance(message, Faces):
            message.erase()

    def facts(self) -> TrackerFacts:
        """Return a snapshot."""
        return TrackerFacts(
            seen=self._seen,
            open=len(self._open) + len(self._cut_short),
            probes=self._probes,
            call_ms=self._durations.quantiles(),
        )
