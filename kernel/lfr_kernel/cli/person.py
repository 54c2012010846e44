"""`lfr-kernel person`: somebody's own keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from lfr_kernel.cli.asking import FILE, passphrase_of, passphrase_option
from lfr_kernel.governance.people.keyfiles import change_passphrase, lies_in_the_machine, new_person

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["person"]

EPILOG = """\b
Example:
  lfr-kernel person new ada --out /media/ada-stick/ada
  lfr-kernel person passphrase /media/ada-stick/ada.key"""


@click.group(short_help="Make somebody's keys.", epilog=EPILOG)
def person() -> None:
    """Make a person's keys, on something that they take home, and change the passphrase."""


@person.command(short_help="Make a key pair.")
@click.argument("name")
@click.option("--out", "path", type=FILE, required=True, help="Where: PATH.key and PATH.pub are made.")
@passphrase_option
def new(name: str, path: Path, passphrase_file: Path | None) -> None:
    """Make the keys of NAME: PATH.key, sealed under a passphrase, and PATH.pub, which the roster takes.

    NAME is what the roster, the audit and other people call them: letters, digits, -, _ and ., a badge number for
    instance. PATH.key belongs on something removable that its owner alone carries.
    """
    made = new_person(name, path, passphrase_of(f"the key of {name}", passphrase_file, is_new=True))
    console = Console(highlight=False)
    console.print(Text.assemble(("made ", "dim"), f"{path}.key and {path}.pub"), soft_wrap=True)
    console.print(Text(f"the keys of {made.name} are {made.signing} and {made.sealing}"), soft_wrap=True)
    if lies_in_the_machine(path):
        text = (
            f"warning: {path}.key lies on a disk of this machine, so that whoever has the machine has the file, and "
            "only the passphrase is left between them and the key: move it to something that its owner takes home"
        )
        Console(stderr=True, highlight=False).print(Text(text, style="yellow"), soft_wrap=True)


@person.command(short_help="Change the passphrase of a key file.")
@click.argument("file", metavar="FILE", type=FILE)
@passphrase_option
@click.option("--new-passphrase-file", type=FILE, help="Likewise for the new one.")
def passphrase(file: Path, passphrase_file: Path | None, new_passphrase_file: Path | None) -> None:
    """Seal a key file, a person's or the organisation's, under another passphrase.

    Copies of the file that were made before stay under the old one. Where a copy may be in other hands, have the keys
    revoked (`revoked` in the roster) and make new ones.
    """
    old = passphrase_of(str(file), passphrase_file)
    change_passphrase(file, old, passphrase_of(str(file), new_passphrase_file, is_new=True))
    Console(highlight=False).print(Text(f"{file} is sealed under the new passphrase"), soft_wrap=True)
