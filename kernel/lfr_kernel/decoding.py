"""TOML into frozen Structs, with every mistake reported at once.

msgspec stops at the first mistake; a person with ten of them deserves the list. This walks Structs, lists and tables
value by value, lets msgspec judge each value, and notes what is wrong with the key path.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from difflib import get_close_matches
from enum import Enum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from lfr_kernel.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "Problem",
    "decode",
    "describe_type",
    "extra_of",
    "help_of",
    "is_choice",
    "join_path",
    "shown",
    "struct_of",
    "suggest",
]

SHOWN_AT_MOST = 80
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_mask = Redactor()


class Problem(Struct, frozen=True):
    """One mistake: where, and what was expected and what came."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


def decode(kind: Any, data: Any, path: str, note: Callable[[Problem], None]) -> Any:
    """Return `data` as a `kind`, or None after noting every mistake in it. Raises nothing, whatever `data` is.

    Args:
        kind: a Struct type, a list, tuple or dict of anything, or whatever else msgspec converts to.
        data: what the TOML parser gave.
        path: of `data` within the file, for the messages.
        note: told each problem.
    """
    plain, metas = _taken_apart(kind)
    if _is_struct(plain):
        return _decode_struct(plain, data, path, note)
    origin, arguments = get_origin(plain), get_args(plain)
    if isinstance(data, list) and (origin is list or (origin is tuple and arguments[1:] == (Ellipsis,))):
        items = [decode(arguments[0], item, f"{path}[{number}]", note) for number, item in enumerate(data)]
        value: Any = tuple(items) if origin is tuple else items
        is_good = all(item is not None for item in items)
    elif isinstance(data, dict) and origin is dict:
        table = {key: decode(arguments[1], value, join_path(path, key), note) for key, value in data.items()}
        value, is_good = table, all(item is not None for item in table.values())
    else:
        return _convert(kind, data, path, note)
    if is_good and not _fits(len(data), metas):
        note(Problem(path, f"expected {describe_type(kind)}, got {shown(data)}"))
        is_good = False
    return value if is_good else None


def _decode_struct(kind: type[Struct], data: Any, path: str, note: Callable[[Problem], None]) -> Any:
    if not isinstance(data, dict):
        note(Problem(path, f"expected a table, got {shown(data)}"))
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
            note_here(Problem(join_path(path, key), f"unknown key, {_known(fields)}{suggest(key, fields)}"))
    values: dict[str, Any] = {}
    for key, field in fields.items():
        if key in data:
            values[field.name] = decode(hints[field.name], data[key], join_path(path, key), note_here)
        elif field.required:
            note_here(Problem(join_path(path, key), f"missing, expected {describe_type(hints[field.name])}"))
    if not is_good:
        return None
    try:
        return kind(**values)
    except Exception as error:  # noqa: BLE001  (a `__post_init__` of a plugin's: its text is the mistake)
        note(Problem(path, " ".join(str(error).split()) or type(error).__name__))
        return None


def _known(fields: Iterable[str]) -> str:
    known = ", ".join(fields)
    return f"expected one of: {known}" if known else "expected nothing here"


def _fits(length: int, metas: Iterable[Meta]) -> bool:
    return all(
        (meta.min_length is None or length >= meta.min_length)
        and (meta.max_length is None or length <= meta.max_length)
        for meta in metas
    )


def _convert(kind: Any, data: Any, path: str, note: Callable[[Problem], None]) -> Any:
    try:
        value = msgspec.convert(_plain(data), kind)
    except (msgspec.ValidationError, OverflowError):
        value = None
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        choices = _choices(_taken_apart(kind)[0])
        hint = suggest(data, choices) if isinstance(data, str) else ""
        note(Problem(path, f"expected {describe_type(kind)}, got {shown(data)}{hint}"))
        return None
    return value


