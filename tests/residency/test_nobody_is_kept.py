"""From outside: five seconds after somebody who is not listed has passed, the process holds nothing of that face.

The pipeline runs as a process; every byte that it may write to is searched for the passer-by's templates and crops, as
the same pipeline makes them here of the same frames. The same search of a process that erases nothing finds them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import onnx
import pytest
from tests.residency import pipeline
from tests.residency.search import Needle, Template, find, may_read, runs, search

from lfr_kernel.api import Outcome, Verdict
from lfr_kernel.messages import Biometric
from lfr_plugins.embedders.config import OnnxEmbedderConfig
from lfr_plugins.embedders.onnx_embedder import OnnxEmbedder
from lfr_plugins.lab.choreography import FRAMES_PER_S, PASSAGES, VIEW
from lfr_plugins.lab.compositing import Compositor
from lfr_plugins.lab.figures import PORTRAITS
from lfr_plugins.models.pixels import fill_crops
from lfr_plugins.models.sessions import open_session
from lfr_plugins.models.store import find_model, read_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/PID/mem, which only Linux has"),
]

SHOWN = range(40, 100, 6)
"""In these frames of the demo's clip its first passer-by comes nearer, alone."""
LISTED, PASSING = "obama.jpg", PASSAGES[0]
AFTERWARDS_MS = (2500, 5000)
"""After the last of them the place is seen empty twice: that ends the passage."""
FACE_ROWS = slice(30, 100)


class Face(NamedTuple):
    """What is known of the passer-by and of the person listed."""

    needles: list[Needle]
    templates: list[Template]
    listed: Template


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a folder of frames, and one with the photograph of somebody else, who is listed."""
    frames, listed = tmp_path_factory.mktemp("frames"), tmp_path_factory.mktemp("listed")
    shutil.copy(PORTRAITS / LISTED, listed / LISTED)
    compositor = Compositor.build(VIEW, [PASSING])
    last_ms = SHOWN[-1] * 1000 // FRAMES_PER_S
    moments = {number * 1000 // FRAMES_PER_S: number for number in SHOWN}
    for at_ms, number in (moments | {last_ms + after_ms: 0 for after_ms in AFTERWARDS_MS}).items():
        np.save(frames / f"{at_ms}.npy", np.ascontiguousarray(compositor.frame(number)[..., ::-1]))
    return frames, listed


@pytest.fixture
async def face(scene: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Face:
    """Let the pipeline run here, and note every array that somebody owned just before it is erased."""
    passing: list[NDArray[np.generic]] = []
    kept: list[NDArray[np.generic]] = []
    erase = Biometric.erase

    def note_and_erase(self: Biometric) -> None:
        if not self.is_erased:
            (kept if self._watch is None else passing).append(self.array.copy())
        erase(self)

    async def at_once(_: Outcome) -> None:
        pass

    monkeypatch.setattr(Biometric, "erase", note_and_erase)
    outcome = await pipeline.play(*scene, at_once)
    monkeypatch.undo()
    assert outcome.verdict is Verdict.NOT_MATCHED
    crops = [one.astype(np.uint8) for one in passing if one.dtype == np.uint8 and one.ndim == 3]
    assert len(crops) == outcome.probes >= 3
    pooled = [row for one in passing if one.dtype == np.float32 for row in one.reshape(-1, one.shape[-1])]
    (listed,) = [one for one in kept if one.dtype == np.float32 and one.ndim == 2]
    templates = [Template("average or pooled template", row.astype(np.float32)) for row in pooled if row.any()]
    templates += embedded(crops)
    halves = [one.numbers.astype(np.float16) for one in templates]
    needles = [needle for half in halves for needle in runs("template, f16", half)]
    for crop in crops:
        for name, pixels in (("crop", crop), ("mirrored crop", np.ascontiguousarray(crop[:, ::-1]))):
            needles += runs(f"{name}, uint8 HWC", pixels[FACE_ROWS], pixels[FACE_ROWS])
            planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)[:, FACE_ROWS])
            needles += runs(f"{name}, float32 NCHW", as_input(pixels)[:, FACE_ROWS], planes)
    return Face(needles, templates, Template("listed", listed[0].astype(np.float32)))


def as_input(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a crop as the model takes it, float32 [3, H, W]."""
    tensor = np.zeros((1, 3, *crop.shape[:2]), np.float32)
    fill_crops(tensor, crop[np.newaxis], find_model(OnnxEmbedderConfig().model).card.pixels)
    return np.asarray(tensor[0], np.float32)


