"""`lfr-kernel watchlist recall`: an entry leaves a list at once and for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from lfr_kernel.cli.asking import as_option, opened_vault, vault_option
from lfr_kernel.governance.deployment.register import recall as recall_entry
from lfr_kernel.governance.people.sessions import open_session

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["recall"]

REASONS = click.Choice(["grounds-lapsed", "wrong-person", "not-lawfully-held", "found", "poor-photograph", "objection"])


@click.command(short_help="Take an entry off a list, at once and for good.")
@click.argument("entry")
@click.option("--deployment", "serial", type=click.IntRange(min=1), required=True, help="Whose list it is on.")
@click.option("--reason", type=REASONS, required=True, help="Why, as a code; it goes into the audit.")
@click.option("--text", help="Why, in words; kept encrypted, the audit holds its keyed digest.")
@as_option
@vault_option
def recall(entry: str, serial: int, reason: str, text: str | None, name: str | None, folder: Path) -> None:  # noqa: PLR0917  (click hands them in by name)
    """Take ENTRY (such as e-azxmf3qanb44syrhlka5cpy65a) off the list of a deployment.

    A kernel that runs under it drops the entry within a second; whoever has other entries stays listed by those. It
    cannot be undone: a list is made for one deployment. Entry ids are in the verdicts of the build.
    """
    with opened_vault(folder) as vault:
        recall_entry(vault, open_session(vault, name), serial, entry, reason=reason, text=text)
    Console(highlight=False).print(Text(f"entry {entry} is recalled from the list of deployment {serial}"))
