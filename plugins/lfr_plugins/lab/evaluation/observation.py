"""Photographs become observations: which face, how good, and its templates. On all cores, and only once.

What is kept of a photograph does not depend on any gate, weight or threshold, so that all of those can be judged
later without looking at it again. Everything is computed by the plugins and functions that a run uses.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct

from lfr_kernel.api import (
    FaceQualities,
    PassingError,
    PermanentError,
    describe,
    embed_crops,
    face_qualities,
    mirror,
    similarity_transforms,
)
from lfr_plugins.lab.evaluation.store import digest_of, key_of
from lfr_plugins.lab.evaluation.views import VIEWS, cut, steadied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from lfr_kernel.api import Detections, Detector, Embedder, Picture
    from lfr_plugins.lab.evaluation.store import Store
    from lfr_plugins.lab.evaluation.views import View

__all__ = [
    "LookError",
    "Models",
    "Observation",
    "Observations",
    "UnreadableError",
    "cores",
    "observe",
    "the_face",
]

VERSION = "2"
"""Rises when what is computed of a photograph changes: what older versions have stored is then not asked for."""
_AT_ONCE = 64
"""Results that are stored together."""
_NAMED = 20


class UnreadableError(PermanentError, ValueError):
    """Photographs cannot be read; the text names them."""


class LookError(PassingError, RuntimeError):
    """A plugin failed at a photograph; the text says at which, and how."""


class Models(Struct, frozen=True, kw_only=True, eq=False):
    """What an evaluation computes with."""

    read: Callable[[Path], Picture]
    detector: Detector
    embedder: Embedder
    settings: str
    """Whatever else of a profile changes which faces are found, spelled out: part of every key."""
    views: tuple[str, ...] = ()
    """Names of other views to embed, too."""


class Observation(Struct, frozen=True, kw_only=True, eq=False):
    """What was seen on one photograph. Without a face everything but the digest is None."""

    digest: str
    """SHA-256 of the file."""
    faces: int
    """How many were found."""
    measures: tuple[float, ...] | None = None
    """The fields of `FaceQualities`, in their order."""
    plain: bytes | None = None
    """float32 [D]: the template, L2-normalised."""
    mirrored: bytes | None = None
    """float32 [D]: that of the mirror image."""
    others: bytes | None = None
    """float32 [V, 2, D]: those of other views, and of their mirror images."""


class Observations(Struct, frozen=True, kw_only=True, eq=False):
    """R photographs, as arrays; rows without a face hold zeros."""

    digests: tuple[str, ...]
    faces: NDArray[np.int64]
    """int64 [R]: how many faces were found."""
    qualities: FaceQualities
    """Of R faces."""
    plain: NDArray[np.float32]
    """float32 [R, D]."""
    mirrored: NDArray[np.float32]
    """float32 [R, D]."""
    others: NDArray[np.float32]
    """float32 [V, 2, R, D]: other views, plain and mirrored."""


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def observe(
    paths: Sequence[Path],
    models: Models,
    store: Store,
    *,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Observations:
    """Look at photographs, or remember what was seen.

    Args:
        paths: of R photographs.
        models: what looks.
        store: what remembers; what was seen is in it even when this is interrupted.
        progress: told (done, all) now and then.

    Raises:
        UnreadableError: photographs cannot be read. All of them are named, and the others are in the store.
        LookError: detector or embedder failed. What had been seen before is in the store.
        StoreError: the store cannot be used.
    """
    identity = (VERSION, models.detector.digest, models.embedder.digest, models.settings, *models.views)
    workers = max(1, min(cores(), models.detector.max_concurrency, models.embedder.max_concurrency))
    found: dict[int, Observation] = {}
    unreadable: list[str] = []
    fresh: dict[str, bytes] = {}
    running: dict[Future[Result], int] = {}
    with ThreadPoolExecutor(workers, thread_name_prefix="evaluate") as pool:
        try:
            for number, result in _in_turn(pool, _tasks(paths, models, store, identity), running, 2 * workers):
                if isinstance(result, str):
                    unreadable.append(result)
                else:
                    key, observation = result
                    found[number] = observation
                    if key is not None:
                        fresh[key] = msgspec.msgpack.encode(observation)
                if len(fresh) >= _AT_ONCE:
                    store.put(fresh)
                    fresh = {}
                progress(len(found) + len(unreadable), len(paths))
        finally:
            pool.shutdown(cancel_futures=True)
            store.put(fresh | dict(_left(running)))
    if unreadable:
        more = [f"and {len(unreadable) - _NAMED} more"] if len(unreadable) > _NAMED else []
        raise UnreadableError(
            f"{len(unreadable)} of {len(paths)} photographs cannot be read; repair them, or take their lines out of "
            "the protocol:\n" + "\n".join(f"  {one}" for one in (*sorted(unreadable)[:_NAMED], *more))
        )
    return _arrays([found[number] for number in range(len(paths))], models.embedder.dimension, len(models.views))


Result = tuple[str | None, Observation] | str
"""The key if it is new, and what was seen; or a text that names what cannot be read."""


def _tasks(
    paths: Sequence[Path], models: Models, store: Store, identity: tuple[str, ...]
) -> Iterator[tuple[int, Result | Callable[[], Result]]]:
    """Yield each photograph with what is known of it already, or with what finds out."""
    for number, path in enumerate(paths):
        try:
            digest = digest_of(path)
        except OSError as error:
            yield number, f"{path}: {error.strerror or error}"
            continue
        key = key_of("photograph", digest, *identity)
        known = store.get(key)
        if known is not None:
            try:
                yield number, (None, msgspec.msgpack.decode(known, type=Observation))
            except msgspec.DecodeError as error:
                raise store.error(error) from None
        else:
            yield number, lambda path=path, digest=digest, key=key: _look(path, digest, key, models)  # type: ignore[misc]


def _in_turn(
    pool: ThreadPoolExecutor,
    tasks: Iterator[tuple[int, Result | Callable[[], Result]]],
    running: dict[Future[Result], int],
    ahead: int,
) -> Iterator[tuple[int, Result]]:
    """Run what has to be run, a few ahead of whoever takes the results, so that memory stays flat."""
    for number, task in tasks:
        if not callable(task):
            yield number, task
            continue
        running[pool.submit(task)] = number
        if len(running) >= ahead:
            yield from _finished(running)
    while running:
        yield from _finished(running)


def _finished(running: dict[Future[Result], int]) -> Iterator[tuple[int, Result]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        result = future.result()
        yield running.pop(future), result


def _left(running: Iterable[Future[Result]]) -> Iterator[tuple[str, bytes]]:
    """Yield what was still found out, in the moment of an interruption, and nobody has taken."""
    for future in running:
        if not future.cancelled() and future.exception() is None and not isinstance(result := future.result(), str):
            key, observation = result
            if key is not None:
                yield key, msgspec.msgpack.encode(observation)


def _look(path: Path, digest: str, key: str, models: Models) -> Result:
    try:
        picture = models.read(path)
    except Exception as error:  # noqa: BLE001  (whatever the reader says, the photograph is named)
        return f"{path}: {describe(error)}"
    try:
        return key, _seen(picture, digest, models)
    except Exception as error:
        raise LookError(
            f"{path}: detector or embedder failed at this photograph: {describe(error)}; what was seen of others is "
            "remembered"
        ) from error


def _seen(picture: Picture, digest: str, models: Models) -> Observation:
    found = models.detector.detect(picture)
    if not len(found):
        return Observation(digest=digest, faces=0)
    face = the_face(found, picture.size)
    one = slice(face, face + 1)
    (affine,) = similarity_transforms(found.landmarks[one], models.embedder.landmark_template)
    crops = picture.patch(affine, models.embedder.crop_size)[np.newaxis]
    measured = face_qualities(found.boxes[one], found.landmarks[one], found.confidences[one], crops)
    others = [_view(picture, found.landmarks[face], VIEWS[name], models) for name in models.views]
    crops = np.concatenate((crops, *(crop[np.newaxis] for crop in others)))
    templates = embed_crops(
        models.embedder, np.stack((crops, mirror(crops)), axis=1).reshape(-1, *crops.shape[1:]), mirrored=False
    )
    return Observation(
        digest=digest,
        faces=len(found),
        measures=tuple(float(getattr(measured, name)[0]) for name in FaceQualities.__struct_fields__),
        plain=templates[0].tobytes(),
        mirrored=templates[1].tobytes(),
        others=templates[2:].tobytes(),
    )


def _view(picture: Picture, landmarks: NDArray[np.float32], view: View, models: Models) -> NDArray[np.uint8]:
    if view.is_steadied:
        landmarks = steadied(picture, landmarks, models.detector)
    return cut(picture, landmarks, view, models.embedder.landmark_template, models.embedder.crop_size)


def the_face(found: Detections, size: tuple[int, int]) -> int:
    """Return which of several faces a photograph in a protocol is of: a large one near the middle.

    The one whose size (the root of its area), less its distance from the middle of the picture, is the largest, as far
    as the detector is sure of it. Photographs of a watchlist have one face; those of data sets have bystanders.
    """
    corners = found.boxes.astype(np.float64)
    extent = corners[:, 2:] - corners[:, :2]
    away = np.linalg.norm((corners[:, :2] + corners[:, 2:]) / 2 - np.array(size) / 2, axis=1)
    return int((np.sqrt(extent.prod(axis=1)) * found.confidences - away).argmax())


def _arrays(seen: Sequence[Observation], dimension: int, views: int) -> Observations:
    names = FaceQualities.__struct_fields__
    nothing = (0.0,) * len(names)
    measures = np.array([one.measures or nothing for one in seen], np.float64).reshape(len(seen), len(names))
    blank = bytes(4 * dimension)

    def stacked(blobs: list[bytes]) -> NDArray[Any]:
        return np.frombuffer(b"".join(blobs), np.float32).reshape(len(blobs), dimension)

    return Observations(
        digests=tuple(one.digest for one in seen),
        faces=np.array([one.faces for one in seen], np.int64),
        qualities=FaceQualities(**dict(zip(names, measures.T, strict=True))),
        plain=stacked([one.plain or blank for one in seen]),
        mirrored=stacked([one.mirrored or blank for one in seen]),
        others=np.moveaxis(
            np.frombuffer(b"".join(one.others or blank * 2 * views for one in seen), np.float32).reshape(
                len(seen), views, 2, dimension
            ),
            0,
            2,
        ),
    )
