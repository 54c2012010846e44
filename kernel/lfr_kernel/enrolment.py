"""Enrolment: a folder of photographs becomes a watchlist in memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from lfr_kernel.governance.photograph import PHOTO_S, Unfit, examine, work_through
from lfr_kernel.governance.watchlist import Enrolled, Rejected, Watchlist
from lfr_kernel.messages import Biometric
from lfr_kernel.runtime import PermanentError, describe
from lfr_kernel.stages.camera import EndOfInput
from lfr_kernel.stages.quality import EnrolmentGates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lfr_kernel.messages import Picture
    from lfr_kernel.plugins import CameraPlugin
    from lfr_kernel.runtime import Lane
    from lfr_kernel.stages.detector import Detector
    from lfr_kernel.stages.embedder import Embedder
    from lfr_kernel.stages.quality import Gates

__all__ = ["EnrolmentError", "Photo", "enrol", "find_photos", "read_photograph"]

SUFFIXES = {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff"}
OTHER_PICTURES = {
    ".heic",
    ".heif",
    ".avif",
    ".gif",
    ".jp2",
    ".jxl",
    ".tga",
    ".raw",
    ".dng",
    ".cr2",
    ".cr3",
    ".nef",
    ".arw",
}
"""Photographs in formats that are not read: left aside silently, somebody would be missing from the list."""


class EnrolmentError(PermanentError, ValueError):
    """The watchlist cannot be made; the text says which file and why."""


class Photo(Struct, frozen=True, kw_only=True):
    """One photograph to enrol."""

    person: str
    path: Path


def find_photos(folders: str | Sequence[str]) -> list[Photo]:
    """List the photographs: a file is a person, a sub-folder is a person with several.

    Raises:
        EnrolmentError: a folder is missing, cannot be read or holds no photograph; a name stands in two folders; a
            photograph is empty, or in a format that is not read.
    """
    photos: list[Photo] = []
    where: dict[str, Path] = {}
    for folder in [folders] if isinstance(folders, str) else folders:
        root = Path(folder).expanduser()
        try:
            found = list(_photos_in(root))
        except FileNotFoundError:
            raise EnrolmentError(f"watchlist folder {root} does not exist; see [watchlist] images") from None
        except NotADirectoryError:
            raise EnrolmentError(f"watchlist {root} is a file, expected a folder of photographs") from None
        except PermissionError as error:
            raise EnrolmentError(f"watchlist folder {error.filename} cannot be read: {error.strerror}") from None
        for photo in found:
            other = where.setdefault(photo.person, root)
            if other != root:
                raise EnrolmentError(
                    f"watchlist {photo.person!r} stands in {other} and in {root}: expected each person in one folder, "
                    "since photographs of one name are taken for one person; rename one, or put them into one folder"
                )
        if not found:
            raise EnrolmentError(f"watchlist folder {root} holds no photograph ({', '.join(sorted(SUFFIXES))})")
        photos += found
    return photos


def _photos_in(root: Path) -> Iterator[Photo]:
    for path in sorted(root.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            inside = [inner for inner in sorted(path.iterdir()) if _is_photo(inner)]
            if not inside:
                raise EnrolmentError(f"watchlist folder {path} holds no photograph of its person; add one or remove it")
            yield from (Photo(person=path.name, path=inner) for inner in inside)
        elif _is_photo(path):
            yield Photo(person=path.stem, path=path)


def _is_photo(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in OTHER_PICTURES:
        raise EnrolmentError(
            f"watchlist photograph {path}: expected one of {', '.join(sorted(SUFFIXES))}, got {suffix}; convert it"
        )
    if suffix in SUFFIXES and not path.stat().st_size:
        raise EnrolmentError(
            f"watchlist photograph {path} is empty (0 bytes); put the picture there or remove the file"
        )
    return suffix in SUFFIXES and not path.name.startswith(".")


async def enrol(
    photos: Sequence[Photo],
    *,
    reader: CameraPlugin,
    detector: Detector,
    embedder: Embedder,
    lane: Lane,
    gates: Gates | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Watchlist:
    """Make a watchlist of photographs.

    A photograph with no face, with several, or with one that is not good enough is rejected with its reason, and so is
    one that disagrees with the others of its person; a file that cannot be read is an error, so that nobody is left
    off a list by accident.

    Args:
        photos: what `find_photos` found. None at all makes a list of nobody: whoever builds a profile in code may ask
            for that with `images=()`, a profile in a file may not.
        reader: the camera plugin that reads stills; its config takes `path`.
        detector: finds the face.
        embedder: makes the template; the mirror image is averaged in.
        lane: where the work runs, as many photographs at a time as it has workers.
        gates: what a photograph must have; `EnrolmentGates()` when None.
        progress: told (done, all) after each.

    Raises:
        EnrolmentError: a file cannot be read, or of some photographs nobody is left.
    """
    gates = gates or EnrolmentGates()
    results: dict[int, Enrolled | Rejected] = {}

    async def work(number: int) -> None:
        photo = photos[number]
        try:
            results[number] = await lane.run(
                _enrol_one, photo, reader, detector, embedder, gates, deadline_s=PHOTO_S, discard=_erase
            )
        except EnrolmentError:
            raise
        except Exception as error:  # noqa: BLE001  (whatever it was, say which photograph it was)
            raise EnrolmentError(f"watchlist photograph {photo.path}: {describe(error)}") from None
        progress(len(results), len(photos))

    try:
        at_once = min(lane.workers, detector.max_concurrency, embedder.max_concurrency)
        await work_through(len(photos), work, at_once=at_once)
    except BaseException:
        for result in results.values():
            _erase(result)
        raise
    ordered = [results[number] for number in range(len(photos))]
    enrolled = [result for result in ordered if isinstance(result, Enrolled)]
    rejected = [result for result in ordered if isinstance(result, Rejected)]
    watchlist = Watchlist(
        enrolled,
        rejected,
        digest=embedder.digest,
        dimension=embedder.dimension,
        offered=[photo.person for photo in photos],
    )
    if photos and not len(watchlist):
        reasons = "; ".join(f"{one.photo}: {one.reason}" for one in watchlist.rejected[:5])
        raise EnrolmentError(f"nobody could be enrolled, all {len(photos)} photographs were rejected: {reasons}")
    return watchlist


def _enrol_one(
    photo: Photo, reader: CameraPlugin, detector: Detector, embedder: Embedder, gates: Gates
) -> Enrolled | Rejected:
    name = photo.path.name if photo.person == photo.path.stem else f"{photo.person}/{photo.path.name}"
    found = examine(read_photograph(photo.path, reader), detector, embedder, gates)
    if isinstance(found, Unfit):
        is_counted = found.code in {"no_face", "several_faces"}
        return Rejected(photo=name, reason=found.text if is_counted else f"{found.code}: {found.text}")
    return Enrolled(
        person=photo.person,
        photo=name,
        template=Biometric(found.template, is_kept=True),
        portrait=Biometric(found.portrait, is_kept=True),
        quality=found.quality,
    )


def _erase(result: Enrolled | Rejected) -> None:
    if isinstance(result, Enrolled):
        result.template.erase()
        result.portrait.erase()


def read_photograph(path: Path, reader: CameraPlugin) -> Picture:
    """Read one photograph with a camera plugin that takes a `path`.

    Raises:
        EnrolmentError: there was nothing in it.
        Exception: whatever the plugin raises for a file that it cannot read.
    """
    camera = reader.create(msgspec.convert({"path": str(path)}, reader.config))
    try:
        camera.open()
        reading = camera.read()
    except EndOfInput:
        reading = None
    finally:
        camera.close()
    if reading is None:
        raise EnrolmentError(f"watchlist photograph {path}: the reader {reader.name!r} returned nothing")
    return reading.picture
