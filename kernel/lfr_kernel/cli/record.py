"""`lfr-kernel record`: what happened in a deployment, with honest statistics, for anybody who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console
from rich.text import Text

from lfr_kernel.cli.asking import FILE, as_option, opened_vault, vault_option
from lfr_kernel.cli.paging import expect_place, put, put_document
from lfr_kernel.cli.printing import printable
from lfr_kernel.cli.rollup import rollup
from lfr_kernel.governance.errors import SignatureError
from lfr_kernel.governance.keys.signing import sign, verify
from lfr_kernel.governance.people.organisation import read_organisation
from lfr_kernel.governance.people.sessions import open_session
from lfr_kernel.governance.record.making import arrests as put_down_arrests
from lfr_kernel.governance.record.making import calibrate as put_down_people
from lfr_kernel.governance.record.making import finalise, record_of, signed_record, why_not_final
from lfr_kernel.governance.record.reading import read_record
from lfr_kernel.governance.record.rendering import FORMATS
from lfr_kernel.governance.record.statements import RECORD, Calibration, Record, SignedRecord
from lfr_kernel.governance.record.statistics import figures_of
from lfr_kernel.governance.record.wording import document_of

if TYPE_CHECKING:
    from pathlib import Path

    from lfr_kernel.governance.keys.signing import Envelope
    from lfr_kernel.governance.vault import Vault

__all__ = ["record"]

EPILOG = """\b
Example:
  export LFR_VAULT=/var/lib/lfr
  lfr-kernel record 3                                  on the terminal, as things stand
  lfr-kernel record 3 --final --format json --out 3.json
  lfr-kernel record 3 --format pdf --out 3.pdf
  lfr-kernel record rollup records/ --root organisation.pub"""


class Records(click.Group):
    """A group that takes the number of a deployment for `show`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See `click.Group`."""
        is_named = args[0] in self.commands
        return super().resolve_command(ctx, args if is_named or not args[0].isdecimal() else ["show", *args])


@click.group(short_help="What happened in a deployment, with its figures.", epilog=EPILOG, cls=Records)
def record() -> None:
    """Say what happened in a deployment: `lfr-kernel record DEPLOYMENT`.

    Every count comes from the audit. Rates stand beside their 95 % intervals, false alerts per face beside those per
    alert, the best case beside the worst; what nobody knows is said to be unknown.
    """


@record.command(short_help="The record of one deployment; `record N` is enough.")
@click.argument("serial", metavar="DEPLOYMENT", type=click.IntRange(min=1))
@vault_option
@click.option("--format", "kind", type=click.Choice(["json", *FORMATS]), default="text", show_default=True)
@click.option("--out", type=FILE, help="Write it to this file instead.")
@click.option("--final", "is_final", is_flag=True, help="Sign it for good: nothing is added to it after that.")
def show(serial: int, folder: Path, kind: str, out: Path | None, *, is_final: bool) -> None:
    """Show the record of a deployment.

    Until it is made final it is a draft of how things stand. It can be made final once the deployment is closed and all
    its alerts have expired; before its authority is deleted that happens by itself. JSON is the signed file: whoever
    has it and the organisation's public key can verify it (record verify) and make every figure again.
    """
    expect_place(kind, out)
    with opened_vault(folder) as vault:
        envelope = finalise(vault, serial) if is_final else signed_record(vault, serial)
        if envelope is None:
            envelope = sign(RECORD, record_of(vault, serial), vault.signer)
            hint = why_not_final(vault, serial) or "make it final with --final, and nothing is added to it after that"
            click.echo(f"a draft: {hint}", err=True)
        made = verify(envelope, RECORD, Record, [vault.signer.public])
        signed = _signed(vault, envelope, made) if kind == "json" else None
    if signed is not None:
        put(msgspec.json.format(msgspec.json.encode(signed), indent=2) + b"\n", out)
    else:
        put_document(document_of(made, _figures(made)), kind, out)


def _signed(vault: Vault, envelope: Envelope, made: Record) -> SignedRecord:
    read: dict[str, Any] = {"record": made, "figures": _figures(made)}
    return SignedRecord(certificate=vault.certificate, record=envelope, read=read)


def _figures(made: Record) -> Any:
    return figures_of(made.counted, group_ratio=made.group_ratio, calibrations=made.calibrations)


@record.command("verify", short_help="Verify signed records with the organisation's public key.")
@click.argument("files", metavar="FILE...", type=FILE, nargs=-1, required=True)
@click.option("--root", type=FILE, required=True, help="organisation.pub: whose records these are.")
@click.pass_context
def verify_files(ctx: click.Context, files: tuple[Path, ...], root: Path) -> None:
    """Verify each FILE, and say which deployment it is of. Needs no vault. Exit code 2: one of them does not verify."""
    organisation = read_organisation(root)
    console = Console(highlight=False)
    is_wrong = False
    for file in files:
        try:
            made, digest = read_record(file, organisation)
        except SignatureError as error:
            is_wrong = True
            console.print(
                Text.assemble((printable(str(file)), "bold"), printable(f": {error}"), ("  NOT VERIFIED", "bold red"))
            )
            continue
        state = "final" if made.is_final else "a draft"
        text = f": deployment {made.serial} of {made.installation_name}, {made.organisation}, {state}, SHA-256 {digest}"
        console.print(Text.assemble((printable(str(file)), "bold"), printable(text), ("  verified", "green")))
    ctx.exit(2 if is_wrong else 0)


@record.command(short_help="Say how many people were counted by hand.")
@click.argument("serial", metavar="DEPLOYMENT", type=click.IntRange(min=1))
@click.option("--people", type=click.IntRange(min=1), required=True, help="People that somebody counted by hand.")
@click.option("--passages", type=click.IntRange(min=0), required=True, help="Passages that the system counted then.")
@click.option("--how", required=True, help="Where, how and for how long, in a few words; the record has them.")
@click.option("--replaces", is_flag=True, help="It corrects: no count by hand put down before counts any more.")
@as_option
@vault_option
def calibrate(  # noqa: PLR0917  (click hands them in by name)
    serial: int, people: int, passages: int, how: str, name: str | None, folder: Path, *, replaces: bool
) -> None:
    """Put down a count by hand: from it the record says about how many people its passages were.

    Counts of several times and places are added. After a mistake, --replaces: this one then takes the place of all that
    were put down for the deployment before. They stay in the audit, and the record has them no more; put the right ones
    among them down again.
    """
    with opened_vault(folder) as vault:
        signer = open_session(vault, name)
        given = Calibration(people=people, passages=passages, by=signer.name, how=how)
        put_down_people(vault, signer, serial, given, is_correction=replaces)
    Console(highlight=False).print(
        Text(f"deployment {serial}: {people} people were {passages} passages, by {signer.member.name}")
    )


@record.command(short_help="Say how many arrests there were in the whole operation.")
@click.argument("serial", metavar="DEPLOYMENT", type=click.IntRange(min=1))
@click.option("--number", type=click.IntRange(min=0), required=True, help="All of them, whatever they came from.")
@click.option("--how", default="", help="Where that is known from, in a few words; kept encrypted.")
@as_option
@vault_option
def arrests(serial: int, number: int, how: str, name: str | None, folder: Path) -> None:
    """Put down all arrests during the operation, apart from those that came from alerts. The last number counts."""
    with opened_vault(folder) as vault:
        put_down_arrests(vault, open_session(vault, name), serial, number, how)
    Console(highlight=False).print(Text(f"deployment {serial}: {number} arrests during the operation"))


record.add_command(rollup)
