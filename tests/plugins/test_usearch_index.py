"""The index against a dictionary searched with plain numpy, and what it leaves in memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lfr_kernel.api import NoConfig
from lfr_plugins.indexes.usearch_index import UsearchIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Templates = NDArray[np.float32]

D = 24
DIGEST = "a" * 64


def templates(count: int, seed: int = 0, dimension: int = D) -> Templates:
    drawn = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def filled(count: int) -> UsearchIndex:
    index = UsearchIndex(NoConfig())
    index.replace(templates(count), np.arange(count) + 100, DIGEST)
    return index


class IndexMachine(RuleBasedStateMachine):
    """Any history of calls: the answers are those of plain numpy over a dictionary, and what is removed is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.index = UsearchIndex(NoConfig())
        self.model: dict[int, Templates] = {}
        self.gone: list[Templates] = []
        self.buffers: list[Templates] = []
        self.serial = 0

    def drawn(self, count: int) -> Templates:
        self.serial += 1
        return templates(count, seed=self.serial)

    def forget(self, entries: list[int]) -> None:
        self.gone += [self.model.pop(one) for one in entries]

    @rule(count=st.integers(0, 90), first=st.integers(0, 10_000))
    def replace(self, count: int, first: int) -> None:
        self.forget(list(self.model))
        new = self.drawn(count)
        self.index.replace(new, np.arange(first, first + count), DIGEST)
        self.model = dict(zip(range(first, first + count), new, strict=True))

    @rule(entries=st.sets(st.integers(0, 10_000), max_size=50))
    def add(self, entries: set[int]) -> None:
        fresh = sorted(entries - set(self.model))
        new = self.drawn(len(fresh))
        self.index.add(new, np.array(fresh, np.int64), DIGEST)
        self.model.update(zip(fresh, new, strict=True))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        entries = data.draw(st.lists(st.sampled_from(sorted(self.model)), unique=True))
        self.index.remove(np.array(entries, np.int64))
        self.forget(entries)

    @rule()
    def erase(self) -> None:
        self.index.erase()
        self.forget(list(self.model))

    @rule(probes=st.integers(0, 4), k=st.integers(1, 6))
    def search(self, probes: int, k: int) -> None:
        asked = self.drawn(probes)
        found = self.index.search(asked, k)
        assert found.entries.shape == found.similarities.shape == (probes, k)
        assert found.entries.dtype == np.int64
        assert found.similarities.dtype == np.float32
        known = sorted(self.model)
        matrix = np.array([self.model[one] for one in known], np.float32).reshape(-1, D)
        for probe, entries, similarities in zip(asked, found.entries, found.similarities, strict=True):
            cosines = matrix @ probe
            order = np.argsort(-cosines, kind="stable")[:k]
            held = len(order)
            assert [known[one] for one in order] == entries[:held].tolist()
            np.testing.assert_allclose(similarities[:held], cosines[order], atol=1e-5)
            assert (entries[held:] == -1).all()
            assert np.isneginf(similarities[held:]).all()

    @invariant()
    def no_buffer_holds_a_row_that_was_removed(self) -> None:
        if not any(self.index._matrix is one for one in self.buffers):
            self.buffers.append(self.index._matrix)
        current = self.index._matrix
        assert len(self.index) == len(self.model)
        assert not current[len(self.model) :].any()
        for buffer in self.buffers:
            if buffer is not current:
                assert not buffer.any()
        raw = current.tobytes()
        for row in self.gone:
            assert row.tobytes() not in raw


IndexMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestIndexMachine = IndexMachine.TestCase


def test_an_empty_gallery_finds_nobody() -> None:
    found = UsearchIndex(NoConfig()).search(templates(2), 3)
    assert (found.entries == -1).all()
    assert np.isneginf(found.similarities).all()


def test_a_listed_template_is_its_own_nearest_with_similarity_one() -> None:
    index = filled(500)
    found = index.search(templates(500)[[7, 499]], 1)
    assert found.entries.tolist() == [[107], [599]]
    np.testing.assert_allclose(found.similarities, 1, atol=1e-6)
    assert (found.similarities <= 1).all()