def _plain(data: Any) -> Any:
    """Return `data` without subclasses of str, which msgspec would let through."""
    if isinstance(data, dict):
        return {_plain(key): _plain(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_plain(item) for item in data]
    return str(data) if isinstance(data, str) else data


def _taken_apart(kind: Any) -> tuple[Any, list[Meta]]:
    """Return `kind` without `Annotated` and without `| None`, and its Metas, outermost last."""
    metas: list[Meta] = []
    while True:
        if get_origin(kind) is Annotated:
            metas = [meta for meta in kind.__metadata__ if isinstance(meta, Meta)] + metas
            kind = kind.__origin__
        elif _is_union(kind) and len(rest := [arg for arg in get_args(kind) if arg is not NoneType]) == 1:
            kind = rest[0]
        else:
            return kind, metas


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in {Union, UnionType}


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def struct_of(kind: Any) -> type[Struct] | None:
    """Return the Struct that `kind` is, or is a list or a tuple of; None if there is none."""
    plain, _ = _taken_apart(kind)
    if get_origin(plain) in {list, tuple}:
        plain, _ = _taken_apart(get_args(plain)[0])
    return plain if _is_struct(plain) else None


def _choices(kind: Any) -> list[Any]:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [one.value for one in kind]
    return list(get_args(kind)) if get_origin(kind) is Literal else []


def is_choice(kind: Any) -> bool:
    """Return whether `kind` is a closed list of values: a Literal or an Enum."""
    return bool(_choices(_taken_apart(kind)[0]))


def suggest(got: str, known: Iterable[Any]) -> str:
    """Return ` (did you mean 'x'?)` if something known is spelled much like `got`, else nothing."""
    near = get_close_matches(got, [one for one in known if isinstance(one, str)], n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def join_path(path: str, key: str) -> str:
    """Return the path of `key` in the table at `path`, as TOML writes it."""
    key = key if _BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)
    return f"{path}.{key}" if path else key


def shown(data: Any) -> str:
    """Return a value as a message shows it: as TOML writes it, short, and without the secrets of its URLs."""
    text = _mask(_spelled(data))
    return text if len(text) <= SHOWN_AT_MOST else text[: SHOWN_AT_MOST - 1] + "…"


def _spelled(data: Any) -> str:
    if isinstance(data, bool):
        return "true" if data else "false"
    if isinstance(data, dict):
        return "a table" if data else "an empty table"
    if isinstance(data, list):
        return "[" + ", ".join(_spelled(item) for item in data) + "]"
    if isinstance(data, dt.date | dt.time):
        return data.isoformat()
    return repr(data)


def describe_type(kind: Any) -> str:
    """Return a type as a person writes it in TOML: `an integer from 1 to 8`, `text, optional`."""
    plain, metas = _taken_apart(kind)
    titles = [meta.title for meta in metas if meta.title]
    text = titles[0] if titles else _name(plain) + "".join(_bounds(plain, meta) for meta in metas)
    return f"{text}, optional" if _is_optional(kind) else text


def _is_optional(kind: Any) -> bool:
    while get_origin(kind) is Annotated:
        kind = kind.__origin__
    return _is_union(kind) and NoneType in get_args(kind)


def _name(kind: Any) -> str:
    names = {
        str: "text",
        int: "an integer",
        float: "a number",
        bool: "true or false",
        Any: "anything",
        dict: "a table",
        list: "a list",
        tuple: "a list",
        dt.date: "a date",
        dt.time: "a time",
        dt.datetime: "a date and time",
    }
    origin, arguments = get_origin(kind), get_args(kind)
    if _is_struct(kind):
        return "a table"
    if choices := _choices(kind):
        return " or ".join(repr(one) for one in choices)
    if _is_union(kind):
        return " or ".join(describe_type(one) for one in arguments if one is not NoneType)
    if origin in {list, tuple, set, frozenset} and arguments:
        return f"a list of {_many(arguments[0])}"
    if origin is dict:
        return f"a table of {_many(arguments[1])}"
    return names.get(kind) or names.get(origin) or str(getattr(kind, "__name__", kind))


def _many(kind: Any) -> str:
    text = describe_type(kind)
    return {"an integer": "integers", "a number": "numbers", "a table": "tables", "true or false": "booleans"}.get(
        text, text
    )


def _bounds(kind: Any, meta: Meta) -> str:
    if meta.ge is not None and meta.le is not None:
        text = f" from {_number(meta.ge)} to {_number(meta.le)}"
    else:
        given = (("at least", meta.ge), ("above", meta.gt), ("at most", meta.le), ("below", meta.lt))
        text = ", ".join(f"{word} {_number(bound)}" for word, bound in given if bound is not None)
        text = f" {text}" if text else ""
    if meta.multiple_of is not None:
        text += f", a multiple of {_number(meta.multiple_of)}"
    if meta.pattern is not None:
        text += f" that matches {meta.pattern}"
    unit = " characters" if kind is str else ""
    if meta.min_length == 1:
        text += ", not empty"
    elif meta.min_length is not None:
        text += f", {meta.min_length}{unit} at least"
    if meta.max_length is not None:
        text += f", {meta.max_length}{unit} at most"
    return text


def _number(bound: float) -> str:
    return f"{bound:.10g}"


def help_of(kind: Any) -> str:
    """Return the help of a setting: the descriptions in its annotation, outermost first."""
    return "; ".join(meta.description for meta in reversed(_taken_apart(kind)[1]) if meta.description)


def extra_of(kind: Any) -> dict[str, Any]:
    """Return what the annotation of a setting says beyond bounds and help: the `extra` of its Metas."""
    return {key: value for meta in _taken_apart(kind)[1] for key, value in (meta.extra or {}).items()}
