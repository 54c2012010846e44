"""The stand-alone verifier: what was tampered with is found and located; what was not is not accused."""

from __future__ import annotations

import ast
import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from governance.logbook import INSTALLATION, Logbook, body_of, changed, line_of, signed_anew
from lfr_kernel.governance.audit import verifier
from lfr_kernel.governance.audit.export import export
from lfr_kernel.governance.audit.verifier import Result, verify
from lfr_kernel.governance.keys.signing import KeySigner, sign
from lfr_kernel.governance.people.roles import ACTS, MACHINE_ACTS

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(verifier.__file__)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Logbook]:
    made = Logbook(tmp_path)
    yield made
    made.database.close()


def check(log: Logbook, lines: list[str] | None = None, *anchors: str) -> Result:
    return verify(log.lines() if lines is None else lines, list(anchors), log.root)


def ten_entries(log: Logbook) -> tuple[list[str], list[str]]:
    """1 founded, 2-4 tested, 5 checkpoint and anchor, 6-8 tested, 9 checkpoint and anchor, 10 tested."""
    anchors = []
    for count in (3, 3):
        for _ in range(count):
            log.act(facts={"count": 7})
        anchors.append(log.anchor().line)
    log.act()
    return log.lines(), anchors


def test_it_is_short_and_needs_only_python_and_cryptography() -> None:
    text = SOURCE.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 200
    tree = ast.parse(text)
    imported = {(one.module or "").split(".")[0] for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)}
    imported |= {alias.name for one in ast.walk(tree) if isinstance(one, ast.Import) for alias in one.names}
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}


def test_a_log_that_nobody_touched_is_proved_up_to_the_last_anchor(log: Logbook) -> None:
    lines, anchors = ten_entries(log)
    result = check(log, lines, *anchors)
    at = body_of(lines[8])["at"]
    assert result.findings == []
    assert result.verdict == f"proved up to anchor 2 (entry 9, {at}); later entries are only self-consistent"
    assert (result.entries, result.proved_entry, result.organisation) == (10, 9, log.root)
    assert result.head == log.database.head()[1]


def test_without_later_entries_it_says_so(log: Logbook) -> None:
    assert check(log, None, log.anchor().line).verdict.endswith("; there are no later entries")


def test_without_anchors_a_log_is_self_consistent_only(log: Logbook) -> None:
    assert check(log).verdict == "self-consistent only: no anchors given"


def test_without_a_root_it_says_whose_key_the_log_claims(log: Logbook) -> None:
    result = verify(log.lines(), [], None)
    assert result.notes[1] == (
        f"organisation {log.root} (as the log claims: compare it with the key that you know, or give --root)"
    )
    assert check(log).notes[1] == f"organisation {log.root} (as given)"


def test_another_organisation_than_the_one_that_was_given(log: Logbook) -> None:
    other = "ab" * 32
    (finding,) = verify(log.lines(), [], other).findings
    assert finding == (
        "bad signature at entry 1, or it was changed (founded by installation: it is of organisation "
        f"{log.root}, not of {other})"
    )


def test_an_empty_log_is_not_whole(log: Logbook) -> None:
    assert check(log, []).findings == ["there is no entry"]


@pytest.mark.parametrize("number", [2, 4, 7, 8])
def test_a_changed_entry(log: Logbook, number: int) -> None:
    lines, anchors = ten_entries(log)
    lines[number - 1] = changed(lines[number - 1], '"count":7', '"count":8')
    found = check(log, lines).findings
    assert found == [f"changed: entry {number} (capture_started by installation: it does not hold)"]
    saw = [one for one in check(log, lines, *anchors).findings if "anchor" in one]
    assert saw == []  # both anchored entries are as they were: it is the link that broke


def test_the_last_entry_changed(log: Logbook) -> None:
    lines, _ = ten_entries(log)
    lines[9] = changed(lines[9], '"act":"capture_started"', '"act":"capture_stopped"')
    (finding,) = check(log, lines).findings
    assert finding == "bad signature at entry 10, or it was changed (capture_stopped by installation: it does not hold)"


