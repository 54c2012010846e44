"""Canaries that are planted through the public commands are found in no file that the system leaves behind.

Everything of one deployment lies below one folder: vault, working copies, temporary files, home, what a kernel printed.
All of it is searched when the list is built, while a kernel runs, and once the list is wiped. Not searched is what the
user wrote or asked for in clear, which is his own: manifest, photographs, verdicts, sheet, and the passphrase's file.
Three outputs name people, since that is what they are for, and are looked at by themselves: the file of the sink that
is given details, what somebody is shown who looks at an alert and says why, and the summary that `--json` prints.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import pytest

from governance import outing
from governance.canaries import found_below, in_bytes, raw, text
from lfr_kernel.governance.instant import read_clocks
from lfr_kernel.governance.keys import sealing
from lfr_kernel.governance.lists.file import ListFile
from lfr_kernel.governance.people.keyfiles import open_key
from lfr_kernel.governance.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from governance.canaries import Needles

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="a database that is open cannot be read as a file there"),
]

CALL = (sys.executable, "-c", "from lfr_kernel.cli import script; script()")
PATIENCE_S = 60
RUN = 36
PASSPHRASE = "Correct-Ölfarbe-77"  # noqa: S105  (a canary)
NAMES = {photo: f"Quillfeather Zoë {photo}" for photo in outing.LISTED}
TEXTS = {
    "reason": "Grounds: wanted in Łódź",
    "response": "Answer: speak slowly, señor",
    "right": "Right: retained, § 64A",
    "decision": "Decided: the nose is another, nämlich länger",
    "recall": "Recalled: er war es nicht",
    "extension": "Extension: the crowd is late, es wird später",
    "close": "Closed: everybody went home früh",
}
HIS_OWN = ("manifest.csv", "photos", "verdicts.csv", "sheet.csv", "pass")
NAMING = ("alerts.jsonl", "kernel.json")
KEY_FILE = "vault/keys/deployment-000001.key"
ON_SHIFT = {f"vault/sessions/{name}.session": {f"key of {name}'s session"} for name in outing.ROLES}
"""Where keys of sessions lie until somebody goes."""
COPY = "vault/deployments/000001/list.lfrlist"


class Aftermath(NamedTuple):
    """What was found, when, and what was looked for."""

    folder: Path
    needles: Needles
    built: dict[str, set[str]]
    opened: dict[str, set[str]]
    files_while_open: set[str]
    wiped: dict[str, set[str]]
    shown: str
    """To whoever looked at the alert and decided on it."""
    receipt: str


class Kernel:
    """A kernel in a process of its own, which says on stderr how far it is."""

    def __init__(self, site: Path) -> None:
        path = [*map(str, outing.search_path(site)), *sys.path]
        self._popen = subprocess.Popen(  # noqa: S603  (our own command)
            [*CALL, "--profile", "van.toml", "--as", "dora", "--json"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._said: list[str] = []
        # What it never says nobody waits for forever.
        self._limit = threading.Timer(PATIENCE_S, self._popen.kill)
        self._limit.daemon = True
        self._limit.start()

    def wait_for(self, what: str) -> None:
        """Read its stderr up to the line that has this in it."""
        assert self._popen.stderr is not None
        for line in self._popen.stderr:
            self._said.append(line)
            if what in line:
                return
        pytest.fail(f"it ended without saying {what!r}: {''.join(self._said)}")

    def end(self) -> None:
        """Wait for its end, and leave what it printed in files."""
        out, err = self._popen.communicate(timeout=PATIENCE_S)
        self._limit.cancel()
        assert self._popen.returncode == 0, err
        Path("kernel.json").write_text(out, encoding="utf-8")
        Path("kernel.log").write_text("".join(self._said) + err, encoding="utf-8")

    def kill(self) -> None:
        """End it, whatever it does."""
        self._limit.cancel()
        self._popen.kill()
        self._popen.wait()


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """Run a whole deployment with canaries in everything that people write, and search at three moments."""
    folder = tmp_path_factory.mktemp("canaries")
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(sealing, "SCRYPT_N", 2**4)
        for name in ("TMPDIR", "HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            (folder / name.lower()).mkdir()
            patch.setenv(name, str(folder / name.lower()))
        patch.setattr(tempfile, "tempdir", None)
        site = tmp_path_factory.mktemp("site")
        stack.enter_context(outing.plugins_at(site))
        stack.enter_context(outing.working_in(folder))
        yield _deploy(folder, site, stack)


def _deploy(folder: Path, site: Path, stack: contextlib.ExitStack) -> Aftermath:
    cells = {
        photo: {
            "person": NAMES[photo],
            "reason": TEXTS["reason"],
            "response": TEXTS["response"],
            "lawfully_held": f"yes: {TEXTS['right']}",
        }
        for photo in outing.LISTED
    }
    outing.prepare(PASSPHRASE, cells)
    outing.build()
    needles = _needles()
    outing.sample()
    outing.review()
    outing.authorise()
    built = _search(folder, needles)
    by, entries = ("--as", "dora"), outing.entries()
    recalled = ("--deployment", 1, "--reason", "found", "--text", TEXTS["recall"], *by)
    outing.done("watchlist", "recall", entries["third"], *recalled)
    kernel = Kernel(site)
    stack.callback(kernel.kill)
    kernel.wait_for("ALERT ")
    (alert,) = msgspec.json.decode(outing.done("alerts", "list", "--json"))
    shown = outing.done("alerts", "show", alert["id"], "--reason", "assess", *by)
    outing.done("alerts", "assess", alert["id"], "--dismiss", "--text", TEXTS["decision"], *by)
    shown += outing.done("alerts", "show", alert["id"], "--reason", "supervision", *by)
    outing.done("watchlist", "recall", entries["board"], *recalled)
    kernel.wait_for("entry_withdrawn")
    until = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=3)).isoformat(timespec="seconds")
    why = ("--until", until, "--reason", "late-start", "--text", TEXTS["extension"])
    outing.done("authority", "extend", 1, *why, "--profile", "van.toml", "--as", "ada")
    needles["key of the deployment"] = raw(Path(KEY_FILE).read_bytes())
    opened, there = _search(folder, needles), _files(folder)
    outing.done("authority", "close", 1, "--text", TEXTS["close"], *by)
    kernel.end()
    receipt = outing.done("authority", "receipt", 1, "--out", "receipt.json", "--json")
    outing.done("audit", "export", "export.jsonl")
    outing.done("audit", "verify", "export.jsonl", "--anchors", "anchors.txt")
    Path("shown.txt").write_text(outing.done("audit", "show"), encoding="utf-8")
    for name in outing.ROLES:
        outing.done("session", "end", "--as", name)
    return Aftermath(folder, needles, built, opened, there, _search(folder, needles), shown, receipt)


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _search(folder: Path, needles: Mapping[str, list[bytes]]) -> dict[str, set[str]]:
    return found_below(folder, needles, but=(*HIS_OWN, *NAMING))


def _needles() -> Needles:
    """Return every canary that there is once the list is built: of the keys, those that only a vault can open."""
    found = {f"name of {photo}": text(name) for photo, name in NAMES.items()}
    found |= {name: text(one) for name, one in TEXTS.items()}
    found["passphrase"] = text(PASSPHRASE)
    found["photograph"] = raw(_middle(Path("photos/board.jpg").read_bytes()))
    for name in outing.ROLES:
        _, secret = open_key(Path(f"people/{name}.key"), PASSPHRASE, "person", 64)
        found[f"signing key of {name}"], found[f"sealing key of {name}"] = raw(secret[:32]), raw(secret[32:])
        session = msgspec.json.decode(Path(f"vault/sessions/{name}.session").read_bytes())
        found[f"key of {name}'s session"] = raw(base64.b64decode(session["sealed"]))
    _, root = open_key(Path("org/organisation.key"), PASSPHRASE, "organisation", 32)
    found["key of the organisation"] = raw(root)
    listed = ListFile.open(Path("list.lfrlist"))
    with Vault.open(Path("vault"), clocks=read_clocks) as vault:
        found["data key"] = raw(key := listed.open_key(vault.open_sealed_key()))
        for row in listed.rows(key):
            photo = Path(row.about.photo).stem
            template = np.frombuffer(row.template, "<f4")
            found[f"portrait of {photo}"] = raw(_middle(row.portrait))
            found[f"template of {photo}, f32"] = raw(_middle(row.template))
            found[f"template of {photo}, f16"] = raw(_middle(template.astype("<f2").tobytes()))
    return found


def _middle(data: bytes) -> bytes:
    start = (len(data) - RUN) // 2 // 4 * 4
    return data[start : start + RUN]


def test_once_a_list_is_built_no_file_but_the_users_own_has_anything_of_it(aftermath: Aftermath) -> None:
    assert aftermath.built == ON_SHIFT


def test_while_a_kernel_runs_the_key_of_the_deployment_is_on_the_disk_in_one_place_and_nothing_else(
    aftermath: Aftermath,
) -> None:
    assert aftermath.opened == {KEY_FILE: {"key of the deployment"}} | ON_SHIFT
    assert {"vault/vault.db", "vault/vault.db-wal", "vault/vault.db-shm", COPY} <= aftermath.files_while_open


def test_after_the_wipe_and_the_end_of_the_shift_no_file_has_anything(aftermath: Aftermath) -> None:
    assert aftermath.wiped == {}
    left = _files(aftermath.folder)
    # They were there to be searched, and those that must be gone are.
    assert {"vault/vault.db", "export.jsonl", "receipt.json", "anchors.txt", "kernel.log"} <= left
    assert not [name for name in left if "deployment-" in name or name.endswith((".lfrlist", ".session", ".tmp"))]


def test_the_record_says_that_somebody_was_seen_also_if_the_end_came_from_another_process(aftermath: Aftermath) -> None:
    receipt = msgspec.json.decode(aftermath.receipt)
    assert (receipt["ending"], receipt["passages_seen"], receipt["alerts"]) == ("completed", 1, 1)


def test_the_file_of_a_sink_has_the_reference_of_whom_it_alerted_on_and_nothing_more(aftermath: Aftermath) -> None:
    content = (aftermath.folder / "alerts.jsonl").read_bytes()
    assert in_bytes(content, aftermath.needles) == {"name of board"}


def test_a_sink_that_is_given_no_details_gets_that_there_is_an_alert_and_its_state(aftermath: Aftermath) -> None:
    (line,) = (aftermath.folder / "notices.jsonl").read_bytes().splitlines()
    assert in_bytes(line, aftermath.needles) == set()
    (named,) = (aftermath.folder / "alerts.jsonl").read_bytes().splitlines()
    assert msgspec.json.decode(line)["id"] == msgspec.json.decode(named)["id"]


def test_a_kernel_names_nobody_in_its_log_nor_where_it_shows_an_alert(aftermath: Aftermath) -> None:
    lines = (aftermath.folder / "kernel.log").read_text(encoding="utf-8").splitlines()
    logged = [line for line in lines if line.startswith("{")]
    assert {"model_loaded", "entry_withdrawn", "people_not_listed", "list_wiped"} <= {
        msgspec.json.decode(line)["event"] for line in logged
    }
    assert len([line for line in lines if line.startswith("ALERT gate")]) == 1
    assert in_bytes("\n".join(lines).encode(), aftermath.needles) == set()


def test_the_summary_names_who_was_not_listed_and_nobody_whom_an_alert_may_be_of(aftermath: Aftermath) -> None:
    content = (aftermath.folder / "kernel.json").read_bytes()
    assert in_bytes(content, aftermath.needles) == {"name of third"}
    (alert,) = msgspec.json.decode(content)["alerts"]
    assert (alert["person"], alert["camera"]) == (None, "gate")


def test_whoever_looks_at_an_alert_is_shown_whom_it_names_and_what_was_decided(aftermath: Aftermath) -> None:
    found = in_bytes(aftermath.shown.encode(), aftermath.needles)
    assert {"name of board", "reason", "response", "decision"} <= found <= {"name of board", *TEXTS}


def test_the_search_finds_what_the_user_wrote(aftermath: Aftermath) -> None:
    found = found_below(aftermath.folder, aftermath.needles)
    listed = {f"name of {photo}" for photo in outing.LISTED}
    assert {name: what for name, what in found.items() if name in HIS_OWN or name.startswith("photos/")} == {
        "manifest.csv": {*listed, "reason", "response", "right"},
        "verdicts.csv": listed,
        "sheet.csv": {"reason", "response", "right", *(one for one in listed if one in found["sheet.csv"])},
        "pass": {"passphrase"},
        "photos/board.jpg": {"photograph"},
    }


def test_the_search_finds_every_canary_in_every_spelling(aftermath: Aftermath, tmp_path: Path) -> None:
    for name, spellings in aftermath.needles.items():
        for number, spelling in enumerate(spellings):
            (tmp_path / "planted").write_bytes(b"\1" * number + spelling + b"\2")
            assert found_below(tmp_path, aftermath.needles) == {"planted": {name}}


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16"])
def test_the_search_finds_a_name_in_a_database_and_in_its_log(
    encoding: str, aftermath: Aftermath, tmp_path: Path
) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "vault.db")) as connection:
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE leaks (name TEXT)")
        connection.execute("INSERT INTO leaks VALUES (?)", (NAMES["board"],))
        connection.commit()
        assert found_below(tmp_path, aftermath.needles) == {"vault.db-wal": {"name of board"}}
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert found_below(tmp_path, aftermath.needles) == {"vault.db": {"name of board"}}


@pytest.mark.parametrize("before", range(3))
def test_the_search_finds_base64_of_a_longer_run_wherever_it_begins(
    before: int, aftermath: Aftermath, tmp_path: Path
) -> None:
    photograph = (aftermath.folder / "photos" / "board.jpg").read_bytes()
    start = photograph.index(aftermath.needles["photograph"][0]) - before
    (tmp_path / "planted.json").write_bytes(msgspec.json.encode(photograph[start : start + 99]))
    assert found_below(tmp_path, aftermath.needles) == {"planted.json": {"photograph"}}
