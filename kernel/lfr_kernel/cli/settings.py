"""Every setting in one reference, made from the same Structs that check a profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from lfr_kernel.decoding import describe_type, help_of, struct_of
from lfr_kernel.plugins import Registry
from lfr_kernel.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["describe_config", "refresh", "settings_reference", "toml_of", "with_reference"]

BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"
STAGES = ("camera", "detector", "tracker", "embedder", "index", "sink", "anchor", "retention")


def describe_config(config: type[msgspec.Struct]) -> list[dict[str, Any]]:
    """Return name, type, default and help of each setting, from the Struct itself."""
    hints = get_type_hints(config, include_extras=True)
    options = []
    for field in msgspec.structs.fields(config):
        factory = field.default_factory
        default = factory() if factory is not msgspec.NODEFAULT else field.default
        options.append(
            {
                "name": field.encode_name,
                "type": describe_type(hints[field.name]),
                "required": field.required,
                "default": None if field.required else msgspec.to_builtins(default, enc_hook=str),
                "help": help_of(hints[field.name]),
            }
        )
    return options


def toml_of(value: Any) -> str:
    """Return a default as TOML writes it; `-` for None, which TOML cannot say."""
    if value is None:
        return "-"
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {toml_of(one)}" for key, one in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml_of(one) for one in value)}]"
    return msgspec.json.encode(value).decode()


def settings_reference(registry: Registry) -> str:
    """Return every setting of a profile, and of the plugins that come with this distribution, as Markdown."""
    lines: list[str] = []
    for heading, about, config in _tables():
        lines += _section(heading, about, config)
    for stage in STAGES:
        for name in registry.names(stage):
            one = registry.origin(stage, name)
            if one.distribution == "lfr-kernel" and describe_config(one.plugin.config):
                lines += _section(
                    f"`options` of the {stage} plugin `{name}`", f"{one.plugin.summary}.", one.plugin.config
                )
    return "\n".join(lines).strip() + "\n"


def _tables() -> Iterator[tuple[str, str, type[msgspec.Struct]]]:
    """Yield (heading, what it is, Struct) of the top level and of each kind of table in it."""
    yield "Top level", "Before the first table.", Profile
    keys: dict[type[msgspec.Struct], list[str]] = {}
    _note_tables(Profile, "", keys)
    for config, names in keys.items():
        yield ", ".join(names), (config.__doc__ or "").split("\n", maxsplit=1)[0], config


def _note_tables(config: type[msgspec.Struct], path: str, keys: dict[type[msgspec.Struct], list[str]]) -> None:
    """Note which tables a Struct holds, and which those hold, by the Struct that they are decoded into."""
    for key, hint in get_type_hints(config, include_extras=True).items():
        inner = struct_of(hint)
        if inner is not None:
            keys.setdefault(inner, []).append(f"`{path}{key}`")
            _note_tables(inner, f"{path}{key}.", keys)


def _section(heading: str, about: str, config: type[msgspec.Struct]) -> list[str]:
    hints = get_type_hints(config, include_extras=True)
    rows = [
        f"| `{one['name']}` | {_cell(one['type'])} | {'**required**' if one['required'] else _code(one['default'])} "
        f"| {_cell(one['help'])} |"
        for one in describe_config(config)
        if struct_of(hints[one["name"]]) is None
    ]
    return [f"### {heading}", "", about, "", "| key | type | default | what it does |", "|---|---|---|---|", *rows, ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _code(default: Any) -> str:
    return "" if default is None or default == "" else f"`{toml_of(default)}`"


def with_reference(text: str, reference: str) -> str:
    """Return a document with what is between its markers replaced.

    Raises:
        ValueError: it has no markers.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected the lines {BEGIN!r} and {END!r}, found at least one of them missing")
    return f"{before}{begin}\n\n{reference}\n{end}{after}"


def refresh(document: Path) -> None:
    """Put the reference into a Markdown file, between its two markers. Raises ValueError if it has none."""
    text = document.read_text(encoding="utf-8")
    document.write_text(with_reference(text, settings_reference(Registry.discover())), encoding="utf-8")
