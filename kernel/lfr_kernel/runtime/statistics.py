"""Frozen snapshots: all that tests, summaries and dashboards ever read of the runtime."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

__all__ = ["ActorStatistics", "InletStatistics", "LaneStatistics", "State", "SystemStatistics"]


class State(StrEnum):
    """The states of a supervised actor: starting → running ⇄ restarting (backoff) → stopped | failed."""

    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    STOPPED = "stopped"
    FAILED = "failed"


class InletStatistics(Struct, frozen=True, kw_only=True):
    """One edge of the graph. Always: received = handled + dropped (all reasons) + queued."""

    producer: str
    message: str
    overflow: str
    capacity: int
    queued: int
    received: int
    handled: int
    """Handed to the actor, and not lost in a crash."""
    dropped: dict[str, int]
    """By reason: `overflow`, `crashed`, `stopped`, `closed`."""


class ActorStatistics(Struct, frozen=True, kw_only=True):
    """One actor."""

    name: str
    state: State
    restarts: int
    handled: int
    busy_s: float
    """Seconds spent in `handle` or `produce`, waiting for lanes and receivers included."""
    last_error: str | None
    inlets: tuple[InletStatistics, ...]


class LaneStatistics(Struct, frozen=True, kw_only=True):
    """One lane."""

    name: str
    workers: int
    calls: int
    queued: int
    busy_s: float
    """Seconds its threads spent in calls."""
    abandoned: int


class SystemStatistics(Struct, frozen=True, kw_only=True):
    """The whole system."""

    actors: tuple[ActorStatistics, ...]
    lanes: tuple[LaneStatistics, ...]
