"""`lfr-kernel --profile P`: run a profile."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import anyio
import click
import msgspec
from rich.console import Console

from lfr_kernel.cli.logs import configure_logs
from lfr_kernel.cli.screen import StatusLine, show_alert, summary_table
from lfr_kernel.messages import Alert, Outcome
from lfr_kernel.profile import load_profile
from lfr_kernel.runtime import ActorFailed, stop_signals
from lfr_kernel.session import Listener, Session

if TYPE_CHECKING:
    from pathlib import Path

    from lfr_kernel.plugins import Registry
    from lfr_kernel.profile import Profile
    from lfr_kernel.redaction import Redactor
    from lfr_kernel.telemetry import Summary

__all__ = ["print_summary", "run_loaded", "run_profile"]

REFRESH_S = 0.25


def run_profile(path: Path, registry: Registry, *, duration_s: float | None, as_json: bool, debug: bool) -> int:
    """Run the profile at `path`; print its summary; return the exit code."""
    profile, redactor = load_profile(path, registry)
    summary, code = run_loaded(profile, registry, redactor, duration_s=duration_s, debug=debug)
    print_summary(summary, redactor, as_json=as_json)
    return code


def run_loaded(
    profile: Profile, registry: Registry, redactor: Redactor, *, duration_s: float | None = None, debug: bool = False
) -> tuple[Summary, int]:
    """Run a profile with a status line where there is a terminal. Return its summary and the exit code.

    Raises:
        LfrError: it could not start.
    """
    return anyio.run(_run, profile, registry, redactor, duration_s, debug)


async def _run(
    profile: Profile,
    registry: Registry,
    redactor: Redactor,
    duration_s: float | None,
    debug: bool,  # noqa: FBT001
) -> tuple[Summary, int]:
    log = configure_logs(redactor, debug=debug)
    has_console_sink = any(sink.plugin == "console" for sink in profile.sinks)
    with ExitStack() as stack:
        status = stack.enter_context(StatusLine()) if sys.stderr.isatty() else None

        def enrolled(done: int, total: int) -> None:
            if status is not None:
                status.say(f" enrolling photographs: {done} of {total}")

        def fact(what: Alert | Outcome) -> None:
            if isinstance(what, Alert) and not has_console_sink:
                show_alert(status.console if status else Console(stderr=True), what)

        session = Session(profile, registry, listener=Listener(log=log, enrolled=enrolled, fact=fact))
        loop = asyncio.get_running_loop()

        def stop(reason: str) -> None:
            loop.call_soon_threadsafe(session.stop, reason)

        stack.enter_context(stop_signals(stop, status.restore if status else lambda: None))
        async with anyio.create_task_group() as tasks:
            if status is not None:
                tasks.start_soon(_refresh, status, session)
            try:
                return await session.run(duration_s=duration_s), 0
            except ActorFailed as error:
                if not session.is_started:
                    raise
                log("run_failed", error=str(error), exc=error)
                return session.summary(), 1
            finally:
                tasks.cancel_scope.cancel()


async def _refresh(status: StatusLine, session: Session) -> None:
    status.say(" loading models …")
    while True:
        await anyio.sleep(REFRESH_S)
        if session.is_started:
            status.show(session.summary())


def print_summary(summary: Summary, redactor: Redactor, *, as_json: bool) -> None:
    """Print the summary on stdout: one JSON object, or tables."""
    if as_json:
        click.echo(redactor(msgspec.json.format(msgspec.json.encode(summary), indent=2).decode()))
    else:
        Console().print(summary_table(summary))
