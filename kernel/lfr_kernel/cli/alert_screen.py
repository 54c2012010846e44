"""What a person sees of an alert on a terminal: both pictures, the scale, what is known, and what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from lfr_kernel.cli.screen import printable
from lfr_kernel.governance.alerts.statements import Assessed, Closed, Engaged
from lfr_kernel.governance.alerts.states import State
from lfr_kernel.governance.audit.chain import iso_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console, RenderableType

    from lfr_kernel.governance.alerts.statements import Step
    from lfr_kernel.governance.alerts.steps import Opened
    from lfr_kernel.governance.alerts.store import Kept

__all__ = ["STYLES", "alert_table", "alert_view"]

STYLES = {
    State.OPEN: "bold yellow",
    State.VIEWED: "yellow",
    State.ASSESSED: "yellow",
    State.ENGAGE: "bold green",
    State.ENGAGED: "green",
    State.DISMISSED: "dim",
    State.OUTCOME: "dim",
}
WIDEST, NARROWEST = 44, 12
GAP = 4
NS_S = 10**9


def alert_table(alerts: Sequence[Kept], now_ns: int) -> Table:
    """Return a table of alerts: nothing but what can be read without their keys."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("alert", "no", "raised (UTC)"):
        table.add_column(heading, no_wrap=True)
    table.add_column("camera", overflow="fold", max_width=14)
    table.add_column("state", no_wrap=True)
    table.add_column("", overflow="fold")
    for one in alerts:
        table.add_row(
            one.id,
            str(one.deployment),
            _time(one.raised_ns),
            Text(printable(one.camera)),
            Text(one.state, STYLES[one.state]),
            Text(_note(one, now_ns), "dim"),
        )
    return table


def _note(one: Kept, now_ns: int) -> str:
    if not one.is_actionable(now_ns):
        return "too late to act on"
    if one.delivered_ns is None:
        left_s = (one.act_by_ns - now_ns) / NS_S
        return f"{left_s:.0f} s left to act"
    return ""


def alert_view(
    console: Console, opened: Opened, pictures: tuple[NDArray[np.uint8], NDArray[np.uint8] | None] | None, now_ns: int
) -> RenderableType:
    """Return an alert as a person needs it to decide.

    Args:
        console: on which it is to be shown.
        opened: the alert.
        pictures: probe and listed photograph, uint8 [H, W, 3] RGB each; None once they have expired.
        now_ns: UTC.
    """
    alert, kept = opened.proposal.alert, opened.kept
    heading = Text.assemble(
        ("PROPOSED MATCH  ", "bold yellow"), (kept.id, "bold"), "  ", (kept.state, STYLES[kept.state])
    )
    parts: list[RenderableType] = [heading]
    if not kept.is_actionable(now_ns):
        parts.append(Text("It came too late for anybody to act on it.", "bold red"))
    if pictures is None:
        parts.append(Text("Its pictures have expired, and are destroyed.", "yellow"))
    else:
        parts += _side_by_side(console, *pictures)
    parts += ["", _scale(alert.similarity, alert.threshold, min(console.width, 76)), "", _facts(opened)]
    if opened.steps:
        parts += ["", *(_step(one) for one in opened.steps)]
    parts += ["", *_next(opened)]
    return Group(*parts)


