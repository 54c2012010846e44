"""`lfr-kernel recipient`: keys of those to whom sealed pictures and exports go, and opening what they got."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console
from rich.text import Text

from lfr_kernel.cli.asking import FILE, json_option, passphrase_of, passphrase_option
from lfr_kernel.cli.printing import print_json, printable
from lfr_kernel.governance.errors import KeyFileError, RefusedError, SealError
from lfr_kernel.governance.keys.files import write_whole
from lfr_kernel.governance.keys.recipient import LONGEST_HEADER, fingerprint_of, header_of, is_sealed, open_with
from lfr_kernel.governance.people.keyfiles import lies_in_the_machine
from lfr_kernel.governance.people.recipients import new_recipient, read_recipient, unlock_recipient

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from lfr_kernel.governance.people.recipients import Recipient

__all__ = ["recipient"]

SEALED = ".sealed"
EPILOG = """\b
Example:
  lfr-kernel recipient new control-room --out /media/stick/control-room
  lfr-kernel recipient show /media/stick/control-room.pub
  lfr-kernel recipient open alerts/*.png.sealed --key /media/stick/control-room.key --into opened"""


@click.group(short_help="Make a key that pictures are sealed to, and open them.", epilog=EPILOG)
def recipient() -> None:
    """Make the key of whoever reads what leaves sealed, show its public half, and open what was sealed to it."""


@recipient.command(short_help="Make a key pair.")
@click.argument("name")
@click.option("--out", "path", type=FILE, required=True, help="Where: PATH.key and PATH.pub are made.")
@passphrase_option
@json_option
def new(name: str, path: Path, passphrase_file: Path | None, *, as_json: bool) -> None:
    """Make the key of NAME: PATH.key, sealed under a passphrase, and PATH.pub, which profiles and exports take.

    Make it where sealed things are read, not on the machine that seals them: that one needs the public half only.
    """
    made = new_recipient(name, path, passphrase_of(f"the key of {name}", passphrase_file, is_new=True))
    if as_json:
        print_json(_public(made))
    else:
        console = Console(highlight=False)
        console.print(Text.assemble(("made ", "dim"), printable(f"{path}.key and {path}.pub")), soft_wrap=True)
        _say_public(console, made)
    if lies_in_the_machine(path):
        text = (
            f"warning: {printable(str(path))}.key lies on a disk of this machine; if this is the machine that seals, "
            "whoever has it has the file, and only the passphrase is left between them and what was sealed"
        )
        Console(stderr=True, highlight=False).print(Text(text, style="yellow"), soft_wrap=True)


@recipient.command(short_help="Show a public key, or to whom a file was sealed.")
@click.argument("file", metavar="FILE", type=FILE)
@json_option
def show(file: Path, *, as_json: bool) -> None:
    """Show the public key in FILE, a .pub of a recipient or of a person; or what a sealed FILE says in clear.

    Compare the fingerprint with its owner, over another channel than the one that the file came by: whoever swaps the
    key can read what is sealed to it.
    """
    console = Console(highlight=False)
    if not is_sealed(_beginning(file)):
        found = read_recipient(file)
        if as_json:
            print_json(_public(found))
        else:
            _say_public(console, found)
        return
    header = _header(file, _beginning(file))
    if as_json:
        print_json(header)
        return
    console.print(Text.assemble(("sealed as    ", "dim"), printable(header.purpose)), soft_wrap=True)
    console.print(Text.assemble(("to key       ", "dim"), printable(header.recipient)), soft_wrap=True)
    for name, value in header.about.items():
        console.print(Text.assemble((f"{printable(name):<12} ", "dim"), printable(str(value))), soft_wrap=True)


@recipient.command("open", short_help="Open what was sealed to a key.")
@click.argument("files", metavar="FILE...", type=FILE, nargs=-1, required=True)
@click.option("--key", type=FILE, required=True, help="Key file of the recipient, or of the person, it was sealed to.")
@click.option("--into", type=FILE, help="Folder for what is opened; beside each FILE if not given.")
@passphrase_option
@json_option
def open_files(
    files: tuple[Path, ...], key: Path, into: Path | None, passphrase_file: Path | None, *, as_json: bool
) -> None:
    """Open each FILE, and write what was in it under the same name without .sealed, readable by you alone.

    That it opens says that it is as it was sealed, not who sealed it: anybody can who has the public key.
    """
    outs = {file: _out(file, into) for file in files}
    private = unlock_recipient(key, passphrase_of(str(key), passphrase_file))
    opened = [_open(private, file, out) for file, out in outs.items()]
    if as_json:
        print_json(opened)
        return
    for one in opened:
        Console(highlight=False).print(Text.assemble(("opened ", "dim"), printable(one["opened"])), soft_wrap=True)


def _open(private: X25519PrivateKey, file: Path, out: Path) -> dict[str, Any]:
    sealed = _read(file)
    header = _header(file, sealed)
    try:
        content = open_with(private, sealed)
    except SealError as error:
        raise SealError(f"{file}: {error}") from None
    if out.exists():
        raise RefusedError(f"{out} is there already: nothing is overwritten; move it away, or give another --into")
    try:
        write_whole(out, content)
    except OSError as error:
        raise RefusedError(f"{out}: expected a folder that can be written to, got: {error.strerror}") from None
    return {"file": str(file), "opened": str(out), **msgspec.to_builtins(header)}


def _out(file: Path, into: Path | None) -> Path:
    if not file.name.endswith(SEALED) or file.name == SEALED:
        raise RefusedError(f"{file}: expected a file whose name ends in {SEALED}")
    return (into or file.parent) / file.name.removesuffix(SEALED)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{file}: expected a sealed file, got: {error.strerror}") from None


def _beginning(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(LONGEST_HEADER)
    except OSError as error:
        raise KeyFileError(f"{file}: expected a public key or a sealed file, got: {error.strerror}") from None


def _header(file: Path, sealed: bytes) -> Any:
    try:
        return header_of(sealed)
    except SealError as error:
        raise SealError(f"{file}: {error}") from None


def _public(found: Recipient) -> dict[str, str]:
    return {"name": found.name, "key": found.sealing, "fingerprint": fingerprint_of(found.public)}


def _say_public(console: Console, found: Recipient) -> None:
    for name, value in _public(found).items():
        console.print(Text.assemble((f"{name:<12} ", "dim"), printable(value)), soft_wrap=True)
