"""What leaves by a sink, and how it is protected on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from lfr_kernel.governance.permit import PermitRefusedError
from lfr_kernel.plugins import PluginError
from lfr_kernel.runtime.errors import describe

if TYPE_CHECKING:
    from lfr_kernel.plugins import Registry
    from lfr_kernel.sections import Profile, SinkSection

__all__ = ["Outgoing", "bare_pictures", "expect_protected", "outgoing_of", "protection_of"]


class Outgoing(Struct, frozen=True, kw_only=True):
    """What one sink is given."""

    details: bool
    evidence: bool
    protection: str | None
    """What protects it on its way, as its plugin says it; None: nothing."""

    @property
    def is_bare(self) -> bool:
        """Whether pictures leave, and nothing protects them."""
        return self.evidence and self.protection is None

    def __str__(self) -> str:
        what = "details and pictures" if self.evidence else "details" if self.details else "id, camera, time and state"
        how = "not protected on their way" if self.is_bare else self.protection
        return f"{what}, {how}" if how else what


def protection_of(registry: Registry, plugin: str, options: Any) -> str | None:
    """Return what protects what a sink delivers on its way, as its plugin says; None: nothing does.

    Args:
        registry: the plugins that are installed.
        plugin: name of a sink plugin.
        options: its config, decoded.

    Raises:
        PluginError: the plugin cannot say.
    """
    found = registry.origin("sink", plugin)
    try:
        said: object = found.plugin.protects(options)
    except Exception as error:
        raise PluginError(f"sink plugin {plugin!r} of {found.origin}: `protects` failed: {describe(error)}") from error
    if said is not None and (not isinstance(said, str) or not said.strip()):
        raise PluginError(
            f"sink plugin {plugin!r} of {found.origin}: expected `protects` to return words, got {said!r}"
        )
    return said


def outgoing_of(section: SinkSection, registry: Registry) -> Outgoing:
    """Return what leaves by a sink of a profile whose options were decoded. Raises PluginError."""
    protection = protection_of(registry, section.plugin, section.options)
    return Outgoing(details=section.details, evidence=section.evidence, protection=protection)


def bare_pictures(registry: Registry, plugin: str, options: Any) -> str | None:
    """Return why, under an authority, a sink may be given no pictures; None: it may. Raises PluginError."""
    if protection_of(registry, plugin, options) is not None:
        return None
    return (
        'under permit = "authority" pictures leave only over TLS or sealed to a key, and nothing protects what sink '
        f"plugin {plugin!r} of {registry.origin('sink', plugin).origin} delivers with these options; set "
        "evidence = false, or options that protect it: see `lfr-kernel plugins`"
    )


def expect_protected(profile: Profile, registry: Registry) -> None:
    """See that no picture leaves a run under an authority unless it is protected on its way.

    Raises:
        PermitRefusedError: one would.
        PluginError: a plugin cannot say.
    """
    if profile.permit != "authority":
        return
    for section in profile.sinks:
        why = bare_pictures(registry, section.plugin, section.options) if section.evidence else None
        if why is not None:
            raise PermitRefusedError(f"sink {section.title!r} would be given pictures: {why}")
