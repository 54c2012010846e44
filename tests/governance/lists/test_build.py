"""A manifest with planted bad rows: each gets its verdict, and what is listed is what should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from governance.lists.support import BUILDER, INSTALLATION, MODEL, NOW, cells, write_manifest
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.lists.build import BuildError, Draft, Examiner, draft_list
from lfr_kernel.governance.lists.manifest import Exclusions, read_manifest
from lfr_kernel.governance.rules import load_pack, tightened
from lfr_kernel.runtime import PassingError, SystemClock, ThreadLane
from lfr_kernel.stages.quality import Gates
from lfr_kernel.testing.fakes import FakeDetector, FakeEmbedder, FakeFace, FakePicture, Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

pytestmark = pytest.mark.anyio

OPEN = Gates(min_confidence=0.5, min_face_px=40.0, min_frontality=0.0, min_sharpness=0.0)
"""Painted faces are smooth."""
PACK = load_pack("uk-met")
Colour = tuple[int, int, int]
RED, REDDISH, BLUE, GREEN = (200, 40, 40), (200, 62, 40), (40, 40, 200), (40, 200, 40)
GREY: Colour = (128, 128, 128)


def face(colour: Colour, *, x: float = 40, size: float = 64, confidence: float = 0.9) -> FakeFace:
    return FakeFace(x, 30, size, colour, confidence)


def one(colour: Colour, **changes: Any) -> FakePicture:
    return FakePicture.of([face(colour, **changes)])


class Raw:
    """Portraits as they are: 64 x 64."""

    def encode(self, pixels: NDArray[np.uint8]) -> bytes:
        return pixels.tobytes()

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        return np.frombuffer(data, np.uint8).reshape(64, 64, 3)


@pytest.fixture
def lane() -> Iterator[ThreadLane]:
    lane = ThreadLane("compute", clock=SystemClock(), workers=2)
    yield lane
    lane.close()


@pytest.fixture
def draft(tmp_path: Path, lane: ThreadLane) -> Callable[..., Any]:
    """Make a draft of rows, with pictures by name of file. What is None has a file that the reader cannot read."""

    async def make(
        rows: Sequence[Mapping[str, str]],
        pictures: Mapping[str, FakePicture | None],
        *,
        exclusions: Exclusions | None = None,
        faults: Faults | None = None,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> Draft:
        for name in pictures:
            (tmp_path / name).write_bytes(name.encode())

        def read(path: Path) -> FakePicture:
            picture = pictures[path.name]
            if picture is None:
                raise PassingError(f"picture {path.name} is damaged")
            return picture

        examiner = Examiner(
            read=read,
            stills=Raw(),
            detector=FakeDetector(max_concurrency=2),
            embedder=FakeEmbedder(faults, max_concurrency=2),
            gates=OPEN,
        )
        return await draft_list(
            read_manifest(write_manifest(tmp_path / "m.csv", rows)),
            pack=PACK,
            exclusions=exclusions,
            examiner=examiner,
            lane=lane,
            folder=tmp_path,
            now=NOW,
            progress=progress,
        )

    return make


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def codes(draft: Draft) -> dict[str, str]:
    return {verdict.photo: verdict.code for verdict in draft.verdicts}


async def test_every_planted_bad_row_gets_its_verdict(draft: Callable[..., Any]) -> None:
    rows = [
        cells("red", "red1.png"),
        cells("red", "red2.png"),
        cells("red", "stranger.png"),
        cells("blue", "blue.png"),
        cells("other", "copy.png"),
        cells("nobody", "nobody.png"),
        cells("two", "two.png"),
        cells("far", "far.png"),
        cells("faint", "faint.png"),
        cells("broken", "broken.png"),
        cells("missing", "missing.png"),
        cells("wrong", "blue.png", category="wanted-cort"),
        cells("old", "blue.png", taken="2001-01-01"),
        cells("witness", "blue.png"),
    ]
    pictures = {
        "red1.png": one(RED),
        "red2.png": one(REDDISH),
        "stranger.png": one(GREEN),
        "blue.png": one(BLUE),
        "copy.png": one(BLUE, x=100),
        "nobody.png": FakePicture.of([]),
        "two.png": FakePicture.of([face(RED), face(BLUE, x=200)]),
        "far.png": one(GREY, size=30),
        "faint.png": one(GREY, confidence=0.3),
        "broken.png": None,
    }
    exclusions = Exclusions(digest="0" * 64, reasons={"witness": "protected"})
    with await draft(rows, pictures, exclusions=exclusions) as made:
        assert [(verdict.person, verdict.code) for verdict in made.verdicts] == [
            ("red", "accepted"),
            ("red", "accepted"),
            ("red", "self_outlier"),
            ("blue", "accepted"),
            ("other", "duplicate"),
            ("nobody", "no_face"),
            ("two", "several_faces"),
            ("far", "too_small"),
            ("faint", "low_confidence"),
            ("broken", "unreadable"),
            ("missing", "unreadable"),
            ("wrong", "invalid"),
            ("old", "too_old"),
            ("witness", "excluded"),
        ]
        assert [verdict.line for verdict in made.verdicts] == list(range(2, 16))
        texts = {verdict.person: verdict.text for verdict in made.verdicts}
        assert texts["other"] == "is the same picture as blue.png in line 5, of blue"
        assert texts["far"] == "the face is 30 px wide, expected 40 or more (min_face_px)"
        assert texts["broken"] == "picture broken.png is damaged"
        assert texts["missing"].startswith("expected a file at")
        assert len(made) == 3
        assert made.has_rejections
        assert made.counts["accepted"] == 3


async def test_an_accepted_draft_becomes_a_list_that_opens(draft: Callable[..., Any], tmp_path: Path) -> None:
    rows = [cells("red", "red1.png"), cells("red", "red2.png"), cells("nobody", "nobody.png")]
    pictures = {"red1.png": one(RED), "red2.png": one(REDDISH), "nobody.png": FakePicture.of([])}
    with await draft(rows, pictures) as made:
        found = made.write(
            tmp_path / "x.lfrlist",
            name="spring",
            pack=PACK,
            signer=BUILDER,
            recipient=INSTALLATION.public_key(),
            now=NOW,
        )
        entries = [verdict.entry for verdict in made.verdicts]
    found.verify_public()
    assert found.header.facts.verdicts == {"accepted": 2, "no_face": 1}
    assert (found.header.facts.pack, found.header.facts.pack_digest) == ("uk-met", PACK.digest)
    assert (found.model, found.header.facts.exclusions) == (MODEL, None)
    opened = list(found.rows(found.open_key(INSTALLATION)))
    assert [row.about.entry for row in opened] == entries[:2]
    assert np.linalg.norm(np.frombuffer(opened[0].template, "<f4")) == pytest.approx(1, abs=1e-5)
    assert (Raw().decode(opened[1].portrait)[32, 32] == REDDISH).all()


async def test_who_resembles_somebody_else_is_listed_with_the_question(
    draft: Callable[..., Any], tmp_path: Path
) -> None:
    with await draft([cells("red"), cells("rad")], {"red.png": one(RED), "rad.png": one(REDDISH)}) as made:
        assert codes(made) == {"red.png": "questioned", "rad.png": "questioned"}
        assert not made.has_rejections
        found = made.write(
            tmp_path / "x", name="s", pack=PACK, signer=BUILDER, recipient=INSTALLATION.public_key(), now=NOW
        )
    assert found.header.counts.questioned == 2
    (first, _) = found.rows(found.open_key(INSTALLATION))
    assert first.question.startswith("resembles rad.png in line 3, of rad (similarity 0.8")


async def test_progress_counts_the_photographs_that_are_looked_at(draft: Callable[..., Any]) -> None:
    told: list[tuple[int, int]] = []
    rows = [cells("red"), cells("blue"), cells("wrong", category="x")]
    pictures = {"red.png": one(RED), "blue.png": one(BLUE)}
    with await draft(rows, pictures, progress=lambda done, total: told.append((done, total))):
        assert told == [(1, 2), (2, 2)]


async def test_a_model_that_fails_is_no_verdict(draft: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"photograph .*red.png: OSError: out of order; nothing was written"):
        await draft([cells("red")], {"red.png": one(RED)}, faults=Faults({1: OSError("out of order")}))
    assert files_in(tmp_path) == ["m.csv", "red.png"], "no temporary file is left"


async def test_nothing_in_clear_lies_on_the_disk_meanwhile(draft: Callable[..., Any], tmp_path: Path) -> None:
    with await draft([cells("red")], {"red.png": one(RED)}) as made:
        portrait = made._spool.get(made._looked[0].portrait)
        made._spool._file.flush()
        made._spool._file.seek(0)
        assert len(portrait) == 64 * 64 * 3
        assert portrait[:64] not in made._spool._file.read()
        assert files_in(tmp_path) == ["m.csv", "red.png"]


async def test_more_entries_than_the_pack_allows_are_refused(draft: Callable[..., Any], tmp_path: Path) -> None:
    small = msgspec.structs.replace(PACK, pack=tightened(PACK.pack, {"max_entries": 1}))
    with (
        await draft([cells("red"), cells("blue")], {"red.png": one(RED), "blue.png": one(BLUE)}) as made,
        pytest.raises(RefusedError, match="pack uk-met allows 1 entries, got 2: leave 1 of them out"),
    ):
        made.write(tmp_path / "x", name="s", pack=small, signer=BUILDER, recipient=INSTALLATION.public_key(), now=NOW)
    assert not (tmp_path / "x").exists()


async def test_a_list_of_nobody_is_not_written(draft: Callable[..., Any], tmp_path: Path) -> None:
    with (
        await draft([cells("nobody")], {"nobody.png": FakePicture.of([])}) as made,
        pytest.raises(RefusedError, match="every row was rejected: nothing is left to list"),
    ):
        made.write(tmp_path / "x", name="s", pack=PACK, signer=BUILDER, recipient=INSTALLATION.public_key(), now=NOW)


async def test_templates_are_overwritten_when_the_draft_is_done_with(draft: Callable[..., Any]) -> None:
    with await draft([cells("red")], {"red.png": one(RED)}) as made:
        assert made._templates.any()
    assert not made._templates.any()
