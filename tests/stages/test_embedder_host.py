"""An embedder's host: batches of one size, what fails is named, and nothing that identifies anybody is left over."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lfr_kernel.messages import Biometric, Probe, ProbeLost, ProbeRequest
from lfr_kernel.runtime import Inlet, PassingError
from lfr_kernel.stages.embedder import EmbedderHost, embed_crops
from lfr_kernel.testing.fakes import FakeEmbedder, Faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from tests.stages.conftest import Hosted, HostFunction, TimedLane

    from lfr_kernel.testing import VirtualClock

pytestmark = pytest.mark.anyio

RED, GREEN, BLUE = (200, 40, 40), (40, 200, 40), (40, 40, 200)


def crop(colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.full((32, 32, 3), colour, np.uint8)


def request(number: int, colour: tuple[int, int, int] = RED) -> ProbeRequest:
    return ProbeRequest(
        passage="p",
        number=number,
        camera="gate",
        crop=Biometric(crop(colour)),
        quality=0.5,
        box=(1.0, 2.0, 3.0, 4.0),
        captured_at_ns=5,
        captured_monotonic_ns=6,
    )


class Made(list[FakeEmbedder]):
    def __init__(self, faults: Faults | None = None, kind: type[FakeEmbedder] = FakeEmbedder, **options: Any) -> None:
        super().__init__()
        self._create = partial(kind, faults, **options)

    def __call__(self) -> FakeEmbedder:
        self.append(self._create())
        return self[-1]


def hosted_embedder(create: Callable[[], FakeEmbedder], lane: TimedLane, *, mirror_live: bool = False) -> EmbedderHost:
    return EmbedderHost(create, lane, mirror_live=mirror_live, deadline_s=5)


def lost(hosted: Hosted) -> dict[int, str]:
    return {one.number: one.reason for one in hosted.caught(ProbeLost)}


def embedded(hosted: Hosted) -> list[int]:
    return [one.number for one in hosted.caught(Probe)]


# ---- the calls ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch_size", "count"), [(1, 3), (4, 3), (4, 4), (4, 9), (8, 0)])
def test_every_call_has_the_one_batch_size(batch_size: int, count: int) -> None:
    embedder = FakeEmbedder(batch_size=batch_size)
    colours = [(20 * number, 90, 250 - 20 * number) for number in range(count)]
    crops = np.stack([crop(colour) for colour in colours]) if count else np.zeros((0, 32, 32, 3), np.uint8)
    templates = embed_crops(embedder, crops, mirrored=False)
    assert set(embedder.batches) <= {batch_size}
    assert len(embedder.batches) == -(-count // batch_size)
    single = FakeEmbedder()
    alone = [embed_crops(single, one[None], mirrored=False)[0] for one in crops]
    assert templates == pytest.approx(np.reshape(alone, (count, 128)), abs=1e-6)


class Lopsided(FakeEmbedder):
    """Looks at the left half of a crop only."""

    def embed(self, crops: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        super().embed(crops[:, :, :16], out)


def test_mirrored_averages_with_the_mirror_image() -> None:
    halves = np.concatenate((crop(RED)[:, :16], crop(BLUE)[:, :16]), axis=1)[None]
    embedder = Lopsided()
    left, right = (embed_crops(embedder, one, mirrored=False)[0] for one in (halves, halves[:, :, ::-1]))
    both = embed_crops(embedder, halves, mirrored=True)[0]
    assert both == pytest.approx((left + right) / np.linalg.norm(left + right), abs=1e-6)
    assert float(left @ right) < 0.3


class Wrong(FakeEmbedder):
    """Writes what it should not."""

    def __init__(self, faults: Faults | None = None, *, value: float = np.nan, **options: Any) -> None:
        super().__init__(faults, **options)
        self.value = value

    def embed(self, crops: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        super().embed(crops, out)
        out[-1] = self.value


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.nan, "not finite"),
        (np.inf, "not finite"),
        (0.0, "a template of length 0; expected L2-normalised"),
        (0.7, "a template of length 7.92"),
        (3e38, "a template of length inf"),
    ],
)
def test_what_is_no_template_is_an_error(value: float, text: str, *, mirrored: bool) -> None:
    with pytest.raises(PassingError, match=text):
        embed_crops(Wrong(value=value), crop(RED)[None], mirrored=mirrored)


class Opposites(Lopsided):
    """The mirror image of a face has the opposite template."""

    def embed(self, crops: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        super().embed(crops, out)
        if crops[0, 0, 0, 0] < 100:
            out[:] = -1
            Lopsided.embed(self, crops[:, :, ::-1], out)
            out *= -1


def test_a_face_that_cancels_out_with_its_mirror_image_is_an_error() -> None:
    halves = np.concatenate((crop(RED)[:, :16], crop(BLUE)[:, :16]), axis=1)[None]
    with pytest.raises(ValueError, match="no average direction"):
        embed_crops(Opposites(), halves, mirrored=True)


class Keeping(FakeEmbedder):
    """Remembers the arrays that it was given."""

    def __init__(self, faults: Faults | None = None, **options: Any) -> None:
        super().__init__(faults, **options)
        self.seen: list[NDArray[Any]] = []

    def embed(self, crops: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        self.seen += [crops, out]
        super().embed(crops, out)


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_a_failure_leaves_no_template_in_any_buffer(failing: int) -> None:
    embedder = Keeping(Faults({failing: RuntimeError("out of memory")}), batch_size=2)
    crops = np.stack([crop(RED), crop(GREEN), crop(BLUE)])
    with pytest.raises(RuntimeError, match="out of memory"):
        embed_crops(embedder, crops, mirrored=True)
    assert len(embedder.seen) == 2 * failing
    for array in embedder.seen:
        assert np.shares_memory(array, crops) or not array.any()


# ---- the host -----------------------------------------------------------------------------------------------------


async def test_a_request_becomes_a_probe(host: HostFunction, lane: TimedLane) -> None:
    actor = hosted_embedder(Made(), lane)
    async with host(actor) as hosted:
        asked = request(3)
        await hosted.send(asked)
        (probe,) = hosted.caught(Probe)
        assert (probe.passage, probe.number, probe.camera, probe.quality) == ("p", 3, "gate", 0.5)
        assert (probe.box, probe.captured_at_ns, probe.captured_monotonic_ns) == ((1.0, 2.0, 3.0, 4.0), 5, 6)
        assert probe.crop is asked.crop
        assert probe.template.array == pytest.approx(embed_crops(FakeEmbedder(), crop(RED)[None], mirrored=False)[0])
        assert (actor.facts().probes, actor.facts().lost) == (1, {})


async def test_what_waits_goes_together_and_the_rest_of_a_batch_is_filled_up(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    made = Made(Faults({1: partial(lane.spend, 1.0)}), batch_size=3)
    async with host(hosted_embedder(made, lane)) as hosted:
        await hosted.send(request(0))
        calls = lane.calls
        await hosted.send(*(request(number) for number in range(1, 13)))
        await clock.advance(1.1)
        assert embedded(hosted) == list(range(13))
        assert made[0].batches == [3] * 6
        assert lane.calls - calls == 2


async def test_a_batch_that_fails_is_tried_again_one_by_one_and_what_fails_alone_is_lost(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    class Allergic(FakeEmbedder):
        def embed(self, crops: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
            if (crops == GREEN).all(axis=(1, 2, 3)).any():
                raise RuntimeError("no green, please")
            super().embed(crops, out)

    made = Made(kind=Allergic)
    actor = hosted_embedder(made, lane)
    requests = [request(number, GREEN if number == 2 else RED) for number in range(4)]
    async with host(actor) as hosted:
        await hosted.send(*requests)
        await clock.advance(5)
        assert embedded(hosted) == [0, 1, 3]
        assert lost(hosted) == {2: "crashed"}
        assert requests[2].crop.is_erased
        assert actor.facts().lost == {"crashed": 1}
        assert {embedder.closed for embedder in made[:-1]} == {1}


@pytest.mark.parametrize("mirror_live", [False, True])
async def test_a_template_that_is_none_is_lost_and_never_sent(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, *, mirror_live: bool
) -> None:
    instances = iter([Wrong(), FakeEmbedder()])
    asked = request(0)
    async with host(hosted_embedder(lambda: next(instances), lane, mirror_live=mirror_live)) as hosted:
        await hosted.send(asked)
        await clock.advance(1)
        await hosted.send(request(1))
        assert embedded(hosted) == [1]
        assert lost(hosted) == {0: "crashed"}
        assert "not finite" in (hosted.statistics.last_error or "")
        assert asked.crop.is_erased


async def test_an_embedder_that_hangs_is_left_behind_unclosed(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    made = Made(Faults({1: lane.spend}))
    async with host(hosted_embedder(made, lane)) as hosted:
        await hosted.send(request(0))
        await clock.advance(6)
        await hosted.send(request(1))
        assert lost(hosted) == {0: "crashed"}
        assert embedded(hosted) == [1]
    assert [embedder.closed for embedder in made] == [0, 1]


async def test_requests_that_wait_too_long_are_lost_and_named(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, biometrics: list[Biometric]
) -> None:
    made = Made(Faults({1: partial(lane.spend, 4.0)}))
    async with host(hosted_embedder(made, lane)) as hosted:
        await hosted.send(request(0))
        requests = [request(number) for number in range(1, 19)]
        await hosted.send(*requests)
        await clock.advance(2.5)
        assert lost(hosted) == {17: "overflow"}
        assert requests[16].crop.is_erased
        await clock.advance(5)
        assert embedded(hosted) == [number for number in range(19) if number != 17]
    kept = {id(one) for probe in hosted.caught(Probe) for one in (probe.template, probe.crop)}
    assert all(one.is_erased for one in biometrics if id(one) not in kept)


async def test_stopping_in_the_middle_of_sending_books_and_erases_each_once(
    host: HostFunction, lane: TimedLane, monkeypatch: pytest.MonkeyPatch, biometrics: list[Biometric]
) -> None:
    actor = hosted_embedder(Made(), lane)
    async with host(actor) as hosted:
        send, calls = Inlet.send, []

        async def send_twice_then_hang(inlet: Inlet, message: Any) -> bool:
            if isinstance(message, Probe):
                calls.append(message.number)
                if len(calls) > 2:
                    try:
                        await hosted.clock.sleep(100)
                    except BaseException:
                        message.erase()
                        raise
            return await send(inlet, message)

        monkeypatch.setattr(Inlet, "send", send_twice_then_hang)
        await hosted.send(*(request(number) for number in range(4)))
        assert embedded(hosted) == [0, 1]
        assert calls == [0, 1, 2]
    assert lost(hosted).keys() <= {3}
    assert actor.facts().lost == {"stopped": 1}
    assert not any(one.is_erased for probe in hosted.caught(Probe) for one in (probe.template, probe.crop))
    kept = {id(one) for probe in hosted.caught(Probe) for one in (probe.template, probe.crop)}
    assert all(one.is_erased for one in biometrics if id(one) not in kept)
