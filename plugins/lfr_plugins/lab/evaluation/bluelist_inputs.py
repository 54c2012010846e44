"""What a blue-list evaluation reads, once a deployment is over: the plan, the alerts, and the run's summary.

    identity,camera,start,end[,group_sex,…]     the plan, a CSV file: who was to pass which camera, from when to when
                                                (ISO 8601 with a time zone); groups are what people said of themselves
    alerts.jsonl                                as the sink `jsonl` writes it with `details = true`; alerts of other
                                                runs are counted and left
    run.json                                    lfr-kernel --profile P --json > run.json

An alert that the run raised and the file lacks (retention deleted it, or it is another run's file) would count as a
miss of the system, so it is a mistake. Every mistake in any of the three is reported at once. None of them holds
pictures or templates.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Mapping  # noqa: TC003  (msgspec resolves the annotations)
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from lfr_kernel.api import Alert, Basis, Notice, PermanentError
from lfr_plugins.lab.evaluation.protocol import GROUP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["BlueList", "BlueListError", "Planned", "RunFacts", "read_blue_list"]

COLUMNS = ("identity", "camera", "start", "end")
SHOWN = 20
"""Mistakes that are spelled out; the rest is counted."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BYTE = re.compile(r"byte (\d+)")


class BlueListError(PermanentError, ValueError):
    """The inputs cannot be used; the text lists what is wrong, each with its file and line."""


class Planned(Struct, frozen=True, kw_only=True):
    """One line of the plan: somebody who has consented was to pass a camera."""

    line: int
    identity: str
    """As the watchlist has it."""
    camera: str
    start_ns: int
    end_ns: int
    """UTC, ns since 1970; the moment itself is not part of it."""
    groups: Mapping[str, str] = {}


class RunFacts(Struct, frozen=True, kw_only=True):
    """What a run's summary says, as far as it is needed."""

    run: str
    profile: str
    permit: str
    basis: Basis
    began_ns: int
    """UTC, ns since 1970."""
    ended_ns: int
    ended: str
    faces: int
    """Faces found, in all frames."""
    passages: int
    cameras: tuple[str, ...]
    listed: int
    """People on the list, the blue-listed ones included."""
    threshold: float
    detector: str
    """SHA-256 of the weights."""
    embedder: str


class BlueList(Struct, frozen=True, kw_only=True):
    """All inputs, checked."""

    planned: tuple[Planned, ...]
    group_names: tuple[str, ...]
    """Without the prefix, in the order of the columns."""
    alerts: tuple[Alert, ...]
    """Of this run."""
    alerts_of_other_runs: int
    """In the same file."""
    run: RunFacts
    digests: Mapping[str, str]
    """SHA-256 of `plan`, `alerts` and `run`, the files."""


class _Seen(Struct, frozen=True):
    seen: int


class _Listed(Struct, frozen=True):
    people: int
    threshold: float
    model: str


class _Model(Struct, frozen=True):
    digest: str


class _Raised(Struct, frozen=True):
    id: str


class _Summary(Struct, frozen=True):
    """The fields of a run.json that are read; see the kernel's `Summary`."""

    run: str
    profile: str
    permit: str
    basis: Basis
    began_at: Annotated[datetime, Meta(tz=True)]
    ended: str
    duration_s: float
    passages: _Seen
    faces: int
    alerts: tuple[_Raised, ...]
    watchlist: _Listed
    models: dict[str, _Model]
    cameras: dict[str, Any]


def read_blue_list(plan: Path, alerts: Path, run: Path) -> BlueList:
    """Read the inputs of a blue-list evaluation and check all of them.

    Args:
        plan: the CSV file of planned passages.
        alerts: what the sink `jsonl` wrote.
        run: the run's summary, JSON.

    Raises:
        BlueListError: with every mistake.
    """
    mistakes: list[str] = []
    contents = {
        name: _content(path, mistakes.append) for name, path in (("plan", plan), ("alerts", alerts), ("run", run))
    }
    planned, group_names = _read_plan(plan, contents["plan"], mistakes.append)
    raised = _read_alerts(alerts, contents["alerts"], mistakes.append)
    summary = _read_run(run, contents["run"], mistakes.append)
    mistakes += verify_plan(plan, planned)
    mine: list[Alert] = []
    if summary is not None:
        prefix = f"{summary.run}-"
        own = [(line, alert) for line, alert in raised if alert.passage.startswith(prefix)]
        mine = [alert for _, alert in own]
        mistakes += verify_cameras(plan, planned, summary)
        if contents["alerts"] is not None:
            mistakes += verify_alerts(alerts, own, summary)
    if mistakes or summary is None:
        raise BlueListError(_told(mistakes))
    return BlueList(
        planned=tuple(planned),
        group_names=group_names,
        alerts=tuple(mine),
        alerts_of_other_runs=len(raised) - len(mine),
        run=_facts(summary),
        digests={name: hashlib.sha256(content or b"").hexdigest() for name, content in contents.items()},
    )


