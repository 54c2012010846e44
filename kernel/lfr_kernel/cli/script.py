"""The console script: the command line, and a way out that does not depend on plugins."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import NoReturn

from lfr_kernel.cli.app import main
from lfr_kernel.memory import harden

__all__ = ["script"]

PATIENCE_S = 1.0


def script() -> NoReturn:
    """Run `main`, and end the process with its code even where a plugin's call still hangs in foreign code.

    The interpreter, on its way out, stops a daemon thread when it next asks for the GIL, and C++ libraries answer that
    by aborting the process. So lanes get a moment to end; if one does not, the interpreter is left as it is.
    """
    harden()
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    deadline = time.monotonic() + PATIENCE_S
    lanes = [thread for thread in threading.enumerate() if thread.name.startswith("lfr:")]
    for lane in lanes:
        lane.join(max(0.0, deadline - time.monotonic()))
    if any(lane.is_alive() for lane in lanes):
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)
