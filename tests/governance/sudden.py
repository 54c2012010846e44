"""Kills processes in the middle of a deployment, and says what was found after each death; run by test_sudden_death.py.

Three stretches: from the manifest to a signed authority; from there to the wiped list, with a run and a recall; and the
start that finishes the wipe of a kernel that died when it was to begin with it. A dry run counts the durable operations
of each; then a process that does a stretch kills itself, with SIGKILL, before or after one of them. Somebody goes on as
people would, by the same commands, until the list is wiped.

A script of its own, since `os.fork` wants a process without threads, which a test run is not.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import shutil
import signal
import sqlite3
import stat
import sys
import tempfile
import threading
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import msgspec

from governance import outing
from governance.canaries import found_below, text
from governance.deaths import try_each
from lfr_kernel import pipeline
from lfr_kernel.cli import main as run_command
from lfr_kernel.governance.audit import database, opening
from lfr_kernel.governance.audit.export import lines_of
from lfr_kernel.governance.audit.verifier import verify
from lfr_kernel.governance.deployment.register import Deployment
from lfr_kernel.governance.deployment.statements import RECEIPT, WipeReceipt
from lfr_kernel.governance.deployment.warden import Warden
from lfr_kernel.governance.deployment.wiping import receipt_of
from lfr_kernel.governance.instant import read_clocks
from lfr_kernel.governance.keys import sealing
from lfr_kernel.governance.keys.files import is_destroyed
from lfr_kernel.governance.keys.signing import verify as verify_envelope
from lfr_kernel.governance.lists.file import ListFile
from lfr_kernel.governance.vault import Vault
from lfr_kernel.runtime import LfrError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lfr_kernel.governance.deployment.looking import Look

AT_ONCE = 3
PATIENCE_S = 30.0
LOOK_S = 0.02
STEPS = ["key_destroyed", "memory_cleared", "files_removed", "database_compacted", "receipt_signed"]
CLEAR = {one: text(f"{one} Zoë") for one in ("Reference", "Grounds", "Answer")}
CELLS = {
    photo: {"person": f"Reference Zoë {photo}", "reason": "Grounds Zoë", "response": "Answer Zoë"}
    for photo in outing.LISTED
}
HIS_OWN = ("manifest.csv", "photos", "verdicts.csv", "sheet.csv", "alerts.jsonl")
"""What the user wrote, or asked for in clear."""


class Death:
    """Counts durable operations, and dies before or after one of them."""

    OPERATIONS: ClassVar[Sequence[str]] = ("replace", "unlink", "mkdir", "rmdir")
    """Of `os`, beside `fsync`."""
    STATEMENTS: ClassVar[tuple[str, ...]] = ("COMMIT", "VACUUM", "PRAGMA wal_checkpoint")
    """How those begin that make something durable."""

    def __init__(self, point: int | None, torn: float = 1.0) -> None:
        """Die at a point; even ones lie before an operation, odd ones after it. None: count only.

        Args:
            point: from 0.
            torn: how much of a new file is there when its writer dies before it is synced.
        """
        self.operations = 0
        self.point = point
        self._torn = torn
        self._lock = threading.Lock()

    def lurk(self) -> None:
        """Watch everything that this process makes durable from now on."""
        os.fsync = self._watched(os.fsync, tears=True)
        for name in self.OPERATIONS:
            setattr(os, name, self._watched(getattr(os, name)))
        for module in (database, opening):
            module.connected = self._connected  # type: ignore[attr-defined]

    def _watched(self, operation: Callable[..., Any], *, tears: bool = False) -> Callable[..., Any]:
        def watched(*arguments: Any, **more: Any) -> Any:
            number = self._count()
            if self.point == 2 * number:
                if tears:
                    self._tear(*arguments)
                _die()
            try:
                return operation(*arguments, **more)
            finally:
                if self.point == 2 * number + 1:
                    _die()

        return watched

    def _count(self) -> int:
        with self._lock:
            self.operations += 1
            return self.operations - 1

    def _tear(self, handle: int) -> None:
        found, path = os.fstat(handle), Path(f"/proc/self/fd/{handle}")
        is_appended = fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_APPEND
        # What is being overwritten keeps its length, and a line is appended in one piece.
        if stat.S_ISREG(found.st_mode) and not is_appended and not is_destroyed(path.read_bytes()):
            os.ftruncate(handle, int(found.st_size * self._torn))

    def _connected(self, path: Path) -> sqlite3.Connection:
        connection = CONNECTED(path)
        connection.set_trace_callback(self._traced)
        return connection

    def _traced(self, statement: str) -> None:
        # SQLite says what it is about to do: the point after a commit is the one before whatever comes next.
        if statement.startswith(self.STATEMENTS) and self.point in {
            2 * (number := self._count()),
            2 * number + 1,
        }:
            _die()


CONNECTED = opening.connected


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it is dead")


def build() -> None:
    """From the manifest to a signed authority; what is there already is gone on with as its messages say."""
    acts = _acts()
    if "list_built" not in acts:
        # One of which the audit knows nothing: a list is never overwritten.
        Path("list.lfrlist").unlink(missing_ok=True)
        outing.build()
    if "authorised" not in acts:
        # In doubt somebody looks once more.
        Path("sheet.csv").unlink(missing_ok=True)
        outing.sample()
        outing.review()
        outing.authorise()


def deploy() -> outing.Called:
    """Run under the authority, recall an entry when it has alerted, and close it; likewise."""
    for event in (STARTED, ALERTED, WITHDRAWN):
        event.clear()
    threading.Thread(target=_operate, daemon=True).start()
    return outing.call("--profile", "van.toml", "--as", "dora", "--json")


def _operate() -> None:
    """Recall once it has alerted, and close."""
    if not STARTED.wait(PATIENCE_S):
        return
    if "entry_recalled" not in _acts():
        ALERTED.wait(PATIENCE_S)
        _say("watchlist", "recall", outing.entries()["board"], "--deployment", 1, "--reason", "found", "--as", "dora")
        WITHDRAWN.wait(PATIENCE_S)
    _say("authority", "close", 1, "--as", "dora")


def _say(*arguments: object) -> None:
    """Call a command beside the one that has stdout and stderr."""
    with contextlib.suppress(SystemExit):
        run_command([str(one) for one in arguments])


STARTED, ALERTED, WITHDRAWN = threading.Event(), threading.Event(), threading.Event()


class QuickWarden(Warden):
    """Looks more often, and tells when it begins, has seen an alert, and an entry is gone from the index."""

    tick_s = LOOK_S

    async def setup(self) -> None:
        await super().setup()
        STARTED.set()

    async def tick(self) -> None:
        await super().tick()
        if self._tally().alerts:
            ALERTED.set()

    async def _withdraw(self, entry: str) -> None:
        await super()._withdraw(entry)
        WITHDRAWN.set()


class DeadlyWarden(QuickWarden):
    """Dies instead of ending anything."""

    async def _end(self, _: Look) -> None:
        _die()


def _read(sql: str) -> list[tuple[Any, ...]]:
    """Ask the database without a vault, which would put in order what it finds."""
    with contextlib.closing(sqlite3.connect("file:vault/vault.db?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def _acts() -> list[str]:
    return [act for (act,) in _read("SELECT act FROM entries ORDER BY number")]


def _stage() -> str | None:
    rows = _read("SELECT json_extract(body, '$.stage') FROM deployments")
    return rows[0][0] if rows else None


def look(*, is_settled: bool) -> Iterator[str]:
    """Yield what is wrong with what lies in the folder of work.

    Args:
        is_settled: whether somebody has gone on after the death; else what lies beside a file on its way is no wrong.
    """
    for name, canaries in found_below(Path(), CLEAR, but=HIS_OWN).items():
        if is_settled or not name.startswith(tuple(f".{one}." for one in HIS_OWN)):
            yield f"{', '.join(sorted(canaries))} in {name}"
    yield from _look_at_files(is_settled=is_settled)
    yield from _look_at_chain()
    for one in _deployments():
        keys = Path("vault/keys").glob(f"*{one.keyname}*")
        left = [path for path in keys if not is_destroyed(path.read_bytes())]
        if left and "key_destroyed" in dict(one.steps):
            yield f"{left} although it was destroyed"


def _look_at_files(*, is_settled: bool) -> Iterator[str]:
    for path in Path().rglob("*.lfrlist"):
        if path.name.startswith(".") or (is_destroyed(path.read_bytes()) and not is_settled):
            continue
        try:
            ListFile.open(path).verify_public()
        except LfrError as error:
            yield str(error)
    for path in (*Path().rglob("*.session"), *Path().rglob("*.used"), *Path().glob("*.json")):
        if is_settled or not is_destroyed(path.read_bytes()):
            json.loads(path.read_bytes())
    if Path("alerts.jsonl").exists():
        for line in Path("alerts.jsonl").read_text(encoding="utf-8").splitlines():
            json.loads(line)


def _look_at_chain() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as copy:
        for path in Path("vault").glob("vault.db*"):
            shutil.copy(path, copy)
        lines = list(lines_of(Path(copy) / "vault.db"))
    anchors = Path("anchors.txt").read_text(encoding="utf-8").splitlines() if Path("anchors.txt").exists() else []
    yield from verify(lines, anchors, json.loads(Path("org/organisation.pub").read_bytes())["key"]).findings
    is_capturing = False
    for line in lines:
        entry = json.loads(json.loads(line)["body"])
        if entry["act"] == "capture_started":
            if entry["facts"]["after_crash"] != is_capturing:
                yield f"entry {entry['n']} says after_crash {entry['facts']['after_crash']}"
            is_capturing = True
        elif entry["act"] == "capture_stopped":
            is_capturing = False


def _deployments() -> list[Deployment]:
    return [msgspec.json.decode(body, type=Deployment) for (body,) in _read("SELECT body FROM deployments")]


def go_on() -> None:
    """Do what people do after a crash: the same again, as far as it was not done."""
    build()
    if _stage() != "closed":
        called = deploy()
        # A wipe that was started is finished by whoever starts next, who then has nothing to run.
        if called.code and _stage() != "closed":
            raise AssertionError(f"exit code {called.code}: {called.err}")


def look_at_end() -> Iterator[str]:
    """Yield what is wrong although a wipe has ended, once somebody has opened the vault."""
    with Vault.open(Path("vault"), clocks=read_clocks) as vault:
        signed = receipt_of(vault, 1)
        if signed is None:
            yield "there is no receipt"
            return
        receipt = verify_envelope(signed, RECEIPT, WipeReceipt, [vault.signer.public])
    yield from (f"{path} is left" for path in Path().rglob("*.tmp"))
    yield from (f"{path} is left" for path in Path().rglob("*.lfrlist"))
    yield from (f"{path} is left" for path in Path("vault/deployments").glob("*"))
    yield from (f"{path} is left" for path in Path("vault/keys").glob("*deployment*"))
    if len(found := list(Path("vault/keys").glob("checkpoint-*"))) != 1:
        yield f"{found}, expected the key of one checkpoint"
    if _read("SELECT key FROM deployments") != [(None,)]:
        yield "the register has a key"
    if [name for name, _ in receipt.steps] != STEPS:
        yield f"the receipt has the steps {receipt.steps}"
    if _acts().count("wiped") != 1:
        yield f"wiped {_acts().count('wiped')} times"


STRETCHES = (("founded", build), ("authorised", deploy), ("ending", deploy))
"""The folder that each begins with, and what is done."""


def kill(seed: int, deaths: int, counts: Sequence[int], folder: Path) -> dict[str, Any]:
    """Let a process die, go on after it, and return what was found."""
    draw = random.Random(seed)  # noqa: S311  (to be drawn again)
    number = int((seed + draw.random()) / deaths * 2 * sum(counts))
    stretch = 0
    while number >= 2 * counts[stretch]:
        number -= 2 * counts[stretch]
        stretch += 1
    begin, act = STRETCHES[stretch]
    place, torn, ended = folder / str(seed), draw.random(), 0
    while not ended and number >= 0:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder / begin, place)
        with outing.working_in(place):
            ended = os.waitstatus_to_exitcode(_forked(partial(_lurking, Death(number, torn), act)))
        # A dry run that took long may have noted the time once more than this one.
        number -= 2
    found: dict[str, Any] = {"ended": ended, "begun in": begin, "point": number + 2}
    with outing.working_in(place):
        found["acts"] = _acts()
        found["problems"] = [f"after the death: {one}" for one in look(is_settled=False)]
        go_on()
        found["problems"] += [f"after going on: {one}" for one in (*look(is_settled=True), *look_at_end())]
        found["afterwards"] = _acts()[len(found["acts"]) :]
    shutil.rmtree(place)
    return found


def _lurking(death: Death, stretch: Callable[[], object]) -> None:
    death.lurk()
    stretch()


def _forked(act: Callable[[], object]) -> int:
    """Do something in a process of its own; return how that ended, as `os.waitpid` has it."""
    child = os.fork()
    if not child:
        signal.alarm(int(PATIENCE_S))
        try:
            act()
            os._exit(0)
        except BaseException:  # noqa: BLE001  (it is printed, and nobody else is there)
            traceback.print_exc()
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1]


def _count(stretch: Callable[[], object], folder: Path) -> int:
    """Do a stretch in a folder, and return how many operations it has."""

    def counted() -> None:
        death = Death(None)
        _lurking(death, stretch)
        Path("count").write_text(str(death.operations), encoding="utf-8")

    with outing.working_in(folder):
        if _forked(counted):
            raise AssertionError(f"{stretch.__name__} failed")
    count = int((folder / "count").read_text(encoding="utf-8"))
    (folder / "count").unlink()
    return count


def main(folder: Path, deaths: int, seeds: Sequence[int]) -> None:
    """Write down, for each seed below `deaths`, what was found after its death."""
    os.umask(0o077)
    sealing.SCRYPT_N = 2**4  # type: ignore[misc]
    pipeline.Warden = QuickWarden  # type: ignore[misc,attr-defined]
    with outing.plugins_at(folder / "site"):
        (folder / "founded").mkdir()
        with outing.working_in(folder / "founded"):
            outing.prepare("secret", CELLS)
        _copied(folder / "founded", "authorised", build, last="authorised")
        _copied(folder / "authorised", "ending", _die_before_the_wipe, last="authority_closed")
        counts = [
            _count(act, shutil.copytree(folder / begin, folder / f"{begin}, counted")) for begin, act in STRETCHES
        ]
        try_each(seeds, partial(kill, deaths=deaths, counts=counts, folder=folder), folder, at_once=AT_ONCE)


def _copied(before: Path, name: str, act: Callable[[], object], *, last: str) -> None:
    """Make a copy of a folder, and do something in it, the last entry of which is known."""
    with outing.working_in(shutil.copytree(before, before.with_name(name))):
        _forked(act)
        if _acts()[-1] != last:
            raise AssertionError(f"expected {last} in {name}, got {_acts()}")


def _die_before_the_wipe() -> None:
    pipeline.Warden = DeadlyWarden  # type: ignore[misc,attr-defined]
    deploy()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), [int(one) for one in sys.argv[3:]])
