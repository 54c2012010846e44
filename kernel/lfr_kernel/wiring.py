"""Wiring: stages declare what they consume and produce, and the graph follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from lfr_kernel.governance.alerts.delivery import OutboxHost
from lfr_kernel.governance.deployment.anchoring import AnchorHost
from lfr_kernel.governance.deployment.warden import Warden
from lfr_kernel.runtime import Edge, Overflow, PermanentError
from lfr_kernel.stages.camera import CameraHost
from lfr_kernel.stages.desk import AlertDesk
from lfr_kernel.stages.detector import DetectorHost
from lfr_kernel.stages.embedder import EmbedderHost
from lfr_kernel.stages.index import IndexHost
from lfr_kernel.stages.record import Record
from lfr_kernel.stages.retention import RetentionHost
from lfr_kernel.stages.sink import SinkHost
from lfr_kernel.stages.tracker import TrackerHost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lfr_kernel.profile import Profile
    from lfr_kernel.runtime import Actor, Consumes, Policy

__all__ = ["Node", "WiringError", "connect", "describe_policy", "nodes_of", "render"]

KNOWN: tuple[type[Actor], ...] = (
    CameraHost,
    DetectorHost,
    TrackerHost,
    EmbedderHost,
    IndexHost,
    AlertDesk,
    SinkHost,
    Record,
    RetentionHost,
)


class WiringError(PermanentError, ValueError):
    """The stages do not make a graph; the text names both ends."""


class Node(Struct, frozen=True, kw_only=True):
    """One actor, as far as the graph is concerned."""

    name: str
    kind: Any
    """The actor's class: it declares `consumes` and `produces`."""
    lane: str
    is_unpaced: bool = False
    """A file that is not paced: its frames wait instead of being dropped."""


def nodes_of(profile: Profile, paces: Mapping[str, str]) -> list[Node]:
    """Return the actors that a profile asks for, upstream first. `paces` says how each camera runs."""
    return [
        *(
            Node(
                name=f"camera:{camera.name}",
                kind=CameraHost,
                lane=f"camera:{camera.name}",
                is_unpaced=paces[camera.name] == "unpaced",
            )
            for camera in profile.cameras
        ),
        Node(name="detector", kind=DetectorHost, lane="compute"),
        Node(name="tracker", kind=TrackerHost, lane="tracker"),
        Node(name="embedder", kind=EmbedderHost, lane="compute"),
        Node(name="index", kind=IndexHost, lane="index"),
        Node(name="desk", kind=AlertDesk, lane="-"),
        *(
            Node(
                name=f"sink:{sink.title}",
                kind=OutboxHost if profile.governance else SinkHost,
                lane=f"sink:{sink.title}",
            )
            for sink in profile.sinks
        ),
        Node(name="record", kind=Record, lane="-"),
        Node(name="retention", kind=RetentionHost, lane="-"),
        *(_governance() if profile.governance else ()),
    ]


def _governance() -> Iterable[Node]:
    yield Node(name="anchors", kind=AnchorHost, lane="anchors")
    yield Node(name="warden", kind=Warden, lane="vault")


def connect(nodes: Sequence[Node]) -> list[Edge]:
    """Return the edges between `nodes`: from everyone who produces a type to everyone who consumes it.

    Raises:
        WiringError: a type has a producer and no consumer or the reverse, a message that must be erased has two
            consumers (who would erase it?), or edges that block make a cycle (everyone would wait for everyone).
    """
    edges = [
        Edge(
            producer=producer.name,
            consumer=consumer.name,
            message=wanted.message,
            policy=_policy(wanted, producer),
            feedback=wanted.feedback,
        )
        for consumer in nodes
        for wanted in consumer.kind.consumes
        for producer in nodes
        if wanted.message in producer.kind.produces
    ]
    _check_ends(nodes, edges)
    _check_owners(edges)
    _check_cycles(edges)
    return edges


def _policy(wanted: Consumes, producer: Node) -> Policy:
    return wanted.unpaced if producer.is_unpaced and wanted.unpaced is not None else wanted.policy


def _check_ends(nodes: Sequence[Node], edges: Iterable[Edge]) -> None:
    received = {(edge.consumer, edge.message) for edge in edges}
    sent = {(edge.producer, edge.message) for edge in edges}
    for node in nodes:
        for wanted in node.kind.consumes:
            if (node.name, wanted.message) not in received:
                would = _kinds(kind for kind in KNOWN if wanted.message in kind.produces)
                raise WiringError(
                    f"{node.name} consumes {wanted.message.__name__}, and nothing here produces it; add {would}"
                )
        for made in node.kind.produces:
            if (node.name, made) not in sent:
                would = _kinds(kind for kind in KNOWN if any(one.message is made for one in kind.consumes))
                raise WiringError(f"{node.name} produces {made.__name__}, and nothing here consumes it; add {would}")


def _kinds(kinds: Iterable[type[Actor]]) -> str:
    return " or ".join(kind.__name__ for kind in kinds) or "an actor that does"


def _check_owners(edges: Iterable[Edge]) -> None:
    owners: dict[type, str] = {}
    for edge in edges:
        other = owners.setdefault(edge.message, edge.consumer)
        if other != edge.consumer and hasattr(edge.message, "erase"):
            raise WiringError(
                f"{other} and {edge.consumer} both consume {edge.message.__name__}, which holds biometrics: "
                "exactly one may own and erase it"
            )


def _check_cycles(edges: Sequence[Edge]) -> None:
    after: dict[str, list[str]] = {}
    for edge in edges:
        if edge.policy.overflow is Overflow.BLOCK:
            after.setdefault(edge.producer, []).append(edge.consumer)
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            cycle = " → ".join((*path[path.index(name) :], name))
            raise WiringError(f"edges that block make a cycle: {cycle}; one of them must drop instead")
        if name not in done:
            for following in after.get(name, ()):
                visit(following, (*path, name))
            done.add(name)

    for name in after:
        visit(name, ())


def describe_policy(policy: Policy) -> str:
    """Return a policy in a few words."""
    text = f"{policy.overflow.value}({policy.capacity})"
    return text if policy.patience_s is None else f"{text}, {policy.patience_s:g} s at most"


def render(nodes: Sequence[Node], edges: Sequence[Edge]) -> str:
    """Draw the graph as text: every actor with its lane, and under it what it sends, to whom, by which policy."""
    lines: list[str] = []
    for node in nodes:
        lines.append(f"{node.name}  [lane {node.lane}]" if node.lane != "-" else node.name)
        outgoing = [edge for edge in edges if edge.producer == node.name]
        for number, edge in enumerate(outgoing):
            corner = "└─" if number == len(outgoing) - 1 else "├─"
            note = "  (feedback)" if edge.feedback else ""
            lines.append(f"  {corner}{edge.message.__name__}─▶ {edge.consumer}  {describe_policy(edge.policy)}{note}")
    return "\n".join(lines)
