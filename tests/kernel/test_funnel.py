"""What the hosts counted, put together: what is on its way while it runs was stopped once it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lfr_kernel.stages.embedder import EmbedderFacts
from lfr_kernel.stages.index import IndexFacts
from lfr_kernel.stages.measure import Quantiles
from lfr_kernel.stages.record import RecordFacts
from lfr_kernel.stages.tally import EmbeddedFacts, IndexedFacts, RecordedFacts, TrackedFacts, TrackedTally
from lfr_kernel.stages.tracker import TrackerFacts
from lfr_kernel.telemetry.funnel import funnel_of

if TYPE_CHECKING:
    from lfr_kernel.telemetry import CameraFunnel

NONE = Quantiles(count=0, p50=None, p95=None, p99=None, max=None)


def funnel(*, is_running: bool, name: str = "gate") -> CameraFunnel:
    tracked = TrackedFacts(
        detected=20, untracked=3, tracked=17, gated={"blurred": 4}, spare=3, asked=10, unsent={"crashed": 1},
        dropped={"overflow": 2}, passages=6, over_gate=4,
    )  # fmt: skip
    indexed = IndexedFacts(pooled=4, outliers=1, lost={"late": 1}, searched=3)
    index: dict[str, Any] = dict.fromkeys(IndexFacts.__struct_fields__, 0)
    index |= {"cameras": {"gate": indexed}}
    return funnel_of(
        [name],
        tracker=TrackerFacts(seen=6, open=1, probes=9, cameras={"gate": tracked}, call_ms=NONE),
        embedder=EmbedderFacts(
            probes=7, lost={"overflow": 1, "late": 1}, call_ms=NONE, capture_to_embedding_ms=NONE,
            cameras={"gate": EmbeddedFacts(embedded=7, lost={"overflow": 1, "late": 1})},
        ),
        index=IndexFacts(**index),
        record=RecordFacts(
            alerted=1, not_matched=1, lost={"gated_blurred": 2}, alerts=(),
            cameras={"gate": RecordedFacts(alerted=1, not_matched=1, lost={"gated_blurred": 2})},
        ),
        is_running=is_running,
    )[name]  # fmt: skip


def test_while_it_runs_what_has_no_fate_yet_is_on_its_way_or_open() -> None:
    running = funnel(is_running=True)
    assert (running.faces.on_the_way, running.passages.open) == (1, 2)
    assert running.faces.lost == {"crashed": 1, "overflow": 1, "late": 2}
    assert running.passages.lost == {"gated_blurred": 2}
    assert running.faces.over_gate == 13


def test_once_it_has_ended_the_same_was_stopped() -> None:
    ended = funnel(is_running=False)
    assert (ended.faces.on_the_way, ended.passages.open) == (0, 0)
    assert ended.faces.lost == {"crashed": 1, "overflow": 1, "late": 2, "stopped": 1}
    assert ended.passages.lost == {"gated_blurred": 2, "stopped": 2}


def test_a_camera_of_which_nothing_was_heard_has_a_funnel_of_zeros() -> None:
    silent = funnel(is_running=False, name="yard")
    assert (silent.faces.detected, silent.faces.lost, silent.passages.seen, silent.passages.lost) == (0, {}, 0, {})


@pytest.mark.parametrize(
    ("gates", "wanted", "expected"),
    [
        ({}, [], (0, {}, 0, 0)),
        ({0: None, 1: None, 2: "blurred"}, [0], (3, {"blurred": 1}, 1, 1)),
        ({0: "blurred"}, [0], (1, {}, 0, 1)),
        ({}, [2], (1, {}, 0, 1)),
    ],
)
def test_a_face_that_is_wanted_counts_as_asked_for_whatever_else_is_said_of_it(
    gates: dict[int, str | None], wanted: list[int], expected: tuple[Any, ...]
) -> None:
    tally = TrackedTally()
    tally.take(3, gates, wanted)
    facts = tally.facts()
    assert (facts.tracked, facts.gated, facts.spare, facts.asked) == expected
    assert facts.detected == facts.untracked + facts.tracked == 3
