"""The runtime: actors, mailboxes, lanes, supervision. It knows nothing of faces, files or numbers."""

from lfr_kernel.runtime.actor import Actor, Address, AskTimeoutError, Consumes, Source
from lfr_kernel.runtime.clock import Clock, SystemClock
from lfr_kernel.runtime.errors import ActorError, ActorStopped, LfrError, PassingError, PermanentError, describe
from lfr_kernel.runtime.lanes import CallAbandonedError, Lane, LaneStatistics, ThreadLane
from lfr_kernel.runtime.mailbox import Inlet, InletStatistics, Mailbox, Overflow, Policy
from lfr_kernel.runtime.signals import stop_signals
from lfr_kernel.runtime.supervisor import ActorFailed, ActorStatistics, RestartPolicy, State
from lfr_kernel.runtime.system import Edge, System, SystemStatistics

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
