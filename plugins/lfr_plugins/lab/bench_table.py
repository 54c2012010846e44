"""The figures of a benchmark as tables, each line with what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table

from lfr_plugins.lab.bench_report import WARM_UP_S

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lfr_kernel.api import Quantiles
    from lfr_plugins.lab.bench_kernel import KernelReport
    from lfr_plugins.lab.bench_report import Paced, Report, Speed

__all__ = ["kernel_table", "report_tables"]

_HOST_OF = {"detect": "detector", "track": "tracker", "embed": "embedder", "search": "index"}


def report_tables(report: Report) -> RenderableType:
    """Return the tables of `bench VIDEO`."""
    return Group(_speeds(report), "", _stages(report), "", _paced(report.paced))


def kernel_table(report: KernelReport) -> RenderableType:
    """Return the table of `bench --kernel`."""
    table = _table(f"messages: {report.messages} a run, capacity {report.capacity}, {report.pairs} pairs")
    table.add_row("actor to actor", f"{report.actors_per_s:,.0f} messages/s", "supervised, counted, bounded; median")
    table.add_row("anyio stream", f"{report.stream_per_s:,.0f} messages/s", "a bare memory object stream; median")
    table.add_row("ratio", f"{report.ratio:.2f}", "actors / stream, median of the pairs")
    return table


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(style="dim")
    return table


def _speeds(report: Report) -> Table:
    which = "every face of every frame" if report.exhaustive else "faces as the tracker chooses them"
    table = _table(f"{report.video}: {which}; as fast as it goes; medians of {report.pairs}, taken in turns")
    one, bare = report.compute_threads, report.sequential_threads
    table.add_row("pipeline", _speed(report.pipeline), f"the whole kernel, {one} compute threads")
    table.add_row("bound", _speed(report.bound), f"the same plugins on {one} bare threads, no kernel: the ceiling")
    table.add_row("sequential", _speed(report.sequential), f"one call after another, {bare} threads in an inference")
    table.add_row("efficiency", _ratios(report.efficiency, report.efficiencies), "pipeline / bound, median of pairs")
    table.add_row("speedup", _ratios(report.speedup, report.speedups), "pipeline / sequential, median of pairs")
    hosted = report.pipeline.hosted
    if hosted is not None:
        table.add_row("kernel CPU", f"{hosted.cpu_ms_per_frame:.2f} ms/frame", "of the event loop's thread")
        table.add_row("compute lane", f"{hosted.compute_busy:.0%} busy", "the rest of the time it waited for work")
    table.add_row(
        "amount",
        f"{report.pipeline.frames} frames",
        f"{report.pipeline.faces} faces found, {report.pipeline.embedded} embedded, each searched for among "
        f"{report.listed:,} templates, in every run alike",
    )
    return table


def _speed(speed: Speed) -> str:
    return f"{speed.fps:.1f} frames/s, {speed.faces_per_s:.0f} faces/s"


def _ratios(median: float, pairs: list[float]) -> str:
    return f"{median:.2f}" + (f" ({min(pairs):.2f} to {max(pairs):.2f})" if len(pairs) > 1 else "")


def _stages(report: Report) -> Table:
    table = Table(title="time a call, p50 / p95, ms", title_justify="left", box=None)
    for heading in ("stage", "pipeline", "with wait and hop", "bound", "sequential", "paced"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    hosted = report.pipeline.hosted.calls_ms if report.pipeline.hosted is not None else {}
    for stage, quantiles in report.pipeline.stages_ms.items():
        table.add_row(
            stage,
            _pair(quantiles),
            _pair(hosted.get(_HOST_OF.get(stage, ""))),
            _pair(report.bound.stages_ms.get(stage)),
            _pair(report.sequential.stages_ms.get(stage)),
            _pair(report.paced.stages_ms.get(stage)),
        )
    return table


def _pair(quantiles: Quantiles | None) -> str:
    if quantiles is None or quantiles.p50 is None:
        return "-"
    return f"{quantiles.p50:.1f} / {quantiles.p95:.1f}"


def _paced(paced: Paced) -> Table:
    frames, passages, memory = paced.frames, paced.passages, paced.memory
    table = _table(f"at the clip's own speed for {paced.seconds:.0f} s")
    table.add_row(
        "frames",
        f"{frames.processed} of {frames.read}",
        f"{frames.dropped} dropped, {frames.dropped_after_warm_up} of them after the first {WARM_UP_S:g} s",
    )
    table.add_row("capture to embedding", _line(paced.capture_to_embedding_ms), "p50, p95, p99")
    first_half, second_half = paced.halves_ms
    table.add_row("  first half", _line(first_half), "the same, but until the embedder returns")
    table.add_row("  second half", _line(second_half), "does it grow?")
    first = paced.first_embedding_ms
    table.add_row("first embedding", _line(first), f"of a passage after its first detection; longest {_ms(first.max)}")
    table.add_row(
        "  from a good face",
        _line(paced.first_wanted_ms),
        "the same, without the wait for a face that the tracker wants",
    )
    table.add_row(
        "embeddings",
        "-" if passages.fewest_embeddings is None else f"{passages.fewest_embeddings} at least",
        f"in {passages.over_1_s - passages.gated_over_1_s} passages of more than a second, "
        f"fewer than five in {passages.under_five_over_1_s}; {passages.gated_over_1_s} more showed no good face",
    )
    table.add_row("memory", _mb(memory.peak_mb), f"peak; {_mb(memory.growth_mb)} from the third to the last quarter")
    table.add_row("kernel CPU", f"{paced.hosted.cpu_ms_per_frame:.2f} ms/frame", "of the event loop's thread")
    return table


def _line(quantiles: Quantiles) -> str:
    return ", ".join(_ms(value) for value in (quantiles.p50, quantiles.p95, quantiles.p99))


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def _mb(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} MB"
