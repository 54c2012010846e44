"""The index stage: its contract, and the actor that hosts a plugin of it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from lfr_kernel.messages import (
    Biometric,
    Match,
    Outcome,
    Passage,
    PassageSplit,
    Probe,
    ProbeLost,
    Recall,
    Receipt,
    Relist,
    SetThreshold,
    Wipe,
)
from lfr_kernel.runtime import Actor, Consumes, PermanentError, Policy
from lfr_kernel.stages.detector import CLOSE_S, LOAD_S
from lfr_kernel.stages.gallery import Candidates, Gallery, Index, Roll
from lfr_kernel.stages.ledger import Entry, Ledger
from lfr_kernel.stages.measure import Durations, Quantiles
from lfr_kernel.stages.pooling import Added, early_margin_of
from lfr_kernel.stages.tally import IndexedFacts, IndexedTally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from lfr_kernel.runtime import Lane

__all__ = ["Candidates", "Gallery", "Index", "IndexFacts", "IndexHost"]

CANDIDATES = 8
"""How many entries are asked for: a passage may resemble several people who are listed."""


class IndexFacts(Struct, frozen=True, kw_only=True):
    """A snapshot of the index."""

    entries: int
    generation: int
    open_passages: int
    pooled: int
    outliers: int
    """Faces that disagreed with their passage's pool and were left out."""
    splits: int
    searches: int
    late: int
    """Probes that came after their passage had been settled."""
    dropped: dict[str, int]
    cameras: dict[str, IndexedFacts]
    search_ms: Quantiles


