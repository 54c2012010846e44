"""The file of a list: in front what everybody may read and verify, behind it the sealed rows.

    LFRLIST1 | u32 length | front (JSON) | N hashes of 32 bytes | N times: u32 length | chunk

Lengths are big-endian. `docs/watchlists.md` has it byte by byte.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import tempfile
from typing import IO, TYPE_CHECKING, TypeVar

import msgspec

from lfr_kernel.governance.errors import RefusedError, SealError, SignatureError
from lfr_kernel.governance.keys.sealing import KEY_BYTES, open_sealed, seal_to
from lfr_kernel.governance.keys.signing import countersign, sign, verify
from lfr_kernel.governance.lists.chunks import Place, commitment, open_row, seal_row
from lfr_kernel.governance.lists.framing import FileParts, ListFileError, read_parts, write_parts
from lfr_kernel.governance.lists.merkle import leaf_hash, root_of
from lfr_kernel.governance.lists.statements import Front, Header, Review, Sample, Signatory, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    from lfr_kernel.governance.keys.signing import Envelope, Signer
    from lfr_kernel.governance.lists.entries import Row
    from lfr_kernel.governance.lists.statements import ListFacts

__all__ = ["ListFile", "write_list"]

T = TypeVar("T")
LIST, REVIEW, SAMPLE = "watchlist", "watchlist-review", "watchlist-sample"
"""The kinds of envelope in the front."""


class ListFile:
    """One file, of which the front was read. The rows are read when they are asked for."""

    def __init__(self, path: Path, parts: FileParts) -> None:
        """Use `open` instead."""
        self.path = path
        self._parts = parts
        self.header: Header = _stated(parts.front.header, Header, path)
        """As it stands in the file; see `verify_public`."""
        self.reviews = tuple(_stated(one, Review, path) for one in parts.front.reviews)
        self.samples = tuple(_stated(one, Sample, path) for one in parts.front.samples)

    @classmethod
    def open(cls, path: Path) -> ListFile:
        """Read the front of a list, and see that its parts have their places.

        Raises:
            ListFileError: it cannot be read, is no list, or was cut short, changed or lengthened.
        """
        return cls(path, read_parts(path, lambda front: _stated(front.header, Header, path).rows))

    def __len__(self) -> int:
        return self.header.rows

    @property
    def has_seal(self) -> bool:
        """Whether the data key lies in it, sealed: not in a working copy."""
        return self._parts.front.seal is not None

    @property
    def model(self) -> str:
        """SHA-256 of the model that made the templates."""
        return self.header.facts.model

    @property
    def leaves(self) -> tuple[bytes, ...]:
        """The hash of each sealed row, in order."""
        return self._parts.table

    def verify_public(self) -> None:
        """Verify all that can be without a key: every signature, every chunk, their number and their order.

        That a signature holds says which key made it; whose that key is, the roster says.

        Raises:
            SignatureError: a signature does not hold.
            ListFileError: chunks are missing, changed, or in each other's place; the text says which.
        """
        front, header = self._parts.front, self.header
        signers = [header.builder.public, *(one.reviewer.public for one in self.reviews)]
        if len(front.header.signatures) != len(signers):
            raise SignatureError(
                f"list {self.path}: expected {len(signers)} signatures of the header, one by the builder and one for "
                f"each review, got {len(front.header.signatures)}"
            )
        self._verified(front.header, LIST, Header, signers)
        for envelope, review in zip(front.reviews, self.reviews, strict=True):
            self._verified(envelope, REVIEW, Review, [review.reviewer.public])
        for envelope, sample in zip(front.samples, self.samples, strict=True):
            self._verified(envelope, SAMPLE, Sample, [sample.by.public])
        cited: tuple[Review | Sample, ...] = (*self.reviews, *self.samples)
        for one in cited:
            if (one.list, one.root) != (header.id, header.root):
                raise SignatureError(f"list {self.path} holds a review or a sample of another list, {one.list}")
        if front.seal is not None and hashlib.sha256(base64.b64decode(front.seal)).hexdigest() != header.seal_digest:
            raise ListFileError(f"list {self.path}: the sealed data key was changed; get the file again from its maker")
        self._verify_chunks()

    def _verified(self, envelope: Envelope, kind: str, into: type[T], publics: list[bytes]) -> None:
        try:
            verify(envelope, kind, into, publics)
        except SignatureError as error:
            raise SignatureError(f"list {self.path}: {error}") from None

    def _verify_chunks(self) -> None:
        """See that the chunks are those that were signed. The table tells which of them is not where it was."""
        table = self._parts.table
        if root_of(table).hex() != self.header.root:
            raise ListFileError(
                f"list {self.path}: the table of hashes does not have the root that was signed; get the file again "
                "from its maker"
            )
        place = {leaf: number for number, leaf in enumerate(table)}
        for index, chunk in enumerate(self._parts.chunks(self.path)):
            found = leaf_hash(chunk)
            if found != table[index]:
                where = place.get(found)
                what = "was changed" if where is None else f"is chunk {where}, in the wrong place"
                raise ListFileError(
                    f"list {self.path}: chunk {index} of {len(table)} {what}; get the file again from its maker"
                )

    def open_key(self, private: X25519PrivateKey) -> bytes:
        """Return the data key.

        Args:
            private: the installation's X25519 private key.

        Raises:
            SealError: the list is sealed to another installation, was changed, or is a working copy without a seal.
        """
        if self._parts.front.seal is None:
            raise SealError(f"list {self.path} is a working copy: the sealed data key lies in the file it was made of")
        try:
            key = open_sealed(private, base64.b64decode(self._parts.front.seal), _purpose(self.header.id))
        except SealError:
            raise SealError(
                f"list {self.path} does not open with this installation's key: it was built for another installation, "
                "or its seal was changed"
            ) from None
        self.expect_key(key)
        return key

    def expect_key(self, key: bytes | bytearray) -> None:
        """See that a data key is the one that the builder committed to.

        Raises:
            SealError: it is another one.
        """
        if not hmac.compare_digest(commitment(key, self.header.id), self.header.key_commitment):
            raise SealError(f"this data key is not the one that list {self.path} was made with")

    def expect_model(self, digest: str) -> None:
        """See that the templates are of the model in use.

        Raises:
            RefusedError: they are of another one.
        """
        if digest != self.model:
            raise RefusedError(
                f"list {self.path} was made with model {self.model}, and this profile's embedder is {digest}: "
                "templates of two models cannot be compared; build the list again with this profile"
            )

    def rows(self, key: bytes | bytearray) -> Iterator[Row]:
        """Open one row after the other. Raises as `row` does."""
        self.expect_key(key)
        for index, chunk in enumerate(self._parts.chunks(self.path)):
            yield open_row(key, chunk, self._place(index))

    def row(self, key: bytes | bytearray, index: int) -> Row:
        """Open one row.

        Raises:
            SealError: another key, or it was changed.
            ListFileError: the file is gone.
        """
        return open_row(key, self._parts.chunk(self.path, index), self._place(index))

    def _place(self, index: int) -> Place:
        return Place(self.header.id, index, self.header.rows, self.model)

    def without_seal(self, path: Path) -> ListFile:
        """Write a working copy, which only whoever has the data key already can open."""
        return self._rewritten(msgspec.structs.replace(self._parts.front, seal=None), path)

    def reviewed(self, signer: Signer, review: Review) -> ListFile:
        """Write a review into the front: signed, and a second signature of the header."""
        front = self._parts.front
        envelopes = (*front.reviews, sign(REVIEW, review, signer))
        return self._rewritten(
            msgspec.structs.replace(front, header=countersign(front.header, signer), reviews=envelopes), self.path
        )

    def sampled(self, signer: Signer, sample: Sample) -> ListFile:
        """Write a dip sample into the front."""
        front = self._parts.front
        envelopes = (*front.samples, sign(SAMPLE, sample, signer))
        return self._rewritten(msgspec.structs.replace(front, samples=envelopes), self.path)

    def _rewritten(self, front: Front, path: Path) -> ListFile:
        write_parts(path, front, self._parts.table, self._parts.chunks(self.path))
        return ListFile.open(path)


def write_list(
    path: Path,
    rows: Iterable[Row],
    *,
    total: int,
    facts: ListFacts,
    signer: Signer,
    recipient: X25519PublicKey,
    certificate: Envelope | None = None,
) -> ListFile:
    """Write a list: sealed to an installation and signed by its builder.

    The rows are taken one at a time, and never lie anywhere in clear. The file is there whole or not at all.

    Args:
        path: of the file, in a folder that exists.
        rows: in the order of the file.
        total: how many there are.
        facts: what the header says of the list as a whole.
        signer: the builder.
        recipient: the installation's X25519 public key.
        certificate: by which a person lets the builder's key sign; None if it is the person's own.

    Raises:
        ValueError: there are fewer or more rows than `total`.
    """
    list_id, key = secrets.token_hex(16), os.urandom(KEY_BYTES)
    seal = seal_to(recipient, key, _purpose(list_id))
    tally, table, lengths = Tally(), [], []
    with tempfile.TemporaryFile(dir=path.parent) as spool:
        for index, row in enumerate(rows):
            chunk = seal_row(key, row, Place(list_id, index, total, facts.model))
            tally.add(row.about, is_questioned=bool(row.question))
            table.append(leaf_hash(chunk))
            lengths.append(len(chunk))
            spool.write(chunk)
        if len(table) != total:
            raise ValueError(f"expected {total} rows, got {len(table)}")
        header = Header(
            id=list_id,
            facts=facts,
            counts=tally.counts(),
            rows=total,
            root=root_of(table).hex(),
            key_commitment=commitment(key, list_id),
            seal_digest=hashlib.sha256(seal).hexdigest(),
            builder=Signatory.of(signer, certificate),
        )
        front = Front(header=sign(LIST, header, signer), seal=base64.b64encode(seal).decode(), reviews=(), samples=())
        write_parts(path, front, table, _spooled(spool, lengths))
    return ListFile.open(path)


def _spooled(spool: IO[bytes], lengths: list[int]) -> Iterator[bytes]:
    spool.seek(0)
    for length in lengths:
        yield spool.read(length)


def _purpose(list_id: str) -> bytes:
    return f"lfr-list-1 data key of {list_id}".encode("ascii")


def _stated(envelope: Envelope, into: type[T], path: Path) -> T:
    """Return what an envelope in the front says, not yet verified."""
    try:
        return msgspec.json.decode(envelope.body, type=into)
    except (msgspec.DecodeError, ValueError) as error:
        raise ListFileError(
            f"list {path}: its {into.__name__.lower()} cannot be read ({error}); it was changed, or made by another "
            "version"
        ) from None
