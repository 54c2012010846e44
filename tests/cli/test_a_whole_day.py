"""A whole deployment on one machine, by the commands that people type, with the bundled models and a live camera."""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from cli.conftest import Process
from lfr_kernel.governance.audit import verifier
from lfr_kernel.governance.deployment.statements import RECEIPT, WipeReceipt
from lfr_kernel.governance.keys import sealing
from lfr_kernel.governance.keys.signing import Envelope, verify
from lfr_kernel.governance.rules import built_in_packs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from calling import Result
    from cli.conftest import Site

pytestmark = pytest.mark.slow

CAMERA = """
import threading
from typing import Any

from lfr_kernel.api import CameraPlugin, hookimpl
from lfr_plugins.cameras.av_camera import AvCamera
from lfr_plugins.cameras.config import AvConfig


class Gate(AvCamera):
    \"\"\"A live camera that sees what a clip shows, over and over, at its own speed.\"\"\"

    def __init__(self, config: AvConfig) -> None:
        super().__init__(config)
        self.pace = "live"

    def read(self) -> Any:
        threading.Event().wait(0.03)
        return super().read()


@hookimpl
def lfr_plugins() -> list[CameraPlugin]:
    return [CameraPlugin(name="gate", api=1, config=AvConfig, create=Gate)]
"""

PEOPLE = {
    "ada": ["authoriser"],
    "ben": ["list-builder"],
    "cem": ["reviewer"],
    "dee": ["operator"],
    "eva": ["data-protection"],
    "fay": ["auditor"],
}
PROFILE = """
name = "van"
permit = "authority"

[[cameras]]
name = "gate"
plugin = "gate"
options = { url = "walk-past.mp4", loop = true }

[watchlist]
file = "list.lfrlist"
threshold = 0.62

[governance]
vault = "vault"
pack = "street.toml"
start = "sealed"
stricter = { max_entries = 100 }

[[anchors]]
plugin = "file"
options = { path = "anchors.txt" }

[[sinks]]
plugin = "jsonl"
details = true
options = { path = "alerts.jsonl" }
"""
AUTHORITY = """
id = "EX/2026/17"
purpose = "to find people whom the courts want"
legal_basis = "common-law"
place = "the gate of the test"
place_grounds = "they were seen there"
starts = STARTS
ends = ENDS
criteria = "people named in a warrant"
categories = ["wanted-court"]
cameras = ["gate"]
threshold = 0.62
contact = "lfr@example.org"
assembly = false
authorising_officer = "Superintendent Ada Grey"
[references]
impact_assessment = "DPIA 12"
"""
COLUMNS = {
    "category": "wanted-court",
    "legal_basis": "warrant",
    "source": "police-record",
    "lawfully_held": "yes: section 64A",
    "conviction_status": "not-applicable",
    "taken": "2025-01-02",
    "added_by": "ben",
    "reason": "warrant 17",
    "under_18": "no",
    "vulnerable": "no",
    "higher_authority": "",
    "response": "stop and speak to",
}


class Day:
    """One folder, one machine, one shift: the command line in it."""

    def __init__(self, folder: Path, lfr: Callable[..., Result], site: Site) -> None:
        self.folder = folder
        self._lfr = lfr
        self._site = site
        self._process: Process | None = None
        (folder / "pass").write_text("six random words would be better\n", encoding="utf-8")
        (folder / "pass").chmod(0o600)
        pack = built_in_packs()["uk-met"].read_text(encoding="utf-8")
        for before, after in (
            ('name = "uk-met"', 'name = "street"'),
            ("[rules.min_sample]\nvalue = 50", "[rules.min_sample]\nvalue = 2"),
            ("[rules.require_report]\nvalue = true", "[rules.require_report]\nvalue = false"),
            ("[rules.refuse_unencrypted_swap]\nvalue = true", "[rules.refuse_unencrypted_swap]\nvalue = false"),
        ):
            assert before in pack
            pack = pack.replace(before, after)
        self.write("street.toml", pack)
        self.write("van.toml", PROFILE)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def do(self, line: str, *more: object, code: int = 0) -> str:
        """Call `lfr-kernel` with the words of a line; return what it printed, in one line."""
        found = self._lfr(*line.split(), *more)
        assert found.code == code, f"{line}: {found.out}{found.err}"
        return " ".join(f"{found.out} {found.err}".split())

    def start(self, line: str) -> Process:
        self._process = Process(*line.split(), cwd=self.folder, path=self._site.path)
        return self._process

    @property
    def log(self) -> list[str]:
        """What the process that was started has said so far."""
        assert self._process is not None
        return self._process.seen

    def end(self) -> None:
        """Leave no process behind."""
        if self._process is not None:
            self._process.popen.kill()
            self._process.popen.communicate()


