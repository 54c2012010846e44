"""What this process leaves behind in memory and on disk, as far as C library and operating system let it say."""

from __future__ import annotations

import ctypes
import importlib
import sys
from pathlib import Path

__all__ = ["harden", "limit_arenas", "swap_problems"]

M_ARENA_MAX = -8
ARENAS = 2
M_PERTURB = -6
PERTURBED = 0xA5
"""What freed memory is filled with; any byte but 0 turns filling on, and one that is no plausible pixel shows up."""
PR_SET_DUMPABLE = 4

_NOT_SECRET = ("CRYPT-VERITY-", "CRYPT-INTEGRITY-")
"""Targets of the device mapper that check data and do not encrypt it."""


def limit_arenas() -> None:
    """Let all threads share two heaps.

    glibc gives each of the first threads a heap of its own, and memory that was freed in one is of no use to the
    others: with a lane for every camera and store that is some 25 MB of nothing. See mallopt(3), M_ARENA_MAX. Other C
    libraries have no such thing, and are left alone.
    """
    _mallopt(M_ARENA_MAX, ARENAS)


def harden() -> tuple[str, ...]:
    """Let freed memory be overwritten, and let no core dump be written. For the whole process, from now on.

    With glibc, free() fills what it takes back (mallopt(3), M_PERTURB): it catches what has no owner that would
    overwrite it, such as a buffer in the middle of a resize. Chunks of up to 1032 bytes escape it, since they go to
    the thread's own cache first; templates are of that size, so their owners overwrite them. Without core dumps
    (prctl(2), PR_SET_DUMPABLE) only root can read the memory of this process, debuggers and its own user cannot.

    Returns:
        What could not be had here, a sentence each; empty on Linux with glibc.
    """
    missing = []
    if not _mallopt(M_PERTURB, PERTURBED):
        missing.append(
            "this C library does not overwrite what is freed: templates and crops are overwritten by their owners, "
            "copies that other libraries made on the way are not (glibc on Linux does it)"
        )
    if not _forbid_dumps():
        missing.append(
            "this process cannot turn its core dumps off here: turn them off for its account in the settings of the "
            "system"
        )
    return tuple(missing)


def _mallopt(parameter: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    # Others have mallopt and ignore it; only glibc has this one.
    if not hasattr(libc, "gnu_get_libc_version"):
        return False
    return bool(libc.mallopt(parameter, value))


def _forbid_dumps() -> bool:
    if sys.platform != "linux":
        return _limit_dumps()
    return bool(ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)


def _limit_dumps() -> bool:
    try:
        resource = importlib.import_module("resource")
    except ImportError:
        return False
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return True


def swap_problems(root: Path = Path("/")) -> tuple[str, ...]:
    """Say how faces could come to lie on a disk because the system puts memory there.

    Swap in compressed memory (zram) or on dm-crypt is no problem, with other device mapper targets such as LVM in
    between or not. Anything else is one, a swap file too: what lies under it cannot be seen from here.

    Args:
        root: of the file system that holds `proc`, `sys` and `dev`.

    Returns:
        A sentence for each problem, with what to do; empty when there is none.
    """
    try:
        lines = (root / "proc/swaps").read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    except OSError as error:
        where = f"{root / 'proc/swaps'} cannot be read ({error.strerror})"
        return (f"whether there is unencrypted swap cannot be seen: {where}; only Linux shows it",)
    areas = [tuple(line.split()[:2]) for line in lines if line.strip()]
    on_disk = [(_unescaped(name), kind) for name, kind in areas if not name.startswith("/dev/zram")]
    problems = [problem for name, kind in on_disk if (problem := _swap_problem(root, name, kind))]
    if on_disk and _may_hibernate(root):
        problems.append(
            "this machine can hibernate, which writes all of its memory to swap; forbid it (systemctl mask "
            "hibernate.target hybrid-sleep.target suspend-then-hibernate.target, and nohibernate on the kernel's "
            "command line), or turn swap off (swapoff -a)"
        )
    return tuple(problems)


def _swap_problem(root: Path, name: str, kind: str) -> str | None:
    what_to_do = "turn it off (swapoff -a), or put swap on dm-crypt with a random key, or on zram"
    if kind == "file":
        return f"swap file {name} cannot be seen to be encrypted; {what_to_do}"
    device = _mapped(root, name)
    if device is not None and _is_encrypted(root / "sys/block", device):
        return None
    return f"swap on {name} is not encrypted; {what_to_do}"


def _mapped(root: Path, name: str) -> str | None:
    """Return the kernel's name (dm-N) of a device of the device mapper, None for any other."""
    device = name.removeprefix("/dev/")
    if device.startswith("dm-"):
        return device
    for block in sorted((root / "sys/block").glob("dm-*")):
        if device == f"mapper/{_read(block / 'dm/name')}":
            return block.name
    return None


def _is_encrypted(blocks: Path, device: str) -> bool:
    uuid = _read(blocks / device / "dm/uuid")
    if uuid.startswith("CRYPT-") and not uuid.startswith(_NOT_SECRET):
        return True
    slaves = sorted((blocks / device / "slaves").glob("*"))
    return bool(slaves) and all(_is_encrypted(blocks, slave.name) for slave in slaves)


def _may_hibernate(root: Path) -> bool:
    is_offered = "disk" in _read(root / "sys/power/state").split()
    return is_offered and _read(root / "sys/power/disk") != "[disabled]"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _unescaped(name: str) -> str:
    r"""Return a path as /proc writes it, with blanks as \040 and the like, as it is."""
    parts = name.split("\\")
    return parts[0] + "".join(chr(int(part[:3], 8)) + part[3:] for part in parts[1:])
