"""Does an index keep its contract?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lfr_kernel.stages.index import Candidates
from lfr_kernel.testing._expect import expect, expect_array, reachable_arrays, rows_in
from lfr_kernel.testing.fakes import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lfr_kernel.stages.index import Index

__all__ = ["check_index"]

ROWS = 40
TOLERANCE = 1e-5


def check_index(create: Callable[[], Index], *, dimension: int = 24) -> None:
    """Check an index against a plain matrix product, and look for what it ought to have forgotten.

    Args:
        create: makes the index, empty.
        dimension: D, of the templates to try it with.
    """
    index = create()
    expect(len(index) == 0, f"a new index must be empty, got {len(index)} entries")
    templates, entries = _templates(ROWS, dimension), np.arange(ROWS, dtype=np.int64) * 7 + 3
    probes = _templates(5, dimension, seed=1)
    _check_search(index, probes, templates[:0], entries[:0])
    given = templates.copy()
    index.replace(given, entries.copy(), digest_of("model"))
    given.fill(0)
    _check_search(index, probes, templates, entries)
    _check_refusals(index, templates, entries)
    _check_search(index, probes, templates, entries)

    gone = np.isin(entries, entries[[0, 9, ROWS - 1]])
    held = reachable_arrays(index)
    index.remove(entries[gone])
    _check_forgotten([*held, *reachable_arrays(index)], templates[gone], "remove")
    _check_search(index, probes, templates[~gone], entries[~gone])
    more = _templates(3, dimension, seed=2)
    index.add(more.copy(), np.array([1, 2, 100_000], np.int64), digest_of("model"))
    templates, entries = np.concatenate((templates[~gone], more)), np.concatenate((entries[~gone], [1, 2, 100_000]))
    _check_search(index, probes, templates, entries)

    held = reachable_arrays(index)
    newer = _templates(2, dimension, seed=3)
    index.replace(newer.copy(), np.array([5, 6], np.int64), digest_of("another model"))
    _check_forgotten([*held, *reachable_arrays(index)], templates, "replace")
    _check_search(index, probes, newer, np.array([5, 6]))
    held = reachable_arrays(index)
    index.erase()
    expect(len(index) == 0, f"after erase there must be no entry, got {len(index)}")
    _check_forgotten([*held, *reachable_arrays(index)], newer, "erase")
    _check_search(index, probes, newer[:0], entries[:0])
    index.erase()


def _templates(count: int, dimension: int, seed: int = 0) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def _check_search(
    index: Index, probes: NDArray[np.float32], templates: NDArray[np.float32], entries: NDArray[np.int64]
) -> None:
    count = len(entries)
    expect(len(index) == count, f"len(index) must be {count} here, got {len(index)}")
    for k in (1, 4, count + 3):
        before = probes.copy()
        found = index.search(probes, k)
        expect(np.array_equal(probes, before), "search must leave the probes as they are")
        expect(isinstance(found, Candidates), f"search must return Candidates, got {type(found).__name__}")
        expect_array("entries", found.entries, np.int64, (len(probes), k))
        expect_array("similarities", found.similarities, np.float32, (len(probes), k))
        near = min(k, count)
        expect((found.entries[:, near:] == -1).all(), f"{count} entries and k = {k}: the rest of entries must be -1")
        expect(
            np.isneginf(found.similarities[:, near:]).all(),
            f"{count} entries and k = {k}: the rest of similarities must be -inf",
        )
        cosines = probes @ templates.T
        nearest = -np.sort(-cosines, axis=1)[:, :near]
        got = found.similarities[:, :near]
        expect(
            np.allclose(got, nearest, atol=TOLERANCE),
            f"similarities must be the {near} highest cosines, exactly and nearest first; expected "
            f"{nearest[:1].round(4).tolist()}, got {got[:1].round(4).tolist()}",
        )
        expect((np.abs(got) <= 1).all(), "similarities are cosines: they must lie in [-1, 1]")
        rows = {int(entry): row for row, entry in enumerate(entries)}
        for probe, (named, similarities) in enumerate(zip(found.entries[:, :near], got, strict=True)):
            expect(
                all(
                    int(entry) in rows and abs(cosines[probe, rows[int(entry)]] - similarity) <= TOLERANCE
                    for entry, similarity in zip(named, similarities, strict=True)
                ),
                f"entries must be the numbers given with the templates, in the order of the similarities, got {named}",
            )


def _check_refusals(index: Index, templates: NDArray[np.float32], entries: NDArray[np.int64]) -> None:
    new = _templates(1, templates.shape[1], seed=4)
    tries: tuple[tuple[str, type[Exception], Callable[[], None]], ...] = (
        (
            "add with another model's digest",
            ValueError,
            lambda: index.add(new, np.array([999], np.int64), digest_of("another model")),
        ),
        ("add of an entry that is there", ValueError, lambda: index.add(new, entries[:1], digest_of("model"))),
        ("remove of an entry that is not there", KeyError, lambda: index.remove(np.array([999], np.int64))),
    )
    for what, wanted, attempt in tries:
        try:
            attempt()
        except wanted:
            continue
        except Exception as error:
            raise AssertionError(f"{what} must raise {wanted.__name__}, and raised {error!r}") from error
        raise AssertionError(f"{what} must raise {wanted.__name__}, and was accepted")


def _check_forgotten(held: list[NDArray[np.float32]], templates: NDArray[np.float32], call: str) -> None:
    left = rows_in(held, templates)
    expect(not left, f"{call} must overwrite the templates; {left} of {len(templates)} can still be read in memory")
