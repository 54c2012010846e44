"""How commands print what others wrote: one line that steers no terminal, or JSON. Light: every command loads it."""

from __future__ import annotations

from typing import Any

import click
import msgspec

__all__ = ["print_json", "printable"]


def printable(text: str) -> str:
    """Return `text` on one line, without what could steer a terminal: names come from other people's files."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in " ".join(text.split()))


def print_json(what: Any) -> None:
    """Print what msgspec can encode on stdout, as JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(what), indent=2).decode())
