"""The exception tree.

    LfrError                    everything this project raises on purpose
    ├── PermanentError          trying again cannot help: a missing file, a wrong model, a bad profile
    ├── PassingError            trying again may help: a camera that went away, a full disk
    ├── ActorError              about an actor of the runtime
    │   ├── ActorStopped        … it ended before it could answer
    │   ├── ActorFailed         … it failed more often than its restart limit allows, or for good
    │   └── AskTimeoutError     … it did not answer in time
    └── CallAbandonedError      a call on a lane went past its deadline (a PassingError)

Any other exception from a plugin counts as passing: the supervisor restarts the actor that hosts it.
"""

from __future__ import annotations

__all__ = [
    "ActorError",
    "ActorFailed",
    "ActorStopped",
    "AskTimeoutError",
    "CallAbandonedError",
    "LfrError",
    "PassingError",
    "PermanentError",
    "describe",
]


class LfrError(Exception):
    """Root of every error that lfr-kernel raises on purpose."""

    is_permanent = False


class PermanentError(LfrError):
    """Trying again cannot help; the supervisor escalates at once instead of restarting."""

    is_permanent = True


class PassingError(LfrError):
    """Trying again may help; the supervisor restarts the actor with backoff."""


class ActorError(LfrError):
    """Something about the actor called `actor`."""

    def __init__(self, actor: str, message: str) -> None:
        super().__init__(message)
        self.actor = actor


class ActorStopped(ActorError):  # noqa: N818  (a state that is reached in good order too)
    """The actor ended before it answered."""

    def __init__(self, actor: str) -> None:
        super().__init__(actor, f"actor {actor!r} stopped before it answered")


class ActorFailed(ActorError):  # noqa: N818
    """The actor failed for good: permanently, or more often than its restart limit allows."""

    is_permanent = True

    def __init__(self, actor: str, why: str) -> None:
        super().__init__(actor, f"{actor}: {why}")
        self.why = why


class AskTimeoutError(ActorError, TimeoutError):
    """The actor did not answer within the asker's deadline."""

    def __init__(self, actor: str, deadline_s: float) -> None:
        super().__init__(actor, f"actor {actor!r} did not answer within {deadline_s:g} s")


class CallAbandonedError(PassingError, TimeoutError):
    """A call on a lane went past its deadline; its thread was left behind and replaced."""

    def __init__(self, lane: str, call: str, deadline_s: float) -> None:
        super().__init__(f"{call} on lane {lane!r} did not return within {deadline_s:g} s and was abandoned")


def describe(error: BaseException) -> str:
    """Return `error` as one line of text.

    Actors keep errors as text only: a traceback would pin every array that its frames refer to.
    """
    text = " ".join(str(error).split())
    name = type(error).__name__
    return text if isinstance(error, LfrError) and text else f"{name}: {text}" if text else name
