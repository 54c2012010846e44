"""Clips with a ground truth become passages, as photographs do.

A line of the protocol says that somebody is to be seen in a clip, from when to when, and where in the picture if others
are there too. What the pipeline followed there (see `following`) is held against it:

- A track belongs to the line in whose time (and region) most of its frames lie. A region must hold the centre of its
  face in more than half of the frames of that time, and the two must share half of the shorter one's time: a track that
  only touches a line's first or last moment is somebody else's.
- Several tracks of one line are one passage. Their faces follow one another in order of time, as if the tracker had
  not let go; those that their own track's pool left out as outliers stay out. A run would count each track by itself.
- A line without a track is a passage without faces, lost as `never_detected`, and stays in every denominator; so does
  one whose faces all were gated, lost by its most frequent gate.
- A track that is nobody's is counted as unaccounted, and not scored: the ground truth does not say who that is. Its
  templates are dropped as soon as the clip has been watched, and never stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping  # noqa: TC003  (msgspec resolves the annotations)
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from lfr_plugins.lab.evaluation.following import Track, Watched, follow
from lfr_plugins.lab.evaluation.observation import UnreadableError, cores
from lfr_plugins.lab.evaluation.scoring import Faces, Walk
from lfr_plugins.lab.evaluation.store import digest_of, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from lfr_plugins.lab.evaluation.following import Stages
    from lfr_plugins.lab.evaluation.protocol import Role, Row
    from lfr_plugins.lab.evaluation.store import Store

__all__ = ["NEVER_DETECTED", "Walked", "walks_of", "watch_clips"]

VERSION = "3"
"""Rises when what is kept of a clip changes: what older versions have stored is then not asked for."""
NEVER_DETECTED = "never_detected"
_NEVER_ASKED = "never_asked"
"""Only trackers that do not say why they want no face of a track leave it at that."""
_TICK_S = 0.2
"""How often progress is told while nothing ends."""
_NAMED = 20


class Walked(Struct, frozen=True, kw_only=True, eq=False):
    """The passages of a ground truth, and how the tracks add up to them.

    Always: tracks = those of passages + unaccounted.
    """

    walks: tuple[tuple[Role, Walk], ...]
    """In the order of the protocol."""
    tracks: int
    """How many were followed, in all clips."""
    unaccounted: Mapping[str, int]
    """Tracks that are nobody's in the ground truth, by clip (as the protocol names it) that has any."""
    joined: int
    """Tracks beyond the first of their passage: how often the tracker let go of somebody."""
    outliers: int
    """Faces of passages that disagreed with the others of their track, and were left out."""

    def of(self, *roles: Role) -> list[Walk]:
        """Return the passages of these roles."""
        return [walk for role, walk in self.walks if role in roles]


def watch_clips(
    rows: Sequence[Row],
    stages: Stages,
    store: Store,
    *,
    progress: Callable[[float, int, int], None] = lambda _seconds, _done, _all: None,
) -> dict[Path, Watched]:
    """Follow everybody in clips, each clip once and several at a time, or remember what was seen.

    Args:
        rows: lines of a protocol that are clips, with the roles `mated` and `nonmated`.
        stages: what watches.
        store: what remembers.
        progress: told (seconds of clips watched, clips done, clips in all) now and then.

    Returns:
        What was seen, by clip; the passages of the ground truth are `walks_of` it.

    Raises:
        UnreadableError: clips cannot be read. All of them are named, and the others are in the store.
    """
    lines: dict[Path, list[Row]] = {}
    for row in rows:
        lines.setdefault(row.path, []).append(row)
    watched: dict[Path, Watched] = {}
    unreadable: list[str] = []
    fresh = dict(_unknown(lines, stages, store, watched, unreadable.append))
    seconds = {path: one.seconds for path, one in watched.items()}

    def tell() -> None:
        progress(sum(seconds.copy().values()), len(watched) + len(unreadable), len(lines))

    tell()
    workers = max(1, min(cores(), stages.detector.max_concurrency, stages.embedder.max_concurrency))
    stop = Event()
    with ThreadPoolExecutor(workers, thread_name_prefix="evaluate") as pool:
        try:
            running: dict[Future[Watched], Path] = {}
            for path, (_, digest) in fresh.items():
                told = _setter(seconds, path)
                running[pool.submit(follow, path, digest, stages, told, stop)] = path
            while running:
                ended, _ = wait(running, timeout=_TICK_S, return_when=FIRST_COMPLETED)
                for future in ended:
                    path = running.pop(future)
                    try:
                        watched[path] = _without_strangers(future.result(), lines[path])
                    except UnreadableError as error:
                        unreadable.append(str(error))
                        continue
                    store.put({fresh[path][0]: msgspec.msgpack.encode(watched[path])})
                tell()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    if unreadable:
        more = [f"and {len(unreadable) - _NAMED} more"] if len(unreadable) > _NAMED else []
        raise UnreadableError(
            f"{len(unreadable)} of {len(lines)} clips cannot be read to their end; repair them, or take their lines "
            "out of the protocol:\n" + "\n".join(f"  {one}" for one in (*sorted(unreadable)[:_NAMED], *more))
        )
    return watched


