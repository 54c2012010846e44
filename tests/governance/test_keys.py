"""Signed statements, sealed secrets, and the files that keys lie in."""

from __future__ import annotations

import base64
import errno
import os
from typing import TYPE_CHECKING, Annotated

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from lfr_kernel.governance.errors import KeyFileError, SealError, SignatureError
from lfr_kernel.governance.keys import files, sealing
from lfr_kernel.governance.keys.envelopes import read_envelope, write_envelope
from lfr_kernel.governance.keys.files import destroy_file, read_secret, write_whole
from lfr_kernel.governance.keys.keyring import Keyring
from lfr_kernel.governance.keys.sealing import SealedKey, open_sealed, seal_to, seal_under_passphrase, unwrap, wrap
from lfr_kernel.governance.keys.signing import KeySigner, Signature, countersign, key_id, pae, sign, verify

if TYPE_CHECKING:
    from pathlib import Path

ADA, BOB = (KeySigner(name, bytes([number]) * 32) for number, name in enumerate(("person ada", "person bob")))


class Wish(Struct, frozen=True, kw_only=True):
    """A statement."""

    number: Annotated[int, Meta(ge=1)]


def test_the_bytes_signed_are_those_of_the_standard() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_what_somebody_signed_can_be_read() -> None:
    assert verify(sign("wish", Wish(number=3), ADA), "wish", Wish, [ADA.public]) == Wish(number=3)


def test_all_who_must_sign_must_have_signed() -> None:
    one = sign("wish", Wish(number=3), ADA)
    assert verify(countersign(one, BOB), "wish", Wish, [ADA.public, BOB.public]).number == 3
    with pytest.raises(SignatureError, match=f"not signed by key {key_id(BOB.public)}.*{key_id(ADA.public)}"):
        verify(one, "wish", Wish, [ADA.public, BOB.public])


def test_a_signature_for_one_purpose_does_not_serve_another() -> None:
    envelope = sign("wish", Wish(number=3), ADA)
    with pytest.raises(SignatureError, match=r"expected a signed order .*got 'application/vnd\.lfr-kernel.wish"):
        verify(envelope, "order", Wish, [ADA.public])
    renamed = msgspec.structs.replace(envelope, payload_type="application/vnd.lfr-kernel.order+json")
    with pytest.raises(SignatureError, match="this order is not signed by key"):
        verify(renamed, "order", Wish, [ADA.public])


@given(st.integers(0, 9), st.integers(1, 255))
def test_a_changed_statement_is_refused(place: int, by: int) -> None:
    envelope = sign("wish", Wish(number=3), ADA)
    body = bytearray(envelope.body)
    body[place % len(body)] ^= by
    changed = msgspec.structs.replace(envelope, payload=base64.b64encode(bytes(body)).decode())
    with pytest.raises(SignatureError, match="changed since"):
        verify(changed, "wish", Wish, [ADA.public])


def test_nobodys_signature_is_not_enough() -> None:
    with pytest.raises(SignatureError, match="nobody is known whose signature on this wish would count"):
        verify(sign("wish", Wish(number=3), ADA), "wish", Wish, [])


def test_a_signature_under_anothers_key_id_does_not_count() -> None:
    envelope = sign("wish", Wish(number=3), BOB)
    forged = Signature(keyid=key_id(ADA.public), sig=envelope.signatures[0].sig)
    with pytest.raises(SignatureError, match="not signed by key"):
        verify(msgspec.structs.replace(envelope, signatures=(forged,)), "wish", Wish, [ADA.public])


def test_a_statement_of_another_shape_is_refused_although_it_is_signed() -> None:
    with pytest.raises(SignatureError, match=r"cannot be read: .*another version"):
        verify(sign("wish", {"number": 0}, ADA), "wish", Wish, [ADA.public])


def test_a_damaged_envelope_is_refused() -> None:
    envelope = msgspec.structs.replace(sign("wish", Wish(number=3), ADA), payload="*")
    with pytest.raises(SignatureError, match="not written in base64"):
        verify(envelope, "wish", Wish, [ADA.public])


def test_an_envelope_goes_through_a_file(tmp_path: Path) -> None:
    envelope = sign("wish", Wish(number=3), ADA)
    write_envelope(tmp_path / "wish.json", envelope)
    assert read_envelope(tmp_path / "wish.json") == envelope


