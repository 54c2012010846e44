"""What there is of alerts on a disk, noted before a purge and looked for after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from governance.canaries import found_below, raw
from lfr_kernel.governance.alerts.statements import Pictures
from lfr_kernel.governance.alerts.store import find

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from governance.canaries import Needles
    from lfr_kernel.governance.vault import Vault

SLICE = 32
TEXTS = """SELECT sealed FROM texts WHERE entry IN (
    SELECT entry FROM alerts WHERE id = ? UNION SELECT entry FROM steps WHERE alert = ?)"""
PLACES = {"alerts": "id", "pictures": "alert", "steps": "alert", "deliveries": "alert"}
"""By table: the column that names an alert."""
LARGE = Pictures(reader="letters", probe=bytes(range(256)) * 400, listed=b"portrait" * 5_000)
"""More than fits on some pages of the database, and no two pages are alike once they are sealed."""


def of_alerts(vault: Vault, alerts: Collection[str]) -> Needles:
    """Return what of alerts must not be on the disk any more when they are gone, by a name for each kind of it."""
    needles: Needles = {}
    for number, alert in enumerate(alerts):
        kept = find(vault.database, alert)
        needles[f"key of {number}"] = raw(vault.keyring.get(kept.bucket.keyname))
        sealed = vault.database.query(TEXTS, (alert, alert))
        needles[f"texts of {number}"] = [one for (blob,) in sealed for one in slices(blob)]
        needles |= of_pictures(vault, alert, f"pictures of {number}")
    assert all(needles.values()), needles.keys()
    return needles


def of_pictures(vault: Vault, alert: str, name: str = "pictures") -> Needles:
    """Return what of the pictures of an alert must not be on the disk any more; nothing if they are gone."""
    rows = vault.database.query("SELECT deployment, expires_s, sealed FROM pictures WHERE alert = ?", (alert,))
    if not rows:
        return {}
    ((serial, expires_s, blob),) = rows
    key = vault.keyring.get(f"evidence-{serial:06d}-{expires_s}")
    return {name: slices(blob), f"key of {name}": raw(key)}


def slices(blob: bytes) -> list[bytes]:
    """Return pieces of what may lie scattered over pages: enough of them that each page has some."""
    step = max(SLICE, len(blob) // 200)
    return [blob[start : start + SLICE] for start in range(0, len(blob) - SLICE, step)] or [blob]


def left_of(folder: Path, needles: Mapping[str, list[bytes]]) -> set[str]:
    """Return what of it is anywhere below a folder, names of files included."""
    return set().union(*found_below(folder, needles).values())


def rows_of(vault: Vault, alerts: Collection[str]) -> dict[str, int]:
    """Return how many rows name any of these alerts, by table, of the tables in which there are any."""
    marks = ", ".join("?" * len(alerts))
    found: dict[str, Any] = {}
    for table, column in PLACES.items():
        ((found[table],),) = vault.database.query(
            f"SELECT count(*) FROM {table} WHERE {column} IN ({marks})",  # noqa: S608
            tuple(alerts),
        )
    return {table: count for table, count in found.items() if count}
