"""Plugins: what they declare, how they are found, and how their mistakes are reported.

A plugin is an installed distribution with an entry point in the group `lfr_kernel.plugins`; it names a module
that implements the one hook, `lfr_plugins`. The built-ins come in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, ClassVar

import pluggy
from msgspec import Struct, field

from lfr_kernel.runtime.errors import PermanentError, describe

if TYPE_CHECKING:
    import click

    from lfr_kernel.stages.camera import Camera
    from lfr_kernel.stages.detector import Detector
    from lfr_kernel.stages.embedder import Embedder
    from lfr_kernel.stages.index import Index
    from lfr_kernel.stages.retention import Retention
    from lfr_kernel.stages.sink import AlertSink, SinkContext
    from lfr_kernel.stages.tracker import Tracker

__all__ = [
    "API_VERSION",
    "GROUP",
    "CameraPlugin",
    "CommandPlugin",
    "DetectorPlugin",
    "EmbedderPlugin",
    "IndexPlugin",
    "Installed",
    "NoConfig",
    "Plugin",
    "PluginError",
    "Registry",
    "RetentionPlugin",
    "SinkPlugin",
    "TrackerPlugin",
    "hookimpl",
]

GROUP = "lfr_kernel.plugins"
API_VERSION = 1
"""Rises when a contract changes so that older plugins cannot work."""

hookspec = pluggy.HookspecMarker("lfr_kernel")
hookimpl = pluggy.HookimplMarker("lfr_kernel")


class PluginError(PermanentError, ValueError):
    """A plugin cannot be used; the text names it, its distribution and version."""


class NoConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """For plugins that have nothing to configure."""


class Plugin(Struct, frozen=True, kw_only=True, eq=False):
    """What all plugins declare."""

    stage: ClassVar[str]
    name: str
    """How profiles refer to it: lower case, unique within its stage."""
    api: int
    """The API version it was written for; see `API_VERSION`."""
    summary: str = ""
    """One line for `lfr-kernel plugins`."""
    config: type[Struct] = NoConfig
    """A frozen Struct: defaults, bounds and help (`Annotated[…, Meta(description=…)]`) in one place."""


class CameraPlugin(Plugin, frozen=True, kw_only=True, eq=False):
    """A source of pictures."""

    stage: ClassVar[str] = "camera"
    create: Callable[[Any], Camera]


class DetectorPlugin(Plugin, frozen=True, kw_only=True, eq=False):
    """Finds faces."""

    stage: ClassVar[str] = "detector"
    create: Callable[[Any], Detector]


class TrackerPlugin(Plugin, frozen=True, kw_only=True, eq=False):
    """Follows faces from frame to frame."""

    stage: ClassVar[str] = "tracker"
    create: Callable[[Any], Tracker]


class EmbedderPlugin(Plugin, frozen=True, kw_only=True, eq=False):
    """Turns crops into templates."""

    stage: ClassVar[str] = "embedder"
    create: Callable[[Any], Embedder]


class IndexPlugin(Plugin, frozen=True, kw_only=True, eq=False):
    """Searches the gallery."""

    stage: ClassVar[str] = "index"
    create: Callable[[Any], Index]


class SinkPlugin(Plugin, frozen=True, kw_only=True, eq=False):
    """Takes alerts somewhere."""

    stage: ClassVar[str] = "sink"
    create: Callable[[Any, SinkContext], AlertSink]


class RetentionPlugin(Plugin, frozen=True, kw_only=True, eq=False):
    """Says how long records live."""

    stage: ClassVar[str] = "retention"
    create: Callable[[Any], Retention]


class CommandPlugin(Plugin, frozen=True, kw_only=True, eq=False):
    """Adds a subcommand to `lfr-kernel`; `create` is called only when it is asked for."""

    stage: ClassVar[str] = "command"
    create: Callable[[], click.Command]


class Hooks:
    """The hooks that a plugin's module may implement."""

    @hookspec
    def lfr_plugins(self) -> Sequence[Plugin]:  # type: ignore[empty-body]
        """Return the plugins of this distribution. Called once at start; import heavy libraries in `create`."""


class Installed(Struct, frozen=True, kw_only=True, eq=False):
    """A plugin, and where it came from."""

    plugin: Any
    distribution: str = field(default="")
    version: str = field(default="")

    @property
    def origin(self) -> str:
        """`distribution version`, for messages."""
        return f"{self.distribution} {self.version}".strip()


class Registry:
    """The plugins that are installed, by stage and name."""

    def __init__(self, installed: Sequence[Installed]) -> None:
        self._plugins: dict[tuple[str, str], Installed] = {}
        for one in installed:
            self._add(one)

    @classmethod
    def discover(cls) -> Registry:
        """Load every entry point of the group. Raises PluginError for one that cannot be used."""
        manager = pluggy.PluginManager("lfr_kernel")
        manager.add_hookspecs(Hooks)
        return cls([plugin for found in entry_points(group=GROUP) for plugin in _load(manager, found)])

    def _add(self, one: Installed) -> None:
        plugin = one.plugin
        if not isinstance(plugin, Plugin) or type(plugin) is Plugin:
            raise PluginError(
                f"lfr_plugins() of {one.origin} returned {plugin!r}; expected DetectorPlugin, CameraPlugin and so on"
            )
        if plugin.api != API_VERSION:
            raise PluginError(
                f"{plugin.stage} plugin {plugin.name!r} of {one.origin} was written for API version {plugin.api}; "
                f"this kernel has {API_VERSION}: install a version of it that fits"
            )
        key = (plugin.stage, plugin.name)
        if key in self._plugins:
            raise PluginError(
                f"{plugin.stage} plugin {plugin.name!r} of {one.origin} has the name of one of "
                f"{self._plugins[key].origin}; uninstall one of the two"
            )
        self._plugins[key] = one

    def get(self, stage: str, name: str) -> Any:
        """Return the plugin. Raises PluginError, which lists what there is."""
        found = self._plugins.get((stage, name))
        if found is None:
            raise PluginError(f"no {stage} plugin {name!r} is installed; there are: {', '.join(self.names(stage))}")
        return found.plugin

    def origin(self, stage: str, name: str) -> Installed:
        """Return the plugin with where it came from."""
        return self._plugins[stage, name]

    def names(self, stage: str) -> list[str]:
        """Return the names of the plugins of one stage."""
        return sorted(name for where, name in self._plugins if where == stage)

    def __iter__(self) -> Any:
        return iter(self._plugins.values())


def _load(manager: pluggy.PluginManager, entry_point: EntryPoint) -> list[Installed]:
    name = entry_point.dist.name if entry_point.dist else "unknown"
    version = entry_point.dist.version if entry_point.dist else ""
    where = f"plugin {entry_point.name!r} ({entry_point.value}) of {name} {version}"
    try:
        registered = manager.register(entry_point.load(), name=f"{name}:{entry_point.name}")
        manager.check_pending()
    except Exception as error:
        raise PluginError(f"{where} cannot be loaded: {describe(error)}; fix or uninstall {name}") from error
    hooks = [one for one in manager.hook.lfr_plugins.get_hookimpls() if one.plugin_name == registered]
    if not hooks:
        raise PluginError(f"{where}: expected a function lfr_plugins() marked with @hookimpl, found none")
    try:
        declared = list(hooks[0].function())
    except Exception as error:
        raise PluginError(f"{where}: lfr_plugins() failed: {describe(error)}") from error
    return [Installed(plugin=plugin, distribution=name, version=version) for plugin in declared]
