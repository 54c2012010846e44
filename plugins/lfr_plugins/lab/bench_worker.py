"""One measurement in a process of its own: a job comes on stdin, its result goes to stdout.

It ends when its stdin does, so that it cannot outlive whoever started it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from typing import IO, Any, TypeVar

import msgspec
import structlog

from lfr_kernel.api import LfrError, PermanentError
from lfr_plugins.lab.bench_report import Job

__all__ = ["FAILED", "main", "measure"]

T = TypeVar("T")

FAILED = 3
"""Exit code: stdout holds a text that says why."""


def measure(job: Job, result: type[T]) -> T:
    """Run `job` in a fresh process and return its result. The process is killed if this is interrupted.

    Raises:
        PermanentError: it failed; the text says why.
    """
    command = [sys.executable, "-P", "-m", "lfr_plugins.lab.bench_worker"]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as child,  # noqa: S603
    ):
        try:
            answer, code = _converse(child, msgspec.json.encode(job))
        except BaseException:
            child.kill()
            raise
        if code == 0:
            return msgspec.json.decode(answer, type=result)
        if code == FAILED:
            raise PermanentError(answer.decode())
        raise PermanentError(f"the process that measured {job.kind!r} ended with code {code}: {_last_line(errors)}")


def _converse(child: subprocess.Popen[bytes], job: bytes) -> tuple[bytes, int]:
    assert child.stdin is not None  # noqa: S101  (both are pipes)
    assert child.stdout is not None  # noqa: S101
    child.stdin.write(job + b"\n")
    child.stdin.flush()
    return child.stdout.read(), child.wait()


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")


def main() -> int:
    """Take a job from stdin, print its result, and return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it decides
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        answer, code = msgspec.json.encode(_result(job)), 0
    except LfrError as error:
        answer, code = str(error).encode(), FAILED
    sys.stdout.buffer.write(answer)
    sys.stdout.flush()
    return code


def _result(job: Job) -> Any:
    from lfr_plugins.lab import bench_loops, bench_pipeline  # noqa: PLC0415  (not for whoever only wants `measure`)

    runs = {
        "pipeline": bench_pipeline.run_pipeline,
        "bound": bench_loops.run_bound,
        "sequential": bench_loops.run_sequential,
        "paced": bench_pipeline.run_paced,
    }
    return runs[job.kind](job)


def _end_with_stdin() -> None:
    # Unbuffered: a thread inside of a buffered read keeps the interpreter from ending in peace.
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
