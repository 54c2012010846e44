"""The sink `jsonl`: alerts in a file, one JSON object a line, each on the disk before it counts as delivered."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import msgspec
import structlog

from lfr_kernel.api import PermanentError
from lfr_plugins.sinks.durable import OWNER_ONLY, beside, explain, make_folder, sync_folder, write_all, write_whole
from lfr_plugins.sinks.wording import fields_of

if TYPE_CHECKING:
    from lfr_kernel.api import Notice, SinkContext
    from lfr_plugins.sinks.config import JsonlConfig

__all__ = ["JsonlSink", "encode"]

_BEGINNING = b'{"type":"Notice",'


class _Line(msgspec.Struct, frozen=True, tag="Notice"):
    """What the sink needs to know of a line that it wrote earlier."""

    id: str
    alerted_at_ns: int


def encode(notice: Notice) -> bytes:
    """Return a notice as one line of JSON; with details the alert's own fields are under `alert`."""
    return msgspec.json.encode(fields_of(notice)) + b"\n"


class JsonlSink:
    """Appends notices to a file. Ids that are in it are not written again, also not by a later run.

    The constructor reads the file, so it belongs on the sink's lane like every blocking call.
    """

    def __init__(self, config: JsonlConfig, context: SinkContext) -> None:
        """Open the file, and repair what a crash left of its last line.

        Raises:
            PermanentError: the path may not be written, or the file holds something that is not an alert.
            PassingError: the disk refuses for now.
        """
        self._path = Path(config.path).expanduser()
        self._context = context
        # A call that was abandoned at its deadline may still run: the next one must not overtake it.
        self._lock = Lock()
        try:
            self._written = self._open()
        except OSError as error:
            raise explain(error, self._path) from error

    async def deliver(self, notice: Notice) -> None:
        """Append one notice; return once the disk has it.

        Raises:
            PassingError: the disk is full or refuses for now; the file still ends in a whole line.
            PermanentError: the path may not be written.
        """
        await self._context.run_blocking(partial(self._append, notice.id, encode(notice)))

    async def expire(self, before_ns: int) -> int:
        """Rewrite the file without the alerts raised before `before_ns`; return how many those were.

        Raises:
            PassingError, PermanentError: as for `deliver`; the file is then as it was.
        """
        destroyed: list[int] = []
        await self._context.run_blocking(lambda: destroyed.append(self._rewrite(before_ns)))
        return destroyed[0]

    async def close(self) -> None:
        """Nothing is held open between alerts."""

    def _open(self) -> set[str]:
        make_folder(self._path.parent)
        if self._path.exists() and not self._path.is_file():
            raise PermanentError(f"{self._path}: expected a regular file to append alerts to; name another path")
        beside(self._path).unlink(missing_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, OWNER_ONLY)
        try:
            self._path.chmod(OWNER_ONLY)
            content = self._path.read_bytes()
            whole = content.rfind(b"\n") + 1
            lines = self._decode(content[:whole])
            if tail := content[whole:]:
                lines += self._repair(handle, tail, whole)
        finally:
            os.close(handle)
        sync_folder(self._path.parent)
        return {line.id for line in lines}

    def _decode(self, content: bytes) -> list[_Line]:
        lines = []
        for number, line in enumerate(content.splitlines(), start=1):
            try:
                lines.append(msgspec.json.decode(line, type=_Line))
            except msgspec.DecodeError as error:
                raise PermanentError(
                    f"{self._path}, line {number}: expected an alert as a JSON object, found something else ({error}); "
                    "move the file away or name another path"
                ) from error
        return lines

    def _repair(self, handle: int, tail: bytes, whole: int) -> list[_Line]:
        """Finish the last line when only its end of line is missing, else cut it off: nobody was told it was there."""
        try:
            lines = [msgspec.json.decode(tail, type=_Line)]
        except msgspec.DecodeError:
            if not (tail.startswith(_BEGINNING) or _BEGINNING.startswith(tail) or not tail.strip(b"\0")):
                self._decode(tail)
            os.ftruncate(handle, whole)
            os.fsync(handle)
            structlog.get_logger().warning("torn_line_cut", file=str(self._path), bytes=len(tail))
            return []
        write_all(handle, b"\n")
        structlog.get_logger().warning("unfinished_line_completed", file=str(self._path))
        return lines

    def _append(self, alert_id: str, line: bytes) -> None:
        with self._lock:
            if alert_id in self._written:
                return
            try:
                self._append_line(line)
            except OSError as error:
                raise explain(error, self._path) from error
            self._written.add(alert_id)

    def _append_line(self, line: bytes) -> None:
        # Opened each time: whoever moved the file away (log rotation) gets a new one.
        is_new = not self._path.exists()
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, OWNER_ONLY)
        try:
            size = os.fstat(handle).st_size
            try:
                write_all(handle, line)
            except OSError:
                os.ftruncate(handle, size)
                raise
        finally:
            os.close(handle)
        if is_new:
            sync_folder(self._path.parent)

    def _rewrite(self, before_ns: int) -> int:
        with self._lock:
            try:
                content = self._path.read_bytes() if self._path.exists() else b""
                lines = self._decode(content)
                old = {line.id for line in lines if line.alerted_at_ns < before_ns}
                if old:
                    raw = zip(content.splitlines(keepends=True), lines, strict=True)
                    write_whole(self._path, b"".join(text for text, line in raw if line.id not in old))
            except OSError as error:
                raise explain(error, self._path) from error
            self._written -= old
            return len(old)
