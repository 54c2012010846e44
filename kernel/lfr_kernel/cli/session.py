"""`lfr-kernel session`: somebody's shift, from unlocking their key to leaving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lfr_kernel.cli.asking import (
    FILE,
    as_option,
    json_option,
    opened_vault,
    passphrase_of,
    passphrase_option,
    vault_option,
)
from lfr_kernel.cli.printing import print_json
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.people.keyfiles import unlock_person
from lfr_kernel.governance.people.sessions import end_session, hand_over, show_sessions, start_session
from lfr_kernel.governance.people.statements import written

if TYPE_CHECKING:
    from pathlib import Path

    from lfr_kernel.governance.people.keyfiles import Person
    from lfr_kernel.governance.people.statements import SessionCertificate

__all__ = ["session"]

EPILOG = """\b
Example:
  export LFR_VAULT=/var/lib/lfr
  lfr-kernel session start --as ada --key /media/ada-stick/ada.key
  lfr-kernel session handover --to bob --key /media/bob-stick/bob.key
  lfr-kernel session end"""


@click.group(short_help="Start, hand over and end a shift.", epilog=EPILOG)
def session() -> None:
    """Unlock one's key once, and sign with a session key until the end of the shift.

    A session locks when it is idle for too long, when the machine restarts, and at its end; its key is destroyed then.
    What it signs proves that its key acted, and that the person's key let it; not who sat there.
    """


def _key_option(function: Any) -> Any:
    return click.option("--key", type=FILE, required=True, help="Key file, from `person new`.")(function)


def _deployment_option(function: Any) -> Any:
    return click.option(
        "--deployment", type=click.IntRange(min=1), help="Good for this deployment only; without it, for any."
    )(function)


def _unlock(name: str, key: Path, passphrase_file: Path | None) -> Person:
    person = unlock_person(key, passphrase_of(f"the key of {name}", passphrase_file))
    if person.name != name:
        raise RefusedError(
            f"expected the key of {name}, and {key} is the key of {person.name}: take the one, or say the other"
        )
    return person


def _say(made: SessionCertificate) -> None:
    text = f"{made.person} is on shift until {written(made.ends)}; locks after {made.idle_s / 60:g} min without an act"
    Console(highlight=False).print(Text(text), soft_wrap=True)


@session.command(short_help="Begin a shift.")
@click.option("--as", "name", envvar="LFR_AS", show_envvar=True, required=True, help="Whose shift it is.")
@_key_option
@vault_option
@_deployment_option
@passphrase_option
def start(name: str, key: Path, folder: Path, deployment: int | None, passphrase_file: Path | None) -> None:
    """Unlock somebody's key once and let it certify a session key, which signs from now on.

    The key file may be taken out afterwards.
    """
    with opened_vault(folder) as vault:
        vault.member(name)  # before anybody types a passphrase
        _say(start_session(vault, _unlock(name, key, passphrase_file), deployment=deployment))


@session.command(short_help="End a shift.")
@as_option
@vault_option
def end(name: str | None, folder: Path) -> None:
    """End a session, say so in the audit, and destroy its key."""
    with opened_vault(folder) as vault:
        who = end_session(vault, name)
    Console(highlight=False).print(Text(f"the session of {who} is ended"))


@session.command(short_help="Hand a shift over.")
@click.option("--to", "successor", required=True, help="Who comes.")
@_key_option
@as_option
@vault_option
@_deployment_option
@passphrase_option
def handover(  # noqa: PLR0917  (click hands them in by name)
    successor: str, key: Path, name: str | None, folder: Path, deployment: int | None, passphrase_file: Path | None
) -> None:
    """End one person's session and start another's: both or neither."""
    with opened_vault(folder) as vault:
        vault.member(successor)
        person = _unlock(successor, key, passphrase_file)
        _say(hand_over(vault, name, person, deployment=deployment))


@session.command(short_help="Show who is on shift.")
@vault_option
@json_option
def show(folder: Path, *, as_json: bool) -> None:
    """Show the sessions of this installation. Keys of those that are locked are destroyed."""
    with opened_vault(folder) as vault:
        found = show_sessions(vault)
    if as_json:
        print_json(found)
        return
    console = Console(highlight=False)
    if not found:
        console.print("nobody is on shift")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("person", "deployment", "since", "until", "idle", "state"):
        table.add_column(heading, header_style="dim", overflow="fold")
    for one in found:
        deployment = "any" if one.deployment is None else str(one.deployment)
        idle = f"{one.idle_s / 60:.0f} of {one.idle_limit_s / 60:g} min"
        state = Text("locked", style="red") if one.locked else Text("unlocked", style="green")
        table.add_row(Text(one.person), deployment, _short(one.starts), _short(one.ends), idle, state)
    console.print(table)
    for one in found:
        if one.locked:
            console.print(Text(one.locked, style="red"), soft_wrap=True)


def _short(at: str) -> str:
    """Return a time to the minute, as it fits six columns into 80 characters."""
    return f"{at[:10]} {at[11:16]}Z"
