"""The chain, its checkpoints and anchors: exact bodies, keys that evolve, and a machine of all that may happen."""

from __future__ import annotations

import base64
import re
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from governance.logbook import INSTALLATION, MARCH, Logbook, body_of, changed, signed_anew
from lfr_kernel.governance.audit.anchors import Anchor, anchor_of, deliver_anchors, qr_of
from lfr_kernel.governance.audit.chain import NOTHING, draft, is_signed, iso_of, ns_of, stamp_of, text_digest
from lfr_kernel.governance.audit.checkpoints import checkpoint, tidy_checkpoints
from lfr_kernel.governance.audit.database import Database
from lfr_kernel.governance.audit.verifier import verify
from lfr_kernel.governance.errors import AuditError, KeyFileError
from lfr_kernel.governance.instant import Instant
from lfr_kernel.governance.keys.keyring import Keyring
from lfr_kernel.governance.keys.signing import KeySigner, key_id

if TYPE_CHECKING:
    from collections.abc import Iterator

STAMP = Instant(utc_ns=MARCH + 1, boot_ns=5, boot_id="boot-1", is_synchronised=None)
SIGNER = KeySigner("installation", bytes(32))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Logbook]:
    made = Logbook(tmp_path)
    yield made
    made.database.close()


# --- bodies ---------------------------------------------------------------------------------------------------------


def test_an_entry_is_exactly_this_text_and_this_digest() -> None:
    made = draft((41, "ab" * 32), STAMP, "capture_started", signer=SIGNER, facts={"é": 0.1}, reason="a-b_1", text="cd")
    assert made.entry.body == (
        f'{{"n":42,"prev":"{"ab" * 32}","at":"2026-03-01T10:00:00.000000001Z","boot_ns":5,"boot_id":"boot-1",'
        f'"synchronised":null,"act":"capture_started","by":"installation","key":"{key_id(SIGNER.public)}","reason":"a-b_1",'
        '"text":"cd","facts":{"é":0.1}}'
    )
    assert made.entry.digest == sha256(b"lfr-audit-1\0" + made.entry.body.encode()).hexdigest()
    assert (made.entry.number, made.entry.at, made.entry.act) == (
        42,
        "2026-03-01T10:00:00.000000001Z",
        "capture_started",
    )
    assert stamp_of(made.entry.body) == STAMP


def test_an_entry_is_signed_if_body_digest_signature_and_key_belong_together() -> None:
    made, other = (draft((0, NOTHING), STAMP, act, signer=SIGNER) for act in ("capture_started", "wiped"))
    entry, public = made.entry, SIGNER.public
    assert is_signed(entry.body, entry.digest, made.signature, public)
    assert not is_signed(other.entry.body, entry.digest, made.signature, public)
    assert not is_signed(entry.body, "no digest", made.signature, public)
    assert not is_signed(entry.body, entry.digest, other.signature, public)
    assert not is_signed(entry.body, entry.digest, "no base64", public)
    assert not is_signed(entry.body, entry.digest, made.signature, KeySigner("another", bytes([1]) * 32).public)


def test_the_signature_covers_the_digest_and_what_it_is_for() -> None:
    made = draft((0, NOTHING), STAMP, "capture_started", signer=SIGNER)
    public = Ed25519PublicKey.from_public_bytes(SIGNER.public)
    public.verify(base64.b64decode(made.signature), b"lfr-audit-1\0" + bytes.fromhex(made.entry.digest))


@pytest.mark.parametrize("code", ["Because of Zebedee", "", "naïve", "a\n"])
def test_what_is_no_code_never_gets_into_the_chain(code: str) -> None:
    with pytest.raises(ValueError, match=r"expected reason to be a code of a-z, 0-9, - and _, got .*free text goes to"):
        draft((0, NOTHING), STAMP, "capture_started", signer=SIGNER, reason=code)
    with pytest.raises(ValueError, match=r"expected act to be a code"):
        draft((0, NOTHING), STAMP, code, signer=SIGNER)


@given(st.integers(0, 4_102_444_800_000_000_000))
def test_times_come_back_to_the_nanosecond(utc_ns: int) -> None:
    assert ns_of(iso_of(utc_ns)) == utc_ns


