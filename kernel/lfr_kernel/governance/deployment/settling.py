"""What is done on a vault before anything else, by whoever opens it: what is too old goes, and what is over ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from lfr_kernel.governance.deployment.wiping import settle
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.retention import retain

if TYPE_CHECKING:
    from lfr_kernel.governance.instant import Instant
    from lfr_kernel.governance.vault import Vault

__all__ = ["is_taken", "lock_of", "settle_all", "settle_unless_running"]

LOCK = "running.lock"


def lock_of(vault: Vault) -> FileLock:
    """Return the lock that a running kernel holds on a vault: who holds it ends and wipes what is open there."""
    return FileLock(vault.folder / LOCK, blocking=False, mode=0o600, thread_local=False)


def settle_all(vault: Vault, *, but: int | None = None, last: Instant | None = None) -> list[int]:
    """Destroy what is too old, end what is over, and finish every purge and wipe; return what was closed.

    Takes and raises as `settle` does. What is too old comes first, and whatever stands in its way keeps no key of a
    deployment that is over.
    """
    try:
        retain(vault, last=last)
    finally:
        closed = settle(vault, but=but, last=last)
    return closed


def settle_unless_running(vault: Vault) -> list[int]:
    """Do what `settle_all` does, unless a kernel runs on this vault: then that does.

    Raises:
        RefusedError: whether one runs cannot be told.
    """
    lock = lock_of(vault)
    if not is_taken(lock, wait_s=0):
        return []
    try:
        return settle_all(vault)
    finally:
        lock.release()


def is_taken(lock: FileLock, *, wait_s: float) -> bool:
    """Take a lock; return whether it is this process's now.

    Args:
        lock: see `lock_of`.
        wait_s: how long to wait for whoever has it.

    Raises:
        RefusedError: it cannot be told.
    """
    try:
        lock.acquire(timeout=wait_s, blocking=True)
    except Timeout:
        return False
    except OSError as error:
        raise RefusedError(
            f"{lock.lock_file}: {error.strerror}; expected a file that this account can write: another account, such "
            "as root by sudo, may have made it; give it to this one (chown), then do this again"
        ) from error
    return True
