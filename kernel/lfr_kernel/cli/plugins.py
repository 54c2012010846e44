"""`lfr-kernel plugins`: what is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lfr_kernel.cli.asking import json_option
from lfr_kernel.cli.printing import print_json
from lfr_kernel.cli.registry import registry_of
from lfr_kernel.cli.settings import describe_config, toml_of

if TYPE_CHECKING:
    from lfr_kernel.plugins import Registry

__all__ = ["plugins"]

STAGES = ("camera", "detector", "tracker", "embedder", "index", "sink", "anchor", "retention", "command")
OPTIONS_INDENT = 6


@click.command(short_help="List what is installed, with its settings.")
@json_option
@click.pass_context
def plugins(ctx: click.Context, *, as_json: bool) -> None:
    """List the installed plugins by stage, with version, origin and settings."""
    registry = registry_of(ctx)
    found = [_describe(registry, stage, name) for stage in STAGES for name in registry.names(stage)]
    if as_json:
        print_json(found)
        return
    console = Console(highlight=False)
    stage = ""
    for one in found:
        if one["stage"] != stage:
            console.print(Text(one["stage"] if not stage else f"\n{one['stage']}", style="bold"))
            stage = one["stage"]
        console.print(Padding(_heading(one), (0, 0, 0, 2)))
        if one["options"]:
            console.print(Padding(_options(one["options"]), (0, 0, 0, OPTIONS_INDENT)))


def _describe(registry: Registry, stage: str, name: str) -> dict[str, Any]:
    installed = registry.origin(stage, name)
    return {
        "stage": stage,
        "name": name,
        "summary": installed.plugin.summary,
        "distribution": installed.distribution,
        "version": installed.version,
        "options": describe_config(installed.plugin.config),
    }


def _heading(one: dict[str, Any]) -> Table:
    origin = f"{one['distribution']} {one['version']}"
    heading = Table.grid(padding=(0, 2, 0, 0))
    heading.add_column(no_wrap=True)
    heading.add_column()
    heading.add_row(Text(one["name"], "bold cyan"), Text.assemble(one["summary"], (f"  [{origin}]", "dim")))
    return heading


def _options(options: list[dict[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for option in options:
        default = "required" if option["required"] else toml_of(option["default"])
        table.add_row(option["name"], Text(default, "dim"), Text(_help(option), "dim"))
    return table


def _help(option: dict[str, Any]) -> str:
    return f"{option['help'].rstrip('.')} ({option['type']})" if option["help"] else str(option["type"])
