"""`lfr-kernel bench`: what the kernel costs and gains, beside the same plugins without it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from lfr_plugins.lab.bench_kernel import measure_messages
from lfr_plugins.lab.bench_report import Job, Paced, Report, Run, compute_threads, ratio, speed
from lfr_plugins.lab.bench_table import kernel_table, report_tables
from lfr_plugins.lab.bench_worker import measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from lfr_plugins.lab.bench_report import Kind

__all__ = ["bench", "measure_video"]

PAIRS = 3
SECONDS = 20.0
LONGEST_S = 3600.0


@click.command()
@click.argument("video", required=False, type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
@click.option("--exhaustive", is_flag=True, help="Embed every face of every frame, good or bad.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.2, max=LONGEST_S),
    metavar="S",
    help="Play S seconds of the video in each run, in a loop if it is shorter. Without it: all of it where speed is "
    f"measured, {SECONDS:g} seconds at most, and {SECONDS:g} seconds at its own speed.",
)
@click.option(
    "--pairs", type=click.IntRange(1, 99), default=PAIRS, show_default=True, metavar="N", help="Measure each N times."
)
@click.option("--kernel", is_flag=True, help="Measure messages between actors instead; needs no video.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object at the end, on stdout; the rest on stderr."
)
def bench(
    video: Path | None, *, exhaustive: bool, seconds: float | None, pairs: int, kernel: bool, as_json: bool
) -> None:
    """Measure speed, delay and memory over VIDEO.

    Three kinds of runs take turns, so that a busy machine hits all alike: `pipeline` is the whole kernel; `bound`
    the same plugins on as many bare threads, the most that can be reached; `sequential` a plain loop of one call
    after another with two threads in each inference. All search the same 10,000 templates: the demo's portraits and
    random ones. Then the video is played once at its own speed. Each run has a process of its own.
    """
    if kernel == (video is not None) or (kernel and (exhaustive or seconds is not None)):
        raise click.UsageError("expected either a VIDEO, or --kernel without VIDEO, --exhaustive and --seconds")
    if video is None:
        with _Bar(pairs) as bar:
            messages = measure_messages(pairs, before_pair=lambda number: bar.say(f"messages, {number} of {pairs}"))
        _print(messages, kernel_table(messages), as_json=as_json)
        return
    with _Bar(3 * pairs + 1) as bar:
        report = measure_video(video, exhaustive=exhaustive, seconds=seconds, pairs=pairs, say=bar.say)
    _print(report, report_tables(report), as_json=as_json)


def measure_video(
    video: Path, *, exhaustive: bool, seconds: float | None, pairs: int, say: Callable[[str], None] = lambda _: None
) -> Report:
    """Make all runs over `video`, each in a process of its own.

    Args:
        video: a file.
        exhaustive: whether every face is embedded where speed is measured.
        seconds: of the video in each run; None: see `bench`.
        pairs: how often each kind is measured.
        say: told what begins.

    Raises:
        LfrError: a run failed; the text says why.
    """
    threads = compute_threads()

    def job(kind: Kind | Literal["paced"], per_frame: float | None = None) -> Job:
        return Job(
            kind=kind,
            video=str(video.absolute()),
            seconds=SECONDS if seconds is None else seconds,
            loop=seconds is not None or kind == "paced",
            exhaustive=exhaustive,
            threads=threads,
            per_frame=per_frame,
        )

    runs: dict[Kind, list[Run]] = {"pipeline": [], "bound": [], "sequential": []}
    for number in range(1, pairs + 1):
        per_frame: float | None = None
        for kind, done in runs.items():
            say(f"{kind}, {number} of {pairs}")
            run = measure(job(kind, per_frame), Run)
            done.append(run)
            if kind == "pipeline" and not exhaustive:
                per_frame = run.embedded / max(run.frames, 1)
    say("at its own speed")
    paced = measure(job("paced"), Paced)
    efficiency, efficiencies = ratio(runs["pipeline"], runs["bound"])
    speedup, speedups = ratio(runs["pipeline"], runs["sequential"])
    return Report(
        video=video.name,
        exhaustive=exhaustive,
        pairs=pairs,
        compute_threads=threads,
        pipeline=speed(runs["pipeline"]),
        bound=speed(runs["bound"]),
        sequential=speed(runs["sequential"]),
        efficiency=efficiency,
        efficiencies=efficiencies,
        speedup=speedup,
        speedups=speedups,
        paced=paced,
    )


class _Bar:
    """A progress bar on stderr: one step for each run, shown where there is a terminal."""

    def __init__(self, steps: int) -> None:
        console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(
            *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
        )
        self._task = self._progress.add_task("", total=steps)
        self._has_begun = False

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Show what begins now; what began before is done."""
        self._progress.update(self._task, advance=int(self._has_begun), description=text)
        self._has_begun = True


def _print(report: msgspec.Struct, tables: RenderableType, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        Console().print(tables)
