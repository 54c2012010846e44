"""`lfr-kernel plugins`: what is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_type_hints

import click
import msgspec
from rich.console import Console
from rich.text import Text

from lfr_kernel.decoding import describe_type

if TYPE_CHECKING:
    from lfr_kernel.plugins import Registry

__all__ = ["describe_config", "plugins"]

STAGES = ("camera", "detector", "tracker", "embedder", "index", "sink", "retention", "command")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def plugins(state: dict[str, Any], *, as_json: bool) -> None:
    """List the installed plugins by stage, with version, origin and settings."""
    registry: Registry = state["registry"]
    found = [_describe(registry, stage, name) for stage in STAGES for name in registry.names(stage)]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    console = Console()
    stage = ""
    for one in found:
        if one["stage"] != stage:
            stage = one["stage"]
            console.print(Text(f"\n{stage}", style="bold"))
        console.print(
            Text.assemble("  ", (one["name"], "bold cyan"), f"  {one['summary']}", (f"  {one['origin']}", "dim"))
        )
        for option in one["options"]:
            default = "required" if option["required"] else f"default {option['default']!r}"
            text = f"      {option['name']}: {option['type']}, {default}. {option['help']}"
            console.print(Text(text, style="dim"))


def _describe(registry: Registry, stage: str, name: str) -> dict[str, Any]:
    installed = registry.origin(stage, name)
    return {
        "stage": stage,
        "name": name,
        "summary": installed.plugin.summary,
        "origin": installed.origin,
        "options": describe_config(installed.plugin.config),
    }


def describe_config(config: type[msgspec.Struct]) -> list[dict[str, Any]]:
    """Return name, type, default and help of each setting, from the Struct itself."""
    hints = get_type_hints(config, include_extras=True)
    options = []
    for field in msgspec.structs.fields(config):
        metas = getattr(hints[field.name], "__metadata__", ())
        texts = [meta.description for meta in metas if isinstance(meta, msgspec.Meta) and meta.description]
        factory = field.default_factory
        default = factory() if factory is not msgspec.NODEFAULT else field.default
        options.append(
            {
                "name": field.encode_name,
                "type": describe_type(hints[field.name]),
                "required": field.required,
                "default": None if field.required else default,
                "help": " ".join(texts),
            }
        )
    return options
