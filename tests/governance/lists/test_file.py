"""The sealed file of a list: whole, or refused; and nothing about anybody outside of the sealed rows."""

from __future__ import annotations

import base64
import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.lists.support import (
    BUILDER,
    INSTALLATION,
    MODEL,
    NOW,
    REVIEWER,
    a_list,
    a_row,
    a_template,
    facts,
)
from lfr_kernel.governance.errors import RefusedError, SealError, SignatureError
from lfr_kernel.governance.keys.signing import countersign
from lfr_kernel.governance.lists.chunks import BLOCK
from lfr_kernel.governance.lists.file import ListFile, write_list
from lfr_kernel.governance.lists.framing import FileParts, ListFileError, read_parts, write_parts
from lfr_kernel.governance.lists.statements import Review, Sample, Signatory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Chunks = list[bytes]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def parts_of(made: ListFile) -> FileParts:
    return read_parts(made.path, lambda _: len(made))


def forged(made: ListFile, tmp_path: Path, change: Callable[[Chunks], None]) -> Path:
    """The file with other chunks and nothing else changed."""
    parts = parts_of(made)
    chunks = list(parts.chunks(made.path))
    change(chunks)
    path = tmp_path / "forged.lfrlist"
    write_parts(path, parts.front, parts.table, chunks)
    return path


def opened(path: Path) -> list[Any]:
    """Everything that whoever holds the key does with a list."""
    found = ListFile.open(path)
    found.verify_public()
    key = found.open_key(INSTALLATION)
    return list(found.rows(key))


def a_review(made: ListFile) -> Review:
    return Review(
        list=made.header.id,
        root=made.header.root,
        reviewer=Signatory.of(REVIEWER),
        at=NOW,
        questioned=0,
        expired=0,
    )


def a_sample(made: ListFile) -> Sample:
    return Sample(
        list=made.header.id,
        root=made.header.root,
        n=2,
        seed="00" * 16,
        findings={"ok": 2},
        at=NOW,
        by=Signatory.of(REVIEWER),
    )


def test_what_was_written_is_read(made: ListFile) -> None:
    rows = opened(made.path)
    assert [row.about.person for row in rows] == ["ada", "ada", "bob", "cy"]
    assert np.frombuffer(rows[2].template, np.float32) == pytest.approx(a_template(3))
    assert made.row(made.open_key(INSTALLATION), 2) == rows[2]
    assert len({row.about.entry for row in rows}) == 4


def test_the_header_counts_and_says_nothing_of_anybody(made: ListFile) -> None:
    counts = made.header.counts
    assert (counts.people, counts.under_18, counts.vulnerable) == (3, 1, 0)
    assert counts.categories == {"missing": 1, "wanted-court": 3}
    assert counts.sources == {"custody": 4}
    assert counts.conviction_status == {"convicted": 4}
    content = made.path.read_bytes()
    for secret in (b"bob", b"warrant 17", b"portrait 3", a_template(3).tobytes(), b"stop and identify"):
        assert secret not in content


def test_only_its_owner_can_read_it(made: ListFile) -> None:
    assert made.path.stat().st_mode & 0o777 == 0o600


def test_the_length_of_a_chunk_does_not_tell_that_of_the_portrait(tmp_path: Path) -> None:
    rows = [msgspec.structs.replace(a_row("ada"), portrait=bytes(size)) for size in (100, 1_000, 2_500)]
    lengths = {length for _, length in parts_of(a_list(tmp_path / "x", rows)).spans}
    assert lengths == {12 + BLOCK + 16}


def test_a_list_of_nobody_is_a_list(tmp_path: Path) -> None:
    empty = a_list(tmp_path / "x", [])
    assert opened(empty.path) == []
    assert empty.header.counts.earliest_expiry is None


def test_nothing_is_left_of_a_list_that_could_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected 3 rows, got 2"):
        write_list(
            tmp_path / "x",
            [a_row("ada"), a_row("bob")],
            total=3,
            facts=facts(),
            signer=BUILDER,
            recipient=INSTALLATION.public_key(),
        )
    assert list(tmp_path.iterdir()) == []


def test_it_opens_for_the_installation_that_it_was_made_for_and_no_other(made: ListFile) -> None:
    with pytest.raises(SealError, match="was built for another installation"):
        made.open_key(X25519PrivateKey.generate())


