"""Lists to try things with: rows, a builder, an installation."""

from __future__ import annotations

import csv
import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from lfr_kernel.governance.keys.signing import KeySigner
from lfr_kernel.governance.lists.entries import Entry, Row, new_entry_id
from lfr_kernel.governance.lists.file import ListFile, write_list
from lfr_kernel.governance.lists.statements import ListFacts
from lfr_kernel.testing.fakes import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NOW = dt.datetime(2030, 6, 1, 12, tzinfo=dt.UTC)
MODEL = digest_of("fake embedder")
BUILDER, REVIEWER = KeySigner("person ann", b"\x01" * 32), KeySigner("person rob", b"\x02" * 32)
INSTALLATION = X25519PrivateKey.from_private_bytes(b"\x03" * 32)
DIMENSION = 8


def an_entry(person: str, **changes: Any) -> Entry:
    entry = Entry(
        entry=new_entry_id(),
        photo=f"{person}.png",
        person=person,
        category="wanted-court",
        legal_basis="common-law",
        source="custody",
        lawfully_held="PACE s.64A",
        conviction_status="convicted",
        taken=dt.date(2030, 1, 2),
        added_by="ann",
        reason="warrant 17",
        expires=NOW + dt.timedelta(days=1),
        under_18=False,
        vulnerable=False,
        higher_authority="",
        response="stop and identify",
    )
    return msgspec.structs.replace(entry, **changes)


def a_template(seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    template = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    template /= np.linalg.norm(template)
    return template


def a_row(person: str, seed: int = 0, question: str = "", quality: float = 0.5, **changes: Any) -> Row:
    return Row(
        about=an_entry(person, **changes),
        template=a_template(seed).tobytes(),
        portrait=f"portrait {seed}".encode(),
        quality=quality,
        question=question,
    )


def facts(**changes: Any) -> ListFacts:
    made = ListFacts(
        name="spring",
        made=NOW,
        model=MODEL,
        dimension=DIMENSION,
        pack="uk-met",
        pack_digest=digest_of("pack"),
        exclusions=None,
        verdicts={"accepted": 3},
    )
    return msgspec.structs.replace(made, **changes)


def a_list(path: Path, rows: Sequence[Row]) -> ListFile:
    return write_list(path, rows, total=len(rows), facts=facts(), signer=BUILDER, recipient=INSTALLATION.public_key())


CELLS: Mapping[str, str] = {
    "photo": "ada.png",
    "person": "ada",
    "category": "wanted-court",
    "legal_basis": "warrant",
    "source": "custody",
    "lawfully_held": "yes: retained under section 64A",
    "conviction_status": "convicted",
    "taken": "2029-12-01",
    "added_by": "ben",
    "reason": "warrant 17",
    "expires": "2030-06-03",
    "under_18": "no",
    "vulnerable": "no",
    "higher_authority": "",
    "response": "stop and identify",
}


def cells(person: str, photo: str | None = None, **changes: str) -> dict[str, str]:
    """A row of a manifest that keeps the rules, but for what is changed."""
    return {**CELLS, "person": person, "photo": photo or f"{person}.png", **changes}


def write_manifest(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
