"""The sink `pictures`: one PNG an alert, with both photographs side by side, for a person to decide by.

With a recipient it is sealed to that key before it is written: `ALERT.png.sealed`, which this machine cannot open.
"""

from __future__ import annotations

import re
import struct
import unicodedata
import zlib
from functools import partial
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import cv2
import msgspec

from lfr_kernel.api import LfrError, PermanentError, header_of, recipient_of, seal_for
from lfr_plugins.sinks.comparison import draw
from lfr_plugins.sinks.durable import beside, explain, make_folder, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfr_kernel.api import Alert, Evidence, Notice, SinkContext
    from lfr_plugins.sinks.config import PicturesConfig

__all__ = ["PURPOSE", "PicturesSink", "Stamp", "file_name", "read_stamp", "sealed_name"]

PURPOSE = "alert-picture"
"""What pictures are sealed as."""
SEALED = ".png.sealed"

_KEYWORD = b"lfr-kernel\0"
_HEADER_BYTES = 33
"""Signature (8) and IHDR chunk (25) of a PNG: text may follow right behind (PNG specification, 3rd edition, 5.6)."""
_LONGEST = 48
_SEALED_HEAD = 4096
"""Bytes of a sealed picture that say when its alert was raised."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_.]+")


class Stamp(msgspec.Struct, frozen=True):
    """What a picture says about itself inside the file, where copying and renaming cannot change it."""

    alert: str
    alerted_at_ns: int


def file_name(alert: Alert) -> str:
    """Return `<camera>-<person>-<id>.png` in letters, digits, dots and dashes that every file system takes."""
    return f"{_safe(alert.camera) or 'camera'}-{_safe(alert.person) or 'person'}-{_safe_id(alert.id)}.png"


def sealed_name(alert: Alert) -> str:
    """Return `<id>.png.sealed`: whoever cannot open a picture learns no name from it."""
    return f"{_safe_id(alert.id)}{SEALED}"


def _safe_id(alert_id: str) -> str:
    name = _safe(alert_id)
    return name if name == alert_id else f"{name}-{blake2b(alert_id.encode(), digest_size=4).hexdigest()}"


def _safe(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _UNSAFE.sub("-", plain)[:_LONGEST].strip("-.")


def stamped(png: bytes, stamp: Stamp) -> bytes:
    """Return a PNG with `stamp` as a text chunk behind its header."""
    body = b"tEXt" + _KEYWORD + msgspec.json.encode(stamp)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:_HEADER_BYTES] + chunk + png[_HEADER_BYTES:]


def read_stamp(path: Path) -> Stamp | None:
    """Return the stamp of a picture that this sink wrote, sealed or not; None for any other file. Raises OSError."""
    if path.name.endswith(SEALED):
        return _sealed_stamp(path)
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES + 8 + 512)
    (length,) = struct.unpack(">I", head[_HEADER_BYTES : _HEADER_BYTES + 4].rjust(4, b"\0"))
    body = head[_HEADER_BYTES + 4 : _HEADER_BYTES + 8 + length]
    if not body.startswith(b"tEXt" + _KEYWORD):
        return None
    try:
        return msgspec.json.decode(body[4 + len(_KEYWORD) :], type=Stamp)
    except msgspec.DecodeError:
        return None


def _sealed_stamp(path: Path) -> Stamp | None:
    with path.open("rb") as file:
        head = file.read(_SEALED_HEAD)
    try:
        header = header_of(head)
        return msgspec.convert(header.about, Stamp) if header.purpose == PURPOSE else None
    except (LfrError, msgspec.ValidationError):
        return None


class PicturesSink:
    """Draws a comparison for each alert into a folder. The constructor reads the folder: it belongs on a lane."""

    def __init__(self, config: PicturesConfig, context: SinkContext) -> None:
        """Make the folder, and clear away drafts that a crash left.

        Raises:
            PermanentError: the profile keeps pictures from this sink, the recipient's key is none, or the folder may
                not be written.
            PassingError: the disk refuses for now.
        """
        if not context.pictures:
            raise PermanentError(
                "the sink pictures draws faces and may not see any: set details = true and evidence = true for this "
                "sink in the profile"
            )
        self._recipient = recipient_of(config.recipient) if config.recipient is not None else None
        self._folder = Path(config.folder).expanduser()
        self._context = context
        self._lock = Lock()
        try:
            make_folder(self._folder)
            for pattern in ("*.png", f"*{SEALED}"):
                for draft in self._folder.glob(beside(Path(pattern)).name):
                    draft.unlink(missing_ok=True)
        except OSError as error:
            raise explain(error, self._folder) from error

    async def deliver(self, notice: Notice) -> None:
        """Draw and write one picture, unless it is there; return once the disk has it.

        Raises:
            PermanentError: the pictures have been erased, or the folder may not be written.
            PassingError: the disk is full or refuses for now.
        """
        alert = notice.alert
        if alert is None:
            raise PermanentError(f"alert {notice.id} came without details: there is nothing to draw")
        path = self._folder / (file_name(alert) if self._recipient is None else sealed_name(alert))
        is_there: list[bool] = []
        await self._context.run_blocking(lambda: is_there.append(path.exists()))
        if is_there[0]:
            return
        try:
            evidence = self._context.evidence(alert.evidence)
        except KeyError as error:
            raise PermanentError(
                f"the pictures of alert {alert.id} have been erased already; it cannot be drawn any more"
            ) from error
        await self._context.run_blocking(partial(self._write, path, alert, evidence))

    async def expire(self, before_ns: int) -> int:
        """Delete the pictures of alerts raised before `before_ns`; return how many. Other files are left alone.

        Raises:
            PassingError, PermanentError: one of them cannot be read or deleted.
        """
        destroyed: list[int] = []
        await self._context.run_blocking(lambda: destroyed.append(self._delete(before_ns)))
        return destroyed[0]

    async def close(self) -> None:
        """Nothing is held open between alerts."""

    def _write(self, path: Path, alert: Alert, evidence: Evidence) -> None:
        drawn = draw(alert, evidence)
        encoded, png = cv2.imencode(".png", drawn[..., ::-1])
        if not encoded:
            raise PermanentError(f"{path}: the picture of alert {alert.id} cannot be encoded as PNG")
        stamp = Stamp(alert=alert.id, alerted_at_ns=alert.alerted_at_ns)
        content = stamped(png.tobytes(), stamp)
        if self._recipient is not None:
            content = seal_for(self._recipient, PURPOSE, content, msgspec.structs.asdict(stamp))
        with self._lock:
            try:
                make_folder(self._folder)
                write_whole(path, content)
            except OSError as error:
                raise explain(error, path) from error

    def _delete(self, before_ns: int) -> int:
        count = 0
        with self._lock:
            try:
                for path in self._kept():
                    stamp = read_stamp(path)
                    if stamp is not None and stamp.alerted_at_ns < before_ns:
                        path.unlink(missing_ok=True)
                        count += 1
            except OSError as error:
                raise explain(error, self._folder) from error
        return count

    def _kept(self) -> Iterator[Path]:
        """Yield what may be a picture of this sink: both kinds, since a recipient may have been set later."""
        for pattern in ("*.png", f"*{SEALED}"):
            yield from sorted(self._folder.glob(pattern))