def test_a_file_that_is_no_envelope_says_so(tmp_path: Path) -> None:
    with pytest.raises(SignatureError, match=r"wish\.json: expected a signed statement, got: No such file"):
        read_envelope(tmp_path / "wish.json")
    (tmp_path / "wish.json").write_text("{}")
    with pytest.raises(SignatureError, match=r"wish\.json: expected a signed statement \(JSON\)"):
        read_envelope(tmp_path / "wish.json")
    with (tmp_path / "wish.json").open("wb") as file:
        file.truncate(17 << 20)
    with pytest.raises(SignatureError, match="got a file of more than"):
        read_envelope(tmp_path / "wish.json")


def test_a_passphrase_costs_what_the_product_says() -> None:
    assert (sealing.SCRYPT_N, sealing.SCRYPT_R, sealing.SCRYPT_P) == (2**17, 8, 1)
    sealed = seal_under_passphrase(b"secret", "correct horse", {"name": "ada"})
    assert sealed.n == 2**17
    assert sealed.open("correct horse") == b"secret"


@pytest.mark.usefixtures("cheap_scrypt")
def test_only_the_passphrase_opens() -> None:
    sealed = seal_under_passphrase(b"secret", "correct horse", {"name": "ada"})
    with pytest.raises(SealError, match="wrong passphrase, or the key file was changed"):
        sealed.open("Correct horse")
    with pytest.raises(SealError, match="expected a passphrase, got an empty one"):
        seal_under_passphrase(b"secret", "", {})


@pytest.mark.usefixtures("cheap_scrypt")
def test_what_a_key_file_says_of_itself_cannot_be_changed() -> None:
    sealed = seal_under_passphrase(b"secret", "correct horse", {"name": "ada"})
    with pytest.raises(SealError, match="was changed"):
        msgspec.structs.replace(sealed, about={"name": "bob"}).open("correct horse")
    with pytest.raises(SealError, match="was changed"):
        msgspec.structs.replace(sealed, nonce="*").open("correct horse")


@pytest.mark.parametrize(("field", "value"), [("n", 2**16), ("n", 2**21), ("r", 4), ("p", 2)])
def test_a_cheaper_or_a_dearer_scrypt_is_refused(field: str, value: int) -> None:
    about = {"about": {}, "n": 2**17, "r": 8, "p": 1, "salt": "", "nonce": "", "sealed": ""}
    with pytest.raises(SealError, match=r"expected scrypt with N from 131072 to 1048576, r = 8 and p = 1"):
        msgspec.convert({**about, field: value}, SealedKey).open("any")


def test_only_the_receiver_opens_and_only_for_the_purpose() -> None:
    key, other = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    sealed = seal_to(key.public_key(), b"secret", b"unlock 7")
    assert open_sealed(key, sealed, b"unlock 7") == b"secret"
    for private, message, purpose in (
        (other, sealed, b"unlock 7"),
        (key, sealed, b"unlock 8"),
        (key, sealed[:-1] + bytes([sealed[-1] ^ 1]), b"unlock 7"),
        (key, sealed[:10], b"unlock 7"),
    ):
        with pytest.raises(SealError, match="sealed to another key or for another purpose"):
            open_sealed(private, message, purpose)


def test_a_wrapped_key_opens_under_its_key_for_its_purpose() -> None:
    wrapped = wrap(b"k" * 32, b"secret", b"list 1")
    assert unwrap(b"k" * 32, wrapped, b"list 1") == b"secret"
    assert wrap(b"k" * 32, b"secret", b"list 1") != wrapped
    for key, message, purpose in (
        (b"l" * 32, wrapped, b"list 1"),
        (b"k" * 32, wrapped, b"list 2"),
        (b"k" * 32, b"", b""),
    ):
        with pytest.raises(SealError, match="sealed under another key or for another purpose"):
            unwrap(key, message, purpose)


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    write_whole(path, b"secret")
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_secret(path) == b"secret"
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match=r"can be read by others \(mode 0640, expected 0600\).*chmod 600"):
        read_secret(path)
    with pytest.raises(KeyFileError, match=r"b\.key: No such file or directory; expected a file that you can read"):
        read_secret(tmp_path / "b.key")


def test_a_file_that_could_not_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.key"
    write_whole(path, b"before")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["a.key"]


def test_a_destroyed_file_is_overwritten_first(tmp_path: Path) -> None:
    path, link = tmp_path / "a.key", tmp_path / "link"
    path.write_bytes(b"secret" * 1000)
    link.hardlink_to(path)
    assert destroy_file(path)
    assert link.read_bytes() == bytes(6000)
    assert not path.exists()
    assert not destroy_file(path)


