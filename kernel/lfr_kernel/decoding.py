"""TOML into frozen Structs, with every mistake reported at once.

msgspec stops at the first mistake; a person with ten of them deserves the list. This walks Structs field by field,
lets msgspec judge each value, and notes what it says with the key path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Problem", "decode", "describe_type"]


class Problem(Struct, frozen=True):
    """One mistake: where, and what was expected and what came."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


def decode(kind: Any, data: Any, path: str, note: Callable[[Problem], None]) -> Any:
    """Return `data` as a `kind`, or None after noting every mistake in it.

    Args:
        kind: a Struct type, a list or tuple of them, or anything that msgspec converts to.
        data: what the TOML parser gave.
        path: of `data` within the file, for the messages.
        note: told each problem.
    """
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _decode_struct(kind, data, path, note)
    inner = _struct_items(kind)
    if inner is not None and isinstance(data, list):
        items = [decode(inner, item, f"{path}[{number}]", note) for number, item in enumerate(data)]
        return None if any(item is None for item in items) else tuple(items)
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        text = str(error).partition(" - at ")[0]
        expected = text[0].lower() + text[1:].partition(", got")[0]
        note(Problem(path, f"{expected}, got {_shown(data)}"))
        return None


def _decode_struct(kind: type[Struct], data: Any, path: str, note: Callable[[Problem], None]) -> Any:
    if not isinstance(data, dict):
        note(Problem(path, f"expected a table, got {_shown(data)}"))
        return None
    hints = get_type_hints(kind, include_extras=True)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    is_good = True

    def note_here(problem: Problem) -> None:
        nonlocal is_good
        is_good = False
        note(problem)

    for key in data:
        if key not in fields:
            expected = ", ".join(fields) or "nothing"
            note_here(Problem(_join(path, key), f"unknown key, expected one of: {expected}"))
    values: dict[str, Any] = {}
    for key, field in fields.items():
        if key in data:
            values[field.name] = decode(hints[field.name], data[key], _join(path, key), note_here)
        elif field.required:
            note_here(Problem(_join(path, key), f"missing, expected {describe_type(hints[field.name])}"))
    return kind(**values) if is_good else None


def _struct_items(kind: Any) -> type[Struct] | None:
    if get_origin(kind) in {list, tuple}:
        item = get_args(kind)[0]
        if isinstance(item, type) and issubclass(item, Struct):
            return item
    return None


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _shown(data: Any) -> str:
    if isinstance(data, dict):
        return "a table"
    return f"{data!r}"[:80]


def describe_type(kind: Any) -> str:
    """Return a type as a person writes it in TOML: `an integer from 1 to 8`."""
    names = {str: "text", int: "an integer", float: "a number", bool: "true or false"}
    meta = next((one for one in getattr(kind, "__metadata__", ()) if isinstance(one, msgspec.Meta)), None)
    plain = getattr(kind, "__origin__", kind) if meta else kind
    if get_origin(plain) is tuple or get_origin(plain) is list:
        text = f"a list of {describe_type(get_args(plain)[0])}"
    elif isinstance(plain, type) and issubclass(plain, Struct):
        text = "a table"
    elif plain in names:
        text = names[plain]
    else:
        text = " or ".join(
            names[arg] if arg in names else "nothing" if arg is type(None) else str(getattr(arg, "__name__", repr(arg)))
            for arg in get_args(plain)
        ) or str(plain)
    if meta:
        low = meta.ge if meta.ge is not None else meta.gt
        high = meta.le if meta.le is not None else meta.lt
        text += f" from {low:g}" if low is not None else ""
        text += f" to {high:g}" if high is not None else ""
    return text
