"""`lfr-kernel authorise` and `lfr-kernel authority`: what may run, until when, and what became of it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lfr_kernel.cli.asking import FILE, as_option, json_option, opened_vault, vault_option
from lfr_kernel.cli.registry import registry_of
from lfr_kernel.cli.screen import print_json
from lfr_kernel.governance.audit.anchors import anchor_of
from lfr_kernel.governance.audit.chain import iso_of
from lfr_kernel.governance.authority import load_authority, warnings
from lfr_kernel.governance.deployment.clockwork import confirm_clock
from lfr_kernel.governance.deployment.custody import destroy_keys
from lfr_kernel.governance.deployment.plan import authorise as sign_authority
from lfr_kernel.governance.deployment.plan import extend as extend_authority
from lfr_kernel.governance.deployment.register import deployments, document_of, end, expect_new, find
from lfr_kernel.governance.deployment.settling import settle_unless_running
from lfr_kernel.governance.deployment.statements import WipeReceipt
from lfr_kernel.governance.deployment.wiping import receipt_of
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.instant import nanoseconds, read_clocks
from lfr_kernel.governance.keys.files import write_whole
from lfr_kernel.governance.lists.acts import verify_people
from lfr_kernel.governance.lists.file import ListFile
from lfr_kernel.governance.people.sessions import open_session
from lfr_kernel.governance.standing import Stage, remaining_s
from lfr_kernel.governance.vault import Vault
from lfr_kernel.planning import plan_of, vault_of
from lfr_kernel.profile import load_profile
from lfr_kernel.runtime import LfrError

if TYPE_CHECKING:
    from pathlib import Path

    from lfr_kernel.governance.deployment.register import Deployment
    from lfr_kernel.governance.keys.signing import Envelope

__all__ = ["authorise", "authority"]

CODES = click.Choice(["in-progress", "late-start", "public-safety", "operational-need"])


@click.command(short_help="Sign an authority with exactly what may run under it.")
@click.argument("document", metavar="AUTHORITY.toml", type=FILE)
@click.option("--profile", "path", type=FILE, required=True, help="What is to run: it names vault, pack and watchlist.")
@as_option
@click.pass_context
def authorise(ctx: click.Context, document: Path, path: Path, name: str | None) -> None:
    """Sign an authority together with the digests of rule pack, profile and watchlist.

    The document says who may be looked for, where and why there, from when to when: docs/authority.toml is one to fill
    in. What is signed is exactly this profile with exactly this list: whoever changes either needs another authority.
    An id is used once. Lines marked `missing` go into every report.
    """
    registry = registry_of(ctx)
    profile, _ = load_profile(path, registry)
    loaded = load_authority(document)
    plan = plan_of(profile, path, registry)
    with opened_vault(vault_of(profile)) as vault:
        signer = open_session(vault, name)
        expect_new(vault.database, loaded.authority.id)
        listed = ListFile.open(plan.list)
        listed.verify_public()
        verify_people(vault, listed)
        made = sign_authority(vault, signer, loaded, plan, listed)
    console = Console(highlight=False)
    console.print(
        Text(
            f"authority {made.authority} is signed: deployment {made.serial}, from {_time(made.term.starts_ns)} to "
            f"{_time(made.term.ends_ns)}, {made.authorisation.entries} entries, pack {plan.pack.name}"
        ),
        soft_wrap=True,
    )
    for warning in warnings(loaded.authority):
        console.print(Text(f"missing: {warning} (table [references])", style="yellow"), soft_wrap=True)
    console.print(Text(f"open it with: lfr-kernel --profile {path} --as OPERATOR"), soft_wrap=True)


EPILOG = """\b
Example:
  export LFR_VAULT=/var/lib/lfr
  lfr-kernel authorise authority.toml --profile van.toml --as ada
  lfr-kernel --profile van.toml --as dee
  lfr-kernel authority close 1 --as dee
  lfr-kernel authority receipt 1 --out receipt.json"""


@click.group(short_help="List, show, extend and close what was authorised.", epilog=EPILOG)
def authority() -> None:
    """What was authorised on this installation, and what became of it. Deployments are numbered without gaps."""


@authority.command("list", short_help="All deployments of this installation.")
@vault_option
@json_option
def list_(folder: Path, *, as_json: bool) -> None:
    """List every deployment: abandoned, failed and empty ones, too."""
    with opened_vault(folder) as vault:
        known = deployments(vault.database)
    if as_json:
        print_json([_facts(one) for one in known])
        return
    console = Console(highlight=False)
    if not known:
        console.print("nothing was authorised yet")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("no", "authority", "from", "to", "stage", "ending", "seen", "alerts"):
        table.add_column(heading, header_style="dim", overflow="fold")
    for one in known:
        ending = "" if one.ending is None else one.ending.value
        times = _time(one.term.starts_ns), _time(one.term.ends_ns)
        stage = Text(one.stage.value, style="green" if one.stage is Stage.OPEN else "")
        table.add_row(str(one.serial), Text(one.authority), *times, stage, ending, str(one.seen), str(one.alerts))
    console.print(table)


@authority.command(short_help="One deployment, with its authority.")
@click.argument("serial", type=click.IntRange(min=1))
@vault_option
@json_option
def show(serial: int, folder: Path, *, as_json: bool) -> None:
    """Show what was authorised, by whom, and how it stands."""
    with opened_vault(folder) as vault:
        one, now = find(vault.database, serial), vault.clocks()
        signed, document = one.authorisation, document_of(vault, one)
    if as_json:
        print_json({**_facts(one), "authorisation": signed, "document": document, "warnings": warnings(document)})
        return
    left = remaining_s(one.term, now) if one.stage in {Stage.AUTHORISED, Stage.OPEN} else None
    rows = [
        ("authority", one.authority),
        ("stage", one.stage.value + ("" if one.ending is None else f", {one.ending.value} ({one.why})")),
        ("from, to", f"{_time(one.term.starts_ns)}, {_time(one.term.ends_ns)}"),
        ("left", "" if left is None else str(dt.timedelta(seconds=round(left)))),
        ("purpose", document.purpose),
        ("legal basis", document.legal_basis),
        ("place", f"{document.place}: {document.place_grounds}"),
        ("criteria", document.criteria),
        ("cameras", ", ".join(document.cameras)),
        ("authorised by", f"{document.authorising_officer}, signed by {signed.by} at {signed.at[:19]}Z"),
        ("profile", f"{signed.profile}, SHA-256 {signed.profile_digest}"),
        ("pack", f"{signed.pack}, SHA-256 {signed.pack_digest}"),
        ("watchlist", f"{signed.entries} entries, root {signed.root}"),
        ("after entry", f"{signed.after.number} {signed.after.digest}"),
        ("seen, alerts", f"{one.seen}, {one.alerts}"),
    ]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for label, text in rows:
        if text:
            table.add_row(label, Text(text))
    for warning in warnings(document):
        table.add_row("missing", Text(warning, style="yellow"))
    Console(highlight=False).print(table)


@authority.command(short_help="A later end, as a new act.")
@click.argument("serial", type=click.IntRange(min=1))
@click.option("--until", required=True, help="The new end, with its offset from UTC: 2030-05-04T18:00:00+01:00.")
@click.option("--reason", type=CODES, required=True, help="Why, as a code; it goes into the audit.")
@click.option("--text", required=True, help="Why, in words; kept encrypted, the audit holds its keyed digest.")
@click.option("--profile", "path", type=FILE, required=True, help="What runs: it names vault and pack.")
@as_option
@click.pass_context
def extend(ctx: click.Context, serial: int, until: str, reason: str, text: str, path: Path, name: str | None) -> None:  # noqa: PLR0917  (click hands them in by name)
    """Give an open deployment a later end. The pack says by how much, and how long it may last in all."""
    registry = registry_of(ctx)
    profile, _ = load_profile(path, registry)
    plan, until_ns = plan_of(profile, path, registry), _moment_ns(until)
    with opened_vault(vault_of(profile)) as vault:
        signer = open_session(vault, name)
        after = extend_authority(vault, signer, plan, serial, until_ns=until_ns, reason=reason, text=text)
    Console(highlight=False).print(Text(f"authority {after.authority} now ends at {_time(after.term.ends_ns)}"))


@authority.command(short_help="End a deployment and wipe its list.")
@click.argument("serial", type=click.IntRange(min=1))
@vault_option
@click.option("--revoke", is_flag=True, help="The authority was withdrawn: said so in the record.")
@click.option("--text", help="Why, in words; kept encrypted, the audit holds its keyed digest.")
@as_option
def close(serial: int, folder: Path, text: str | None, name: str | None, *, revoke: bool) -> None:
    """End a deployment now. Its list is wiped at once: by the kernel that runs under it, or else by this command."""
    with Vault.open(folder, clocks=read_clocks) as vault:
        why = "revoked" if revoke else "closed"
        ended = end(vault, serial, signer=open_session(vault, name), why=why, text=text)
        try:
            closed = settle_unless_running(vault)
        except LfrError as error:
            if find(vault.database, serial).stage is Stage.CLOSED:
                raise  # what failed is something else that was due
            raise RefusedError(f"deployment {serial} is ending, and its list is NOT wiped yet: {error}") from error
        line = anchor_of(vault.database, vault.installation.installation).line
    console = Console(highlight=False)
    console.print(Text(line), soft_wrap=True)
    if serial in closed:
        console.print(
            Text(f"deployment {serial} is closed and its list is wiped: lfr-kernel authority receipt {serial}")
        )
    else:
        console.print(
            Text(f"deployment {ended.serial} is ending: the kernel that runs on this vault wipes its list now")
        )


@authority.command(short_help="The receipt of a wipe.")
@click.argument("serial", type=click.IntRange(min=1))
@vault_option
@click.option("--out", type=FILE, help="Write the signed receipt here, as JSON.")
@json_option
def receipt(serial: int, folder: Path, out: Path | None, *, as_json: bool) -> None:
    """Show the signed receipt of a deployment's wipe: counts, times, and commitments that test nothing."""
    with opened_vault(folder) as vault:
        signed = receipt_of(vault, serial)
        stage = find(vault.database, serial).stage
    if signed is None:
        raise RefusedError(f"deployment {serial} is {stage.value}: there is a receipt once it is closed")
    if out is not None:
        write_whole(out, msgspec.json.format(msgspec.json.encode(signed), indent=2) + b"\n", mode=0o644)
    if as_json:
        print_json(_stated(signed))
    else:
        _print_receipt(_stated(signed))


