"""The Merkle root is that of RFC 6962, and says so of every change."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.governance.lists.merkle import MerkleTree, leaf_hash, root_of

SEVEN = [bytes.fromhex(one) for one in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
"""The inputs of the test vectors of certificate-transparency-go, with their roots below."""


def as_defined(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 as it is written: split at the largest power of two smaller than n."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while 2 * split < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + as_defined(leaves[:split]) + as_defined(leaves[split:])).digest()


@pytest.mark.parametrize(
    ("count", "root"),
    [
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
    ],
)
def test_the_roots_are_those_of_published_vectors(count: int, root: str) -> None:
    assert root_of(map(leaf_hash, SEVEN[:count])).hex() == root


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert MerkleTree().root() == hashlib.sha256(b"").digest()


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_growing_leaf_by_leaf_gives_the_root_of_the_definition(data: list[bytes]) -> None:
    leaves = list(map(leaf_hash, data))
    assert root_of(leaves) == as_defined(leaves)


@given(st.lists(st.binary(max_size=4), min_size=2, max_size=30, unique=True), st.data())
def test_a_swap_or_a_missing_leaf_changes_the_root(data: list[bytes], draw: st.DataObject) -> None:
    leaves = list(map(leaf_hash, data))
    one, other = draw.draw(st.lists(st.integers(0, len(leaves) - 1), min_size=2, max_size=2, unique=True))
    swapped = leaves.copy()
    swapped[one], swapped[other] = swapped[other], swapped[one]
    assert root_of(swapped) != root_of(leaves)
    assert root_of(leaves[:one] + leaves[one + 1 :]) != root_of(leaves)
