"""A whole deployment on one machine, through the public commands: whoever needs one, or a part of one, calls this.

The organisation, its people, the vault, the pack, the profile and the manifest lie in one folder, and every path in
them is relative: a copy of the folder is another deployment. The models are the external plugin's, the camera is live.
"""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import importlib
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import msgspec
import numpy as np

from lfr_kernel.cli import main
from lfr_kernel.governance.rules import built_in_packs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

TESTS = Path(__file__).resolve().parent.parent
EXTERNAL = TESTS / "external_plugin"
ROLES = {"ada": "authoriser", "bob": "list-builder", "carl": "reviewer", "dora": "operator"}
LISTED = ("board", "other", "third")
"""The photographs; the camera shows the first one."""
PROFILE = """
name = "van"
permit = "authority"
[[cameras]]
name = "gate"
plugin = "liveboard"
[watchlist]
file = "list.lfrlist"
threshold = 0.62
gates = { min_openness = 0 }
[detector]
plugin = "middle"
[embedder]
plugin = "thumbnail"
[tracker]
options = { min_sharpness = 0 }
[governance]
vault = "vault"
pack = "./pack.toml"
start = "sealed"
[[anchors]]
plugin = "file"
options = { path = "anchors.txt" }
[[sinks]]
plugin = "jsonl"
details = true
options = { path = "alerts.jsonl" }
[[sinks]]
name = "bare"
plugin = "jsonl"
options = { path = "notices.jsonl" }
"""
AUTHORITY = """
id = "TEST/1"
purpose = "to show every step"
legal_basis = "common-law"
place = "a test"
place_grounds = "nobody is there"
starts = {starts}
ends = {ends}
criteria = "boards"
categories = ["wanted-court"]
cameras = ["gate"]
threshold = 0.62
contact = "nobody"
assembly = false
authorising_officer = "Ada"
"""


class Called(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def call(*arguments: object) -> Called:
    """Call `lfr-kernel` in this process."""
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(one) for one in arguments])
        except SystemExit as ended:
            code = ended.code
    return Called(int(code or 0), out.getvalue(), err.getvalue())


def done(*arguments: object) -> str:
    """Call `lfr-kernel`, which is to succeed; return its standard output."""
    called = call(*arguments)
    if called.code:
        raise AssertionError(f"{' '.join(map(str, arguments))}: exit code {called.code}\n{called.out}{called.err}")
    return called.out


def search_path(site: Path) -> list[Path]:
    """Install the plugins into a folder; return what has to be on the module search path to find them."""
    site.mkdir(exist_ok=True)
    for name, module in (("lfr-checkerboard", "lfr_checkerboard"), ("lfr-liveboard", "governance.liveboard")):
        info = site / f"{module}-0.1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[lfr_kernel.plugins]\n{name} = {module}\n", encoding="utf-8")
    return [site, EXTERNAL, TESTS]


