"""An evaluation protocol: one CSV file says who is listed, who passes, and on which photographs or clips.

    path,identity,role                          a photograph a line; all of one person and role are one passage
    path,identity,role,passage                  … or as many passages as the column names
    path,identity,role,start_s,end_s            a clip, and when somebody is to be seen in it (from its first picture)
    …,start_s,end_s,x0,y0,x1,y1                 … and where in the picture, px: for who is seen beside others
    …,group_sex,group_age                       what people said of themselves, never what software made of a face

Roles: `watchlist` (listed), `filler` (listed, and expected nowhere), `mated` (passes, and is listed), `nonmated`
(passes, and is not). Paths start where the file lies, in a folder beside it, or in the folder that is given. Every
mistake is reported at once.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import tomllib
from pathlib import Path  # noqa: TC003  (msgspec resolves the annotations)
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from lfr_kernel.api import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["About", "Protocol", "ProtocolError", "Role", "Row", "read_about", "read_protocol"]

Role = Literal["watchlist", "filler", "mated", "nonmated"]
LISTED: frozenset[Role] = frozenset({"watchlist", "filler"})
CLIPS = frozenset({".mp4", ".mkv", ".mov", ".avi", ".webm", ".ts", ".m4v", ".mpg", ".mpeg"})
COLUMNS = {"path", "identity", "role"}
REGION = ("x0", "y0", "x1", "y1")
OPTIONAL = {"passage", "start_s", "end_s", *REGION}
GROUP = "group_"
NOT_STATED = "not stated"
"""What to write of somebody who did not say: counted, and no group."""
SHOWN = 20
"""Mistakes that are spelled out; the rest is counted."""


class ProtocolError(PermanentError, ValueError):
    """A protocol cannot be used; the text lists what is wrong, each with its line."""


class Row(Struct, frozen=True, kw_only=True):
    """One line: a photograph, or the time that somebody is to be seen in a clip."""

    line: int
    path: Path
    """Where the file lies."""
    name: str
    """As the protocol has it."""
    identity: str
    role: Role
    passage: str = ""
    start_s: float | None = None
    end_s: float | None = None
    region: tuple[float, float, float, float] | None = None
    """xyxy, px of the clip's pictures: where this person's face is between start and end; None: anywhere."""
    groups: Mapping[str, str] = {}

    @property
    def is_clip(self) -> bool:
        """Whether it is a clip."""
        return self.path.suffix.lower() in CLIPS

    @property
    def is_listed(self) -> bool:
        """Whether it is a photograph of somebody listed."""
        return self.role in LISTED


class About(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a reader must know of the data and no program can find out: a small TOML file beside the protocol."""

    name: Annotated[str, Meta(min_length=1)]
    """Of the data set, as reports call it."""
    report_class: Literal["benchmark", "operational"] = "benchmark"
    """`operational` only for people who passed cameras as they will be used."""
    flatters: tuple[str, ...] = ()
    """What makes these figures look better than the street, a sentence each."""
    source: str = ""
    """Where the data comes from."""
    groups: str = ""
    """How the groups are known."""


class Protocol(Struct, frozen=True, kw_only=True):
    """A whole protocol."""

    path: Path
    digest: str
    """SHA-256 of the CSV file."""
    rows: tuple[Row, ...]
    group_names: tuple[str, ...]
    """Without the prefix, in the order of the columns."""

    def of(self, *roles: Role) -> list[Row]:
        """Return the rows of these roles."""
        return [row for row in self.rows if row.role in roles]


