"""The ledger of passages: what is known of each until its one outcome.

open ──(its end is known, and every probe answered or lost)──▶ settled
  └──(deadline, restart, stop)──▶ settled, its end still to come ──(its end comes)──▶ forgotten
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfr_kernel.messages import Outcome, Passage, Verdict
from lfr_kernel.stages.pooling import Pool

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Entry", "Ledger"]


class Entry:
    """One open passage."""

    __slots__ = ("alerted", "answered", "best", "camera", "end", "lost", "passage", "pool", "searched", "touched_ns")

    def __init__(self, passage: str, camera: str, pool: Pool, now_ns: int) -> None:
        self.passage = passage
        self.camera = camera
        self.pool = pool
        self.touched_ns = now_ns
        self.answered = 0
        self.searched = 0
        self.lost: dict[str, int] = {}
        self.alerted: set[str] = set()
        self.best: float | None = None
        self.end: Passage | None = None

    @property
    def is_complete(self) -> bool:
        """Whether it is over and nothing of it is still on its way."""
        return self.end is not None and self.answered + sum(self.lost.values()) >= self.end.probes

    def outcome(self, reason: str | None) -> Outcome:
        """Return the outcome as things stand.

        With a `reason`, and likewise when the tracker failed in the middle of it, a passage was cut short: it is lost,
        unless it had alerted, since nobody can say that the rest of it would not have matched.
        """
        end = self.end
        if reason is None and end is not None and end.ended == "restart":
            reason = "restart"
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
            probes=self.searched,
            seconds=(end.ended_stream_ns - end.began_stream_ns) / 1e9 if end else 0.0,
            first_probe_s=end.first_probe_ns / 1e9 if end and end.first_probe_ns is not None else None,
            best_similarity=self.best,
        )

    def _why_nothing_was_searched(self) -> str:
        if self.lost:
            return f"probe_{max(self.lost, key=lambda reason: self.lost[reason])}"
        if self.end is not None and self.end.gated:
            return f"gated_{self.end.gated}"
        return "no_face_wanted"


class Ledger:
    """Open passages by id, and those that were settled before their end was known."""

    def __init__(self) -> None:
        self._open: dict[str, Entry] = {}
        self._settled_early: set[str] = set()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._open.values()))

    def find(self, passage: str, camera: str, dimension: int, now_ns: int) -> Entry | None:
        """Return the entry of a passage, new if need be; None if it was settled before."""
        entry = self._open.get(passage)
        if entry is None and passage not in self._settled_early:
            entry = self._open[passage] = Entry(passage, camera, Pool(dimension), now_ns)
        if entry is not None:
            entry.touched_ns = now_ns
        return entry

    def end(self, passage: Passage, dimension: int, now_ns: int) -> Entry | None:
        """Note a passage's end; return its entry, or None if it was settled before."""
        if passage.passage in self._settled_early:
            self._settled_early.discard(passage.passage)
            return None
        entry = self.find(passage.passage, passage.camera, dimension, now_ns)
        if entry is not None:
            entry.end = passage
        return entry

    def settle(self, entry: Entry, reason: str | None = None) -> Outcome:
        """Take an entry off the book, erase its pool, and return its one outcome."""
        del self._open[entry.passage]
        if entry.end is None:
            self._settled_early.add(entry.passage)
        entry.pool.erase()
        return entry.outcome(reason)
