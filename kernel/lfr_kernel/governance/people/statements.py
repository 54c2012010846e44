"""What the organisation signs: who works for it, which rule packs are its own, which installations are its own."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

__all__ = [
    "CERTIFICATE",
    "PACKS",
    "REQUEST",
    "ROSTER",
    "SESSION",
    "Certificate",
    "Hex32",
    "Member",
    "Moment",
    "Name",
    "PackDigest",
    "Packs",
    "Request",
    "Role",
    "Roster",
    "SessionCertificate",
    "moment",
    "written",
]

ROSTER, PACKS, CERTIFICATE = "roster", "packs", "installation-certificate"
REQUEST, SESSION = "installation-request", "session-certificate"
"""The kinds of envelope that the statements below come in."""

Name = Annotated[
    str, Meta(pattern=r"^[^\W_][\w.-]{0,63}\Z", title="a name of up to 64 letters, digits, -, _ and ., without spaces")
]
Hex32 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", title="64 hexadecimal digits, in lower case")]
Moment = Annotated[
    dt.datetime, Meta(tz=True, title="a date and time with its offset, such as 2030-12-31T23:59:59Z, without quotes")
]


class Role(StrEnum):
    """What somebody is trusted with. See `lfr_kernel.governance.people.roles.ACTS` for what each may do."""

    AUTHORISER = "authoriser"
    LIST_BUILDER = "list-builder"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    DATA_PROTECTION = "data-protection"
    AUDITOR = "auditor"


class Member(Struct, frozen=True, kw_only=True):
    """One person on the roster."""

    name: Name
    signing: Hex32
    """Ed25519 public key, hexadecimal."""
    sealing: Hex32
    """X25519 public key, hexadecimal."""
    roles: tuple[Role, ...]
    expires: Moment
    revoked: Moment | None = None
    """Since when this person's keys count for nothing; None: they do."""


class Roster(Struct, frozen=True, kw_only=True):
    """Everybody who may act, as the organisation signed it."""

    number: int
    """Rises with each roster, so that an older one cannot be put in the place of a newer one."""
    issued: Moment
    people: tuple[Member, ...]

    def member(self, name: str) -> Member | None:
        """Return the person of this name, if there is one."""
        return next((one for one in self.people if one.name == name), None)


class PackDigest(Struct, frozen=True, kw_only=True):
    """A rule pack by its digest, and what it says of people: an installation judges that without the pack's file."""

    name: str
    digest: Hex32
    """SHA-256 of the file."""
    separate_roles: tuple[tuple[Role, Role], ...] = ()
    """Roles that one person may not combine."""
    session_idle_min: Annotated[float, Meta(gt=0)] = 30.0
    session_max_h: Annotated[float, Meta(gt=0)] = 12.0


class Packs(Struct, frozen=True, kw_only=True):
    """The rule packs that this organisation works by. Where several say something of people, the strictest counts."""

    issued: Moment
    packs: tuple[PackDigest, ...]

    @property
    def separate_roles(self) -> tuple[tuple[Role, Role], ...]:
        """Every pair of roles that one of the packs keeps apart."""
        return tuple(dict.fromkeys(pair for pack in self.packs for pair in pack.separate_roles))

    @property
    def session_idle_s(self) -> float:
        """Seconds after which a session locks that nobody used."""
        return 60 * min((pack.session_idle_min for pack in self.packs), default=30.0)

    @property
    def session_max_s(self) -> float:
        """How long a session lasts at most, in seconds."""
        return 3600 * min((pack.session_max_h for pack in self.packs), default=12.0)


class Request(Struct, frozen=True, kw_only=True):
    """What an installation asks the organisation to certify; signed by the installation's own key."""

    installation: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    """Random: two installations of one name are told apart."""
    name: Name
    signing: Hex32
    sealing: Hex32


class Certificate(Struct, frozen=True, kw_only=True):
    """That an installation is the organisation's own, and which keys are its."""

    installation: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    name: Name
    signing: Hex32
    sealing: Hex32
    issued: Moment


class SessionCertificate(Struct, frozen=True, kw_only=True):
    """That a person lets a session key sign in their place: at one installation, for one shift."""

    person: Name
    key: Hex32
    """Ed25519 public key of the session, hexadecimal."""
    installation: str
    deployment: int | None
    """The only deployment that it is good for; None: any."""
    starts: Moment
    ends: Moment
    idle_s: Annotated[float, Meta(gt=0)]
    """It locks when nobody used it for so long."""


def moment(utc_ns: int) -> dt.datetime:
    """Return a time in whole seconds; statements need no more.

    Args:
        utc_ns: nanoseconds since 1970, UTC.
    """
    return dt.datetime.fromtimestamp(utc_ns // 1_000_000_000, tz=dt.UTC)


def written(at: dt.datetime) -> str:
    """Return a time as texts and statements write it: ISO 8601, UTC, with Z."""
    return at.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
