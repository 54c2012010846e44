"""The anchor sink `file`: one line an anchor, appended and synced, each line once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lfr_kernel.api import PassingError

if TYPE_CHECKING:
    from lfr_plugins.anchors.config import FileAnchorConfig

__all__ = ["FileAnchors"]


class FileAnchors:
    """Appends to a file in a folder that exists: a medium that was not mounted is not replaced by a folder."""

    def __init__(self, config: FileAnchorConfig) -> None:
        self._path = Path(config.path).expanduser()

    def deliver(self, line: str) -> None:
        """Append a line, unless it is there; return once the medium has it.

        Raises:
            PassingError: the medium is not there, full, or refuses.
        """
        try:
            self._append(line.encode())
        except OSError as error:
            raise PassingError(
                f"{self._path}: the anchor was not taken ({error.strerror}); is the medium there, and can it be "
                "written?"
            ) from error

    def _append(self, line: bytes) -> None:
        is_new = not self._path.exists()
        with self._path.open("a+b") as file:
            file.seek(0)
            there = file.read()
            if line in there.split(b"\n")[:-1]:
                return
            # What a crash or a stick pulled out too early left of a line stays, on a line of its own.
            file.write(b"\n" * bool(there and not there.endswith(b"\n")) + line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if is_new and os.name == "posix":
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
