"""Profiles: one TOML file says what runs. Read once, into frozen Structs, with every mistake reported at once."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING, Any

import msgspec

from lfr_kernel.decoding import Problem, decode, join_path, shown, suggest
from lfr_kernel.outgoing import bare_pictures
from lfr_kernel.placeholders import fill_in
from lfr_kernel.plugins import PluginError
from lfr_kernel.redaction import Redactor
from lfr_kernel.runtime import PermanentError
from lfr_kernel.sections import (
    AnchorSection,
    BasisSection,
    CameraSection,
    EmbedderSection,
    GovernanceSection,
    Profile,
    RuntimeSection,
    SinkSection,
    StageSection,
    WatchlistSection,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lfr_kernel.plugins import Registry

__all__ = [
    "AnchorSection",
    "BasisSection",
    "CameraSection",
    "EmbedderSection",
    "GovernanceSection",
    "Profile",
    "ProfileError",
    "RuntimeSection",
    "SinkSection",
    "StageSection",
    "WatchlistSection",
    "decode_profile",
    "load_profile",
    "parse_profile",
    "read_profile",
]


class ProfileError(PermanentError, ValueError):
    """A profile cannot be used; the text lists every mistake with file and key path."""

    problems: tuple[str, ...]
    """Each mistake: key path, what was expected, what came. Secrets are masked."""

    def __init__(self, source: str, problems: list[str]) -> None:
        self.problems = tuple(problems)
        count = f"{len(problems)} mistakes" if len(problems) > 1 else "1 mistake"
        super().__init__(f"{source}: {count}\n" + "\n".join(f"  {source}: {problem}" for problem in problems))


DEFAULT_PLUGINS = {
    "detector": "onnx",
    "tracker": "passage",
    "embedder": "onnx",
    "index": "usearch",
    "retention": "durations",
}
NEEDED_LIST = {
    "images": "a folder or a list of folders",
    "file": "the sealed list that `lfr-kernel watchlist build` made",
}
DEFAULT_CAMERA = "av"
DEFAULT_READER = "images"


def load_profile(path: Path, registry: Registry) -> tuple[Profile, Redactor]:
    """Read a profile, fill in `${env:NAME}` and `${here}`, and check all of it.

    Returns:
        The profile, whose `options` are decoded config Structs, and a redactor that knows its secrets.

    Raises:
        ProfileError: with every mistake.
    """
    try:
        return parse_profile(read_profile(path), registry, source=str(path), here=path.resolve().parent)
    except RecursionError:
        raise ProfileError(str(path), ["expected TOML, got tables or lists nested too deeply"]) from None


def read_profile(path: Path) -> dict[str, Any]:
    """Return what the TOML parser makes of a profile, for `parse_profile`. Raises ProfileError if it is no TOML."""
    try:
        return decode_profile(path.read_bytes(), str(path))
    except FileNotFoundError:
        reason = "expected a TOML file, found none there; check the path"
    except OSError as error:
        is_folder = os.path.isdir(path)  # noqa: PTH112  (Path.is_dir raises for some of the same reasons)
        reason = "expected a TOML file, got a folder" if is_folder else f"cannot be read: {error.strerror or error}"
    raise ProfileError(str(path), [reason])


def decode_profile(content: bytes, source: str) -> dict[str, Any]:
    """Return what the TOML parser makes of the bytes of a profile. Raises ProfileError if they are no TOML."""
    try:
        # Some editors put a byte order mark before the text.
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        reason = f"expected UTF-8 text, got something else from byte {error.start}; is it TOML?"
    except ValueError as error:
        reason = f"expected TOML, got a syntax error: {error}"
    raise ProfileError(source, [reason])


def parse_profile(data: dict[str, Any], registry: Registry, *, source: str, here: Path) -> tuple[Profile, Redactor]:
    """Check what a TOML parser returned; see `load_profile`."""
    secrets: list[str] = []
    unfilled: list[Problem] = []
    problems: list[Problem] = []
    data = fill_in(data, here=here, environment=os.environ, secrets=secrets, note=unfilled.append)
    profile: Profile | None = decode(Profile, data, "", problems.append)
    # What follows judges the raw data: it can be judged where the rest is wrong, so that all mistakes come at once.
    options = dict(_decode_options(data, registry, problems.append))
    problems += verify_reader(data, registry)
    problems += verify_names(data)
    problems += verify_basis(data)
    problems += verify_governance(data)
    problems += verify_sinks(data, registry, options)
    # A text that could not be filled in is one mistake, not two.
    known = {problem.path for problem in unfilled}
    problems = unfilled + [problem for problem in problems if problem.path not in known]
    problems.sort(key=lambda problem: _place(problem.path, list(data)))
    redactor = Redactor(secrets)
    if problems or profile is None:
        raise ProfileError(source, [redactor(str(problem)) for problem in problems])
    return _with_options(profile, options), redactor


def _place(path: str, keys: list[str]) -> tuple[int, int]:
    """Return where a key path belongs in the file: the place of its table, and of its entry in a list of tables."""
    root, _, rest = path.partition(".")[0].partition("[")
    number = rest.rstrip("]")
    return (keys.index(root) if root in keys else -1, int(number) if number.isdigit() else -1)


def _tables(data: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
    """Return (key path, table) of each entry of a list of tables, as far as it is one."""
    found = data.get(key)
    entries = found if isinstance(found, list) else []
    return [(f"{key}[{number}]", table) for number, table in enumerate(entries) if isinstance(table, dict)]


def _sections(data: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """Yield (stage, key path, table, plugin if the table names none) for each section that has a plugin."""
    for path, table in _tables(data, "cameras"):
        yield "camera", path, table, DEFAULT_CAMERA
    for stage in ("sink", "anchor"):
        for path, table in _tables(data, f"{stage}s"):
            yield stage, path, table, ""
    for stage, default in DEFAULT_PLUGINS.items():
        table = data.get(stage, {})
        if isinstance(table, dict):
            yield stage, stage, table, default


def _decode_options(
    data: dict[str, Any], registry: Registry, note: Callable[[Problem], None]
) -> Iterator[tuple[str, tuple[str, Any]]]:
    for stage, path, table, default in _sections(data):
        name = table.get("plugin") or default
        if not isinstance(name, str) or not name:
            continue
        if name not in registry.names(stage):
            note(_unknown_plugin(f"{path}.plugin", stage, name, registry))
            continue
        found = registry.origin(stage, name)

        def note_plugin(problem: Problem, origin: str = f"{stage} plugin {name!r} of {found.origin}") -> None:
            note(Problem(problem.path, f"{problem.text} ({origin})"))

        options = table.get("options", {})
        yield path, (str(name), decode(found.plugin.config, options, f"{path}.options", note_plugin))


def _unknown_plugin(path: str, stage: str, name: str, registry: Registry) -> Problem:
    names = registry.names(stage)
    there = f"one of: {', '.join(names)}" if names else "one, but none is installed"
    return Problem(path, f"expected an installed {stage} plugin, {there}; got {shown(name)}{suggest(name, names)}")


def _with_options(profile: Profile, options: dict[str, tuple[str, Any]]) -> Profile:
    def filled(section: Any, path: str) -> Any:
        name, config = options[path]
        return msgspec.structs.replace(section, plugin=name, options=config)

    parts: dict[str, Any] = {stage: filled(getattr(profile, stage), stage) for stage in DEFAULT_PLUGINS}
    for key in ("cameras", "sinks", "anchors"):
        parts[key] = tuple(filled(section, f"{key}[{number}]") for number, section in enumerate(getattr(profile, key)))
    return msgspec.structs.replace(profile, **parts)


def verify_reader(data: dict[str, Any], registry: Registry) -> list[Problem]:
    """The watchlist's reader is an installed camera plugin that can be made with nothing but a `path`."""
    section = data.get("watchlist")
    name = (section.get("reader") or DEFAULT_READER) if isinstance(section, dict) else DEFAULT_READER
    path = "watchlist.reader"
    if not isinstance(name, str):
        return []
    if name not in registry.names("camera"):
        return [_unknown_plugin(path, "camera", name, registry)]
    problems: list[Problem] = []
    found = registry.origin("camera", name)
    decode(found.plugin.config, {"path": "photograph.jpg"}, "options", problems.append)
    return [
        Problem(
            path, f"expected a camera plugin that reads photographs by their `path`, got {name!r} of {found.origin}"
        )
    ] * bool(problems)


