"""Which commands there are: the kernel's own, by a table, and those of plugins, found only where they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfr_kernel.plugins import Registry

__all__ = ["MODULES", "OWN", "plugged_command", "plugged_commands", "registry_of"]


OWN: Mapping[str, str] = {
    "alerts": "Look at alerts, decide on them, say what came of them.",
    "audit": "Show, export, verify and anchor the log of all acts.",
    "authorise": "Sign an authority with exactly what may run under it.",
    "authority": "List, show, extend and close what was authorised.",
    "check": "Find every mistake in a profile before you run it.",
    "installation": "Make, found, update and show a vault.",
    "notice": "What the public is told: a notice, or a sign.",
    "org": "Sign rosters, rule packs and installations, offline.",
    "person": "Make somebody's keys.",
    "plugins": "List what is installed, with its settings.",
    "record": "What happened in a deployment, with its figures.",
    "recipient": "Make a key that pictures are sealed to, and open them.",
    "retention": "What is kept, until when, and what was destroyed.",
    "session": "Start, hand over and end a shift.",
    "threshold": "Change the threshold: two people, a reason, figures.",
    "watchlist": "Build, review and verify governed watchlists.",
}
"""The kernel's own commands with what they are for: each is `NAME` in `lfr_kernel.cli.NAME`, loaded when it is called.

Whoever decides on an alert does not wait for what only a run needs.
"""


MODULES: Mapping[str, str] = {"authorise": "authority"}
"""Where a command lies that has no module of its name."""


def registry_of(ctx: click.Context) -> Registry:
    """Return the plugins that are installed. They stand in `ctx.obj["registry"]`, too, for commands of plugins.

    Raises:
        PluginError: one of them has a command with the name of one of the kernel's.
    """
    state: dict[str, Any] = ctx.find_root().ensure_object(dict)
    if "registry" not in state:
        from lfr_kernel.plugins import PluginError, Registry  # noqa: PLC0415  (most commands need none)

        registry = Registry.discover()
        for name in registry.names("command"):
            if name in OWN:
                origin = registry.origin("command", name).origin
                raise PluginError(f"command plugin {name!r} of {origin} has the name of a command of the kernel")
        state["registry"] = registry
    found: Registry = state["registry"]
    return found


def plugged_commands(ctx: click.Context) -> dict[str, str]:
    """Return the commands of plugins, each with what it is for; raises as `registry_of` does."""
    registry = registry_of(ctx)
    return {name: registry.get("command", name).summary for name in registry.names("command")}


def plugged_command(ctx: click.Context, name: str) -> click.Command | None:
    """Return the command of a plugin; None if there is none of this name.

    Raises:
        PluginError: it cannot be made; see also `registry_of`.
    """
    from lfr_kernel.plugins import PluginError  # noqa: PLC0415
    from lfr_kernel.runtime import describe  # noqa: PLC0415

    if name not in plugged_commands(ctx):
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
