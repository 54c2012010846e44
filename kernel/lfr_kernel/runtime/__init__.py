"""The runtime: actors, mailboxes, lanes, supervision. It knows nothing of faces, files or numbers."""

from lfr_kernel.runtime.actor import Actor, Address, Consumes, Source
from lfr_kernel.runtime.clock import Clock, SystemClock
from lfr_kernel.runtime.errors import (
    ActorError,
    ActorFailed,
    ActorStopped,
    AskTimeoutError,
    CallAbandonedError,
    LfrError,
    PassingError,
    PermanentError,
    describe,
)
from lfr_kernel.runtime.lanes import Lane, ThreadLane
from lfr_kernel.runtime.mailbox import Inlet, Mailbox, Overflow, Policy
from lfr_kernel.runtime.signals import stop_signals
from lfr_kernel.runtime.statistics import ActorStatistics, InletStatistics, LaneStatistics, State, SystemStatistics
from lfr_kernel.runtime.supervisor import RestartPolicy
from lfr_kernel.runtime.system import Edge, System

__all__ = [
    "Actor",
    "ActorError",
    "ActorFailed",
    "ActorStatistics",
    "ActorStopped",
    "Address",
    "AskTimeoutError",
    "CallAbandonedError",
    "Clock",
    "Consumes",
    "Edge",
    "Inlet",
    "InletStatistics",
    "Lane",
    "LaneStatistics",
    "LfrError",
    "Mailbox",
    "Overflow",
    "PassingError",
    "PermanentError",
    "Policy",
    "RestartPolicy",
    "Source",
    "State",
    "System",
    "SystemClock",
    "SystemStatistics",
    "ThreadLane",
    "describe",
    "stop_signals",
]