def read_protocol(path: Path, root: Path | None = None) -> Protocol:
    """Read a protocol and check all of it.

    Args:
        path: of the CSV file.
        root: where its paths start. If not given, where the file lies, or the folder beside it that has the first one.

    Raises:
        ProtocolError: with every mistake.
    """
    content = _content(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProtocolError(f"{path}: expected UTF-8 text, got something else from byte {error.start}") from None
    table = csv.DictReader(io.StringIO(text, newline=""))
    try:
        header = [name.strip() for name in table.fieldnames or ()]
        table.fieldnames = header
        lines = [(table.line_num, cells) for cells in table]
    except csv.Error as error:
        raise ProtocolError(f"{path}: line {table.line_num}: expected CSV: {error}") from None
    mistakes = [f"line 1: {mistake}" for mistake in _header_mistakes(header)]
    if not set(header) >= COLUMNS or len(set(header)) < len(header):
        raise ProtocolError(_told(path, mistakes))  # nobody can say which cell is what
    root = root if root is not None else _root(path.parent, lines)
    rows: list[Row] = []
    for number, cells in lines:
        row = _row(cells, number, root, mistakes.append)
        if row is not None:
            rows.append(row)
    mistakes += verify_files(rows)
    mistakes += verify_roles(rows)
    mistakes += verify_groups(rows)
    mistakes += verify_times(rows)
    if not rows and not mistakes:
        mistakes.append("line 1: expected photographs or clips below the header, found none")
    if mistakes:
        raise ProtocolError(_told(path, mistakes))
    return Protocol(
        path=path,
        digest=hashlib.sha256(content).hexdigest(),
        rows=tuple(rows),
        group_names=tuple(name.removeprefix(GROUP) for name in header if name.startswith(GROUP)),
    )


def read_about(path: Path | None, protocol: Path) -> About:
    """Read what is to be known about the data; the bare name of the protocol where nothing was written down.

    Raises:
        ProtocolError: there is no such file, or it cannot be understood.
    """
    if path is None:
        return About(name=protocol.stem)
    try:
        return msgspec.convert(tomllib.loads(_content(path).decode()), About)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ProtocolError(
            f"{path}: expected TOML with name, report_class, source, flatters and groups: {error}"
        ) from None


def _root(folder: Path, lines: Sequence[tuple[int, Mapping[str, str | None]]]) -> Path:
    first = next((name for _, cells in lines if (name := (cells.get("path") or "").strip())), "")
    candidates = [folder, *sorted(one for one in folder.iterdir() if one.is_dir())]
    return next((one for one in candidates if first and _size(one / first) is not None), folder)


def _size(path: Path) -> int | None:
    """Return the bytes of a file; None where there is none, or none with such a name can be."""
    try:
        return path.stat().st_size if path.is_file() else None
    except (OSError, ValueError):  # too long a name, a folder that may not be entered, a NUL
        return None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ProtocolError(f"{path}: cannot be read: {error.strerror or error}; check the path") from None


def _told(path: Path, mistakes: Sequence[str]) -> str:
    count = f"{len(mistakes)} mistakes" if len(mistakes) > 1 else "1 mistake"
    more = [f"  and {len(mistakes) - SHOWN} more"] if len(mistakes) > SHOWN else []
    return "\n".join([f"{path}: {count}", *(f"  {mistake}" for mistake in mistakes[:SHOWN]), *more])


def _header_mistakes(header: Sequence[str]) -> Iterator[str]:
    missing = sorted(COLUMNS - set(header))
    if missing:
        yield f"expected the columns path, identity and role, got {', '.join(header) or 'nothing'}"
    for name in dict.fromkeys(header):
        if name == GROUP or (name not in COLUMNS | OPTIONAL and not name.startswith(GROUP)):
            yield (
                f"unknown column {name!r}; expected passage, start_s, end_s, {', '.join(REGION)}, or one that "
                f"begins with {GROUP}"
            )
        if header.count(name) > 1:
            yield f"column {name!r} stands there {header.count(name)} times"


def _row(cells: Mapping[str, str | None], line: int, root: Path, note: Callable[[str], None]) -> Row | None:
    values = {name: (value or "").strip() for name, value in cells.items() if isinstance(name, str)}
    values["identity"] = " ".join(values["identity"].split())  # scores.csv has one line a person
    if None in cells:
        note(f"line {line}: expected {len(values)} cells, got more; put quotes around a cell with a comma")
        return None
    if not any(values.values()):
        return None
    empty = [name for name in ("path", "identity") if not values[name]]
    for name in empty:
        note(f"line {line}: {name} is empty")
    role = values["role"]
    if role not in get_args(Role):
        note(f"line {line}: expected one of the roles {', '.join(get_args(Role))}, got {role!r}")
        return None
    if empty:
        return None
    row = Row(
        line=line,
        path=root / values["path"],
        name=values["path"],
        identity=values["identity"],
        role=role,  # type: ignore[arg-type]  # one of them, as was just seen
        passage=values.get("passage", ""),
        start_s=_seconds(values, "start_s", line, note),
        end_s=_seconds(values, "end_s", line, note),
        region=_region(values, line, note),
        groups={name.removeprefix(GROUP): value for name, value in values.items() if name.startswith(GROUP)},
    )
    times = (row.start_s, row.end_s)
    if row.is_clip and row.is_listed:
        note(f"line {line}: people are listed with photographs, got the clip {row.name}")
    elif row.is_clip and (None in times or times[0] >= times[1]):  # type: ignore[operator]  # no None left
        note(f"line {line}: expected start_s before end_s: when {row.identity} is to be seen in {row.name}")
    elif not row.is_clip and times != (None, None):
        note(f"line {line}: start_s and end_s go with clips ({', '.join(sorted(CLIPS))}), got {row.name}")
    elif not row.is_clip and row.region is not None:
        note(f"line {line}: {', '.join(REGION)} go with clips ({', '.join(sorted(CLIPS))}), got {row.name}")
    return row


def _seconds(values: Mapping[str, str], name: str, line: int, note: Callable[[str], None]) -> float | None:
    if not values.get(name):
        return None
    try:
        value = float(values[name])
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        note(f"line {line}: expected {name} in seconds, 0 or more, got {values[name]!r}")
        return None
    return value


def _region(
    values: Mapping[str, str], line: int, note: Callable[[str], None]
) -> tuple[float, float, float, float] | None:
    written = [values.get(name, "") for name in REGION]
    if not any(written):
        return None
    try:
        left, top, right, bottom = (float(value) if value else math.nan for value in written)
    except ValueError:
        left = top = right = bottom = math.nan
    if all(map(math.isfinite, (left, top, right, bottom))) and left < right and top < bottom:
        return left, top, right, bottom
    note(
        f"line {line}: expected {', '.join(REGION)} in px, all four or none, x0 below x1 and y0 below y1, got "
        + ", ".join(value or "nothing" for value in written)
    )
    return None


def verify_files(rows: Sequence[Row]) -> list[str]:
    """Each file is there and not empty, and each photograph stands in one line only."""
    mistakes: list[str] = []
    first: dict[Path, Row] = {}
    for row in rows:
        size = _size(row.path)
        other = first.setdefault(row.path if size is None else row.path.resolve(), row)
        if other is not row:
            if not row.is_clip:
                mistakes.append(
                    f"line {row.line}: {row.name} stands in line {other.line} already, for {other.identity}"
                )
        elif size is None:
            mistakes.append(f"line {row.line}: no file {row.path}")
        elif not size:
            mistakes.append(f"line {row.line}: {row.path} is empty (0 bytes)")
    return mistakes


def verify_roles(rows: Sequence[Row]) -> list[str]:
    """Nobody is both listed and non-mated, whoever is mated is listed, and each part of an evaluation has somebody."""
    first: dict[Role, dict[str, Row]] = {role: {} for role in get_args(Role)}
    for row in rows:
        first[row.role].setdefault(row.identity, row)
    mistakes: list[str] = []
    needed: tuple[Role, ...] = ("watchlist", "mated", "nonmated")
    contradictions: tuple[tuple[Role, Role], ...] = (
        ("nonmated", "watchlist"),
        ("nonmated", "filler"),
        ("nonmated", "mated"),
        ("filler", "watchlist"),
        ("filler", "mated"),
    )
    for role, other in contradictions:
        both = [identity for identity in first[role] if identity in first[other]]
        mistakes += [
            f"line {first[role][identity].line}: {identity} is {role} here, but {other} in line "
            f"{first[other][identity].line}"
            for identity in both
        ]
    mistakes += [
        f"line {row.line}: {identity} is mated, but no line lists him or her with the role watchlist"
        for identity, row in first["mated"].items()
        if identity not in first["watchlist"]
    ]
    mistakes += [
        f"nobody has the role {role}: open-set evaluation needs listed, mated and non-mated people"
        for role in needed
        if rows and not first[role]
    ]
    return mistakes


def verify_groups(rows: Sequence[Row]) -> list[str]:
    """Every group is stated for everybody, and the same in all lines of a person."""
    mistakes: list[str] = []
    said: dict[tuple[str, str], Row] = {}
    for row in rows:
        for group, value in row.groups.items():
            if not value:
                mistakes.append(f"line {row.line}: {GROUP}{group} is empty; write what was said, or {NOT_STATED!r}")
                continue
            other = said.setdefault((row.identity, group), row)
            if other.groups[group] != value:
                mistakes.append(
                    f"line {row.line}: {GROUP}{group} of {row.identity} is {value!r}, "
                    f"but in line {other.line} {other.groups[group]!r}"
                )
    return mistakes


def verify_times(rows: Sequence[Row]) -> list[str]:
    """Nobody is in a clip twice at a time, and of two people who are there at once one at least has a region."""
    mistakes: list[str] = []
    clips: dict[Path, list[tuple[float, float, Row]]] = {}
    for row in rows:
        if row.is_clip and row.start_s is not None and row.end_s is not None:
            clips.setdefault(row.path, []).append((row.start_s, row.end_s, row))
    for times in clips.values():
        times.sort(key=lambda one: (one[0], one[2].line))
        for number, (_, end_s, row) in enumerate(times):
            for start_s, _, other in times[number + 1 :]:
                if start_s >= end_s:
                    break
                where = f"line {other.line}: {other.identity} is to be seen in {other.name} while line {row.line} has"
                if other.identity == row.identity:
                    mistakes.append(f"{where} the same person there; write one line for the whole time")
                elif other.region is None and row.region is None:
                    mistakes.append(f"{where} {row.identity} there; say where with {', '.join(REGION)}, px")
    return mistakes
