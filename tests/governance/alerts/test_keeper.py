"""An alert is on the disk with both pictures before anybody hears of it; and what cannot be kept nobody hears of."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import numpy as np
import pytest
from msgspec import structs

from governance.alerts.support import DISMISSED_WRONG
from governance.deployment.support import Letters
from lfr_kernel.governance.alerts.steps import resume
from lfr_kernel.governance.alerts.store import listed, pictures_of, proposal_of
from lfr_kernel.governance.alerts.vocabulary import Verdict
from lfr_kernel.governance.answering import WRITE_S
from lfr_kernel.governance.keys import keyring
from lfr_kernel.messages import Alert, Biometric, Match
from lfr_kernel.runtime import ActorFailed, SystemClock, ThreadLane
from lfr_kernel.stages.desk import AlertDesk
from lfr_kernel.testing import InlineLane, VirtualClock, run_actor
from lfr_kernel.testing.fakes import digest_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from numpy.typing import NDArray

    from governance.alerts.support import Duty, OpenDuty
    from lfr_kernel.governance.alerts.keeper import VaultKeeper
    from lfr_kernel.runtime import Lane
    from lfr_kernel.testing import ActorRun

pytestmark = pytest.mark.anyio

DAY_S = 86_400.0
UNENDING_S = 10_000 * DAY_S
BOB = 1
"""His place in the list in memory; his is the third row of the file."""
PIXELS = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)


class Exact(Letters):
    """A codec that loses nothing; what is not its own it reads as `Letters` does."""

    def encode(self, pixels: NDArray[np.uint8]) -> bytes:
        return np.array(pixels.shape[:2], np.uint16).tobytes() + pixels.tobytes()

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        if data.startswith(b"portrait"):
            return super().decode(data)
        return np.frombuffer(data[4:], np.uint8).reshape(*np.frombuffer(data[:4], np.uint16), 3)


class Broken(Letters):
    def encode(self, _: NDArray[np.uint8]) -> bytes:
        raise ValueError("the codec cannot")


def keeper_of(
    duty: Duty, lane: Lane | None = None, *, lives_s: tuple[float, float] | None = None, codec: Any = None
) -> VaultKeeper:
    duty.governed._stills = codec or Exact()
    shorter_s = lives_s or duty.lives_s
    return duty.governed.keeper(lane or InlineLane(), shorter_s=lambda: shorter_s, sinks=("file", "hook"))


def a_crop() -> Biometric:
    return Biometric(PIXELS.copy(), is_kept=True)


async def keep(duty: Duty, keeper: VaultKeeper, entry: int = 0) -> Alert:
    alert = duty.alert()
    assert await keeper.keep(structs.replace(alert, evidence=alert.id), a_crop(), entry)
    return alert


async def test_both_pictures_come_back_as_they_were_and_none_is_held_in_memory(duty: Duty) -> None:
    keeper = keeper_of(duty)
    alert = await keep(duty, keeper, BOB)
    shown = keeper.show(alert.id)
    assert (shown.probe == PIXELS).all()
    row = duty.site.rows[2]
    assert shown.listed[..., 0].tobytes() == row.portrait
    assert (len(keeper), keeper.expire(2**63)) == (0, 0)
    kept = duty.find(alert.id)
    proposal, pictures = proposal_of(duty.site.vault, kept), pictures_of(duty.site.vault, kept)
    assert proposal.alert.person == alert.person
    assert proposal.about == row.about
    assert pictures is not None
    assert pictures.reader == "letters"
    assert repr(pictures) == "<Pictures>"


async def test_nothing_of_an_alert_lies_in_clear_on_the_disk_but_that_there_is_one(duty: Duty) -> None:
    alert = await keep(duty, keeper_of(duty))
    remains = duty.site.remains()
    assert alert.id.encode() in remains
    for secret in (alert.person.encode(), PIXELS.tobytes(), duty.site.rows[0].portrait, b"0.71"):
        assert secret not in remains


async def test_an_entry_that_was_withdrawn_a_moment_ago_leaves_its_photograph_and_what_is_known_out(duty: Duty) -> None:
    assert duty.governed.listed is not None
    duty.governed.listed.withdraw(duty.site.rows[2].about.entry)
    keeper = keeper_of(duty)
    alert = await keep(duty, keeper, BOB)
    kept = duty.find(alert.id)
    pictures = pictures_of(duty.site.vault, kept)
    assert pictures is not None
    assert (pictures.listed, proposal_of(duty.site.vault, kept).about) == (None, None)
    assert pictures.probe == Exact().encode(PIXELS)
    with pytest.raises(KeyError):
        keeper.show(alert.id)


async def test_pictures_that_are_not_there_are_a_key_error_to_a_sink(duty: Duty) -> None:
    keeper = keeper_of(duty)
    alert = await keep(duty, keeper)
    with pytest.raises(KeyError):
        keeper.show("ff" * 8)
    (name,) = (one for one in duty.site.vault.keyring.names() if one.startswith("evidence-"))
    duty.site.vault.keyring.destroy(name)
    with pytest.raises(KeyError):
        keeper.show(alert.id)


@pytest.mark.parametrize(
    ("lives_s", "expected_s"),
    [
        ((UNENDING_S, UNENDING_S), (10 * DAY_S, 6 * 3600.0)),
        ((10 * DAY_S, 6 * 3600.0), (10 * DAY_S, 6 * 3600.0)),
        ((3 * DAY_S, UNENDING_S), (3 * DAY_S, 6 * 3600.0)),
        ((UNENDING_S, 90.0), (10 * DAY_S, 90.0)),
        ((600.0, UNENDING_S), (600.0, 600.0)),  # no picture outlives its alert
    ],
)
async def test_retention_shortens_lives_and_never_lengthens_them(
    open_duty: OpenDuty, lives_s: tuple[float, float], expected_s: tuple[float, float]
) -> None:
    duty = open_duty(alert_days=10, evidence_hours=6)
    alert = await keep(duty, keeper_of(duty, lives_s=lives_s))
    ((pictures_s,),) = duty.site.vault.database.query("SELECT expires_s FROM pictures")
    for expires_s, life_s in zip((duty.find(alert.id).expires_s, pictures_s), expected_s, strict=True):
        latest_s = alert.alerted_at_ns / 1e9 + life_s
        assert latest_s - life_s / 24 - 1 < expires_s <= latest_s


async def test_an_alert_that_is_there_already_is_left_as_it_is(duty: Duty) -> None:
    keeper = keeper_of(duty)
    alert = await keep(duty, keeper)
    assert await keeper.keep(structs.replace(alert, person="another"), a_crop(), 1)
    assert proposal_of(duty.site.vault, duty.find(alert.id)).alert.person == alert.person
    assert len(duty.site.acts("alert_raised")) == 1


# ---- the desk -----------------------------------------------------------------------------------------------------


def a_match(size_px: int | None = None) -> Match:
    return Match(
        passage="run-000007",
        camera="gate",
        person="ada",
        entry=0,
        generation=1,
        similarity=0.71,
        threshold=0.64,
        faces=4,
        quality=0.8,
        box=(1.0, 2.0, 3.0, 4.0),
        crop=Biometric(PIXELS.copy() if size_px is None else np.full((size_px, size_px, 3), 7, np.uint8)),
        captured_at_ns=11,
        captured_monotonic_ns=0,
    )


@pytest.fixture
def crops(monkeypatch: pytest.MonkeyPatch) -> list[Biometric]:
    """Every Biometric made since: whoever made it, somebody has to erase it."""
    made: list[Biometric] = []
    initialise = Biometric.__init__

    def note(self: Biometric, array: Any, **more: Any) -> None:
        initialise(self, array, **more)
        made.append(self)

    monkeypatch.setattr(Biometric, "__init__", note)
    return made


@asynccontextmanager
async def at_the_desk(keeper: VaultKeeper, clock: VirtualClock | None = None) -> AsyncIterator[ActorRun]:
    desk = AlertDesk(keeper, model=digest_of("model"), permit="EX/1", basis=str, act_within_s=30)
    async with run_actor(desk, clock=clock) as run:
        yield run


async def test_once_somebody_hears_of_an_alert_it_is_in_the_vault_and_no_crop_is_left(
    duty: Duty, crops: list[Biometric]
) -> None:
    async with at_the_desk(keeper_of(duty)) as run:
        await run.send(a_match())
        alert = await run.next(Alert)
        assert (keeper_of(duty).show(alert.evidence).probe == PIXELS).all()
        assert duty.find(alert.id).act_by_ns == 11 + 30 * 10**9
        await run.settle()
    assert [one.is_erased for one in crops] == [True, True]


def fill_disk(duty: Duty, _: pytest.MonkeyPatch) -> None:
    connection = duty.governed._vault.database._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")


def fill_disk_of_keys(_: Duty, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(keyring, "replace_secret", fail)


def forbid_writing(duty: Duty, _: pytest.MonkeyPatch) -> None:
    duty.governed._vault.database._connection.execute("PRAGMA query_only = 1")


@pytest.mark.parametrize(
    ("hinder", "says"),
    [
        (fill_disk, "the disk is full: free some space, then start again"),
        (fill_disk_of_keys, "key file .* could not be written: No space left on device; see whether its disk"),
        (forbid_writing, "it may not be written: see who owns the file"),
    ],
)
async def test_what_cannot_be_kept_nobody_hears_of_and_the_run_ends(
    duty: Duty,
    crops: list[Biometric],
    monkeypatch: pytest.MonkeyPatch,
    hinder: Callable[[Duty, pytest.MonkeyPatch], None],
    says: str,
) -> None:
    hinder(duty, monkeypatch)
    with pytest.raises(ActorFailed, match=f"desk: .*{says}"):
        await _raise_one(keeper_of(duty))
    assert [one.is_erased for one in crops] == [True, True]
    assert listed(duty.site.vault.database) == []
    for table in ("pictures", "deliveries"):
        assert duty.site.vault.database.query(f"SELECT * FROM {table}") == []  # noqa: S608
    assert duty.site.acts("alert_raised") == []
    duty.site.expect_chain()


async def _raise_one(keeper: VaultKeeper, clock: VirtualClock | None = None) -> None:
    """Match somebody once, by a crop that does not fit into what is free; whoever hears of it fails the test."""
    async with at_the_desk(keeper, clock) as run:
        await run.send(a_match(256))
        await run.clock.advance(WRITE_S + 1)
        assert run.emitted(Alert) == ()


async def test_a_vault_that_hangs_ends_the_run_and_nobody_hears(duty: Duty, crops: list[Biometric]) -> None:
    clock = VirtualClock()
    keeper = keeper_of(duty, InlineLane(hang_at=[1], clock=clock))
    with pytest.raises(ActorFailed, match="desk: the vault did not answer within 30 s, and what cannot be"):
        await _raise_one(keeper, clock)
    assert [one.is_erased for one in crops] == [True, True]


async def test_a_picture_that_cannot_be_packed_raises_no_alert_and_leaves_no_crop(duty: Duty) -> None:
    crop = a_crop()
    with pytest.raises(ValueError, match="the codec cannot"):
        await keeper_of(duty, codec=Broken()).keep(duty.alert(), crop, 0)
    assert crop.is_erased
    assert listed(duty.site.vault.database) == []


async def test_who_is_cancelled_while_a_crop_is_packed_keeps_no_picture_that_is_blank(duty: Duty) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Exact):
        def encode(self, pixels: NDArray[np.uint8]) -> bytes:
            begun.set()
            assert go_on.wait(10)
            return super().encode(pixels)

    lane, crop = ThreadLane("vault", clock=SystemClock()), a_crop()
    keeper = keeper_of(duty, lane, codec=Slow())
    try:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(keeper.keep, duty.alert(), crop, 0)
                assert await anyio.to_thread.run_sync(begun.wait, 10)
                tasks.cancel_scope.cancel()
            assert crop.is_erased
            go_on.set()
            await lane.run(int, deadline_s=10)  # it comes after what was going on
    finally:
        go_on.set()
        lane.close()
    assert listed(duty.site.vault.database) == []


async def test_a_list_that_is_erased_at_this_moment_costs_no_alert(duty: Duty) -> None:
    assert duty.governed.listed is not None
    duty.governed.listed._key[:] = bytes(32)
    alert = await keep(duty, keeper_of(duty))
    pictures = pictures_of(duty.site.vault, duty.find(alert.id))
    assert pictures is not None
    assert pictures.listed is None


async def test_while_alerts_are_suspended_none_is_kept_and_nobody_hears(
    open_duty: OpenDuty, crops: list[Biometric]
) -> None:
    duty = open_duty(stop_min_false=1)
    false = duty.plant()
    duty.assess(false, Verdict.DISMISS)
    duty.close(false, DISMISSED_WRONG)
    desk = AlertDesk(keeper_of(duty), model=digest_of("model"), permit="EX/1", basis=str, act_within_s=30)
    crops.clear()
    async with run_actor(desk) as run:
        await run.send(a_match())
        await run.settle()
        assert run.emitted(Alert) == ()
        assert (desk.facts().alerts, desk.facts().suspended) == (0, 1)
        assert all(one.is_erased for one in crops)
        resume(duty.site.vault, duty.site.signers["eva"], 1, reason="reviewed", text=None)
        await run.send(a_match())
        await run.settle()
        assert len(run.emitted(Alert)) == 1
        assert (desk.facts().alerts, desk.facts().suspended) == (1, 1)
    assert len(listed(duty.site.vault.database)) == 2