def test_a_data_key_of_another_list_is_refused(made: ListFile) -> None:
    with pytest.raises(SealError, match="this data key is not the one that list"):
        next(made.rows(bytes(32)))
    with pytest.raises(SealError, match="row 0 of 4 does not open"):
        made.row(bytes(32), 0)


def test_another_model_is_refused(made: ListFile) -> None:
    made.expect_model(MODEL)
    with pytest.raises(RefusedError, match="templates of two models cannot be compared; build the list again"):
        made.expect_model("0" * 64)


def test_a_changed_chunk_is_named(made: ListFile, tmp_path: Path) -> None:
    def change(chunks: Chunks) -> None:
        chunks[2] = chunks[2][:-1] + bytes([chunks[2][-1] ^ 1])

    with pytest.raises(ListFileError, match="chunk 2 of 4 was changed"):
        opened(forged(made, tmp_path, change))


def test_swapped_chunks_are_named(made: ListFile, tmp_path: Path) -> None:
    def change(chunks: Chunks) -> None:
        chunks[1], chunks[3] = chunks[3], chunks[1]

    with pytest.raises(ListFileError, match="chunk 1 of 4 is chunk 3, in the wrong place"):
        opened(forged(made, tmp_path, change))


def test_a_missing_chunk_is_named(made: ListFile, tmp_path: Path) -> None:
    with pytest.raises(ListFileError, match=r"is cut short.*; chunk 1 is the first that is not what it was"):
        opened(forged(made, tmp_path, lambda chunks: chunks.__delitem__(1)))


def test_an_added_chunk_is_named(made: ListFile, tmp_path: Path) -> None:
    with pytest.raises(ListFileError, match="goes on for 4128 bytes behind its last chunk, 3 of 4"):
        opened(forged(made, tmp_path, lambda chunks: chunks.append(chunks[0])))
    with pytest.raises(ListFileError, match="; chunk 0 is the first that is not what it was"):
        opened(forged(made, tmp_path, lambda chunks: chunks.insert(0, chunks[3])))


def test_a_chunk_of_another_list_is_refused_by_whoever_has_the_key(made: ListFile, tmp_path: Path) -> None:
    """Even by one who can sign: the row is bound to its list, its place, their number and the model."""
    other = a_list(tmp_path / "other", [a_row("eve")])
    stranger = next(parts_of(other).chunks(other.path))
    path = forged(made, tmp_path, lambda chunks: chunks.__setitem__(0, stranger))
    found = ListFile.open(path)
    with pytest.raises(SealError, match="row 0 of 4 does not open"):
        list(found.rows(found.open_key(INSTALLATION)))


