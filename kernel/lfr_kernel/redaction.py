"""Keeping secrets out of everything that is shown or written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

__all__ = ["MASK", "Filled", "Redactor"]

MASK = "***"
SHORTEST_SECRET = 3
"""Anything shorter would be blotted out of the middle of words and numbers, and is no secret."""
_IN_URL = re.compile(r"(?<=://)[^\s'\"<>]*@")
_QUERY = re.compile(r"(?<=://)([^\s?'\"<>]*\?)[^\s'\"<>]+")


class Filled(str):
    """Text whose `${env:NAME}` were filled in. It prints as it was written, so that no message shows the values."""

    __slots__ = ("written",)
    written: str

    def __new__(cls, value: str, written: str) -> Self:
        """Make text that is `value` and prints as `written`."""
        text = super().__new__(cls, value)
        text.written = written
        return text

    def __repr__(self) -> str:
        return repr(self.written)

    def __reduce__(self) -> tuple[type[Filled], tuple[str, str]]:
        return Filled, (str(self), self.written)


class Redactor:
    """Masks known secrets, as they are and as URLs spell them, and in any URL what is before the @ or after the ?."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Mask `secrets`, longest first; those of one or two characters are ignored."""
        spelled = {form for secret in secrets for form in (secret, unquote(secret), quote(secret, safe=""))}
        self._secrets = sorted((one for one in spelled if len(one) >= SHORTEST_SECRET), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return `text` with every secret masked."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return _QUERY.sub(rf"\1{MASK}", _IN_URL.sub(f"{MASK}@", text))

    def mask(self, value: Any) -> Any:
        """Return what a JSON encoder takes with every string in it masked, keys too; anything else becomes text."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {self(str(key)): self.mask(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.mask(inner) for inner in value]
        return self(repr(value))

    def processor(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Mask every fact of a structlog event."""
        for key, value in event.items():
            event[key] = self.mask(value)
        return event