class IndexHost(Actor):
    """Pools the templates of each passage, searches the pools as they grow, and settles each passage once.

    A match goes out once per passage and person: as soon as the pooled similarity is over the threshold by a margin
    that narrows as the pool grows (see `early_margin_of`), or when no more faces of the passage will come and it has
    reached the threshold itself. A template that matches nobody is overwritten here, together with its crop.
    """

    consumes = (
        Consumes(message=Probe, policy=Policy(capacity=64, patience_s=2.0)),
        Consumes(message=ProbeLost, policy=Policy(capacity=64)),
        Consumes(message=Passage, policy=Policy(capacity=64)),
    )
    produces = (Match, Outcome, PassageSplit)
    max_batch = 16

    def __init__(
        self,
        create: Callable[[], Index],
        lane: Lane,
        *,
        gallery: Callable[[], Gallery],
        digest: str,
        dimension: int,
        threshold: float,
        early_margin: float,
        looks: int | None,
        deadline_s: float,
        max_residency_s: float = math.inf,
    ) -> None:
        """Host an index.

        Args:
            create: makes the plugin.
            lane: the index's own.
            gallery: returns the current gallery; asked at each start.
            digest: of the embedder that makes the probes.
            dimension: D, of its templates.
            threshold: pooled cosine from which a passage matches, until another one is set.
            early_margin: what is asked for in addition, divided by the number of faces pooled, until it is over.
            looks: after how many faces no more are asked for; None when the tracker does not say.
            deadline_s: for one search.
            max_residency_s: a passage whose first face was captured so long ago is settled as things stand.
        """
        super().__init__("index")
        self._create = create
        self._lane = lane
        self._gallery = gallery
        self._digest = digest
        self._dimension = dimension
        self._threshold = threshold
        self._early_margin = early_margin
        self._looks = looks
        self._deadline_s = deadline_s
        self._index: Index | None = None
        self._roll = Roll()
        self._booked: Sequence[Probe | ProbeLost | Passage] = ()
        self.tick_s = min(1.0, max_residency_s / 4)
        self._ledger = Ledger(max_residency_s - 2 * self.tick_s)  # a tick may come late
        self._untold: deque[Match | Outcome] = deque()
        self._counts: Counter[str] = Counter()
        self._tallies: defaultdict[str, IndexedTally] = defaultdict(IndexedTally)
        self._dropped: Counter[str] = Counter()
        self._durations = Durations()

    async def setup(self) -> None:
        """Load the gallery into a new instance, without those recalled since.

        Raises:
            PermanentError: the gallery was made with another model than the probes are.
        """
        gallery = self._gallery()
        if gallery.digest != self._digest:
            raise PermanentError(
                f"the watchlist was made with model {gallery.digest[:12]}…, the embedder is {self._digest[:12]}…: "
                "similarities between the two mean nothing; build the watchlist again with this model"
            )
        self._booked = ()
        # Copied here and not on the lane: whoever takes an entry off the gallery does so between two steps of the loop.
        rows = self._roll.rows(gallery)
        templates = gallery.templates.array[rows] if len(rows) else np.zeros((0, self._dimension), np.float32)
        self._index = await self._lane.run(
            self._load, rows, templates, deadline_s=LOAD_S, discard=methodcaller("erase")
        )
        self._roll.take(gallery, rows)

    def _load(self, rows: NDArray[np.int64], templates: NDArray[np.float32]) -> Index:
        try:
            index = self._create()
            if len(rows):
                index.replace(templates, rows, self._digest)
        finally:
            templates.fill(0)
        return index

    async def handle_batch(self, messages: Sequence[Probe | ProbeLost | Passage]) -> None:
        """Pool and search the probes, then see which passages are settled."""
        grown: dict[str, tuple[Entry, Probe]] = {}
        pooled: dict[int, Added] = {}
        splits: list[PassageSplit] = []
        for number, message in enumerate(messages):
            entry = self._find(message)
            if entry is not None and isinstance(message, Probe):
                pooled[number] = self._pool(entry, message, splits)
                if pooled[number] is Added.POOLED:
                    grown[entry.passage] = (entry, message)
        for entry, _ in grown.values():
            entry.unlisted = not self._roll
        if grown and self._roll:
            await self._search(list(grown.values()))
        # Nothing was booked before the search was over: a batch that fails comes again, message by message.
        for number, message in enumerate(messages):
            self._book(message, added=pooled.get(number))
        self._booked = messages
        for split in splits:
            await self.emit(split)
        await self._tell()
        self._booked = ()

    def _find(self, message: Probe | ProbeLost | Passage) -> Entry | None:
        return self._ledger.find(message.passage, message.camera, self._dimension, self.clock.monotonic_ns())

    def _book(self, message: Probe | ProbeLost | Passage, lost: str | None = None, added: Added | None = None) -> None:
        """Count one message, erase it, and settle its passage if that is complete now.

        `lost` says why it died instead of being handled, `added` what became of the template of a probe that did not.
        """
        entry = self._find(message)
        if isinstance(message, Passage):
            self._ledger.end(message)
        else:
            self._ledger.answer(message.passage, message.reason if isinstance(message, ProbeLost) else lost)
        if isinstance(message, Probe):
            message.erase()
            self._tallies[message.camera].answer(added, lost)
        if entry is not None and added in {Added.HELD, Added.SPLIT}:
            entry.outliers += 1
        if entry is not None and entry.is_complete:
            self._settle([entry])

    def _settle(self, entries: Sequence[Entry], reason: str | None = None) -> None:
        """Settle passages, all at once: while an outcome is on its way, a message that dies may book on others.

        What has waited for the end of its passage matches now, unless the passage was cut short for a `reason`.
        """
        for entry in entries:
            for person in [] if reason else tuple(entry.pending):
                entry.alerted.add(person)
                self._untold.append(entry.pending.pop(person))
            self._untold.append(self._ledger.settle(entry, reason))

    async def _tell(self) -> None:
        while self._untold:
            await self.emit(self._untold.popleft())

    def _pool(self, entry: Entry, probe: Probe, splits: list[PassageSplit]) -> Added:
        added = entry.take(probe)
        if added is Added.SPLIT:
            self._counts["splits"] += 1
            splits.append(PassageSplit(passage=entry.passage, camera=entry.camera))
        return added

    async def _search(self, grown: Sequence[tuple[Entry, Probe]]) -> None:
        assert self._index is not None  # noqa: S101  (setup has seen to it)
        pooled = Biometric(np.empty((len(grown), self._dimension), np.float32))
        began_ns = self.clock.monotonic_ns()
        try:
            for row, (entry, _) in zip(pooled.array, grown, strict=True):
                entry.pool.write_mean(row)
            found = await self._lane.run(self._index.search, pooled.array, CANDIDATES, deadline_s=self._deadline_s)
        finally:
            pooled.erase()
        self._durations.add((self.clock.monotonic_ns() - began_ns) / 1e9)
        self._counts["searches"] += len(grown)
        nearest = zip(grown, found.entries.tolist(), found.similarities.tolist(), strict=True)
        for (entry, probe), rows, similarities in nearest:
            self._tallies[entry.camera].searched += not entry.searched
            entry.searched = entry.pool.count
            await self._judge(entry, probe, rows, similarities)

    async def _judge(self, entry: Entry, probe: Probe, rows: Sequence[int], similarities: Sequence[float]) -> None:
        """Let go out what is sure enough already, and keep for the end of the passage what is over the threshold."""
        is_last = self._looks is not None and probe.number + 1 >= self._looks
        margin = 0.0 if is_last else early_margin_of(self._early_margin, entry.pool.count)
        if rows and rows[0] >= 0:
            entry.note(similarities[0], margin)
        pending: dict[str, Match] = {}
        sure: dict[str, Match] = {}
        for row, similarity in zip(rows, similarities, strict=True):
            if row < 0 or similarity < self._threshold:
                continue
            person = self._roll.person(row)
            is_news = person not in entry.alerted and person not in {*pending, *sure}
            if is_news and not self._roll.is_recalled(person):
                into = sure if similarity >= self._threshold + margin else pending
                into[person] = self._match(entry, probe, row, similarity)
        entry.await_end(pending)
        try:
            for person in tuple(sure):
                entry.alerted.add(person)
                await self.emit(sure.pop(person))
        except BaseException:
            for match in sure.values():
                match.erase()
            raise

    def _match(self, entry: Entry, probe: Probe, row: int, similarity: float) -> Match:
        return Match(
            passage=entry.passage,
            camera=entry.camera,
            person=self._roll.person(row),
            entry=row,
            generation=self._roll.generation,
            similarity=similarity,
            threshold=self._threshold,
            faces=entry.pool.count,
            quality=probe.quality,
            box=probe.box,
            others=probe.others,
            crop=Biometric(probe.crop.array.copy(), since_ns=probe.captured_monotonic_ns),
            captured_at_ns=probe.captured_at_ns,
            captured_monotonic_ns=probe.captured_monotonic_ns,
            decoded_at_ns=probe.decoded_at_ns,
        )

    async def tick(self) -> None:
        """Settle passages past their deadline."""
        for entry in self._ledger.overdue(self.clock.monotonic_ns()):
            self._settle([entry], None if entry.is_judged else "deadline")
        await self._tell()

    async def answer(self, request: Any) -> Any:
        """Recall a person, take another template for one, set another threshold, or wipe everything."""
        if isinstance(request, Relist):
            return Receipt(destroyed=await self._relist(request))
        if isinstance(request, Recall):
            return Receipt(destroyed=await self._recall(request.person))
        if isinstance(request, SetThreshold):
            self._threshold = request.threshold
            return Receipt(destroyed=sum(entry.hold_against(request.threshold) for entry in self._ledger))
        if isinstance(request, Wipe):
            return Receipt(destroyed=await self._wipe())
        return await super().answer(request)

    async def _recall(self, person: str) -> int:
        assert self._index is not None  # noqa: S101  (setup has seen to it)
        rows = self._roll.recall(person)
        for entry in self._ledger:
            entry.drop(person)
        if rows:
            entries = np.asarray(rows, np.int64)
            await self._lane.run(self._index.remove, entries, deadline_s=self._deadline_s)
            self._roll.strike(rows)
        return len(rows)

    async def _relist(self, request: Relist) -> int:
        rows = self._roll.rows_of(request.person)
        for entry in self._ledger:
            entry.drop(request.person)  # what waits rests on the photograph that was withdrawn
        if rows:
            await self._lane.run(self._exchange, rows, request.template.array, deadline_s=self._deadline_s)
            self._roll.generation += 1
        return len(rows)

    def _exchange(self, rows: Sequence[int], template: NDArray[np.float32]) -> None:
        assert self._index is not None  # noqa: S101  (setup has seen to it)
        entries = np.asarray(rows, np.int64)
        self._index.remove(entries)
        self._index.add(np.broadcast_to(template, (len(rows), len(template))), entries, self._digest)

    async def _wipe(self) -> int:
        assert self._index is not None  # noqa: S101  (setup has seen to it)
        destroyed = len(self._roll)
        self._roll.wipe()
        await self._lane.run(self._index.erase, deadline_s=self._deadline_s)
        self._roll.strike_all()
        self._settle(list(self._ledger), "wiped")
        await self._tell()
        return destroyed

    async def finish(self) -> None:
        """Settle what is left: its probes will not come any more."""
        for entry in self._ledger:
            self._settle([entry], None if entry.is_judged else "unanswered")
        await self._tell()

    async def teardown(self) -> None:
        """Erase the gallery, settle what a failure or a stop cut short, and erase its pools."""
        try:
            if self._index is not None:
                await self._lane.run(self._index.erase, deadline_s=CLOSE_S)
        finally:
            self._index = None
            self._settle(list(self._ledger), "stopped" if self.is_cut_short else "restart")
            await self._tell()

    async def dispose(self, message: Probe | ProbeLost | Passage, reason: str) -> None:
        """Erase a probe that died on the way here, and keep the books right."""
        if any(message is booked for booked in self._booked):
            return
        self._dropped[reason] += 1
        self._book(message, reason)
        await self._tell()

    def facts(self) -> IndexFacts:
        """Return a snapshot."""
        cameras = {name: tally.facts() for name, tally in self._tallies.items()}
        return IndexFacts(
            entries=len(self._roll) if self._index is not None else 0,
            generation=self._roll.generation,
            open_passages=len(self._ledger),
            pooled=sum(camera.pooled for camera in cameras.values()),
            outliers=sum(camera.outliers for camera in cameras.values()),
            splits=self._counts["splits"],
            searches=self._counts["searches"],
            late=sum(camera.lost.get("late", 0) for camera in cameras.values()),
            dropped=dict(self._dropped),
            cameras=cameras,
            search_ms=self._durations.quantiles(),
        )