def _stated(signed: Envelope) -> WipeReceipt:
    return msgspec.json.decode(signed.body, type=WipeReceipt)


def _print_receipt(one: WipeReceipt) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    rows = [
        ("deployment", f"{one.serial}, authority {one.authority}"),
        ("ending", f"{one.ending} ({one.why})"),
        ("opened", one.opened or "never"),
        ("ended", one.ended),
        ("list", f"{one.entries} entries, {one.withdrawn} of them withdrawn before the end; root {one.root}"),
        ("passages, alerts", f"{one.passages_seen}, {one.alerts}"),
        *((step.replace("_", " "), at) for step, at in one.steps),
        ("commitments", f"{len(one.commitments)}, each of another row, under salts that are gone"),
    ]
    for label, text in rows:
        table.add_row(label, Text(text))
    Console(highlight=False).print(table)


@authority.command("destroy-keys", short_help="In an emergency: make every open list unreadable.")
@vault_option
@click.confirmation_option(
    "--yes", prompt="Destroy the keys of all open deployments? Their lists can never be read again.", help="Do not ask."
)
def destroy_keys_(folder: Path) -> None:
    """Destroy the keys of every open deployment, and nothing else: it needs no session, and no database that works.

    A kernel that runs keeps what is in its memory: stop it first. The next start ends the deployments, and their record
    says that the key was gone.
    """
    gone = destroy_keys(folder)
    Console(highlight=False).print(Text(f"keys destroyed: {len(gone)}"))