def test_the_digest_of_a_text_cannot_be_guessed_without_its_key() -> None:
    assert text_digest("yes", bytes(32)) != text_digest("yes", bytes([1] * 32))
    assert text_digest("yes", bytes(32)) != text_digest("no", bytes(32))
    assert text_digest("yes", bytes(32)) == text_digest("yes", bytes(32))


def test_a_body_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"expected the body of an entry: .*`at`"):
        stamp_of("{}")


# --- checkpoints ----------------------------------------------------------------------------------------------------


def keys_of(keyring: Keyring) -> list[str]:
    return sorted(path.name for path in keyring.folder.iterdir())


def test_each_checkpoint_is_signed_by_the_key_that_the_one_before_named_and_destroys_it(log: Logbook) -> None:
    assert keys_of(log.keyring) == ["checkpoint-000001.key"]
    first, second = log.checkpoint(), log.checkpoint()
    assert keys_of(log.keyring) == ["checkpoint-000003.key"]
    founded, one, two = (body_of(line) for line in log.lines())
    assert one["key"] == key_id(bytes.fromhex(founded["facts"]["checkpoint"]))
    assert two["key"] == key_id(bytes.fromhex(one["facts"]["next"]))
    assert [body["facts"]["checkpoint"] for body in (one, two)] == [1, 2]
    assert (first.act, first.number, second.number) == ("checkpoint", 2, 3)


def test_a_checkpoint_that_is_undone_destroys_nothing(log: Logbook) -> None:
    def fail() -> None:
        with log.database.transaction() as transaction:
            checkpoint(transaction, log.keyring)
            raise KeyError("a step that fails")

    with pytest.raises(KeyError):
        fail()
    assert log.database.head()[0] == 1
    assert keys_of(log.keyring) == ["checkpoint-000001.key", "checkpoint-000002.key"]
    tidy_checkpoints(log.database, log.keyring)
    assert keys_of(log.keyring) == ["checkpoint-000001.key"]
    log.checkpoint()


def test_an_older_copy_of_the_database_beside_todays_keys_is_refused(log: Logbook, tmp_path: Path) -> None:
    log.checkpoint()
    log.database.close()
    shutil.copy(log.database.path, tmp_path / "older.db")
    log.database = Database(log.database.path, clocks=log.clock)
    log.checkpoint()
    log.database.close()
    shutil.copy(tmp_path / "older.db", log.database.path)
    log.database = Database(log.database.path, clocks=log.clock)
    expected = r"expected the key of checkpoint 2, which entry 2 of the audit names, got none: .* put back to an older"
    with pytest.raises(AuditError, match=expected):
        tidy_checkpoints(log.database, log.keyring)
    with pytest.raises(AuditError, match=expected):
        log.checkpoint()
    assert keys_of(log.keyring) == ["checkpoint-000003.key"]


def test_another_key_under_the_right_name_is_refused(log: Logbook) -> None:
    log.keyring.make("checkpoint-000001")
    with pytest.raises(AuditError, match=r"expected the key of checkpoint 1, .* got another"):
        log.checkpoint()


def test_an_audit_that_was_never_founded_has_no_checkpoints(tmp_path: Path) -> None:
    with Database.create(tmp_path / "a.db", clocks=lambda: STAMP) as database:
        with pytest.raises(AuditError, match=r"expected an audit that was founded, got an empty one"):
            tidy_checkpoints(database, Keyring(tmp_path / "keys"))
        with pytest.raises(AuditError, match=r"the audit has no entry yet, so there is nothing to anchor"):
            anchor_of(database)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), KeyFileError("Permission denied")])