@pytest.fixture
def day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lfr: Callable[..., Result], site: Site) -> Iterator[Day]:
    """A folder with everything but an organisation: pack, profile, clip; and a live camera that is installed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LFR_VAULT", "vault")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sealing, "SCRYPT_N", 2**4)
    site.distribution("lfr-gate", CAMERA)
    made = Day(tmp_path, lfr, site)
    pytest.importorskip("lfr_plugins.lab.walkpast").render(tmp_path / "walk-past.mp4")
    yield made
    made.end()


def test_a_whole_day(day: Day) -> None:
    organise(day)
    obama = build(day)
    authorise(day)
    running = run(day, obama)
    close(day, running)
    account(day)


def organise(day: Day) -> None:
    """An organisation, six people, a machine; everybody comes on shift."""
    day.do("org init --out org --passphrase-file pass --name", "Example Police")
    roster = ["number = 1"]
    for name, roles in PEOPLE.items():
        day.do(f"person new {name} --out {name} --passphrase-file pass")
        expires = (dt.datetime.now(dt.UTC) + dt.timedelta(days=365)).strftime("%Y-%m-%dT%H:%M:%SZ")
        roster += ["[[people]]", f'name = "{name}"', f'file = "{name}.pub"', f"roles = {roles}", f"expires = {expires}"]
    day.write("roster.toml", "\n".join(roster))
    root = "--root org/organisation.key --passphrase-file pass"
    day.do(f"org roster roster.toml --out roster.json {root}")
    day.do(f"org packs street.toml --out packs.json {root}")
    day.do("installation new vault --name van-3")
    assert "expected a vault that was founded, found no" in day.do("session show", code=2)
    day.do(f"org certify vault/request.json --out certificate.json {root}")
    papers = "--certificate certificate.json --roster roster.json --packs packs.json"
    said = day.do(f"installation found vault {papers} --root org/organisation.pub")
    assert "was founded by Example Police" in said
    for name in PEOPLE:
        day.do(f"session start --as {name} --key {name}.key --passphrase-file pass")


def build(day: Day) -> str:
    """A manifest with planted bad rows becomes a sealed list of two people; return the entry of the first."""
    portraits = files("lfr_plugins.lab") / "portraits"
    for name in ("obama.jpg", "obama2.jpg", "biden.jpg", "collins.jpg"):
        shutil.copy(str(portraits / name), day.folder / name)
    blank(day.folder / "wall.png")
    two_faces(day.folder / "couple.png", day.folder / "obama.jpg", day.folder / "biden.jpg")
    blurred(day.folder / "blurred.png", day.folder / "obama.jpg")
    day.write("exclude.csv", "person,reason\nP-9,objection upheld\n")
    tomorrow = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).isoformat(timespec="seconds")
    rows: list[dict[str, str]] = [
        {"photo": "obama.jpg", "person": "P-1"},
        {"photo": "biden.jpg", "person": "P-2"},
        {"photo": "obama.jpg", "person": "P-3"},
        {"photo": "wall.png", "person": "P-4"},
        {"photo": "couple.png", "person": "P-5"},
        {"photo": "blurred.png", "person": "P-6"},
        {"photo": "collins.jpg", "person": "P-7", "taken": "1999-01-02"},
        {"photo": "collins.jpg", "person": "P-8", "category": "other"},
        {"photo": "collins.jpg", "person": "P-9"},
        {"photo": "collins.jpg", "person": "P-10", "under_18": "yes"},
        {"photo": "gone.jpg", "person": "P-11"},
        {"photo": "collins.jpg", "person": "P-12"},
        {"photo": "obama2.jpg", "person": "P-12"},
    ]
    with (day.folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["photo", "person", "expires", *COLUMNS])
        writer.writeheader()
        writer.writerows({**COLUMNS, "expires": tomorrow, **row} for row in rows)
    line = "watchlist build manifest.csv --out list.lfrlist --profile van.toml --exclude exclude.csv --as"
    assert "list_built needs the role list-builder, and cem is reviewer" in day.do(f"{line} cem", code=2)
    assert "nothing was written" in day.do(f"{line} ben", code=1)
    assert not (day.folder / "list.lfrlist").exists()
    said = day.do(f"{line} ben --accept-rejections --verdicts verdicts.csv")
    assert "rows 2, root" in said
    verdicts = table(day.folder / "verdicts.csv")
    assert [(one["person"], one["code"]) for one in verdicts] == [
        ("P-1", "accepted"),
        ("P-2", "accepted"),
        ("P-3", "duplicate"),
        ("P-4", "no_face"),
        ("P-5", "several_faces"),
        ("P-6", "blurred"),
        ("P-7", "too_old"),
        ("P-8", "invalid"),
        ("P-9", "excluded"),
        ("P-10", "invalid"),
        ("P-11", "unreadable"),
        ("P-12", "self_outlier"),
        ("P-12", "self_outlier"),
    ]
    return verdicts[0]["entry"]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def blank(path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    np = pytest.importorskip("numpy")
    assert cv2.imwrite(str(path), np.full((400, 400, 3), 128, np.uint8))


def two_faces(path: Path, *portraits: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    np = pytest.importorskip("numpy")
    pictures = [cv2.resize(cv2.imread(str(one)), (480, 600)) for one in portraits]
    assert cv2.imwrite(str(path), np.hstack(pictures))


def blurred(path: Path, portrait: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    picture = cv2.imread(str(portrait))
    side = max(picture.shape) // 25
    assert cv2.imwrite(str(path), cv2.blur(picture, (side, side)))


def authorise(day: Day) -> None:
    """A dip sample, a review by somebody else, and an authority that is signed with exactly this."""
    now = dt.datetime.now(dt.UTC)
    starts, ends = (now + dt.timedelta(minutes=minutes) for minutes in (-1, 30))
    text = AUTHORITY.replace("STARTS", f"{starts:%Y-%m-%dT%H:%M:%SZ}").replace("ENDS", f"{ends:%Y-%m-%dT%H:%M:%SZ}")
    day.write("authority.toml", text)
    line = "authorise authority.toml --profile van.toml --as ada"
    assert "nobody has reviewed it" in day.do(line, code=2)
    day.do("watchlist sample list.lfrlist --n 2 --sheet sheet.csv --as fay")
    sheet = table(day.folder / "sheet.csv")
    with (day.folder / "sheet.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(sheet[0]))
        writer.writeheader()
        writer.writerows({**row, "finding": "ok"} for row in sheet)
    assert "rows checked 2 of 2; ok 2" in day.do("watchlist sample list.lfrlist --findings sheet.csv --as fay")
    assert "list_reviewed needs the role reviewer" in day.do("watchlist review list.lfrlist --yes --as ben", code=2)
    assert "reviewed by cem" in day.do("watchlist review list.lfrlist --yes --as cem")
    assert "it opens at this installation: rows 2" in day.do("watchlist verify list.lfrlist")
    assert "no authority for this profile" in day.do("--profile van.toml --as dee", code=2)
    assert "authorised needs the role authoriser, and dee is operator" in day.do(line.replace("ada", "dee"), code=2)
    said = day.do(line)
    assert "authority EX/2026/17 is signed: deployment 1" in said
    assert "missing: refers to no equality assessment" in said
    assert "refers to no impact assessment" not in said
    assert "permit authority (EX/2026/17, deployment 1, pack street)" in day.do("check van.toml")


def run(day: Day, recalled: str) -> Process:
    """The kernel runs on a live camera, alerts, and an entry is recalled while it does."""
    running = day.start("--profile van.toml --as dee --json")
    running.wait_for('"started"')
    assert "another kernel runs on vault" in day.do("--profile van.toml --as dee", code=2)
    wait_for_alert(day, running, "P-1")
    assert not (day.folder / "list.lfrlist").exists(), "the sealed list was taken into the vault"
    assert (day.folder / "vault/keys/deployment-000001.key").exists()
    day.do(f"watchlist recall {recalled} --deployment 1 --reason found --as dee --text", "he was at the desk")
    running.wait_for('"entry_withdrawn"')
    return running


def wait_for_alert(day: Day, running: Process, person: str) -> None:
    """Wait until the sink has an alert of a person: the run says nothing of it, and goes on."""
    alerts = day.folder / "alerts.jsonl"
    deadline = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=60)
    while not (alerts.exists() and person in alerts.read_text(encoding="utf-8")):
        assert running.popen.poll() is None, running.result()
        assert dt.datetime.now(dt.UTC) < deadline, f"no alert of {person} came within a minute"


def close(day: Day, running: Process) -> None:
    """The deployment is ended, and the running kernel wipes the list and ends."""
    said = day.do("authority close 1 --as dee --text", "the street was empty")
    assert "the kernel that runs on this vault wipes its list now" in said
    result = running.result()
    assert result.code == 0, result.err
    assert '"list_wiped"' in result.err
    summary = result.json
    assert summary["ended"] == "authority_ended"
    assert summary["authority"]["is_wiped"]
    assert summary["authority"]["deployment"] == 1
    assert any("equality assessment" in one for one in summary["authority"]["warnings"])
    assert summary["biometric_residency_ms"]["over_bound"] == 0
    passages = summary["passages"]
    assert passages["seen"] == passages["alerted"] + passages["not_matched"] + sum(passages["lost"].values())
    for gone in ("vault/keys/deployment-000001.key", "vault/deployments/000001", "list.lfrlist"):
        assert not (day.folder / gone).exists()
    assert "no authority for this profile" in day.do("--profile van.toml --as dee", code=2)
    assert "its id never opens again" in day.do("authorise authority.toml --profile van.toml --as ada", code=2)


def account(day: Day) -> None:
    """What is left: a receipt, a log that an outsider can verify, and nothing of anybody."""
    said = day.do("authority receipt 1 --out receipt.json")
    assert "2 entries, 1 of them withdrawn before the end" in said
    shown = json.loads(day._lfr("installation", "show", "vault", "--json").out)
    envelope = msgspec.json.decode((day.folder / "receipt.json").read_bytes(), type=Envelope)
    receipt = verify(envelope, RECEIPT, WipeReceipt, [bytes.fromhex(shown["installation"]["signing"])])
    assert (receipt.entries, receipt.withdrawn, receipt.ending, receipt.why) == (2, 1, "completed", "closed")
    assert [step for step, _ in receipt.steps] == [
        "key_destroyed",
        "memory_cleared",
        "files_removed",
        "database_compacted",
        "receipt_signed",
    ]
    assert [at for _, at in receipt.steps] == sorted(at for _, at in receipt.steps)
    assert len(set(receipt.commitments)) == 2
    assert receipt.passages_seen > 0
    day.do("audit export log.jsonl")
    acts = [msgspec.json.decode(json.loads(one)["body"]) for one in (day.folder / "log.jsonl").read_text().splitlines()]
    # How many alerts there were, and how often a sink acknowledged one, is another matter.
    order = [one["act"] for one in acts if not one["act"].startswith(("session_", "alert_"))]
    assert {"alert_raised", "alert_delivered"} <= {one["act"] for one in acts}
    assert order == [
        "founded",
        "list_built",
        "list_consulted",
        "list_sampled",
        "list_consulted",
        "list_reviewed",
        "authorised",
        "deployment_opened",
        "checkpoint",
        "capture_started",
        "basis_judged",
        "entry_recalled",
        "authority_closed",
        "capture_stopped",
        "wiped",
        "checkpoint",
    ]
    assert is_withdrawn_within_a_second(day, acts)
    key = re.findall(r"[0-9a-f]{64}", (day.folder / "org/organisation.pub").read_text(encoding="utf-8"))[0]
    # With nothing but Python and `cryptography`: the verifier's own file, out of reach of this project.
    alone = shutil.copy(str(verifier.__file__), day.folder / "verifier.py")
    for anchors, code, verdict in (
        (["--anchors", "anchors.txt"], 0, f"proved up to anchor 2 (entry {len(acts)}"),
        ([], 0, "self-consistent only"),
    ):
        found = subprocess.run(  # noqa: S603  (a file of ours)
            [sys.executable, "-I", str(alone), "log.jsonl", "--root", key, *anchors],
            cwd=day.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert found.returncode == code, found.stdout + found.stderr
        assert verdict in found.stdout
    lines = (day.folder / "log.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (day.folder / "cut.jsonl").write_text("".join(lines[:-3]), encoding="utf-8")
    assert "the log ends at" in day.do("audit verify cut.jsonl --anchors anchors.txt", code=1)


def is_withdrawn_within_a_second(day: Day, acts: list[dict[str, Any]]) -> bool:
    """Compare the act of the recall with what the kernel logged when the entry had left the index."""
    (act,) = (one for one in acts if one["act"] == "entry_recalled")
    (line,) = (one for one in day.log if '"entry_withdrawn"' in one)
    gone = dt.datetime.fromisoformat(json.loads(line)["timestamp"])
    recalled = dt.datetime.fromisoformat(act["at"][:26] + "+00:00")
    return dt.timedelta(0) < gone - recalled < dt.timedelta(seconds=1)
