"""Whom something is sealed to: only their key opens it, and only as it was sealed."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.governance.errors import KeyFileError, RefusedError, SealError
from lfr_kernel.governance.keys.recipient import (
    LONGEST_HEADER,
    SealedHeader,
    fingerprint_of,
    header_of,
    is_sealed,
    open_with,
    recipient_of,
    seal_for,
)
from lfr_kernel.governance.people.keyfiles import change_passphrase, new_person, unlock_person
from lfr_kernel.governance.people.recipients import new_recipient, read_recipient, unlock_recipient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from calling import Result

    Lfr = Callable[..., Result]

KEY = X25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC = KEY.public_key()
HEX = PUBLIC.public_bytes_raw().hex()
LOW_ORDER = ("00" * 32, "01" + "00" * 31, "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")


@given(
    data=st.binary(max_size=4096),
    purpose=st.text(max_size=32),
    about=st.dictionaries(st.text(max_size=8), st.integers(-(2**63), 2**63 - 1) | st.text(max_size=16), max_size=4),
)
def test_what_is_sealed_opens_whole_and_says_what_it_is(data: bytes, purpose: str, about: dict[str, str | int]) -> None:
    sealed = seal_for(PUBLIC, purpose, data, about)
    assert is_sealed(sealed)
    assert header_of(sealed) == SealedHeader(purpose=purpose, recipient=fingerprint_of(PUBLIC), about=about)
    assert open_with(KEY, sealed, purpose=purpose) == data


SEALED = seal_for(PUBLIC, "export", b"an archive of no great length", {"deployment": 7})


@given(at=st.integers(0, len(SEALED) - 1), flipped=st.integers(1, 255))
def test_a_byte_that_was_changed_breaks_the_seal(at: int, flipped: int) -> None:
    changed = bytearray(SEALED)
    changed[at] ^= flipped
    with pytest.raises(SealError):
        open_with(KEY, bytes(changed))


@given(length=st.integers(0, len(SEALED) - 1))
def test_a_file_that_was_cut_short_does_not_open(length: int) -> None:
    with pytest.raises(SealError):
        open_with(KEY, SEALED[:length])


def test_nobody_else_opens_it_and_both_keys_are_named() -> None:
    other = X25519PrivateKey.generate()
    text = f"sealed to key {fingerprint_of(PUBLIC)}, and the key given is {fingerprint_of(other.public_key())}"
    with pytest.raises(SealError, match=text):
        open_with(other, SEALED)


def test_what_was_sealed_for_one_purpose_is_not_taken_for_another() -> None:
    with pytest.raises(SealError, match="expected something that was sealed as alert-picture, got 'export'"):
        open_with(KEY, SEALED, purpose="alert-picture")
    with pytest.raises(SealError):
        open_with(KEY, SEALED.replace(b'"export"', b'"alerts"'), purpose="alerts")


def test_sealing_twice_never_gives_the_same_bytes() -> None:
    assert seal_for(PUBLIC, "export", b"twice") != seal_for(PUBLIC, "export", b"twice")


def test_what_stands_in_clear_has_a_bound() -> None:
    with pytest.raises(ValueError, match=f"{LONGEST_HEADER} bytes at most"):
        seal_for(PUBLIC, "export", b"", {"text": "x" * LONGEST_HEADER})


def test_a_public_key_is_64_digits_of_either_case() -> None:
    assert recipient_of(HEX).public_bytes_raw() == recipient_of(HEX.upper()).public_bytes_raw()


@pytest.mark.parametrize("text", ["", HEX[:-1], HEX + "0", "g" * 64, f" {HEX[1:]}", f"{HEX}\n"])
def test_anything_else_is_no_key(text: str) -> None:
    with pytest.raises(SealError, match="expected an X25519 public key, 64 hexadecimal digits"):
        recipient_of(text)


@pytest.mark.parametrize("text", LOW_ORDER)
def test_a_key_that_keeps_nothing_secret_is_refused(text: str) -> None:
    with pytest.raises(SealError, match="could be opened by anybody"):
        recipient_of(text)


@pytest.mark.usefixtures("cheap_scrypt")
class TestKeyFiles:
    def test_a_recipient_opens_with_the_file_and_its_passphrase(self, tmp_path: Path) -> None:
        made = new_recipient("control-room", tmp_path / "room", "of the room")
        assert read_recipient(tmp_path / "room.pub") == made
        assert stat.S_IMODE((tmp_path / "room.key").stat().st_mode) == 0o600
        sealed = seal_for(made.public, "export", b"an archive")
        assert open_with(unlock_recipient(tmp_path / "room.key", "of the room"), sealed) == b"an archive"
        with pytest.raises(SealError, match="wrong passphrase"):
            unlock_recipient(tmp_path / "room.key", "of another")

    def test_a_person_is_a_recipient_with_the_keys_they_have(self, tmp_path: Path) -> None:
        public = new_person("eva", tmp_path / "eva", "of eva")
        recipient = read_recipient(tmp_path / "eva.pub")
        assert (recipient.name, recipient.sealing) == ("eva", public.sealing)
        sealed = seal_for(recipient.public, "export", b"an archive")
        assert open_with(unlock_recipient(tmp_path / "eva.key", "of eva"), sealed) == b"an archive"

    def test_a_recipient_is_no_person(self, tmp_path: Path) -> None:
        new_recipient("control-room", tmp_path / "room", "of the room")
        with pytest.raises(KeyFileError, match="expected one of kind person, got one of kind recipient"):
            unlock_person(tmp_path / "room.key", "of the room")

    def test_the_passphrase_is_changed_as_a_person_changes_it(self, tmp_path: Path) -> None:
        made = new_recipient("control-room", tmp_path / "room", "old")
        change_passphrase(tmp_path / "room.key", "old", "new")
        private = unlock_recipient(tmp_path / "room.key", "new")
        assert private.public_key().public_bytes_raw().hex() == made.sealing

    def test_nothing_is_overwritten(self, tmp_path: Path) -> None:
        (tmp_path / "room.pub").write_bytes(b"somebody's")
        with pytest.raises(KeyFileError, match="a key is never overwritten"):
            new_recipient("control-room", tmp_path / "room", "of the room")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["room.pub"]

    def test_a_name_is_a_name(self, tmp_path: Path) -> None:
        with pytest.raises(RefusedError, match="expected a name of up to 64 letters"):
            new_recipient("control room", tmp_path / "room", "of the room")

    def test_a_public_file_of_a_worthless_key_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "room.pub"
        path.write_bytes(msgspec.json.encode({"name": "room", "sealing": LOW_ORDER[0]}))
        with pytest.raises(SealError, match=r"room.pub: .* could be opened by anybody"):
            read_recipient(path)

    @pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"name": "room", "sealing": "12"}', b"[]"])
    def test_anything_else_is_no_public_file(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "room.pub"
        path.write_bytes(content)
        with pytest.raises(KeyFileError, match="expected a file that `recipient new` or `person new` made"):
            read_recipient(path)
        with pytest.raises(KeyFileError, match="No such file"):
            read_recipient(tmp_path / "missing.pub")


@pytest.mark.usefixtures("cheap_scrypt")
class TestCommands:
    @pytest.fixture
    def made(self, lfr: Lfr, tmp_path: Path) -> dict[str, str]:
        secret = tmp_path / "passphrase"
        secret.write_text("of the room\n", encoding="utf-8")
        secret.chmod(0o600)
        result = lfr("recipient", "new", "room", "--out", tmp_path / "room", "--passphrase-file", secret, "--json")
        assert result.code == 0, result
        made: dict[str, str] = json.loads(result.out)
        return made

    def open(self, lfr: Lfr, folder: Path, *arguments: object) -> Result:
        key = ("--key", folder / "room.key", "--passphrase-file", folder / "passphrase")
        return lfr("recipient", "open", *arguments, *key)

    def test_the_public_key_is_shown_as_a_profile_takes_it(
        self, lfr: Lfr, tmp_path: Path, made: dict[str, str]
    ) -> None:
        shown = lfr("recipient", "show", tmp_path / "room.pub")
        public = recipient_of(made["key"])
        assert [line.split() for line in shown.out.splitlines()] == [
            ["name", "room"],
            ["key", made["key"]],
            ["fingerprint", fingerprint_of(public)],
        ]
        assert json.loads(lfr("recipient", "show", tmp_path / "room.pub", "--json").out) == made

    def test_what_was_sealed_is_shown_and_opened(self, lfr: Lfr, tmp_path: Path, made: dict[str, str]) -> None:
        sealed = tmp_path / "a1.png.sealed"
        sealed.write_bytes(seal_for(recipient_of(made["key"]), "alert-picture", b"a picture", {"alert": "a1\x1b[2J"}))
        shown = lfr("recipient", "show", sealed).out
        assert "alert-picture" in shown
        assert made["fingerprint"] in shown
        assert "\x1b" not in shown
        into = tmp_path / "opened"
        into.mkdir()
        result = self.open(lfr, tmp_path, sealed, "--into", into, "--json")
        assert result.code == 0, result
        (opened,) = json.loads(result.out)
        assert (opened["opened"], opened["purpose"]) == (str(into / "a1.png"), "alert-picture")
        assert (into / "a1.png").read_bytes() == b"a picture"
        assert stat.S_IMODE((into / "a1.png").stat().st_mode) == 0o600
        assert self.open(lfr, tmp_path, sealed).out.split() == ["opened", str(tmp_path / "a1.png")]

    def test_nothing_is_overwritten(self, lfr: Lfr, tmp_path: Path, made: dict[str, str]) -> None:
        sealed = tmp_path / "a1.png.sealed"
        sealed.write_bytes(seal_for(recipient_of(made["key"]), "alert-picture", b"a picture"))
        (tmp_path / "a1.png").write_bytes(b"mine")
        result = self.open(lfr, tmp_path, sealed)
        assert result.code == 2
        assert "a1.png is there already: nothing is overwritten" in " ".join(result.err.split())
        assert (tmp_path / "a1.png").read_bytes() == b"mine"

    @pytest.mark.parametrize(
        ("name", "content", "why"),
        [
            ("a1.png.sealed", b"\x89PNG", "expected a sealed file, which begins with lfr-sealed-1"),
            ("a1.png.sealed", b"lfr-sealed-1\n{", "cut short or damaged"),
            ("a1.png.sealed", seal_for(PUBLIC, "alert-picture", b"a picture"), "this was sealed to key"),
            ("a1.png", b"", "expected a file whose name ends in .sealed"),
            (".sealed", b"", "expected a file whose name ends in .sealed"),
        ],
        ids=["a picture", "cut", "somebody else's", "another name", "no name"],
    )
    @pytest.mark.usefixtures("made")
    def test_what_cannot_be_opened_is_refused_with_its_name(
        self, lfr: Lfr, tmp_path: Path, name: str, content: bytes, why: str
    ) -> None:
        (tmp_path / name).write_bytes(content)
        result = self.open(lfr, tmp_path, tmp_path / name)
        assert result.code == 2
        said = " ".join(result.err.split())
        assert f"{tmp_path / name}: " in said
        assert why in said
        assert "Traceback" not in result.err

    @pytest.mark.usefixtures("made")
    def test_a_file_that_is_not_there_is_named(self, lfr: Lfr, tmp_path: Path) -> None:
        for result in (
            self.open(lfr, tmp_path, tmp_path / "b.sealed"),
            lfr("recipient", "show", tmp_path / "b.sealed"),
        ):
            assert result.code == 2
            assert "b.sealed: expected a" in result.err
