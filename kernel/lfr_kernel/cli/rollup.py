"""`lfr-kernel record rollup`: several deployments, added from their signed records."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from lfr_kernel.cli.asking import FILE
from lfr_kernel.cli.figures import counted_tables
from lfr_kernel.cli.funnel import reasons
from lfr_kernel.cli.screen import printable
from lfr_kernel.governance.keys.files import write_whole
from lfr_kernel.governance.people.organisation import read_organisation
from lfr_kernel.governance.record.rollup import RollUp, roll_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

__all__ = ["rollup", "rollup_tables"]

WIDTH = 80
"""Columns of a text in a file."""
DAY = len("2030-06-01")
EPILOG = """\b
Example:
  lfr-kernel record rollup records/ --root organisation.pub
  lfr-kernel record rollup records/ --root organisation.pub --format json --out 2030.json"""


def rollup_tables(made: RollUp) -> Group:
    """Return a roll-up as tables that fit 80 columns."""
    facts = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for one in made.installations:
        facts.add_row("installation", Text(printable(f"{one.name}: deployments {one.first} to {one.last}")))
    facts.add_row("from, to", Text(printable(f"{made.starts[:DAY]}, {made.ends[:DAY]}")))
    facts.add_row("they ended", Text(printable(reasons(made.endings))))
    facts.add_row("rule packs", Text(printable(", ".join(made.packs))))
    if made.calibrations:
        facts.add_row("counted by hand", Text(f"during {made.calibrated} of {made.deployments} deployments"))
    parts: list[RenderableType] = [Text(printable(mark), style="bold red") for mark in made.marks]
    parts.append(Text(printable(f"{made.organisation}: {_deployments(made.deployments)}"), style="bold"))
    parts += [Text(printable(note), style="yellow") for note in made.notes]
    parts += [facts, Text(), *counted_tables(made.counted, made.figures, made.titles)]
    parts.append(
        Text(
            f"\nEach record was verified with the organisation's key {made.key}; none is missing between the first "
            "and the last of its installation. Whether there were later ones, or other installations, records cannot "
            "show.",
            style="dim",
        )
    )
    return Group(*parts)


def _deployments(count: int) -> str:
    return "1 deployment" if count == 1 else f"{count:,} deployments"


def _text(made: RollUp) -> bytes:
    file = io.StringIO()
    Console(file=file, width=WIDTH, highlight=False, color_system=None).print(rollup_tables(made))
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines()).encode()


def _json(made: RollUp) -> bytes:
    return msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n"


FORMATS: dict[str, Callable[[RollUp], bytes]] = {"text": _text, "json": _json}


@click.command(short_help="Add up the signed records of several deployments.", epilog=EPILOG)
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--root", type=FILE, required=True, help="organisation.pub: whose records these are.")
@click.option("--format", "kind", type=click.Choice(list(FORMATS)), default="text", show_default=True)
@click.option("--out", type=FILE, help="Write it to this file instead.")
def rollup(folder: Path, root: Path, kind: str, out: Path | None) -> None:
    """Add up every signed record (*.json) in DIR and its folders.

    Each is verified with the organisation's public key. Nothing is added if anything is wrong: a record that was
    changed, is not final, is of another organisation, is there twice, or is missing between the first and the last of
    its installation. All that is wrong is listed (exit code 2).
    """
    made = roll_up(folder, read_organisation(root))
    if out is not None:
        _write(out, FORMATS[kind](made))
    elif kind == "text":
        Console(highlight=False).print(rollup_tables(made))
    else:
        click.echo(FORMATS[kind](made), nl=False)


def _write(out: Path, data: bytes) -> None:
    try:
        write_whole(out, data, mode=0o644)
    except OSError as error:
        raise click.UsageError(
            f"{out} cannot be written: {error.strerror}; expected a file in a folder that is there"
        ) from None
