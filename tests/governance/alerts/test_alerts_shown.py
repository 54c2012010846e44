"""`lfr-kernel alerts list` and `show`: what people read in a terminal, what machines read, and what the log keeps."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import pytest
from msgspec import structs
from rich.cells import cell_len

from governance.alerts.support import RIGHT
from governance.alerts.terminal import Terminal
from governance.deployment.support import look
from governance.lists.support import a_row
from lfr_kernel.governance.alerts.purging import purge
from lfr_kernel.governance.alerts.vocabulary import Verdict
from lfr_kernel.governance.audit import opening
from lfr_kernel.governance.deployment.register import recall

if TYPE_CHECKING:
    from collections.abc import Callable

    from calling import Result
    from governance.alerts.support import Duty, OpenDuty
    from governance.deployment.support import Site

HALF = "\N{UPPER HALF BLOCK}"
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
"""What sets a colour, and nothing else of what steers a terminal."""
REASON = ("--reason", "assess")


@pytest.fixture
def open_terminal(lfr: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> Callable[[Duty], Terminal]:
    return lambda duty: Terminal(duty, lfr, monkeypatch)


@pytest.fixture
def terminal(duty: Duty, open_terminal: Callable[[Duty], Terminal]) -> Terminal:
    return open_terminal(duty)


def looks(duty: Duty) -> list[tuple[str, str, str]]:
    """What the chain says of who looked, and why."""
    return [(one["act"], one["by"], one["reason"]) for one in duty.site.acts("alert_viewed", "alert_consulted")]


def columns(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines()[1:]]


# --- list -----------------------------------------------------------------------------------------------------------


def test_a_list_has_the_newest_first_and_fits_eighty_columns(terminal: Terminal) -> None:
    duty = terminal.duty
    old = duty.plant(camera="caméra 北 with a name that is long")
    duty.site.clocks.pass_(minutes=2)
    new = duty.plant()
    duty.assess(new, Verdict.ENGAGE)
    out = terminal.ok("list", by=None)
    assert max(cell_len(line) for line in out.splitlines()) <= 80
    first, second, *_ = columns(out)
    assert first == [new, "1", "2030-06-01", "12:02:00", "gate", "engage"]
    assert second == [old, "1", "2030-06-01", "12:00:00", "caméra", "北", "wit…", "open", "too", "late"]
    # Aligned, whatever a camera is called.
    assert (
        len(
            {
                cell_len(line.partition(state)[0])
                for line, state in zip(out.splitlines(), ("state", "engage", "open"), strict=True)
            }
        )
        == 1
    )
    assert "\x1b" not in out


def test_a_list_names_nobody_and_needs_no_session(terminal: Terminal) -> None:
    terminal.duty.plant()
    before = len(terminal.duty.site.acts())
    for out in (terminal.ok("list", by=None), terminal.ok("list", "--json", by=None)):
        assert "ada" not in out
        assert "warrant" not in out
    assert len(terminal.duty.site.acts()) == before


def test_a_list_says_how_long_is_left_to_act(terminal: Terminal) -> None:
    terminal.duty.plant()
    terminal.duty.site.clocks.pass_(minutes=0.25)
    assert "14 s left" in terminal.ok("list", by=None)


def test_a_list_for_machines_is_whole(terminal: Terminal) -> None:
    alert = terminal.duty.plant()
    assert terminal.json("list", by=None) == [
        {
            "id": alert,
            "deployment": 1,
            "camera": "gate",
            "state": "open",
            "raised": "2030-06-01T12:00:00.000000000Z",
            "act_by": "2030-06-01T12:00:29.000000000Z",
            "delivered": None,
            "is_actionable": True,
            "expires": "2030-07-02T00:00:00.000000000Z",
        }
    ]


def test_a_list_is_of_the_states_and_the_deployment_that_are_asked_for(terminal: Terminal) -> None:
    duty = terminal.duty
    alerts = [duty.plant() for _ in range(3)]
    duty.look(alerts[0])
    duty.assess(alerts[1], Verdict.DISMISS)

    def ids(*arguments: object) -> set[str]:
        return {one["id"] for one in terminal.json("list", *arguments, by=None)}

    assert ids("--state", "viewed") == {alerts[0]}
    assert ids("--state", "viewed", "--state", "dismissed") == {alerts[0], alerts[1]}
    assert ids("--deployment", 1) == set(alerts)
    assert ids("--deployment", 1, "--state", "open") == {alerts[2]}
    assert terminal.ok("list", "--state", "engaged", by=None) == "there are no such alerts\n"
    assert "there is no deployment 2: expected a number from 1 to 1" in terminal.refused(
        "list", "--deployment", 2, by=None
    )
    assert "'gone' is not one of 'open', 'viewed'" in terminal.refused("list", "--state", "gone", by=None)


def test_a_list_says_that_there_are_more(terminal: Terminal) -> None:
    alerts = [terminal.duty.plant() for _ in range(43)]
    out = terminal.ok("list", by=None)
    assert {one[0] for one in columns(out)[:40]} < set(alerts)
    assert "the newest 40; there are more: --limit N, --all, --state open" in out
    assert len(terminal.json("list", by=None)) == 40
    assert len(terminal.json("list", "--limit", 42, by=None)) == 42
    assert "there are more" in terminal.ok("list", "--limit", 42, by=None)
    for whole in (("--limit", 43), ("--all",)):
        assert len(terminal.json("list", *whole, by=None)) == 43
        assert "there are more" not in terminal.ok("list", *whole, by=None)


def test_an_empty_list_says_so(terminal: Terminal) -> None:
    assert terminal.ok("list", by=None) == "there are no alerts\n"
    assert terminal.json("list", by=None) == []


# --- show -----------------------------------------------------------------------------------------------------------


def test_nobody_sees_an_alert_without_saying_why(terminal: Terminal) -> None:
    alert = terminal.duty.plant()
    assert "Missing option '--reason'" in terminal.refused("show", alert)
    assert "is not one of 'assess', 'engage'" in terminal.refused("show", alert, "--reason", "curious")
    assert looks(terminal.duty) == []


def test_who_looks_and_why_is_in_the_chain(terminal: Terminal) -> None:
    alert = terminal.duty.plant()
    terminal.ok("show", alert, *REASON)
    terminal.ok("show", alert[:10], "--reason", "complaint", by="eva")
    assert looks(terminal.duty) == [
        ("alert_viewed", "person dee", "assess"),
        ("alert_consulted", "person eva", "complaint"),
    ]
    terminal.duty.site.expect_chain()


def test_who_may_not_look_sees_nothing(terminal: Terminal) -> None:
    alert = terminal.duty.plant()
    refused = terminal.refused("show", alert, *REASON, by="ben")
    assert "alert_consulted" in refused
    assert "ada" not in refused
    assert "no session here" in terminal.refused("show", alert, *REASON, by="zoe")
    assert looks(terminal.duty) == []


def test_what_cannot_be_written_down_is_not_shown(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    alert = terminal.duty.plant()
    monkeypatch.setitem(opening.PRAGMAS, "query_only", 1)
    result = terminal.call("show", alert, *REASON, "--as", "dee")
    assert (result.code, result.out) == (1, "")
    assert "it may not be written" in result.err
    assert "ada" not in result.err


def test_an_alert_is_shown_with_all_that_a_decision_takes(terminal: Terminal) -> None:
    out = terminal.ok("show", terminal.duty.plant(), *REASON)
    lines = [line.rstrip() for line in out.splitlines()]
    assert max(map(len, lines)) <= 80
    assert lines[0] == "PROPOSED MATCH  0000000000000001  viewed"
    assert lines[1].split("   ")[0] == "seen by the camera"
    assert lines[1].endswith("listed photograph")
    assert "similarity 0.71, threshold 0.60 (cosine; not a probability)" in lines
    for label, value in (
        ("camera", "gate, 3 faces pooled"),
        ("quality", "0.80 of 1"),
        ("may be", "ada"),
        ("why listed", "Wanted by the courts: warrant 17"),
        ("photograph", "taken 2030-01-02, 150 days before; Custody image, lawfully held"),
        ("what to do", "stop and identify"),
        ("expires", "2030-07-02 00:00Z"),
    ):
        assert f"{label:<12}{value}" in lines
    times = (
        "captured 2030-06-01 11:59:59Z; decoded 0.5 s later, raised 1.0 s later, delivered 1.0 s later, good for 30 s"
    )
    assert times in " ".join(out.split())
    assert lines[-2:] == [
        "A proposal. A person decides.",
        "next: lfr-kernel alerts assess 0000000000000001 --dismiss | --engage",
    ]
    assert "%" not in out
    assert "\x1b" not in out


def test_both_pictures_stand_side_by_side_in_shades_where_there_are_no_colours(terminal: Terminal) -> None:
    lines = terminal.ok("show", terminal.duty.plant(), *REASON).splitlines()
    rows = lines[2:21]
    # What the camera saw is nearly black; the photograph of the tests is the letters `portrait 1`.
    assert {row[:42] for row in rows} == {" " * 42}
    (shades,) = {row[42:].rstrip() for row in rows}
    assert set(shades) == {"=", "-", "."}
    assert HALF not in "".join(lines)


@pytest.mark.parametrize("is_plain", [False, True])
def test_a_terminal_with_colours_gets_half_blocks_unless_it_wants_none(
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
    is_plain: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("LINES", "40")
    if is_plain:
        monkeypatch.setenv("NO_COLOR", "1")
    out = terminal.ok("show", terminal.duty.plant(), *REASON)
    plain = ESCAPES.sub("", out)
    assert "\x1b" not in plain
    assert max(len(line.rstrip()) for line in plain.splitlines()) <= 80
    halves = [line for line in plain.splitlines() if HALF in line]
    if is_plain:
        assert halves == []
        assert "38;2;" not in out
        assert any(set(line.strip()) == {"=", "-", "."} for line in plain.splitlines())
    else:
        # 42 columns for both: 38 and 38 beside a gap of 4; each half in colours of its own.
        assert {line.rstrip() for line in halves} == {HALF * 36 + " " * 4 + HALF * 36}
        assert "\x1b[38;2;7;7;7;48;2;7;7;7m" in out
        assert "\x1b[38;2;112;112;112;48;2;112;112;112m" in out


def test_a_hostile_list_steers_no_terminal(
    site: Site, open_duty: OpenDuty, open_terminal: Callable[[Duty], Terminal]
) -> None:
    site.rows = [
        a_row(
            "ada\x1b[2J",
            1,
            reason="warrant\x1b]0;owned\x07",
            response="do\r\nnext: all is well \N{RIGHT-TO-LEFT OVERRIDE}",
        )
    ]
    terminal = open_terminal(open_duty())
    duty = terminal.duty
    alert = duty.plant(camera="gate\x1b[8m", basis="covers all\x9b31m")
    duty.assess(alert, Verdict.ENGAGE, text="seen\x1b[1A")
    duty.engage(alert)
    duty.close(alert, structs.replace(RIGHT, case="C\x1b[3J/1"))
    for out in (terminal.ok("show", alert, *REASON), terminal.ok("list", by=None)):
        assert all(one == "\n" or one.isprintable() for one in out)
        assert not any(line.startswith("next: all is well") for line in out.splitlines())


def test_pictures_that_have_expired_are_said_to_be_gone(terminal: Terminal) -> None:
    duty = terminal.duty
    duty.lives_s = (20 * 3_600.0, 3_600.0)
    alert = duty.plant()
    duty.site.clocks.pass_(hours=2)
    purge(duty.site.vault)
    out = terminal.ok("show", alert, *REASON)
    assert "Its pictures have expired, and are destroyed." in out
    assert "listed photograph" not in out
    assert terminal.json("show", alert, *REASON)["pictures"] is False
    assert terminal.json("show", alert, *REASON, "--pictures")["pictures"] is None


def test_an_entry_that_was_withdrawn_is_said_to_be(terminal: Terminal) -> None:
    duty = terminal.duty
    bob = duty.site.rows[2].about.entry
    recall(duty.site.vault, duty.site.signers["cem"], 1, bob, reason="wrong-person", text=None)
    assert duty.governed.listed is not None
    for entry in look(duty.governed).withdrawn:
        duty.governed.listed.withdraw(entry)
    alert = duty.plant(entry=1)
    out = terminal.ok("show", alert, *REASON)
    assert "the entry was withdrawn: no photograph" in out
    assert "withdrawn since: recalled, or expired" in out
    assert "bob" not in out
    assert terminal.json("show", alert, *REASON)["proposal"]["about"] is None
    assert terminal.json("show", alert, *REASON, "--pictures")["pictures"]["listed"] is None


def test_an_alert_that_came_too_late_is_said_to_have(terminal: Terminal) -> None:
    alert = terminal.duty.plant()
    terminal.duty.site.clocks.pass_(minutes=1)
    assert "It came too late for anybody to act on it." in terminal.ok("show", alert, *REASON)
    assert terminal.json("show", alert, *REASON)["is_actionable"] is False


def test_machines_get_pictures_only_if_they_ask_for_them(terminal: Terminal) -> None:
    alert = terminal.duty.plant()
    found = terminal.json("show", alert, *REASON)
    assert found["pictures"] is True
    assert (found["id"], found["state"], found["has_disagreed"]) == (alert, "viewed", False)
    assert found["proposal"]["about"]["person"] == "ada"
    assert [one["body"]["type"] for one in found["steps"]] == ["looked"]
    pictures = terminal.json("show", alert, *REASON, "--pictures")["pictures"]
    assert pictures["reader"] == "letters"
    assert base64.b64decode(pictures["probe"]) == bytes([7]) * 12
    assert base64.b64decode(pictures["listed"]) == b"portrait 1"


def test_while_two_people_assess_neither_sees_what_the_other_did(
    open_duty: OpenDuty, open_terminal: Callable[[Duty], Terminal]
) -> None:
    terminal = open_terminal(open_duty(assessors=2, on_disagreement="third-person"))
    alert = terminal.duty.plant()
    for by in ("dee", "dan"):
        terminal.ok("show", alert, *REASON, by=by)
    before = terminal.ok("show", alert, *REASON, by="dan").splitlines()
    terminal.ok("assess", alert, "--engage", "--text", "sure of it")
    after = terminal.ok("show", alert, *REASON, by="dan").splitlines()
    # One more look of his own, and nothing else.
    assert [line for line in after if "looked" not in line] == [line for line in before if "looked" not in line]
    found = terminal.json("show", alert, *REASON, by="dan")
    assert {one["body"]["type"] for one in found["steps"]} == {"looked"}
    assert (found["state"], found["has_disagreed"]) == ("viewed", False)
    assert terminal.json("list", by=None)[0]["state"] == "viewed"
    assert "sure of it" in terminal.ok("show", alert, *REASON)
    terminal.ok("assess", alert, "--dismiss", by="dan")
    revealed = terminal.ok("show", alert, *REASON, by="dan")
    assert "sure of it" in revealed
    assert "assessed: dismiss" in revealed


def test_an_alert_that_is_not_there_is_not_shown(terminal: Terminal) -> None:
    duty = terminal.duty
    assert "there is no alert 'ffff': it never was here, or has expired" in terminal.refused("show", "ffff", *REASON)
    duty.plant()
    duty.plant()
    assert "several alerts begin with '0000': give more of its id" in terminal.refused("show", "0000", *REASON)
    assert "there is no alert ''" in terminal.refused("show", "", *REASON)
    assert looks(duty) == []
