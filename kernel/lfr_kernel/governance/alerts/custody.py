"""The keys of alerts and of their pictures: one for each deployment and time of expiry, which its name says.

Everything that expires together shares a key, so that it can be made unreadable by destroying one file, whatever state
the database is in. A life is cut short by up to a 24th of it, or a day, never drawn out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfr_kernel.governance.keys.keyring import Keyring

__all__ = ["Bucket", "Kind", "buckets", "expiry_s"]

Kind: TypeAlias = Literal["alert", "evidence"]

DAY_S, PARTS = 86_400, 24
SECOND_NS = 10**9
NAME = re.compile(r"(alert|evidence)-(\d{6,})-(\d+)\Z")


class Bucket(Struct, frozen=True, kw_only=True):
    """What of one deployment expires at one time."""

    kind: Kind
    deployment: int
    expires_s: int
    """UTC, in seconds since 1970."""

    @property
    def keyname(self) -> str:
        """What the keyring calls its key."""
        return f"{self.kind}-{self.deployment:06d}-{self.expires_s}"

    def key(self, keyring: Keyring) -> bytes:
        """Return its key, made when there is none."""
        return keyring.get(self.keyname) if keyring.has(self.keyname) else keyring.make(self.keyname)


def expiry_s(raised_ns: int, life_s: float) -> int:
    """Return when something expires: a life after it was raised, or a little earlier, together with others.

    Args:
        raised_ns: UTC.
        life_s: more than 0.

    Returns:
        UTC, in seconds since 1970, rounded down to a day, or to a 24th of a life shorter than 24 days; at least to a
        second.
    """
    part_s = max(1, int(min(DAY_S, life_s / PARTS)))
    return int(raised_ns // SECOND_NS + life_s) // part_s * part_s


def buckets(keyring: Keyring) -> Iterator[Bucket]:
    """Yield what there are keys of."""
    for name in keyring.names():
        if found := NAME.match(name):
            kind: Kind = "alert" if found[1] == "alert" else "evidence"
            yield Bucket(kind=kind, deployment=int(found[2]), expires_s=int(found[3]))
