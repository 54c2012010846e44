"""What a person sees on a terminal of 80 columns and 24 lines, with whatever names files bring along."""

from __future__ import annotations

import io
from typing import Any, Literal

import msgspec
import pytest
from rich.console import Console

from lfr_kernel.cli import screen
from lfr_kernel.cli.screen import StatusLine, printable, show_alert, summary_table
from lfr_kernel.governance.basis import NO_REPORT, Basis
from lfr_kernel.governance.vetting import Finding
from lfr_kernel.messages import Alert
from lfr_kernel.redaction import Redactor
from lfr_kernel.runtime import ActorStatistics
from lfr_kernel.stages.camera import CameraFacts, CameraState
from lfr_kernel.stages.conditions import CameraConditions
from lfr_kernel.stages.measure import Quantiles
from lfr_kernel.stages.residency import ResidencyFacts
from lfr_kernel.telemetry import CameraFunnel, FaceFunnel, PassageFunnel
from lfr_kernel.telemetry.summary import (
    AlertSummary,
    AuthoritySummary,
    FrameSummary,
    LatencySummary,
    PassageSummary,
    Summary,
    WatchlistSummary,
)

WIDTH, HEIGHT = 80, 24
NONE = Quantiles(count=0, p50=None, p95=None, p99=None, max=None)
SOME = Quantiles(count=9, p50=81.4, p95=164.2, p99=1192.0, max=1200.0)
OUTSIDE = Basis(
    state="outside",
    report="3f2a91c0" + "0" * 56,
    report_class="benchmark",
    reasons=("list of 900, tested with 444", "detector.longest_side 960, tested with 640"),
)
COVERED = Basis(state="covered", report="3f2a91c0" + "0" * 56, report_class="operational")
NOISY = "Connection to rtsp://operator:hunter2@192.168.1.64:554/stream1 timed out: no answer within 10 s; trying again"


def camera(name: str, state: CameraState = CameraState.STREAMING, error: str | None = None) -> CameraFacts:
    return CameraFacts(
        name=name, state=state, read=1234, width=1920, height=1080, reconnects=3 if error else 0, last_error=error
    )


def alert(person: str, name: str = "left") -> AlertSummary:
    return AlertSummary(
        id="7d02eee591e447cf",
        person=person,
        similarity=0.6123,
        threshold=0.6,
        camera=name,
        captured_at="2026-03-01T12:34:56.789Z",
        box=(1.0, 2.0, 3.0, 4.0),
        faces=5,
        passage="ab12cd-000004",
    )


def residency(**changes: Any) -> ResidencyFacts:
    facts: dict[str, Any] = {"count": 9000, "p50": 41.2, "p95": 6204.0, "max": 9011.4, "live": 0, "oldest": None}
    return ResidencyFacts(**(facts | {"bound": 300e3, "over_bound": 0} | changes))


def summary(**changes: Any) -> Summary:
    cameras = (camera("left"), camera("right", CameraState.RECONNECTING, NOISY))
    facts: dict[str, Any] = {field: {} for field in Summary.__struct_fields__}
    facts |= {
        "profile": "van",
        "authority": None,
        "permit": "development (built-in development permit: NOT an authority to watch the public)",
        "basis": NO_REPORT,
        "ended": "SIGINT",
        "duration_s": 86399.5,
        "passages": PassageSummary(
            seen=1600, alerted=1, not_matched=499, lost={"gated_too_small": 1000, "gated_turned_away": 100}, open=12
        ),
        "frames": FrameSummary(read=2000000, processed=1999000, dropped={"overflow": 1000}),
        "faces": 100000,
        "probes": 9000,
        "alerts": [],
        "latency_ms": LatencySummary(capture_to_alert=NONE, capture_to_embedding=SOME),
        "biometric_residency_ms": residency(),
        "fps": 24.9,
        "watchlist": WatchlistSummary(
            people=444,
            photographs=500,
            rejected={f"person-{number}/1.jpg": "expected exactly one face, found no face" for number in range(7)},
            unlisted=("person-0",),
            resemblances=(
                Finding(kind="duplicate", photo="ada/1.jpg", person="ada", other="eve/2.jpg", similarity=0.81),
            ),
            threshold=0.6,
            model="d1",
        ),
        "cameras": {one.name: one for one in cameras},
    }
    return Summary(**(facts | changes))


