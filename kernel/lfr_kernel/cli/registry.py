"""The plugins that are installed, found once for each call of the command line, and only where a command needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Collection

    from lfr_kernel.plugins import Registry

__all__ = ["plugged_command", "plugged_commands", "registry_of"]


def registry_of(ctx: click.Context) -> Registry:
    """Return the plugins that are installed. They stand in `ctx.obj["registry"]`, too, for commands of plugins."""
    state: dict[str, Any] = ctx.find_root().ensure_object(dict)
    if "registry" not in state:
        from lfr_kernel.plugins import Registry  # noqa: PLC0415  (most commands need none)

        state["registry"] = Registry.discover()
    found: Registry = state["registry"]
    return found


def plugged_commands(ctx: click.Context, own: Collection[str]) -> dict[str, str]:
    """Return the commands of plugins, each with what it is for.

    Args:
        ctx: of this call.
        own: names of the kernel's own commands.

    Raises:
        PluginError: one of them has the name of a command of the kernel.
    """
    from lfr_kernel.plugins import PluginError  # noqa: PLC0415

    registry = registry_of(ctx)
    for name in registry.names("command"):
        if name in own:
            origin = registry.origin("command", name).origin
            raise PluginError(f"command plugin {name!r} of {origin} has the name of a command of the kernel")
    return {name: registry.get("command", name).summary for name in registry.names("command")}


def plugged_command(ctx: click.Context, name: str, own: Collection[str]) -> click.Command | None:
    """Return the command of a plugin; None if there is none of this name. Takes and raises as `plugged_commands`.

    Raises:
        PluginError: it cannot be made.
    """
    from lfr_kernel.plugins import PluginError  # noqa: PLC0415
    from lfr_kernel.runtime import describe  # noqa: PLC0415

    if name not in plugged_commands(ctx, own):
        return None
    found = registry_of(ctx).origin("command", name)
    try:
        command: object = found.plugin.create()
    except Exception as error:
        raise PluginError(f"command plugin {name!r} of {found.origin} cannot be made: {describe(error)}") from error
    if not isinstance(command, click.Command):
        raise PluginError(
            f"command plugin {name!r} of {found.origin}: expected `create` to return a click.Command, got {command!r}"
        )
    return command