def _side_by_side(
    console: Console, probe: NDArray[np.uint8], listed: NDArray[np.uint8] | None
) -> Iterator[RenderableType]:
    from lfr_kernel.cli.blocks import blocks  # noqa: PLC0415  (needs numpy, which a list of alerts does not)

    width = max(NARROWEST, min(WIDEST, (console.width - GAP) // 2))
    height = max(NARROWEST // 2, min(width // 2, console.height - 16)) if console.is_terminal else width // 2
    has_colours = console.color_system is not None
    columns = [blocks(probe, 2 * height, height, has_colours=has_colours)]
    labels = ["seen by the camera"]
    if listed is not None:
        columns.append(blocks(listed, 2 * height, height, has_colours=has_colours))
        labels.append("listed photograph")
    else:
        labels.append("the entry was withdrawn: no photograph")
    yield Text((" " * GAP).join(label[: 2 * height].ljust(2 * height) for label in labels), "dim")
    for line in zip(*columns, strict=True):
        yield Text(" " * GAP).join(line)


def _scale(similarity: float, threshold: float, width: int) -> Text:
    """Return similarity and threshold on an axis from 0 to 1: cosines, never a percentage."""
    bar = max(20, width - 8)
    at, limit = (round(min(1.0, max(0.0, one)) * (bar - 1)) for one in (similarity, threshold))
    axis = ["─"] * bar
    axis[limit], axis[at] = "┃", "●"
    text = Text("0 ", "dim").append("".join(axis[:at]), "yellow").append(axis[at], "bold yellow")
    text.append("".join(axis[at + 1 :]), "dim").append(" 1", "dim")
    return Text("\n").join(
        [text, Text(f"similarity {similarity:.2f}, threshold {threshold:.2f} (cosine; not a probability)")]
    )


def _facts(opened: Opened) -> Table:
    alert, about, titles = opened.proposal.alert, opened.proposal.about, opened.handling.titles
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")

    def row(label: str, value: str, style: str = "") -> None:
        table.add_row(label, Text(printable(value), style))

    row("camera", f"{alert.camera}, {alert.faces} faces pooled")
    row("captured", f"{_time(alert.captured_at_ns)}Z; {_later(opened)}")
    row("quality", f"{alert.quality:.2f} of 1")
    row("basis", alert.basis, "" if "covers" in alert.basis else "yellow")
    if about is None:
        row("entry", "withdrawn since: recalled, or expired", "bold red")
    else:
        row("may be", about.person, "bold")
        row("why listed", f"{titles.get(about.category, about.category)}: {about.reason}")
        age = (alert.captured_at_ns // NS_S) - int(_midnight(about.taken.isoformat()))
        row("photograph", f"taken {about.taken}, {age // 86_400} days before; {titles.get(about.source, about.source)}")
        if about.under_18 or about.vulnerable:
            row("take care", " and ".join(_flags(about.under_18, about.vulnerable)), "bold red")
        row("what to do", about.response)
    row("expires", iso_of(opened.kept.expires_s * NS_S)[:16] + "Z")
    return table


def _later(opened: Opened) -> str:
    """Say how long after the capture the rest came."""
    alert, since_ns = opened.proposal.alert, opened.proposal.alert.captured_at_ns
    times = (("decoded", alert.decoded_at_ns), ("raised", alert.alerted_at_ns), ("delivered", opened.kept.delivered_ns))
    said = [f"{what} {(at_ns - since_ns) / NS_S:.1f} s later" for what, at_ns in times if at_ns]
    return ", ".join([*said, f"good for {(opened.kept.act_by_ns - since_ns) / NS_S:.0f} s"])


def _flags(under_18: bool, vulnerable: bool) -> Iterator[str]:  # noqa: FBT001
    if under_18:
        yield "under 18"
    if vulnerable:
        yield "vulnerable"


def _midnight(date: str) -> float:
    import datetime as dt  # noqa: PLC0415

    return dt.datetime.fromisoformat(date).replace(tzinfo=dt.UTC).timestamp()


def _step(step: Step) -> Text:
    line = Text.assemble((f"{_time(step.at_ns)}  ", "dim"), printable(step.by), "  ", (_said(step), "bold"))
    text = getattr(step.body, "text", "")
    if getattr(step.body, "corrects", None) is not None:
        line.append(f"  (corrects entry {step.body.corrects})", "yellow")  # type: ignore[union-attr]
    return line.append(f"\n    {printable(text)}", "dim") if text else line


def _said(step: Step) -> str:
    body = step.body
    if isinstance(body, Assessed):
        return f"assessed: {body.verdict}"
    if isinstance(body, Engaged):
        told = ", ".join(
            what
            for what, is_so in (
                ("searched", body.searched),
                ("told why", body.explained),
                ("told where to complain", body.complaint_route),
            )
            if is_so
        )
        return f"engaged: {body.power}, force {body.force}, {body.minutes:g} min{', ' + told if told else ''}"
    if isinstance(body, Closed):
        described = [
            f"{name} {one.value} ({one.known})"
            for name, one in (("sex", body.sex), ("age", body.age), ("ethnicity", body.ethnicity))
            if one is not None
        ]
        parts = [
            f"{body.truth} ({body.proof})",
            *([f"outcome {body.outcome}"] if body.outcome else []),
            *([f"grounds {body.grounds}"] if body.truth == "true" else []),
            *([f"cause {body.cause}"] if body.cause else []),
            *([f"case {body.case}"] if body.case else []),
            *described,
        ]
        return "closed: " + ", ".join(parts)
    return f"looked ({step.reason})"


def _next(opened: Opened) -> Iterator[Text]:
    alert, state = opened.kept.id, opened.case.state
    yield Text("A proposal. A person decides.", "bold")
    if state in {State.OPEN, State.VIEWED, State.ASSESSED}:
        yield Text(f"next: lfr-kernel alerts assess {alert} --dismiss | --engage", "dim")
    elif state is State.ENGAGE:
        yield Text(f"next: lfr-kernel alerts engage {alert} …, or alerts outcome {alert} --outcome not-found", "dim")
    elif state is State.ENGAGED:
        yield Text(f"next: lfr-kernel alerts outcome {alert} --outcome … --truth …", "dim")
    elif opened.case.closing is None:
        yield Text(f"next, if it becomes known: lfr-kernel alerts outcome {alert} --truth true | false", "dim")


def _time(at_ns: int) -> str:
    return iso_of(at_ns)[:19].replace("T", " ")