def test_one_bit_of_a_signature(log: Logbook) -> None:
    lines, _ = ten_entries(log)
    at = lines[3].index('"sig": "') + 10
    lines[3] = lines[3][:at] + ("A" if lines[3][at] != "A" else "B") + lines[3][at + 1 :]
    (finding,) = check(log, lines).findings
    assert finding == "bad signature at entry 4 (capture_started by installation: it does not hold)"


def test_a_removed_entry(log: Logbook) -> None:
    lines, _ = ten_entries(log)
    assert check(log, lines[:6] + lines[7:]).findings == ["missing: entry 7"]
    assert check(log, lines[:5] + lines[8:]).findings == ["missing: entry 6 to 8"]


def test_the_first_entry_removed_leaves_nobody_who_may_sign(log: Logbook) -> None:
    lines, _ = ten_entries(log)
    assert check(log, lines[1:]).findings[:2] == [
        "missing: entry 1",
        f"bad signature at entry 2 (capture_started by installation: key {body_of(lines[1])['key']} may not sign it)",
    ]


def test_swapped_entries(log: Logbook) -> None:
    lines, _ = ten_entries(log)
    lines[5], lines[6] = lines[6], lines[5]
    assert check(log, lines).findings == ["out of order: entry 6 comes after entry 7"]


def test_an_entry_that_is_there_twice(log: Logbook) -> None:
    lines, _ = ten_entries(log)
    assert check(log, [*lines[:3], lines[2], *lines[3:]]).findings == ["out of order: entry 3 comes after entry 3"]


def test_an_inserted_entry(log: Logbook) -> None:
    lines, _ = ten_entries(log)
    forged = signed_anew([*lines[:3], lines[2]], log.machine)[3]
    found = check(log, [*lines[:3], forged, *lines[3:]]).findings
    assert "out of order: entry 4 comes after entry 4" in found


def test_two_entries_exchanged_by_whoever_can_sign_them(log: Logbook) -> None:
    lines, _ = ten_entries(log)
    lines[6] = signed_anew([*lines[:6], changed(lines[6], '"count":7', '"count":9')], log.machine)[6]
    assert check(log, lines).findings == ["entry 8 does not follow entry 7: one of the two was exchanged"]


def test_a_log_cut_short_is_found_by_an_anchor_only(log: Logbook) -> None:
    lines, anchors = ten_entries(log)
    assert check(log, lines[:7]).findings == []
    result = check(log, lines[:7], *anchors)
    assert result.findings == ["anchor 2 says entry 9 existed, the log ends at 7: cut short, or put back"]
    assert result.proved_entry == 0
    assert result.verdict == "NOT PROVED: 1 finding"


def test_a_log_put_back_and_continued_is_found_by_an_anchor(log: Logbook) -> None:
    lines, anchors = ten_entries(log)
    shorter = [line for line in lines[:8] if body_of(line)["act"] != "checkpoint"]
    again = signed_anew([*shorter, *([lines[1]] * 5)], log.machine)
    assert check(log, again).findings == []  # whoever holds the key may write a log; this is not that log
    found = check(log, again, *anchors).findings
    assert found == [
        "entry 5 is not the one that anchor 1 saw: something at or before it was rewritten",
        "entry 9 is not the one that anchor 2 saw: something at or before it was rewritten",
    ]


def test_rewriting_between_two_anchors_is_located_between_them(log: Logbook) -> None:
    lines, anchors = ten_entries(log)
    again = signed_anew([*lines[:6], changed(lines[6], '"count":7', '"count":9'), *lines[7:]], log.machine)
    found = check(log, again, *anchors).findings
    assert found[-1] == (
        "entry 9 is not the one that anchor 2 saw: something at or before it, and after anchor 1, was rewritten"
    )


