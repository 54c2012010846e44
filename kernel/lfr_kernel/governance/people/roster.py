"""`roster.toml`: the roster as a person writes it, before the organisation signs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from lfr_kernel.decoding import Problem, decode
from lfr_kernel.governance.document import DocumentError, read_document
from lfr_kernel.governance.errors import KeyFileError
from lfr_kernel.governance.people.keyfiles import read_public
from lfr_kernel.governance.people.roles import combined
from lfr_kernel.governance.people.statements import Hex32, Member, Moment, Name, Role, Roster

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

__all__ = ["RosterError", "problems_of", "read_roster"]

Roles = Annotated[tuple[Role, ...], Meta(min_length=1)]


class RosterError(DocumentError):
    """A roster cannot be used; the text lists every mistake."""


class _Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name
    roles: Roles
    expires: Moment
    file: Annotated[str, Meta(min_length=1)] | None = None
    signing: Hex32 | None = None
    sealing: Hex32 | None = None
    revoked: Moment | None = None


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    number: Annotated[int, Meta(ge=1)]
    people: Annotated[tuple[_Entry, ...], Meta(min_length=1)]


def read_roster(path: Path, issued: dt.datetime) -> Roster:
    """Read a roster, and the public keys that it names by file. Blocks on them.

    Args:
        path: of the TOML file. The files of keys are relative to it.
        issued: now.

    Raises:
        RosterError: something is wrong with it; the text lists everything.
    """
    source = str(path)
    problems: list[Problem] = []
    data = read_document(path, source, RosterError).data
    written = decode(_File, data, "", problems.append)
    tables = data.get("people")
    people: list[Member] = []
    for number, table in enumerate(tables if isinstance(tables, list) else []):
        # Once more, each by itself: one person's mistakes must not hide another's.
        entry = decode(_Entry, table, "", lambda _: None)
        member = _member(entry, path.parent, f"people[{number}]", problems.append) if entry is not None else None
        if member is not None:
            people.append(member)
    roster = Roster(number=written.number if written else 0, issued=issued, people=tuple(people))
    found = [*map(str, problems), *problems_of(roster)]
    if found:
        raise RosterError(source, found)
    return roster


def _member(entry: _Entry, folder: Path, path: str, note: Callable[[Problem], None]) -> Member | None:
    has_keys = entry.signing is not None and entry.sealing is not None
    has_either = entry.signing is not None or entry.sealing is not None
    if (entry.file is None and not has_keys) or (entry.file is not None and has_either):
        note(Problem(path, f"expected for {entry.name} either `file`, or both `signing` and `sealing`"))
        return None
    signing, sealing = entry.signing, entry.sealing
    if entry.file is not None:
        try:
            public = read_public(folder / Path(entry.file))
        except KeyFileError as error:
            note(Problem(f"{path}.file", str(error)))
            return None
        if public.name != entry.name:
            note(
                Problem(f"{path}.name", f"expected {public.name!r}, whose keys {entry.file} holds, got {entry.name!r}")
            )
            return None
        signing, sealing = public.signing, public.sealing
    if signing is None or sealing is None:  # the first test has seen to that
        return None
    return Member(
        name=entry.name,
        signing=signing,
        sealing=sealing,
        roles=entry.roles,
        expires=entry.expires,
        revoked=entry.revoked,
    )


def problems_of(roster: Roster, separate_roles: Sequence[tuple[Role, Role]] = ()) -> list[str]:
    """Return what is wrong with a roster as a whole, one sentence each.

    Args:
        roster: with valid people.
        separate_roles: pairs that one person may not combine.
    """
    found: list[str] = []
    seen: dict[str, int] = {}
    for number, one in enumerate(roster.people):
        # A name becomes the name of a file, and some file systems do not tell A from a.
        for what, value in (("name", one.name.casefold()), ("signing", one.signing), ("sealing", one.sealing)):
            first = seen.setdefault(f"{what} {value}", number)
            if first != number:
                kind = "name" if what == "name" else f"{what} key"
                found.append(
                    f"expected a {kind} of its own for {one.name}, got that of "
                    f"{roster.people[first].name}: whose act it was could not be told"
                )
        if len(set(one.roles)) != len(one.roles):
            found.append(f"expected each role of {one.name} once, got {', '.join(one.roles)}")
        if one.expires <= roster.issued and one.revoked is None:
            found.append(f"expected {one.name} to expire after now, got {one.expires.isoformat()}")
        found += [
            f"{one.name} combines {pair}, which the installed rule packs keep apart: nobody does both"
            for pair in combined(one, separate_roles)
            if one.revoked is None
        ]
    return found
