"""The authority: the document in which a person says who may be looked for, where, for how long and on what grounds.

This reads it and holds it against a rule pack. Who signed it, and whether its time has come, is judged elsewhere.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from lfr_kernel.decoding import Problem, decode, shown, suggest
from lfr_kernel.governance.document import DocumentError, Text, read_document
from lfr_kernel.governance.instant import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from lfr_kernel.governance.rules import Pack

__all__ = [
    "Authority",
    "AuthorityError",
    "LoadedAuthority",
    "References",
    "load_authority",
    "parse_authority",
    "verify_authority",
    "verify_extension",
    "warnings",
]

HOUR_NS = 3_600 * 10**9
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_AS_WRITTEN = "a date and time with its offset from UTC and no quotes, as 2030-05-04T10:00:00+01:00"

Id = Annotated[
    str,
    Meta(
        pattern=r"^(?=.{3,64}\Z)[A-Za-z0-9]+(?:[/._-][A-Za-z0-9]+)*\Z",
        title="3 to 64 letters and digits, with single / - . _ between them",
    ),
]
Moment = Annotated[dt.datetime, Meta(title=_AS_WRITTEN)]


class AuthorityError(DocumentError):
    """An authority cannot be used, or not for this; the text says why, in words an operator can act on."""


class References(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[references]`: what else was decided and where it can be read. Each one that is missing becomes a warning."""

    impact_assessment: Text | None = None
    equality_assessment: Text | None = None
    community_assessment: Text | None = None
    appropriate_policy: Text | None = None
    necessity_and_proportionality: Text | None = None
    accuracy_evidence: Text | None = None


