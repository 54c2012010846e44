"""TOML documents that governance rests on: read once, named by the digest of their bytes."""

from __future__ import annotations

import hashlib
import tomllib
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

from lfr_kernel.runtime import PermanentError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.resources.abc import Traversable

__all__ = ["Document", "DocumentError", "Text", "read_document"]

Text = Annotated[str, Meta(pattern=r"\S", title="text, not empty")]
LARGEST = 1_000_000
"""Bytes. A document is written by hand; anything longer is another file."""


class DocumentError(PermanentError, ValueError):
    """A document cannot be used; the text lists everything that is wrong, each with file and key path."""

    problems: tuple[str, ...]
    """What is wrong, one sentence each, without `source`."""

    def __init__(self, source: str, problems: Sequence[str], *, heading: str = "") -> None:
        self.problems = tuple(problems)
        if len(problems) == 1 and not heading:
            super().__init__(f"{source}: {problems[0]}")
        else:
            lines = "\n".join(f"  {source}: {problem}" for problem in problems)
            super().__init__(f"{source}: {heading or f'{len(problems)} mistakes'}\n{lines}")


class Document(Struct, frozen=True, kw_only=True):
    """One file as it was read."""

    data: dict[str, Any]
    """What the TOML parser makes of it."""
    text: str
    digest: str
    """SHA-256 of its bytes, hexadecimal."""


def read_document(path: Traversable, source: str, error: type[DocumentError]) -> Document:
    """Read a TOML file. Blocks on it.

    Args:
        path: of the file.
        source: what messages call it.
        error: what is raised.

    Raises:
        DocumentError: `error`, if it cannot be read, or is no TOML.
    """
    try:
        with path.open("rb") as file:
            content: bytes = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise error(source, [f"expected TOML, {LARGEST} bytes at most, got a longer file; is it the right one?"])
        # Some editors put a byte order mark before the text.
        text = content.decode("utf-8-sig")
        data = tomllib.loads(text)
    except UnicodeDecodeError as failure:
        reason = f"expected UTF-8 text, got something else from byte {failure.start}; is it TOML?"
    except tomllib.TOMLDecodeError as failure:
        reason = f"expected TOML, got a syntax error: {failure}"
    except RecursionError:
        reason = "expected TOML, got tables or lists nested too deeply"
    except FileNotFoundError:
        reason = "expected a TOML file, found none there; check the path"
    except OSError as failure:
        reason = f"expected a TOML file that can be read, got: {failure.strerror or failure}"
    else:
        return Document(data=data, text=text, digest=hashlib.sha256(content).hexdigest())
    raise error(source, [reason])
