"""The exception tree.

    LfrError                    everything this project raises on purpose
    ├── PermanentError          trying again cannot help: a missing file, a wrong model, a bad profile
    ├── PassingError            trying again may help: a camera that went away, a full disk
    │   └── CallAbandonedError  a call on a lane went past its deadline (see lanes)
    └── ActorError              about one actor of the runtime
        ├── ActorStopped        … it ended before it could answer
        ├── ActorFailed         … it failed for good, or more often than its restart limit allows (see supervisor)
        └── AskTimeoutError     … it did not answer in time (see actor)

Any other exception from a plugin counts as passing: the supervisor restarts the actor that hosts it.
"""


class LfrError(Exception):
    """Root of every error that lfr-kernel raises on purpose."""

    is_permanent = False


class PermanentError(LfrError):
    """Trying again cannot help: the supervisor escalates at once."""

    is_permanent = True


class PassingError(LfrError):
    """Trying again may help: the supervisor restarts the actor with backoff."""


class ActorError(LfrError):
    """Something about the actor called `actor`, whom the text names first."""

    def __init__(self, actor: str, what: str) -> None:
        super().__init__(f"{actor}: {what}")
        self.actor = actor


class ActorStopped(ActorError):  # noqa: N818  (a state that is reached in good order too)
    """The actor ended before it answered."""


def describe(error: BaseException) -> str:
    """Return `error` as one line of text: what actors keep, for a traceback would pin the arrays of its frames."""
    text, name = " ".join(str(error).split()), type(error).__name__
    return text if isinstance(error, LfrError) and text else f"{name}: {text}" if text else name
