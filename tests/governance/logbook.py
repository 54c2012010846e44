"""A vault's log for tests: an organisation, an installation, people, a clock that can be set, and what they write."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

from lfr_kernel.governance.audit.anchors import Anchor, anchor
from lfr_kernel.governance.audit.chain import NOTHING, PREFIX, digest_of, iso_of
from lfr_kernel.governance.audit.checkpoints import checkpoint, found_checkpoints
from lfr_kernel.governance.audit.database import Database
from lfr_kernel.governance.instant import Instant
from lfr_kernel.governance.keys.keyring import Keyring
from lfr_kernel.governance.keys.signing import KeySigner, sign

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lfr_kernel.governance.audit.chain import Entry
    from lfr_kernel.governance.keys.signing import Envelope, Signer

MARCH = 1_772_359_200_000_000_000
"""2026-03-01T10:00:00Z."""
SECOND_NS = 1_000_000_000
INSTALLATION = "van-7"


class Clock:
    """Gives every entry a second of its own."""

    def __init__(self, utc_ns: int = MARCH) -> None:
        self.utc_ns = utc_ns

    def __call__(self) -> Instant:
        self.utc_ns += SECOND_NS
        return Instant(utc_ns=self.utc_ns, boot_ns=self.utc_ns - MARCH, boot_id="boot-1", is_synchronised=True)


class Logbook:
    """A founded vault in a folder."""

    def __init__(self, folder: Path, keyring: Keyring | None = None) -> None:
        self.folder = folder
        self.clock = Clock()
        self.keyring = keyring or Keyring(folder / "keys")
        self.organisation = KeySigner("organisation", os.urandom(32))
        self.machine = KeySigner("installation", os.urandom(32))
        self.people = {name: KeySigner(f"person {name}", os.urandom(32)) for name in ("ada", "bob")}
        self.rosters = 0
        self.database = Database.create(folder / "vault.db", clocks=self.clock)
        self._found()

    @property
    def root(self) -> str:
        return self.organisation.public.hex()

    def roster(self, number: int | None = None, **rows: dict[str, Any]) -> Envelope:
        """A signed roster of everybody; `rows` changes what it says of somebody."""
        self.rosters = self.rosters + 1 if number is None else number
        people: list[dict[str, Any]] = [
            {"name": name, "signing": one.public.hex(), "roles": ["operator", "authoriser"],
             "expires": "2027-01-01T00:00:00Z", "revoked": None} | rows.get(name, {})
            for name, one in self.people.items()
        ]  # fmt: skip
        return sign("roster", {"number": self.rosters, "people": people}, self.organisation)

    def _found(self) -> None:
        certificate = {"installation": INSTALLATION, "name": "van", "signing": self.machine.public.hex()}
        facts = {
            "organisation": self.root,
            "certificate": sign("installation-certificate", certificate, self.organisation),
            "roster": self.roster(),
            "packs": sign("packs", {"demo": "0" * 64}, self.organisation),
            "checkpoint": found_checkpoints(self.keyring).hex(),
        }
        with self.database.transaction() as transaction:
            transaction.append("founded", signer=self.machine, facts=facts)

    def act(self, act: str = "capture_started", signer: Signer | None = None, **more: Any) -> Entry:
        with self.database.transaction() as transaction:
            return transaction.append(act, signer=signer or self.machine, **more)

    def session(self, name: str = "ada", *, by: Signer | None = None, hours: int = 8, **changed: Any) -> KeySigner:
        """Start a session of somebody, and return who signs in it."""
        key = KeySigner(f"person {name}", os.urandom(32))
        now = self.clock.utc_ns
        statement = {
            "person": name,
            "key": key.public.hex(),
            "installation": INSTALLATION,
            "deployment": None,
            "starts": iso_of(now),
            "ends": iso_of(now + hours * 3600 * SECOND_NS),
            "idle_s": 600,
        }
        certificate = sign("session-certificate", statement | changed, by or self.people[name])
        self.act("session_started", signer=key, facts={"certificate": certificate})
        return key

    def checkpoint(self) -> Entry:
        with self.database.transaction() as transaction:
            return checkpoint(transaction, self.keyring)

    def anchor(self) -> Anchor:
        with self.database.transaction() as transaction:
            return anchor(transaction, self.keyring, INSTALLATION)

    def lines(self) -> list[str]:
        return [line_of(entry.body, signature) for entry, signature in self.database.signed_entries()]


def line_of(body: str, signature: str) -> str:
    return json.dumps({"body": body, "sig": signature}) + "\n"


def body_of(line: str) -> dict[str, Any]:
    found = json.loads(json.loads(line)["body"])
    assert isinstance(found, dict)
    return found


def changed(line: str, old: str, new: str) -> str:
    """A line whose body was edited."""
    outer = json.loads(line)
    assert old in outer["body"]
    return line_of(outer["body"].replace(old, new), outer["sig"])


def signed_anew(lines: Iterable[str], thief: Signer) -> list[str]:
    """What somebody with the installation's key makes of changed lines: every link fits, and every signature he can."""
    head, made = (0, NOTHING), []
    for line in lines:
        outer = json.loads(line)
        body = json.loads(outer["body"]) | {"n": head[0] + 1, "prev": head[1]}
        text = json.dumps(body, separators=(",", ":"))
        head = (body["n"], digest_of(text))
        signature = outer["sig"]
        if body["by"] == "installation":
            signature = base64.b64encode(thief.sign(PREFIX + bytes.fromhex(head[1]))).decode()
        made.append(line_of(text, signature))
    return made
