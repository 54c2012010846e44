"""The sink `console`: alerts on the terminal, for whoever sits in front of it."""

from __future__ import annotations

import sys
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from lfr_kernel.api import PermanentError
from lfr_plugins.sinks.wording import TOO_LATE, local_clock, printable

if TYPE_CHECKING:
    from lfr_kernel.api import Alert, NoConfig, Notice, SinkContext

__all__ = ["ConsoleSink", "as_text"]

_REMEMBERED = 4096


def as_text(notice: Notice) -> Text:
    """Return a notice as lines for a person to read: two, or four and who it may be where it has details."""
    if notice.alert is not None:
        return _detailed(notice, notice.alert)
    time = local_clock(notice.alerted_at_ns)
    return Text.assemble(
        (time, "dim"),
        "  ",
        ("ALERT", "bold yellow"),
        f"  {printable(notice.camera)}: {printable(notice.id)}, {printable(notice.state)}",
        "" if notice.is_actionable else f"; {TOO_LATE}",
        (f"\n{' ' * (len(time) + 2)}permit: {printable(notice.permit)}", "dim"),
    )


def _detailed(notice: Notice, alert: Alert) -> Text:
    faces = "1 face" if alert.faces == 1 else f"{alert.faces} faces"
    time = local_clock(alert.alerted_at_ns)
    margin = " " * (len(time) + 2)
    return Text.assemble(
        (time, "dim"),
        "  ",
        ("ALERT", "bold yellow"),
        f"  {printable(alert.camera)}: may be ",
        (printable(alert.person), "bold"),
        ", similarity ",
        (f"{alert.similarity:.2f}", "bold yellow"),
        f" (threshold {alert.threshold:.2f})\n",
        (f"{margin}{faces} pooled. A proposal: a person decides. Alert {printable(alert.id)}", "dim"),
        "" if notice.state == "open" else f", {printable(notice.state)}",
        "" if notice.is_actionable else (f"\n{margin}{TOO_LATE}", "bold"),
        f"\n{margin}{printable(alert.basis)}",
        (f"\n{margin}permit: {printable(alert.permit)}", "dim"),
    )


class ConsoleSink:
    """Prints alerts to stderr: coloured on a terminal unless NO_COLOR is set, plain elsewhere. Keeps nothing."""

    def __init__(self, config: NoConfig, context: SinkContext) -> None:
        del config
        self._context = context
        self._printed: deque[str] = deque(maxlen=_REMEMBERED)

    async def deliver(self, notice: Notice) -> None:
        """Print one notice, unless it has been.

        Raises:
            PermanentError: stderr is closed.
        """
        if notice.id not in self._printed:
            await self._context.run_blocking(partial(self._print, notice))

    def _print(self, notice: Notice) -> None:
        # Rich writes past a live status line that has taken sys.stderr over; plain writes scroll above the line.
        try:
            console = Console(stderr=True, highlight=False)
            with console.capture() as captured:
                console.print(as_text(notice), soft_wrap=True)
            sys.stderr.write(captured.get())
            sys.stderr.flush()
        except (OSError, ValueError) as error:
            raise PermanentError(
                f"cannot print alerts, stderr is gone ({error}); use the sink jsonl where there is no terminal"
            ) from error
        self._printed.append(notice.id)

    async def expire(self, before_ns: int) -> int:
        """Nothing is kept."""
        del before_ns
        return 0

    async def close(self) -> None:
        """Nothing is open."""
