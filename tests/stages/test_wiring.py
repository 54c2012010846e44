"""The graph follows from what the stages declare, and what cannot work is refused with both ends named."""

from __future__ import annotations

from typing import ClassVar

import pytest
from msgspec import Struct

from lfr_kernel.messages import Alert, Faces, Frame, Match, Probe
from lfr_kernel.runtime import Actor, Consumes, Overflow, Policy
from lfr_kernel.stages.camera import CameraHost
from lfr_kernel.stages.desk import AlertDesk
from lfr_kernel.stages.detector import DetectorHost
from lfr_kernel.stages.embedder import EmbedderHost
from lfr_kernel.stages.index import IndexHost
from lfr_kernel.stages.record import Record
from lfr_kernel.stages.retention import RetentionHost
from lfr_kernel.stages.sink import SinkHost
from lfr_kernel.stages.tracker import TrackerHost
from lfr_kernel.wiring import Node, WiringError, connect, describe_policy, render


def graph(*, unpaced: bool = False) -> list[Node]:
    return [
        Node(name="camera:gate", kind=CameraHost, lane="camera:gate", is_unpaced=unpaced),
        Node(name="camera:door", kind=CameraHost, lane="camera:door"),
        Node(name="detector", kind=DetectorHost, lane="compute"),
        Node(name="tracker", kind=TrackerHost, lane="tracker"),
        Node(name="embedder", kind=EmbedderHost, lane="compute"),
        Node(name="index", kind=IndexHost, lane="index"),
        Node(name="desk", kind=AlertDesk, lane="-"),
        Node(name="sink:screen", kind=SinkHost, lane="sink:screen"),
        Node(name="sink:file", kind=SinkHost, lane="sink:file"),
        Node(name="record", kind=Record, lane="-"),
        Node(name="retention", kind=RetentionHost, lane="-"),
    ]


def without(name: str) -> list[Node]:
    return [node for node in graph() if node.name != name]


def test_everyone_who_consumes_hears_everyone_who_produces() -> None:
    edges = {(edge.producer, edge.message.__name__, edge.consumer) for edge in connect(graph())}
    assert edges == {
        ("camera:gate", "Frame", "detector"),
        ("camera:door", "Frame", "detector"),
        ("detector", "Faces", "tracker"),
        ("tracker", "ProbeRequest", "embedder"),
        ("tracker", "Passage", "index"),
        ("embedder", "Probe", "index"),
        ("embedder", "ProbeLost", "index"),
        ("index", "PassageSplit", "tracker"),
        ("index", "Match", "desk"),
        ("index", "Outcome", "record"),
        ("desk", "Alert", "sink:screen"),
        ("desk", "Alert", "sink:file"),
        ("desk", "Alert", "record"),
    }


def test_only_the_split_is_feedback_and_it_never_blocks() -> None:
    feedback = [edge for edge in connect(graph()) if edge.feedback]
    assert [edge.message.__name__ for edge in feedback] == ["PassageSplit"]
    assert feedback[0].policy.overflow is Overflow.DROP_OLDEST


def test_what_must_not_be_lost_waits_without_limit() -> None:
    for edge in connect(graph()):
        if edge.message.__name__ in {"Passage", "ProbeLost", "Match", "Outcome", "Alert"}:
            assert (edge.policy.overflow, edge.policy.patience_s) == (Overflow.BLOCK, None), edge


def test_frames_of_a_file_wait_and_those_of_a_live_camera_are_replaced() -> None:
    policies = {edge.producer: edge.policy.overflow for edge in connect(graph(unpaced=True)) if edge.message is Frame}
    assert policies == {"camera:gate": Overflow.BLOCK, "camera:door": Overflow.LATEST_PER_KEY}


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        ("index", "tracker consumes PassageSplit, and nothing here produces it; add IndexHost"),
        ("desk", "index produces Match, and nothing here consumes it; add AlertDesk"),
        ("embedder", "tracker produces ProbeRequest, and nothing here consumes it; add EmbedderHost"),
        ("detector", "camera:gate produces Frame, and nothing here consumes it; add DetectorHost"),
        ("record", "index produces Outcome, and nothing here consumes it; add Record"),
    ],
)
def test_an_end_that_is_missing_is_named_with_what_to_add(missing: str, text: str) -> None:
    with pytest.raises(WiringError, match=text):
        connect(without(missing))


