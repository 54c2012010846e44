"""`lfr-kernel audit`: show, export, verify and anchor the log of all acts."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lfr_kernel.cli.asking import json_option, vault_option
from lfr_kernel.cli.printing import print_json, printable
from lfr_kernel.governance.audit.anchors import anchor_of, qr_of
from lfr_kernel.governance.audit.database import Database
from lfr_kernel.governance.audit.export import export, is_database, lines_of
from lfr_kernel.governance.audit.verifier import verify
from lfr_kernel.governance.vault import DATABASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfr_kernel.governance.audit.chain import Entry
    from lfr_kernel.governance.instant import Instant

__all__ = ["audit"]

KEY = re.compile(r"[0-9A-Fa-f]{64}\Z")
DIGEST = re.compile(r"[0-9a-f]{32,}\Z")
FACTS_SHOWN, SHOWN_DIGITS = 3, 12


@click.group(short_help="Show, export, verify and anchor the log of all acts.")
def audit() -> None:
    """Show, export, verify and anchor the log of all acts.

    \b
    The log proves nothing to anybody who has only the log: whoever holds the machine could write another one.
    Anchors that were taken off the machine in time prove what was in it by then.

    \b
      lfr-kernel audit anchor --vault FOLDER --qr               for the auditor, now and then
      lfr-kernel audit export --vault FOLDER log.jsonl
      lfr-kernel audit verify log.jsonl --anchors anchors.txt --root KEY
    """  # noqa: D301  (click's mark for a text that is not to be wrapped)


@audit.command("export", short_help="Write the log to a file, for a verifier anywhere.")
@vault_option
@click.argument("out", type=click.Path(path_type=Path))
def export_log(folder: Path, out: Path) -> None:
    """Write every entry to OUT, one a line: the exact text that was signed, and its signature.

    Free texts are not in it: the log holds their keyed digests only.
    """
    with _opened(folder) as database:
        count = export(database, out)
    click.echo(f"{out}: {count} entries")


@audit.command("verify", short_help="Find out whether a log is whole.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--anchors", type=click.Path(path_type=Path), help="A file of printed anchors, one a line.")
@click.option("--root", metavar="HEX", help="The organisation's public key, 64 hexadecimal digits.")
@json_option
@click.pass_context
def verify_log(ctx: click.Context, file: Path, anchors: Path | None, root: str | None, *, as_json: bool) -> None:
    """Verify FILE: an export, or a vault's database.

    Checks every digest, link and number, and that every signature is by a key that could sign there: the
    installation's, a session's while it lasted, a checkpoint's in its turn. Names the place of whatever does not fit.
    Exit codes: 0 all fits, 1 something does not, 2 nothing to verify.

    The same check without lfr-kernel: governance/audit/verifier.py needs only Python and cryptography.
    """
    if root is not None and not KEY.match(root):
        raise click.BadParameter(f"expected 64 hexadecimal digits, got {root!r}", param_hint="--root")
    lines = list(lines_of(file)) if _kind_is_database(file) else _read(file).splitlines(keepends=True)
    result = verify(lines, _read(anchors).splitlines() if anchors else [], root)
    if as_json:
        click.echo(msgspec.json.encode(result._asdict()).decode())
    else:
        console = Console(highlight=False)
        for note in result.notes:
            console.print(Text(printable(note), "dim"), soft_wrap=True)
        for finding in result.findings:
            console.print(Text(printable(finding), "red"), soft_wrap=True)
        console.print(Text(printable(result.verdict), "bold red" if result.findings else "bold green"), soft_wrap=True)
    ctx.exit(1 if result.findings else 0)


@audit.command(short_help="Show the last entries.")
@vault_option
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="How many.")
@json_option
def show(folder: Path, last: int, *, as_json: bool) -> None:
    """Show the last N entries: who did what, when, and why. Shows what is written and verifies nothing."""
    with _opened(folder) as database:
        entries = list(database.entries(after=max(0, database.head()[0] - last)))
    if as_json:
        bodies = [msgspec.json.decode(one.body) | {"digest": one.digest} for one in entries]
        print_json(bodies)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("entry", justify="right", no_wrap=True)
    table.add_column("time (UTC)", no_wrap=True)
    table.add_column("act", overflow="fold")
    for one in entries:
        table.add_row(*_cells(one))
    Console(highlight=False).print(table)


@audit.command(short_help="Print the anchor of the log as it is now.")
@vault_option
@click.option("--qr", is_flag=True, help="Also as a QR code, for an auditor's telephone.")
def anchor(folder: Path, *, qr: bool) -> None:
    """Print the anchor of the log as it is now: number, digest and time of the last entry. Nothing is written.

    Kept where nobody at this machine can change it, it proves later that the log up to here was not rewritten.
    """
    with _opened(folder) as database:
        line = anchor_of(database).line
    click.echo(line)
    if qr:
        click.echo(qr_of(line), nl=False)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[Database]:
    if not folder.is_dir():
        raise click.UsageError(f"{folder}: expected the folder of a vault, found none")
    with Database(folder / DATABASE, clocks=_no_clock) as database:
        yield database


def _no_clock() -> Instant:
    raise RuntimeError("nothing here appends to the audit")


def _cells(entry: Entry) -> Iterator[Text]:
    body: dict[str, Any] = msgspec.json.decode(entry.body)
    facts = body.get("facts") or {}
    # A signed statement is a page of base64: that there is one is what a row can say.
    simple = [f"{name} {_short(value)}" for name, value in facts.items() if not isinstance(value, dict | list)]
    signed = [name for name, value in facts.items() if isinstance(value, dict) and "payload" in value]
    shown = ", ".join([*simple[:FACTS_SHOWN], *(["…"] if len(simple) > FACTS_SHOWN else []), *signed])
    at = entry.at[:19].replace("T", " ")
    reason = f", {body['reason']}" if body.get("reason") else ""
    yield Text(str(entry.number))
    yield Text(printable(at))
    what = Text.assemble((printable(entry.act), "bold"), " ", printable(f"by {body.get('by')}{reason}"))
    yield what.append(f"\n{printable(shown)}", "dim") if shown else what


def _short(value: object) -> str:
    """Return a digest by its first digits: whoever compares one takes `--json`."""
    text = str(value)
    return f"{text[:SHOWN_DIGITS]}…" if DIGEST.match(text) else text


def _kind_is_database(file: Path) -> bool:
    try:
        return is_database(file)
    except OSError as error:
        _refuse(file, error)


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        _refuse(file, error)


def _refuse(file: Path, error: Exception) -> NoReturn:
    why = (error.strerror if isinstance(error, OSError) else None) or "it is no UTF-8 text"
    raise click.UsageError(f"{file} cannot be read: {why}; expected an export, a vault's database, or printed anchors")
