"""`lfr-kernel retention`: what is kept, until when, and what was destroyed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lfr_kernel.cli.asking import json_option, vault_option
from lfr_kernel.cli.printing import print_json, printable
from lfr_kernel.governance.deployment.settling import is_taken, lock_of
from lfr_kernel.governance.errors import KeyFileError
from lfr_kernel.governance.instant import read_clocks
from lfr_kernel.governance.retention import retain
from lfr_kernel.governance.retention import status as status_of
from lfr_kernel.governance.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lfr_kernel.governance.alerts.purging import Purged
    from lfr_kernel.governance.retention import ClassStatus, Status

__all__ = ["retention"]

EPILOG = """\b
Example:
  lfr-kernel retention status --vault /var/lib/lfr
  lfr-kernel retention run --vault /var/lib/lfr"""
DAY_S, HOUR_S = 86_400, 3_600
HELD = "Nothing is deleted by the clock, which was set forward: confirm it (lfr-kernel authority confirm-clock)."


@click.group(short_help="What is kept, until when, and what was destroyed.", epilog=EPILOG)
def retention() -> None:
    """Show what is kept and until when, or destroy what is too old.

    Each class of record has its clock and its ceiling from the rule pack. What is too old is destroyed by itself: at
    every start, by every command that acts on the vault, and by a kernel that runs. Faces that were not matched are
    never kept at all.
    """


@retention.command(short_help="What is kept, and until when.")
@vault_option
@json_option
def status(folder: Path, *, as_json: bool) -> None:
    """Show what is kept of each deployment, and when it goes. Destroys nothing."""
    with Vault.open(folder, clocks=read_clocks) as vault:
        found = status_of(vault)
    if as_json:
        print_json(found)
        return
    _show(Console(highlight=False), found)


@retention.command(short_help="Destroy what is too old, now.")
@vault_option
@json_option
@click.pass_context
def run(ctx: click.Context, folder: Path, *, as_json: bool) -> None:
    """Destroy what is too old: its key first, then its rows; a receipt for each goes into the audit.

    Exit codes: 0 done, or there was nothing to do; 1 not all of it could be done, and it will be tried again, or the
    clock holds it.
    """
    with Vault.open(folder, clocks=read_clocks) as vault:
        lock = lock_of(vault)
        if not is_taken(lock, wait_s=0):
            raise click.ClickException(
                "a kernel runs on this vault, and destroys what is too old by itself: nothing was done here"
            )
        try:
            done = retain(vault)
        except KeyFileError as error:
            raise click.ClickException(str(error)) from error
        finally:
            lock.release()
        found = status_of(vault)
    if as_json:
        print_json({"purged": msgspec.to_builtins(done), "is_held": found.is_held})
    else:
        _tell(done, found)
    ctx.exit(1 if found.is_held else 0)


def _tell(done: Sequence[Purged], found: Status) -> None:
    console = Console(highlight=False)
    for one in done:
        console.print(Text(f"deployment {one.deployment}: {_what(one.kind, one.count)} destroyed"))
    if found.is_held:
        console.print(Text(HELD, "yellow"), soft_wrap=True)
    elif not done:
        console.print("nothing is too old")


def _what(kind: str, count: int) -> str:
    if kind == "text":
        return "its authority and free texts are"
    one, many = ("alert", "alerts") if kind == "alert" else ("pair of pictures", "pairs of pictures")
    return f"1 {one} is" if count == 1 else f"{count} {many} are"


def _show(console: Console, found: Status) -> None:
    if found.is_held:
        console.print(Text(HELD, "yellow"), soft_wrap=True)
    if found.unfinished:
        are = "1 purge was begun and is" if found.unfinished == 1 else f"{found.unfinished} purges were begun and are"
        console.print(Text(f"{are} not finished: lfr-kernel retention run", "yellow"))
    if not found.deployments:
        console.print("nothing is kept of any deployment")
    else:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for heading in ("no", "what", "kept", "at most"):
            table.add_column(heading, no_wrap=True)
        table.add_column("goes (UTC)", overflow="fold")
        for one in found.deployments:
            for name, kept in (("alerts", one.alert), ("pictures", one.evidence), ("authority, texts", one.text)):
                if kept.count:
                    table.add_row(
                        str(one.deployment), name, str(kept.count), _length(kept.ceiling_s), Text(_goes(kept))
                    )
        console.print(table)
    if found.last_receipt is not None:
        receipt = found.last_receipt
        console.print(Text(f"last receipt: entry {receipt['n']}, {receipt['act']}, {str(receipt['at'])[:16]}Z", "dim"))


def _goes(kept: ClassStatus) -> str:
    if kept.next_purge is None or kept.last_purge is None:
        return "its clock begins when the deployment ends"
    first, last = (printable(one[:16].replace("T", " ")) for one in (kept.next_purge, kept.last_purge))
    return first if first == last else f"{first} to {last}"


def _length(seconds: float) -> str:
    days = seconds / DAY_S
    return f"{days:.3g} days" if days > 1 else f"{seconds / HOUR_S:.3g} h"
