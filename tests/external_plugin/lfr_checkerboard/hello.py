"""`lfr-kernel hello`: a command from outside."""

from __future__ import annotations

import click

__all__ = ["hello"]


@click.command()
@click.option("--name", default="world", help="Whom to greet.")
def hello(name: str) -> None:
    """Say hello."""
    click.echo(f"hello, {name}, from lfr-checkerboard")
