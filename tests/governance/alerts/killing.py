"""Kills processes in the middle of a shift with alerts, and says what was found after each death.

Run by test_sudden_death_of_alerts.py. A dry run counts what is written to the disk; then a process that does the same
kills itself, with SIGKILL, before, in or after one of those writes. Another looks at what is there, and goes on.

A script of its own, since `os.fork` wants a process without threads, which a test run is not.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import traceback
from collections import Counter
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import anyio

from governance.alerts.shift import ACKNOWLEDGED, ALERTS, HOOK, PIXELS, REFUSED, SINKS, Hook, Shift
from governance.deaths import try_each
from governance.sudden import Death
from lfr_kernel.governance.alerts.statements import Closed
from lfr_kernel.governance.alerts.states import case_of
from lfr_kernel.governance.alerts.steps import look
from lfr_kernel.governance.alerts.store import listed, pictures_of, proposal_of, steps_of
from lfr_kernel.governance.alerts.vocabulary import Reason, Truth
from lfr_kernel.governance.audit import opening
from lfr_kernel.testing.fakes import an_alert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lfr_kernel.governance.alerts.store import Kept

AT_ONCE = 2
PATIENCE_S = 30
STEPS = {"alert_viewed", "assessment_committed", "alert_assessed", "alert_engaged", "alert_closed"}
"""The acts that are a step of deciding."""
SETTLED = {"alert_delivered": "delivered", "alert_undeliverable": "dead"}
"""The acts that end a delivery, and what its row says then."""


class AnyDeath(Death):
    """Dies at whatever is written, also at what is not committed yet, and in the middle of a line."""

    OPERATIONS: ClassVar[Sequence[str]] = (*Death.OPERATIONS, "write")
    STATEMENTS: ClassVar[tuple[str, ...]] = (*Death.STATEMENTS, "INSERT", "UPDATE", "DELETE")

    def lurk(self) -> None:
        self._write = os.write
        super().lurk()

    def _watched(self, operation: Callable[..., Any], *, tears: bool = False) -> Callable[..., Any]:
        return super()._watched(operation, tears=tears or operation is self._write)

    def _tear(self, handle: int, data: bytes | None = None) -> None:
        if data is None:
            super()._tear(handle)
        else:
            self._write(handle, data[: int(len(data) * self._torn)])


class Examined:
    """What is there after a death, against what was acknowledged before it."""

    def __init__(self, folder: Path) -> None:
        whole = (folder / ACKNOWLEDGED).read_text(encoding="utf-8").rpartition("\n")[0]
        self.told = [tuple(line.split()) for line in whole.splitlines()]
        self.folder = folder
        self.requests = Hook.received(folder / HOOK)
        self.shift = Shift(folder, minutes=1)
        self.vault = self.shift.site.vault
        self.alerts = {one.id: one for one in listed(self.vault.database)}
        self.entries = self.shift.site.acts()

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with what the dead process has left."""
        self.shift.site.expect_chain()
        found = [*self._kept(), *self._steps(), *self._settled()]
        found += [("resumed",) for _ in self._acts("alerts_resumed")]
        told = Counter(one for one in self.told if one[0] != "withheld")
        if lost := told - Counter(found):
            yield f"acknowledged, and lost: {dict(lost)}"
        # Somebody was still to be told of the one act that was under way.
        if (Counter(found) - told).total() > 1:
            yield f"done, and never acknowledged: {dict(Counter(found) - told)}"
        yield from self._half_kept()
        yield from self._half_decided()
        yield from self._half_delivered()

    def _acts(self, *names: str) -> list[dict[str, Any]]:
        return [one for one in self.entries if one["act"] in names]

    def _kept(self) -> list[tuple[str, ...]]:
        return [("kept", alert) for alert in self.alerts]

    def _steps(self) -> list[tuple[str, ...]]:
        acts = {one["n"]: one["act"] for one in self.entries}
        return [
            ("step", alert, acts[step.entry], step.by.removeprefix("person "))
            for alert, kept in self.alerts.items()
            for step in steps_of(self.vault, kept)
        ]

    def _settled(self) -> list[tuple[str, ...]]:
        return [
            (state, sink, alert)
            for alert, sink, state in self.vault.database.query("SELECT alert, sink, state FROM deliveries")
            if state != "waiting"
        ]

    def _half_kept(self) -> Iterator[str]:
        raised = [one["facts"]["alert"] for one in self._acts("alert_raised")]
        if sorted(raised) != sorted(self.alerts):
            yield f"the chain has {raised}, the table {sorted(self.alerts)}"
        rows = self.vault.database.query("SELECT alert, sink FROM deliveries")
        if sorted(rows) != sorted((alert, sink) for alert in self.alerts for sink in SINKS):
            yield f"deliveries {rows} of alerts {sorted(self.alerts)}"
        ((pictures,),) = self.vault.database.query("SELECT count(*) FROM pictures")
        if pictures != len(self.alerts):
            yield f"{pictures} pictures of {len(self.alerts)} alerts"
        yield from (f"{one} cannot be decided on" for one, kept in self.alerts.items() if not self._is_whole(kept))

    def _is_whole(self, kept: Kept) -> bool:
        proposal, pictures = proposal_of(self.vault, kept), pictures_of(self.vault, kept)
        row = self.shift.listed.shown(0)
        return (
            pictures is not None
            and (pictures.probe, pictures.listed) == (PIXELS.tobytes(), row.portrait)
            and proposal.alert.person == an_alert(int(kept.id, 16)).person
            and proposal.about == row.about
        )

    def _half_decided(self) -> Iterator[str]:
        handling = self.shift.site.deployment().authorisation.handling
        cases = {alert: case_of(steps_of(self.vault, kept), handling) for alert, kept in self.alerts.items()}
        for alert, case in cases.items():
            if self.alerts[alert].state is not case.state:
                yield f"{alert} is {self.alerts[alert].state} by its row, and {case.state} by what people signed"
        rows = {number for (number,) in self.vault.database.query("SELECT entry FROM steps")}
        if rows != (signed := {one["n"] for one in self._acts(*STEPS)}):
            yield f"steps {rows}, and signed entries {signed}"
        for opened in self._acts("assessments_revealed"):
            if len(opened["facts"]["of"]) != 2:
                yield f"revealed: {opened['facts']}"
        deployment = self.shift.site.deployment()
        closed = [case.closing.body for case in cases.values() if case.closing]
        false = sum(isinstance(one, Closed) and one.truth is Truth.FALSE for one in closed)
        turns = [one["act"] for one in self._acts("alerts_suspended", "alerts_resumed")]
        if deployment.false != false or (false >= 2) != bool(turns):
            yield f"{deployment.false} false alerts by the register, {false} by what people signed; {turns}"
        if any(one == other for one, other in pairwise(turns)):
            yield f"suspended or resumed twice over: {turns}"

    def _half_delivered(self) -> Iterator[str]:
        rows = {(alert, sink): state for state, sink, alert in self._settled()}
        acts = [((one["facts"]["alert"], one["facts"]["sink"]), SETTLED[one["act"]]) for one in self._acts(*SETTLED)]
        if len(acts) != len(rows) or dict(acts) != rows:
            yield f"deliveries {rows}, and entries {acts}"
        for sink, taken in (("file", self._lines()), ("hook", set(self.requests))):
            if early := taken - set(self.alerts):
                yield f"{sink} has {early}, which were never kept"
            delivered = {alert for (alert, name), state in rows.items() if (name, state) == (sink, "delivered")}
            if missing := delivered - taken:
                yield f"{sink} is said to have {missing}"

    def _lines(self) -> set[str]:
        path = self.folder / ALERTS
        # What has no end of line the sink cuts off, or completes, when it is opened.
        whole = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        return {json.loads(line)["id"] for line in whole if line.endswith(b"\n")}

    async def go_on(self) -> None:
        """Do what the next process does: deliver what waits, and let somebody look."""
        async with self.shift.delivering() as runs:
            for run in runs:
                await run.clock.advance(5)
        for alert in self.alerts:
            look(self.vault, alert, self.shift.site.signers["eva"], reason=Reason.SUPERVISION)

    def problems_afterwards(self) -> Iterator[str]:
        """Yield what is wrong although another process went on."""
        before = {(alert, sink) for state, sink, alert in self._settled()}
        anyio.run(self.go_on)
        self.entries = self.shift.site.acts()
        self.shift.site.expect_chain()
        expected = {
            (alert, sink): "dead" if (sink, int(alert, 16)) == ("hook", REFUSED) else "delivered"
            for alert in self.alerts
            for sink in SINKS
        }
        found = {(alert, sink): state for state, sink, alert in self._settled()}
        if found != expected:
            yield f"expected {expected}, got {found}"
        lines = [json.loads(line)["id"] for line in (self.folder / ALERTS).read_bytes().splitlines()]
        if sorted(lines) != sorted(self.alerts):
            yield f"the file has {lines}"
        requests = Hook.received(self.folder / HOOK)
        if set(requests) != {alert for alert in self.alerts if int(alert, 16) != REFUSED}:
            yield f"the hook has {requests}"
        again = Counter(requests[len(self.requests) :])
        if again.keys() & {alert for alert, sink in before if sink == "hook"}:
            yield f"written down as delivered, and delivered again: {again}"
        if any(number > 2 for number in Counter(requests).values()) or again.total() != len(again):
            yield f"delivered more often than once again: {requests}"
        self.requests = requests
        yield from self._half_delivered()


