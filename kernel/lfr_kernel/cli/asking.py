"""What the commands of people, organisation and vault ask for alike: passphrases, the vault, who one is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lfr_kernel.governance.keys.files import read_secret

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FILE", "as_option", "passphrase_of", "passphrase_option", "vault_option"]

F = TypeVar("F", bound="Callable[..., Any]")
FILE = click.Path(path_type=Path)


def passphrase_option(function: F) -> F:
    """Add `--passphrase-file`."""
    return click.option(
        "--passphrase-file",
        type=FILE,
        help="Read the passphrase from the first line of this file (mode 0600) and ask for none: for scripts.",
    )(function)


def vault_option(function: F) -> F:
    """Add `--vault`."""
    return click.option(
        "--vault", "folder", type=FILE, envvar="LFR_VAULT", required=True, show_envvar=True, help="Folder of the vault."
    )(function)


def as_option(function: F) -> F:
    """Add `--as`."""
    return click.option(
        "--as",
        "name",
        envvar="LFR_AS",
        show_envvar=True,
        help="Whose session signs this; not needed where only one is unlocked.",
    )(function)


def passphrase_of(what: str, file: Path | None, *, is_new: bool = False) -> str:
    """Return a passphrase: from a file, or asked for without showing it.

    Args:
        what: that it opens, for the prompt.
        file: of `--passphrase-file`; None: ask.
        is_new: asked for twice.

    Raises:
        KeyFileError: others can read the file.
        click.Abort: nobody answered.
    """
    if file is not None:
        lines = read_secret(file).decode("utf-8", errors="replace").splitlines()
        return lines[0] if lines else ""
    text = f"New passphrase of {what}" if is_new else f"Passphrase of {what}"
    answer: str = click.prompt(text, hide_input=True, confirmation_prompt=is_new, err=True)
    return answer
