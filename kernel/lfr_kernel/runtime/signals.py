"""Signals: the first one stops in good order, the second one ends the process at once."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["stop_signals"]


@contextmanager
def stop_signals(stop: Callable[[str], None], at_once: Callable[[], None] = lambda: None) -> Iterator[None]:
    """While the body runs, call `stop(name of the signal)` at the first SIGINT or SIGTERM.

    The second one calls `at_once` (to set the terminal right) and ends the process with 128 + its number, whatever
    threads and tasks are doing. Plain handlers, not the event loop's: they work when the loop hangs, too.

    Args:
        stop: must be safe to call between any two bytecodes, such as `loop.call_soon_threadsafe`.
        at_once: must be quick.
    """
    caught: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        caught.append(number)
        if len(caught) == 1:
            stop(signal.Signals(number).name)
        else:
            at_once()
            os._exit(128 + number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
