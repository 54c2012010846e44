"""A shift with alerts: they are raised, delivered to two sinks, and decided on, and each act is acknowledged.

What is acknowledged stands as a line in a file: whoever did it was told that it is done.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from governance.alerts.conftest import OPERATORS
from governance.alerts.support import DISMISSED_WRONG, RIGHT, Duty
from governance.deployment.support import PACK, Site, pack_with
from governance.vaults import PEOPLE, Clocks, Force
from lfr_kernel.governance.alerts.delivery import OutboxHost
from lfr_kernel.governance.alerts.outbox import Outbox
from lfr_kernel.governance.alerts.steps import assess, look, resume
from lfr_kernel.governance.alerts.vocabulary import Reason, Verdict
from lfr_kernel.messages import Biometric
from lfr_kernel.runtime import PassingError, PermanentError
from lfr_kernel.testing import InlineLane, run_actor
from lfr_plugins.sinks.config import JsonlConfig
from lfr_plugins.sinks.jsonl import JsonlSink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from lfr_kernel.governance.alerts.statements import Closed
    from lfr_kernel.messages import Notice
    from lfr_kernel.testing import ActorRun

SINKS = ("file", "hook")
WORKERS = {**PEOPLE, **OPERATORS}
REFUSED = 4
"""The alert that the hook never takes."""
RULES = {"assessors": 2, "on_disagreement": "third-person", "stop_min_false": 2}
ENGAGE, DISMISS = Verdict.ENGAGE, Verdict.DISMISS
ALERTS, ACKNOWLEDGED, HOOK = "alerts.jsonl", "acknowledged", "hook"
PIXELS = np.full((2, 2, 3), 7, np.uint8)


class Hook:
    """Takes requests as a web server does: every request lies in a file of its own, and an id counts once.

    It is busy when every third alert is first delivered, and refuses one for good.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._busy: set[str] = set()

    async def deliver(self, notice: Notice) -> None:
        number = int(notice.id, 16)
        if number == REFUSED:
            raise PermanentError("404")
        if number % 3 == 0 and notice.id not in self._busy:
            self._busy.add(notice.id)
            raise PassingError("503")
        part = self._folder / ".part"
        part.write_bytes(msgspec.json.encode(notice))
        part.replace(self._folder / f"{len(self.received(self._folder)):06d}.json")

    async def expire(self, before_ns: int) -> int:  # noqa: ARG002  (what was posted is the other side's)
        return 0

    async def close(self) -> None:
        """Nothing is held."""

    @staticmethod
    def received(folder: Path) -> list[str]:
        """Return the ids of all requests, in order."""
        return [json.loads(path.read_bytes())["id"] for path in sorted(folder.glob("*.json"))]


class Telling(Outbox):
    """Tells what is written down for good."""

    tell: Callable[..., None]

    def _settle(self, alert: str, state: str, act: str, why: str | None) -> None:
        super()._settle(alert, state, act, why)
        self.tell(state, self._sink, alert)


class Shift:
    """One process with a vault: a run that captures, and people who decide."""

    def __init__(self, folder: Path, minutes: int = 0) -> None:
        """Begin; so many minutes after the installation was founded."""
        force = _force()
        force.clocks.pass_(minutes=minutes)
        self.folder = folder
        self.site = Site(force.open(folder / "vault"), force, folder, WORKERS)
        self.duty = Duty(self.site, RULES)
        assert self.duty.governed.listed is not None
        self.listed = self.duty.governed.listed
        self.keeper = self.duty.governed.keeper(InlineLane(), shorter_s=lambda: self.duty.lives_s, sinks=SINKS)
        self._handle = os.open(folder / ACKNOWLEDGED, os.O_WRONLY | os.O_APPEND)

    @staticmethod
    def found(folder: Path) -> None:
        """Found an installation, with everybody on shift and a deployment that is authorised."""
        force = _force()
        (folder / HOOK).mkdir(parents=True)
        (folder / ACKNOWLEDGED).touch()
        with force.open(force.found(folder / "vault")) as vault:
            site = Site(vault, force, folder, WORKERS)
            site.authorise(site.plan(loaded=pack_with(**RULES)))

    def tell(self, *what: str) -> None:
        """Acknowledge that something is done, in one line."""
        os.write(self._handle, f"{' '.join(what)}\n".encode())

    @contextlib.asynccontextmanager
    async def delivering(self) -> AsyncIterator[list[ActorRun]]:
        """Run the hosts of both sinks."""
        creates = {
            "file": lambda context: JsonlSink(JsonlConfig(path=str(self.folder / ALERTS)), context),
            "hook": lambda _: Hook(self.folder / HOOK),
        }
        async with contextlib.AsyncExitStack() as stack:
            runs = []
            for name in SINKS:
                outbox = Telling(self.duty.governed._vault, self.duty.serial, name)
                outbox.tell = self.tell
                host = OutboxHost(
                    name, creates[name], InlineLane(), evidence=self.keeper.show, outbox=outbox, vault=InlineLane()
                )
                runs.append(await stack.enter_async_context(run_actor(host)))
            yield runs

    async def work(self) -> None:
        """Raise eight alerts, and decide on them in between; too many of them are false."""
        async with self.delivering() as runs:
            found = [await self.propose(runs) for _ in range(5)]
            self.decide(found[0], dee=ENGAGE, dan=ENGAGE)
            self.duty.engage(found[0])
            self.tell("step", found[0], "alert_engaged", "dee")
            self.close(found[0], RIGHT)
            self.decide(found[1], dee=DISMISS, dan=DISMISS)
            self.close(found[1], DISMISSED_WRONG)
            self.decide(found[2], dee=ENGAGE, dan=DISMISS, dot=ENGAGE)
            found.append(await self.propose(runs))
            self.decide(found[5], dan=DISMISS, dot=DISMISS)
            self.close(found[5], DISMISSED_WRONG)
            await self.propose(runs)
            resume(self.site.vault, self.site.signers["eva"], self.duty.serial, reason="reviewed", text=None)
            self.tell("resumed")
            await self.propose(runs)

    async def propose(self, runs: Sequence[ActorRun]) -> str:
        """Raise an alert as the desk does: keep it, and tell the sinks of it then."""
        alert = self.duty.alert()
        is_kept = await self.keeper.keep(alert, Biometric(PIXELS.copy(), is_kept=True), 0)
        self.tell("kept" if is_kept else "withheld", alert.id)
        for run in runs if is_kept else ():
            await run.send(alert)
            await run.settle()
        return alert.id

    def decide(self, alert: str, **verdicts: Verdict) -> None:
        """Have everybody look, and then assess."""
        for name in verdicts:
            look(self.site.vault, alert, self.site.signers[name], reason=Reason.ASSESS)
            self.tell("step", alert, "alert_viewed", name)
        for number, (name, verdict) in enumerate(verdicts.items()):
            assess(self.site.vault, alert, self.site.signers[name], verdict)
            self.tell(
                "step",
                alert,
                "assessment_committed" if number < len(verdicts) - (len(verdicts) > 2) else "alert_assessed",
                name,
            )

    def close(self, alert: str, body: Closed) -> None:
        self.duty.close(alert, body)
        self.tell("step", alert, "alert_closed", "dee")


def _force() -> Force:
    return Force(WORKERS, [PACK], Clocks())
