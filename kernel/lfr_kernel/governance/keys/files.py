"""Files that are whole or not there, secrets that only their owner can read, and files that are really gone."""

from __future__ import annotations

import contextlib
import glob
import os
import stat
from typing import IO, TYPE_CHECKING

from lfr_kernel.governance.errors import KeyFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "clear_left_over",
    "destroy_file",
    "is_destroyed",
    "read_secret",
    "replace_secret",
    "sync_folder",
    "write_whole",
    "writing_whole",
]

OTHERS = stat.S_IRWXG | stat.S_IRWXO
BLOCK = 1 << 20


def write_whole(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file beside `path`, sync it, and rename it: after a crash there is the old one or the new one.

    Args:
        path: in a folder that exists.
        data: all of it.
        mode: of the file; only the owner may read it unless said otherwise.
    """
    with writing_whole(path, mode=mode) as file:
        file.write(data)


@contextlib.contextmanager
def writing_whole(path: Path, *, mode: int = 0o600) -> Iterator[IO[bytes]]:
    """Give a file to write to, which takes the place of `path` when the block ends; see `write_whole`."""
    clear_left_over(path.parent, path.name)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:  # noqa: PTH123
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    sync_folder(path.parent)


def replace_secret(path: Path, data: bytes) -> None:
    """Write a secret as `write_whole` does, and overwrite the one before, if there was one."""
    with contextlib.ExitStack() as stack:
        before = stack.enter_context(path.open("r+b")) if path.exists() else None
        write_whole(path, data)
        if before is not None:
            _zero(before)


def clear_left_over(folder: Path, name: str | None = None) -> None:
    """Destroy what processes that died while they wrote a file left beside it: `.NAME.PID.tmp`, after their number.

    Nothing is touched that is of a process that lives, or whose number another one has by now, or of somebody else.

    Args:
        folder: where; it need not be there.
        name: of the file; None: of any.
    """
    if os.name != "posix":  # elsewhere nobody can ask whether a process lives and do it no harm
        return
    for beside in folder.glob(f".{'*' if name is None else glob.escape(name)}.*.tmp"):
        number = beside.name.split(".")[-2]
        # A link may lead anywhere, in a folder that others can write to.
        is_draft = number.isdecimal() and beside.is_file() and not beside.is_symlink()
        if is_draft and not _lives(int(number)) and os.access(beside, os.W_OK):
            _overwrite(beside)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Make sure that what was renamed or removed in a folder stays so after a loss of power."""
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def read_secret(path: Path) -> bytes:
    """Read a key file.

    Raises:
        KeyFileError: it is missing, was destroyed, cannot be read, or others can read it.
    """
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}; expected a file that you can read") from None
    if os.name == "posix" and mode & OTHERS:
        raise KeyFileError(
            f"key file {path} can be read by others (mode {stat.S_IMODE(mode):04o}, expected 0600): whoever read it "
            f"holds the key; if nobody has, run chmod 600 {path}"
        )
    if is_destroyed(data):
        raise KeyFileError(f"key file {path} was destroyed: nothing but zeros is left of it")
    return data


def is_destroyed(data: bytes) -> bool:
    """Return whether this is what `destroy_file` leaves of a secret when it is broken off."""
    return not data.strip(b"\0")


def destroy_file(path: Path) -> bool:
    """Overwrite a file, sync it, and remove it; return whether it was there.

    So with what a crash in `write_whole` left beside it: that may be a copy of the same secret.

    What cannot be overwritten is removed all the same.

    On flash and on file systems that copy on write the old blocks may outlive this: what must be gone is therefore
    kept encrypted, and its key small enough for a store that really forgets.

    Raises:
        KeyFileError: it could not be overwritten before it was removed, or not be removed.
    """
    failure: KeyFileError | None = None
    was_there = False
    for one in (*path.parent.glob(f".{glob.escape(path.name)}.*.tmp"), path):
        try:
            was_there = _overwrite(one)
        except KeyFileError as error:
            was_there, failure = True, failure or error
    if was_there:
        sync_folder(path.parent)
    if failure is not None:
        raise failure
    return was_there


def _overwrite(path: Path) -> bool:
    try:
        with path.open("r+b") as file:
            _zero(file)
    except FileNotFoundError:
        return False
    except OSError as error:
        _remove(path)
        raise KeyFileError(
            f"{path} was removed, but could not be overwritten before: {error.strerror}; overwrite the free space of "
            "its disk"
        ) from error
    _remove(path)
    return True


def _zero(file: IO[bytes]) -> None:
    left = os.fstat(file.fileno()).st_size
    while left > 0:
        left -= file.write(bytes(min(left, BLOCK)))
    file.flush()
    os.fsync(file.fileno())


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise KeyFileError(f"{path} could not be removed: {error.strerror}; remove it yourself") from error
