"""`lfr-tui`: the command line of the dashboard."""

from __future__ import annotations

from importlib.metadata import version

import click

__all__ = ["main"]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("lfr-kernel"), "--version", prog_name="lfr-tui")
def main() -> None:
    """Watch a running kernel from a terminal.

    This version has no telemetry link yet, so there is nothing to connect to. Until then `lfr-kernel --profile P` shows
    a live status line, and `--json` gives the same figures to machines.
    """
    raise click.ClickException(
        "this version's kernel opens no telemetry socket, so there is nothing to watch; "
        "run `lfr-kernel --profile P` on a terminal for its status line"
    )
