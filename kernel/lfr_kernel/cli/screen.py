"""What a person sees on a terminal: a few lines that are kept fresh while it runs, and tables at the end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

import click
import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lfr_kernel.cli.funnel import funnel_tables
from lfr_kernel.governance.conditions import FEWEST
from lfr_kernel.governance.standing import WARNINGS_MIN
from lfr_kernel.models import SHOWN_DIGITS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import RenderableType

    from lfr_kernel.messages import Alert
    from lfr_kernel.stages.camera import CameraFacts
    from lfr_kernel.stages.conditions import CameraConditions
    from lfr_kernel.stages.measure import Quantiles
    from lfr_kernel.stages.residency import ResidencyFacts
    from lfr_kernel.telemetry import Summary
    from lfr_kernel.telemetry.summary import AuthoritySummary

__all__ = ["StatusLine", "print_json", "printable", "show_alert", "summary_table"]

COLOURS = {
    "streaming": "green",
    "connecting": "yellow",
    "reconnecting": "red",
    "ended": "dim",
}
ENDINGS = {"input_ended": "all input was read", "duration": "the time was up", "running": "still running"}
SIGNALS = {"SIGINT", "SIGTERM"}
NEAR_MIN = tuple(zip(WARNINGS_MIN, ("red", "yellow"), strict=True))
"""Minutes to the end of an authority from which on it is shown in a colour, the nearest first."""
SUSPENDED = "NO ALERTS: too many were false; lfr-kernel alerts resume"
DAY_S = 86_400
REJECTED_SHOWN = 5
LONGEST_CAMERA = 16
"""Columns for the name of a camera beside an alert: what is longer goes on in the next line."""


def printable(text: str) -> str:
    """Return `text` on one line, without what could steer a terminal: names come from other people's files."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in " ".join(text.split()))


class StatusLine:
    """A few lines at the bottom of the terminal, on stderr; log lines and alerts scroll above them."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        """Mask with `redact` what is shown."""
        self.console = Console(stderr=True, highlight=False)
        self._redact = redact
        self._stopping: str | None = None
        # A print on stdout would land in the status lines, but only if both are the same screen.
        self._live = Live(console=self.console, auto_refresh=False, transient=True, redirect_stdout=sys.stdout.isatty())

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Show a plain text."""
        self._live.update(_line((f" {text}", "dim")), refresh=True)

    def stopping(self, reason: str) -> None:
        """Show from now on that it is about to end."""
        self._stopping = reason
        self.say(f"stopping ({reason}) …")

    def show(self, summary: Summary) -> None:
        """Show how things stand."""
        passages, alerts = summary.passages, len(summary.alerts)
        parts = [
            _line(
                (" ■ stopping " if self._stopping else " ● ", "yellow" if self._stopping else "green"),
                (f"{summary.duration_s:.0f} s  ", "dim"),
                (f"{summary.fps:.1f} fps  ", "bold"),
                f"faces {summary.faces}  ",
                f"passages {passages.seen} ",
                (f"({passages.open} open)  ", "dim"),
                (f"alerts {alerts}", "bold yellow" if alerts else ""),
            )
        ]
        room = max(1, self.console.height - 7)
        shown = list(summary.cameras.items())[:room]
        parts += [self._camera(name, camera, summary.conditions.get(name)) for name, camera in shown]
        if len(summary.cameras) > room:
            parts.append(_line((f"   and {len(summary.cameras) - room} more cameras", "dim")))
        parts.append(_line((f"   permit: {summary.permit}", "dim")))
        if summary.authority is not None:
            parts.append(_until(summary.authority))
            if summary.authority.is_suspended:
                parts.append(_line((f"   {SUSPENDED} {summary.authority.deployment}", "bold red")))
        parts.append(
            _line(
                (
                    f"   basis: {printable(self._redact(str(summary.basis)))}",
                    "dim" if summary.basis.state == "covered" else "yellow",
                )
            )
        )
        self._live.update(Group(*parts), refresh=True)

    def _camera(self, name: str, camera: CameraFacts, conditions: CameraConditions | None) -> Text:
        state = (str(camera.state), COLOURS[camera.state])
        line = _line(f"   {name}  ", state)
        if camera.state == "streaming":
            line.append(f"  {camera.width}x{camera.height}", "dim")
            if conditions is not None and conditions.outside:
                line.append(f"  faces {_ways(conditions.outside)}", "yellow")
            return line
        if camera.last_error:
            why = printable(self._redact(camera.last_error))
            room = max(10, self.console.width - len(line) - 2)
            # The reason stands at the end, behind an address that may be long.
            line.append(": " + (why if len(why) <= room else "…" + why[1 - room :]))
        return line

    def restore(self) -> None:
        """Give the terminal its cursor back, at once: the process is about to end."""
        self.console.show_cursor()