def funnel(**changes: Any) -> CameraFunnel:
    faces: dict[str, Any] = {
        "detected": 1_204_000,
        "untracked": 194_000,
        "tracked": 1_010_000,
        "gated": {"too_small": 500_000, "turned_away": 110_000},
        "spare": 280_000,
        "asked": 120_000,
        "embedded": 119_000,
        "pooled": 99_000,
        "outliers": 20_000,
        "lost": {"overflow": 1_000},
        "on_the_way": 0,
        "dropped": {},
    }
    passages = PassageFunnel(
        seen=1600, over_gate=600, searched=500, alerted=1, not_matched=499, lost={"gated_too_small": 1100}, open=0
    )
    return CameraFunnel(faces=FaceFunnel(**(faces | changes)), passages=passages)


def drawn(what: Any, width: int = WIDTH) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, highlight=False).print(what)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def words(what: Summary) -> str:
    """The table of a run, however its lines are broken."""
    return " ".join(" ".join(drawn(summary_table(what, Redactor()))).split())


def test_the_table_fits_and_says_what_matters() -> None:
    lines = drawn(summary_table(summary(), Redactor()))
    assert max(map(len, lines)) <= WIDTH
    text = "\n".join(lines)
    assert lines[0] == "van: stopped by SIGINT"
    assert "permit                development (built-in development permit: NOT an" in text
    assert "passages              1600 seen = 1 alerted + 499 not matched + 1100 lost\n" in text
    assert "  lost                gated_too_small 1000, gated_turned_away 100\n" in text
    assert "frames                2000000 read, 1999000 processed, dropped: overflow 1000\n" in text
    assert "capture to embedding  p50 81 ms, p95 164 ms, p99 1192 ms\n" in text
    assert "camera right          1920x1080, connected anew 3 times; last error: Connection" in text
    assert "and 2 more: see --json" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("basis", "rows"),
    [
        (
            NO_REPORT,
            ["NO REPORT, the threshold rests on no evidence", "the profile cites no evaluation report: see [basis]"],
        ),
        (
            OUTSIDE,
            [
                "report 3f2a91c0… (benchmark), OUTSIDE",
                "list of 900, tested with 444",
                "detector.longest_side 960, tested with 640",
            ],
        ),
        (COVERED, ["report 3f2a91c0… (operational), covers this run"]),
    ],
)
def test_the_table_says_what_the_threshold_rests_on(basis: Basis, rows: list[str]) -> None:
    lines = drawn(summary_table(summary(basis=basis), Redactor()))
    first = next(number for number, line in enumerate(lines) if line.startswith("basis "))
    assert [line[22:] for line in lines[first : first + len(rows)]] == rows
    assert lines[first + len(rows)].startswith("watchlist ")


def test_the_settings_of_a_report_cannot_steer_the_terminal() -> None:
    evil = Basis(
        state="outside", report="3f" * 32, report_class="benchmark", reasons=("x\x1b[2J\u202e 5, tested with\n6",)
    )
    text = "\n".join(drawn(summary_table(summary(basis=evil), Redactor())))
    assert "x\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER} 5, tested with 6" in text


def authority(**changes: Any) -> AuthoritySummary:
    facts: dict[str, Any] = {
        "id": "EX/1",
        "deployment": 3,
        "pack": "uk-met",
        "starts": "2026-03-01T10:00:00.000Z",
        "ends": "2026-03-01T16:00:00.000Z",
        "remaining_s": 240.5,
        "list": "0" * 32,
        "threshold": 0.64,
        "warnings": ("refers to no impact assessment",),
        "mark": "",
        "is_over": False,
        "is_wiped": False,
        "is_suspended": False,
    }
    return AuthoritySummary(**(facts | changes))


