"""`lfr-kernel installation`: the vault of one machine, its keys, and what it knows of its organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lfr_kernel.cli.asking import FILE, as_option, json_option, opened_vault
from lfr_kernel.cli.printing import print_json, printable
from lfr_kernel.governance.installation import (
    REQUEST_FILE,
    found_installation,
    new_installation,
    update_installation,
)
from lfr_kernel.governance.instant import read_clocks
from lfr_kernel.governance.keys.envelopes import read_envelope
from lfr_kernel.governance.people.organisation import read_organisation
from lfr_kernel.governance.people.sessions import open_session
from lfr_kernel.governance.people.statements import written

if TYPE_CHECKING:
    from pathlib import Path

    from lfr_kernel.governance.people.statements import Member

__all__ = ["installation"]

EPILOG = """\b
Example:
  lfr-kernel installation new /var/lib/lfr --name van-3
  lfr-kernel org certify …                                    on the offline machine
  lfr-kernel installation found /var/lib/lfr --certificate certificate.json \\
      --roster roster.json --packs packs.json --root organisation.pub"""


@click.group(short_help="Make, found, update and show a vault.", epilog=EPILOG)
def installation() -> None:
    """Make the vault of this machine, have it certified, and tell it who acts by which rules."""


def _vault_argument(function: Any) -> Any:
    return click.argument("folder", metavar="VAULT", type=FILE, envvar="LFR_VAULT")(function)


@installation.command(short_help="Make the keys of a vault, and a request.")
@_vault_argument
@click.option("--name", required=True, help="What people call the installation, van-3 for instance.")
def new(folder: Path, name: str) -> None:
    """Make the folder VAULT with the keys of the installation, and VAULT/request.json, to be certified."""
    made = new_installation(folder, name)
    console = Console(highlight=False)
    console.print(Text(f"made {folder / REQUEST_FILE}: have it certified (lfr-kernel org certify)"), soft_wrap=True)
    console.print(Text(f"the key of {made.name} is {made.signing}"), soft_wrap=True)


@installation.command(short_help="Begin the chain of a vault.")
@_vault_argument
@click.option("--certificate", type=FILE, required=True, help="Of this installation, from `org certify`.")
@click.option("--roster", type=FILE, required=True, help="Who may act, from `org roster`.")
@click.option("--packs", type=FILE, required=True, help="Which rule packs count, from `org packs`.")
@click.option("--root", type=FILE, required=True, help="organisation.pub: whom this installation believes for good.")
def found(folder: Path, certificate: Path, roster: Path, packs: Path, root: Path) -> None:
    """Verify what the organisation signed, and begin the audit chain with it. All of it holds, or nothing is done.

    Compare the root key that this prints with the one that `org init` printed: from here on it decides everything.
    """
    organisation = read_organisation(root)
    found_installation(
        folder,
        organisation,
        certificate=read_envelope(certificate),
        roster=read_envelope(roster),
        packs=read_envelope(packs),
        clocks=read_clocks,
    )
    text = f"{folder} was founded by {printable(organisation.name)}, whose root key is {organisation.key}"
    Console(highlight=False).print(Text(text), soft_wrap=True)


@installation.command(short_help="Take in a newer roster or newer packs.")
@_vault_argument
@click.option("--roster", type=FILE, help="From `org roster`; its number must be above the present one.")
@click.option("--packs", type=FILE, help="From `org packs`; signed after the present ones.")
@as_option
def update(folder: Path, roster: Path | None, packs: Path | None, name: str | None) -> None:
    """Take in a newer roster, newer packs, or both at once: an act of data protection or of an authoriser.

    Who was revoked can do nothing more as soon as this is done.
    """
    with opened_vault(folder) as vault:
        update_installation(
            vault,
            open_session(vault, name),
            roster=read_envelope(roster) if roster else None,
            packs=read_envelope(packs) if packs else None,
        )
        names = ", ".join(one.name for one in vault.packs.packs)
        text = f"{folder} has roster {vault.roster.number} and the packs {names}"
    Console(highlight=False).print(Text(text), soft_wrap=True)


@installation.command(short_help="Show who may act by which rules.")
@_vault_argument
@json_option
def show(folder: Path, *, as_json: bool) -> None:
    """Verify what the organisation signed, and show it: the installation, the people and the packs."""
    with opened_vault(folder) as vault:
        if as_json:
            facts = {
                "organisation": vault.organisation,
                "installation": vault.installation,
                "roster": vault.roster,
                "packs": vault.packs,
            }
            print_json(facts)
            return
        console = Console(highlight=False)
        own, packs = vault.installation, vault.packs
        console.print(
            Text.assemble((own.name, "bold"), f" of {printable(vault.organisation.name)}, {own.installation}")
        )
        console.print(_people(vault.roster.people, vault.roster.number))
        for one in packs.packs:
            console.print(Text(f"pack {one.name} {one.digest}", style="dim"), soft_wrap=True)
        apart = "; ".join(f"{one} and {other}" for one, other in packs.separate_roles) or "none"
        console.print(Text(f"not to be combined: {apart}"), soft_wrap=True)
        limits = f"sessions lock after {packs.session_idle_s / 60:g} min and end after {packs.session_max_s / 3600:g} h"
        console.print(Text(limits))


def _people(people: tuple[Member, ...], number: int) -> Table:
    table = Table(title=f"roster {number}", title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("person", "roles", "until", ""):
        table.add_column(heading, header_style="dim", overflow="fold")
    for one in people:
        state = Text(f"revoked {written(one.revoked)}", style="red") if one.revoked else Text()
        table.add_row(Text(one.name), Text(", ".join(one.roles)), written(one.expires), state)
    return table
