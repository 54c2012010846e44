"""Keeping secrets out of everything that is shown or written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

__all__ = ["MASK", "Redactor"]

MASK = "***"
_USERINFO = re.compile(r"(?<=://)[^/\s@]+@")


class Redactor:
    """Masks known secrets, and whatever stands before the @ of any URL."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Mask `secrets` (empty ones are ignored), longest first."""
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return `text` with every secret masked."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return _USERINFO.sub(f"{MASK}@", text)

    def processor(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Mask every string of a structlog event."""
        for key, value in event.items():
            if isinstance(value, str):
                event[key] = self(value)
        return event