class Authority(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """authority.toml, decoded."""

    id: Id
    purpose: Text
    legal_basis: Text
    """A code of the pack."""
    place: Text
    place_grounds: Text
    """Why there."""
    starts: Moment
    ends: Moment
    criteria: Text
    """Who may be on the watchlist, in words."""
    categories: Annotated[tuple[Text, ...], Meta(min_length=1)]
    """Codes of the pack."""
    cameras: Annotated[tuple[Text, ...], Meta(min_length=1)]
    """As the profile names them."""
    threshold: Annotated[float, Meta(ge=0.2, le=1)]
    """The lowest that may be used."""
    contact: Text
    """Where the public can ask."""
    is_assembly: bool = field(name="assembly")
    """Whether it is for a public assembly."""
    authorising_officer: Text
    """Name and rank."""
    higher_authority: Text | None = None
    """Who else authorised it: needed for an assembly."""
    references: References = field(default_factory=References)

    @property
    def starts_ns(self) -> int:
        """Nanoseconds since 1970, UTC."""
        return nanoseconds(self.starts)

    @property
    def ends_ns(self) -> int:
        """Nanoseconds since 1970, UTC; at this one it has ended."""
        return nanoseconds(self.ends)


class LoadedAuthority(Struct, frozen=True, kw_only=True):
    """An authority and the text that it was read from."""

    authority: Authority
    digest: str
    """SHA-256 of the file's bytes, hexadecimal: what is signed."""
    text: str


def load_authority(path: Path) -> LoadedAuthority:
    """Read an authority and check all that can be said of it by itself. Blocks on the file.

    Raises:
        AuthorityError: it cannot be read, or has mistakes: all of them, with file and key path.
    """
    document = read_document(path, str(path), AuthorityError)
    problems = verify_moments(document.data)
    # A time without its offset is one mistake, not two.
    known = {problem.path for problem in problems}
    authority: Authority | None = decode(
        Authority, document.data, "", lambda problem: None if problem.path in known else problems.append(problem)
    )
    problems += verify_assembly(document.data)
    if problems or authority is None:
        raise AuthorityError(str(path), [str(problem) for problem in problems])
    return LoadedAuthority(authority=authority, digest=document.digest, text=document.text)


def parse_authority(text: str) -> Authority:
    """Return the authority in a text that was checked before, such as one that was signed."""
    return msgspec.convert(tomllib.loads(text), Authority)


def verify_moments(data: dict[str, Any]) -> list[Problem]:
    """Start and end say their offset from UTC, and the end comes after the start."""
    problems = []
    moments = []
    for key in ("starts", "ends"):
        moment = data.get(key)
        if isinstance(moment, str):
            problems.append(Problem(key, f"expected {_AS_WRITTEN}, got text: {shown(moment)}"))
        elif isinstance(moment, dt.datetime) and moment.tzinfo is None:
            problems.append(
                Problem(
                    key,
                    f"expected {_AS_WRITTEN}, got {shown(moment)}, whose offset is missing: put Z behind it for UTC, "
                    "or the hours and minutes that local time is ahead, as +01:00",
                )
            )
        elif isinstance(moment, dt.datetime):
            moments.append(moment)
    if len(moments) == 2 and moments[1] <= moments[0]:  # noqa: PLR2004  (both)
        problems.append(Problem("ends", f"expected a time after starts, {shown(moments[0])}, got {shown(moments[1])}"))
    return problems


def verify_assembly(data: dict[str, Any]) -> list[Problem]:
    """An authority for a public assembly says whose higher authority it has."""
    if data.get("assembly") is True and "higher_authority" not in data:
        return [
            Problem("higher_authority", "missing, expected who gave the higher authority that a public assembly takes")
        ]
    return []


def warnings(authority: Authority) -> tuple[str, ...]:
    """Return a few words for each reference that an authority does not give. They belong into every report of it."""
    return tuple(
        f"refers to no {name.replace('_', ' ')}"
        for name in References.__struct_fields__
        if getattr(authority.references, name) is None
    )


def verify_authority(
    authority: Authority, pack: Pack, *, threshold: float, cameras: Sequence[str], now_ns: int
) -> list[str]:
    """Return every way in which an authority breaks a rule pack or does not fit the profile; empty if none.

    Args:
        authority: to be judged.
        pack: of the profile, with the profile's overrides.
        threshold: of the profile.
        cameras: names, of the profile.
        now_ns: nanoseconds since 1970, UTC.

    Raises:
        PackError: the pack is a template that is not completed.
    """
    return [
        *_of_time(authority, pack, now_ns),
        *_of_codes(authority, pack),
        *_of_threshold(authority, pack, threshold),
        *_of_cameras(authority, cameras),
        *_of_assembly(authority, pack),
    ]


def verify_extension(authority: Authority, pack: Pack, *, ends_ns: int, until_ns: int) -> list[str]:
    """Return every way in which an extension breaks a rule pack; empty if none. Whether it comes in time is not judged.

    Args:
        authority: that is extended.
        pack: of the profile, with the profile's overrides.
        ends_ns: when it ends now, earlier extensions included; nanoseconds since 1970, UTC.
        until_ns: when it is to end.

    Raises:
        PackError: the pack is a template that is not completed.
    """
    rules, problems = pack.rules, []
    if until_ns <= ends_ns:
        problems.append(f"expected a new end after {_shown_time(ends_ns)}, got {_shown_time(until_ns)}")
    for length_ns, limit_h, rule, what in (
        (until_ns - ends_ns, rules.max_extension_h, "max_extension_h", "an extension"),
        (until_ns - authority.starts_ns, rules.max_total_h, "max_total_h", "an authority with its extensions"),
    ):
        if length_ns > limit_h * HOUR_NS:
            problems.append(
                f"expected {what} of {limit_h:.6g} h at most ({rule} of pack {pack.name}), got "
                f"{length_ns / HOUR_NS:.6g} h until {_shown_time(until_ns)}; choose an earlier end"
            )
    return problems


def _of_time(authority: Authority, pack: Pack, now_ns: int) -> Iterator[str]:
    length_ns = authority.ends_ns - authority.starts_ns
    limits = {"max_authority_h": pack.rules.max_authority_h, "max_total_h": pack.rules.max_total_h}
    rule = min(limits, key=lambda name: limits[name])
    if length_ns > limits[rule] * HOUR_NS:
        yield (
            f"ends: expected {limits[rule]:.6g} h after starts at most ({rule} of pack {pack.name}), "
            f"got {length_ns / HOUR_NS:.6g} h"
        )
    if length_ns <= 0:
        yield f"ends: expected a time after starts, {shown(authority.starts)}, got {shown(authority.ends)}"
    if authority.ends_ns <= now_ns:
        yield f"ends: expected a time to come, got {shown(authority.ends)}; it is {_shown_time(now_ns)}"


def _of_codes(authority: Authority, pack: Pack) -> Iterator[str]:
    rules = pack.rules
    bases = [one.code for one in rules.legal_bases]
    categories = [one.code for one in rules.categories]
    given = [("legal_basis", authority.legal_basis, bases)]
    given += [(f"categories[{number}]", code, categories) for number, code in enumerate(authority.categories)]
    for path, code, known in given:
        if code not in known:
            there = ", ".join(known)
            yield f"{path}: expected one of pack {pack.name}: {there}; got {shown(code)}{suggest(code, known)}"


def _of_threshold(authority: Authority, pack: Pack, threshold: float) -> Iterator[str]:
    floor = pack.rules.min_threshold
    if authority.threshold < floor:
        yield (
            f"threshold: expected {floor:.6g} at least (min_threshold of pack {pack.name}), "
            f"got {authority.threshold:.6g}"
        )
    if threshold < authority.threshold:
        yield (
            f"threshold: authorised from {authority.threshold:.6g}, but the profile would alert from {threshold:.6g}; "
            "raise [watchlist] threshold of the profile, or have another threshold authorised"
        )
    elif threshold < floor:
        yield (
            f"threshold: expected {floor:.6g} at least of the profile too (min_threshold of pack {pack.name}), "
            f"got {threshold:.6g}"
        )


def _of_cameras(authority: Authority, cameras: Sequence[str]) -> Iterator[str]:
    if missing := _without(authority.cameras, cameras):
        yield f"cameras: expected cameras of the profile, {', '.join(cameras)}; got {', '.join(missing)}"
    if unnamed := _without(cameras, authority.cameras):
        yield (
            f"cameras: the profile would open {', '.join(unnamed)}, which the authority does not name; "
            "remove it from the profile, or have it authorised"
        )


def _of_assembly(authority: Authority, pack: Pack) -> Iterator[str]:
    if authority.is_assembly and authority.higher_authority is None:
        yield (
            f"higher_authority: a public assembly takes the authority of {pack.rules.higher_authority.assembly} "
            f"(higher_authority of pack {pack.name}), and the document names nobody"
        )


def _without(names: Iterable[str], others: Sequence[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name not in others]


def _shown_time(time_ns: int) -> str:
    return (_EPOCH + dt.timedelta(microseconds=time_ns // 1_000)).isoformat(timespec="seconds")
