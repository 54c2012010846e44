"""Rule packs: what an organisation's rules say, as data, each rule with the document that it comes from.

A pack is one TOML file, known by the SHA-256 of its bytes. A profile names a pack and may be stricter than it, never
less strict. Nothing here claims that a pack is the law: built-in ones are working readings, and say so.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003  (msgspec resolves the annotations when it decodes)
from collections.abc import Mapping  # noqa: TC003  (likewise)
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from lfr_kernel.decoding import Problem, decode, join_path, shown, suggest
from lfr_kernel.governance.document import DocumentError, Text, read_document
from lfr_kernel.governance.ruleset import Rules, meaning_of, rule_types, stricter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.resources.abc import Traversable

__all__ = [
    "TO_BE_COMPLETED",
    "Clause",
    "Completion",
    "LoadedPack",
    "Pack",
    "PackError",
    "built_in_packs",
    "load_pack",
    "tightened",
    "verify_runnable",
]

TO_BE_COMPLETED = "TO BE COMPLETED"
"""The value of a rule that a template leaves to an organisation's own body."""

_Name = Annotated[
    str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}\Z", title="1 to 32 lower-case letters, digits, - and _")
]


class PackError(DocumentError):
    """A rule pack cannot be used, or an override is less strict than it; the text lists every reason."""


