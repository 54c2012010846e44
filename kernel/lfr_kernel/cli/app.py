"""`lfr-kernel`: the group of all commands, and what they share."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from lfr_kernel.cli.asking import FILE, passphrase_option
from lfr_kernel.cli.registry import MODULES, OWN, plugged_command, plugged_commands, registry_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cli", "main"]

EPILOG = """\b
Examples:
  lfr-kernel demo                          see it work, with nothing to configure
  lfr-kernel check van.toml --graph        find mistakes before you run
  lfr-kernel --profile van.toml            run until Ctrl-C
  lfr-kernel --profile van.toml --duration 60 --json > run.json

Exit codes: 0 a normal end (Ctrl-C of a run included), 1 a failure, 2 wrong usage or a refusal,
130 Ctrl-C at a question."""


class Commands(click.Group):
    """The commands of the kernel and those of plugins, made only when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See `click.Group`."""
        return sorted({*OWN, *plugged_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See `click.Group`."""
        if cmd_name in OWN:
            module = import_module(f"lfr_kernel.cli.{MODULES.get(cmd_name, cmd_name)}")
            found: click.Command = getattr(module, cmd_name)
            return found
        return plugged_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by their one line, without making those of plugins."""
        rows = sorted({**OWN, **plugged_commands(ctx)}.items())
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
@click.option(
    "--as", "name", envvar="LFR_AS", metavar="NAME", help="Operator whose session opens a deployment (see `session`)."
)
@click.option(
    "--unlock", type=FILE, metavar="KEYFILE", help="Operator's key file, where the start of a profile waits for one."
)
@passphrase_option
@click.option("--debug", is_flag=True, help="Show tracebacks and debug log lines.")
@click.version_option(None, "--version", package_name="lfr-kernel", prog_name="lfr-kernel")
@click.pass_context
def cli(  # noqa: PLR0917  (click hands them in by name)
    ctx: click.Context,
    path: str | None,
    duration: float | None,
    name: str | None,
    unlock: Path | None,
    passphrase_file: Path | None,
    *,
    as_json: bool,
    debug: bool,
) -> None:
    """Live facial recognition that keeps its promises.

    Compares faces that pass a camera with a watchlist, proposes matches to a person who decides, and forgets everybody
    else at once. With --profile it runs that profile until its inputs end, the time is up, or Ctrl-C (a second Ctrl-C
    ends it at once).
    """
    ctx.obj["debug"] = debug or ctx.obj.get("debug", False)
    if ctx.invoked_subcommand is not None:
        if path is not None:
            raise click.UsageError(f"--profile runs a profile; {ctx.invoked_subcommand!r} is a command of its own")
        return
    if path is None:
        click.echo(ctx.get_help())
        ctx.exit(2)
    from lfr_kernel.cli.run import Present, run_profile  # noqa: PLC0415  (a run needs much that no command does)

    registry = registry_of(ctx)
    present = Present(name=name, unlock=unlock, passphrase_file=passphrase_file)
    ctx.exit(run_profile(Path(path), registry, duration_s=duration, as_json=as_json, debug=debug, present=present))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code. Every expected error is one clear text without a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    state: dict[str, Any] = {"debug": debug}
    _fill_closed_streams()
    try:
        code = cli.main(given, prog_name="lfr-kernel", standalone_mode=False, obj=state)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        code = 130
    except BrokenPipeError:
        _let_go_of_stdout()
        code = 1
    except Exception as error:  # noqa: BLE001  (the last place that can make it readable)
        from lfr_kernel.cli.errors import report  # noqa: PLC0415  (it knows every error, and so much of the kernel)

        code = report(error, debug=debug)
    sys.exit(code if isinstance(code, int) else 0)


def _fill_closed_streams() -> None:
    """Give whoever prints something to print to where the shell has closed it (`>&-`, `2>&-`)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  (until the end)


def _let_go_of_stdout() -> None:
    """Whoever read stdout has gone (`| head`): let the interpreter flush what is left into nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
