"""Which faces of a passage are embedded: the first at once, then ever less often, better ones sooner."""

from __future__ import annotations

__all__ = ["ProbePlan", "due_s"]

_FIRST_INTERVAL_S = 0.08
_GROWTH = 1.385
_BETTER = 1.15
_SOONEST = 0.5
_SLACK_S = 0.002
"""Time stamps of a steady stream jitter by their rounding."""


def due_s(number: int) -> float:
    """Return when probe `number` (from 0) of a passage is due, in seconds after the first.

    Intervals grow geometrically: five probes in 0.6 s, sixteen in half a minute.
    """
    return float(_FIRST_INTERVAL_S * (_GROWTH**number - 1.0) / (_GROWTH - 1.0))


class ProbePlan:
    """Decides for one passage, face by face as they come over the gate."""

    __slots__ = ("_asked", "_best", "_first_s", "_last_s", "_max")

    def __init__(self, max_probes: int) -> None:
        self._max = max_probes
        self._asked = 0
        self._best = 0.0
        self._first_s = 0.0
        self._last_s = 0.0

    @property
    def asked(self) -> int:
        """How many faces were wanted so far."""
        return self._asked

    def wants(self, quality: float, at_s: float) -> bool:
        """Say whether the face seen at `at_s` stream seconds is to be embedded, and count it if so.

        The first one is. Later ones are when their turn has come, or half way to it when a face is clearly better
        than the best one before; whoever was out of sight for a while does not make up for it all at once.
        """
        if self._asked >= self._max:
            return False
        if self._asked:
            interval_s = due_s(self._asked) - due_s(self._asked - 1)
            if at_s - self._last_s < _SOONEST * interval_s - _SLACK_S:
                return False
            is_due = at_s - self._first_s >= due_s(self._asked) - _SLACK_S
            if not is_due and quality < _BETTER * self._best:
                return False
        else:
            self._first_s = at_s
        self.ask(quality, at_s)
        return True

    def ask(self, quality: float, at_s: float) -> None:
        """Count a face that is embedded whatever the plan says."""
        self._asked += 1
        self._best = max(self._best, quality)
        self._last_s = at_s
