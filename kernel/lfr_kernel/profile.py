"""Profiles: one TOML file says what runs. Read once, into frozen Structs, with every mistake reported at once."""

from __future__ import annotations

import os
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, Struct, field

from lfr_kernel.decoding import Problem, decode
from lfr_kernel.redaction import Redactor
from lfr_kernel.runtime import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lfr_kernel.plugins import Registry

__all__ = [
    "CameraSection",
    "EmbedderSection",
    "Profile",
    "ProfileError",
    "RuntimeSection",
    "SinkSection",
    "StageSection",
    "WatchlistSection",
    "load_profile",
    "parse_profile",
]

Name = Annotated[
    str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="lower-case letters, digits, - and _; 32 at most")
]


class ProfileError(PermanentError, ValueError):
    """A profile cannot be used; the text lists every mistake with file and key path."""

    def __init__(self, source: str, problems: list[str]) -> None:
        self.problems = tuple(problems)
        count = f"{len(problems)} mistakes" if len(problems) > 1 else "1 mistake"
        super().__init__(f"{source}: {count}\n" + "\n".join(f"  {source}: {problem}" for problem in problems))


class CameraSection(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[cameras]]`: one source of pictures."""

    name: Annotated[Name, Meta(description="how alerts and screens call it")]
    plugin: Annotated[str, Meta(description="camera plugin")] = "av"
    options: Annotated[Any, Meta(description="the plugin's own settings: see `lfr-kernel plugins`")] = field(
        default_factory=dict
    )


class StageSection(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[detector]`, `[tracker]`, `[index]`, `[retention]`: which plugin, and its settings."""

    plugin: Annotated[str, Meta(description="plugin of this stage; empty: the built-in one")] = ""
    options: Annotated[Any, Meta(description="the plugin's own settings: see `lfr-kernel plugins`")] = field(
        default_factory=dict
    )


class EmbedderSection(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[embedder]`: which plugin, and how it is used."""

    plugin: Annotated[str, Meta(description="embedder plugin; empty: the built-in one")] = ""
    mirror_live: Annotated[
        bool, Meta(description="average each live face with its mirror image: twice the work, little gain when pooled")
    ] = False
    options: Annotated[Any, Meta(description="the plugin's own settings: see `lfr-kernel plugins`")] = field(
        default_factory=dict
    )


