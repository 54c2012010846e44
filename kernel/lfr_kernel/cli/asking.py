"""What the commands of people, organisation and vault ask for alike: passphrases, the vault, who one is."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lfr_kernel.governance.deployment.settling import settle_unless_running
from lfr_kernel.governance.instant import read_clocks
from lfr_kernel.governance.keys.files import read_secret
from lfr_kernel.governance.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["FILE", "as_option", "json_option", "opened_vault", "passphrase_of", "passphrase_option", "vault_option"]

F = TypeVar("F", bound="Callable[..., Any]")
FILE = click.Path(path_type=Path)


def passphrase_option(function: F) -> F:
    """Add `--passphrase-file`."""
    return click.option(
        "--passphrase-file",
        type=FILE,
        help="Read the passphrase from the first line of this file (mode 0600) and ask for none: for scripts.",
    )(function)


def json_option(function: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


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


@contextmanager
def opened_vault(folder: Path) -> Iterator[Vault]:
    """Open a vault for a command. What is over in it is ended and wiped first, unless a kernel runs there.

    Raises:
        LfrError: it cannot be used, or not be wiped.
    """
    with Vault.open(folder, clocks=read_clocks) as vault:
        settle_unless_running(vault)
        yield vault


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
