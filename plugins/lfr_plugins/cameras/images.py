"""A camera over still pictures, and the way listed photographs are read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from lfr_kernel.api import EndOfInput, PermanentError, Reading
from lfr_plugins.cameras.picture import RgbPicture

if TYPE_CHECKING:
    from lfr_kernel.api import Pace
    from lfr_plugins.cameras.config import ImagesConfig

__all__ = ["IMAGE_SUFFIXES", "ImagesCamera", "read_picture"]

IMAGE_SUFFIXES: Final = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_FORMATS: Final = "JPEG, PNG, WebP, BMP or TIFF"
_NS_PER_S: Final = 1_000_000_000


class ImagesCamera:
    """Shows a picture, or the pictures of a folder by name, each once.

    The pictures are read one at a time, when they are asked for.
    """

    pace: Pace = "unpaced"

    def __init__(self, config: ImagesConfig) -> None:
        self._path = Path(config.path)
        with suppress(RuntimeError):  # there is no such user: the path will be missing, and the message says which
            self._path = self._path.expanduser()
        self._spacing_ns = round(config.seconds * _NS_PER_S)
        self._pictures: list[Path] = []
        self._shown = 0

    def open(self) -> None:
        """List the pictures.

        Raises:
            PermanentError: there is no such file or folder, it may not be read, or the folder holds no picture.
        """
        self._pictures, self._shown = _listed(self._path), 0

    def read(self) -> Reading:
        """Return the next picture.

        Raises:
            EndOfInput: every picture was shown.
            PermanentError: the next one cannot be read; the text names it.
        """
        if self._shown == len(self._pictures):
            raise EndOfInput
        picture = read_picture(self._pictures[self._shown])
        reading = Reading(picture=picture, position_ns=self._shown * self._spacing_ns)
        self._shown += 1
        return reading

    def close(self) -> None:
        """Forget the list; nothing is held open."""
        self._pictures, self._shown = [], 0


def read_picture(path: Path) -> RgbPicture:
    """Read one still, upright by its EXIF orientation; transparency is dropped, 16 bits become 8.

    Raises:
        PermanentError: it is missing, may not be read, is empty, truncated or no picture. The text names it.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise PermanentError(f"picture {path} cannot be read: {_reason(error)}") from error
    if not data:
        raise PermanentError(f"picture {path} is empty (0 bytes); expected {_FORMATS}")
    if _is_jpeg_cut_short(data):
        raise PermanentError(f"picture {path} cannot be decoded: it is truncated; copy it again")
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise PermanentError(f"picture {path} cannot be decoded: {error.err or error}") from error
    if decoded is None:
        raise PermanentError(f"picture {path} cannot be decoded: it is damaged, truncated, or not {_FORMATS}")
    pixels = np.empty(decoded.shape, np.uint8)
    cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB, dst=pixels)
    return RgbPicture(pixels)


def _is_jpeg_cut_short(data: bytes) -> bool:
    """Say whether a JPEG has no end-of-image marker after its first scan; OpenCV 4 fills the rest with grey.

    ITU-T T.81, annex B: segments with their length, then entropy-coded data in which 0xFF is escaped. What comes
    before may hold a thumbnail with an end of its own.
    """
    at = 2
    while data[:2] == b"\xff\xd8" and data[at : at + 1] == b"\xff":
        if data[at + 1 : at + 2] == b"\xda":
            return b"\xff\xd9" not in data[at:]
        is_padding = data[at + 1 : at + 2] == b"\xff"
        at += 1 if is_padding else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _listed(path: Path) -> list[Path]:
    try:
        if not path.is_dir():
            path.stat()
            return [path]
        found = sorted(one for one in path.iterdir() if one.suffix.lower() in IMAGE_SUFFIXES and one.is_file())
    except (OSError, ValueError) as error:
        raise PermanentError(f"pictures at {path} cannot be read: {_reason(error)}") from error
    if not found:
        raise PermanentError(
            f"folder {path} holds no picture; expected files ending in {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return found


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file or folder"
    if isinstance(error, PermissionError):
        return "permission denied; let the account that runs this read it"
    return str(getattr(error, "strerror", None) or error)
