"""Signed records, made of what was counted, with real keys: files as installations hand them over."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from governance.vaults import NOON
from lfr_kernel.governance.alerts.handling import Titles
from lfr_kernel.governance.deployment.statements import Head
from lfr_kernel.governance.keys.signing import KeySigner, sign
from lfr_kernel.governance.people.organisation import PUBLIC_FILE, Root
from lfr_kernel.governance.people.statements import REQUEST, Request
from lfr_kernel.governance.record.statements import RECORD, Counted, Grounds, ListPart, Record, SignedRecord

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lfr_kernel.governance.keys.signing import Envelope

ENTRIES_EACH = 10
"""Entries of the audit from the close of one deployment to that of the next."""


class Forces:
    """An organisation that certifies installations."""

    def __init__(self, name: str = "Example Police") -> None:
        self.root = Root(name, hashlib.sha256(name.encode()).digest())
        self.organisation = self.root.organisation

    def write_public(self, folder: Path) -> Path:
        """Write `organisation.pub`."""
        path = folder / PUBLIC_FILE
        path.write_bytes(msgspec.json.encode(self.organisation))
        return path

    def van(self, name: str = "van-3") -> Van:
        """Return an installation, the same for each name."""
        return Van(self, name)


class Van:
    """An installation that signs records."""

    def __init__(self, force: Forces, name: str) -> None:
        private = hashlib.sha256(f"{force.organisation.name} {name}".encode()).digest()
        self.name, self.installation = name, private.hex()[:32]
        self.force, self.signer = force, KeySigner("installation", private)
        request = Request(
            installation=self.installation,
            name=name,
            signing=Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw().hex(),
            sealing=X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw().hex(),
        )
        self.certificate: Envelope = force.root.certify(sign(REQUEST, request, self.signer), NOON)

    def head(self, number: int, audit: str = "one") -> Head:
        """Return an entry of its audit."""
        return Head(number=number, digest=hashlib.sha256(f"{audit} {self.name} {number}".encode()).hexdigest())

    def record(self, serial: int, counted: Counted | None = None, **changes: Any) -> Record:
        """Return a record whose deployment closed with entry 1 + 10 * serial, counted 25 entries further on."""
        day = f"2030-{1 + serial // 28 % 12:02}-{1 + serial % 28:02}"
        whole = Record(
            organisation=self.force.organisation.name,
            installation=self.installation,
            installation_name=self.name,
            serial=serial,
            after=self.head(1 + ENTRIES_EACH * (serial - 1)),
            head=self.head(1 + ENTRIES_EACH * serial + 25),
            made="2031-03-01T12:00:00.000000000Z",
            is_final=True,
            pack="strict",
            pack_digest=hashlib.sha256(b"strict").hexdigest(),
            mark="",
            group_ratio=2.0,
            titles=Titles(ethnic_groups={"black": "Black", "asian": "Asian", "white": "White"}),
            grounds=GROUNDS,
            stage="wiped",
            ending="completed",
            why="",
            opened=f"{day}T10:00:00.000000000Z",
            ended=f"{day}T16:00:00.000000000Z",
            captured=(),
            model=None,
            watchlist=LISTED,
            thresholds=(),
            evidence=(),
            suspensions=(),
            calibrations=(),
            arrests_in_operation=None,
            counted=counted or Counted(),
        )
        return msgspec.structs.replace(whole, **changes)

    def signed(self, record: Record) -> SignedRecord:
        """Sign it, whatever it says."""
        return SignedRecord(certificate=self.certificate, record=sign(RECORD, record, self.signer))

    def write(self, folder: Path, counteds: Iterable[Counted] = (), *, first: int = 1) -> list[Path]:
        """Write a file for each deployment, numbered from `first`."""
        return [
            self.write_one(folder, self.record(serial, counted)) for serial, counted in enumerate(counteds, start=first)
        ]

    def write_one(self, folder: Path, record: Record, name: str | None = None) -> Path:
        """Write one file."""
        path = folder / (name or f"{self.name}-{record.serial:04}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(self.signed(record)))
        return path


GROUNDS = Grounds(
    id="2030-001",
    purpose="to find people wanted by the courts",
    legal_basis="common-law",
    legal_basis_title="common law",
    place="Market Square",
    place_grounds="robberies",
    criteria="wanted by the courts",
    categories=("wanted-court",),
    cameras=("north",),
    contact="lfr@example.org",
    is_assembly=False,
    authorising_officer="Supt Example",
    higher_authority=None,
    starts="2030-01-01T10:00:00.000000000Z",
    ends="2030-01-01T16:00:00.000000000Z",
    extensions=0,
    signed_by="ada",
    signed_at="2030-01-01T09:00:00.000000000Z",
    missing=(),
)
LISTED = ListPart(
    entries=10,
    people=10,
    withdrawn=0,
    categories={"wanted-court": 10},
    sources={"custody": 10},
    conviction_status={},
    under_18=0,
    vulnerable=0,
    samples=(),
)


def split(whole: Counted, parts: int) -> list[Counted]:
    """Return so many counts that come to `whole`: one after the other is dealt out, a tally code by code."""
    return [
        Counted(**{field.name: _dealt(getattr(whole, field.name), part, parts) for field in FIELDS})
        for part in range(parts)
    ]


FIELDS = msgspec.structs.fields(Counted)


def _dealt(value: Any, part: int, parts: int) -> Any:
    if isinstance(value, tuple):
        return value[part::parts]
    if isinstance(value, int):
        return len(range(part, value, parts))
    dealt, start = {}, 0
    for code, count in value.items():
        dealt[code] = len(range(start + (part - start) % parts, start + count, parts))
        start += count
    return dealt
