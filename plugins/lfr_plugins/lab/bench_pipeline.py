"""The whole kernel over a clip: as fast as it goes, and at the clip's own speed."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from msgspec import Struct

from lfr_kernel.api import Listener, Outcome, PermanentError, Registry, Session, parse_profile
from lfr_plugins.lab.bench_report import WARM_UP_S, Frames, Hosted, Memory, Paced, Passages, Run, growth
from lfr_plugins.lab.bench_taps import Taps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfr_kernel.api import Alert, Summary
    from lfr_plugins.lab.bench_report import Job

__all__ = ["memory_of", "passages_of", "run_paced", "run_pipeline"]

PORTRAITS = Path(__file__).with_name("portraits")
PROC_STATUS = Path("/proc/self/status")
SAMPLE_S = 1.0
START_S = 0.01
LONG_S = 1.0
ENOUGH = 5


class _Sample(Struct, frozen=True, kw_only=True):
    at_s: float
    cpu_s: float
    """Of the event loop's thread."""
    processed: int
    dropped: int
    resident_mb: float | None


class _Played(Struct, frozen=True, kw_only=True):
    summary: Summary
    samples: list[_Sample]
    outcomes: list[Outcome]

    def hosted(self) -> Hosted:
        """Return what the kernel says of this run."""
        first, last = self.samples[0], self.samples[-1]
        frames, compute = last.processed - first.processed, self.summary.lanes["compute"]
        share = compute.busy_s / (compute.workers * self.summary.duration_s) if self.summary.duration_s else 0.0
        return Hosted(
            cpu_ms_per_frame=round((last.cpu_s - first.cpu_s) / frames * 1e3, 3) if frames else 0.0,
            compute_busy=round(share, 3),
            calls_ms=dict(self.summary.stages_ms),
        )


def run_pipeline(job: Job) -> Run:
    """Play the clip as fast as the kernel takes it."""
    taps = Taps(seconds=job.seconds)
    played = _play(job, taps, realtime=False)
    watch = taps.watch
    return Run(
        kind="pipeline",
        frames=played.summary.frames.processed,
        faces=watch.items("detect"),
        embedded=watch.items("embed"),
        seconds=watch.seconds(),
        stages_ms=watch.stages_ms(),
        hosted=played.hosted(),
    )


def run_paced(job: Job) -> Paced:
    """Play the clip at its own speed."""
    taps = Taps(seconds=job.seconds, with_delays=True)
    played = _play(job, taps, realtime=True)
    summary, delays = played.summary, taps.delays
    assert delays is not None  # noqa: S101  (asked for above)
    dropped = sum(summary.frames.dropped.values())
    warm = next((one.dropped for one in played.samples if one.at_s >= WARM_UP_S), dropped)
    return Paced(
        seconds=summary.duration_s,
        frames=Frames(
            read=summary.frames.read,
            processed=summary.frames.processed,
            dropped=dropped,
            dropped_after_warm_up=dropped - warm,
        ),
        faces=summary.faces,
        embedded=summary.probes,
        capture_to_embedding_ms=summary.latency_ms.capture_to_embedding,
        halves_ms=delays.halves_ms(),
        first_embedding_ms=delays.first_ms(),
        first_wanted_ms=delays.first_wanted_ms(),
        passages=passages_of(summary.passages.seen, played.outcomes),
        memory=memory_of([one.resident_mb for one in played.samples[:-1]], peak_mb()),
        stages_ms=taps.watch.stages_ms(),
        hosted=played.hosted(),
    )


def _play(job: Job, taps: Taps, *, realtime: bool) -> _Played:
    data: dict[str, Any] = {
        "name": "bench",
        "permit": "demo",
        "cameras": [{"name": "bench", "options": {"url": job.video, "loop": job.loop, "realtime": realtime}}],
        "watchlist": {"images": str(PORTRAITS)},
        "tracker": {"options": {"every_face": job.exhaustive}},
        # The plain loops that an exhaustive run is compared with embed each face once.
        "embedder": {"mirror_live": not job.exhaustive},
        "runtime": {"compute_threads": job.threads},
    }
    registry = taps.registry(Registry.discover())
    profile, _ = parse_profile(data, registry, source="bench", here=Path.cwd())
    outcomes: list[Outcome] = []

    def fact(what: Alert | Outcome) -> None:
        if isinstance(what, Outcome):
            outcomes.append(what)

    session = Session(profile, registry, listener=Listener(fact=fact))
    summary, samples = anyio.run(_run, session)
    for name, actor in summary.actors.items():
        if actor.restarts:
            raise PermanentError(
                f"stage {name} failed {actor.restarts} times during the measurement, which is worth nothing then; "
                f"its last error was: {actor.last_error}"
            )
    return _Played(summary=summary, samples=samples, outcomes=outcomes)


async def _run(session: Session) -> tuple[Summary, list[_Sample]]:
    samples: list[_Sample] = []
    failure: Exception | None = None
    # The camera's first import would count as time of the event loop's thread.
    session.check_permit()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_watch, session, samples)
        try:
            summary = await session.run()
        except Exception as error:  # noqa: BLE001  (raised below, outside of the group that would wrap it)
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    samples.append(_sample(summary))
    return summary, samples


async def _watch(session: Session, samples: list[_Sample]) -> None:
    while True:
        if session.is_started:
            samples.append(_sample(session.summary()))
        await anyio.sleep(SAMPLE_S if samples else START_S)


def _sample(summary: Summary) -> _Sample:
    return _Sample(
        at_s=summary.duration_s,
        cpu_s=time.thread_time(),
        processed=summary.frames.processed,
        dropped=sum(summary.frames.dropped.values()),
        resident_mb=_proc_status_mb("VmRSS"),
    )


def passages_of(seen: int, outcomes: Sequence[Outcome]) -> Passages:
    """Count what the passages of more than a second got."""
    long = [outcome for outcome in outcomes if outcome.seconds > LONG_S]
    shown = [outcome for outcome in long if not (outcome.reason or "").startswith("gated_")]
    return Passages(
        seen=seen,
        over_1_s=len(long),
        gated_over_1_s=len(long) - len(shown),
        under_five_over_1_s=sum(outcome.probes < ENOUGH for outcome in shown),
        fewest_embeddings=min((outcome.probes for outcome in shown), default=None),
    )


def memory_of(samples_mb: Sequence[float | None], peak: float | None) -> Memory:
    """Return the memory figures of a run; samples that the system did not give are left out."""
    known = [round(sample, 1) for sample in samples_mb if sample is not None]
    # Linux counts by thread and adds up later: what it calls the peak may lag behind a sample.
    highest = max((one for one in (peak, *known) if one is not None), default=None)
    return Memory(peak_mb=highest, growth_mb=growth(known), samples_mb=known)


def peak_mb() -> float | None:
    """Return the most memory that this process has had resident so far, 10^6 bytes."""
    # On Linux ru_maxrss begins with the size of the process that started this one.
    known = _proc_status_mb("VmHWM")
    if known is not None:
        return known
    try:
        import resource  # noqa: PLC0415  (not everywhere)
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def _proc_status_mb(field: str) -> float | None:
    if not PROC_STATUS.exists():
        return None
    sizes = dict(line.split(":", 1) for line in PROC_STATUS.read_text(encoding="utf-8").splitlines())
    return round(int(sizes[field].split()[0]) * 1024 / 1e6, 1)
