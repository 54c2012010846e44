"""Puts a document where it was asked for: on the terminal, on stdout, or into a file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console

from lfr_kernel.governance.keys.files import write_whole
from lfr_kernel.governance.record.rendering import BINARY, FORMATS
from lfr_kernel.governance.record.terminal import renderable

if TYPE_CHECKING:
    from pathlib import Path

    from lfr_kernel.governance.record.page import Document

__all__ = ["expect_place", "put", "put_document"]


def expect_place(kind: str, out: Path | None) -> None:
    """Return if a format can go where it is to go.

    Raises:
        click.UsageError: a terminal would get what is no text.
    """
    if kind in BINARY and out is None and sys.stdout.isatty():
        raise click.UsageError(f"a terminal cannot show a {kind}: give --out FILE, or redirect it")


def put_document(page: Document, kind: str, out: Path | None) -> None:
    """Write a document in a format of `FORMATS`; on a terminal text has its colours and width. Raises as `put`."""
    if kind == "text" and out is None and sys.stdout.isatty():
        Console(highlight=False).print(renderable(page))
    else:
        put(FORMATS[kind](page), out)


def put(content: bytes, out: Path | None) -> None:
    """Write something to stdout, or to a file that others may read.

    Raises:
        click.UsageError: the file cannot be written.
    """
    if out is None:
        click.echo(content, nl=False)
        return
    if not out.name or out.is_dir():
        raise click.UsageError(f"{out} cannot be written: it is a folder; expected the name of a file in it")
    try:
        write_whole(out, content, mode=0o644)
    except OSError as error:
        raise click.UsageError(
            f"{out} cannot be written: {error.strerror}; expected a file in a folder that is there"
        ) from None
    click.echo(f"wrote {out}", err=True)
