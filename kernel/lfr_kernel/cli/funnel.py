"""The loss funnel on a terminal: for each camera a line of faces, a line of passages, and what was lost and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import RenderableType

    from lfr_kernel.telemetry import CameraFunnel

__all__ = ["funnel_tables", "reasons"]

EXACT_BELOW = 100_000
LONGEST_NAME = 12
"""Columns for the name of a camera: what is longer goes on in the next line."""


def funnel_tables(
    funnel: Mapping[str, CameraFunnel], clean: Callable[[str], str] = lambda text: text
) -> list[RenderableType]:
    """Return tables that fit 80 columns: each step with its share of the step before; nothing where nobody was seen.

    Args:
        funnel: by camera.
        clean: makes a name from elsewhere fit for a terminal.
    """
    faces = _table("faces", ("found", "tracked", "over gate", "asked", "embedded", "pooled"))
    passages = _table("passages", ("seen", "over gate", "searched", "alerted"))
    for name, camera in funnel.items():
        face, passage = camera.faces, camera.passages
        _row(faces, clean(name), (face.detected, face.tracked, face.over_gate, face.asked, face.embedded, face.pooled))
        _row(passages, clean(name), (passage.seen, passage.over_gate, passage.searched), (passage.alerted,))
    return [faces, *_losses(funnel, clean, _faces_lost), Text(), passages, *_losses(funnel, clean, _passages_lost)]


def _table(unit: str, steps: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column(unit, style="bold", max_width=LONGEST_NAME, min_width=LONGEST_NAME, overflow="fold")
    for step in steps:
        table.add_column(step, justify="right", no_wrap=True, min_width=9)
    return table


def _row(table: Table, name: str, steps: Sequence[int], counts: Sequence[int] = ()) -> None:
    """Add a line: `steps` with their shares of the one before, `counts` bare: alerts are no share of anything."""
    cells = [_share(count, steps[number - 1]) if number else _short(count) for number, count in enumerate(steps)]
    table.add_row(Text(name), *cells, *(_short(count) for count in counts))


def _share(count: int, of: int) -> Text:
    share = f" {count / of:.0%}" if of else ""
    return Text.assemble(_short(count), (share, "dim"))


def _short(count: int) -> str:
    """Return a count in five signs at most: `--json` has it whole."""
    if count < EXACT_BELOW:
        return str(count)
    return f"{count // 1_000}k" if count < EXACT_BELOW * 100 else f"{count // 1_000_000}M"


def _losses(
    funnel: Mapping[str, CameraFunnel], clean: Callable[[str], str], of: Callable[[CameraFunnel], str]
) -> list[Text]:
    lines = []
    for name, camera in funnel.items():
        text = of(camera)
        if text:
            lines.append(Text(f"  {clean(name)}: {text}" if len(funnel) > 1 else f"  {text}", style="dim"))
    return lines


def _faces_lost(camera: CameraFunnel) -> str:
    faces = camera.faces
    parts = (
        f"untracked {faces.untracked}" if faces.untracked else "",
        reasons(faces.gated, "gated: "),
        f"spare {faces.spare}" if faces.spare else "",
        f"outliers {faces.outliers}" if faces.outliers else "",
        reasons(faces.lost, "lost: "),
        reasons(faces.dropped, "with dropped frames: "),
    )
    return "; ".join(part for part in parts if part)


def _passages_lost(camera: CameraFunnel) -> str:
    passages = camera.passages
    open_still = f"open {passages.open}" if passages.open else ""
    matched = f"not matched {passages.not_matched}" if passages.not_matched else ""
    return "; ".join(part for part in (matched, reasons(passages.lost, "lost: "), open_still) if part)


def reasons(counts: Mapping[str, int], label: str = "") -> str:
    """Return `label` and each reason with its count, the most frequent first; nothing where nothing is counted."""
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    text = ", ".join(f"{reason} {count}" for reason, count in ordered if count)
    return f"{label}{text}" if text else ""