def _line(*parts: str | tuple[str, str]) -> Text:
    """Return text that is cut at the edge of the screen instead of wrapped."""
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _until(authority: AuthoritySummary) -> Text:
    """Say when the authority ends, the louder the nearer."""
    left_s, threshold = authority.remaining_s, f", threshold {authority.threshold:.6g}"
    if left_s is None or left_s >= DAY_S:
        return _line((f"   authority until {authority.ends[:16]}Z{threshold}", "dim"))
    hours, minutes = divmod(int(left_s // 60), 60)
    left = f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{int(left_s)} s"
    style = next((colour for at, colour in NEAR_MIN if left_s <= at * 60), "dim")
    return _line((f"   authority until {authority.ends[11:16]}Z, ends in {left}{threshold}", style))


def print_json(what: Any) -> None:
    """Print what msgspec can encode on stdout, as JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(what), indent=2).decode())


def show_alert(console: Console, alert: Alert, redact: Callable[[str], str], *, is_governed: bool = False) -> None:
    """Print one alert as it comes: who, on a line of its own; how sure, on the next.

    Under an authority only that there is one: whoever wants to see it says why, and that is written down.
    """
    heading = ("ALERT ", "bold yellow")
    camera = printable(redact(alert.camera))
    if is_governed:
        console.print(
            Text.assemble(heading, f"{camera}\n      lfr-kernel alerts show {alert.id} --reason assess"), soft_wrap=True
        )
        return
    faces = "1 face" if alert.faces == 1 else f"{alert.faces} faces"
    console.print(
        Text.assemble(
            heading,
            f"{camera}: may be ",
            (printable(redact(alert.person)), "bold"),
            f"\n      similarity {alert.similarity:.2f} (threshold {alert.threshold:.2f}), {faces} pooled, {alert.id}",
            f"\n      {printable(redact(alert.basis))}",
            (f"\n      permit: {printable(redact(alert.permit))}", "dim"),
            ("\n      a proposal: a person decides", "dim"),
        ),
        soft_wrap=True,
    )


def summary_table(summary: Summary, redact: Callable[[str], str]) -> Group:
    """Return the summary of a run as tables that fit 80 columns."""

    def clean(text: str) -> str:
        return printable(redact(text))

    ended = f"stopped by {summary.ended}" if summary.ended in SIGNALS else ENDINGS.get(summary.ended, summary.ended)
    title = f"{redact(summary.profile)}: {clean(ended)}"
    parts: list[RenderableType] = [Text(title, style="bold"), _facts(summary, clean)]
    if any(camera.faces.detected for camera in summary.funnel.values()):
        parts += [Text("\nwhere they went, with the share of the step before", style="bold")]
        parts += funnel_tables(summary.funnel, clean)
    troubled = [(name, actor) for name, actor in summary.actors.items() if actor.restarts or actor.last_error]
    if troubled:
        trouble = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in ("stage", "state", "restarts", "last error"):
            trouble.add_column(heading, overflow="fold", header_style="dim")
        for name, actor in troubled:
            trouble.add_row(Text(name), str(actor.state), str(actor.restarts), Text(clean(actor.last_error or "")))
        parts += [Text("\nstages that failed", style="bold red"), trouble]
    if summary.alerts:
        parts += [Text("\nalerts: proposals, for a person to decide", style="bold yellow"), _alerts(summary, clean)]
    return Group(*parts)


def _facts(summary: Summary, clean: Callable[[str], str]) -> Table:
    passages, frames, lost = summary.passages, summary.frames, summary.passages.lost
    facts = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")

    def row(name: str, text: str, style: str = "") -> None:
        if text:
            facts.add_row(name, Text(text, style=style))

    row("permit", summary.permit)
    if summary.authority is not None:
        row("authority", _authority(summary.authority))
        row("missing", "\n".join(map(clean, summary.authority.warnings)), "yellow")
        row(
            "alerts",
            f"{SUSPENDED} {summary.authority.deployment}" if summary.authority.is_suspended else "",
            "bold red",
        )
    basis = summary.basis
    lines = (basis.heading, *basis.reasons, *basis.notes)
    row("basis", "\n".join(map(clean, lines)), "" if basis.state == "covered" else "yellow")
    row("watchlist", _watchlist(summary))
    rejected = [clean(f"{photo}: {reason}") for photo, reason in summary.watchlist.rejected.items()]
    resembling = [clean(str(finding)) for finding in summary.watchlist.resemblances]
    unlisted = list(map(clean, summary.watchlist.unlisted))
    for name, texts in (("NOT LISTED", unlisted), ("rejected", rejected), ("look at", resembling)):
        more = len(texts) - REJECTED_SHOWN
        rest = [f"and {more} more: see --json"] if more > 0 else []
        if texts:
            row(name, "\n".join(texts[:REJECTED_SHOWN] + rest), "yellow")
    for stage, model in summary.models.items():
        row(stage, clean(f"{model.plugin}, model {model.digest[:SHOWN_DIGITS]}, on {model.device}"))
    for name, camera in summary.cameras.items():
        row(f"camera {clean(name)}", _camera(camera, clean))
        row("  conditions", *_conditions(summary.conditions.get(name)))
    row("frames", f"{frames.read} read, {frames.processed} processed{_reasons(frames.dropped, ', dropped: ')}")
    row("faces", f"{summary.faces} found, {summary.probes} embedded")
    row(
        "passages",
        f"{passages.seen} seen = {passages.alerted} alerted + {passages.not_matched} not matched + "
        f"{sum(lost.values())} lost",
    )
    if any(lost.values()):
        row("  lost", _reasons(lost))
    for name, sink in summary.sinks.items():
        missing = sink.given_up + sink.undelivered
        missed = f", {missing} NOT delivered: {clean(sink.last_error or 'cut short')}" if missing else ""
        row(f"sink {clean(name)}", f"{sink.delivered} delivered{missed}", "bold red" if missed else "")
    row("speed", f"{summary.fps:.1f} frames/s over {summary.duration_s:.1f} s")
    row("capture to embedding", _quantiles(summary.latency_ms.capture_to_embedding))
    row("capture to alert", _quantiles(summary.latency_ms.capture_to_alert))
    residency = summary.biometric_residency_ms
    row("capture to erasure", _residency(residency), "bold red" if residency.over_bound else "")
    return facts


def _authority(authority: AuthoritySummary) -> str:
    then = "it has ended, and the list was wiped"
    if not authority.is_wiped and authority.is_over:
        then = "it has ended; its wipe was cut short, and is finished by lfr-kernel authority list or the next start"
    elif not authority.is_wiped:
        then = f"its list is not wiped: go on, or end it (lfr-kernel authority close {authority.deployment})"
    times = f"from {authority.starts[:16]}Z to {authority.ends[:16]}Z"
    return f"{authority.id}, {times}, threshold {authority.threshold:.6g}; {then}"


def _camera(camera: CameraFacts, clean: Callable[[str], str]) -> str:
    size = f"{camera.width}x{camera.height}" if camera.width else "no picture came"
    often = "once" if camera.reconnects == 1 else f"{camera.reconnects} times"
    again = f", connected anew {often}" if camera.reconnects else ""
    error = f"; last error: {clean(camera.last_error)}" if camera.last_error else ""
    return f"{size}{again}{error}"


def _ways(ways: Sequence[str]) -> str:
    return f"{', '.join(ways)} than tested"


def _conditions(conditions: CameraConditions | None) -> tuple[str, str]:
    """Say how faces were seen, over the last passages, and what of it was not tested; and in which colour."""
    if conditions is None:
        return "", ""
    over = "the last passage" if conditions.passages == 1 else f"the last {conditions.passages} passages"
    medians = (
        f"{conditions.face_px:.0f} px wide, highlight {conditions.highlight:.0f}, sharpness {conditions.sharpness:.2f}"
    )
    earlier = [way for way in conditions.ever if way not in conditions.outside]
    parts = (
        f"{medians}, medians of {over}",
        *(["too few to compare"] if conditions.passages < FEWEST else []),
        *([_ways(conditions.outside)] if conditions.outside else []),
        *([f"{_ways(earlier)} for a while"] if earlier else []),
    )
    return "; ".join(parts), "yellow" if conditions.ever else ""


def _alerts(summary: Summary, clean: Callable[[str], str]) -> Table:
    is_named = summary.authority is None
    alerts = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("time (UTC)", "similarity", "id"):
        alerts.add_column(heading, no_wrap=True)
    alerts.add_column("camera", overflow="fold", max_width=LONGEST_CAMERA)
    # Whoever wants to see whom one may be of says why, and that is written down.
    alerts.add_column("person" if is_named else "who it may be", overflow="fold", style="bold" if is_named else "dim")
    for alert in summary.alerts:
        similarity, who = f"{alert.similarity:.2f}", alert.person if is_named else "lfr-kernel alerts show"
        alerts.add_row(
            alert.captured_at[11:19], similarity, alert.id, Text(clean(alert.camera)), Text(clean(who or ""))
        )
    return alerts


def _watchlist(summary: Summary) -> str:
    watchlist = summary.watchlist
    return f"{watchlist.people} people, {watchlist.photographs} photographs, threshold {watchlist.threshold:.2f}"


def _reasons(counts: Mapping[str, int], label: str = "") -> str:
    text = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()) if count)
    return f"{label}{text}" if text else ""


def _residency(residency: ResidencyFacts) -> str:
    """Say how long crops and templates of whoever passed lived."""
    if not residency.count:
        return "-"
    live = f", {residency.live} live" if residency.live else ""
    over = f", {residency.over_bound} lived longer than {residency.bound / 1e3:g} s" if residency.over_bound else ""
    return f"p50 {residency.p50:.0f} ms, p95 {residency.p95:.0f} ms, max {residency.max:.0f} ms{live}{over}"


def _quantiles(quantiles: Quantiles) -> str:
    if not quantiles.count:
        return "-"
    return f"p50 {quantiles.p50:.0f} ms, p95 {quantiles.p95:.0f} ms, p99 {quantiles.p99:.0f} ms"