def kill(seed: int, deaths: int, count: int, folder: Path) -> dict[str, Any]:
    """Let a process die at one point, and return what was found.

    Args:
        seed: draws the point from its part of all of them.
        deaths: number of such parts.
        count: of the operations of a whole shift.
        folder: in which `founded` is.
    """
    draw = random.Random(seed)  # noqa: S311  (to be drawn again)
    point, torn = int((seed + draw.random()) / deaths * 2 * count), draw.random()
    place = _copied(folder, str(seed))
    ended = _forked(place, point, torn)
    examined = Examined(place)
    found = {
        "ended": ended,
        "point": point,
        "told": len(examined.told),
        "problems": [f"after the death: {one}" for one in examined.problems()],
    }
    found["problems"] += [f"after going on: {one}" for one in examined.problems_afterwards()]
    shutil.rmtree(place)
    return found


def _copied(folder: Path, name: str) -> Path:
    return Path(shutil.copytree(folder / "founded", folder / name))


def _forked(place: Path, point: int | None, torn: float = 1.0) -> int:
    """Work a shift in a process of its own, which dies at a point; return the exit code, negative for a signal."""
    child = os.fork()
    if not child:
        signal.alarm(PATIENCE_S)
        try:
            death = AnyDeath(None, torn)
            death.lurk()
            shift = Shift(place)
            # Deaths at the opening are those of test_sudden_death.py.
            death.operations, death.point = 0, point
            anyio.run(shift.work)
            (place / "count").write_text(str(death.operations), encoding="utf-8")
            os._exit(0)
        except BaseException:  # noqa: BLE001  (it is printed, and nobody else is there)
            traceback.print_exc()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder: Path, deaths: int, seeds: Sequence[int]) -> None:
    """Write down, for each seed below `deaths`, what was found after its death."""
    os.umask(0o077)
    os.fsync = lambda _: None  # a process dies here, not the machine
    opening.PRAGMAS["synchronous"] = 0
    Shift.found(folder / "founded")
    counted = _copied(folder, "counted")
    if code := _forked(counted, None):
        raise AssertionError(f"nobody was to die, and it ended with {code}")
    count = int((counted / "count").read_text(encoding="utf-8"))
    try_each(seeds, partial(kill, deaths=deaths, count=count, folder=folder), folder, at_once=AT_ONCE)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), [int(one) for one in sys.argv[3:]])
