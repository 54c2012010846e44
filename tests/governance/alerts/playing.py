"""Plays what a table says of alerts, through the commands alone, and remembers what was done; see `forty`."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from msgspec import structs

from governance.alerts.forty import BOTH, FEW, FORTY, RECALLED, SINGLE, UNDER_18, VULNERABLE, Refused
from governance.alerts.support import Duty
from governance.deployment.support import LIVE, MODEL, pack_with
from governance.lists.support import a_row
from governance.outing import call, done
from lfr_kernel.governance.basis import NO_REPORT
from lfr_kernel.governance.deployment.looking import Tally
from lfr_kernel.governance.record.statements import Counted
from lfr_kernel.plugins import Registry
from lfr_kernel.testing import InlineLane

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from governance.alerts.forty import Planted
    from governance.deployment.support import Site
    from governance.vaults import Force
    from lfr_kernel.governance.lists.entries import Row
    from lfr_kernel.messages import Alert

__all__ = ["STILLS", "Done", "Post", "Story", "options_of", "picture", "play", "read", "rows"]

READER = "images"
STILLS = Registry.discover().get("camera", READER).stills()  # type: ignore[misc]  # (it has some)
RECIPIENT = "control-room.pub"


class Done(NamedTuple):
    """A step that was taken."""

    alert: str
    who: str
    command: str
    options: dict[str, str]
    """Without their dashes; a flag is its own value."""
    said: str
    """What was printed."""


def picture(seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a picture of nobody, uint8 [H, W, 3] RGB: smooth, so that a JPEG of it is near it."""
    across, down = np.meshgrid(np.arange(112), np.arange(112))
    return np.stack([across + seed, down + seed, across // 2 + down // 2], axis=2).astype(np.uint8)


def rows() -> list[Row]:
    """Return a list: ada, then as `forty` numbers them one who is under 18, one vulnerable, one both, one recalled."""
    flags = {"ada": (), "kit": (UNDER_18,), "vic": (VULNERABLE,), "rob": (BOTH, UNDER_18, VULNERABLE), "gus": ()}
    found = []
    for number, (name, of) in enumerate(flags.items()):
        row = a_row(
            name,
            number + 1,
            under_18=UNDER_18 in of,
            vulnerable=VULNERABLE in of,
            higher_authority="C. Example, commander" if of else "",
        )
        found.append(structs.replace(row, portrait=STILLS.encode(picture(number))))
    return found


def options_of(words: Iterable[str]) -> dict[str, str]:
    """Return `--a b --c` as {a: b, c: c}."""
    found: dict[str, str] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name = word.removeprefix("--")
            found[name] = name
        else:
            found[name] = word
    return found


class Post(Duty):
    """One deployment, from its authority to its end. Alerts are planted; everything else is a command."""

    def __init__(self, site: Site, serial: int, **rules: Any) -> None:
        self.site = site
        self.plan = site.plan(loaded=pack_with(**rules))
        self.lives_s = (31 * 86_400.0, 86_400.0)
        self.number = serial
        self.raised = 1_000 * serial
        self.done: list[Done] = []
        self.ids: dict[str, str] = {}
        """By what becomes of each."""
        site.authorise(self.plan, id=f"EX/{serial}")

    def open(self) -> None:
        """Open it, with a camera that shows nobody."""
        self.governed = self.site.governed(self.plan)
        self.governed.issue("authority", LIVE)
        self.governed.open_list(MODEL, READER, STILLS)
        self.governed.look(Tally(seen=0, alerts=0), NO_REPORT)

    def saw(self, seen: int) -> None:
        """Let the warden look, after a moment."""
        self.site.clocks.pass_(minutes=1)
        self.governed.look(Tally(seen=seen, alerts=len(self.ids)))

    def recall(self, row: int) -> None:
        """Take somebody off the list."""
        entry = self.site.rows[row].about.entry
        done("watchlist", "recall", entry, "--deployment", self.number, "--reason", "found", "--as", "dee")
        (withdrawn,) = self.governed.look(Tally(seen=0, alerts=0)).withdrawn
        assert self.governed.listed is not None
        self.governed.listed.withdraw(withdrawn)

    def end(self, *options: object, seen: int = 0, lost: dict[str, int] | None = None) -> str:
        """Close it by the command, and let the run find out; return what the command said."""
        said = done("authority", "close", self.number, "--as", "dee", *options)
        if hasattr(self, "governed"):
            assert self.governed.look(Tally(seen=seen, alerts=0)).is_ending
            self.governed.stopped("closed", Tally(seen=seen, alerts=len(self.ids), lost=lost or {}))
            self.governed.close()
        return said

    def keep(self, alert: Alert, *, entry: int = 0, sinks: Any = ()) -> bool:
        keeper = self.governed.keeper(InlineLane(), shorter_s=lambda: self.lives_s, sinks=sinks)
        return keeper._keep(alert, keeper._stills.encode(picture(100)), entry)

    def play(self, table: Iterable[Planted]) -> None:
        """Plant each alert a minute after the one before, and do what the table says."""
        for planted in table:
            self.site.clocks.pass_(minutes=1)
            alert = self.plant(entry=planted.entry)
            self.ids[planted.what] = alert
            for line in planted.lines:
                self.act(alert, line)
            # Every command reads the whole log: a short one is read sooner.
            self.site.vault.database.empty_log()

    def act(self, alert: str, line: str | Refused) -> None:
        """Do one line."""
        who, command, *words = shlex.split(line.line if isinstance(line, Refused) else line)
        if who == "wait":
            self.site.clocks.pass_(minutes=float(command) / 60)
            return
        if command == "resume":
            assert not self.keep(self.alert()), "a suspended deployment lets no alert out"
        about = str(self.number) if command == "resume" else alert
        words = [RECIPIENT if word == "RECIPIENT" else word for word in words]
        if command == "show" and "--reason" not in words:
            words += ["--reason", "assess"]
        arguments = ("alerts", command, about, *words, "--as", who)
        if isinstance(line, Refused):
            called = call(*arguments)
            assert called.code == 2, (arguments, called)
            assert line.because in " ".join(called.err.split()), (arguments, called)
            return
        said = done(*arguments)
        self.done.append(Done(alert, who, command, options_of(words), said))


class Story(NamedTuple):
    """What was played, and where it lies."""

    folder: Path
    force: Force
    posts: dict[int, Post]
    said: dict[str, Any]
    """What commands said on the way, by when."""

    def record(self, serial: int) -> dict[str, Any]:
        """The final record of a deployment, as its file has it."""
        return read(self.folder / "records" / f"{serial}.json")

    def chain(self) -> list[dict[str, Any]]:
        """The bodies of all entries, as the export has them."""
        lines = (self.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(json.loads(line)["body"]) for line in lines]

    def counted(self, serial: int) -> Counted:
        return msgspec.convert(self.record(serial)["read"]["record"]["counted"], Counted)


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def play(site: Site) -> Story:
    """Play all five deployments at a site that is the folder of work, then let two days pass, and thirty more."""
    folder = site.folder
    (folder / "organisation.pub").write_bytes(msgspec.json.encode(site.force.root.organisation))
    (folder / "pass").write_text("control room\n", encoding="utf-8")
    (folder / "pass").chmod(0o600)
    done("recipient", "new", "control-room", "--out", "control-room", "--passphrase-file", "pass")
    forty = Post(site, 1, assessors=2, on_disagreement="third-person", stop_min_false=10)
    forty.open()
    forty.saw(9_000)
    forty.recall(RECALLED)
    forty.play(FORTY)
    said: dict[str, Any] = {"retention": done("retention", "status", "--json")}
    done("record", "calibrate", 1, "--people", 50, "--passages", 60, "--how", "ten minutes at the gate", "--as", "fay")
    forty.end("--text", "it rained", seen=12_345, lost={"probe_late": 3, "gated_too_small": 20})
    said["draft"] = call("record", 1, "--format", "json", "--out", "draft.json").err
    said["too early"] = call("record", 1, "--final", "--out", "no.txt")

    empty = Post(site, 2)
    empty.open()
    empty.end()
    abandoned = Post(site, 3)
    abandoned.end()
    revoked = Post(site, 4, assessors=1)
    revoked.open()
    revoked.play(SINGLE)
    revoked.end("--revoke", seen=200)
    few = Post(site, 5, assessors=2)
    few.open()
    few.play(FEW)
    few.end(seen=300)

    site.clocks.pass_(days=2)
    arrested = forty.ids["arrested"]
    said["after a day"] = done("retention", "run"), done("alerts", "show", arrested, "--reason", "court", "--as", "eva")
    done("record", "arrests", 1, "--number", 7, "--how", "custody desk", "--as", "dee")
    site.clocks.pass_(days=30)
    said["after a month"] = done("retention", "run")
    said["gone"] = call("alerts", "show", arrested, "--reason", "court", "--as", "eva"), done("alerts", "list")
    (folder / "records").mkdir()
    for serial in range(1, 6):
        done("record", serial, "--final", "--format", "json", "--out", f"records/{serial}.json")
    done("audit", "export", "log.jsonl")
    posts = {one.number: one for one in (forty, empty, abandoned, revoked, few)}
    return Story(folder, site.force, posts, said)