def test_a_stolen_installation_key_cannot_sign_a_past_checkpoint(log: Logbook) -> None:
    lines, _ = ten_entries(log)
    again = signed_anew([lines[0], changed(lines[1], '"count":7', '"count":9'), *lines[2:]], log.machine)
    assert check(log, again).findings == [
        "bad signature at entry 5 (checkpoint by checkpoint: it does not hold)",
        "bad signature at entry 9 (checkpoint by checkpoint: expected checkpoint 1, got 2)",
    ]


def test_a_checkpoint_by_the_installation_is_none(log: Logbook) -> None:
    log.act("checkpoint", facts={"checkpoint": 1, "next": log.machine.public.hex()})
    (finding,) = check(log).findings
    assert "checkpoint by installation: key" in finding
    assert "may not sign it" in finding


def test_a_copy_that_was_cut_short_is_told_from_tampering(log: Logbook) -> None:
    lines, _ = ten_entries(log)
    (finding,) = check(log, [*lines[:9], lines[9][:40]]).findings
    assert finding == "line 10 is incomplete: export it again"
    damaged = [*lines[:8], lines[8][:40] + "\n", lines[9]]
    assert check(log, damaged).findings == ["line 9 is no entry: changed or damaged", "missing: entry 9"]


def test_acts_in_a_session(log: Logbook) -> None:
    ada = log.session("ada")
    log.act("authorised", ada, reason="planned")
    assert check(log).findings == []


def test_a_session_key_signs_nothing_before_or_after_its_time(log: Logbook) -> None:
    ada = log.session("ada", hours=1)
    log.clock.utc_ns += 3600 * 10**9
    log.act("authorised", ada)
    (finding,) = check(log).findings
    assert finding.startswith("bad signature at entry 3, or it was changed (authorised by person ada: the session was")


def test_a_session_that_somebody_else_certified(log: Logbook) -> None:
    log.session("ada", by=log.people["bob"])
    (finding,) = check(log).findings
    assert f"its session-certificate is not signed by {log.people['ada'].public.hex()}" in finding


def test_a_session_of_another_installation(log: Logbook) -> None:
    log.session("ada", installation="van-8")
    (finding,) = check(log).findings
    assert "the session of ada is for installation van-8" in finding


def test_a_session_key_under_another_name(log: Logbook) -> None:
    ada = log.session("ada")
    ada.name = "person bob"
    log.act("authorised", ada)
    (finding,) = check(log).findings
    assert "authorised by person bob: key" in finding


def test_nobody_signs_after_being_revoked(log: Logbook) -> None:
    ada = log.session("ada")
    log.act("authorised", ada)
    log.act("roster_installed", facts={"roster": log.roster(ada={"revoked": "2026-03-01T10:00:00Z"})})
    assert check(log).findings == []
    log.act("authorised", ada)
    (finding,) = check(log).findings
    assert finding.endswith(
        "(authorised by person ada: ada was not in force by roster 2: revoked 2026-03-01T10:00:00Z)"
    )


def test_nobody_who_has_expired_or_was_never_there_starts_a_session(log: Logbook) -> None:
    log.act("roster_installed", facts={"roster": log.roster(ada={"expires": "2026-03-01T10:00:01Z"})})
    log.session("ada")
    log.people["eve"] = KeySigner("person eve", os.urandom(32))
    log.session("eve")
    expired, unknown = check(log).findings
    assert "ada was not in force by roster 2: expires 2026-03-01T10:00:01Z" in expired
    assert "eve was not in force by roster 2: not in it" in unknown


def test_roster_numbers_only_rise(log: Logbook) -> None:
    log.act("roster_installed", facts={"roster": log.roster(5)})
    log.act("roster_installed", facts={"roster": log.roster(5)})
    (finding,) = check(log).findings
    assert "roster 5 was installed after roster 5" in finding