def test_the_caller_may_erase_its_templates_at_once() -> None:
    index = UsearchIndex(NoConfig())
    mine = templates(3)
    index.replace(mine, np.arange(3), DIGEST)
    mine.fill(0)
    assert index.search(templates(3)[1:2], 1).entries.tolist() == [[1]]


def test_templates_of_another_model_are_refused_with_both_digests() -> None:
    index = filled(3)
    with pytest.raises(ValueError, match=f"SHA-256 {DIGEST}, these templates by bbb.*enrol the photographs again"):
        index.add(templates(1, seed=9), np.array([1]), "b" * 64)
    assert len(index) == 3
    assert index.digest == DIGEST


def test_a_replaced_gallery_may_come_from_another_model_of_another_length() -> None:
    index = filled(3)
    index.replace(templates(2, dimension=8), np.arange(2), "b" * 64)
    assert index.digest == "b" * 64
    assert index.search(templates(2, dimension=8), 1).entries.tolist() == [[0], [1]]


def test_an_entry_that_is_there_already_is_refused_and_nothing_is_added() -> None:
    index = filled(3)
    with pytest.raises(ValueError, match="entry 101 is in the gallery already"):
        index.add(templates(2, seed=9), np.array([5, 101]), DIGEST)
    assert len(index) == 3


def test_an_unknown_entry_cannot_be_removed_and_nothing_is() -> None:
    index = filled(3)
    with pytest.raises(KeyError, match="entry 7 is not in the gallery"):
        index.remove(np.array([100, 7]))
    with pytest.raises(KeyError, match="named twice"):
        index.remove(np.array([100, 100]))
    assert len(index) == 3


@pytest.mark.parametrize(
    ("rows", "entries", "why"),
    [
        (templates(2), np.array([1, 1]), "unique"),
        (templates(2), np.array([1, -1]), "not negative"),
        (templates(2), np.array([1.0, 2.0]), "integers"),
        (templates(2), np.array([1]), "as many entries"),
        (templates(2).astype(np.float64), np.array([1, 2]), r"float32 \[N, D\]"),
        (templates(2) * np.float32(1.1), np.array([1, 2]), "L2-normalised"),
        (np.zeros((1, D), np.float32), np.array([1]), "L2-normalised"),
        (np.full((1, D), math.nan, np.float32), np.array([1]), "L2-normalised"),
    ],
)
def test_a_gallery_that_is_not_as_promised_is_refused_and_the_old_one_stays(
    rows: Templates, entries: NDArray[np.int64], why: str
) -> None:
    index = filled(3)
    for change in (index.add, index.replace):
        with pytest.raises(ValueError, match=why):
            change(rows, entries, DIGEST)
    assert index.search(templates(3), 1).entries.ravel().tolist() == [100, 101, 102]


def test_rows_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="templates of length 24, these have 8"):
        filled(3).add(templates(1, dimension=8), np.array([1]), DIGEST)


def test_probes_that_cannot_be_searched_are_refused() -> None:
    index = filled(3)
    with pytest.raises(ValueError, match=r"length 24, got float32 \[1, 8\]"):
        index.search(templates(1, dimension=8), 1)
    with pytest.raises(ValueError, match="k = 0"):
        index.search(templates(1), 0)
    with pytest.raises(ValueError, match="NaN or infinity"):
        index.search(np.full((1, D), math.nan, np.float32), 1)
    with pytest.raises(ValueError, match=r"got float64 \[1, 24\]"):
        index.search(templates(1).astype(np.float64), 1)


@given(count=st.integers(1, 300))
def test_the_matrix_doubles_and_stays_in_one_piece(count: int) -> None:
    index = UsearchIndex(NoConfig())
    rows = templates(count)
    for start in range(0, count, 37):
        part = slice(start, min(start + 37, count))
        index.add(rows[part], np.arange(part.start, part.stop), DIGEST)
    assert index._matrix.flags.c_contiguous
    assert len(index._matrix) in {64, 128, 256, 512}
    np.testing.assert_array_equal(index._matrix[:count], rows)
