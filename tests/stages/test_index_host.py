"""The index's host: pools, searches, settles each passage once, forgets whom it is told to, and keeps no face."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.messages import (
    Biometric,
    Match,
    Outcome,
    Passage,
    PassageSplit,
    Probe,
    ProbeLost,
    Recall,
    Receipt,
    Relist,
    SetThreshold,
    Verdict,
    Wipe,
)
from lfr_kernel.runtime import ActorError, Inlet, PermanentError, System
from lfr_kernel.stages.index import Gallery, IndexHost
from lfr_kernel.stages.pooling import early_margin_of
from lfr_kernel.stages.residency import Residency
from lfr_kernel.testing.fakes import Faults, NumpyIndex, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from tests.stages.conftest import Hosted, HostFunction, TimedLane

    from lfr_kernel.api import Candidates
    from lfr_kernel.testing import VirtualClock

pytestmark = pytest.mark.anyio

D = 16
DIGEST = digest_of("model")
THRESHOLD = 0.6


def unit(*parts: float) -> NDArray[np.float32]:
    template = np.zeros(D, np.float32)
    template[: len(parts)] = parts
    return np.asarray(template / np.linalg.norm(template), np.float32)


ADA, BOB, STRANGER, OTHER = unit(1), unit(0, 1), unit(0, 0, 1), unit(0, 0, 0, 1)
"""Ada and Bob are listed. The other two are not, and look like nobody."""


def a_gallery(*rows: tuple[str, NDArray[np.float32]], digest: str = DIGEST) -> Callable[[], Gallery]:
    rows = rows or (("ada", ADA), ("bob", BOB))
    templates = np.stack([template for _, template in rows])
    persons = tuple(person for person, _ in rows)
    listed = partial(Biometric, is_kept=True)
    return lambda: Gallery(templates=listed(templates.copy()), persons=persons, digest=digest, generation=1)


def probe(number: int, template: NDArray[np.float32], passage: str = "p", quality: float = 1.0) -> Probe:
    return Probe(
        passage=passage,
        number=number,
        camera="gate",
        template=Biometric(template.copy()),
        crop=Biometric(np.full((4, 4, 3), 10 + number, np.uint8)),
        quality=quality,
        box=(1.0, 2.0, 3.0, 4.0),
        captured_at_ns=100 + number,
        captured_monotonic_ns=200 + number,
        embedded_monotonic_ns=300 + number,
    )


def loss(number: int, passage: str = "p", reason: str = "overflow") -> ProbeLost:
    return ProbeLost(passage=passage, number=number, camera="gate", reason=reason)


def end(probes: int, passage: str = "p", **extra: Any) -> Passage:
    fields = {"began_stream_ns": 0, "ended_stream_ns": 2_000_000_000, "frames": 9, "ended": "age", **extra}
    return Passage(passage=passage, camera="gate", probes=probes, **fields)


class Made(list[NumpyIndex]):
    def __init__(self, faults: Faults | None = None, kind: type[NumpyIndex] = NumpyIndex) -> None:
        super().__init__()
        self._create = partial(kind, faults)

    def __call__(self) -> NumpyIndex:
        self.append(self._create())
        return self[-1]


def hosted_index(create: Callable[[], NumpyIndex], lane: TimedLane, **more: Any) -> IndexHost:
    settings: dict[str, Any] = {
        "gallery": a_gallery(),
        "digest": DIGEST,
        "threshold": THRESHOLD,
        "early_margin": 0.0,
        "looks": None,
    }
    settings |= more
    return IndexHost(create, lane, dimension=D, deadline_s=5, **settings)


def outcomes(hosted: Hosted) -> dict[str, tuple[Verdict, str | None]]:
    found = hosted.caught(Outcome)
    assert max(Counter(one.passage for one in found).values(), default=0) <= 1, "one outcome a passage"
    return {one.passage: (one.verdict, one.reason) for one in found}


def matches(hosted: Hosted) -> list[tuple[str, str]]:
    return [(one.passage, one.person) for one in hosted.caught(Match)]


ALERTED, NOT_MATCHED = (Verdict.ALERTED, None), (Verdict.NOT_MATCHED, None)


@pytest.fixture
def leftovers(biometrics: list[Biometric]) -> Callable[[Hosted], list[Biometric]]:
    """Return a function that returns what the index left over, once its gallery and matches are taken away."""

    def left(hosted: Hosted) -> list[Biometric]:
        handed_on = {id(one.crop) for one in hosted.caught(Match)}
        return [one for one in biometrics if not one.is_erased and id(one) not in handed_on and is_of_a_face(one)]

    def is_of_a_face(one: Biometric) -> bool:
        return one.array.shape != (2, D)

    return left


# ---- matching -----------------------------------------------------------------------------------------------------


async def test_a_match_goes_out_as_soon_as_the_pool_reaches_the_threshold(
    host: HostFunction, lane: TimedLane, leftovers: Callable[[Hosted], list[Biometric]]
) -> None:
    async with host(hosted_index(Made(), lane)) as hosted:
        near = unit(1, 0, 0, 2)
        await hosted.send(probe(0, near))
        assert not matches(hosted)
        await hosted.send(probe(1, ADA))
        (match,) = hosted.caught(Match)
        pooled = near + ADA
        assert match.similarity == pytest.approx(float(ADA @ pooled / np.linalg.norm(pooled)), abs=1e-5)
        assert (match.person, match.entry, match.generation, match.faces) == ("ada", 0, 1, 2)
        assert (match.threshold, match.quality, match.box) == (THRESHOLD, 1.0, (1.0, 2.0, 3.0, 4.0))
        assert (match.captured_at_ns, match.captured_monotonic_ns) == (101, 201)
        assert (match.crop.array == 11).all()
        await hosted.send(end(2))
        assert outcomes(hosted) == {"p": ALERTED}
        assert not leftovers(hosted)


async def test_from_a_change_of_threshold_on_matches_are_made_with_the_new_one(
    host: HostFunction, lane: TimedLane, leftovers: Callable[[Hosted], list[Biometric]]
) -> None:
    async with host(hosted_index(Made(), lane)) as hosted:
        await hosted.send(probe(0, ADA))
        assert (await hosted.ask(SetThreshold(threshold=0.99))) == Receipt(destroyed=0)
        near = unit(1, 0, 0, 0.5)
        await hosted.send(probe(0, near, "q"), end(1, "q"), probe(0, ADA, "r"), end(1, "r"))
        assert [(one.passage, one.threshold) for one in hosted.caught(Match)] == [("p", THRESHOLD), ("r", 0.99)]
        assert outcomes(hosted)["q"] == NOT_MATCHED
        assert (await hosted.ask(SetThreshold(threshold=0.2))) == Receipt(destroyed=0)
        await hosted.send(probe(0, near, "s"), end(1, "s"))
        assert hosted.caught(Match)[-1].threshold == 0.2
        await hosted.send(end(1))
        assert not leftovers(hosted)


async def test_what_waits_for_the_end_of_its_passage_is_held_against_the_new_threshold(
    host: HostFunction, lane: TimedLane, leftovers: Callable[[Hosted], list[Biometric]]
) -> None:
    async with host(hosted_index(Made(), lane, early_margin=0.9)) as hosted:
        near, nearer = unit(1, 0, 0, 0.8), unit(1, 0, 0, 0.3)
        await hosted.send(probe(0, near), probe(0, nearer, "q"))
        assert not matches(hosted)
        assert (await hosted.ask(SetThreshold(threshold=0.9))) == Receipt(destroyed=1)
        await hosted.send(end(1), end(1, "q"))
        (match,) = hosted.caught(Match)
        assert (match.passage, match.threshold) == ("q", 0.9)
        assert match.crop.array.any()
        assert outcomes(hosted) == {"p": NOT_MATCHED, "q": ALERTED}
        assert not leftovers(hosted)


async def test_a_restart_keeps_the_threshold_that_was_set(host: HostFunction, lane: TimedLane) -> None:
    async with host(hosted_index(Made(), lane)) as hosted:
        await hosted.ask(SetThreshold(threshold=0.99))
        await hosted.restart()
        await hosted.send(probe(0, unit(1, 0, 0, 0.5)), end(1), probe(0, ADA, "q"), end(1, "q"))
        assert [(one.passage, one.threshold) for one in hosted.caught(Match)] == [("q", 0.99)]


async def test_a_passage_alerts_once_for_each_person(host: HostFunction, lane: TimedLane) -> None:
    twins = a_gallery(("ada", ADA), ("ada", unit(1, 0.1)), ("eve", unit(1, 0.2)), ("bob", BOB))
    async with host(hosted_index(Made(), lane, gallery=twins)) as hosted:
        await hosted.send(*(probe(number, ADA) for number in range(3)))
        await hosted.send(probe(3, ADA), end(4))
        assert matches(hosted) == [("p", "ada"), ("p", "eve")]
        await hosted.send(probe(0, ADA, "q"))
        assert matches(hosted)[2:] == [("q", "ada"), ("q", "eve")]


async def test_of_several_photographs_the_nearest_is_named(host: HostFunction, lane: TimedLane) -> None:
    photos = a_gallery(("ada", unit(1, 0.5)), ("ada", unit(1, 0.1)), ("ada", unit(1, 0.9)))
    async with host(hosted_index(Made(), lane, gallery=photos)) as hosted:
        await hosted.send(probe(0, ADA))
        (match,) = hosted.caught(Match)
        assert match.entry == 1


async def test_faces_weigh_by_their_quality(host: HostFunction, lane: TimedLane) -> None:
    async with host(hosted_index(Made(), lane)) as hosted:
        good, bad = unit(1, 0, 0, 0.3), unit(0.3, 0, 0, 1)
        await hosted.send(probe(0, bad, quality=0.1), probe(1, good, quality=1.0), end(2))
        pooled = 0.1 * bad + good
        assert hosted.caught(Match)[0].similarity == pytest.approx(
            float(ADA @ pooled / np.linalg.norm(pooled)), abs=1e-5
        )
        await hosted.send(probe(0, bad, "q", quality=1.0))
        await hosted.send(probe(1, good, "q", quality=0.1), end(2, "q"))
        assert outcomes(hosted) == {"p": ALERTED, "q": NOT_MATCHED}


async def test_faces_that_match_nobody_count_against_one_that_does(host: HostFunction, lane: TimedLane) -> None:
    async with host(hosted_index(Made(), lane)) as hosted:
        lucky, misses = unit(1, 0, 1.1), [unit(0.25, 0, 1)] * 4
        for number, template in enumerate(misses):
            await hosted.send(probe(number, template))
        await hosted.send(probe(4, lucky), end(5))
        assert float(ADA @ lucky) > THRESHOLD
        assert outcomes(hosted) == {"p": NOT_MATCHED}
        (outcome,) = hosted.caught(Outcome)
        assert outcome.probes == 5
        assert 0.25 < (outcome.best_similarity or 0) < THRESHOLD


async def test_where_nobody_is_listed_nothing_is_searched_and_the_outcome_says_so(
    host: HostFunction, lane: TimedLane
) -> None:
    empty = Gallery(templates=Biometric(np.zeros((0, D), np.float32)), persons=(), digest=DIGEST, generation=1)
    async with host(hosted_index(Made(), lane, gallery=lambda: empty)) as hosted:
        await hosted.send(probe(0, ADA), end(1))
        assert outcomes(hosted) == {"p": (Verdict.LOST, "nobody_listed")}
        (outcome,) = hosted.caught(Outcome)
        assert (outcome.best_similarity, outcome.probes, outcome.asked) == (None, 1, 1)


async def test_an_outlier_is_held_back_and_two_that_agree_split_the_passage(
    host: HostFunction, lane: TimedLane, leftovers: Callable[[Hosted], list[Biometric]]
) -> None:
    actor = hosted_index(Made(), lane)
    async with host(actor) as hosted:
        await hosted.send(probe(0, STRANGER))
        await hosted.send(probe(1, ADA))
        assert not hosted.caught(PassageSplit)
        await hosted.send(probe(2, unit(1, 0, 0, 0.2)))
        assert hosted.caught(PassageSplit) == [PassageSplit(passage="p", camera="gate")]
        await hosted.send(end(3, ended="split"))
        assert outcomes(hosted) == {"p": NOT_MATCHED}, "the second person is not pooled with the first"
        assert hosted.caught(Outcome)[0].probes == 1
        facts = actor.facts()
        assert (facts.pooled, facts.outliers, facts.splits, facts.searches) == (1, 2, 1, 1)
        assert not leftovers(hosted)


# ---- the sequential rule ------------------------------------------------------------------------------------------


def like_ada(similarity: float, aside: int = 2) -> NDArray[np.float32]:
    """A template of that similarity to Ada, and none to Bob."""
    template = np.zeros(D, np.float32)
    template[0], template[aside] = similarity, np.sqrt(1 - similarity**2)
    return template


async def test_an_early_look_must_be_surer_than_a_later_one(host: HostFunction, lane: TimedLane) -> None:
    async with host(hosted_index(Made(), lane, early_margin=0.1)) as hosted:
        await hosted.send(probe(0, like_ada(0.69)), probe(0, like_ada(0.71), "q"))
        assert matches(hosted) == [("q", "ada")], "the first face: from 0.7"
        await hosted.send(probe(1, like_ada(0.69)))
        assert matches(hosted) == [("q", "ada"), ("p", "ada")], "the second: from 0.65"


async def test_what_is_over_the_threshold_alerts_when_the_passage_is_over(
    host: HostFunction, lane: TimedLane, leftovers: Callable[[Hosted], list[Biometric]]
) -> None:
    async with host(hosted_index(Made(), lane, early_margin=0.1)) as hosted:
        await hosted.send(probe(0, like_ada(0.62)))
        assert not matches(hosted)
        await hosted.send(end(1))
        (match,) = hosted.caught(Match)
        assert (match.person, match.faces, match.threshold) == ("ada", 1, THRESHOLD)
        assert match.similarity == pytest.approx(0.62, abs=1e-5)
        assert (match.crop.array == 10).all()
        assert outcomes(hosted) == {"p": ALERTED}
        assert not leftovers(hosted)


async def test_nobody_waits_for_the_end_when_no_more_faces_will_come(host: HostFunction, lane: TimedLane) -> None:
    async with host(hosted_index(Made(), lane, early_margin=0.1, looks=2)) as hosted:
        await hosted.send(probe(0, like_ada(0.62)))
        assert not matches(hosted)
        await hosted.send(probe(1, like_ada(0.62)))
        assert matches(hosted) == [("p", "ada")], "the second face is the last"


async def test_what_did_not_alert_was_never_over_what_it_took(host: HostFunction, lane: TimedLane) -> None:
    async with host(hosted_index(Made(), lane, early_margin=0.1)) as hosted:
        await hosted.send(probe(0, like_ada(0.65)))
        await hosted.send(probe(1, like_ada(0.3)), end(2))
        (outcome,) = hosted.caught(Outcome)
        assert outcome.verdict is Verdict.NOT_MATCHED
        assert outcome.best_similarity is not None
        assert 0.5 < outcome.best_similarity < THRESHOLD


async def test_a_recall_erases_what_waited_for_the_end_at_once(
    host: HostFunction, lane: TimedLane, leftovers: Callable[[Hosted], list[Biometric]]
) -> None:
    async with host(hosted_index(Made(), lane, early_margin=0.1)) as hosted:
        await hosted.send(probe(0, like_ada(0.62)))
        crops = [one for one in leftovers(hosted) if one.array.ndim == 3]
        assert crops
        await hosted.ask(Recall(person="ada"))
        assert all(one.is_erased for one in crops)


async def test_what_was_over_the_threshold_once_but_not_in_the_end_does_not_alert(
    host: HostFunction, lane: TimedLane, leftovers: Callable[[Hosted], list[Biometric]]
) -> None:
    async with host(hosted_index(Made(), lane, early_margin=0.1)) as hosted:
        await hosted.send(probe(0, like_ada(0.62)))
        await hosted.send(probe(1, like_ada(0.4)), end(2))
        assert not matches(hosted)
        assert outcomes(hosted) == {"p": NOT_MATCHED}
        assert not leftovers(hosted)


@pytest.mark.parametrize("request_", [Recall(person="ada"), Wipe()])
async def test_whoever_was_recalled_while_a_passage_lasted_does_not_alert_at_its_end(
    host: HostFunction, lane: TimedLane, leftovers: Callable[[Hosted], list[Biometric]], request_: Any
) -> None:
    async with host(hosted_index(Made(), lane, early_margin=0.1)) as hosted:
        await hosted.send(probe(0, like_ada(0.62)))
        await hosted.ask(request_)
        await hosted.send(end(1))
        assert not matches(hosted)
        assert not leftovers(hosted)


async def test_a_failure_erases_what_waited_for_the_end(
    host: HostFunction, lane: TimedLane, leftovers: Callable[[Hosted], list[Biometric]]
) -> None:
    async with host(hosted_index(Made(), lane, early_margin=0.1)) as hosted:
        await hosted.send(probe(0, like_ada(0.62)))
        await hosted.restart()
        await hosted.send(end(1))
        assert not matches(hosted)
        assert outcomes(hosted) == {"p": (Verdict.LOST, "restart")}
        assert not leftovers(hosted)


@given(
    margin=st.floats(0, 0.5),
    faces=st.integers(1, 64),
)
def test_the_boundary_narrows_towards_the_threshold(margin: float, faces: int) -> None:
    assert 0 <= early_margin_of(margin, faces + 1) <= early_margin_of(margin, faces) <= margin


# ---- books --------------------------------------------------------------------------------------------------------


async def test_the_end_may_overtake_probes_and_losses(host: HostFunction, lane: TimedLane) -> None:
    async with host(hosted_index(Made(), lane)) as hosted:
        await hosted.send(end(3), end(2, "q"), end(0, "r", gated="too_small"))
        assert outcomes(hosted) == {"r": (Verdict.LOST, "gated_too_small")}
        await hosted.send(probe(0, STRANGER), loss(1), loss(0, "q"), loss(1, "q", "crashed"))
        assert outcomes(hosted) == {
            "r": (Verdict.LOST, "gated_too_small"),
            "q": (Verdict.LOST, "probe_overflow"),
        }
        await hosted.send(probe(2, STRANGER))
        assert outcomes(hosted)["p"] == NOT_MATCHED


async def test_probes_on_their_way_have_a_deadline_and_come_too_late_after_it(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, leftovers: Callable[[Hosted], list[Biometric]]
) -> None:
    actor = hosted_index(Made(), lane)
    async with host(actor) as hosted:
        await hosted.send(probe(0, STRANGER), end(2), end(1, "q"))
        await clock.advance(10)
        assert not outcomes(hosted)
        await clock.advance(2)
        assert outcomes(hosted) == {"p": NOT_MATCHED, "q": (Verdict.LOST, "deadline")}
        late = [probe(1, ADA), probe(0, ADA, "q")]
        await hosted.send(*late)
        await clock.advance(400)
        await hosted.finish()
        assert outcomes(hosted) == {"p": NOT_MATCHED, "q": (Verdict.LOST, "deadline")}
        assert not matches(hosted)
        assert actor.facts().late == 2
        assert all(one.template.is_erased and one.crop.is_erased for one in late)
        assert not leftovers(hosted)


async def test_a_passage_without_news_is_given_up_and_its_pool_erased(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, leftovers: Callable[[Hosted], list[Biometric]]
) -> None:
    actor = hosted_index(Made(), lane)
    async with host(actor) as hosted:
        await hosted.send(probe(0, STRANGER), loss(0, "q"))
        await clock.advance(299)
        assert actor.facts().open_passages == 2
        await hosted.send(probe(1, STRANGER))
        await clock.advance(3)
        assert outcomes(hosted) == {"q": (Verdict.LOST, "deadline")}
        await clock.advance(300)
        assert outcomes(hosted)["p"] == NOT_MATCHED
        assert not leftovers(hosted)
        await hosted.send(end(2), end(1, "q"))
        await hosted.finish()
        assert len(outcomes(hosted)) == 2


async def test_a_passage_is_settled_before_its_first_face_is_kept_too_long(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, leftovers: Callable[[Hosted], list[Biometric]]
) -> None:
    residency = Residency(clock.monotonic_ns, bound_s=20)
    actor = hosted_index(Made(), lane, max_residency_s=20.0, early_margin=0.5)
    Biometric.watch = residency
    async with host(actor) as hosted:
        for number in range(17):
            await hosted.send(probe(number, STRANGER), probe(number, ADA, "q"))
            await clock.advance(1)
        assert not outcomes(hosted)
        await clock.advance(2)
        # As things stand: who was over the threshold, though not by the margin, alerts.
        assert outcomes(hosted) == {"p": NOT_MATCHED, "q": ALERTED}
        assert matches(hosted) == [("q", "ada")]
        await hosted.send(probe(17, STRANGER), probe(17, ADA, "q"), loss(0, "unseen"))
        assert actor.facts().late == 2
        assert not leftovers(hosted)
        for match in hosted.caught(Match):
            match.erase()
        facts = residency.facts()
        assert (facts.live, facts.over_bound) == (0, 0)
        assert facts.max is not None
        assert 17_000 <= facts.max <= 20_000
        await clock.advance(30)
        assert "unseen" not in outcomes(hosted), "of which no face came"
        await hosted.send(end(18), end(18, "q"), end(1, "unseen"))
        await hosted.finish()
        assert len(outcomes(hosted)) == 3
    Biometric.watch = None


async def test_at_the_end_of_the_input_everything_is_settled(host: HostFunction, lane: TimedLane) -> None:
    async with host(hosted_index(Made(), lane)) as hosted:
        await hosted.send(probe(0, STRANGER), end(2), end(1, "q"), probe(0, ADA, "r"))
        await hosted.finish()
        assert outcomes(hosted) == {"p": NOT_MATCHED, "q": (Verdict.LOST, "unanswered"), "r": ALERTED}


@pytest.mark.parametrize("together", [True, False])
async def test_a_search_that_fails_loses_what_was_open_once(
    host: HostFunction,
    lane: TimedLane,
    clock: VirtualClock,
    leftovers: Callable[[Hosted], list[Biometric]],
    *,
    together: bool,
) -> None:
    made = Made(Faults({2: RuntimeError("index is corrupt")}))
    actor = hosted_index(made, lane)
    async with host(actor) as hosted:
        await hosted.send(probe(0, ADA, "a"), probe(0, STRANGER, "s"))
        batch = [probe(1, STRANGER, "s"), end(2, "s"), end(1, "a"), probe(0, STRANGER, "t")]
        if together:
            await hosted.send(*batch)
        else:
            for message in batch:
                await hosted.send(message)
        await clock.advance(1)
        await hosted.send(end(1, "t"), probe(0, ADA, "u"), end(1, "u"))
        await hosted.finish()
        assert outcomes(hosted)["a"] == ALERTED
        assert outcomes(hosted)["s"] == (Verdict.LOST, "restart")
        assert outcomes(hosted)["t"] in {(Verdict.LOST, "restart"), NOT_MATCHED}
        assert outcomes(hosted)["u"] == ALERTED, "the new instance has the gallery"
        assert actor.facts().open_passages == 0
        assert not leftovers(hosted)
    assert [len(index) for index in made] == [0, 0]


async def test_a_probe_that_kills_the_index_alone_is_counted_once(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    made = Made(Faults({2: RuntimeError("index is corrupt")}))
    actor = hosted_index(made, lane)
    async with host(actor) as hosted:
        await hosted.send(probe(0, STRANGER))
        await hosted.send(end(3))
        await hosted.send(probe(1, STRANGER))
        await clock.advance(1)
        assert outcomes(hosted) == {"p": (Verdict.LOST, "restart")}
        await hosted.send(probe(2, STRANGER))
        await hosted.finish()
        assert outcomes(hosted) == {"p": (Verdict.LOST, "restart")}
        assert hosted.dropped == {"crashed": 1}
        counted = actor.facts().cameras["gate"]
        assert (counted.pooled, counted.outliers, counted.lost) == (1, 0, {"crashed": 1, "late": 1})
        assert (counted.searched, actor.facts().late) == (1, 1)


class Confused(NumpyIndex):
    """Names rows that nobody listed."""

    def search(self, probes: NDArray[np.float32], k: int) -> Candidates:
        found = super().search(probes, k)
        found.entries[found.entries == 1] = 900
        return found


async def test_a_match_that_went_out_before_a_crash_stays_alerted(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    instances = iter([Confused(), NumpyIndex()])
    async with host(hosted_index(lambda: next(instances), lane)) as hosted:
        await hosted.send(probe(0, ADA), probe(0, BOB, "q"), end(1), end(1, "q"))
        await clock.advance(1)
        await hosted.finish()
        assert matches(hosted) == [("p", "ada")]
        assert outcomes(hosted) == {"p": ALERTED, "q": (Verdict.LOST, "restart")}


async def test_an_index_that_hangs_is_replaced(host: HostFunction, lane: TimedLane, clock: VirtualClock) -> None:
    made = Made(Faults({1: lane.spend}))
    async with host(hosted_index(made, lane)) as hosted:
        await hosted.send(probe(0, ADA))
        await clock.advance(6)
        await hosted.send(probe(0, ADA, "q"), end(1, "q"), end(1))
        assert outcomes(hosted) == {"p": (Verdict.LOST, "restart"), "q": ALERTED}
        assert len(made) == 2


async def test_stopping_in_the_middle_of_telling_settles_everything_once(
    host: HostFunction,
    lane: TimedLane,
    monkeypatch: pytest.MonkeyPatch,
    leftovers: Callable[[Hosted], list[Biometric]],
) -> None:
    async with host(hosted_index(Made(), lane)) as hosted:
        send, told = Inlet.send, []

        async def hang_once(inlet: Inlet, message: Any) -> bool:
            if isinstance(message, Outcome):
                told.append(message)
                if len(told) == 2:
                    await hosted.clock.sleep(100)
            return await send(inlet, message)

        monkeypatch.setattr(Inlet, "send", hang_once)
        await hosted.send(probe(0, ADA, "s"))
        await hosted.send(probe(0, ADA), probe(0, STRANGER, "q"), end(1), end(1, "q"), end(0, "r"))
        assert len(told) == 2
    assert {one.passage: one.verdict for one in told} == {
        "p": Verdict.ALERTED,
        "q": Verdict.NOT_MATCHED,
        "r": Verdict.LOST,
        "s": Verdict.ALERTED,
    }
    assert len(told) == 4
    assert not leftovers(hosted)


# ---- the gallery --------------------------------------------------------------------------------------------------


async def test_a_recalled_person_is_gone_at_once_and_stays_gone_after_a_restart(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    made = Made()
    photos = a_gallery(("ada", ADA), ("bob", BOB), ("ada", unit(1, 0.1)))
    actor = hosted_index(made, lane, gallery=photos)
    async with host(actor) as hosted:
        assert (actor.facts().entries, actor.facts().generation) == (3, 1)
        await hosted.send(probe(0, unit(1, 0, 0, 2)))
        assert (await hosted.ask(Recall(person="ada"))).destroyed == 2
        assert (await hosted.ask(Recall(person="ada"))).destroyed == 0
        assert (await hosted.ask(Recall(person="nobody"))).destroyed == 0
        assert (actor.facts().entries, actor.facts().generation) == (1, 2)
        await hosted.send(probe(1, ADA), end(2))
        assert outcomes(hosted) == {"p": NOT_MATCHED}
        await hosted.restart()
        await clock.advance(1)
        assert [len(index) for index in made] == [0, 1]
        assert (actor.facts().entries, actor.facts().generation) == (1, 2)
        await hosted.send(probe(0, ADA, "q"), end(1, "q"), probe(0, BOB, "r"), end(1, "r"))
        assert matches(hosted) == [("r", "bob")]


async def test_whose_photograph_was_withdrawn_is_known_by_the_rest_from_then_on(
    host: HostFunction, lane: TimedLane
) -> None:
    made, rest = Made(), unit(0, 0, 0, 1)
    actor = hosted_index(made, lane)
    async with host(actor) as hosted:
        await hosted.send(probe(0, rest), end(1), probe(0, ADA, "q"), end(1, "q"))
        assert matches(hosted) == [("q", "ada")]
        assert (await hosted.ask(Relist(person="ada", template=Biometric(rest.copy())))).destroyed == 1
        assert (await hosted.ask(Relist(person="nobody", template=Biometric(rest.copy())))).destroyed == 0
        assert (actor.facts().entries, actor.facts().generation) == (2, 2)
        await hosted.send(probe(0, rest, "r"), end(1, "r"), probe(0, ADA, "s"), end(1, "s"))
        assert matches(hosted) == [("q", "ada"), ("r", "ada")]


class Stubborn(NumpyIndex):
    """Cannot remove the first time."""

    tries = 0

    def remove(self, entries: NDArray[np.int64]) -> None:
        self.tries += 1
        if self.tries == 1:
            raise OSError("read-only")
        super().remove(entries)


async def test_a_recall_that_fails_says_so_matches_nobody_and_can_be_tried_again(
    host: HostFunction, lane: TimedLane
) -> None:
    async with host(hosted_index(Made(kind=Stubborn), lane)) as hosted:
        with pytest.raises(ActorError, match="read-only"):
            await hosted.ask(Recall(person="ada"))
        await hosted.send(probe(0, ADA), end(1))
        assert not matches(hosted)
        assert (await hosted.ask(Recall(person="ada"))).destroyed == 1


async def test_a_wipe_overwrites_gallery_and_pools_and_a_restart_does_not_bring_them_back(
    host: HostFunction, lane: TimedLane, clock: VirtualClock, leftovers: Callable[[Hosted], list[Biometric]]
) -> None:
    made = Made()
    actor = hosted_index(made, lane)
    async with host(actor) as hosted:
        memory = made[0]._templates
        await hosted.send(probe(0, STRANGER), probe(0, ADA, "q"))
        assert (await hosted.ask(Wipe())).destroyed == 2
        await clock.advance()
        assert not memory.any()
        assert outcomes(hosted) == {"p": (Verdict.LOST, "wiped"), "q": ALERTED}
        assert not leftovers(hosted)
        assert (await hosted.ask(Wipe())).destroyed == 0
        assert (await hosted.ask(Recall(person="ada"))).destroyed == 0
        await hosted.restart()
        await clock.advance(1)
        await hosted.send(probe(1, ADA), end(2), probe(0, ADA, "r"), end(1, "r"), end(1, "q"))
        assert (actor.facts().entries, len(matches(hosted))) == (0, 1)
        await hosted.finish()
        assert set(outcomes(hosted)) == {"p", "q", "r"}


async def test_the_gallery_is_erased_at_the_end(host: HostFunction, lane: TimedLane) -> None:
    made = Made()
    async with host(hosted_index(made, lane)) as hosted:
        memory = made[0]._templates
        assert memory.any()
        await hosted.finish()
    assert not memory.any()


async def test_a_watchlist_of_another_model_fails_the_start_with_what_to_do(
    lane: TimedLane, clock: VirtualClock
) -> None:
    actor = hosted_index(Made(), lane, gallery=a_gallery(digest=digest_of("older model")))
    text = (
        f"made with model {digest_of('older model')[:12]}…, the embedder is {DIGEST[:12]}….*build the watchlist again"
    )
    with pytest.raises(PermanentError, match=text):
        await System([actor], [], clock=clock).run()


async def test_what_it_does_not_understand_it_says(host: HostFunction, lane: TimedLane) -> None:
    async with host(hosted_index(Made(), lane)) as hosted:
        with pytest.raises(ActorError, match=r"index.* does not understand str"):
            await hosted.ask("how are you?")