class Completion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[completed]`: which body decided what a template leaves open, and where that can be read."""

    by: Text
    on: dt.date
    reference: Text


class Clause(Struct, frozen=True, kw_only=True):
    """One rule of a pack."""

    value: Any
    """Of the rule's type in `Rules`; None if it is to be completed."""
    source: str
    """The document that it comes from."""
    note: str = ""


class Pack(Struct, frozen=True, kw_only=True):
    """A rule pack."""

    name: str
    title: str
    status: str
    """What its wording is worth."""
    clauses: Mapping[str, Clause]
    """Every rule, by name."""
    is_template: bool = False
    """Whether a body must complete it, and say so under `[completed]`, before it runs."""
    completed: Completion | None = None

    @property
    def open_rules(self) -> tuple[str, ...]:
        """Names of the rules that are to be completed."""
        return tuple(name for name, clause in self.clauses.items() if clause.value is None)

    @property
    def rules(self) -> Rules:
        """The values of every rule.

        Raises:
            PackError: some are to be completed.
        """
        if self.open_rules:
            raise _incomplete(self, f"rule pack {self.name}")
        return Rules(**{name: clause.value for name, clause in self.clauses.items()})


class LoadedPack(Struct, frozen=True, kw_only=True):
    """A pack and the file that it was read from."""

    pack: Pack
    digest: str
    """SHA-256 of the file's bytes, hexadecimal: what an organisation signs and an authority cites."""
    origin: str
    """`built-in NAME`, or the path of the file."""


class _Frame(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pack's file without its rules, each of which is decoded by itself."""

    name: _Name
    title: Text
    status: Text
    rules: Annotated[dict[str, Any], Meta(title="a [rules.NAME] table for each rule")]
    template: bool = False
    completed: Completion | None = None


def built_in_packs() -> dict[str, Traversable]:
    """Return the file of each built-in pack, by name."""
    folder = files("lfr_kernel.governance") / "packs"
    found = {file.name.removesuffix(".toml"): file for file in folder.iterdir() if file.name.endswith(".toml")}
    return dict(sorted(found.items()))


def load_pack(reference: str, *, here: Path | None = None) -> LoadedPack:
    """Read a rule pack and check all of it. Blocks on the file.

    A template loads, for people to read; see `verify_runnable`.

    Args:
        reference: name of a built-in pack, or the path of a TOML file: it has a / or ends in .toml.
        here: the folder that a relative path starts from; the current one if not given.

    Raises:
        PackError: there is no such pack, or it has mistakes: all of them, with file and key path.
    """
    built_in = built_in_packs()
    if reference in built_in:
        file, origin = built_in[reference], f"built-in {reference}"
    elif reference.endswith(".toml") or "/" in reference or "\\" in reference:
        path = (here or Path()) / Path(reference).expanduser()
        file, origin = path, str(path)
    else:
        there = f"one of: {', '.join(built_in)}; or the path of a TOML file, as ./mine.toml"
        problem = f"expected a built-in pack, {there}{suggest(reference, built_in)}"
        raise PackError(f"rule pack {shown(reference)}", [problem])
    document = read_document(file, origin, PackError)
    problems: list[Problem] = []
    pack = _decoded(document.data, problems.append)
    problems += verify_name(document.data, document.digest, built_in)
    problems += verify_lists(document.data)
    if problems or pack is None:
        raise PackError(origin, [str(problem) for problem in problems])
    return LoadedPack(pack=pack, digest=document.digest, origin=origin)


def verify_runnable(loaded: LoadedPack) -> None:
    """Refuse a template that its organisation has not completed.

    Raises:
        PackError: with every rule that is to be completed, and by whom.
    """
    pack, source = loaded.pack, f"rule pack {loaded.pack.name} ({loaded.origin})"
    if pack.open_rules:
        raise _incomplete(pack, source)
    if pack.is_template and pack.completed is None:
        problem = (
            "every rule has a value, but nobody answers for them: expected a table [completed] with `by` (the body "
            "that decided), `on` (a date) and `reference` (where the decision can be read); then have your "
            "organisation sign the digest of the file"
        )
        raise PackError(source, [problem])


def _incomplete(pack: Pack, source: str) -> PackError:
    return PackError(
        source,
        [f"{join_path('rules', name)}.value: {meaning_of(name)}" for name in pack.open_rules],
        heading=f"a template, {len(pack.open_rules)} of its rules are to be completed, and nothing runs under it until "
        "your organisation's own body has decided them. Copy the file, give it a name of its own, put a value and its "
        "source for each rule below, say under [completed] `by` whom, `on` which date and under which `reference`, and "
        "have your organisation sign the digest of the copy.",
    )


def tightened(pack: Pack, overrides: Mapping[str, object]) -> Pack:
    """Return `pack` with the overrides of a profile in place of its own values. Being equally strict is allowed.

    Args:
        pack: complete, so that there is something to be stricter than.
        overrides: values by name of rule, as the TOML parser gave them; for closed lists the codes that remain.

    Raises:
        PackError: some override is not stricter, or names no rule: all of them, with what the pack says, what came
            and what stricter means there; or the pack is to be completed.
    """
    rules, known = pack.rules, rule_types()
    problems: list[Problem] = []
    clauses = dict(pack.clauses)
    for name, wanted in overrides.items():
        if name not in known:
            problems.append(Problem(join_path("", name), f"expected the name of a rule{suggest(name, known)}"))
            continue
        value = stricter(name, pack.name, getattr(rules, name), wanted, problems.append)
        if value is not None:
            clauses[name] = msgspec.structs.replace(clauses[name], value=value)
    if problems:
        raise PackError(f"overrides of rule pack {pack.name}", [str(problem) for problem in problems])
    return msgspec.structs.replace(pack, clauses=clauses)


def _decoded(data: dict[str, Any], note: Callable[[Problem], None]) -> Pack | None:
    frame: _Frame | None = decode(_Frame, data, "", note)
    rules = data.get("rules")
    if not isinstance(rules, dict):
        return None
    kinds = {name: _clause_type(kind, rules.get(name), data) for name, kind in rule_types().items()}
    file_type = msgspec.defstruct("_RulesFile", list(kinds.items()), frozen=True, kw_only=True, module=__name__)
    decoded = decode(file_type, rules, "rules", note)
    if frame is None or decoded is None:
        return None
    clauses = {}
    for name in kinds:
        rule = getattr(decoded, name)
        is_open = rules[name]["value"] == TO_BE_COMPLETED and frame.template
        clauses[name] = Clause(value=None if is_open else rule.value, source=rule.source, note=rule.note)
    return Pack(
        name=frame.name,
        title=frame.title,
        status=frame.status,
        clauses=clauses,
        is_template=frame.template,
        completed=frame.completed,
    )


def _clause_type(kind: Any, given: object, data: dict[str, Any]) -> type[Struct]:
    """Return the Struct that a `[rules.X]` table is decoded into: in a template, its value may be left open."""
    is_open = isinstance(given, dict) and given.get("value") == TO_BE_COMPLETED and data.get("template") is True
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = [
        ("value", Literal["TO BE COMPLETED"] if is_open else kind),
        ("source", Text),
        ("note", str, ""),
    ]
    return msgspec.defstruct("_Clause", fields, frozen=True, kw_only=True, module=__name__)


def verify_name(data: dict[str, Any], digest: str, built_in: Mapping[str, Traversable]) -> list[Problem]:
    """A pack that is not built in does not go by the name of one that is."""
    name = data.get("name")
    if not isinstance(name, str) or name not in built_in:
        return []
    if read_document(built_in[name], f"built-in {name}", PackError).digest == digest:
        return []
    return [
        Problem(
            "name",
            f"expected a name of its own, got {shown(name)}, which is a built-in pack with another text: whoever reads "
            "the name must know whose rules they are",
        )
    ]


def verify_lists(data: dict[str, Any]) -> list[Problem]:
    """No code stands twice in a closed list, and a pair of separate roles names two."""
    problems = []
    for rule in ("categories", "sources", "legal_bases"):
        owners: dict[str, str] = {}
        for path, one in _values(data, rule):
            code = one.get("code") if isinstance(one, dict) else None
            if isinstance(code, str) and (owner := owners.setdefault(code, path)) != path:
                problems.append(
                    Problem(f"{path}.code", f"expected a code that {owner} does not have, got {shown(code)}")
                )
    for path, pair in _values(data, "separate_roles"):
        if isinstance(pair, list) and len(pair) == 2 and pair[0] == pair[1]:  # noqa: PLR2004  (a pair)
            problems.append(Problem(path, f"expected two different roles, got {shown(pair)}"))
    return problems


def _values(data: dict[str, Any], rule: str) -> Iterator[tuple[str, object]]:
    table = data["rules"].get(rule) if isinstance(data.get("rules"), dict) else None
    value = table.get("value") if isinstance(table, dict) else None
    for number, one in enumerate(value if isinstance(value, list) else []):
        yield f"rules.{rule}.value[{number}]", one