def test_a_key_that_cannot_be_destroyed_is_said_and_tried_again(
    log: Logbook, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def refuse(_self: Keyring, _name: str) -> bool:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(Keyring, "destroy", refuse)
        with pytest.raises(KeyFileError, match=r"the key of checkpoint 1 cannot be destroyed \(Permission denied\)"):
            log.checkpoint()
    assert log.database.head()[0] == 2
    tidy_checkpoints(log.database, log.keyring)
    assert keys_of(log.keyring) == ["checkpoint-000002.key"]


# --- anchors --------------------------------------------------------------------------------------------------------


class Kept:
    """A sink that can be out of order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.is_broken = False

    def deliver(self, line: str) -> None:
        if self.is_broken:
            raise OSError("the stick is gone")
        self.lines.append(line)


def test_an_anchor_is_one_line_that_can_be_read_back(log: Logbook) -> None:
    made = log.anchor()
    number, head = log.database.head()
    assert made.line == f"lfr-anchor 1 {INSTALLATION} {number} {head} 2026-03-01T10:00:02.000000000Z"
    assert Anchor.parse(f"  {made.line}\n") == made == anchor_of(log.database)
    assert set(qr_of(made.line)) <= set(" ▀▄█\n\x1b[0123456789;m")


@pytest.mark.parametrize("line", ["", "lfr-anchor 2 a 1 " + "0" * 64 + " t", "lfr-anchor 1 a 0 " + "0" * 64 + " t"])
def test_what_is_no_anchor_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"expected `lfr-anchor 1 INSTALLATION NUMBER HEAD TIME`, got "):
        Anchor.parse(line)


def test_anchors_wait_until_every_sink_has_taken_them(log: Logbook) -> None:
    good, bad = Kept(), Kept()
    sinks = {"stick": bad, "printer": good}
    lines = [log.anchor().line, log.anchor().line]
    assert deliver_anchors(log.database, {}) == []
    bad.is_broken = True
    assert deliver_anchors(log.database, sinks) == ["anchor sink stick: OSError: the stick is gone"]
    assert (good.lines, bad.lines) == (lines, [])
    assert len(log.database.pending("anchor")) == 2
    bad.is_broken = False
    assert deliver_anchors(log.database, sinks) == []
    assert (good.lines, bad.lines) == (lines, lines)
    assert log.database.pending("anchor") == []
    assert log.database.query("SELECT count(*) FROM taken") == [(0,)]


# --- everything that may happen -------------------------------------------------------------------------------------


class Crash(Exception):  # noqa: N818  (what a kill is to the code that it hits)
    """The process ends here."""


class Breakable(Keyring):
    """A keyring that ends the process before or after one of its next calls."""

    fuse: tuple[str, str] | None = None

    def make(self, name: str) -> bytes:
        self._burn("before", "make")
        made = super().make(name)
        self._burn("after", "make")
        return made

    def destroy(self, name: str) -> bool:
        self._burn("before", "destroy")
        gone = super().destroy(name)
        self._burn("after", "destroy")
        return gone

    def _burn(self, *place: str) -> None:
        if self.fuse == place:
            self.fuse = None
            raise Crash


class ChainMachine(RuleBasedStateMachine):
    """Acts, checkpoints, anchors, crashes and tampering in any order, beside a list of what must be in the log."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.log = Logbook(self.folder, Breakable(self.folder / "keys"))
        self.acts = ["founded"]
        self.checkpoints = 0
        self.anchors: list[tuple[int, str]] = []
        self.session: KeySigner | None = None

    def teardown(self) -> None:
        self.log.database.close()
        shutil.rmtree(self.folder)

    def reopen(self) -> None:
        self.log.database.close()
        self.log.database = Database(self.log.database.path, clocks=self.log.clock)
        tidy_checkpoints(self.log.database, self.log.keyring)
        assert keys_of(self.log.keyring) == [f"checkpoint-{self.checkpoints + 1:06d}.key"]

    @rule(count=st.integers(1, 3))
    def act(self, count: int) -> None:
        for _ in range(count):
            self.log.act(facts={"count": 7})
            self.acts.append("capture_started")

    @rule()
    def start_session(self) -> None:
        self.session = self.log.session("ada")
        self.acts.append("session_started")

    @precondition(lambda self: self.session is not None)
    @rule()
    def act_in_session(self) -> None:
        self.log.act("authorised", self.session, reason="planned", text="why", text_key=bytes(32))
        self.acts.append("authorised")

    @rule()
    def install_roster(self) -> None:
        self.log.act("roster_installed", facts={"roster": self.log.roster()})
        self.acts.append("roster_installed")

    @rule()
    def checkpoint(self) -> None:
        self.log.checkpoint()
        self.checkpoints += 1
        self.acts.append("checkpoint")

    @rule()
    def anchor(self) -> None:
        made = self.log.anchor()
        self.checkpoints += 1
        self.acts.append("checkpoint")
        self.anchors.append((made.number, made.line))

    @rule(when=st.sampled_from(["before", "after"]), step=st.sampled_from(["make", "destroy"]))
    def crash_in_a_checkpoint(self, when: str, step: str) -> None:
        assert isinstance(self.log.keyring, Breakable)
        self.log.keyring.fuse = (when, step)
        with pytest.raises(Crash):
            self.log.checkpoint()
        if step == "destroy":
            self.checkpoints += 1
            self.acts.append("checkpoint")
        self.reopen()

    @rule()
    def crash_in_an_act(self) -> None:
        def fail() -> None:
            with self.log.database.transaction() as transaction:
                transaction.append("capture_started", signer=self.log.machine)
                raise Crash

        with pytest.raises(Crash):
            fail()
        self.reopen()

    @rule()
    def leave_and_come_back(self) -> None:
        self.reopen()

    @invariant()
    def the_log_is_what_happened_and_verifies(self) -> None:
        lines = self.log.lines()
        assert [body_of(line)["act"] for line in lines] == self.acts
        result = verify(lines, [line for _, line in self.anchors], self.log.root)
        assert result.findings == []
        assert result.proved_entry == (self.anchors[-1][0] if self.anchors else 0)

    @rule(data=st.data())
    def tampering_is_found_and_located(self, data: st.DataObject) -> None:
        lines, anchors = self.log.lines(), [line for _, line in self.anchors]
        number = data.draw(st.integers(1, len(lines)))
        how: Any = data.draw(st.sampled_from(["change", "remove", "swap", "repeat"]))
        touched = list(lines)
        if how == "change":
            touched[number - 1] = changed(lines[number - 1], f'"n":{number},"prev":"', f'"n":{number},"prev":"0')
        elif how == "remove" and number < len(lines):
            del touched[number - 1]
        elif how == "swap" and number < len(lines):
            touched[number - 1], touched[number] = touched[number], touched[number - 1]
        else:
            touched.insert(number, lines[number - 1])
        found = verify(touched, anchors, self.log.root).findings
        assert any(re.search(rf"entry {number}\b", one) for one in found), (how, found)

    @precondition(lambda self: self.anchors)
    @rule(data=st.data())
    def a_rollback_is_found_by_the_anchors_behind_it(self, data: st.DataObject) -> None:
        last = self.anchors[-1][0]
        length = data.draw(st.integers(1, last - 1))
        lines = self.log.lines()[:length]
        assert verify(lines, [], self.log.root).findings == []
        found = verify(lines, [line for _, line in self.anchors], self.log.root).findings
        assert len(found) == sum(number > length for number, _ in self.anchors)
        assert f"says entry {last} existed, the log ends at {length}" in found[-1]

    @precondition(lambda self: self.checkpoints > 0 and "capture_started" in self.acts)
    @rule()
    def a_thief_of_the_installation_key_cannot_rewrite_what_a_checkpoint_covers(self) -> None:
        place = self.acts.index("capture_started")
        lines = self.log.lines()
        lines[place] = changed(lines[place], '"count":7', '"count":8')
        again = signed_anew(lines, self.log.machine)
        covered = [number for number, act in enumerate(self.acts, 1) if act == "checkpoint" and number > place]
        found = verify(again, [], self.log.root).findings
        assert all(any(re.search(rf"entry {number}\b", one) for one in found) for number in covered)
        behind = [k for k, (number, _) in enumerate(self.anchors, 1) if number > place]
        anchored = verify(again, [line for _, line in self.anchors], self.log.root).findings
        assert sum("was rewritten" in one for one in anchored) == len(behind)


ChainMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestChain = ChainMachine.TestCase