@authority.command("confirm-clock", short_help="Say that the clock is right.")
@vault_option
@as_option
def confirm_clock_(folder: Path, name: str | None) -> None:
    """Let capture and purges go on after the clock jumped, or was found behind. Look at a clock you trust first."""
    with opened_vault(folder) as vault:
        confirm_clock(vault, open_session(vault, name))
        now = vault.clocks()
    Console(highlight=False).print(Text(f"confirmed: it is {iso_of(now.utc_ns)[:19]}Z"))


def _moment_ns(text: str) -> int:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise click.BadParameter(
            f"expected a date and time with its offset from UTC, as 2030-05-04T18:00:00+01:00, got {text!r}",
            param_hint="--until",
        )
    return nanoseconds(moment)


def _facts(one: Deployment) -> dict[str, Any]:
    return {
        "deployment": one.serial,
        "authority": one.authority,
        "stage": one.stage.value,
        "ending": None if one.ending is None else one.ending.value,
        "why": one.why or None,
        "starts": iso_of(one.term.starts_ns),
        "ends": iso_of(one.term.ends_ns),
        "passages_seen": one.seen,
        "alerts": one.alerts,
        "list": one.list,
        "entries": one.authorisation.entries,
    }


def _time(at_ns: int) -> str:
    return f"{iso_of(at_ns)[:16].replace('T', ' ')}Z"