class Signal(Struct):
    """Something that one actor tells another."""


class Ping(Signal):
    """There."""


class Pong(Signal):
    """And back."""


class Left(Actor):
    consumes: ClassVar = (Consumes(message=Pong, policy=Policy()),)
    produces: ClassVar = (Ping,)


class Right(Actor):
    consumes: ClassVar = (Consumes(message=Ping, policy=Policy()),)
    produces: ClassVar = (Pong,)


class PatientRight(Actor):
    consumes: ClassVar = (Consumes(message=Ping, policy=Policy(patience_s=1.0)),)
    produces: ClassVar = (Pong,)


class ForgetfulRight(Actor):
    consumes: ClassVar = (Consumes(message=Ping, policy=Policy(overflow=Overflow.DROP_OLDEST)),)
    produces: ClassVar = (Pong,)


def pair(right: type[Actor]) -> list[Node]:
    return [Node(name="left", kind=Left, lane="-"), Node(name="right", kind=right, lane="-")]


@pytest.mark.parametrize("right", [Right, PatientRight])
def test_edges_that_block_in_a_circle_are_refused(right: type[Actor]) -> None:
    with pytest.raises(WiringError, match=r"edges that block make a cycle: (left → right → left|right → left → right)"):
        connect(pair(right))


def test_a_circle_with_an_edge_that_drops_is_accepted() -> None:
    assert len(connect(pair(ForgetfulRight))) == 2


class Lonely(Actor):
    produces: ClassVar = (Ping,)


def test_a_message_of_nobody_we_know_still_names_its_producer() -> None:
    with pytest.raises(WiringError, match="left produces Ping, and nothing here consumes it; add an actor that does"):
        connect([Node(name="left", kind=Lonely, lane="-")])


class Spy(Actor):
    consumes: ClassVar = (Consumes(message=Probe, policy=Policy()),)


class Clerk(Actor):
    consumes: ClassVar = (Consumes(message=Alert, policy=Policy()),)


def test_two_owners_of_one_biometric_are_refused() -> None:
    with pytest.raises(WiringError, match="index and spy both consume Probe, which holds biometrics: exactly one"):
        connect([*graph(), Node(name="spy", kind=Spy, lane="-")])


def test_what_holds_no_biometrics_may_go_to_many() -> None:
    edges = connect([*graph(), Node(name="clerk", kind=Clerk, lane="-")])
    assert sum(edge.message is Alert for edge in edges) == 4


def test_everything_that_holds_pixels_or_templates_can_be_erased() -> None:
    for message in (Frame, Faces, Probe, Match):
        assert hasattr(message, "erase"), message


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (Policy(capacity=64), "block(64)"),
        (Policy(capacity=4, patience_s=2.0), "block(4), 2 s at most"),
        (Policy(overflow=Overflow.DROP_OLDEST, capacity=8), "drop_oldest(8)"),
    ],
)
def test_a_policy_in_words(policy: Policy, text: str) -> None:
    assert describe_policy(policy) == text


def test_the_drawing_names_every_actor_lane_and_edge() -> None:
    nodes = graph()
    lines = render(nodes, connect(nodes)).splitlines()
    assert "detector  [lane compute]" in lines
    assert "desk" in lines
    assert "  └─Faces─▶ tracker  block(2), 2 s at most" in lines
    assert "  └─PassageSplit─▶ tracker  drop_oldest(64)  (feedback)" in lines or (
        "  ├─PassageSplit─▶ tracker  drop_oldest(64)  (feedback)" in lines
    )
    assert sum("─▶" in line for line in lines) == len(connect(nodes))
