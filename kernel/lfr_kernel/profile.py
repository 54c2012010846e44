"""Profiles: one TOML file says what runs. Read once, into frozen Structs, with every mistake reported at once."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from lfr_kernel.decoding import Problem, decode, join_path, shown, suggest
from lfr_kernel.placeholders import fill_in
from lfr_kernel.redaction import Redactor
from lfr_kernel.runtime import PermanentError
from lfr_kernel.stages.quality import EnrolmentGates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lfr_kernel.plugins import Registry

__all__ = [
    "AnchorSection",
    "BasisSection",
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
    "read_profile",
]

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}\Z", title="1 to 32 lower-case letters, digits, - and _")]
Text = Annotated[str, Meta(min_length=1)]
Options = Annotated[Any, Meta(title="a table", description="the plugin's own settings: see `lfr-kernel plugins`")]


class ProfileError(PermanentError, ValueError):
    """A profile cannot be used; the text lists every mistake with file and key path."""

    problems: tuple[str, ...]
    """Each mistake: key path, what was expected, what came. Secrets are masked."""

    def __init__(self, source: str, problems: list[str]) -> None:
        self.problems = tuple(problems)
        count = f"{len(problems)} mistakes" if len(problems) > 1 else "1 mistake"
        super().__init__(f"{source}: {count}\n" + "\n".join(f"  {source}: {problem}" for problem in problems))


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all parts of a profile. Prints numbers and switches only: any text of it may hold a secret."""

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({fields})"

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:  # type: ignore[override]
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, tuple):
                yield name, len(value)
            else:
                yield name, value if isinstance(value, int | float | Section) else "…"


class CameraSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[cameras]]`: one source of pictures."""

    name: Annotated[Name, Meta(description="how alerts and screens call it")]
    plugin: Annotated[Text, Meta(description="camera plugin")] = "av"
    options: Options = field(default_factory=dict)


class StageSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[detector]`, `[tracker]`, `[index]`, `[retention]`: which plugin, and its settings."""

    plugin: Annotated[str, Meta(description="plugin of this stage; the built-in one if not given")] = ""
    options: Options = field(default_factory=dict)


class EmbedderSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[embedder]`: which plugin, and how it is used."""

    plugin: Annotated[str, Meta(description="embedder plugin; the built-in one if not given")] = ""
    mirror_live: Annotated[
        bool,
        Meta(
            description="average each passing face with its mirror image: two calls of the embedder for each of the "
            "few faces of a passage that are embedded, and fewer people missed who show their face only once"
        ),
    ] = True
    options: Options = field(default_factory=dict)


class WatchlistSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[watchlist]`: who is looked for."""

    images: Annotated[
        Text | Annotated[tuple[Text, ...], Meta(min_length=1)],
        Meta(
            title="a folder or a list of folders",
            description="photographs of those who are looked for; one person a file, or a sub-folder with several",
        ),
    ]
    threshold: Annotated[
        float,
        Meta(
            ge=0.2,
            le=1.0,
            description="pooled cosine similarity from which a passage alerts. For the bundled models, up to 444 "
            "listed people and one face a passage 0.61 keeps falsely alerted people under 0.5 %: docs/recognition.md",
        ),
    ] = 0.62
    early_margin: Annotated[
        float,
        Meta(
            ge=0.0,
            le=0.5,
            description="while a passage lasts, with k faces pooled, it alerts from threshold + early_margin / k; once "
            "it is over, from the threshold itself. An early alert is one of many looks: without a margin false alerts "
            "are some 1.5 to 2 times as many",
        ),
    ] = 0.06
    reader: Annotated[Text, Meta(description="camera plugin that reads photographs; it takes `path`")] = "images"
    gates: EnrolmentGates = field(default_factory=EnrolmentGates)


class BasisSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[basis]`: the evaluation report that the threshold rests on, and what the next one is made with."""

    report: Annotated[
        Text | None, Meta(description="the report.json of the evaluation that the threshold was chosen by")
    ] = None
    digest: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{64}\Z", title="64 hexadecimal digits")] | None,
        Meta(
            description="SHA-256 of that file, required with it: a report that was changed since, or another one, "
            "stops the start"
        ),
    ] = None
    protocol: Annotated[
        Text | None, Meta(description="the CSV of people and pictures that `lfr-kernel evaluate --for` tests with")
    ] = None
    target_fpir: Annotated[
        float,
        Meta(
            ge=1e-6,
            le=0.5,
            description="share of passages of people not listed that may raise an alert: what the threshold is chosen "
            "for, and a report must have been",
        ),
    ] = 0.005


class AnchorSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[anchors]]`: where anchors of the audit go, off this machine or onto paper."""

    plugin: Annotated[Text, Meta(description="plugin that takes them")]
    name: Annotated[Name, Meta(description="to tell two of a kind apart; the plugin's name if not given")] = ""
    options: Options = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What it is called."""
        return self.name or self.plugin


class SinkSection(AnchorSection, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[sinks]]`: where alerts go."""

    evidence: Annotated[bool, Meta(description="whether this sink may see probe and listed photograph")] = False


class RuntimeSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[runtime]`: how the machine is used."""

    compute_threads: Annotated[int, Meta(ge=0, le=64, description="threads for inference; 0: one a core")] = 0
    call_deadline_s: Annotated[
        float, Meta(ge=0.1, le=600, description="seconds after which a plugin's call is abandoned")
    ] = 10.0
    drain_s: Annotated[
        float,
        Meta(
            ge=0.1,
            le=60,
            description="seconds that a stop waits for what is under way; cutting the rest short takes up to 3 more",
        ),
    ] = 5.0
    max_restarts: Annotated[
        int, Meta(ge=0, le=100, description="restarts of one stage within a minute before the run fails")
    ] = 5
    retention_period_s: Annotated[
        float, Meta(ge=1, le=3600, description="seconds between looks for records that have expired")
    ] = 60.0


class Profile(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole profile."""

    name: Annotated[Name, Meta(description="of the profile, in every output")]
    permit: Annotated[
        Literal["demo", "development"],
        Meta(description="`demo` plays files only; `development` opens cameras too, and is not for use on the public"),
    ]
    cameras: Annotated[tuple[CameraSection, ...], Meta(min_length=1, title="one [[cameras]] table or more")]
    watchlist: WatchlistSection
    detector: StageSection = field(default_factory=StageSection)
    tracker: StageSection = field(default_factory=StageSection)
    embedder: EmbedderSection = field(default_factory=EmbedderSection)
    index: StageSection = field(default_factory=StageSection)
    basis: BasisSection = field(default_factory=BasisSection)
    sinks: tuple[SinkSection, ...] = ()
    anchors: tuple[AnchorSection, ...] = ()
    retention: StageSection = field(default_factory=StageSection)
    runtime: RuntimeSection = field(default_factory=RuntimeSection)


DEFAULT_PLUGINS = {
    "detector": "onnx",
    "tracker": "passage",
    "embedder": "onnx",
    "index": "usearch",
    "retention": "durations",
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
        # Some editors put a byte order mark before the text.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        reason = f"expected UTF-8 text, got something else from byte {error.start}; is it TOML?"
    except ValueError as error:
        reason = f"expected TOML, got a syntax error: {error}"
    except FileNotFoundError:
        reason = "expected a TOML file, found none there; check the path"
    except OSError as error:
        is_folder = os.path.isdir(path)  # noqa: PTH112  (Path.is_dir raises for some of the same reasons)
        reason = "expected a TOML file, got a folder" if is_folder else f"cannot be read: {error.strerror or error}"
    raise ProfileError(str(path), [reason])


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
