"""`${env:NAME}` and `${here}` in the text of a profile."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lfr_kernel.decoding import Problem, join_path
from lfr_kernel.redaction import Filled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["fill_in"]

_FORMS = "expected ${env:NAME} or ${here}"
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")


def fill_in(
    data: Any,
    *,
    here: Path,
    environment: Mapping[str, str],
    secrets: list[str],
    note: Callable[[Problem], None],
    path: str = "",
) -> Any:
    """Return `data` with the placeholders in its texts replaced.

    Args:
        data: what the TOML parser gave.
        here: what `${here}` stands for: the folder of the profile.
        environment: where `${env:NAME}` is looked up.
        secrets: gets every value that came from the environment.
        note: told each placeholder that stands for nothing.
        path: of `data` within the file.
    """
    if isinstance(data, dict | list):
        items = data.items() if isinstance(data, dict) else enumerate(data)
        filled = {
            key: fill_in(
                value,
                here=here,
                environment=environment,
                secrets=secrets,
                note=note,
                path=join_path(path, key) if isinstance(key, str) else f"{path}[{key}]",
            )
            for key, value in items
        }
        return filled if isinstance(data, dict) else list(filled.values())
    if not isinstance(data, str):
        return data

    def value(found: re.Match[str]) -> str:
        kind, _, name = found[1].partition(":")
        if found[1] == "here":
            return str(here)
        if kind == "env" and name in environment:
            secrets.append(environment[name])
            return environment[name]
        is_missing = kind == "env" and name
        expected = f"expected the environment variable {name} to be set" if is_missing else _FORMS
        note(Problem(path, f"{expected}, got {found[0]}"))
        return found[0]

    text = _PLACEHOLDER.sub(value, data)
    written = _PLACEHOLDER.sub(lambda found: str(here) if found[1] == "here" else found[0], data)
    return text if text == written else Filled(text, written)
