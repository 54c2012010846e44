"""What a process that died leaves beside the file that it was writing, and of a list that it was destroying."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from governance.lists.support import BUILDER, a_list, a_row
from governance.vaults import Clocks
from lfr_kernel.governance.deployment.register import Deployment, counted
from lfr_kernel.governance.deployment.wiping import remove_source
from lfr_kernel.governance.keys.files import clear_left_over, write_whole
from lfr_kernel.governance.keys.signing import sign
from lfr_kernel.governance.lists.framing import MAGIC
from lfr_kernel.governance.standing import Ending, Stage, Term

if TYPE_CHECKING:
    from pathlib import Path

    from lfr_kernel.governance.lists.file import ListFile

needs_posix = pytest.mark.skipif(os.name != "posix", reason="elsewhere nobody can ask whether a process lives")


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@needs_posix
def test_whoever_writes_a_file_again_removes_what_the_dead_left_beside_it(tmp_path: Path, dead: int) -> None:
    left, other = tmp_path / f".sheet.csv.{dead}.tmp", tmp_path / f".other.csv.{dead}.tmp"
    for path in (left, other):
        path.write_bytes(b"somebody")
    write_whole(tmp_path / "sheet.csv", b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, "sheet.csv"]


@needs_posix
def test_what_is_left_over_is_overwritten_before_it_is_removed(tmp_path: Path, dead: int) -> None:
    left = tmp_path / f".a.key.{dead}.tmp"
    left.write_bytes(b"secret")
    os.link(left, tmp_path / "seen")
    clear_left_over(tmp_path)
    assert not left.exists()
    assert (tmp_path / "seen").read_bytes() == bytes(6)


@needs_posix
def test_what_the_living_write_and_what_is_no_draft_is_left_alone(tmp_path: Path, dead: int) -> None:
    names = [f".a.key.{os.getpid()}.tmp", ".a.key.tmp", f".a.key.{dead}.tmp.bak", f"a.key.{dead}.tmp", ".a.key.x.tmp"]
    for name in names:
        (tmp_path / name).write_bytes(b"kept")
    clear_left_over(tmp_path)
    clear_left_over(tmp_path / "nowhere")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys(names, b"kept")


@needs_posix
def test_a_link_that_goes_by_such_a_name_is_not_followed(tmp_path: Path, dead: int) -> None:
    (tmp_path / "mine").write_bytes(b"kept")
    (tmp_path / f".a.key.{dead}.tmp").symlink_to(tmp_path / "mine")
    clear_left_over(tmp_path)
    assert (tmp_path / "mine").read_bytes() == b"kept"


@needs_posix
def test_what_somebody_else_left_is_left_to_them(tmp_path: Path, dead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = tmp_path / f".a.key.{dead}.tmp"
    theirs.write_bytes(b"kept")
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (theirs, os.W_OK))
    clear_left_over(tmp_path)
    assert theirs.read_bytes() == b"kept"


@pytest.fixture
def listed(tmp_path: Path) -> ListFile:
    return a_list(tmp_path / "list.lfrlist", [a_row("ada")])


def a_deployment(listed: ListFile) -> Deployment:
    return Deployment(
        serial=1,
        authority="EX/1",
        list=listed.header.id,
        root=listed.header.root,
        stage=Stage.ENDING,
        envelope=sign("authority", {}, BUILDER),
        term=Term(starts_ns=0, ends_ns=1, anchored=Clocks()()),
        source=str(listed.path),
    )


@pytest.mark.parametrize("zeros", [0, len(MAGIC), 1000, None])
def test_a_sealed_list_whose_destruction_was_broken_off_is_removed_as_a_whole_one_is(
    zeros: int | None, listed: ListFile
) -> None:
    whole = listed.path.read_bytes()
    done = len(whole) if zeros is None else zeros
    listed.path.write_bytes(bytes(done) + whole[done:])
    remove_source(a_deployment(listed))
    assert not listed.path.exists()


def test_another_file_that_took_the_place_of_a_list_stays(tmp_path: Path, listed: ListFile) -> None:
    deployment = a_deployment(listed)
    listed.path.write_text("notes", encoding="utf-8")
    remove_source(deployment)
    assert listed.path.read_text(encoding="utf-8") == "notes"
    other = a_list(tmp_path / "other.lfrlist", [a_row("bob")])
    other.path.replace(listed.path)
    remove_source(deployment)
    assert listed.path.exists()


@pytest.mark.parametrize(
    ("before", "seen", "after"),
    [
        (Ending.EMPTY, 2, Ending.COMPLETED),
        (Ending.EMPTY, 0, Ending.EMPTY),
        (Ending.REVOKED, 2, Ending.REVOKED),
        (None, 2, None),
    ],
)
def test_a_run_that_is_ended_by_another_process_says_afterwards_whether_it_saw_anybody(
    before: Ending | None, seen: int, after: Ending | None, listed: ListFile
) -> None:
    ended = structs.replace(a_deployment(listed), ending=before)
    found = counted(ended, seen=seen, alerts=1, lost={})
    assert (found.ending, found.seen, found.alerts) == (after, seen, 1)