def _refuse_to_sync(patch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    patch.setattr(os, "fsync", fail)
    patch.setattr(files, "sync_folder", lambda _: None)


def test_what_cannot_be_overwritten_is_removed_all_the_same_and_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, left = tmp_path / "a.key", tmp_path / ".a.key.17.tmp"
    for one in (path, left):
        one.write_bytes(b"secret")
    _refuse_to_sync(monkeypatch)
    with pytest.raises(
        KeyFileError,
        match=r"\.a\.key\.17\.tmp was removed, but could not be overwritten before: Input/output error; overwr",
    ):
        destroy_file(path)
    assert list(tmp_path.iterdir()) == []
    assert not destroy_file(path)


def test_what_cannot_be_removed_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.key"
    path.write_bytes(b"secret")

    def fail(_: Path, *, missing_ok: bool) -> None:
        assert missing_ok
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(type(path), "unlink", fail)
    with pytest.raises(KeyFileError, match=r"a\.key could not be removed: Read-only file system; remove it yourself"):
        destroy_file(path)
    assert path.read_bytes() == bytes(6)


def test_what_a_crash_left_of_a_secret_is_destroyed_with_it(tmp_path: Path) -> None:
    path, left, link = tmp_path / "a.key", tmp_path / ".a.key.17.tmp", tmp_path / "link"
    other = tmp_path / ".ab.key.17.tmp"
    for one in (path, left, other):
        one.write_bytes(b"secret")
    link.hardlink_to(left)
    assert destroy_file(path)
    assert link.read_bytes() == bytes(6)
    assert sorted(one.name for one in tmp_path.iterdir()) == [".ab.key.17.tmp", "link"]


def test_a_key_whose_destruction_was_broken_off_is_no_key(tmp_path: Path) -> None:
    ring = Keyring(tmp_path)
    ring.make("text-7")
    (tmp_path / "text-7.key").write_bytes(bytes(32))
    assert not ring.has("text-7")
    with pytest.raises(KeyFileError, match=r"text-7\.key was destroyed: nothing but zeros is left of it"):
        ring.get("text-7")
    assert ring.destroy("text-7")


def test_a_keyring_keeps_each_key_in_a_file_of_its_own(tmp_path: Path) -> None:
    ring = Keyring(tmp_path / "keys")
    assert not ring.has("deployment-1")
    key = ring.make("deployment-1")
    assert len(key) == 32
    assert ring.get("deployment-1") == key
    assert ring.make("deployment-2") != key
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys" / "deployment-1.key").stat().st_mode & 0o777 == 0o600
    assert ring.destroy("deployment-1")
    assert not ring.destroy("deployment-1")
    with pytest.raises(KeyFileError, match=r"deployment-1\.key: No such file"):
        ring.get("deployment-1")


def test_of_a_key_that_another_one_takes_the_place_of_nothing_is_left(tmp_path: Path) -> None:
    ring = Keyring(tmp_path)
    ring.put("deployment-1", b"sealed to whoever was there then")
    (tmp_path / "link").hardlink_to(tmp_path / "deployment-1.key")
    ring.put("deployment-1", b"sealed to the present ones")
    assert (tmp_path / "link").read_bytes() == bytes(32)
    assert ring.get("deployment-1") == b"sealed to the present ones"


def test_a_full_disk_takes_no_key_and_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Keyring(tmp_path)
    before = ring.make("deployment-1")

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    for name in ("deployment-1", "deployment-2"):
        with pytest.raises(KeyFileError, match=rf"{name}\.key could not be written: No space left on device; see"):
            ring.make(name)
    assert ring.get("deployment-1") == before
    assert ring.names() == ["deployment-1"]
    assert [path.name for path in tmp_path.iterdir()] == ["deployment-1.key"]


@pytest.mark.parametrize("name", ["", "../signing", "a/b", "a.b"])
def test_a_keyring_takes_names_only(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyFileError, match="expected the name of a key"):
        Keyring(tmp_path).has(name)


def test_a_machine_that_can_seal_its_keys_does(tmp_path: Path) -> None:
    class Chip:
        """Seals as a TPM would: to the name."""

        def seal(self, name: str, secret: bytes) -> bytes:
            return wrap(b"c" * 32, secret, name.encode())

        def open(self, name: str, sealed: bytes) -> bytes:
            return unwrap(b"c" * 32, sealed, name.encode())

    ring = Keyring(tmp_path, Chip())
    key = ring.make("signing")
    assert key not in (tmp_path / "signing.key").read_bytes()
    assert ring.get("signing") == key
    (tmp_path / "signing.key").rename(tmp_path / "sealing.key")
    with pytest.raises(SealError, match="another purpose"):
        ring.get("sealing")


def test_a_signer_signs_as_ed25519_does() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert ADA.sign(b"message") == private.sign(b"message")
    private.public_key().verify(ADA.sign(b"message"), b"message")