@given(cut=st.integers(0, 1_000_000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_a_file_cut_short_anywhere_is_refused(made: ListFile, tmp_path: Path, cut: int) -> None:
    content = made.path.read_bytes()
    short = tmp_path / "short.lfrlist"
    short.write_bytes(content[: cut % len(content)])
    with pytest.raises(ListFileError, match=r"cut short|is no list"):
        ListFile.open(short)


@given(bit=st.integers(0, 10_000_000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
def test_one_flipped_bit_anywhere_is_refused_without_any_key(made: ListFile, tmp_path: Path, bit: int) -> None:
    content = bytearray(_full(made).path.read_bytes())
    # Nine in ten within the front and the table, where each bit has a meaning of its own.
    at = bit % (8 * (len(content) if bit % 10 == 0 else len(content) - 4 * 4132))
    content[at // 8] ^= 1 << at % 8
    flipped = tmp_path / "flipped.lfrlist"
    flipped.write_bytes(content)
    with pytest.raises((ListFileError, SignatureError)):
        ListFile.open(flipped).verify_public()


def _full(made: ListFile) -> ListFile:
    """The list with a review and a sample, once."""
    path = made.path.with_suffix(".full")
    if not path.exists():
        shutil.copy(made.path, path)
        ListFile.open(path).reviewed(REVIEWER, a_review(made)).sampled(REVIEWER, a_sample(made))
    return ListFile.open(path)


def test_reviews_and_samples_lie_in_the_front_and_change_nothing_else(made: ListFile) -> None:
    full = _full(made)
    full.verify_public()
    assert full.header == made.header
    assert [one.reviewer.name for one in full.reviews] == ["person rob"]
    assert [one.findings for one in full.samples] == [{"ok": 2}]
    assert len(opened(full.path)) == 4


@pytest.mark.parametrize("what", ["reviewed", "sampled"])
def test_the_file_that_a_review_or_a_sample_replaces_no_longer_holds_the_seal(made: ListFile, what: str) -> None:
    seal = (made._parts.front.seal or "").encode()
    assert len(seal) > 32
    with made.path.open("rb") as before:
        assert seal in before.read()
        again = (
            made.reviewed(REVIEWER, a_review(made)) if what == "reviewed" else made.sampled(REVIEWER, a_sample(made))
        )
        before.seek(0)
        left = before.read()
    assert seal not in left
    assert left.startswith(bytes(1000))
    # The new one is another file, and whole.
    again.verify_public()
    assert len(opened(made.path)) == len(made)


def test_a_review_of_another_list_does_not_count(made: ListFile, tmp_path: Path) -> None:
    other = a_list(tmp_path / "other", [a_row("eve")])
    wrong = made.reviewed(REVIEWER, a_review(other))
    with pytest.raises(SignatureError, match="a review or a sample of another list"):
        wrong.verify_public()


def test_a_review_that_was_taken_out_leaves_its_signature_behind(made: ListFile, tmp_path: Path) -> None:
    full = _full(made)
    parts = parts_of(full)
    path = tmp_path / "stripped"
    write_parts(path, msgspec.structs.replace(parts.front, reviews=()), parts.table, parts.chunks(full.path))
    with pytest.raises(SignatureError, match=r"expected 1 signatures of the header.*got 2"):
        ListFile.open(path).verify_public()


def test_a_second_signature_by_nobody_is_refused(made: ListFile, tmp_path: Path) -> None:
    parts = parts_of(made)
    front = msgspec.structs.replace(parts.front, header=countersign(parts.front.header, REVIEWER))
    write_parts(tmp_path / "x", front, parts.table, parts.chunks(made.path))
    with pytest.raises(SignatureError, match=r"expected 1 signatures of the header.*got 2"):
        ListFile.open(tmp_path / "x").verify_public()


def test_a_working_copy_opens_only_for_who_has_the_key(made: ListFile, tmp_path: Path) -> None:
    key = made.open_key(INSTALLATION)
    copy = made.without_seal(tmp_path / "copy")
    copy.verify_public()
    assert not copy.has_seal
    assert list(copy.rows(key)) == opened(made.path)
    with pytest.raises(SealError, match="is a working copy"):
        copy.open_key(INSTALLATION)


def test_the_seal_of_another_list_is_refused(made: ListFile, tmp_path: Path) -> None:
    other = a_list(tmp_path / "other", [a_row("eve")])
    parts = parts_of(made)
    front = msgspec.structs.replace(parts.front, seal=parts_of(other).front.seal)
    write_parts(tmp_path / "x", front, parts.table, parts.chunks(made.path))
    found = ListFile.open(tmp_path / "x")
    with pytest.raises(ListFileError, match="the sealed data key was changed"):
        found.verify_public()
    with pytest.raises(SealError, match="built for another installation, or its seal was changed"):
        found.open_key(INSTALLATION)


def test_a_signature_is_written_in_one_way_only(made: ListFile, tmp_path: Path) -> None:
    """The last digit of base64 has bits that decoding ignores."""
    parts = parts_of(made)
    (signature,) = parts.front.header.signatures
    last = ALPHABET.index(signature.sig[-3])
    other = f"{signature.sig[:-3]}{ALPHABET[last ^ 1]}=="
    assert base64.b64decode(other) == base64.b64decode(signature.sig)
    header = msgspec.structs.replace(parts.front.header, signatures=(msgspec.structs.replace(signature, sig=other),))
    front = msgspec.structs.replace(parts.front, header=header)
    write_parts(tmp_path / "x", front, parts.table, parts.chunks(made.path))
    with pytest.raises(ListFileError, match="its front cannot be read: it was changed or damaged"):
        ListFile.open(tmp_path / "x")


def test_a_file_that_is_no_list_or_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"PK0000000000000000000")
    with pytest.raises(ListFileError, match="is no list: expected a file that `lfr-kernel watchlist build` made"):
        ListFile.open(tmp_path / "x")
    with pytest.raises(ListFileError, match="cannot be read: No such file or directory"):
        ListFile.open(tmp_path / "y")
