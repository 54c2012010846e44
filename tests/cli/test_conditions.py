"""A run whose camera sees other conditions than were tested says so, in every alert meanwhile and at its end."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from lfr_kernel.api import Conditions, Coverage, Registry, load_profile, most_looks, recognition_settings
from lfr_kernel.governance.conditions import Range

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DAYS = '''
"""A camera that shows somebody for one picture every two seconds, in the light that its options say."""

import numpy as np
from msgspec import Struct

from lfr_checkerboard.camera import Board, Checkerboard
from lfr_checkerboard.config import CheckerboardConfig
from lfr_kernel.api import CameraPlugin, EndOfInput, Reading, hookimpl


class DayConfig(Struct, frozen=True, forbid_unknown_fields=True):
    light: list[float]
    """How light each picture is."""


class Day:
    pace = "unpaced"

    def __init__(self, config):
        self._light = config.light
        self._board = Checkerboard(CheckerboardConfig()).read().picture.rgb(320, 240)
        self._next = 0

    def open(self):
        self._next = 0

    def read(self):
        if self._next == len(self._light):
            raise EndOfInput
        light, position_ns = self._light[self._next], 2_000_000_000 * self._next
        self._next += 1
        return Reading(picture=Board((self._board * light).astype(np.uint8)), position_ns=position_ns)

    def close(self):
        pass


@hookimpl
def lfr_plugins():
    return [CameraPlugin(name="day", api=1, summary="days", config=DayConfig, create=Day)]
'''
PROFILE = """
name = "day"
permit = "{permit}"

[[cameras]]
name = "gate"
plugin = "day"
options = {{ light = {light} }}

[watchlist]
images = "${{here}}/watchlist"

[detector]
plugin = "middle"

[embedder]
plugin = "thumbnail"

[tracker]
options = {{ min_sharpness = 0 }}

[[sinks]]
plugin = "jsonl"
details = true
options = {{ path = "${{here}}/alerts.jsonl" }}
"""
TESTED = Conditions(
    passages=500, face_px=Range(p5=100, p95=140), highlight=Range(p5=90, p95=220), sharpness=Range(p5=0, p95=1)
)
DAY, DUSK = 1.0, 0.3
"""The light parts of the board have a grey value of 190 by day."""


@pytest.fixture
def spend(lfr: Callable[..., Any], board: Any) -> Callable[..., tuple[Any, list[dict[str, Any]]]]:
    """Run a day in such light, one passage a picture; return the result and the alerts that were written."""
    board.site.distribution("lfr-day", DAYS)

    def run(light: Sequence[float], *arguments: str, conditions: Conditions | None = TESTED) -> Any:
        text = PROFILE.format(permit="development", light=list(light))
        board.write(text)
        profile, _ = load_profile(board.profile, registry := Registry.discover())
        models = {}
        for stage in ("detector", "embedder"):
            model = registry.get(stage, getattr(profile, stage).plugin).create(getattr(profile, stage).options)
            models[stage] = model.digest
        covers = Coverage(
            report_class="benchmark",
            data="boards",
            listed=1,
            looks=most_looks(profile) or 1,
            target_fpir=0.005,
            threshold=0.62,
            settings=recognition_settings(profile),
            conditions=conditions,
            **models,
        )
        path = board.folder / "report.json"
        path.write_bytes(msgspec.json.encode({"covers": covers}))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        board.write(text + f'\n[basis]\nreport = "${{here}}/report.json"\ndigest = "{digest}"\n')
        kept = board.folder / "alerts.jsonl"
        kept.unlink(missing_ok=True)
        result = lfr("-p", board.profile, *arguments)
        assert result.code == 0, result.err
        return result, [json.loads(line)["alert"] for line in kept.read_text(encoding="utf-8").splitlines()]

    return run


def logged(err: str, event: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in err.splitlines() if f'"event": "{event}"' in line]


def test_dusk_is_said_in_the_alerts_from_then_on_and_in_the_summary(spend: Callable[..., Any]) -> None:
    # So many by day that the first alerts are out before it gets dark, whatever waits in mailboxes on the way.
    result, alerts = spend([DAY] * 240 + [DUSK] * 40, "--json")
    reason = "camera gate: faces darker than tested (25 of 100 passages below highlight 90, median 190)"
    (event,) = logged(result.err, "conditions_outside")
    assert (event["level"], event["camera"], event["reason"]) == ("warning", "gate", reason)
    assert result.json["basis"]["reasons"] == [reason]
    assert result.json["basis"]["state"] == "outside"
    (conditions,) = result.json["conditions"].values()
    assert (conditions["passages"], conditions["outside"], conditions["ever"]) == (100, ["darker"], ["darker"])
    assert len(alerts) == 280
    assert "covers this run" in alerts[0]["basis"]
    assert "OUTSIDE: camera gate: faces darker" in alerts[-1]["basis"]
    said = ["OUTSIDE" in alert["basis"] for alert in alerts]
    assert said == sorted(said)


def test_the_light_comes_back_and_the_record_of_the_run_keeps_the_dusk(spend: Callable[..., Any]) -> None:
    result, alerts = spend([DUSK] * 30 + [DAY] * 120)
    assert [event["was"][:44] for event in logged(result.err, "conditions_inside")] == [
        "camera gate: faces darker than tested (20 of"
    ]
    assert "covers this run" in alerts[-1]["basis"]
    shown = " ".join(result.out.split())
    assert "OUTSIDE camera gate: faces darker than tested (20 of 20 passages below highlight 90, median 57)" in shown
    assert "sharpness" in shown
    assert "medians of the last 100 passages; darker than tested for a while" in shown
    assert max(map(len, result.out.splitlines())) <= 80


def test_a_day_as_it_was_tested_is_covered_and_so_is_one_that_nobody_can_compare(spend: Callable[..., Any]) -> None:
    result, alerts = spend([DAY] * 40, "--json")
    assert result.json["basis"]["state"] == "covered"
    assert result.json["conditions"]["gate"]["outside"] == []
    assert not logged(result.err, "conditions_outside")
    assert "covers this run" in alerts[-1]["basis"]
    result, _ = spend([DUSK] * 40, "--json", conditions=None)
    assert result.json["basis"]["state"] == "covered"
    assert result.json["basis"]["notes"] == ["the report does not say in which light and from how far faces were seen"]
