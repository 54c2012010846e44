"""Permits: without one nothing captures.

The two issued here are built in. `demo` plays files, and only files. `development` opens cameras as well, for people
who build and test the system among themselves; it is no authority to watch the public, and says so in every output.
`authority` is issued by a deployment, which asks for an authority in force: see governance/deployment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from msgspec import Struct

from lfr_kernel.runtime import PermanentError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Permit", "PermitIssuer", "PermitKind", "PermitRefusedError", "issue_builtin"]

PermitKind: TypeAlias = Literal["demo", "development", "authority"]

STATEMENTS = {
    "demo": "built in; plays files only",
    "development": "built in; NO authority to watch the public",
}


class PermitRefusedError(PermanentError, PermissionError):
    """The system may not capture; the text says why, in words an operator can act on."""


class Permit(Struct, frozen=True, kw_only=True):
    """What the system runs under. Named in every output."""

    kind: str
    statement: str

    def __str__(self) -> str:
        return f"{self.kind} ({self.statement})"


class PermitIssuer(Protocol):
    """Decides whether the system may capture."""

    def __call__(self, kind: PermitKind, paces: Mapping[str, str]) -> Permit:
        """Return a permit for these cameras.

        Args:
            kind: what the profile asks for.
            paces: `live`, `realtime` or `unpaced` for each camera, by name.

        Raises:
            PermitRefusedError: it may not.
        """


def issue_builtin(kind: PermitKind, paces: Mapping[str, str]) -> Permit:
    """Issue a built-in permit; see `PermitIssuer`."""
    if kind == "authority":
        raise PermitRefusedError(
            'the permit "authority" is not built in: it needs a vault with an authority in force; run this profile '
            "with lfr-kernel --profile"
        )
    live = sorted(name for name, pace in paces.items() if pace == "live")
    if kind == "demo" and live:
        raise PermitRefusedError(
            f"the demo permit plays files only, but {', '.join(live)} would open a live camera; "
            'use files, or permit = "development" to build and test among yourselves'
        )
    return Permit(kind=kind, statement=STATEMENTS[kind])
