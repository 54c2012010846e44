"""`lfr-kernel --profile P`: run a profile."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path  # noqa: TC003  (msgspec resolves the annotations)
from typing import TYPE_CHECKING

import anyio
import click
import msgspec
from msgspec import Struct
from rich.console import Console

from lfr_kernel.cli.asking import passphrase_of
from lfr_kernel.cli.errors import report
from lfr_kernel.cli.logs import configure_logs
from lfr_kernel.cli.screen import StatusLine, print_json, show_alert, summary_table
from lfr_kernel.governance.deployment.governed import Governed
from lfr_kernel.governance.deployment.opening import Opener
from lfr_kernel.governance.instant import read_clocks
from lfr_kernel.governance.people.keyfiles import open_as
from lfr_kernel.governance.people.sessions import open_session
from lfr_kernel.governance.vault import Vault
from lfr_kernel.messages import Alert, Outcome
from lfr_kernel.planning import plan_of, vault_of
from lfr_kernel.profile import load_profile
from lfr_kernel.runtime import ActorFailed, stop_signals
from lfr_kernel.session import Listener, Session, StoppedBeforeStartError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lfr_kernel.governance.deployment.custody import Unlock
    from lfr_kernel.plugins import Registry
    from lfr_kernel.profile import Profile
    from lfr_kernel.redaction import Redactor
    from lfr_kernel.telemetry import Summary

__all__ = ["Present", "print_summary", "run_loaded", "run_profile"]

REFRESH_S = 0.25
STDOUT, STDERR = 1, 2


class Present(Struct, frozen=True, kw_only=True):
    """Who is there when a run under an authority starts."""

    name: str | None = None
    """Whose session opens a deployment; None: the only one."""
    unlock: Path | None = None
    """Key file of an operator, for a deployment that waits for one."""
    passphrase_file: Path | None = None


def governed_by(profile: Profile, path: Path, registry: Registry, present: Present) -> Governed | None:
    """Return the run under an authority that a profile asks for, if it does. Opens its vault.

    Raises:
        LfrError: the vault, the pack or the session cannot be used.
    """
    if profile.permit != "authority":
        return None
    vault = Vault.open(vault_of(profile), clocks=read_clocks)
    try:
        opener = Opener(operator=lambda: open_session(vault, present.name), unlock=_unlocking(present))
        return Governed(vault, plan_of(profile, path, registry), opener)
    except BaseException:
        vault.close()
        raise


def _unlocking(present: Present) -> Unlock | None:
    if present.unlock is None:
        return None
    key, passphrase = present.unlock, passphrase_of(f"the key {present.unlock}", present.passphrase_file)
    return lambda sealed, purpose: open_as(key, passphrase, sealed, purpose)


def run_profile(
    path: Path,
    registry: Registry,
    *,
    duration_s: float | None,
    as_json: bool,
    debug: bool,
    present: Present | None = None,
) -> int:
    """Run the profile at `path`; print its summary on stdout and everything else on stderr; return the exit code.

    Raises:
        ProfileError: the profile cannot be used. Every later error is reported here, by a redactor that knows the
            profile's secrets.
    """
    profile, redactor = load_profile(path, registry)
    try:
        governed = governed_by(profile, path, registry, present or Present())
        with _stdout_kept_clean() if as_json else nullcontext():
            summary, code = run_loaded(
                profile, registry, redactor, duration_s=duration_s, debug=debug, governed=governed
            )
    except Exception as error:  # noqa: BLE001  (the last place that knows the secrets)
        return report(error, redactor, debug=debug)
    if summary is not None:
        print_summary(summary, redactor, as_json=as_json)
    return code


@contextmanager
def _stdout_kept_clean() -> Iterator[None]:
    """Send to stderr what plugins print on stdout, and what their C libraries write to its file descriptor."""
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(sys.stderr))
        with suppress(OSError):  # one of them is closed: there is nothing to keep clean, or nowhere to send it
            kept = os.dup(STDOUT)
            stack.callback(os.close, kept)
            os.dup2(STDERR, STDOUT)
            stack.callback(os.dup2, kept, STDOUT)
        yield


def run_loaded(
    profile: Profile,
    registry: Registry,
    redactor: Redactor,
    *,
    duration_s: float | None = None,
    debug: bool = False,
    governed: Governed | None = None,
) -> tuple[Summary | None, int]:
    """Run a profile with a status line where there is a terminal.

    Returns:
        Its summary, None if it was stopped before it had started; and the exit code: 0, 1 for a failed run (which
        has been reported), 128 + n for signal n before the start.

    Raises:
        LfrError: it could not start.
    """
    ending = anyio.run(_run, profile, registry, redactor, duration_s, debug, governed)
    if isinstance(ending.failure, StoppedBeforeStartError) and ending.stopped_by is not None:
        click.echo(str(ending.failure), err=True)
        return None, 128 + signal.Signals[ending.stopped_by]
    if ending.failure is not None and ending.summary is None:
        raise ending.failure
    return ending.summary, 0 if ending.failure is None else report(ending.failure, redactor, debug=debug)


class _Ending(Struct, frozen=True, kw_only=True):
    """How a run ended: with a summary, a failure, or both."""

    summary: Summary | None = None
    failure: Exception | None = None
    stopped_by: str | None = None
    """The signal, by name."""


async def _run(  # noqa: PLR0917  (anyio hands them in by place)
    profile: Profile,
    registry: Registry,
    redactor: Redactor,
    duration_s: float | None,
    debug: bool,  # noqa: FBT001
    governed: Governed | None,
) -> _Ending:
    log = configure_logs(redactor, debug=debug)
    has_console_sink = any(sink.plugin == "console" for sink in profile.sinks)
    loop = asyncio.get_running_loop()
    stopped_by: str | None = None
    ending = _Ending()
    with ExitStack() as stack:
        status = stack.enter_context(StatusLine(redactor)) if sys.stderr.isatty() else None

        def enrolled(done: int, total: int) -> None:
            if status is not None:
                status.say(f"enrolling photographs: {done} of {total}")

        def fact(what: Alert | Outcome) -> None:
            if isinstance(what, Alert) and not has_console_sink:
                with suppress(OSError, ValueError):  # stderr is closed: the alert is in the summary all the same
                    console = status.console if status else Console(stderr=True)
                    show_alert(console, what, redactor, is_governed=governed is not None)

        listener = Listener(log=log, enrolled=enrolled, fact=fact)
        session = Session(profile, registry, listener=listener, governed=governed)

        def stop(reason: str) -> None:
            nonlocal stopped_by
            stopped_by = reason
            loop.call_soon_threadsafe(begin_to_stop, reason)

        def begin_to_stop(reason: str) -> None:
            session.stop(reason)
            if status is not None:
                status.stopping(reason)
            else:
                log("stopping", reason=reason, at_once="a second signal")

        stack.enter_context(stop_signals(stop, status.restore if status else lambda: None))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_watch, session, status, log)
            try:
                ending = _Ending(summary=await session.run(duration_s=duration_s))
            except ActorFailed as error:
                ending = _Ending(summary=session.summary() if session.is_started else None, failure=error)
            except Exception as error:  # noqa: BLE001  (returned, since the task group would wrap it)
                ending = _Ending(failure=error)
            tasks.cancel_scope.cancel()
    return msgspec.structs.replace(ending, stopped_by=stopped_by)


async def _watch(session: Session, status: StatusLine | None, log: Callable[..., None]) -> None:
    """Keep the status line fresh; where there is none, say once that the run has started."""
    if status is not None:
        status.say("loading models and watchlist …")
    while True:
        await anyio.sleep(REFRESH_S)
        if session.is_started and status is None:
            log("started", profile=session.profile.name, permit=str(session.permit))
            return
        if session.is_started and status is not None:
            status.show(session.summary())


def print_summary(summary: Summary, redactor: Redactor, *, as_json: bool) -> None:
    """Print the summary on stdout: one JSON object, or tables."""
    if as_json:
        masked = redactor.mask(msgspec.to_builtins(summary))
        print_json(masked)
    else:
        Console(highlight=False).print(summary_table(summary, redactor))
