"""`lfr-kernel watchlist sample`: rows drawn at random, checked by a person."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lfr_kernel.cli.asking import FILE, as_option, opened_vault, vault_option
from lfr_kernel.cli.printing import printable
from lfr_kernel.governance.errors import KeyFileError, RefusedError
from lfr_kernel.governance.keys.files import write_whole
from lfr_kernel.governance.lists.acts import consult, sample_list, verify_people
from lfr_kernel.governance.lists.file import ListFile
from lfr_kernel.governance.lists.sampling import (
    ANSWERS,
    Checked,
    drawn,
    expect_drawn,
    fields_of,
    findings_sheet,
    read_findings,
    sheet,
)
from lfr_kernel.governance.people.sessions import open_session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lfr_kernel.governance.lists.entries import Row
    from lfr_kernel.governance.people.signer import SessionSigner

__all__ = ["sample"]

SEED_BYTES = 16
SHOWN_DIGITS = 12


@click.command(short_help="Check rows that are drawn at random.")
@click.argument("file", type=FILE)
@click.option("--n", type=click.IntRange(min=1), default=50, show_default=True, help="How many rows; or all, of fewer.")
@click.option("--sheet", "sheet_path", type=FILE, help="Write the rows to this CSV, to be filled in, and stop.")
@click.option("--findings", type=FILE, help="Take what was found from that CSV, and ask for the rest.")
@as_option
@vault_option
def sample(  # noqa: PLR0917  (click hands them in by name)
    file: Path, n: int, sheet_path: Path | None, findings: Path | None, name: str | None, folder: Path
) -> None:
    """Draw rows at random, check each against your own records, and record what was found.

    At a terminal row by row; or with --sheet, which writes the rows to a CSV whose column `finding` is filled in, and
    then --findings with the same file; rows without a finding are asked for. The sheet is not encrypted: destroy it
    afterwards. What is recorded is how many rows were checked, what was found, and the ids of the entries in which
    something was.

    Every answer is a use of your session. If it is locked all the same, what you answered is kept in a CSV beside the
    list, which --findings takes.
    """
    if sheet_path is not None and findings is not None:
        raise click.UsageError("--sheet writes a sample and --findings records one: give one of the two")
    console = Console(highlight=False)
    with opened_vault(folder) as vault:
        signer = open_session(vault, name)
        vault.may("list_sampled", signer)
        found = ListFile.open(file)
        found.verify_public()
        verify_people(vault, found)
        key = found.open_key(vault.open_sealed_key())
        if findings is not None:
            checked = read_findings(findings)
            rows = drawn(found, key, len(checked.findings), checked.seed)
            expect_drawn(checked, rows)
            if checked.unanswered:
                consult(vault, signer, found, checked.unanswered)
        else:
            seed = secrets.token_hex(SEED_BYTES)
            consult(vault, signer, found, min(n, len(found)))
            rows = drawn(found, key, n, seed)
            if sheet_path is not None:
                if sheet_path.exists():
                    raise RefusedError(f"{sheet_path} is there already: choose another name, or remove it")
                write_whole(sheet_path, sheet(rows, seed).encode())
                console.print(
                    Text(f"{len(rows)} rows are in {sheet_path}: fill in `finding`, then use --findings"),
                    soft_wrap=True,
                )
                return
            checked = Checked(seed=seed, findings={row.about.entry: "" for row in rows})
        _ask(rows, checked, signer, file)
        sample_list(vault, signer, found, checked)
    counts = ", ".join(f"{code} {count}" for code, count in checked.counts.items())
    console.print(
        Text(f"sampled by {signer.member.name}: rows checked {checked.n} of {len(found)}; {counts}"), soft_wrap=True
    )


def _ask(rows: Sequence[Row], checked: Checked, signer: SessionSigner, file: Path) -> None:
    """Ask at the terminal what is found of each row that has no finding yet, and put it into `checked`."""
    console = Console(stderr=True, highlight=False)
    letters = Table.grid(padding=(0, 2, 0, 0))
    for letter, (code, text) in ANSWERS.items():
        letters.add_row(Text(letter, "bold"), code, Text(text, "dim"))
    if checked.unanswered:
        console.print(letters)
    for number, row in enumerate(rows, 1):
        if checked.findings[row.about.entry]:
            continue
        table = Table.grid(padding=(0, 2, 0, 0))
        for field, text in fields_of(row.about).items():
            table.add_row(Text(field, "dim"), Text(printable(text)))
        console.print(Text(f"\nrow {number} of {len(rows)}", "bold"), table)
        letter = click.prompt("Finding", type=click.Choice(list(ANSWERS)), err=True)
        checked.findings[row.about.entry] = ANSWERS[letter][0]
        try:
            signer.use()
        except (RefusedError, KeyFileError) as error:
            kept = file.with_name(f"{file.stem}-{checked.seed[:SHOWN_DIGITS]}.findings.csv")
            write_whole(kept, findings_sheet(checked).encode())
            raise RefusedError(
                f"{error}\nwhat you found so far is in {kept}: go on with lfr-kernel watchlist sample {file} "
                f"--findings {kept}"
            ) from error