def verify_names(data: dict[str, Any]) -> list[Problem]:
    """Each camera has a name of its own, and so has each sink of alerts or anchors."""
    problems = []
    for key, first_choice in (("cameras", ""), ("sinks", "plugin"), ("anchors", "plugin")):
        owners: dict[str, str] = {}
        for path, table in _tables(data, key):
            name = table.get("name") or table.get(first_choice)
            if not isinstance(name, str):
                continue
            owner = owners.setdefault(name, path)
            if owner != path:
                where = join_path(path, "name")
                problems.append(Problem(where, f"expected a name that {owner} does not have, got {shown(name)}"))
    return problems


def verify_basis(data: dict[str, Any]) -> list[Problem]:
    """A report is cited by its file and its digest, or not at all."""
    section = data.get("basis")
    given = section if isinstance(section, dict) else {}
    if ("report" in given) == ("digest" in given):
        return []
    if "digest" in given:
        return [Problem("basis.report", "missing, expected the path of the report.json that has this digest")]
    return [
        Problem("basis.digest", "missing, expected the SHA-256 of the report, as `sha256sum` prints it, to go with it")
    ]


def verify_governance(data: dict[str, Any]) -> list[Problem]:
    """A run under an authority has a vault and a sealed list; any other has neither, and a folder of photographs."""
    is_governed = data.get("permit") == "authority"
    listed = data.get("watchlist")
    given = listed if isinstance(listed, dict) else None
    problems = []
    if is_governed and "governance" not in data:
        problems.append(Problem("governance", 'missing, expected a table: permit = "authority" needs vault and pack'))
    if is_governed and not data.get("anchors"):
        problems.append(
            Problem(
                "anchors",
                "missing, expected an [[anchors]] table: what the audit is proved by has to leave this machine, to a "
                "file on another medium or onto paper",
            )
        )
    if not is_governed and "governance" in data:
        problems.append(Problem("governance", 'expected nothing here without permit = "authority"'))
    if given is not None:
        needed, other = ("file", "images") if is_governed else ("images", "file")
        if needed not in given:
            problems.append(Problem(f"watchlist.{needed}", f"missing, expected {NEEDED_LIST[needed]}"))
        if other in given:
            why = "an authority takes a sealed list only" if is_governed else 'a sealed list needs permit = "authority"'
            problems.append(Problem(f"watchlist.{other}", f"expected nothing here: {why}"))
    return problems


def verify_sinks(data: dict[str, Any], registry: Registry, options: dict[str, tuple[str, Any]]) -> list[Problem]:
    """Pictures leave with details only and, under an authority, only where something protects them on their way."""
    problems = []
    for path, table in _tables(data, "sinks"):
        if table.get("evidence") is not True:
            continue
        where = f"{path}.evidence"
        if table.get("details", False) is False:
            problems.append(
                Problem(where, "expected details = true with it: whoever sees both faces is told who it may be, too")
            )
        name, config = options.get(path, ("", None))
        if data.get("permit") == "authority" and config is not None:
            try:
                why = bare_pictures(registry, name, config)
            except PluginError as error:
                why = str(error)
            problems += [Problem(where, why)] if why else []
    return problems
