"""`lfr-kernel watchlist`: governed lists, from a manifest to a reviewed file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

from lfr_kernel.cli.asking import FILE, as_option, json_option, opened_vault, vault_option
from lfr_kernel.cli.printing import print_json
from lfr_kernel.cli.recall import recall
from lfr_kernel.cli.watchlist_build import build
from lfr_kernel.cli.watchlist_sample import sample
from lfr_kernel.cli.watchlist_screen import header_table, questions_table
from lfr_kernel.governance.lists.acts import consult, expect_another, review_list, verify_people
from lfr_kernel.governance.lists.file import ListFile
from lfr_kernel.governance.people.sessions import open_session
from lfr_kernel.governance.people.statements import moment

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["watchlist"]

EPILOG = """\b
Example:
  export LFR_VAULT=/var/lib/lfr
  lfr-kernel watchlist build spring/manifest.csv --out spring.lfrlist --profile van.toml --as ben
  lfr-kernel watchlist sample spring.lfrlist --n 50 --as cem
  lfr-kernel watchlist review spring.lfrlist --as cem"""


@click.group(short_help="Build, review and verify governed watchlists.", epilog=EPILOG)
def watchlist() -> None:
    """Make a governed watchlist of a manifest, and let others than its builder look at it.

    A list is one file, sealed to the installation that it was built at. What it holds, and how to verify it with other
    tools, stands in docs/watchlists.md.
    """


@watchlist.command(short_help="Show what a list says of itself.")
@click.argument("file", type=FILE)
@json_option
def show(file: Path, *, as_json: bool) -> None:
    """Show the front of a list: counts, digests, who built and reviewed it. Needs no key, and verifies nothing."""
    found = ListFile.open(file)
    if as_json:
        print_json(_shown(found))
    else:
        Console(highlight=False).print(header_table(found))


def _shown(found: ListFile) -> dict[str, Any]:
    return {
        "header": found.header,
        "reviews": found.reviews,
        "samples": found.samples,
        "has_seal": found.has_seal,
    }


@watchlist.command(short_help="Verify a list, with or without its key.")
@click.argument("file", type=FILE)
@click.option(
    "--vault",
    "folder",
    type=FILE,
    envvar="LFR_VAULT",
    show_envvar=True,
    help="Folder of the vault: also verify the people who signed, and that every row opens here.",
)
def verify(file: Path, folder: Path | None) -> None:
    """Verify every signature and every sealed row; with a vault also who signed, and that the list opens."""
    console = Console(highlight=False)
    found = ListFile.open(file)
    found.verify_public()
    header, reviews = found.header, len(found.reviews)
    _ok(console, f"list {header.id}: {header.rows} rows are those that {header.builder.name} signed; reviews {reviews}")
    if folder is None:
        console.print(
            Text("not verified without a vault: whose keys these are, and whether it opens", "yellow"), soft_wrap=True
        )
        return
    with opened_vault(folder) as vault:
        verify_people(vault, found)
        _ok(console, f"whoever signed it is on roster {vault.roster.number} of {vault.organisation.name} and may do so")
        key = found.open_key(vault.open_sealed_key())
        opened = sum(1 for _ in found.rows(key))
    _ok(console, f"it opens at this installation: rows {opened}")


def _ok(console: Console, text: str) -> None:
    console.print(Text.assemble(("ok  ", "green"), text), soft_wrap=True)


@watchlist.command(short_help="Sign that you have looked at a list that somebody else built.")
@click.argument("file", type=FILE)
@as_option
@vault_option
@click.option("--yes", is_flag=True, help="Sign without being asked.")
def review(file: Path, name: str | None, folder: Path, *, yes: bool) -> None:
    """Open a list, show its counts and the rows that a person must look at, and sign the review.

    Another person than the builder: expected by every rule pack, and refused otherwise. How old a review may be when a
    deployment opens, the pack says.
    """
    console = Console(highlight=False)
    with opened_vault(folder) as vault:
        signer = open_session(vault, name)
        vault.may("list_reviewed", signer)
        found = ListFile.open(file)
        found.verify_public()
        verify_people(vault, found)
        expect_another(found, signer)
        consult(vault, signer, found, found.header.counts.questioned)
        now = moment(vault.clocks().utc_ns)
        questions, expired = [], 0
        for row in found.rows(found.open_key(vault.open_sealed_key())):
            expired += row.about.expires <= now
            if row.question:
                questions.append((row.about.entry, row.about.person, row.about.photo, row.question))
        console.print(header_table(found))
        if questions:
            console.print(questions_table(questions))
        if expired:
            console.print(
                Text(f"{expired} of {len(found)} rows have expired, and will be left out", "yellow"), soft_wrap=True
            )
        if not yes and not click.confirm("Sign that you have reviewed this list?", err=True):
            raise click.Abort
        review_list(vault, signer, found, questioned=len(questions), expired=expired)
    console.print(Text(f"reviewed by {signer.member.name}"), soft_wrap=True)


watchlist.add_command(build)
watchlist.add_command(recall)
watchlist.add_command(sample)