def verify_plan(path: Path, planned: Sequence[Planned]) -> Iterator[str]:
    """Nobody is planned at one camera twice at a time, and groups are stated, the same in all lines of a person."""
    together: dict[tuple[str, str], list[Planned]] = {}
    said: dict[tuple[str, str], Planned] = {}
    for one in planned:
        together.setdefault((one.identity, one.camera), []).append(one)
        for group, value in one.groups.items():
            other = said.setdefault((one.identity, group), one)
            if not value:
                yield f"{path}, line {one.line}: {GROUP}{group} is empty; write what was said, or 'not stated'"
            elif other.groups[group] and other.groups[group] != value:
                yield (
                    f"{path}, line {one.line}: {GROUP}{group} of {one.identity} is {value!r}, but in line {other.line} "
                    f"{other.groups[group]!r}"
                )
    for ones in together.values():
        ones.sort(key=lambda one: (one.start_ns, one.line))
        before = ones[0]
        for after in ones[1:]:
            if after.start_ns < before.end_ns:
                yield (
                    f"{path}, line {after.line}: {after.identity} is planned at {after.camera} while line "
                    f"{before.line} has the same; write one line for the whole time"
                )
            before = max(before, after, key=lambda one: one.end_ns)


def verify_cameras(path: Path, planned: Sequence[Planned], summary: _Summary) -> Iterator[str]:
    """Every planned passage is at a camera that the run had."""
    for one in planned:
        if one.camera not in summary.cameras:
            yield (
                f"{path}, line {one.line}: the run has no camera {one.camera!r}; expected one of "
                f"{', '.join(sorted(summary.cameras)) or 'none'}"
            )


def verify_alerts(path: Path, alerts: Sequence[tuple[int, Alert]], summary: _Summary) -> Iterator[str]:
    """The alerts of a run are all there, each once, and of its cameras, its model and its threshold."""
    first: dict[str, int] = {}
    for line, alert in alerts:
        where = f"{path}, line {line}: alert {alert.id}"
        if first.setdefault(alert.id, line) != line:
            yield f"{where} stands in line {first[alert.id]} already"
        if alert.camera not in summary.cameras:
            yield f"{where} is of camera {alert.camera!r}, which the run does not have"
        if (alert.model, alert.threshold) != (summary.watchlist.model, summary.watchlist.threshold):
            yield (
                f"{where} is of model {alert.model[:8]}… at threshold {alert.threshold:g}; the run says "
                f"{summary.watchlist.model[:8]}… at {summary.watchlist.threshold:g}"
            )
    missing = [one.id for one in summary.alerts if one.id not in first]
    if missing:
        yield (
            f"{path}, line 1: expected all alerts of run {summary.run}, {len(missing)} are not there, such as "
            f"{missing[0]}; they expired, or it is another run's file: take a copy made before they did"
        )


def _content(path: Path, note: Callable[[str], None]) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError as error:
        note(f"{path}: cannot be read: {error.strerror or error}; check the path")
        return None


def _told(mistakes: Sequence[str]) -> str:
    count = f"{len(mistakes)} mistakes" if len(mistakes) > 1 else "1 mistake"
    more = [f"  and {len(mistakes) - SHOWN} more"] if len(mistakes) > SHOWN else []
    return "\n".join([f"the blue list cannot be evaluated: {count}", *(f"  {one}" for one in mistakes[:SHOWN]), *more])