@contextlib.contextmanager
def plugins_at(site: Path) -> Iterator[None]:
    """Have the plugins of `search_path` found by this process."""
    before = list(sys.path)
    sys.path[:0] = map(str, search_path(site))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Work in a folder, at its vault."""
    with contextlib.chdir(folder):
        before = os.environ.get("LFR_VAULT")
        os.environ["LFR_VAULT"] = "vault"
        try:
            yield
        finally:
            if before is None:
                del os.environ["LFR_VAULT"]
            else:
                os.environ["LFR_VAULT"] = before


def prepare(passphrase: str, cells: Mapping[str, Mapping[str, str]]) -> None:
    """Make organisation, people, vault, pack, profile and manifest in the folder of work, and put all on shift.

    Args:
        passphrase: of everybody.
        cells: what the manifest says of each of `LISTED`, where it is not what it says by itself.
    """
    secret = Path("pass")
    secret.write_text(f"{passphrase}\n", encoding="utf-8")
    secret.chmod(0o600)
    under = ("--passphrase-file", secret)
    root = ("--root", "org/organisation.key", *under)
    done("org", "init", "--out", "org", "--name", "Example Police", *under)
    Path("people").mkdir()
    people = []
    for name, role in ROLES.items():
        done("person", "new", name, "--out", f"people/{name}", *under)
        people.append(
            f'[[people]]\nname = "{name}"\nfile = "people/{name}.pub"\nroles = ["{role}"]\nexpires = {_days(99)}\n'
        )
    Path("roster.toml").write_text("number = 1\n" + "".join(people), encoding="utf-8")
    _write_pack(Path("pack.toml"))
    done("org", "roster", "roster.toml", "--out", "roster.json", *root)
    done("org", "packs", "./pack.toml", "--out", "packs.json", *root)
    done("installation", "new", "vault", "--name", "van-1")
    done("org", "certify", "vault/request.json", "--out", "certificate.json", *root)
    signed = ("--certificate", "certificate.json", "--roster", "roster.json", "--packs", "packs.json")
    done("installation", "found", "vault", *signed, "--root", "org/organisation.pub")
    for name in ROLES:
        done("session", "start", "--as", name, "--key", f"people/{name}.key", *under)
    Path("van.toml").write_text(PROFILE, encoding="utf-8")
    Path("authority.toml").write_text(AUTHORITY.format(starts=_days(-0.001), ends=_days(0.1)), encoding="utf-8")
    _write_manifest(Path("manifest.csv"), cells)


def _days(days: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _write_pack(path: Path) -> None:
    """A pack of the test's own: it asks for no report, a small sample, and no more of the machine than it offers."""
    text = built_in_packs()["uk-met"].read_text(encoding="utf-8")
    for old, new in (
        ('name = "uk-met"', 'name = "test-live"'),
        ("[rules.require_report]\nvalue = true", "[rules.require_report]\nvalue = false"),
        ("[rules.min_sample]\nvalue = 50", "[rules.min_sample]\nvalue = 2"),
        ("[rules.refuse_unencrypted_swap]\nvalue = true", "[rules.refuse_unencrypted_swap]\nvalue = false"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def _write_manifest(path: Path, cells: Mapping[str, Mapping[str, str]]) -> None:
    Path("photos").mkdir()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer: csv.DictWriter[str] | None = None
        for number, name in enumerate(LISTED):
            assert cv2.imwrite(f"photos/{name}.jpg", _photograph(number), [cv2.IMWRITE_JPEG_QUALITY, 90])
            row = {
                "photo": f"photos/{name}.jpg",
                "person": f"person-{name}",
                "category": "wanted-court",
                "legal_basis": "common-law",
                "source": "police-record",
                "lawfully_held": "yes: retained under section 64A",
                "conviction_status": "",
                "taken": _days(-9)[:10],
                "added_by": "bob",
                "reason": "warrant",
                "expires": _days(3)[:10],
                "under_18": "no",
                "vulnerable": "no",
                "higher_authority": "",
                "response": "say hello",
            }
            row |= cells.get(name, {})
            if writer is None:
                writer = csv.DictWriter(file, list(row))
                writer.writeheader()
            writer.writerow(row)


def _photograph(number: int) -> NDArray[np.uint8]:
    """Return the checkerboard for 0 and another pattern of squares for each other number, with some noise."""
    from lfr_checkerboard.camera import Checkerboard  # noqa: PLC0415  (once it can be found)
    from lfr_checkerboard.config import CheckerboardConfig  # noqa: PLC0415

    random = np.random.default_rng(number)
    if number:
        half = random.choice([60, 190], (12, 8)).repeat(20, axis=0).repeat(20, axis=1)
        grey = np.hstack((half, half[:, ::-1]))
    else:
        reading = Checkerboard(CheckerboardConfig()).read()
        assert reading is not None
        grey = reading.picture.rgb(*reading.picture.size)[..., 0].astype(np.int64)
    noisy = grey + random.integers(-8, 9, grey.shape)
    return np.repeat(noisy.astype(np.uint8)[..., None], 3, axis=2)


def build() -> dict[str, Any]:
    """Build the list; return what was said."""
    out = done(
        *("watchlist", "build", "manifest.csv", "--out", "list.lfrlist", "--profile", "van.toml", "--as", "bob"),
        *("--verdicts", "verdicts.csv", "--json"),
    )
    found: dict[str, Any] = msgspec.json.decode(out)
    return found


def sample() -> None:
    """Draw a sample, and find everything right."""
    done("watchlist", "sample", "list.lfrlist", "--n", 2, "--as", "carl", "--sheet", "sheet.csv")
    sheet = Path("sheet.csv")
    with sheet.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with sheet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "finding": "ok"} for row in rows)
    done("watchlist", "sample", "list.lfrlist", "--n", 2, "--as", "carl", "--findings", "sheet.csv")


def review() -> None:
    """Review the list."""
    done("watchlist", "review", "list.lfrlist", "--as", "carl", "--yes")


def authorise() -> None:
    """Sign the authority."""
    done("authorise", "authority.toml", "--profile", "van.toml", "--as", "ada")


def entries() -> dict[str, str]:
    """Return the ids of the entries, by photograph, as the verdicts have them."""
    with Path("verdicts.csv").open(encoding="utf-8", newline="") as file:
        return {Path(row["photo"]).stem: row["entry"] for row in csv.DictReader(file)}
