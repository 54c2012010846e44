"""Plugins: what they declare, how they are found, and how their mistakes are reported.

A plugin is an installed distribution with an entry point in the group `lfr_kernel.plugins`; it names a module
that implements the one hook, `lfr_plugins`. The built-ins come in the same way.
"""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, ClassVar, get_type_hints

import pluggy
from msgspec import Struct

from lfr_kernel.decoding import suggest
from lfr_kernel.runtime.errors import PermanentError, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import click

    from lfr_kernel.governance.audit.anchors import AnchorSink
    from lfr_kernel.stages.camera import Camera, StillCodec
    from lfr_kernel.stages.detector import Detector
    from lfr_kernel.stages.embedder import Embedder
    from lfr_kernel.stages.index import Index
    from lfr_kernel.stages.retention import Retention
    from lfr_kernel.stages.sink import AlertSink, SinkContext
    from lfr_kernel.stages.tracker import Tracker

__all__ = [
    "API_VERSION",
    "GROUP",
    "AnchorPlugin",
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

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
hookspec = pluggy.HookspecMarker("lfr_kernel")
hookimpl = pluggy.HookimplMarker("lfr_kernel")


class PluginError(PermanentError, ValueError):
    """A plugin cannot be used; the text names it, its distribution and version."""


def _bare(_config: Any) -> str | None:
    """Say of a sink that nothing protects what it delivers."""
    return None


class NoConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """For plugins that have nothing to configure."""


class Plugin(Struct, frozen=True, kw_only=True, eq=False):
    """What all plugins declare."""

    stage: ClassVar[str]
    name: str
    """How profiles refer to it: 1 to 32 lower-case letters, digits, - and _; unique within its stage."""
    api: int
    """The API version it was written for; see `API_VERSION`."""
    summary: str = ""
    """One line for `lfr-kernel plugins`."""
    config: type[Struct] = NoConfig
    """A frozen Struct: defaults, bounds and help (`Annotated[…, Meta(description=…)]`) in one place.

    Options of detector, embedder and tracker are what an evaluation report holds for: one that has no say in who is
    recognised (threads, a path whose content the model's digest covers) is marked `Meta(extra={"recognition": False})`;
    `device` needs no mark. A config may have a property `recognition`, a mapping of what else has a say (how a model is
    used, by its card). A tracker's may have a property `looks`: how many faces of a passage it asks for at most,
    None for no limit; without it there is none.
    """


class CameraPlugin(Plugin, frozen=True, kw_only=True, eq=False):
    """A source of pictures."""

    stage: ClassVar[str] = "camera"
    create: Callable[[Any], Camera]
    stills: Callable[[], StillCodec] | None = None
    """Makes what packs a portrait into bytes. Readers of photographs need one to make and to open governed lists."""


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
    protects: Callable[[Any], str | None] = _bare
    """Returns, by its config, what protects on their way the pictures that it delivers, in words that go on after
    "details and pictures, ": `over TLS`, `sealed to key 3f2a…`. None: nothing does, and with the permit `authority` it
    may not be given any. Called when a profile is read; must be quick and open nothing."""


class AnchorPlugin(Plugin, frozen=True, kw_only=True, eq=False):
    """Takes anchors of the audit off the machine, or onto paper."""

    stage: ClassVar[str] = "anchor"
    create: Callable[[Any], AnchorSink]


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
    distribution: str = ""
    version: str = ""

    @property
    def origin(self) -> str:
        """`distribution version`, for messages."""
        return f"{self.distribution} {self.version}".strip() or "an unknown distribution"


class Registry:
    """The plugins that are installed, by stage and name."""

    def __init__(self, installed: Sequence[Installed]) -> None:
        """Take in `installed`. Raises PluginError, which names every plugin that cannot be used."""
        self._plugins: dict[tuple[str, str], Installed] = {}
        _raise_all([mistake for one in installed for mistake in self._add(one)])

    @classmethod
    def discover(cls) -> Registry:
        """Load every entry point of the group. Raises PluginError, which names every plugin that cannot be used."""
        installed: list[Installed] = []
        mistakes: list[str] = []
        for found in sorted(entry_points(group=GROUP), key=_place):
            try:
                installed += _load(found)
            except PluginError as error:
                mistakes.append(str(error))
        _raise_all(mistakes)
        return cls(installed)

    def _add(self, one: Installed) -> list[str]:
        mistake = _mistake(one)
        if mistake is None:
            key = (one.plugin.stage, one.plugin.name)
            other = self._plugins.setdefault(key, one)
            if other is not one:
                mistake = f"{_title(one)} has the name of one of {other.origin}; uninstall one of the two"
        return [] if mistake is None else [mistake]

    def get(self, stage: str, name: str) -> Any:
        """Return the plugin. Raises PluginError, which lists what there is."""
        return self.origin(stage, name).plugin

    def origin(self, stage: str, name: str) -> Installed:
        """Return the plugin with where it came from. Raises PluginError, which lists what there is."""
        found = self._plugins.get((stage, name))
        if found is None:
            names = self.names(stage)
            there = f"there are: {', '.join(names)}" if names else "there is none"
            raise PluginError(f"no {stage} plugin {name!r} is installed; {there}{suggest(name, names)}")
        return found

    def names(self, stage: str) -> list[str]:
        """Return the names of the plugins of one stage."""
        return sorted(name for where, name in self._plugins if where == stage)

    def __iter__(self) -> Iterator[Installed]:
        return iter(self._plugins.values())


def _raise_all(mistakes: Sequence[str]) -> None:
    if mistakes:
        raise PluginError("\n".join(mistakes))


def _place(found: EntryPoint) -> tuple[bool, str, str]:
    """Put our own first, so that whoever takes one of our names is the one that is named for it."""
    distribution = found.dist.name if found.dist else ""
    return (distribution != "lfr-kernel", distribution, found.name)


def _title(one: Installed) -> str:
    return f"{one.plugin.stage} plugin {one.plugin.name!r} of {one.origin}"


def _mistake(one: Installed) -> str | None:
    """Return what is wrong with a declaration, or None. msgspec does not check what is constructed directly."""
    plugin = one.plugin
    if not isinstance(plugin, Plugin) or type(plugin) is Plugin:
        return f"lfr_plugins() of {one.origin} returned {plugin!r}; expected DetectorPlugin, CameraPlugin and so on"
    title = _title(one)
    if plugin.api != API_VERSION:
        return (
            f"{title} was written for API version {plugin.api}; this kernel has {API_VERSION}: "
            "install a version of it that fits"
        )
    unfit = _unfit(plugin)
    return None if unfit is None else f"{title}: {unfit}"


def _unfit(plugin: Any) -> str | None:
    if not isinstance(plugin.name, str) or not _NAME.fullmatch(plugin.name):
        return "expected a name of 1 to 32 lower-case letters, digits, - and _"
    if not callable(plugin.create):
        return f"expected `create` to be a function, got {plugin.create!r}"
    if not callable(protects := getattr(plugin, "protects", _bare)):
        return f"expected `protects` to be a function, got {protects!r}"
    if not isinstance(plugin.config, type) or not issubclass(plugin.config, Struct):
        return f"expected `config` to be a msgspec.Struct class, got {plugin.config!r}"
    try:
        get_type_hints(plugin.config, include_extras=True)
    except Exception as error:  # noqa: BLE001  (annotations are code: they can fail in any way)
        return f"the annotations of its config {plugin.config.__name__} cannot be resolved: {describe(error)}"
    return None


def _load(entry_point: EntryPoint) -> list[Installed]:
    name = entry_point.dist.name if entry_point.dist else "an unknown distribution"
    version = entry_point.dist.version if entry_point.dist else ""
    where = f"plugin {entry_point.name!r} ({entry_point.value}) of {name} {version}".rstrip()
    manager = pluggy.PluginManager("lfr_kernel")  # one each: what one does wrong is not held against the next
    manager.add_hookspecs(Hooks)
    try:
        manager.register(entry_point.load(), name=f"{name}:{entry_point.name}")
        manager.check_pending()
    except (Exception, SystemExit) as error:
        raise PluginError(f"{where} cannot be loaded: {describe(error)}; fix or uninstall {name}") from error
    hooks = manager.hook.lfr_plugins.get_hookimpls()
    if not hooks:
        raise PluginError(f"{where}: expected a function lfr_plugins() marked with @hookimpl, found none")
    try:
        declared: object = hooks[0].function()
    except Exception as error:
        raise PluginError(f"{where}: lfr_plugins() failed: {describe(error)}; fix or uninstall {name}") from error
    if not isinstance(declared, list | tuple):
        raise PluginError(f"{where}: expected lfr_plugins() to return a list of plugins, got {declared!r}")
    return [Installed(plugin=plugin, distribution=name, version=version) for plugin in declared]
