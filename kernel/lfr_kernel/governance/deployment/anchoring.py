"""Lets anchors leave the machine while a deployment runs, on a lane of its own: a hung sink holds nothing up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfr_kernel.runtime import Actor, PassingError, describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfr_kernel.governance.deployment.governed import Governed
    from lfr_kernel.runtime import Lane

__all__ = ["AnchorHost"]

LOOK_S = 5.0
DELIVER_S = 30.0


class AnchorHost(Actor):
    """Hands what lies in the outbox to every sink of anchors, and tries again what one of them did not take."""

    tick_s = LOOK_S

    def __init__(self, governed: Governed, lane: Lane, *, log: Callable[..., None]) -> None:
        super().__init__("anchors")
        self._governed = governed
        self._lane = lane
        self._log = log
        self._told: list[str] = []

    async def tick(self) -> None:
        """Deliver. A sink that fails, or hangs, is tried again at the next look."""
        try:
            problems = await self._lane.run(self._governed.deliver, deadline_s=DELIVER_S)
        except PassingError as error:
            problems = [describe(error)]
        if problems != self._told:
            for problem in problems:
                self._log("anchor_not_delivered", problem=problem)
        self._told = problems
