"""Ctrl-C and SIGTERM, on real processes: the first one stops in good order, the second one at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are sent the POSIX way")

BOTH = [signal.SIGINT, signal.SIGTERM]
HANGING = """
import sys
import threading
from lfr_kernel.api import *
from lfr_checkerboard.faces import Middle, Thumbnail

class HangingDetector(Middle):
    calls = 0

    def detect(self, picture):
        HangingDetector.calls += 1
        if HangingDetector.calls == 3:
            print("a call hangs", file=sys.stderr, flush=True)
            threading.Event().wait()
        return super().detect(picture)

class HangingEmbedder(Thumbnail):
    def __init__(self, config):
        print("loading hangs", file=sys.stderr, flush=True)
        threading.Event().wait()

class HangingEnrolment(Thumbnail):
    def embed(self, crops, out):
        print("enrolment hangs", file=sys.stderr, flush=True)
        threading.Event().wait()

@hookimpl
def lfr_plugins():
    return [
        DetectorPlugin(name="hanging", api=1, create=HangingDetector),
        EmbedderPlugin(name="hanging", api=1, create=HangingEmbedder),
        EmbedderPlugin(name="hanging-enrolment", api=1, create=HangingEnrolment),
    ]
"""
DRAIN_S = 1.0
TEARDOWN_S = 2.0
START_AND_END_S = 5.0
"""For the interpreter, on a slow machine."""


@pytest.fixture
def hanging(board: Any) -> Any:
    """Return the board with plugins that hang, and half a minute to drain."""
    board.site.distribution("lfr-hanging", HANGING)
    text = board.profile.read_text(encoding="utf-8").replace("frames = 25", "frames = 0, realtime = true")
    board.write(f"{text}\n[runtime]\ndrain_s = 30\n")
    return board


def rewrite(board: Any, *changes: tuple[str, str]) -> None:
    text = board.profile.read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    board.write(text)


@pytest.mark.parametrize("number", BOTH)
def test_the_first_signal_stops_a_looped_file_in_good_order(
    number: signal.Signals, board: Any, spawn: Callable[..., Any], looped: str
) -> None:
    rewrite(board, ('plugin = "checkerboard"\n', ""), ("frames = 25", looped))
    process = spawn("-p", board.profile, "--json")
    process.wait_for("ALERT front: may be board")
    process.send(number)
    result = process.result()
    assert result.code == 0, result.err
    summary = result.json
    assert summary["ended"] == number.name
    assert f'"reason": "{number.name}"' in result.err
    assert "Traceback" not in result.err
    passages, frames = summary["passages"], summary["frames"]
    assert passages["open"] == 0
    assert len(summary["alerts"]) == passages["alerted"] == 1
    assert passages["seen"] == passages["alerted"] + passages["not_matched"] + sum(passages["lost"].values())
    assert frames["read"] == frames["processed"] + sum(frames["dropped"].values()) > 0


@pytest.fixture
def looped(board: Any) -> str:
    """Write a clip of the board; return the options that play it for ever at its own speed."""
    av = pytest.importorskip("av")
    cv2 = pytest.importorskip("cv2")
    path = board.folder / "clip.mp4"
    picture = cv2.imread(str(board.folder / "watchlist" / "board.png"))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return f"url = '{path}', loop = true, realtime = true"


def test_a_stop_ends_within_the_drain_limit_even_if_a_call_hangs(hanging: Any, spawn: Callable[..., Any]) -> None:
    rewrite(hanging, ('"middle"', '"hanging"'), ("drain_s = 30", f"drain_s = {DRAIN_S}"))
    process = spawn("-p", hanging.profile, "--json")
    process.wait_for("a call hangs")
    began = time.monotonic()
    process.send(signal.SIGINT)
    result = process.result()
    assert time.monotonic() - began < DRAIN_S + TEARDOWN_S + START_AND_END_S
    assert result.code == 0, result.err
    assert result.json["ended"] == "SIGINT"
    assert "Traceback" not in result.err


@pytest.mark.parametrize("number", BOTH)
def test_the_second_signal_ends_at_once(number: signal.Signals, hanging: Any, spawn: Callable[..., Any]) -> None:
    rewrite(hanging, ('"middle"', '"hanging"'))
    process = spawn("-p", hanging.profile, "--json")
    process.wait_for("a call hangs")
    process.send(number)
    process.wait_for('"stopping"')
    began = time.monotonic()
    process.send(number)
    result = process.result()
    assert time.monotonic() - began < START_AND_END_S
    assert result.code == 128 + number
    assert not result.out


@pytest.mark.parametrize("number", BOTH)
@pytest.mark.parametrize(("embedder", "sign"), [("hanging", "loading hangs"), ("hanging-enrolment", "enrolment hangs")])
def test_a_signal_while_it_still_loads(
    number: signal.Signals, embedder: str, sign: str, hanging: Any, spawn: Callable[..., Any]
) -> None:
    rewrite(hanging, ('"thumbnail"', f'"{embedder}"'))
    process = spawn("-p", hanging.profile, "--json")
    process.wait_for(sign)
    began = time.monotonic()
    process.send(number)
    result = process.result()
    assert time.monotonic() - began < START_AND_END_S
    assert result.code == 128 + number
    assert f"stopped before it had started ({number.name})" in result.err
    assert "Traceback" not in result.err
    assert not result.out


def test_whoever_closes_stdout_early_gets_no_traceback(board: Any, spawn: Callable[..., Any]) -> None:
    for arguments in (("plugins",), ("plugins", "--json"), ("-p", board.profile, "--json"), ("-p", board.profile)):
        process = spawn(*arguments)
        process.popen.stdout.close()
        process.popen.stdout = None
        result = process.result()
        assert result.code == 1
        assert "Traceback" not in result.err
        assert "Broken pipe" not in result.err


@pytest.mark.parametrize(("closed", "kept"), [(">&-", "err"), ("2>&-", "out")])
def test_a_stream_that_the_shell_has_closed_is_done_without(closed: str, kept: str, board: Any) -> None:
    command = f'exec "{sys.executable}" -c "from lfr_kernel.cli import script; script()" -p board.toml --json {closed}'
    ran = subprocess.run(  # noqa: S602  (our own command)
        command,
        shell=True,
        cwd=board.folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, board.site.path))},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0
    assert ("ALERT" in ran.stderr) == (kept == "err")
    assert ('"ended": "input_ended"' in ran.stdout) == (kept == "out")


def _on_a_terminal(board: Any, *arguments: object, **environment: str) -> str:
    """Return what a process shows whose stdout and stderr are a terminal of 80 columns."""
    pty = pytest.importorskip("pty")
    termios = pytest.importorskip("termios")
    main_end, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 80))
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    process = subprocess.Popen(  # noqa: S603  (our own command)
        [sys.executable, "-c", "from lfr_kernel.cli import script; script()", *map(str, arguments)],
        cwd=board.folder,
        env={**kept, "PYTHONPATH": os.pathsep.join(map(str, board.site.path)), "TERM": "xterm-256color", **environment},
        stdout=end,
        stderr=end,
    )
    os.close(end)
    shown = b""
    try:
        while True:
            shown += os.read(main_end, 65536)
    except OSError:  # the other end is closed: it has ended
        pass
    finally:
        os.close(main_end)
    process.wait(timeout=START_AND_END_S)
    return shown.decode()


def test_colour_only_on_a_terminal_and_not_with_no_color(board: Any) -> None:
    coloured = _on_a_terminal(board, "plugins")
    assert "\x1b[1;36mcheckerboard" in coloured
    plain = _on_a_terminal(board, "plugins", NO_COLOR="1")
    assert "checkerboard" in plain
    assert "\x1b[36m" not in plain
    assert "\x1b[1;36m" not in plain
    error = _on_a_terminal(board, "-p", "missing.toml")
    assert "\x1b[1;31merror: " in error
    assert "\x1b[1;31m" not in _on_a_terminal(board, "-p", "missing.toml", NO_COLOR="1")


def test_a_run_on_a_terminal_shows_how_things_stand_and_clears_up(board: Any) -> None:
    rewrite(board, ("frames = 25", "frames = 25, realtime = true"))
    shown = _on_a_terminal(board, "-p", board.profile)
    assert "front  streaming  320x240" in shown.replace("\x1b[32m", "").replace("\x1b[0m", "").replace("\x1b[2m", "")
    assert "enrolling photographs: 1 of 1" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    assert "1 seen = 1 alerted + 0 not matched + 0 lost" in shown
