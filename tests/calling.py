"""Calling the command line in the process of the test."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

__all__ = ["Result"]


class Result(NamedTuple):
    """What a call left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output, all of it, as one JSON object."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found
