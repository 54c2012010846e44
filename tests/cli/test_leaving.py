"""How the process ends: with the right code, whatever plugins are doing."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from lfr_kernel.cli.errors import report
from lfr_kernel.cli.run import _stdout_kept_clean
from lfr_kernel.runtime import PermanentError

if TYPE_CHECKING:
    import pytest

HANGING = """
import sys, threading
from lfr_kernel.cli import script

def main():
    threading.Thread(target=threading.Event().wait, name="lfr:compute", daemon=True).start()
    sys.stdout.write("the summary")
    sys.exit(3)

script_module = sys.modules["lfr_kernel.cli.script"]
script_module.main, script_module.PATIENCE_S = main, 0.05
import atexit
atexit.register(lambda: print("the interpreter was taken down"))
script()
"""


def leave(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603  (our own)


def test_a_call_that_hangs_costs_neither_the_code_nor_the_output() -> None:
    done = leave(HANGING)
    assert (done.returncode, done.stdout, done.stderr) == (3, "the summary", "")


def test_without_such_a_call_the_interpreter_ends_in_good_order() -> None:
    done = leave(HANGING.replace("threading.Event().wait", "int"))
    assert (done.returncode, done.stdout) == (3, "the summarythe interpreter was taken down\n")


def test_an_error_nobody_expected_says_how_to_report_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(RuntimeError("what now")) == 1
    text = capsys.readouterr().err
    assert "error: RuntimeError: what now" in text
    assert "run again with --debug" in text
    assert report(PermanentError("no such camera")) == 1
    assert "--debug" not in capsys.readouterr().err


def test_what_c_libraries_write_to_stdout_stays_out_of_the_json(capfd: pytest.CaptureFixture[str]) -> None:
    with _stdout_kept_clean():
        os.write(1, b"noise of a library\n")
    os.write(1, b"{}\n")
    out, err = capfd.readouterr()
    assert (out, err) == ("{}\n", "noise of a library\n")
