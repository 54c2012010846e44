"""`lfr-kernel audit`: what it shows, what it writes, and which exit code it ends with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from governance.logbook import INSTALLATION, Logbook, changed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from calling import Result


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Logbook]:
    made = Logbook(tmp_path)
    made.act("authorised", made.session("ada"), reason="planned", facts={"number": 3})
    yield made
    made.database.close()


def anchors_of(log: Logbook, path: Path) -> str:
    line = log.anchor().line
    path.write_text(f"{line}\n", encoding="utf-8")
    return line


def test_export_then_verify(log: Logbook, tmp_path: Path, lfr: Callable[..., Result]) -> None:
    anchors_of(log, tmp_path / "anchors.txt")
    out = tmp_path / "log.jsonl"
    exported = lfr("audit", "export", "--vault", tmp_path, out)
    assert (exported.code, exported.out) == (0, f"{out}: 4 entries\n")
    result = lfr("audit", "verify", out, "--anchors", tmp_path / "anchors.txt", "--root", log.root.upper())
    assert result.code == 0
    assert result.out.splitlines() == [
        f"4 entries, 1 checkpoints, head {log.database.head()[1]}",
        f"organisation {log.root} (as given)",
        "proved up to anchor 1 (entry 4, 2026-03-01T10:00:04.000000000Z); there are no later entries",
    ]


def test_a_database_is_verified_as_it_lies_there(log: Logbook, tmp_path: Path, lfr: Callable[..., Result]) -> None:
    before = {path: path.read_bytes() for path in tmp_path.glob("vault.db*") if not path.name.endswith("-shm")}
    result = lfr("audit", "verify", log.database.path)
    assert result.code == 0
    assert result.out.splitlines()[-1] == "self-consistent only: no anchors given"
    assert {path: path.read_bytes() for path in before} == before


def test_a_log_that_was_tampered_with(log: Logbook, tmp_path: Path, lfr: Callable[..., Result]) -> None:
    lines = log.lines()
    lines[2] = changed(lines[2], '"number":3', '"number":4')
    path = tmp_path / "log.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    result = lfr("audit", "verify", path)
    assert result.code == 1
    assert result.out.splitlines()[2:] == [
        "bad signature at entry 3, or it was changed (authorised by person ada: it does not hold)",
        "NOT PROVED: 1 finding",
    ]
    answer = lfr("audit", "verify", path, "--json")
    assert answer.code == 1
    found = json.loads(answer.out)
    assert (found["entries"], found["proved_entry"], len(found["findings"])) == (3, 0, 1)
    assert found["organisation"] == log.root


def test_what_cannot_be_verified_is_wrong_usage(log: Logbook, tmp_path: Path, lfr: Callable[..., Result]) -> None:
    missing = lfr("audit", "verify", tmp_path / "none.jsonl")
    assert missing.code == 2
    assert "cannot be read: No such file or directory; expected an export, a vault's database, or printed" in " ".join(
        missing.err.split()
    )
    assert lfr("audit", "verify", log.database.path, "--anchors", tmp_path / "none.txt").code == 2
    wrong = lfr("audit", "verify", log.database.path, "--root", "ab")
    assert (wrong.code, "expected 64 hexadecimal digits, got 'ab'" in wrong.err) == (2, True)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    assert lfr("audit", "verify", binary).code == 2


def test_a_vault_that_is_not_there(tmp_path: Path, lfr: Callable[..., Result]) -> None:
    nowhere = lfr("audit", "show", "--vault", tmp_path / "none")
    assert nowhere.code == 2
    assert "expected the folder of a vault, found none" in " ".join(nowhere.err.split())
    empty = lfr("audit", "show", "--vault", tmp_path)
    assert empty.code == 1
    assert "vault.db: expected a vault's database: No such file or directory" in empty.err


def test_show(log: Logbook, tmp_path: Path, lfr: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert log
    result = lfr("audit", "show", "--vault", tmp_path, "--last", 2)
    assert result.code == 0
    rows = [line.split() for line in result.out.splitlines()]
    assert rows == [
        ["entry", "time", "(UTC)", "act"],
        ["2", "2026-03-01", "10:00:02", "session_started", "by", "person", "ada"],
        ["certificate"],
        ["3", "2026-03-01", "10:00:03", "authorised", "by", "person", "ada,", "planned"],
        ["number", "3"],
    ]


def test_show_for_machines(log: Logbook, tmp_path: Path, lfr: Callable[..., Result]) -> None:
    found = json.loads(lfr("audit", "show", "--vault", tmp_path, "--last", 1, "--json").out)
    assert [(one["n"], one["act"], one["digest"]) for one in found] == [(3, "authorised", log.database.head()[1])]


def test_show_steers_no_terminal(log: Logbook, tmp_path: Path, lfr: Callable[..., Result]) -> None:
    log.act(facts={"name": "\x1b[2Jgone"})
    assert "\x1b" not in lfr("audit", "show", "--vault", tmp_path).out


def test_anchor_prints_the_head_and_writes_nothing(log: Logbook, tmp_path: Path, lfr: Callable[..., Result]) -> None:
    number, head = log.database.head()
    line = f"lfr-anchor 1 {INSTALLATION} {number} {head} 2026-03-01T10:00:03.000000000Z"
    assert lfr("audit", "anchor", "--vault", tmp_path) == (0, f"{line}\n", "")
    drawn = lfr("audit", "anchor", "--vault", tmp_path, "--qr").out
    assert drawn.startswith(f"{line}\n")
    assert len(drawn.splitlines()) > 20
    assert log.database.head() == (number, head)


def test_the_help_says_what_a_log_alone_proves(lfr: Callable[..., Result]) -> None:
    text = " ".join(lfr("audit", "--help").out.split())
    assert "The log proves nothing to anybody who has only the log" in text
    for name in ("export", "verify", "show", "anchor"):
        assert lfr("audit", name, "--help").code == 0