def test_a_roster_by_anybody_but_the_organisation(log: Logbook) -> None:
    forged = sign("roster", {"number": 2, "people": []}, log.machine)
    log.act("roster_installed", facts={"roster": forged})
    (finding,) = check(log).findings
    assert f"its roster is not signed by {log.root}" in finding


def test_a_statement_signed_for_another_purpose_is_no_roster(log: Logbook) -> None:
    log.act("roster_installed", facts={"roster": sign("packs", {"number": 2, "people": []}, log.organisation)})
    assert "its roster is not signed by" in check(log).findings[0]


@pytest.mark.parametrize(
    ("fact", "kind"), [("certificate", "installation-certificate"), ("roster", "roster"), ("packs", "packs")]
)
def test_what_a_log_is_founded_on_is_signed_by_the_organisation(log: Logbook, fact: str, kind: str) -> None:
    outer = json.loads(log.lines()[0])
    body = json.loads(outer["body"])
    statement = json.loads(base64.b64decode(body["facts"][fact]["payload"]))
    body["facts"][fact] = msgspec.to_builtins(sign(kind, statement, log.machine))
    forged = signed_anew([line_of(json.dumps(body), outer["sig"])], log.machine)
    (finding,) = check(log, forged).findings
    assert f"its {kind} is not signed by {log.root}" in finding


def test_a_log_is_founded_once(log: Logbook) -> None:
    log.act("founded", facts=body_of(log.lines()[0])["facts"])
    assert "`founded` is entry 1, and no other is" in check(log).findings[0]


ALONE = {act: str(next(iter(roles))) for act, roles in ACTS.items() if len(roles) == 1}
"""Acts that take one certain role."""


def test_its_table_of_signers_is_that_of_the_roles() -> None:
    machine = dict.fromkeys(MACHINE_ACTS, "installation")
    # What the organisation signed may be put in by anybody: its signature is what counts.
    signed = dict.fromkeys(("roster_installed", "packs_installed"), "anybody")
    assert {*signed, *ALONE} <= ACTS.keys()
    assert {**ALONE, **machine, **signed} == verifier.SIGNERS


@pytest.mark.parametrize("act", sorted(ACTS.keys() - {"roster_installed", "packs_installed", "session_started"}))
def test_the_installation_signs_no_act_of_a_person(log: Logbook, act: str) -> None:
    log.act(act)
    (finding,) = check(log).findings
    assert f"({act} by installation: key {body_of(log.lines()[-1])['key']} may not sign it)" in finding


@pytest.mark.parametrize("act", sorted(MACHINE_ACTS - {"founded"}))
def test_a_person_signs_no_act_of_the_installation(log: Logbook, act: str) -> None:
    log.act(act, log.session("ada"))
    (finding,) = check(log).findings
    assert f"({act} by person ada: ada ended it, has another key by now, or not the role installation)" in finding


@pytest.mark.parametrize(("act", "role"), sorted(ALONE.items()))
def test_an_act_that_takes_a_role_is_by_somebody_who_has_it(log: Logbook, act: str, role: str) -> None:
    others = [one for one in ("list-builder", "reviewer", "authoriser", "operator", "auditor") if one != role]
    log.act("roster_installed", facts={"roster": log.roster(ada={"roles": others}, bob={"roles": [role]})})
    ada, bob = log.session("ada"), log.session("bob")
    log.act(act, bob)
    assert check(log).findings == []
    log.act(act, ada)
    (finding,) = check(log).findings
    assert finding.endswith(f"({act} by person ada: ada ended it, has another key by now, or not the role {role})")


def test_packs_that_are_put_in_are_signed_by_the_organisation(log: Logbook) -> None:
    ada = log.session("ada")
    log.act("packs_installed", ada, facts={"packs": sign("packs", {"demo": "1" * 64}, log.organisation)})
    assert check(log).findings == []
    log.act("packs_installed", ada, facts={"packs": sign("packs", {"demo": "2" * 64}, ada)})
    (finding,) = check(log).findings
    assert f"(packs_installed by person ada: its packs is not signed by {log.root})" in finding


