"""`lfr-kernel`: the group of all commands, and what they share."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

import click

from lfr_kernel import __version__
from lfr_kernel.cli.check import check
from lfr_kernel.cli.plugins import plugins
from lfr_kernel.cli.run import run_profile
from lfr_kernel.governance.permit import PermitRefusedError
from lfr_kernel.plugins import PluginError, Registry
from lfr_kernel.profile import ProfileError
from lfr_kernel.redaction import Redactor
from lfr_kernel.runtime import LfrError, describe
from lfr_kernel.session import StoppedBeforeStartError
from lfr_kernel.wiring import WiringError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["cli", "main"]

EPILOG = """\b
Examples:
  lfr-kernel demo                          see it work, with nothing to configure
  lfr-kernel check van.toml --graph        find mistakes before you run
  lfr-kernel --profile van.toml            run until Ctrl-C
  lfr-kernel --profile van.toml --duration 60 --json > run.json

Exit codes: 0 a normal end (Ctrl-C included), 1 a failed run, 2 wrong usage or a bad profile."""


class Commands(click.Group):
    """The commands of the kernel and, made only when asked for, those of plugins."""

    _registry: Registry | None = None

    @property
    def registry(self) -> Registry:
        """The plugins that are installed."""
        if self._registry is None:
            self._registry = Registry.discover()
        return self._registry

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See `click.Group`."""
        return sorted({*super().list_commands(ctx), *self.registry.names("command")})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See `click.Group`."""
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in self.registry.names("command"):
            return own
        command: click.Command = self.registry.get("command", cmd_name).create()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by their one line, without making those of plugins."""
        rows = []
        for name in self.list_commands(ctx):
            own = self.commands.get(name)
            rows.append((name, own.get_short_help_str(80) if own else self.registry.get("command", name).summary))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(
    cls=Commands,
    invoke_without_command=True,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("-p", "--profile", "path", type=click.Path(), help="Run this profile (a TOML file).")
@click.option("--duration", type=click.FloatRange(min=0.1), metavar="S", help="Stop after S seconds.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object at the end, on stdout; the rest on stderr."
)
@click.option("--debug", is_flag=True, help="Show tracebacks and debug log lines.")
@click.version_option(__version__, "--version", prog_name="lfr-kernel")
@click.pass_context
def cli(ctx: click.Context, path: str | None, duration: float | None, *, as_json: bool, debug: bool) -> None:
    """Live facial recognition that keeps its promises.

    Compares faces that pass a camera with a watchlist, proposes matches to a person who decides, and forgets everybody
    else at once. With --profile it runs that profile until its inputs end, the time is up, or Ctrl-C (a second Ctrl-C
    ends it at once).
    """
    ctx.obj = {"debug": debug or ctx.obj.get("debug", False), "registry": ctx.command.registry}  # type: ignore[attr-defined]
    if ctx.invoked_subcommand is not None:
        if path is not None:
            raise click.UsageError(f"--profile runs a profile; {ctx.invoked_subcommand!r} is a command of its own")
        return
    if path is None:
        click.echo(ctx.get_help())
        ctx.exit(2)
    ctx.exit(run_profile(_as_path(path), ctx.obj["registry"], duration_s=duration, as_json=as_json, debug=debug))


def _as_path(path: str) -> Path:
    from pathlib import Path  # noqa: PLC0415  (click gives text)

    return Path(path)


cli.add_command(check)
cli.add_command(plugins)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code. Every expected error is one clear text without a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    state: dict[str, Any] = {"debug": debug}
    try:
        code = cli.main(given, prog_name="lfr-kernel", standalone_mode=False, obj=state)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = 2
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:  # noqa: BLE001  (the last place that can make it readable)
        code = _report(error, debug=debug)
    sys.exit(code if isinstance(code, int) else 0)


def _report(error: Exception, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    redact = Redactor()
    if isinstance(error, StoppedBeforeStartError):
        click.echo(str(error), err=True)
        return 130
    click.secho(f"error: {redact(_text(error))}", fg="red", err=True)
    if not isinstance(error, LfrError) and not debug:
        click.echo("this is not an error we expected: run again with --debug and report what it prints", err=True)
    is_usage = isinstance(error, ProfileError | PluginError | PermitRefusedError | WiringError)
    return 2 if is_usage else 1


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, LfrError) and str(error) else describe(error)
