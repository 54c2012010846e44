"""What a run asks of its vault is answered in time, or the run ends: what cannot be written down may not happen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from lfr_kernel.governance.errors import AuditError
from lfr_kernel.runtime import CallAbandonedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfr_kernel.runtime import Lane

__all__ = ["WRITE_S", "answered"]

T = TypeVar("T")
WRITE_S = 30.0
"""How long the vault may take: longer, and the audit counts as one that cannot be written."""


async def answered(lane: Lane, call: Callable[..., T], *args: Any) -> T:
    """Return what a call returns on the vault's own lane.

    Raises:
        AuditError: it did not within `WRITE_S`.
    """
    try:
        return await lane.run(call, *args, deadline_s=WRITE_S)
    except CallAbandonedError as error:
        raise AuditError(
            f"the vault did not answer within {WRITE_S:g} s, and what cannot be written down may not happen: see what "
            f"holds up its disk, then start again ({error})"
        ) from error
