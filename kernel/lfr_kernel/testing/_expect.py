"""What the conformance suites have in common."""

from __future__ import annotations

import gc
import re
import threading
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "expect",
    "expect_array",
    "expect_close_twice",
    "expect_concurrency",
    "expect_device",
    "expect_digest",
    "overlap",
    "reachable_arrays",
    "rows_in",
]

T = TypeVar("T")

_NOT_ENTERED = (type, ModuleType, FunctionType)


def expect(condition: object, text: str) -> None:
    """Raise AssertionError with `text` unless `condition` holds."""
    if not condition:
        raise AssertionError(text)


def expect_array(name: str, array: Any, dtype: type[np.generic], shape: tuple[int | None, ...]) -> None:
    """Expect an array of this dtype and shape, where None stands for any length."""
    expect(isinstance(array, np.ndarray), f"{name} must be a numpy array, got {type(array).__name__}")
    expect(array.dtype == dtype, f"{name} must be {dtype.__name__}, got {array.dtype}")
    fits = array.ndim == len(shape) and all(want in {None, got} for want, got in zip(shape, array.shape, strict=True))
    wanted = ", ".join("any" if length is None else str(length) for length in shape)
    expect(fits, f"{name} must have the shape [{wanted}], got {list(array.shape)}")


def expect_digest(digest: object) -> None:
    """Expect a SHA-256."""
    expect(
        isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest),
        f"digest must be the SHA-256 of the weights, 64 hexadecimal digits in lower case, got {digest!r}",
    )


def expect_device(device: object) -> None:
    """Expect one word."""
    expect(
        isinstance(device, str) and re.fullmatch(r"[a-z0-9][a-z0-9_:-]*", device),
        f"device must be what it runs on in one word, such as 'cpu', got {device!r}",
    )


def expect_concurrency(plugin: Any) -> int:
    """Expect a usable `max_concurrency` and return it."""
    most = plugin.max_concurrency
    expect(isinstance(most, int) and most >= 1, f"max_concurrency must be a whole number from 1, got {most!r}")
    return int(most)


def expect_close_twice(plugin: Any) -> None:
    """Expect `close` to be callable again after it was called."""
    for time in ("once", "a second time"):
        try:
            plugin.close()
        except Exception as error:
            raise AssertionError(f"close must not raise; called {time}, it raised {error!r}") from error


def overlap(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run calls at the same time, each in a thread of its own; return what they return, or raise what one raised."""
    results: dict[int, T] = {}
    errors: list[Exception] = []
    start = threading.Barrier(len(calls))

    def run(number: int) -> None:
        start.wait()
        try:
            results[number] = calls[number]()
        except Exception as error:  # noqa: BLE001  (raised below, in the caller's thread)
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise AssertionError(f"{len(calls)} overlapping calls, as declared, and one raised {errors[0]!r}") from errors[
            0
        ]
    return [results[number] for number in range(len(calls))]


def reachable_arrays(root: Any) -> list[NDArray[Any]]:
    """Return the arrays that `root` holds, directly or through what it holds, as far as Python can see."""
    seen: set[int] = set()
    found: list[NDArray[Any]] = []
    waiting: list[Any] = [root]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _NOT_ENTERED):
            continue
        seen.add(id(one))
        if isinstance(one, np.ndarray):
            found.append(one)
        waiting += gc.get_referents(one)
    return found


def rows_in(arrays: Sequence[NDArray[Any]], rows: NDArray[np.float32]) -> int:
    """Return how many of `rows` (float32 [N, D]) lie in the memory of `arrays`."""
    memory = [array.tobytes() for array in arrays if array.dtype != object]
    return sum(any(row.tobytes() in one for one in memory) for row in rows)