def test_it_is_said_loudly_that_the_stop_rule_lets_no_alert_out() -> None:
    held = summary(authority=authority(is_suspended=True))
    assert "NO ALERTS: too many were false; lfr-kernel alerts resume 3" in words(held)
    assert "NO ALERTS" not in words(summary(authority=authority()))


def test_the_table_says_under_which_authority_it_was_and_whether_the_list_is_wiped() -> None:
    text = words(summary(authority=authority()))
    assert (
        "EX/1, from 2026-03-01T10:00Z to 2026-03-01T16:00Z, threshold 0.64; its list is not wiped: go on, or end it"
        in text
    )
    assert "lfr-kernel authority close 3" in text
    assert "missing refers to no impact assessment" in text
    text = words(summary(authority=authority(is_over=True)))
    assert (
        "it has ended; its wipe was cut short, and is finished by lfr-kernel authority list or the next start" in text
    )
    text = words(summary(authority=authority(is_over=True, is_wiped=True)))
    assert "it has ended, and the list was wiped" in text


def test_the_table_says_how_long_faces_were_kept_and_whether_any_was_kept_too_long() -> None:
    lines = drawn(summary_table(summary(), Redactor()))
    assert "capture to erasure    p50 41 ms, p95 6204 ms, max 9011 ms" in lines
    late = residency(live=2, oldest=301e3, over_bound=3)
    text = " ".join(" ".join(drawn(summary_table(summary(biometric_residency_ms=late), Redactor()))).split())
    assert "max 9011 ms, 2 live, 3 lived longer than 300 s" in text
    nobody = residency(count=0, p50=None, p95=None, max=None)
    lines = drawn(summary_table(summary(biometric_residency_ms=nobody), Redactor()))
    assert "capture to erasure    -" in lines


def test_the_person_of_an_alert_is_never_cut() -> None:
    long = "maximilian-" * 12
    lines = drawn(summary_table(summary(alerts=[alert("ada", "c" * 32), alert(long)]), Redactor()))
    assert max(map(len, lines)) <= WIDTH
    start = next(number for number, line in enumerate(lines) if "maximil" in line)
    assert "".join(line[60:].strip() for line in lines[start:]) == long
    assert "12:34:56    0.61        7d02eee591e447cf  " in "\n".join(lines)


def test_names_are_text_and_nothing_else() -> None:
    lines = drawn(summary_table(summary(alerts=[alert("[red]eve[/red]\x1b[2J\x07\nada")]), Redactor()))
    text = "\n".join(lines)
    assert "[red]eve[/red]" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_what_failed_is_named_with_its_last_error() -> None:
    failed = ActorStatistics(
        name="detector", state="failed", restarts=5, handled=9, busy_s=1.0, last_error=NOISY, inlets=()
    )
    lines = drawn(summary_table(summary(actors={"detector": failed}), Redactor()))
    assert max(map(len, lines)) <= WIDTH
    assert "stages that failed" in lines
    assert any(line.startswith("detector  failed  5         Connection to rtsp://***@") for line in lines)


@pytest.mark.parametrize(
    ("ended", "text"),
    [("input_ended", "all input was read"), ("duration", "the time was up"), ("failed: x", "failed: x")],
)
def test_the_heading_says_how_it_ended(ended: str, text: str) -> None:
    assert drawn(summary_table(summary(ended=ended), Redactor()))[0] == f"van: {text}"


