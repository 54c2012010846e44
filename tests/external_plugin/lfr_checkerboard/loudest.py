"""An alert sink: one file with the alert of the highest similarity so far. It needs details."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lfr_kernel.api import PermanentError

if TYPE_CHECKING:
    from lfr_checkerboard.config import LoudestConfig
    from lfr_kernel.api import Alert, Notice, SinkContext

__all__ = ["Loudest"]


class Loudest:
    """See `lfr_kernel.api.AlertSink`. Delivering an alert twice writes the same file twice."""

    def __init__(self, config: LoudestConfig, context: SinkContext) -> None:
        if not context.details:
            raise PermanentError("the sink loudest compares similarities: set details = true for it in the profile")
        self._path = Path(config.path)
        self._run_blocking = context.run_blocking
        self._kept: Alert | None = None

    async def deliver(self, notice: Notice) -> None:
        """Write the alert unless a higher one is there. An OSError is tried again by the outbox."""
        alert = notice.alert
        if alert is None:
            return
        if self._kept is None or alert.similarity >= self._kept.similarity:
            await self._run_blocking(partial(self._write, alert))
            self._kept = alert

    def _write(self, alert: Alert) -> None:
        facts = {"id": alert.id, "person": alert.person, "similarity": alert.similarity, "camera": alert.camera}
        draft = self._path.with_suffix(".part")
        draft.write_bytes(msgspec.json.encode(facts))
        draft.replace(self._path)

    async def expire(self, before_ns: int) -> int:
        """Delete the file if its alert is from before `before_ns` (UTC)."""
        if self._kept is None or self._kept.alerted_at_ns >= before_ns:
            return 0
        await self._run_blocking(partial(self._path.unlink, missing_ok=True))
        self._kept = None
        return 1

    async def close(self) -> None:
        """Nothing is open."""
