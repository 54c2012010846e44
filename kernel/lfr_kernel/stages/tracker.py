"""The tracker stage: its contract, and the actor that hosts a plugin of it."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import numpy as np
from msgspec import Struct

from lfr_kernel.messages import Biometric, Faces, Passage, PassageSplit, ProbeRequest
from lfr_kernel.runtime import Actor, Consumes, Overflow, PassingError, Policy
from lfr_kernel.stages.alignment import reaching_in
from lfr_kernel.stages.conditions import ConditionsWatch
from lfr_kernel.stages.detector import LOAD_S
from lfr_kernel.stages.measure import Durations, Quantiles
from lfr_kernel.stages.quality import seen_conditions
from lfr_kernel.stages.tally import TrackedFacts, TrackedTally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from lfr_kernel.messages import Box
    from lfr_kernel.runtime import Lane
    from lfr_kernel.stages.conditions import CameraConditions

__all__ = ["Seen", "TrackEnded", "TrackOpened", "TrackUpdate", "Tracker", "TrackerFacts", "TrackerHost", "Wanted"]

Measured: TypeAlias = "Mapping[int, NDArray[np.float64]]"
"""What `seen_conditions` says of some of a frame's faces, by number; empty when nobody asks for it."""


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


class Seen(Struct, frozen=True):
    """Face number `face` of the update's `Faces` belongs to `track`, which is open; says what became of it.

    With no `gate` and without a `Wanted` it is spare: good enough, but the passage has enough for now.
    """

    track: int
    face: int
    quality: float
    """In [0, 1]."""
    gate: str | None = None
    """Why it is not good enough to embed, in plain words: `too_small`, `turned_away`."""


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
    """What one frame changed. A track may be opened, wanted and ended in one update.

    Of a tracker that leaves out `seen` only the faces in `wanted` are known: the others are counted as untracked.
    """

    opened: tuple[TrackOpened, ...] = ()
    wanted: tuple[Wanted, ...] = ()
    ended: tuple[TrackEnded, ...] = ()
    seen: tuple[Seen, ...] = ()
    """Each face of the frame that belongs to an open track, wanted or not, once."""


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
    cameras: dict[str, TrackedFacts]
    """By camera: what became of its faces."""
    conditions: dict[str, CameraConditions] = {}
    """By camera with a passage of which faces were used; empty where no report says in which conditions it tested."""
    call_ms: Quantiles


class _Open:
    """The host's own book of one open passage: it survives the plugin's failure."""

    __slots__ = (
        "began_ns",
        "camera",
        "conditions",
        "first_probe_ns",
        "frames",
        "last_ns",
        "passage",
        "probes",
        "refused",
        "track",
    )

    def __init__(self, passage: str, camera: str, track: int, began_ns: int) -> None:
        self.passage = passage
        self.camera = camera
        self.track = track
        self.began_ns = self.last_ns = began_ns
        self.probes = self.frames = 0
        self.refused: Counter[str] = Counter()
        self.first_probe_ns: int | None = None
        self.conditions: NDArray[np.float64] | None = None
        """Sums over its probes, or None when they are not measured."""


