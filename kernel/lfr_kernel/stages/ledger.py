"""The ledger of passages: what is known of each until its one outcome.

open ──(its end is known, and every probe answered or lost)──▶ settled and forgotten
  └──(deadline, age, restart, stop)──▶ settled early ──(its end and the rest of its probes come)──▶ forgotten
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from lfr_kernel.messages import Outcome, Passage, Verdict
from lfr_kernel.stages.pooling import Pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfr_kernel.messages import Match, Probe
    from lfr_kernel.stages.pooling import Added

__all__ = ["PASSAGE_DEADLINE_NS", "PROBE_DEADLINE_NS", "Entry", "Ledger"]

PROBE_DEADLINE_NS = 10_000_000_000
"""How long a passage that is over waits for probes that are still on their way."""
PASSAGE_DEADLINE_NS = 300_000_000_000
"""How long a passage that is not over may go without news before its pool is erased."""


class Entry:
    """One open passage."""

    __slots__ = (
        "alerted",
        "answered",
        "camera",
        "early",
        "end",
        "last",
        "lost",
        "outliers",
        "passage",
        "pending",
        "pool",
        "searched",
        "since_ns",
        "touched_ns",
        "unlisted",
    )

    def __init__(self, passage: str, camera: str, pool: Pool, now_ns: int) -> None:
        self.passage = passage
        self.camera = camera
        self.pool = pool
        self.touched_ns = now_ns
        self.since_ns: int | None = None
        """When the oldest face of which anything is held was captured."""
        self.answered = 0
        self.searched = 0
        self.outliers = 0
        self.unlisted = False
        self.lost: dict[str, int] = {}
        self.alerted: set[str] = set()
        self.pending: dict[str, Match] = {}
        """By person: over the threshold after the last face, but not by as much as an early alert takes."""
        self.early: float | None = None
        self.last: float | None = None
        self.end: Passage | None = None

    @property
    def is_complete(self) -> bool:
        """Whether it is over and nothing of it is still on its way."""
        return self.end is not None and self.answered + sum(self.lost.values()) >= self.end.probes

    @property
    def best(self) -> float | None:
        """The highest similarity that counted: after the last face, or earlier less the margin asked for then."""
        known = [one for one in (self.early, self.last) if one is not None]
        return max(known, default=None)

    def take(self, probe: Probe) -> Added:
        """Pool the template of a probe, copied."""
        captured_ns = probe.captured_monotonic_ns
        self.since_ns = captured_ns if self.since_ns is None else min(self.since_ns, captured_ns)
        return self.pool.add(probe.template.array, probe.quality, captured_ns)

    def note(self, similarity: float, margin: float) -> None:
        """Note the highest similarity after one more face, and what it must have over the threshold at this look."""
        self.early = similarity - margin if self.early is None else max(self.early, similarity - margin)
        self.last = similarity

    def drop(self, person: str) -> None:
        """Erase what waits for somebody who was recalled."""
        match = self.pending.pop(person, None)
        if match is not None:
            match.erase()

    def hold_against(self, threshold: float) -> int:
        """Hold what waits for the end of the passage against another threshold; return how many do not reach it."""
        below = [person for person, match in self.pending.items() if match.similarity < threshold]
        for person in below:
            self.drop(person)
        self.pending = {person: replace(match, threshold=threshold) for person, match in self.pending.items()}
        return len(below)

    def await_end(self, pending: dict[str, Match]) -> None:
        """Keep what waits for the end of the passage, in place of what did before."""
        for match in self.pending.values():
            match.erase()
        self.pending = pending

    def erase(self) -> None:
        """Overwrite the pool, and what waited."""
        self.await_end({})
        self.pool.erase()

    @property
    def is_judged(self) -> bool:
        """Whether there is something to say of it as it stands: it was searched for, or nobody is listed."""
        return self.searched > 0 or self.unlisted

    def outcome(self, reason: str | None) -> Outcome:
        """Return the outcome as things stand.

        With a `reason`, and likewise when the tracker failed or was stopped in the middle of it, a passage was cut
        short: it is lost, unless it had alerted, since nobody can say that the rest of it would not have matched.
        """
        end = self.end
        if reason is None and end is not None and end.ended in {"restart", "stopped"}:
            reason = end.ended
        if self.alerted:
            verdict, why = Verdict.ALERTED, None
        elif self.searched and reason is None:
            verdict, why = Verdict.NOT_MATCHED, None
        else:
            verdict, why = Verdict.LOST, reason or self._why_nothing_was_searched()
        return Outcome(
            passage=self.passage,
            camera=self.camera,
            verdict=verdict,
            reason=why,
            # A template whose search failed is in the pool, and counts as lost.
            probes=self.pool.count if self.unlisted else self.searched,
            seconds=(end.ended_stream_ns - end.began_stream_ns) / 1e9 if end else 0.0,
            first_probe_s=end.first_probe_ns / 1e9 if end and end.first_probe_ns is not None else None,
            best_similarity=self.best,
            asked=end.probes if end else 0,
            outliers=self.outliers,
            probes_lost=tuple(Counter(self.lost).most_common()),
            refused=end.refused if end else (),
            frames=end.frames if end else 0,
            ended=end.ended if end else None,
            track=end.track if end else None,
            began_stream_ns=end.began_stream_ns if end else None,
        )

    def _why_nothing_was_searched(self) -> str:
        if self.unlisted:
            return "nobody_listed"
        if self.lost:
            return f"probe_{max(self.lost, key=lambda reason: self.lost[reason])}"
        if self.end is not None and self.end.gated:
            return f"gated_{self.end.gated}"
        return "no_face_wanted"


class Ledger:
    """Open passages by id, and those that were settled while something of them was still on its way."""

    def __init__(self, max_age_s: float = math.inf) -> None:
        """Keep a book in which nothing that identifies somebody may grow older than `max_age_s`."""
        self._max_age_ns = max_age_s * 1e9
        self._open: dict[str, Entry] = {}
        self._settled_early: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._open.values()))

    def find(self, passage: str, camera: str, dimension: int, now_ns: int) -> Entry | None:
        """Return the entry of a passage, new if need be; None if it was settled before."""
        if passage in self._settled_early:
            return None
        entry = self._open.get(passage)
        if entry is None:
            entry = self._open[passage] = Entry(passage, camera, Pool(dimension), now_ns)
        entry.touched_ns = now_ns
        return entry

    def overdue(self, now_ns: int) -> list[Entry]:
        """Return the open passages of which nothing was heard for too long, or whose first face is too old."""
        return [entry for entry in self if self._is_overdue(entry, now_ns)]

    def _is_overdue(self, entry: Entry, now_ns: int) -> bool:
        limit_ns = PASSAGE_DEADLINE_NS if entry.end is None else PROBE_DEADLINE_NS
        is_old = entry.since_ns is not None and now_ns - entry.since_ns > self._max_age_ns
        return is_old or now_ns - entry.touched_ns > limit_ns

    def answer(self, passage: str, lost: str | None = None) -> None:
        """Note that one probe of a passage that was found before was answered, or was lost for a reason."""
        entry = self._open.get(passage) or self._settled_early[passage]
        if lost is None:
            entry.answered += 1
        else:
            entry.lost[lost] = entry.lost.get(lost, 0) + 1
        self._forget_if_complete(passage)

    def end(self, passage: Passage) -> None:
        """Note the end of a passage that was found before."""
        entry = self._open.get(passage.passage) or self._settled_early[passage.passage]
        entry.end = passage
        self._forget_if_complete(passage.passage)

    def settle(self, entry: Entry, reason: str | None = None) -> Outcome:
        """Take an entry off the book, erase what it held, and return its one outcome."""
        del self._open[entry.passage]
        if not entry.is_complete:
            self._settled_early[entry.passage] = entry
        entry.erase()
        return entry.outcome(reason)

    def _forget_if_complete(self, passage: str) -> None:
        if passage in self._settled_early and self._settled_early[passage].is_complete:
            del self._settled_early[passage]