def _read_plan(path: Path, content: bytes | None, note: Callable[[str], None]) -> tuple[list[Planned], tuple[str, ...]]:
    if content is None:
        return [], ()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        note(f"{path}, line {line}: expected UTF-8 text, got something else from byte {error.start}")
        return [], ()
    table = csv.DictReader(io.StringIO(text, newline=""))
    header = table.fieldnames = [name.strip() for name in table.fieldnames or ()]
    wrong = list(_header_mistakes(header))
    for mistake in wrong:
        note(f"{path}, line 1: {mistake}")
    if wrong:
        return [], ()
    lines = [(table.line_num, cells) for cells in table]
    planned = [one for line, cells in lines if (one := _planned(path, line, cells, note)) is not None]
    if not lines:
        note(f"{path}, line 1: expected planned passages below the header, found none")
    return planned, tuple(name.removeprefix(GROUP) for name in header if name.startswith(GROUP))


def _header_mistakes(header: Sequence[str]) -> Iterator[str]:
    if set(COLUMNS) - set(header):
        yield f"expected the columns {', '.join(COLUMNS)}, got {', '.join(header) or 'nothing'}"
    for name in header:
        if name not in COLUMNS and not name.startswith(GROUP):
            yield f"unknown column {name!r}; expected {', '.join(COLUMNS)}, or one that begins with {GROUP}"
    yield from (f"column {name!r} stands there twice" for name in sorted(set(header)) if header.count(name) > 1)


def _planned(path: Path, line: int, cells: Mapping[Any, Any], note: Callable[[str], None]) -> Planned | None:
    where = f"{path}, line {line}"
    if None in cells:
        note(f"{where}: expected {len(cells) - 1} cells, got more; put quotes around a cell with a comma")
        return None
    values = {name: (value or "").strip() for name, value in cells.items()}
    empty = [name for name in ("identity", "camera") if not values[name]]
    for name in empty:
        note(f"{where}: {name} is empty")
    start_ns, end_ns = (_moment(values[name], f"{where}: {name}", note) for name in ("start", "end"))
    if empty or start_ns is None or end_ns is None:
        return None
    if start_ns >= end_ns:
        note(f"{where}: expected start before end, got {values['start']} and {values['end']}")
        return None
    return Planned(
        line=line,
        identity=values["identity"],
        camera=values["camera"],
        start_ns=start_ns,
        end_ns=end_ns,
        groups={name.removeprefix(GROUP): value for name, value in values.items() if name.startswith(GROUP)},
    )


def _moment(text: str, where: str, note: Callable[[str], None]) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        note(f"{where}: expected ISO 8601 with a time zone, such as 2026-03-01T14:05:00+00:00, got {text!r}")
        return None
    return _ns(moment)


def _ns(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _read_alerts(path: Path, content: bytes | None, note: Callable[[str], None]) -> list[tuple[int, Alert]]:
    alerts = []
    for number, line in enumerate((content or b"").splitlines(), start=1):
        try:
            alert = msgspec.json.decode(line, type=Notice).alert
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            note(f"{path}, line {number}: expected an alert as the sink jsonl writes it, got something else ({error})")
            continue
        if alert is None:
            note(
                f"{path}, line {number}: expected the details of the alert, got none: set details = true for the sink "
                "jsonl of a profile that is evaluated"
            )
        else:
            alerts.append((number, alert))
    return alerts


def _read_run(path: Path, content: bytes | None, note: Callable[[str], None]) -> _Summary | None:
    if content is None:
        return None
    expected = "expected the summary that `lfr-kernel --profile P --json` prints"
    try:
        summary = msgspec.json.decode(content, type=_Summary)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        at = _BYTE.search(str(error))
        line = content[: int(at[1])].count(b"\n") + 1 if at else 1
        note(f"{path}, line {line}: {expected}, got something else ({error})")
        return None
    if summary.ended == "running":
        note(f"{path}, line 1: {expected} at the end of a run, got one of a run that goes on; wait for its end")
    return summary


def _facts(summary: _Summary) -> RunFacts:
    began_ns = _ns(summary.began_at)
    return RunFacts(
        run=summary.run,
        profile=summary.profile,
        permit=summary.permit,
        basis=summary.basis,
        began_ns=began_ns,
        ended_ns=began_ns + round(summary.duration_s * 1e9),
        ended=summary.ended,
        faces=summary.faces,
        passages=summary.passages.seen,
        cameras=tuple(sorted(summary.cameras)),
        listed=summary.watchlist.people,
        threshold=summary.watchlist.threshold,
        detector=summary.models["detector"].digest if "detector" in summary.models else "",
        embedder=summary.watchlist.model,
    )
