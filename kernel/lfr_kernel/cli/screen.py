"""What a person sees on a terminal: a status line while it runs, and a table at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lfr_kernel.stages.camera import CameraState

if TYPE_CHECKING:
    from lfr_kernel.messages import Alert
    from lfr_kernel.stages.measure import Quantiles
    from lfr_kernel.telemetry import Summary

__all__ = ["StatusLine", "show_alert", "summary_table"]

COLOURS = {
    CameraState.STREAMING: "green",
    CameraState.CONNECTING: "yellow",
    CameraState.RECONNECTING: "red",
    CameraState.ENDED: "dim",
}


class StatusLine:
    """One line at the bottom of the terminal, on stderr; log lines and alerts scroll above it."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self._live = Live(console=self.console, auto_refresh=False, transient=True, redirect_stdout=False)

    def __enter__(self) -> StatusLine:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Show a plain text."""
        self._live.update(Text(text, style="dim"), refresh=True)

    def show(self, summary: Summary) -> None:
        """Show how things stand."""
        passages = summary.passages
        line = Text.assemble(
            (" ● ", "green"),
            (f"{summary.duration_s:5.0f} s  ", "dim"),
            (f"{summary.fps:.1f} fps  ", "bold"),
            f"faces {summary.faces}  ",
            f"passages {passages.seen} ",
            (f"({passages.open} open)  ", "dim"),
            (f"alerts {len(summary.alerts)}  ", "bold yellow" if summary.alerts else ""),
            *((f"{name} {camera.state.value}  ", COLOURS[camera.state]) for name, camera in summary.cameras.items()),
        )
        permit = Text(f"   permit: {summary.permit}", style="dim")
        self._live.update(Group(line, permit), refresh=True)

    def restore(self) -> None:
        """Give the terminal its cursor back, at once: the process is about to end."""
        self.console.show_cursor()


def show_alert(console: Console, alert: Alert) -> None:
    """Print one alert as it comes."""
    console.print(
        Text.assemble(
            ("ALERT ", "bold yellow"),
            f"{alert.camera}: looks like ",
            (alert.person, "bold"),
            f", similarity {alert.similarity:.2f} (threshold {alert.threshold:.2f}), {alert.faces} faces pooled, ",
            (f"{alert.id}. A proposal: a person decides.", "dim"),
        )
    )


def summary_table(summary: Summary) -> Group:
    """Return the summary of a run as tables."""
    passages, frames = summary.passages, summary.frames
    facts = Table(title=f"{summary.profile}: {summary.ended}", title_justify="left", show_header=False, box=None)
    facts.add_column(style="dim")
    facts.add_column()
    facts.add_row("permit", summary.permit)
    facts.add_row("watchlist", _watchlist(summary))
    facts.add_row(
        "passages",
        f"{passages.seen} seen = {passages.alerted} alerted + {passages.not_matched} not matched + "
        f"{sum(passages.lost.values())} lost{_reasons(passages.lost)}",
    )
    facts.add_row("frames", f"{frames.read} read, {frames.processed} processed{_reasons(frames.dropped, ', dropped')}")
    facts.add_row("faces", f"{summary.faces} found, {summary.probes} embedded")
    facts.add_row("speed", f"{summary.fps:.1f} frames/s over {summary.duration_s:.1f} s")
    facts.add_row("capture to embedding", _quantiles(summary.latency_ms.capture_to_embedding))
    facts.add_row("capture to alert", _quantiles(summary.latency_ms.capture_to_alert))
    parts = [facts]
    troubled = [(name, actor) for name, actor in summary.actors.items() if actor.restarts or actor.last_error]
    if troubled:
        trouble = Table(title="stages that failed", title_justify="left", box=None)
        for heading in ("stage", "state", "restarts", "last error"):
            trouble.add_column(heading)
        for name, actor in troubled:
            trouble.add_row(name, actor.state.value, str(actor.restarts), actor.last_error or "")
        parts.append(trouble)
    if summary.alerts:
        alerts = Table(title="alerts: proposals, for a person to decide", title_justify="left", box=None)
        for heading in ("captured (UTC)", "camera", "person", "similarity", "threshold", "id"):
            alerts.add_column(heading, overflow="fold")
        for alert in summary.alerts:
            alerts.add_row(
                alert.captured_at[11:23],
                alert.camera,
                f"[bold]{alert.person}[/bold]",
                f"{alert.similarity:.2f}",
                f"{alert.threshold:.2f}",
                alert.id,
            )
        parts.append(alerts)
    return Group(*parts)


def _watchlist(summary: Summary) -> str:
    watchlist = summary.watchlist
    text = f"{watchlist.people} people, {watchlist.photographs} photographs, threshold {watchlist.threshold:.2f}"
    if watchlist.rejected:
        text += "; rejected: " + "; ".join(f"{photo}: {reason}" for photo, reason in watchlist.rejected.items())
    return text


def _reasons(counts: dict[str, int], label: str = "") -> str:
    if not any(counts.values()):
        return ""
    return f"{label} (" + ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items())) + ")"


def _quantiles(quantiles: Quantiles) -> str:
    if not quantiles.count:
        return "-"
    return f"p50 {quantiles.p50:.0f} ms, p95 {quantiles.p95:.0f} ms, p99 {quantiles.p99:.0f} ms"