def test_a_session_signs_nothing_after_its_end_and_is_not_started_again(log: Logbook) -> None:
    ada = log.session("ada")
    start = body_of(log.lines()[-1])["facts"]
    log.act("authorised", ada)
    log.act("session_ended", ada)
    assert check(log).findings == []
    log.act("authorised", ada)
    (finding,) = check(log).findings
    assert "(authorised by person ada: ada ended it, has another key by now, or not the role authoriser)" in finding
    log.act("session_started", ada, facts=start)
    log.act("authorised", ada)
    assert len(check(log).findings) == 3


def test_somebody_elses_end_is_not_ones_own(log: Logbook) -> None:
    ada, bob = log.session("ada"), log.session("bob")
    log.act("session_ended", bob)
    log.act("authorised", ada)
    log.act("authorised", log.session("bob"))
    assert check(log).findings == []


def test_a_session_that_a_key_certified_which_was_replaced_signs_nothing_more(log: Logbook) -> None:
    ada = log.session("ada")
    log.people["ada"] = KeySigner("person ada", os.urandom(32))
    log.act("roster_installed", facts={"roster": log.roster()})
    log.act("authorised", log.session("ada"))
    assert check(log).findings == []
    log.act("authorised", ada)
    (finding,) = check(log).findings
    assert finding.endswith(
        "(authorised by person ada: ada ended it, has another key by now, or not the role authoriser)"
    )


def test_an_anchor_of_another_installation_and_one_that_cannot_be_read(log: Logbook) -> None:
    line = log.anchor().line
    found = check(log, None, line.replace(INSTALLATION, "van-8"), "", "lfr-anchor 2").findings
    assert found == ["anchor 2 cannot be read", "anchor 1 is of installation van-8, the log of van-7"]


@pytest.mark.parametrize(
    "line",
    [
        "[]\n",
        "7\n",
        '{"body": "[]", "sig": ""}\n',
        '{"body": "{\\"n\\": 0}", "sig": ""}\n',
        '{"body": "{\\"n\\": 1e999}", "sig": ""}\n',
        '{"body": "{\\"n\\": 1000000000000, \\"act\\": []}", "sig": "AA=="}\n',
        '{"body": "{\\"n\\": 2, \\"act\\": \\"checkpoint\\", \\"key\\": []}", "sig": ""}\n',
        "[" * 100_000 + "\n",
    ],
)
def test_whatever_is_in_a_file_is_a_finding_and_no_traceback(log: Logbook, line: str) -> None:
    assert check(log, [*log.lines(), line]).findings
    assert check(log, [line]).findings


def test_as_a_script_it_needs_nothing_of_ours(log: Logbook, tmp_path: Path) -> None:
    _, anchors = ten_entries(log)
    export(log.database, tmp_path / "log.jsonl")
    (tmp_path / "anchors.txt").write_text("\n".join(anchors) + "\n", encoding="utf-8")
    alone = tmp_path / "verifier.py"
    alone.write_bytes(SOURCE.read_bytes())

    def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-P", str(alone), *arguments]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        ran = subprocess.run(  # noqa: S603  (our own script)
            command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment
        )
        return ran.returncode, ran.stdout + ran.stderr

    code, text = run("log.jsonl", "--anchors", "anchors.txt", "--root", log.root)
    assert code == 0
    assert text.splitlines()[-1].startswith("proved up to anchor 2 (entry 9, 2026-03-01T10:00:09.")
    lines = (tmp_path / "log.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "cut.jsonl").write_text("".join(lines[:4]))
    code, text = run("cut.jsonl", "--anchors", "anchors.txt")
    assert code == 1
    assert "anchor 1 says entry 5 existed, the log ends at 4: cut short, or put back" in text
    assert run("none.jsonl")[0] == 2
