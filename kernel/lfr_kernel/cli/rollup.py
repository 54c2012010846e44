"""`lfr-kernel record rollup`: several deployments, added from their signed records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from lfr_kernel.cli.asking import FILE
from lfr_kernel.cli.paging import expect_place, put, put_document
from lfr_kernel.governance.people.organisation import read_organisation
from lfr_kernel.governance.record.reading import read_records
from lfr_kernel.governance.record.rendering import FORMATS
from lfr_kernel.governance.record.rollup import roll_up
from lfr_kernel.governance.record.wording import rolled_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfr_kernel.governance.record.page import Document
    from lfr_kernel.governance.record.reading import Read
    from lfr_kernel.governance.record.rollup import RollUp

__all__ = ["rollup"]

DAY = len("2030-06-01")
EPILOG = """\b
Example:
  lfr-kernel record rollup records/ --root organisation.pub
  lfr-kernel record rollup records/ --root organisation.pub --format pdf --out 2030.pdf"""


@click.command(short_help="Add up the signed records of several deployments.", epilog=EPILOG)
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--root", type=FILE, required=True, help="organisation.pub: whose records these are.")
@click.option("--format", "kind", type=click.Choice(["json", *FORMATS]), default="text", show_default=True)
@click.option("--out", type=FILE, help="Write it to this file instead.")
def rollup(folder: Path, root: Path, kind: str, out: Path | None) -> None:
    """Add up every signed record (*.json) in DIR and its folders.

    Each is verified with the organisation's public key. Nothing is added if anything is wrong: a record that was
    changed, is not final, is of another organisation, is there twice, or is missing between the first and the last of
    its installation. All that is wrong is listed (exit code 2).
    """
    expect_place(kind, out)
    organisation = read_organisation(root)
    reads = read_records(folder, organisation)
    made = roll_up(organisation, reads)
    if kind == "json":
        put(msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n", out)
    else:
        put_document(_document(made, reads), kind, out)


def _document(made: RollUp, reads: Sequence[Read]) -> Document:
    where = ", ".join(f"{one.name}: deployments {one.first} to {one.last}" for one in made.installations)
    return rolled_up(
        f"Live facial recognition by {made.organisation}",
        f"{made.starts[:DAY]} to {made.ends[:DAY]}; {where}; verified with the organisation's key {made.key}",
        made.counted,
        made.figures,
        titles=made.titles,
        rows=[one.record for one in reads],
        mark=" ".join(made.marks),
        notes=made.notes,
        made=made.ends,
    )
