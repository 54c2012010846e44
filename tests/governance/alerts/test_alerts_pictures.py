"""Pictures of an alert come from whatever camera plugin packed them, or are said not to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from governance.alerts.terminal import Terminal
from lfr_kernel.cli.registry import registry_of
from lfr_kernel.governance.alerts.custody import expiry_s
from lfr_kernel.governance.alerts.statements import Pictures, Proposal
from lfr_kernel.governance.alerts.store import keep
from lfr_kernel.plugins import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from calling import Result
    from governance.alerts.support import Duty

HALF = "\N{UPPER HALF BLOCK}"
SHADES = np.array([[[0, 0, 0], [255, 255, 255]], [[255, 255, 255], [0, 0, 0]]], np.uint8).repeat(8, 0).repeat(8, 1)


@pytest.fixture
def terminal(duty: Duty, lfr: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a terminal with the plugins that are installed."""
    made = Terminal(duty, lfr, monkeypatch)
    monkeypatch.setattr("lfr_kernel.cli.alerts.registry_of", registry_of)
    return made


def plant(duty: Duty, reader: str, probe: bytes, listed: bytes | None) -> str:
    alert = duty.alert()
    at = expiry_s(alert.alerted_at_ns, 86_400)
    pictures = Pictures(reader=reader, probe=probe, listed=listed)
    proposal = Proposal(alert=alert, about=duty.site.rows[0].about)
    assert keep(duty.site.vault, duty.serial, proposal, pictures, expires=(at, at), sinks=())
    return alert.id


def test_they_are_unpacked_by_the_plugin_that_packed_them(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    stills = Registry.discover().get("camera", "images").stills
    assert stills is not None
    packed = stills().encode(SHADES)
    alert = plant(terminal.duty, "images", packed, packed)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("LINES", "40")
    colours = terminal.ok("show", alert, "--reason", "assess")
    assert "\x1b[38;2;0;0;0;48;2;0;0;0m" + HALF in colours
    assert "\x1b[38;2;255;255;255;48;2;255;255;255m" + HALF in colours
    monkeypatch.delenv("FORCE_COLOR")
    rows = terminal.ok("show", alert, "--reason", "assess").splitlines()[2:21]
    dark, light = " " * 19, "@" * 19
    assert rows[0].rstrip() == dark + light + " " * 4 + dark + light
    assert rows[-1].rstrip() == light + dark + " " * 4 + light


def test_a_plugin_that_is_not_there_any_more_is_named(terminal: Terminal) -> None:
    alert = plant(terminal.duty, "letters", b"abc", None)
    refused = terminal.refused("show", alert, "--reason", "assess")
    assert "camera" in refused
    assert "letters" in refused
    # That somebody wanted to look stands in the log all the same; and JSON needs no plugin.
    assert len(terminal.duty.site.acts("alert_viewed")) == 1
    assert terminal.json("show", alert, "--reason", "assess", "--pictures")["pictures"]["probe"] == "YWJj"