class TrackerHost(Actor):
    """Turns faces into passages: one plugin instance a camera, one lane for all of them.

    It gives passages their ids, which are never used twice, and ends each exactly once, also when the plugin fails.
    """

    consumes = (
        Consumes(message=Faces, policy=Policy(capacity=2, patience_s=2.0)),
        Consumes(message=PassageSplit, policy=Policy(overflow=Overflow.DROP_OLDEST, capacity=64), feedback=True),
    )
    produces = (ProbeRequest, Passage)

    def __init__(
        self,
        create: Callable[[], Tracker],
        lane: Lane,
        *,
        run: str,
        deadline_s: float,
        conditions: ConditionsWatch | None = None,
    ) -> None:
        """Host a tracker.

        Args:
            create: makes one plugin instance.
            lane: where it runs.
            run: a word that no other run has, the beginning of every passage id.
            deadline_s: for one call.
            conditions: is told of every passage in which conditions its faces were seen.
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
        self._tallies: defaultdict[str, TrackedTally] = defaultdict(TrackedTally)
        self._counted: Faces | None = None
        self._conditions = conditions or ConditionsWatch(None)
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
        update, measured = await self._lane.run(self._follow, tracker, message, deadline_s=self._deadline_s)
        self._durations.add((self.clock.monotonic_ns() - began_ns) / 1e9)
        await self._take(message.camera, update, message, measured)
        message.erase()
        self._counted = None

    def _follow(self, tracker: Tracker, faces: Faces) -> tuple[TrackUpdate, Measured]:
        """Ask the plugin, and measure what it wants. Runs on the tracker's lane."""
        update = tracker.update(faces)
        if self._conditions.tested is None:
            return update, {}
        # Number by number, in views: a face that does not exist is refused later on, in words.
        wanted = [slice(one.face, one.face + 1) for one in update.wanted if 0 <= one.face < len(faces)]
        crops = faces.crops.array
        return update, {one.start: seen_conditions(faces.boxes[one], crops[one])[0] for one in wanted}

    async def _split(self, message: PassageSplit) -> None:
        for (camera, track), book in self._open.items():
            if book.passage == message.passage:
                await self._lane.run(self._trackers[camera].split, track, deadline_s=self._deadline_s)
                return

    async def _take(self, camera: str, update: TrackUpdate, faces: Faces | None, measured: Measured) -> None:
        tally = self._tallies[camera]
        for opened in update.opened:
            if (camera, opened.track) in self._open:
                raise PassingError(
                    f"the tracker opened track {opened.track} twice; every track needs a number of its own"
                )
            self._seen += 1
            tally.passages += 1
            passage = f"{self._run}-{self._seen:06d}"
            self._open[camera, opened.track] = _Open(passage, camera, opened.track, opened.stream_ns)
        if faces is not None:
            self._count(camera, update, faces)
            await self._ask_all(camera, update.wanted, faces, measured)
        for ended in update.ended:
            book = self._book(camera, ended.track)
            del self._open[camera, ended.track]
            await self._end(book, ended.why, ended.stream_ns, ended.frames, ended.gated)

    def _book(self, camera: str, track: int) -> _Open:
        book = self._open.get((camera, track))
        if book is None:
            raise PassingError(f"the tracker spoke of track {track}, which is not open: expected `opened` before")
        return book

    def _count(self, camera: str, update: TrackUpdate, faces: Faces) -> None:
        """Count every face of a frame, once, before anything of it is sent."""
        _check_faces([seen.face for seen in update.seen], len(faces), "seen")
        _check_faces([wanted.face for wanted in update.wanted], len(faces), "wanted")
        for wanted in update.wanted:
            self._book(camera, wanted.track)
        books = [self._book(camera, seen.track) for seen in update.seen]
        gates = {seen.face: seen.gate for seen in update.seen}
        self._tallies[camera].take(len(faces), gates, [wanted.face for wanted in update.wanted])
        self._counted = faces
        for book, seen in zip(books, update.seen, strict=True):
            book.last_ns = faces.stream_ns
            book.frames += 1
            if seen.gate is not None:
                book.refused[seen.gate] += 1

    async def _ask_all(self, camera: str, wanted: Sequence[Wanted], faces: Faces, measured: Measured) -> None:
        tally = self._tallies[camera]
        unsent = deque(wanted)
        try:
            while unsent:
                book = self._book(camera, unsent[0].track)
                tally.over_gate += not book.probes
                await self._ask(book, unsent.popleft(), faces, measured)
        except BaseException as error:
            tally.unsent["crashed" if isinstance(error, Exception) else "stopped"] += len(unsent)
            raise

    async def _ask(self, book: _Open, wanted: Wanted, faces: Faces, measured: Measured) -> None:
        book.last_ns = faces.stream_ns
        if book.first_probe_ns is None:
            book.first_probe_ns = faces.stream_ns - book.began_ns
        left, top, right, bottom = (float(edge) for edge in faces.boxes[wanted.face])
        request = ProbeRequest(
            passage=book.passage,
            number=book.probes,
            camera=book.camera,
            crop=Biometric(faces.crops.array[wanted.face].copy(), since_ns=faces.captured_monotonic_ns),
            quality=wanted.quality,
            box=(left, top, right, bottom),
            others=_others(faces, wanted.face),
            captured_at_ns=faces.captured_at_ns,
            captured_monotonic_ns=faces.captured_monotonic_ns,
            decoded_at_ns=faces.decoded_at_ns,
        )
        book.probes += 1
        if measured:
            values = measured[wanted.face]
            book.conditions = values if book.conditions is None else book.conditions + values
        self._probes += 1
        await self.emit(request)

    async def _end(self, book: _Open, why: str, ended_ns: int, frames: int, gated: str | None) -> None:
        if book.conditions is not None:
            self._conditions.add(book.camera, book.conditions / book.probes)
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
                refused=tuple(book.refused.most_common()),
                track=book.track,
                first_probe_ns=book.first_probe_ns,
            )
        )

    async def finish(self) -> None:
        """End every passage: the input is over."""
        failure: Exception | None = None
        for camera, tracker in self._trackers.items():
            try:
                update = await self._lane.run(tracker.finish, deadline_s=self._deadline_s)
                await self._take(camera, update, None, {})
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
            await self._end(book, why, book.last_ns, book.frames, None)

    async def dispose(self, message: Faces | PassageSplit, reason: str) -> None:
        """Erase the crops, and count the faces unless they have been."""
        if isinstance(message, Faces):
            if message is self._counted:
                self._counted = None
            else:
                self._tallies[message.camera].dropped[reason] += len(message)
            message.erase()

    def facts(self) -> TrackerFacts:
        """Return a snapshot."""
        return TrackerFacts(
            seen=self._seen,
            open=len(self._open) + len(self._cut_short),
            probes=self._probes,
            cameras={name: tally.facts() for name, tally in self._tallies.items()},
            conditions=self._conditions.facts(),
            call_ms=self._durations.quantiles(),
        )


def _others(faces: Faces, number: int) -> tuple[Box, ...]:
    """Return where faces of others reach into the crop of one, xyxy in px of the crop."""
    if faces.affines is None:
        return ()
    height, width = faces.crops.array.shape[1:3]
    boxes = np.delete(faces.boxes, number, axis=0)
    return reaching_in(faces.affines[number], boxes, (width, height))


def _check_faces(numbers: Sequence[int], count: int, where: str) -> None:
    for number in numbers:
        if not 0 <= number < count:
            raise PassingError(
                f"the tracker spoke of face {number} in `{where}`, of a frame with {count}; numbers count from 0"
            )
    if len(set(numbers)) < len(numbers):
        raise PassingError(f"the tracker spoke of one face twice in `{where}`: {sorted(numbers)}")