def embedded(crops: Sequence[NDArray[np.uint8]]) -> list[Template]:
    """Return the templates of crops and of their mirror images, as the plugin makes them and before they are scaled."""
    embedder = OnnxEmbedder(OnnxEmbedderConfig())
    model = onnx.load_model_from_string(read_weights(find_model(OnnxEmbedderConfig().model)))
    # The last but one step: what the model scales to the length 1.
    raw = next(node.input[0] for node in model.graph.node if node.op_type == "LpNormalization")
    model.graph.output.append(onnx.helper.make_tensor_value_info(raw, onnx.TensorProto.FLOAT, None))
    session, _ = open_session(model.SerializeToString(), "the test's model", device="cpu")
    found = []
    for crop in crops:
        for name, pixels in (("template", crop), ("template of the mirror image", np.ascontiguousarray(crop[:, ::-1]))):
            out = np.zeros((1, embedder.dimension), np.float32)
            embedder.embed(pixels[np.newaxis], out)
            (numbers,) = session.run([raw], {model.graph.input[0].name: as_input(pixels)[np.newaxis]})
            assert not np.allclose(np.linalg.norm(numbers), 1)
            found += [Template(name, out[0]), Template(f"{name}, raw", numbers.reshape(-1))]
    return found


@contextmanager
def quiet(scene: tuple[Path, Path], *how: str) -> Iterator[int]:
    """Run the pipeline as a process; give its number when it says that five seconds have passed without anybody."""
    command = [sys.executable, "-m", "tests.residency.pipeline", *map(str, scene), *how]
    with subprocess.Popen(  # noqa: S603  (our own)
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as process:
        try:
            assert process.stdout is not None
            outcome = msgspec.json.decode(process.stdout.readline(), type=Outcome)
            assert outcome.verdict is Verdict.NOT_MATCHED
            assert process.stdout.readline() == b"quiet\n"
            if not may_read(process.pid):
                pytest.skip("needs the right to read /proc/PID/mem of a child (ptrace_scope 0 or 1, or root)")
            yield process.pid
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()


async def test_five_seconds_after_a_passage_the_process_holds_nothing_of_the_face(
    scene: tuple[Path, Path], face: Face
) -> None:
    with quiet(scene) as pid:
        found = search(pid, face.needles, [*face.templates, face.listed])
    assert found.pop("listed") > 0, "the search must find who is listed"
    assert not found


async def test_where_nothing_is_erased_the_same_search_finds_templates_and_crops(
    scene: tuple[Path, Path], face: Face
) -> None:
    with quiet(scene, "careless") as pid:
        found = search(pid, face.needles, [*face.templates, face.listed])
    assert {"listed", "average or pooled template", "crop, uint8 HWC"} <= set(found)


RNG = np.random.default_rng(7)
PIXELS = RNG.integers(0, 256, (8, 64, 3), np.uint8)
NUMBERS = RNG.standard_normal(192).astype(np.float32)
NOISE = RNG.standard_normal(100_000).astype(np.float32).tobytes()
KINDS: dict[str, tuple[list[Needle], list[Template], NDArray[np.generic]]] = {
    "a few rows of a crop": (runs("it", PIXELS, PIXELS), [], PIXELS[3:5]),
    "a few rows of an input": (runs("it", PIXELS / np.float32(128), PIXELS), [], PIXELS[3:5] / np.float32(128)),
    "half of a template in half precision": (
        runs("it", NUMBERS.astype(np.float16)),
        [],
        NUMBERS[96:].astype(np.float16),
    ),
    "half of a template before it was scaled": ([], [Template("it", NUMBERS)], NUMBERS[96:] * np.float32(7.3)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_search_finds_what_is_there_and_nothing_in_noise(kind: str) -> None:
    needles, templates, part = KINDS[kind]
    hay = NOISE[:44444] + part.tobytes() + NOISE[44444:]
    assert find([hay], needles, templates)["it"] > 0
    assert not find([NOISE], needles, templates)


def test_a_run_that_could_be_of_anything_is_not_searched_for() -> None:
    flat = np.full((4, 64, 3), 130, np.uint8)
    assert not runs("it", flat, flat)
    assert len(runs("it", PIXELS, PIXELS)) == PIXELS.size // 64
