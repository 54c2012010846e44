"""An organisation with people and founded vaults, made in memory: nothing here waits for scrypt."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from lfr_kernel.governance.installation import found_installation, new_installation
from lfr_kernel.governance.instant import Instant
from lfr_kernel.governance.keys.envelopes import read_envelope
from lfr_kernel.governance.keys.signing import sign
from lfr_kernel.governance.people.keyfiles import Person
from lfr_kernel.governance.people.organisation import Root
from lfr_kernel.governance.people.sessions import open_session, start_session
from lfr_kernel.governance.people.statements import Member, PackDigest, Role, Roster
from lfr_kernel.governance.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from lfr_kernel.governance.keys.signing import Envelope
    from lfr_kernel.governance.people.signer import SessionSigner

SECOND_NS = 10**9
NOON = dt.datetime(2030, 6, 1, 12, tzinfo=dt.UTC)
FAR = dt.datetime(2031, 1, 1, tzinfo=dt.UTC)
PACK = PackDigest(
    name="strict",
    digest=hashlib.sha256(b"strict").hexdigest(),
    separate_roles=((Role.AUTHORISER, Role.AUDITOR), (Role.LIST_BUILDER, Role.REVIEWER)),
)
PEOPLE: Mapping[str, tuple[str, ...]] = {
    "ada": ("authoriser",),
    "ben": ("list-builder",),
    "cem": ("reviewer",),
    "dee": ("operator",),
    "eva": ("data-protection",),
    "fay": ("auditor",),
}


class Clocks:
    """Both clocks, moved by hand."""

    def __init__(self, utc: dt.datetime = NOON, boot_id: str = "boot-1") -> None:
        self.now = Instant(
            utc_ns=int(utc.timestamp()) * SECOND_NS, boot_ns=1000 * SECOND_NS, boot_id=boot_id, is_synchronised=True
        )

    def __call__(self) -> Instant:
        return self.now

    def pass_(self, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Let time pass on both."""
        ns = int((minutes + 60 * hours + 24 * 60 * days) * 60) * SECOND_NS
        self.now = msgspec.structs.replace(self.now, utc_ns=self.now.utc_ns + ns, boot_ns=self.now.boot_ns + ns)

    def set_wall(self, *, minutes: int) -> None:
        """Set the wall clock by so much, back if negative."""
        self.now = msgspec.structs.replace(self.now, utc_ns=self.now.utc_ns + minutes * 60 * SECOND_NS)

    def reboot(self) -> None:
        """Start the machine again."""
        self.now = msgspec.structs.replace(self.now, boot_ns=5 * SECOND_NS, boot_id=f"{self.now.boot_id}+")


class Force:
    """An organisation, its people, and the vaults that it founded."""

    def __init__(self, people: Mapping[str, Iterable[str]], packs: Iterable[PackDigest], clocks: Clocks) -> None:
        self.root = Root("Example Police", hashlib.sha256(b"root").digest())
        self.clocks = clocks
        self.people = {name: person_named(name) for name in people}
        self.roles = {name: tuple(Role(one) for one in roles) for name, roles in people.items()}
        self.packs = tuple(packs)

    def member(self, name: str, **changes: Any) -> Member:
        """Return somebody as the roster has them, but for what is changed."""
        public = self.people[name].public
        whole = Member(name=name, signing=public.signing, sealing=public.sealing, roles=self.roles[name], expires=FAR)
        return msgspec.structs.replace(whole, **changes)

    def roster(self, number: int = 1, *, issued: dt.datetime = NOON, **changes: Mapping[str, Any]) -> Envelope:
        """Sign a roster of everybody; `changes` are by name of the person."""
        people = tuple(self.member(name, **changes.get(name, {})) for name in self.people)
        return sign("roster", Roster(number=number, issued=issued, people=people), self.root._signer)

    def signed_packs(self, *packs: PackDigest, issued: dt.datetime = NOON) -> Envelope:
        """Sign packs, those that the force was made with unless others are given."""
        return self.root.sign_packs(packs or self.packs, issued)

    def found(self, folder: Path) -> Path:
        """Make and found a vault, or go on where that was broken off."""
        if not (folder / "request.json").exists():
            new_installation(folder, "van-3")
        found_installation(
            folder,
            self.root.organisation,
            certificate=self.root.certify(read_envelope(folder / "request.json"), NOON),
            roster=self.roster(),
            packs=self.signed_packs(),
            clocks=self.clocks,
        )
        return folder

    def open(self, folder: Path) -> Vault:
        """Open a vault."""
        return Vault.open(folder, clocks=self.clocks)

    def session(self, vault: Vault, name: str, deployment: int | None = None) -> SessionSigner:
        """Start somebody's session and open it."""
        start_session(vault, self.people[name], deployment=deployment)
        return open_session(vault, name)


def person_named(name: str) -> Person:
    """Return somebody's keys, the same for each name."""
    return Person(name, hashlib.sha512(name.encode()).digest())