def _unknown(
    lines: Mapping[Path, Sequence[Row]],
    stages: Stages,
    store: Store,
    watched: dict[Path, Watched],
    note: Callable[[str], None],
) -> Iterator[tuple[Path, tuple[str, str]]]:
    """Yield each clip that has to be watched, with key and digest; put those that the store knows into `watched`."""
    for path, rows in lines.items():
        try:
            digest = digest_of(path)
        except OSError as error:
            note(f"{path}: {error.strerror or error}")
            continue
        key = key_of("clip", digest, VERSION, *stages.identity, _spelled(rows))
        known = store.get(key)
        if known is None:
            yield path, (key, digest)
        else:
            watched[path] = msgspec.msgpack.decode(known, type=Watched)


def _spelled(rows: Sequence[Row]) -> str:
    """Spell out whom of a clip the ground truth knows: what is kept of the clip depends on it."""
    return repr(sorted((row.start_s, row.end_s, row.region or ()) for row in rows))


def _without_strangers(watched: Watched, rows: Sequence[Row]) -> Watched:
    """Drop the templates of whoever is in no line of the ground truth."""
    tracks = (
        track
        if _owner(track, rows) is not None
        else replace(track, plain=b"", mirrored=b"", weights=(), conditions=b"")
        for track in watched.tracks
    )
    return replace(watched, tracks=tuple(tracks))


def _setter(seconds: dict[Path, float], path: Path) -> Callable[[float], None]:
    def told(at_s: float) -> None:
        seconds[path] = at_s

    return told


def walks_of(rows: Sequence[Row], watched: Mapping[Path, Watched], dimension: int, *, live_mirrored: bool) -> Walked:
    """Hold what was followed against the ground truth; see above for how.

    Lines of one person that name the same `passage` are one passage, in the order in which they stand; any other line
    is a passage of its own.

    Args:
        rows: those that are clips.
        watched: what `watch_clips` returned for them.
        dimension: D, of the templates.
        live_mirrored: average each template with that of the mirror image.
    """
    owned: dict[int, list[Track]] = {row.line: [] for row in rows}
    unaccounted: Counter[str] = Counter()
    truths: dict[Path, list[Row]] = {}
    for row in rows:
        truths.setdefault(row.path, []).append(row)
    for path, there in truths.items():
        for track in watched[path].tracks:
            owner = _owner(track, there)
            if owner is None:
                unaccounted[there[0].name] += 1
            else:
                owned[owner.line].append(track)
    passages: dict[tuple[str, str | int], list[Row]] = {}
    for row in rows:
        passages.setdefault((row.identity, row.passage or row.line), []).append(row)
    walks: list[tuple[Role, Walk]] = []
    joined = outliers = 0
    for lines in passages.values():
        tracks = [track for row in lines for track in sorted(owned[row.line], key=_began_s)]
        walks.append((lines[0].role, _walk(lines[0], tracks, dimension, live_mirrored=live_mirrored)))
        joined += max(0, len(tracks) - 1)
        outliers += sum(track.outliers for track in tracks)
    return Walked(
        walks=tuple(walks),
        tracks=sum(len(watched[path].tracks) for path in truths),
        unaccounted=dict(unaccounted),
        joined=joined,
        outliers=outliers,
    )


def _began_s(track: Track) -> float:
    return float(track.seen()[0, 0])


def _owner(track: Track, rows: Sequence[Row]) -> Row | None:
    """Return the line that a track belongs to; the earlier one where two are alike."""
    shares = [(_shared(track, row), row.region is not None, -row.line) for row in rows]
    best = max(range(len(rows)), key=shares.__getitem__)
    return rows[best] if shares[best][0] else None


def _shared(track: Track, row: Row) -> int:
    """Return in how many frames a track may be what a line speaks of; 0 when it is not."""
    assert row.start_s is not None and row.end_s is not None  # noqa: PT018, S101  (every clip's line has them)
    at_s, x, y = track.seen().T
    there = (at_s >= row.start_s) & (at_s <= row.end_s)
    if row.region is not None:
        left, top, right, bottom = row.region
        in_time = int(there.sum())
        there &= (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
        if 2 * there.sum() <= in_time:
            return 0
    frames = int(there.sum())
    if not frames:
        return 0
    covered_s = float(np.ptp(at_s[there]))
    is_half = 2 * frames >= len(at_s) or 2 * covered_s >= row.end_s - row.start_s
    return frames if is_half else 0


def _walk(row: Row, tracks: Sequence[Track], dimension: int, *, live_mirrored: bool) -> Walk:
    templates = [track.templates(dimension, mirrored=live_mirrored) for track in tracks]
    weights = [weight for track in tracks for weight in track.weights]
    conditions = np.concatenate([np.zeros((0, 3)), *(track.seen_in() for track in tracks)])
    lost = None
    if not weights:
        gates: Counter[str] = sum((Counter(track.gates) for track in tracks), Counter())
        most = gates.most_common(1)
        lost = most[0][0] if most else (_NEVER_ASKED if tracks else NEVER_DETECTED)
    return Walk(
        identity=row.identity,
        passage=row.passage or f"{row.name} {row.start_s:g}-{row.end_s:g} s",
        faces=Faces(
            templates=np.concatenate([np.zeros((0, dimension), np.float32), *templates]),
            weights=np.array(weights, np.float64),
        ),
        lost=lost,
        conditions=conditions.mean(axis=0) if len(conditions) else None,
    )
