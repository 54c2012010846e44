"""An alert in windows of several sizes: what has to be compared can be, and what fits is on one screen."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from governance.alerts.playing import picture
from governance.alerts.support import ENGAGED, RIGHT
from lfr_kernel.cli.alert_screen import alert_view
from lfr_kernel.governance.alerts.steps import look
from lfr_kernel.governance.alerts.vocabulary import Reason, Verdict

if TYPE_CHECKING:
    from governance.alerts.support import Duty


def lines_of(duty: Duty, alert: str, *, width: int, height: int) -> list[str]:
    """Return what a window of this size is printed."""
    site, file = duty.site, io.StringIO()
    opened = look(site.vault, alert, site.signers["dee"], reason=Reason.ASSESS)
    console = Console(
        file=file, width=width, height=height, force_terminal=True, color_system=None, highlight=False, _environ={}
    )
    console.print(alert_view(console, opened, (picture(0), picture(100)), site.clocks().utc_ns))
    return file.getvalue().splitlines()


def drawn(lines: list[str]) -> list[str]:
    """The lines of both pictures: they stand between their labels and the scale, or an empty line before it."""
    labels = next(number for number, line in enumerate(lines) if line.startswith("seen by the camera"))
    rest = lines[labels + 1 :]
    return rest[: next(number for number, line in enumerate(rest) if not line.strip() or line.startswith("0 ─"))]


@pytest.mark.parametrize(("height", "high"), [(10, 16), (24, 16), (40, 18), (60, 19)])
def test_pictures_are_never_too_small_to_tell_faces_by(duty: Duty, height: int, high: int) -> None:
    found = drawn(lines_of(duty, duty.plant(), width=80, height=height))
    assert len(found) == high
    assert max(map(len, found)) == 2 * 2 * high + 4


def test_in_a_low_window_what_stays_on_it_is_what_has_to_be_compared(duty: Duty) -> None:
    alert = duty.plant()
    duty.site.clocks.pass_(minutes=3)
    last = lines_of(duty, alert, width=80, height=24)[-23:]
    assert last[0].startswith("PROPOSED MATCH")
    assert last[1].startswith("It came too late for anybody to act on it.")
    assert last[2].startswith("seen by the camera")
    assert len(drawn(last)) == 16
    assert last[-2].startswith("A proposal. A person decides.")
    assert "--engage" not in last[-1]


@pytest.mark.parametrize("steps", [0, 4])
def test_with_what_was_done_so_far_it_fills_a_window_that_is_high_enough(duty: Duty, steps: int) -> None:
    alert = duty.plant()
    if steps:
        duty.assess(alert, Verdict.ENGAGE)
        duty.engage(alert, ENGAGED)
        duty.close(alert, RIGHT)
    lines = lines_of(duty, alert, width=120, height=42)
    assert len(lines) <= 42 - 1, "the terminal asks for the next command on the last line"
    assert len(lines) == 41 or len(drawn(lines)) == 22, "no more is given up than has to be"


def test_a_step_that_is_long_is_folded_beside_its_time(duty: Duty) -> None:
    alert = duty.plant()
    duty.assess(alert, Verdict.ENGAGE, text="by the scar")
    duty.engage(alert)
    lines = lines_of(duty, alert, width=60, height=40)
    at = next(number for number, line in enumerate(lines) if "engaged: pace-24" in line)
    assert lines[at].startswith("2030-06-01 12:00:00  person dee  engaged: pace-24")
    assert lines[at + 1].startswith(" " * 21 + "none, 4 min"), lines[at : at + 3]
    assert " " * 21 + "by the scar" in [line.rstrip() for line in lines]
