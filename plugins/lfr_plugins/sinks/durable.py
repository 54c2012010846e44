"""Files that survive a crash whole, readable by their owner only, and what to say when the disk refuses."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from lfr_kernel.api import LfrError, PassingError, PermanentError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["OWNER_ONLY", "beside", "explain", "make_folder", "sync_folder", "write_all", "write_whole"]

OWNER_ONLY = 0o600
"""The mode of every file that a sink writes."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {
    errno.EACCES,
    errno.EPERM,
    errno.EEXIST,
    errno.EROFS,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}


def explain(error: OSError, path: Path) -> LfrError:
    """Return what a sink raises for `error`: passing when waiting may help, permanent when only a person can."""
    why = error.strerror or str(error)
    if error.errno in _FULL:
        return PassingError(f"{path}: no space left ({why}); free some, it is tried again")
    if error.errno in _REFUSED:
        return PermanentError(f"{path}: may not be written ({why}); give this user the right to, or name another path")
    return PassingError(f"{path}: could not be written ({why}); it is tried again")


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; those that are new are for their owner only. Raises OSError."""
    if not folder.is_dir():
        if not folder.parent.is_dir():
            make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def beside(path: Path) -> Path:
    """Return the name under which `write_whole` writes before it renames."""
    return path.with_name(f".{path.name}.part")


def write_whole(path: Path, data: bytes) -> None:
    """Write beside `path`, then rename: after a crash there is the old file or the new one, never a part. OSError."""
    draft = beside(path)
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
        try:
            write_all(handle, data)
        finally:
            os.close(handle)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_all(handle: int, data: bytes) -> None:
    """Write everything to a file descriptor and wait until the disk has it. Raises OSError."""
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]
    os.fsync(handle)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has a folder's entries. Raises OSError. Does nothing where folders cannot be opened."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
