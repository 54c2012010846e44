"""Signals: the first one stops in good order, the second one ends the process at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_signals(stop: Callable[[str], None], at_once: Callable[[], None] = lambda: None) -> Iterator[None]:
    """While the body runs, call `stop(name of the signal)` at the first SIGINT or SIGTERM.

    It must be safe between any two bytecodes, as `loop.call_soon_threadsafe` is. The second signal calls `at_once` (to
    set the terminal right) and ends the process with 128 + its number, even while the event loop hangs.
    """
    caught: list[int] = []

    def handle(number: int, _frame: object) -> None:
        caught.append(number)
        if len(caught) == 1:
            return stop(signal.Signals(number).name)
        try:
            at_once()
        finally:
            os._exit(128 + number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