class Terminal:
    """A status line on a terminal in memory."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, height: int = HEIGHT, colours: Literal["standard"] | None = None
    ) -> None:
        self.file = io.StringIO()
        console = Console(file=self.file, width=WIDTH, height=height, force_terminal=True, color_system=colours)
        monkeypatch.setattr(screen, "Console", lambda **_: console)
        self.status = StatusLine(Redactor())

    def shown(self, act: Any) -> list[str]:
        with self.status:
            self.file.seek(0)
            self.file.truncate()
            act(self.status)
            text = self.file.getvalue()
        plain = text.replace("\x1b[2K", "").replace("\x1b[1A", "").replace("\r", "")
        return [line.rstrip() for line in plain.splitlines()]


def test_the_status_is_one_line_a_camera_and_none_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Terminal(monkeypatch).shown(lambda status: status.show(summary(alerts=[alert("ada")])))
    assert lines[0] == " ● 86400 s  24.9 fps  faces 100000  passages 1600 (12 open)  alerts 1"
    assert lines[1] == "   left  streaming  1920x1080"
    assert lines[2] == "   right  reconnecting: …/stream1 timed out: no answer within 10 s; trying again"
    assert lines[3].startswith("   permit: development (built-in development permit: NOT an authority")
    assert lines[4] == "   basis: NO REPORT, the threshold rests on no evidence"
    assert len(lines) == 5
    assert max(map(len, lines)) <= WIDTH


def conditions(**changes: Any) -> CameraConditions:
    facts: dict[str, Any] = {"passages": 100, "face_px": 48.7, "highlight": 41.2, "sharpness": 0.433}
    return CameraConditions(**(facts | {"outside": (), "ever": ()} | changes))


def test_a_camera_outside_of_the_tested_conditions_says_so_in_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    dark = conditions(outside=("smaller", "darker"), ever=("smaller", "darker"))
    shown = summary(conditions={"left": dark, "right": conditions()})
    lines = Terminal(monkeypatch).shown(lambda status: status.show(shown))
    assert lines[1] == "   left  streaming  1920x1080  faces smaller, darker than tested"
    assert lines[2].startswith("   right  reconnecting: …")
    fine = Terminal(monkeypatch).shown(lambda status: status.show(summary(conditions={"left": conditions()})))
    assert fine[1] == "   left  streaming  1920x1080"


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        ({}, "medians of the last 100 passages"),
        ({"passages": 19}, "medians of the last 19 passages; too few to compare"),
        ({"passages": 1}, "medians of the last passage; too few to compare"),
        ({"outside": ("darker",), "ever": ("darker",)}, "medians of the last 100 passages; darker than tested"),
        ({"ever": ("darker",)}, "medians of the last 100 passages; darker than tested for a while"),
        (
            {"outside": ("smaller",), "ever": ("smaller", "darker")},
            "medians of the last 100 passages; smaller than tested; darker than tested for a while",
        ),
    ],
)
def test_the_table_says_how_faces_were_seen_where_that_is_compared(seen: dict[str, Any], text: str) -> None:
    told = words(summary(conditions={"left": conditions(**seen)}))
    assert f"camera left 1920x1080 conditions 49 px wide, highlight 41, sharpness 0.43, {text} camera right" in told
    assert max(map(len, drawn(summary_table(summary(conditions={"left": conditions(**seen)}), Redactor())))) <= WIDTH


def test_more_cameras_than_lines_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    cameras = {f"c{number}": camera(f"c{number}") for number in range(10)}
    lines = Terminal(monkeypatch, height=12).shown(lambda status: status.show(summary(cameras=cameras)))
    assert "   and 5 more cameras" in lines
    assert len(lines) < 12


def test_the_status_says_that_a_run_is_outside_of_what_was_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Terminal(monkeypatch).shown(lambda status: status.show(summary(basis=OUTSIDE)))
    assert lines[-1] == f"   basis: {OUTSIDE}"
    assert "OUTSIDE (2): list of 900" in lines[-1]
    assert len(lines[-1]) <= WIDTH


@pytest.mark.parametrize(
    ("remaining_s", "text", "sgr"),
    [
        (None, "authority until 2026-03-01T16:00Z", "2"),
        (90_000.0, "authority until 2026-03-01T16:00Z", "2"),
        (3_720.0, "authority until 16:00Z, ends in 1 h 2 min", "2"),
        (901.0, "authority until 16:00Z, ends in 15 min", "2"),
        (900.0, "authority until 16:00Z, ends in 15 min", "33"),
        (301.0, "authority until 16:00Z, ends in 5 min", "33"),
        (299.9, "authority until 16:00Z, ends in 4 min", "31"),
        (59.9, "authority until 16:00Z, ends in 59 s", "31"),
    ],
)
@pytest.mark.parametrize("has_colour", [True, False])
def test_the_status_counts_down_to_the_end_of_the_authority(
    monkeypatch: pytest.MonkeyPatch, remaining_s: float | None, text: str, sgr: str, *, has_colour: bool
) -> None:
    if has_colour:
        monkeypatch.delenv("NO_COLOR", raising=False)
    else:
        monkeypatch.setenv("NO_COLOR", "1")
    lines = Terminal(monkeypatch, colours="standard").shown(
        lambda status: status.show(summary(authority=authority(remaining_s=remaining_s)))
    )
    (line,) = (one for one in lines if "authority until" in one)
    plain = not has_colour and sgr != "2"  # dim is no colour
    shown = f"   {text}, threshold 0.64"
    assert line == (shown if plain else f"\x1b[{sgr}m{shown}\x1b[0m")


def test_a_stop_is_shown_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def act(status: StatusLine) -> None:
        status.stopping("SIGINT")
        status.show(summary())

    lines = Terminal(monkeypatch).shown(act)
    assert any(line.startswith(" stopping (SIGINT)") for line in lines)
    assert any(" ■ stopping 86400 s" in line for line in lines)


def test_an_alert_names_the_person_on_a_line_of_its_own() -> None:
    file = io.StringIO()
    facts = msgspec.structs.asdict(alert("ada\x1b[31m"))
    kept = {name: facts[name] for name in facts if name != "captured_at"}
    message = Alert(
        **kept,
        quality=0.5,
        captured_at_ns=1,
        captured_monotonic_ns=1,
        alerted_at_ns=1,
        alerted_monotonic_ns=1,
        model="d1",
        evidence="e",
        permit="demo\x1b",
        basis=f"{OUTSIDE}\x1b",
    )
    show_alert(Console(file=file, width=WIDTH), message, Redactor())
    assert file.getvalue().splitlines() == [
        "ALERT left: may be ada\N{REPLACEMENT CHARACTER}[31m",
        "      similarity 0.61 (threshold 0.60), 5 faces pooled, 7d02eee591e447cf",
        "      report 3f2a91c0… (benchmark), OUTSIDE (2): list of 900, tested with…\N{REPLACEMENT CHARACTER}",
        "      permit: demo\N{REPLACEMENT CHARACTER}",
        "      a proposal: a person decides",
    ]
    assert max(map(len, file.getvalue().splitlines())) <= WIDTH


def test_printable() -> None:
    assert printable("a\n b\tc\x00\u202e") == "a b c\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"


def test_the_funnel_has_a_line_a_camera_for_each_unit_with_shares_of_the_step_before() -> None:
    cameras = {"left": funnel(), "a-camera-with-a-very-long-name-32": funnel(detected=0, gated={}, lost={})}
    lines = drawn(summary_table(summary(funnel=cameras), Redactor()))
    assert max(map(len, lines)) <= WIDTH
    (faces,) = [number for number, line in enumerate(lines) if line.split()[:2] == ["faces", "found"]]
    assert lines[faces + 1].split() == [
        "left", "1204k", "1010k", "84%", "400k", "40%", "120k", "30%", "119k", "99%", "99000", "83%",
    ]  # fmt: skip
    (passages,) = [number for number, line in enumerate(lines) if line.split()[:2] == ["passages", "seen"]]
    assert lines[passages + 1].split() == ["left", "1600", "600", "38%", "500", "83%", "1"], "an alert is no share"
    text = " ".join(" ".join(lines).split())
    assert "left: untracked 194000; gated: too_small 500000, turned_away 110000; spare 280000" in text
    assert "left: not matched 499; lost: gated_too_small 1100" in text


def test_where_no_face_was_seen_there_is_no_funnel() -> None:
    lines = drawn(summary_table(summary(funnel={"left": funnel(detected=0)}), Redactor()))
    assert not [line for line in lines if "share of the step before" in line]
