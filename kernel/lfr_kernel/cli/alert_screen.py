"""What a person sees of an alert on a terminal: both pictures, the scale, what is known, and what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Group
from rich.text import Text

from lfr_kernel.cli.printing import printable
from lfr_kernel.governance.alerts.statements import Assessed, Closed, Engaged
from lfr_kernel.governance.alerts.states import UNDECIDED, State
from lfr_kernel.governance.audit.chain import iso_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console, RenderableType
    from rich.table import Table

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
HEADINGS = ("alert", "no", "raised (UTC)", "camera", "state", "to act")
LONGEST_CAMERA = 14
"""Columns: with it a line has eighty."""
WIDEST, NARROWEST = 44, 12
LOWEST = 16
"""Lines of a picture in a window that is too low for all: with fewer nobody could tell one face from another."""
GAP = 4
NS_S = 10**9


def alert_table(alerts: Sequence[Kept], now_ns: int) -> Text:
    """Return a table of alerts: nothing but what can be read without their keys. No line is to be wrapped."""
    cameras = [_camera(one.camera) for one in alerts]
    longest = max(map(cell_len, [HEADINGS[3], *cameras]))
    serial = max(len(HEADINGS[1]), *(len(str(one.deployment)) for one in alerts))
    widths = (max(len(one.id) for one in alerts), serial, len("2030-01-01 12:00:00"), longest, max(map(len, State)))
    rule = "  ".join(f"{{:{width}}}" for width in widths) + "  {}"
    # Laid out here: rich's own table takes a third of a second for a thousand rows.
    table = Text(no_wrap=True, overflow="ignore").append(rule.format(*HEADINGS), "dim")
    for one, camera in zip(alerts, cameras, strict=True):
        cells = f"{one.id:{widths[0]}}  {one.deployment:<{serial}}  {_time(one.raised_ns)}  "
        table.append(f"\n{cells}{camera}{' ' * (longest - cell_len(camera))}  ")
        table.append(f"{one.state:{widths[4]}}  ", STYLES[one.state]).append(_note(one, now_ns), "dim")
    return table


def _camera(name: str) -> str:
    shown = printable(name)
    return shown if cell_len(shown) <= LONGEST_CAMERA else set_cell_size(shown, LONGEST_CAMERA - 1) + "…"


def _note(one: Kept, now_ns: int) -> str:
    if not one.is_actionable(now_ns):
        return "too late"
    if one.state not in UNDECIDED:
        return ""
    left_s = (one.act_by_ns - now_ns) / NS_S
    return f"{left_s:.0f} s left" if left_s >= 0 else f"{_ago(-left_s)} ago"


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


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
    is_late = not kept.is_actionable(now_ns)
    top: list[RenderableType] = [heading]
    if is_late:
        top.append(Text("It came too late for anybody to act on it.", "bold red"))
    elif now_ns > kept.act_by_ns and kept.state in UNDECIDED:
        passed = _ago((now_ns - kept.act_by_ns) / NS_S)
        top.append(Text(f"The time to act on it passed {passed} ago: the person has most likely gone.", "bold yellow"))
    scale = _scale(alert.similarity, alert.threshold, min(console.width, 76))
    known: list[RenderableType] = [_facts(opened)]
    if opened.steps:
        known += ["", _steps(opened.steps)]
    # Nobody engages on what they have not seen.
    last = list(_next(opened, is_late=is_late or pictures is None or pictures[1] is None))
    if pictures is None:
        top.append(Text("Its pictures have expired, and are destroyed.", "yellow"))
        return Group(*top, "", scale, "", *known, "", *last)
    # Beside them there are their labels, and the line on which the terminal asks for the next command.
    rest = len(console.render_lines(Group(*top, "", scale, "", *known, "", *last), pad=False)) + 2
    faces = list(_side_by_side(console, console.height - rest, *pictures))
    if console.is_terminal and rest + len(faces) - 1 > console.height:
        # What is looked at last is what stays on a low screen.
        return Group(*known, "", *top, *faces, scale, *last)
    return Group(*top, *faces, "", scale, "", *known, "", *last)


def _side_by_side(
    console: Console, room: int, probe: NDArray[np.uint8], listed: NDArray[np.uint8] | None
) -> Iterator[RenderableType]:
    from lfr_kernel.cli.blocks import blocks  # noqa: PLC0415  (needs numpy, which a list of alerts does not)

    height = max(NARROWEST, min(WIDEST, (console.width - GAP) // 2)) // 2
    if console.is_terminal:
        height = min(height, max(LOWEST, room))
    has_colours = console.color_system is not None and not console.no_color
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
    from rich.table import Table  # noqa: PLC0415  (a list of alerts needs none)

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
        row("why listed", f"{titles.categories.get(about.category, about.category)}: {about.reason}")
        age = (alert.captured_at_ns // NS_S) - int(_midnight(about.taken.isoformat()))
        row(
            "photograph",
            f"taken {about.taken}, {age // 86_400} days before; {titles.sources.get(about.source, about.source)}",
        )
        if about.under_18 or about.vulnerable:
            row("take care", " and ".join(_flags(about.under_18, about.vulnerable)), "bold red")
        row("what to do", about.response)
    row("expires", _time(opened.kept.expires_s * NS_S)[:16] + "Z")
    return table


def _later(opened: Opened) -> str:
    """Say how long after the capture the rest came."""
    alert, since_ns = opened.proposal.alert, opened.proposal.alert.captured_at_ns
    times = (("decoded", alert.decoded_at_ns), ("raised", alert.alerted_at_ns), ("delivered", opened.kept.delivered_ns))
    said = [f"{what} {max(0, at_ns - since_ns) / NS_S:.1f} s later" for what, at_ns in times if at_ns]
    return ", ".join([*said, f"good for {(opened.kept.act_by_ns - since_ns) / NS_S:.0f} s"])


def _flags(under_18: bool, vulnerable: bool) -> Iterator[str]:  # noqa: FBT001
    if under_18:
        yield "under 18"
    if vulnerable:
        yield "vulnerable"


def _midnight(date: str) -> float:
    import datetime as dt  # noqa: PLC0415

    return dt.datetime.fromisoformat(date).replace(tzinfo=dt.UTC).timestamp()


def _steps(steps: Sequence[Step]) -> Table:
    from rich.table import Table  # noqa: PLC0415  (a list of alerts needs none)

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for one in steps:
        table.add_row(_time(one.at_ns), _step(one))
    return table


def _step(step: Step) -> Text:
    line = Text.assemble(printable(step.by), "  ", (printable(_said(step)), "bold"))
    text = getattr(step.body, "text", "")
    if getattr(step.body, "corrects", None) is not None:
        line.append(f"  (corrects entry {step.body.corrects})", "yellow")  # type: ignore[union-attr]
    return line.append(f"\n{printable(text)}", "dim") if text else line


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
            *([f"arrests {body.arrests}"] if body.arrests > 1 else []),
            *([f"grounds {body.grounds}"] if body.truth == "true" else []),
            *([f"cause {body.cause}"] if body.cause else []),
            *([f"case {body.case}"] if body.case else []),
            *described,
        ]
        return "closed: " + ", ".join(parts)
    return f"looked ({step.reason})"


def _next(opened: Opened, *, is_late: bool) -> Iterator[Text]:
    alert, state = opened.kept.id, opened.case.state
    yield Text("A proposal. A person decides.", "bold")
    if state is State.VIEWED and opened.case.assessments:
        yield Text("next: somebody else assesses it, who does not see what you made of it", "dim")
    elif state in UNDECIDED:
        yield Text(f"next: lfr-kernel alerts assess {alert} --dismiss{'' if is_late else ' | --engage'}", "dim")
    elif state is State.ENGAGE:
        yield Text(f"next: lfr-kernel alerts engage {alert} …, or alerts outcome {alert} --outcome not-found", "dim")
    elif state is State.ENGAGED:
        yield Text(f"next: lfr-kernel alerts outcome {alert} --outcome … --truth …", "dim")
    elif opened.case.closing is None:
        yield Text(f"next, if it becomes known: lfr-kernel alerts outcome {alert} --truth true | false", "dim")


def _time(at_ns: int) -> str:
    return iso_of(at_ns)[:19].replace("T", " ")
