"""What the sink `console` promises: an alert that a person can read, in words that promise no more than it is."""

from __future__ import annotations

import io
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from lfr_kernel.api import Alert, Evidence, NoConfig, Notice, PermanentError, SinkContext
from lfr_kernel.stages.sink import notice_of
from lfr_plugins.sinks.console import ConsoleSink, as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.anyio

NOON = 1_772_366_400_000_000_000


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def inline(call: Callable[[], None]) -> None:
    call()


def no_evidence(_reference: str) -> Evidence:
    raise AssertionError("a line of text needs no picture")


@pytest.fixture
def sink() -> ConsoleSink:
    return ConsoleSink(NoConfig(), SinkContext(evidence=no_evidence, run_blocking=inline))


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def alert(**fields: Any) -> Alert:
    usual: dict[str, Any] = {
        "id": "9f2c41d07be3a518",
        "passage": "p7",
        "camera": "gate",
        "person": "Ada Lovelace",
        "similarity": 0.7351,
        "threshold": 0.6,
        "faces": 7,
        "quality": 0.8,
        "box": (1.0, 2.0, 3.0, 4.0),
        "captured_at_ns": NOON,
        "captured_monotonic_ns": 1,
        "alerted_at_ns": NOON,
        "alerted_monotonic_ns": 2,
        "model": "abc",
        "evidence": "e1",
        "permit": "demo",
        "basis": "NO REPORT, the threshold rests on no evidence",
    }
    return Alert(**usual | fields)


def notice(**fields: Any) -> Notice:
    return notice_of(alert(**fields), details=True)


async def test_an_alert_is_four_plain_lines_where_there_is_no_terminal(
    sink: ConsoleSink, capsys: pytest.CaptureFixture[str]
) -> None:
    await sink.deliver(notice())
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "14:00:00  ALERT  gate: may be Ada Lovelace, similarity 0.74 (threshold 0.60)\n"
        "          7 faces pooled. A proposal: a person decides. Alert 9f2c41d07be3a518\n"
        "          NO REPORT, the threshold rests on no evidence\n"
        "          permit: demo\n"
    )


async def test_without_details_it_says_that_there_is_an_alert_and_not_of_whom(
    sink: ConsoleSink, capsys: pytest.CaptureFixture[str]
) -> None:
    await sink.deliver(notice_of(alert(), details=False))
    assert capsys.readouterr().err == "14:00:00  ALERT  gate: 9f2c41d07be3a518, open\n          permit: demo\n"


@pytest.mark.parametrize("details", [True, False])
async def test_what_comes_too_late_to_act_on_says_so(
    sink: ConsoleSink, capsys: pytest.CaptureFixture[str], *, details: bool
) -> None:
    await sink.deliver(notice_of(alert(), details=details, state="viewed", is_actionable=False))
    err = capsys.readouterr().err
    assert "not actionable: too late" in err
    assert "9f2c41d07be3a518, viewed" in err
    assert ("Ada" in err) == details


def test_it_promises_neither_certainty_nor_percents() -> None:
    text = as_text(notice(faces=1)).plain
    assert "1 face pooled" in text
    assert "%" not in text
    assert "confidence" not in text.lower()


async def test_colours_on_a_terminal(sink: ConsoleSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    await sink.deliver(notice())
    assert "\x1b[1;33mALERT" in terminal.getvalue()


async def test_no_color_is_respected(sink: ConsoleSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    await sink.deliver(notice())
    assert "33m" not in terminal.getvalue()


async def test_long_lines_are_not_broken(sink: ConsoleSink, capsys: pytest.CaptureFixture[str]) -> None:
    await sink.deliver(notice(person="A very long reference " * 10))
    assert len(capsys.readouterr().err.splitlines()) == 4


async def test_the_longest_basis_fits_80_columns(sink: ConsoleSink, capsys: pytest.CaptureFixture[str]) -> None:
    await sink.deliver(notice(basis="b" * 70))
    line = capsys.readouterr().err.splitlines()[2]
    assert line.strip() == "b" * 70
    assert len(line) <= 80


async def test_names_cannot_steer_the_terminal(sink: ConsoleSink, capsys: pytest.CaptureFixture[str]) -> None:
    await sink.deliver(
        notice(
            person="[red]Ada\x1b[2J\nALERT  gate: may be Bob",
            camera="g\x07\u202eate",
            basis="\x1b[2J\nB",
            permit="\x1b[2J\nC",
        )
    )
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 4
    assert "\x1b" not in err
    assert "\x07" not in err
    assert "\u202e" not in err
    assert "[red]Ada" in err


async def test_an_alert_is_printed_once(sink: ConsoleSink, capsys: pytest.CaptureFixture[str]) -> None:
    await sink.deliver(notice())
    await sink.deliver(notice())
    assert capsys.readouterr().err.count("ALERT") == 1


async def test_a_closed_terminal_gives_up(sink: ConsoleSink, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = io.StringIO()
    gone.close()
    monkeypatch.setattr(sys, "stderr", gone)
    with pytest.raises(PermanentError, match="stderr is gone"):
        await sink.deliver(notice())


async def test_nothing_is_kept(sink: ConsoleSink) -> None:
    await sink.deliver(notice())
    assert await sink.expire(NOON * 2) == 0
    await sink.close()
