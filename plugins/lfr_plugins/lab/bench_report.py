"""What a benchmark measures, as `--json` prints it, and how single runs become figures. Pure functions."""

from __future__ import annotations

import os
import sys
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from msgspec import Struct, field

from lfr_kernel.api import Quantiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "LISTED",
    "SEQUENTIAL_THREADS",
    "WARM_UP_S",
    "Frames",
    "Hosted",
    "Job",
    "Kind",
    "Memory",
    "Paced",
    "Passages",
    "Report",
    "Run",
    "Speed",
    "compute_threads",
    "growth",
    "quantiles",
    "ratio",
    "speed",
]

Kind = Literal["pipeline", "bound", "sequential"]
LISTED = 10_000
"""Templates in the gallery that every run searches: the demo's portraits and random ones."""
SEQUENTIAL_THREADS = 2
"""Threads within one inference of the `sequential` runs."""
WARM_UP_S = 2.0
"""Frames dropped in the first seconds of a paced run are counted apart."""


class Job(Struct, frozen=True, kw_only=True):
    """One measurement, made in a process of its own."""

    kind: Kind | Literal["paced"]
    video: str
    seconds: float
    """Of the clip, not of the clock."""
    loop: bool
    """Whether a clip that is shorter begins again."""
    exhaustive: bool
    threads: int
    """Of the compute lane; of `bound` likewise."""
    per_frame: float | None = None
    """Faces that `bound` and `sequential` embed on average in a frame; None: all."""


class Hosted(Struct, frozen=True, kw_only=True):
    """What the kernel says of one of its own runs."""

    cpu_ms_per_frame: float
    """CPU time of the event loop's thread."""
    compute_busy: float
    """Share of the compute lane's threads that was in calls, in [0, 1]."""
    calls_ms: dict[str, Quantiles]
    """By stage: a call as its host sees it, with the wait for a thread and the way there and back."""


class Run(Struct, frozen=True, kw_only=True):
    """One run as fast as it goes."""

    kind: Kind
    frames: int
    faces: int
    """Faces found."""
    embedded: int
    seconds: float
    """From the beginning of the first read to the end of the last call of any plugin."""
    stages_ms: dict[str, Quantiles]
    """By stage: a call of the plugin itself."""
    hosted: Hosted | None = None

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds if self.seconds else 0.0

    @property
    def faces_per_s(self) -> float:
        """Faces embedded a second."""
        return self.embedded / self.seconds if self.seconds else 0.0


class Speed(Struct, frozen=True, kw_only=True):
    """All runs of one kind."""

    fps: float
    """Median."""
    faces_per_s: float
    """Median of the faces embedded a second."""
    frames: int
    faces: int
    embedded: int
    runs_fps: list[float]
    stages_ms: dict[str, Quantiles]
    """Of the median run."""
    hosted: Hosted | None


class Frames(Struct, frozen=True, kw_only=True):
    """What became of the frames of a paced run."""

    read: int
    processed: int
    dropped: int
    dropped_after_warm_up: int


class Passages(Struct, frozen=True, kw_only=True):
    """What the passages of a paced run got."""

    seen: int
    over_1_s: int
    gated_over_1_s: int
    """Of those: passages that never showed a face good enough to embed."""
    under_five_over_1_s: int
    """Of the others: those that pooled fewer than five embeddings."""
    fewest_embeddings: int | None
    """That any of the others pooled."""


class Memory(Struct, frozen=True, kw_only=True):
    """Resident memory of the process, 10^6 bytes; None where the system does not tell."""

    peak_mb: float | None
    growth_mb: float | None
    """From the third quarter of the run to the last one, medians."""
    samples_mb: list[float]
    """Once a second."""


class Paced(Struct, frozen=True, kw_only=True):
    """One run at the clip's own speed."""

    seconds: float
    frames: Frames
    faces: int
    embedded: int
    capture_to_embedding_ms: Quantiles
    """As the kernel's summary has it: until the template is back on the event loop."""
    halves_ms: tuple[Quantiles, Quantiles]
    """First and second half of the run: from capture until the embedder returns, so a little less."""
    first_embedding_ms: Quantiles
    """Of each passage: from the capture of the first frame that shows it until its first embedding."""
    first_wanted_ms: Quantiles
    """The same, from the capture of the face that was embedded first: without the wait for one good enough."""
    passages: Passages
    memory: Memory
    stages_ms: dict[str, Quantiles]
    hosted: Hosted


class Report(Struct, frozen=True, kw_only=True):
    """All figures of `bench VIDEO`."""

    video: str
    exhaustive: bool
    pairs: int
    compute_threads: int
    sequential_threads: int = SEQUENTIAL_THREADS
    listed: int = LISTED
    pipeline: Speed
    bound: Speed
    sequential: Speed
    efficiency: float
    """Pipeline / bound, median of the pairs."""
    efficiencies: list[float] = field(default_factory=list)
    speedup: float
    """Pipeline / sequential, median of the pairs."""
    speedups: list[float] = field(default_factory=list)
    paced: Paced


def compute_threads() -> int:
    """Return how many threads infer: one for each core that this process may use, as the kernel has it by default."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def speed(runs: Sequence[Run]) -> Speed:
    """Return the medians of runs of one kind, and the details of the run in the middle."""
    middle = sorted(runs, key=lambda run: run.fps)[(len(runs) - 1) // 2]
    return Speed(
        fps=round(median(run.fps for run in runs), 2),
        faces_per_s=round(median(run.faces_per_s for run in runs), 2),
        frames=middle.frames,
        faces=middle.faces,
        embedded=middle.embedded,
        runs_fps=[round(run.fps, 2) for run in runs],
        stages_ms=middle.stages_ms,
        hosted=middle.hosted,
    )


def ratio(runs: Iterable[Run], others: Iterable[Run]) -> tuple[float, list[float]]:
    """Return the median of the pairs' ratios of frames a second, and all of them."""
    ratios = [one.fps / other.fps if other.fps else 0.0 for one, other in zip(runs, others, strict=True)]
    return round(median(ratios), 3), [round(each, 3) for each in ratios]


def quantiles(milliseconds: Sequence[float]) -> Quantiles:
    """Return the quantiles of some durations: the smallest of them that so large a share does not exceed."""
    if not len(milliseconds):
        return Quantiles(count=0, p50=None, p95=None, p99=None, max=None)
    shares: Any = np.quantile(milliseconds, (0.5, 0.95, 0.99, 1.0), method="inverted_cdf")
    p50, p95, p99, longest = (round(float(value), 3) for value in shares)
    return Quantiles(count=len(milliseconds), p50=p50, p95=p95, p99=p99, max=longest)


def growth(samples: Sequence[float]) -> float | None:
    """Return by how much the median of the last quarter exceeds that of the quarter before; None for too few."""
    quarter = len(samples) // 4
    if not quarter:
        return None
    return round(median(samples[-quarter:]) - median(samples[-2 * quarter : -quarter]), 2)
