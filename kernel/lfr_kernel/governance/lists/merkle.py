"""The Merkle tree of RFC 6962, section 2.1: one hash that stands for a sequence of byte strings, in their order."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["HASH_BYTES", "MerkleTree", "leaf_hash", "root_of"]

HASH_BYTES = 32
LEAF, NODE = b"\x00", b"\x01"
"""Set before what is hashed, so that a leaf cannot pass for a node nor a node for a leaf."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of one byte string, 32 bytes."""
    return hashlib.sha256(LEAF + data).digest()


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over hashes of leaves, 32 bytes."""
    tree = MerkleTree()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


class MerkleTree:
    """The root over a growing sequence; holds no more hashes than its length has binary digits."""

    def __init__(self) -> None:
        self._whole: list[tuple[int, bytes]] = []
        """Complete subtrees from left to right, each with its number of leaves: the powers of two of the length."""

    def add(self, leaf: bytes) -> None:
        """Append the hash of one leaf."""
        size, right = 1, leaf
        while self._whole and self._whole[-1][0] == size:
            size, right = 2 * size, _node(self._whole.pop()[1], right)
        self._whole.append((size, right))

    def root(self) -> bytes:
        """Return the root of what was appended so far; of nothing, it is the hash of nothing."""
        if not self._whole:
            return hashlib.sha256().digest()
        *rest, (_, root) = self._whole
        for _, left in reversed(rest):
            root = _node(left, root)
        return root


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(NODE + left + right).digest()