class WatchlistSection(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[watchlist]`: who is looked for."""

    images: Annotated[
        str | tuple[str, ...],
        Meta(description="folder (or folders) of photographs; one person a file, or a sub-folder with several"),
    ]
    threshold: Annotated[
        float, Meta(ge=0.2, le=1.0, description="pooled cosine similarity from which a passage alerts")
    ] = 0.6
    reader: Annotated[str, Meta(description="camera plugin that reads photographs; it takes `path`")] = "images"


class SinkSection(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[sinks]]`: where alerts go."""

    plugin: Annotated[str, Meta(description="sink plugin")]
    name: Annotated[str, Meta(description="to tell two of a kind apart; the plugin's name if empty")] = ""
    evidence: Annotated[bool, Meta(description="whether this sink may see probe and listed photograph")] = False
    options: Annotated[Any, Meta(description="the plugin's own settings: see `lfr-kernel plugins`")] = field(
        default_factory=dict
    )

    @property
    def title(self) -> str:
        """What it is called."""
        return self.name or self.plugin


class RuntimeSection(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[runtime]`: how the machine is used."""

    compute_threads: Annotated[int, Meta(ge=0, le=64, description="threads for inference; 0: one a core")] = 0
    call_deadline_s: Annotated[
        float, Meta(ge=0.1, le=600, description="seconds after which a plugin's call is abandoned")
    ] = 10.0
    drain_s: Annotated[float, Meta(ge=0.1, le=60, description="seconds that a stop may take")] = 5.0
    max_restarts: Annotated[
        int, Meta(ge=0, le=100, description="restarts of one stage within a minute before the run fails")
    ] = 5
    retention_period_s: Annotated[
        float, Meta(ge=1, le=3600, description="seconds between looks for records that have expired")
    ] = 60.0


class Profile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole profile."""

    name: Annotated[Name, Meta(description="of the profile, in every output")]
    permit: Annotated[
        Literal["demo", "development"],
        Meta(description="`demo` plays files only; `development` opens cameras too, and is not for use on the public"),
    ]
    cameras: Annotated[tuple[CameraSection, ...], Meta(min_length=1)]
    watchlist: WatchlistSection
    detector: StageSection = field(default_factory=StageSection)
    tracker: StageSection = field(default_factory=StageSection)
    embedder: EmbedderSection = field(default_factory=EmbedderSection)
    index: StageSection = field(default_factory=StageSection)
    sinks: tuple[SinkSection, ...] = ()
    retention: StageSection = field(default_factory=StageSection)
    runtime: RuntimeSection = field(default_factory=RuntimeSection)


DEFAULT_PLUGINS = {
    "detector": "retinaface",
    "tracker": "passage",
    "embedder": "mobilefacenet",
    "index": "usearch",
    "retention": "durations",
}


def load_profile(path: Path, registry: Registry) -> tuple[Profile, Redactor]:
    """Read a profile, fill in `${env:NAME}` and `${here}`, and check all of it.

    Returns:
        The profile, whose `options` are decoded config Structs, and a redactor that knows its secrets.

    Raises:
        ProfileError: with every mistake.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ProfileError(str(path), ["expected a TOML file, found none there; check the path"]) from None
    except IsADirectoryError:
        raise ProfileError(str(path), ["expected a TOML file, got a folder"]) from None
    except UnicodeDecodeError as error:
        raise ProfileError(
            str(path), [f"expected UTF-8 text, got byte {error.start} that is not; is it TOML?"]
        ) from None
    except OSError as error:
        raise ProfileError(str(path), [f"cannot be read: {error.strerror}"]) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(str(path), [f"expected TOML, got a syntax error: {error}"]) from None
    return parse_profile(data, registry, source=str(path), here=path.resolve().parent)


def parse_profile(data: dict[str, Any], registry: Registry, *, source: str, here: Path) -> tuple[Profile, Redactor]:
    """Check what a TOML parser returned; see `load_profile`."""
    problems: list[Problem] = []
    secrets: list[str] = []
    data = _fill_in(data, "", here, secrets, problems.append)
    redactor = Redactor(secrets)
    profile: Profile | None = decode(Profile, data, "", problems.append)
    # Options are judged even where the rest is wrong, so that all mistakes come at once.
    options = dict(_decode_options(data, registry, problems.append))
    if profile is not None:
        for rule in (verify_camera_names, verify_sink_names):
            problems += rule(profile)
    if problems or profile is None:
        raise ProfileError(source, [redactor(str(problem)) for problem in problems])
    return _with_options(profile, options), redactor


def _fill_in(data: Any, path: str, here: Path, secrets: list[str], note: Callable[[Problem], None]) -> Any:
    if isinstance(data, dict):
        return {
            key: _fill_in(value, f"{path}.{key}" if path else key, here, secrets, note) for key, value in data.items()
        }
    if isinstance(data, list):
        return [_fill_in(item, f"{path}[{number}]", here, secrets, note) for number, item in enumerate(data)]
    if not isinstance(data, str):
        return data

    def value(found: re.Match[str]) -> str:
        kind, _, name = found[1].partition(":")
        if found[1] == "here":
            return str(here)
        if kind == "env" and name in os.environ:
            secrets.append(os.environ[name])
            return os.environ[name]
        expected = (
            f"expected environment variable {name} to be set" if kind == "env" else "expected ${env:NAME} or ${here}"
        )
        note(Problem(path, f"{expected}, got {found[0]}"))
        return found[0]

    return re.sub(r"\$\{([^}]*)\}", value, data)


def _sections(data: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (stage, key path, table) for each section that names a plugin."""
    for stage, key in (("camera", "cameras"), ("sink", "sinks")):
        found = data.get(key)
        for number, table in enumerate(found if isinstance(found, list) else []):
            if isinstance(table, dict):
                yield stage, f"{key}[{number}]", table
    for stage in DEFAULT_PLUGINS:
        table = data.get(stage, {})
        if isinstance(table, dict):
            yield stage, stage, table


def _decode_options(
    data: dict[str, Any], registry: Registry, note: Callable[[Problem], None]
) -> Iterator[tuple[str, tuple[str, Any]]]:
    for stage, path, table in _sections(data):
        name = table.get("plugin") or DEFAULT_PLUGINS.get(stage, "av" if stage == "camera" else "")
        if name not in registry.names(stage):
            if isinstance(name, str) and name:
                there = ", ".join(registry.names(stage))
                note(Problem(f"{path}.plugin", f"expected an installed {stage} plugin ({there}), got {name!r}"))
            continue
        found = registry.origin(stage, name)
        where = f"{path}.options"

        def note_plugin(problem: Problem, origin: str = f"{stage} plugin {name!r} of {found.origin}") -> None:
            note(Problem(problem.path, f"{problem.text} ({origin})"))

        yield path, (name, decode(found.plugin.config, table.get("options", {}), where, note_plugin))


def _with_options(profile: Profile, options: dict[str, tuple[str, Any]]) -> Profile:
    def filled(section: Any, path: str) -> Any:
        name, config = options[path]
        return type(section)(
            **{key: getattr(section, key) for key in section.__struct_fields__} | {"plugin": name, "options": config}
        )

    parts: dict[str, Any] = {key: getattr(profile, key) for key in profile.__struct_fields__}
    parts |= {stage: filled(parts[stage], stage) for stage in DEFAULT_PLUGINS}
    parts |= {
        key: tuple(filled(section, f"{key}[{number}]") for number, section in enumerate(parts[key]))
        for key in ("cameras", "sinks")
    }
    return Profile(**parts)


def verify_camera_names(profile: Profile) -> list[Problem]:
    """Each camera has a name of its own."""
    return _repeated("cameras", [camera.name for camera in profile.cameras])


def verify_sink_names(profile: Profile) -> list[Problem]:
    """Each sink has a name of its own."""
    return _repeated("sinks", [sink.title for sink in profile.sinks])


def _repeated(key: str, names: list[str]) -> list[Problem]:
    return [
        Problem(key, f"expected names that differ, got {name!r} {count} times; set `name`")
        for name, count in Counter(names).items()
        if count > 1
    ]
