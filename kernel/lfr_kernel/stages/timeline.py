"""One rising time line out of time stamps that jump."""

from __future__ import annotations

__all__ = ["SEAM_NS", "Timeline"]

SEAM_NS = 5_000_000_000
"""A step forward of more than this is a seam, not a pause."""
_USUAL_STEP_NS = 40_000_000


class Timeline:
    """Makes the positions of a stream rise strictly, across loops, reconnects and broken time stamps.

    At a seam (a step back, or a huge one forward) the line goes on by the step that was usual before, or by the pause
    that a clock saw.
    """

    def __init__(self) -> None:
        self._last_position_ns: int | None = None
        self._at_ns = 0
        self._step_ns = _USUAL_STEP_NS

    def rise(self, position_ns: int, pause_ns: int | None = None) -> int:
        """Return the place on the line of the picture at `position_ns`; the first one is at 0.

        Args:
            position_ns: its time stamp in the stream.
            pause_ns: by how much the line goes on at a seam: the time since the last picture, where it came live.
        """
        last, self._last_position_ns = self._last_position_ns, position_ns
        if last is None:
            return self._at_ns
        step_ns = position_ns - last
        if 0 < step_ns <= SEAM_NS:
            self._step_ns = step_ns
            self._at_ns += step_ns
        else:
            self._at_ns += self._step_ns if pause_ns is None else max(1, pause_ns)
        return self._at_ns
