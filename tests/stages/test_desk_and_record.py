"""What an alert is, where its pictures are and for how long, and how people are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from lfr_kernel.messages import Alert, Biometric, BiometricErasedError, Expire, Match, Outcome, Verdict
from lfr_kernel.stages import desk as desk_module
from lfr_kernel.stages.desk import AlertDesk, EvidenceStore
from lfr_kernel.stages.record import Record
from lfr_kernel.testing.fakes import an_alert, digest_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tests.stages.conftest import HostFunction

    from lfr_kernel.testing import VirtualClock

pytestmark = pytest.mark.anyio


def listed(entry: int) -> NDArray[np.uint8]:
    return np.full((8, 8, 3), 100 + entry, np.uint8)


def a_crop(value: int = 7) -> Biometric:
    return Biometric(np.full((4, 4, 3), value, np.uint8))


def a_match(value: int = 7, captured_ns: int = 0) -> Match:
    return Match(
        passage="run-000007",
        camera="gate",
        person="ada",
        entry=3,
        generation=1,
        similarity=0.71,
        threshold=0.6,
        faces=4,
        quality=0.8,
        box=(1.0, 2.0, 3.0, 4.0),
        crop=a_crop(value),
        captured_at_ns=11,
        captured_monotonic_ns=captured_ns,
    )


async def test_an_alert_says_all_that_a_person_needs_and_holds_no_picture(
    host: HostFunction, clock: VirtualClock
) -> None:
    store = EvidenceStore(listed)
    actor = AlertDesk(
        store, model=digest_of("model"), permit="demo (files only)", basis=lambda: "report 3f2a91c0… (benchmark)"
    )
    async with host(actor) as hosted:
        captured_ns = clock.monotonic_ns()
        await clock.advance(0.25)
        await hosted.send(a_match(captured_ns=captured_ns))
        (alert,) = hosted.caught(Alert)
        assert (alert.passage, alert.camera, alert.person) == ("run-000007", "gate", "ada")
        assert (alert.similarity, alert.threshold, alert.faces, alert.quality) == (0.71, 0.6, 4, 0.8)
        assert (alert.box, alert.captured_at_ns, alert.captured_monotonic_ns) == ((1.0, 2.0, 3.0, 4.0), 11, captured_ns)
        assert (alert.alerted_at_ns, alert.alerted_monotonic_ns) == (clock.utc_ns(), captured_ns + 250_000_000)
        assert (alert.model, alert.permit) == (digest_of("model"), "demo (files only)")
        assert alert.basis == "report 3f2a91c0… (benchmark)"
        assert len(alert.id) == 16
        assert alert.evidence == alert.id
        shown = store.show(alert.evidence)
        assert (shown.probe == 7).all()
        assert (shown.listed == 103).all()
        facts = actor.facts()
        assert (facts.alerts, facts.evidence, facts.capture_to_alert_ms.max) == (1, 1, 250.0)


async def test_ids_are_never_used_twice(host: HostFunction) -> None:
    async with host(AlertDesk(EvidenceStore(listed), model="", permit="", basis=str)) as hosted:
        await hosted.send(*(a_match() for _ in range(50)))
        alerts = hosted.caught(Alert)
        assert len({alert.id for alert in alerts}) == 50


async def test_the_desk_expires_evidence_when_it_is_told_to(host: HostFunction, clock: VirtualClock) -> None:
    store = EvidenceStore(listed)
    async with host(AlertDesk(store, model="", permit="", basis=str)) as hosted:
        await hosted.send(a_match(1))
        await clock.advance(60)
        await hosted.send(a_match(2))
        first, second = hosted.caught(Alert)
        assert (await hosted.ask(Expire(before_ns=second.alerted_at_ns))).destroyed == 1
        with pytest.raises(KeyError):
            store.show(first.evidence)
        assert (store.show(second.evidence).probe == 2).all()


async def test_a_match_that_dies_is_erased() -> None:
    match = a_match()
    await AlertDesk(EvidenceStore(listed), model="", permit="", basis=str).dispose(match, "stopped")
    with pytest.raises(BiometricErasedError):
        _ = match.crop.array


# ---- evidence -----------------------------------------------------------------------------------------------------


async def stored(*crops: Biometric) -> EvidenceStore:
    store = EvidenceStore(listed)
    for place, crop in enumerate(crops):
        alert = msgspec.structs.replace(an_alert(), evidence=f"{place}", alerted_at_ns=10 * place)
        assert await store.keep(alert, crop, 1)
    return store


async def test_evidence_is_shown_as_copies() -> None:
    store = await stored(a_crop())
    store.show("0").probe.fill(0)
    assert (store.show("0").probe == 7).all()


async def test_expired_evidence_is_overwritten() -> None:
    crops = [a_crop(), a_crop(), a_crop()]
    memory = [crop.array for crop in crops]
    store = await stored(*crops)
    assert store.expire(20) == 2
    assert store.expire(20) == 0
    assert [array.any() for array in memory] == [False, False, True]
    assert len(store) == 1


async def test_when_it_is_full_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "EVIDENCE_CAPACITY", 2)
    crops = [a_crop(), a_crop(), a_crop()]
    store = await stored(*crops)
    assert [crop.is_erased for crop in crops] == [True, False, False]
    with pytest.raises(KeyError):
        store.show("0")


async def test_closing_the_store_overwrites_everything() -> None:
    crops = [a_crop(), a_crop()]
    store = await stored(*crops)
    store.close()
    store.close()
    assert all(crop.is_erased for crop in crops)


class Refusing:
    """A keeper whose alerts are suspended."""

    def __init__(self) -> None:
        self.crops: list[Biometric] = []

    def __len__(self) -> int:
        return 0

    async def keep(self, alert: Alert, crop: Biometric, entry: int) -> bool:  # noqa: ARG002
        self.crops.append(crop)
        return False

    def expire(self, before_ns: int) -> int:  # noqa: ARG002
        return 0


async def test_while_alerts_are_suspended_nobody_hears_of_a_match(host: HostFunction) -> None:
    actor = AlertDesk(Refusing(), model="", permit="", basis=str)
    match = a_match()
    async with host(actor) as hosted:
        await hosted.send(match)
        assert hosted.caught(Alert) == []
    assert match.crop.is_erased
    assert (actor.facts().alerts, actor.facts().suspended) == (0, 1)


async def test_the_faces_of_others_are_not_in_the_picture_that_is_kept(host: HostFunction) -> None:
    store = EvidenceStore(listed)
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    match = msgspec.structs.replace(a_match(), crop=Biometric(picture.copy()), others=((2.5, -3.0, 9.0, 1.2),))
    async with host(AlertDesk(store, model="", permit="", basis=str)) as hosted:
        await hosted.send(match)
        (alert,) = hosted.caught(Alert)
        shown = store.show(alert.evidence).probe
    covered = shown[:2, 2:].reshape(-1, 3)
    assert (covered == covered[0]).all()
    assert (shown[2:] == picture[2:]).all()
    assert (shown[:2, :2] == picture[:2, :2]).all()


async def test_an_alert_says_until_when_anybody_may_act_on_it(host: HostFunction) -> None:
    async with host(AlertDesk(EvidenceStore(listed), model="", permit="", basis=str, act_within_s=30)) as hosted:
        await hosted.send(a_match())
        (alert,) = hosted.caught(Alert)
    assert alert.act_by_ns == alert.captured_at_ns + 30 * 10**9


# ---- the record ---------------------------------------------------------------------------------------------------


def outcome(verdict: Verdict, **extra: Any) -> Outcome:
    return Outcome(passage="p", camera="gate", verdict=verdict, **extra)


async def test_people_are_counted_by_what_became_of_their_passage(host: HostFunction) -> None:
    heard: list[Any] = []
    actor = Record(heard.append)
    facts = [
        outcome(Verdict.ALERTED, best_similarity=0.9),
        outcome(Verdict.NOT_MATCHED, best_similarity=0.3),
        outcome(Verdict.NOT_MATCHED, best_similarity=0.5),
        outcome(Verdict.NOT_MATCHED),
        outcome(Verdict.LOST, reason="restart"),
        outcome(Verdict.LOST, reason="restart", best_similarity=0.99),
        outcome(Verdict.LOST, reason="deadline"),
        an_alert(),
    ]
    async with host(actor) as hosted:
        await hosted.send(*facts)
    found = actor.facts()
    assert (found.alerted, found.not_matched, found.lost) == (1, 3, {"restart": 2, "deadline": 1})
    assert found.alerts == (an_alert(),)
    assert heard == facts


async def test_a_listener_that_fails_does_not_change_the_count(host: HostFunction, clock: VirtualClock) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("the screen is gone")

    actor = Record(fail)
    async with host(actor) as hosted:
        await hosted.send(*(outcome(Verdict.NOT_MATCHED) for _ in range(3)))
        await clock.advance(10)
        assert actor.facts().not_matched == 3
        assert hosted.dropped == {"crashed": 3}
