"""`lfr-kernel why CLIP`: passage by passage, where people are lost and what would help."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import click
import msgspec
from msgspec.structs import replace
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lfr_kernel.api import parse_profile, read_profile
from lfr_plugins.lab.why_moments import Fate, Moments
from lfr_plugins.lab.why_page import page
from lfr_plugins.lab.why_report import explain
from lfr_plugins.lab.why_table import why_tables
from lfr_plugins.lab.why_watch import Watcher, watch
from lfr_plugins.sinks.durable import explain as refusal
from lfr_plugins.sinks.durable import make_folder, write_whole

if TYPE_CHECKING:
    from lfr_kernel.api import Profile, Registry
    from lfr_plugins.lab.why_report import WhyReport
    from lfr_plugins.lab.why_watch import Watched

__all__ = ["explain_clip", "profile_for", "why"]

PICTURES = "pictures"


@click.command()
@click.argument("clip", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
@click.option(
    "-p",
    "--profile",
    "profile",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take watchlist, threshold and the stages' settings from this profile; its cameras and sinks stay out of it.",
)
@click.option(
    "--watchlist",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Look for the people in this folder of photographs. Without it and --profile nothing is searched.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("lfr-why"),
    show_default=True,
    help="Where index.html, why.json and the pictures go.",
)
@click.option("--json", "as_json", is_flag=True, help="Print why.json on stdout as well; the rest goes to stderr.")
@click.pass_context
def why(
    ctx: click.Context, clip: Path, *, profile: Path | None, watchlist: Path | None, out: Path, as_json: bool
) -> None:
    """Explain passage by passage where people are lost in CLIP, and what would help.

    Runs the real pipeline over a file (under the demo permit) and says of everybody who passes how long and how large
    the face was seen, which faces were not good enough and why, and how near the best similarity came to the threshold.

    Each passage comes with a picture of its best moment. In it every face that was found is pixelated for good before
    anything is written, to at most 8 by 8 blocks, and all else is reduced to 320 columns. That cannot be turned off:
    this project does not store unknown faces.

    Exit codes: 0 it ran, 1 it failed, 2 wrong usage.
    """
    if profile is not None and watchlist is not None:
        raise click.UsageError("expected --profile or --watchlist, got both: a profile has a watchlist of its own")
    registry: Registry = ctx.obj["registry"]
    loaded = profile_for(clip, registry, profile=profile, watchlist=watchlist)
    console = Console(stderr=True)
    try:
        report = explain_clip(clip, loaded, registry, out, console)
    except OSError as error:
        raise refusal(error, Path(error.filename or out)) from error
    if as_json:
        click.echo(_json(report).decode())
    else:
        Console(highlight=False).print(why_tables(report))
    console.print(f"\nleft in {out}/: index.html (look at it in a browser), why.json, {PICTURES}/", soft_wrap=True)


def profile_for(clip: Path, registry: Registry, *, profile: Path | None, watchlist: Path | None) -> Profile:
    """Return the profile that explains a clip: with that one camera, no sink, and under the demo permit.

    Of a profile with a sealed list it keeps everything but the list: searching a recording for whoever is on it would
    be another act, which this is not. Passages are then explained up to their templates.

    Raises:
        ProfileError: with every mistake in the profile given.
    """
    data: dict[str, Any] = {"name": "why"} if profile is None else read_profile(profile)
    is_governed = data.get("permit") == "authority"
    for outgoing in ("sinks", "anchors", "governance"):
        data.pop(outgoing, None)
    data |= {"permit": "demo", "cameras": [{"name": "clip", "options": {"url": str(clip.absolute())}}]}
    here = Path.cwd() if profile is None else profile.resolve().parent
    if profile is None:
        data["watchlist"] = {"images": str(watchlist or here)}
    elif is_governed and isinstance(data.get("watchlist"), dict):
        data["watchlist"] = {key: value for key, value in data["watchlist"].items() if key != "file"}
        data["watchlist"]["images"] = str(here)
    parsed, _ = parse_profile(data, registry, source="why" if profile is None else str(profile), here=here)
    if is_governed or (profile is None and watchlist is None):
        # A profile in a file cannot list nobody; this one is not in a file.
        parsed = replace(parsed, watchlist=replace(parsed.watchlist, images=()))
    return parsed


def explain_clip(clip: Path, profile: Profile, registry: Registry, out: Path, console: Console) -> WhyReport:
    """Run `profile` over `clip`, and leave page, JSON and pictures in `out`. Raises LfrError, OSError."""
    make_folder(out)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with shown, tempfile.TemporaryDirectory(prefix=".drafts-", dir=out) as drafts:
        task = shown.add_task("loading models", total=_length_s(clip))

        def enrolled(done: int, total: int) -> None:
            shown.update(task, description=f"enrolling photographs: {done} of {total}")

        def seen(seconds: float, passages: int) -> None:
            shown.update(task, completed=seconds, description=f"{seconds:.1f} s, {passages} passages")

        moments = Moments(Path(drafts))
        watched = watch(profile, registry, Watcher(moments, seen), enrolled)
        shown.update(task, description="writing")
        report = _with_pictures(explain(watched, profile, clip=clip.name), watched, moments, out)
    write_whole(out / "why.json", _json(report))
    write_whole(out / "index.html", page(report).encode())
    return report


def _with_pictures(report: WhyReport, watched: Watched, moments: Moments, out: Path) -> WhyReport:
    """Write the pictures, clear away those of an earlier run, and name them in the report."""
    folder = out / PICTURES
    make_folder(folder)
    outcomes = {outcome.passage: outcome for outcome in watched.outcomes}
    passages, written = [], set()
    for one in report.passages:
        seen = watched.watcher.sighted(outcomes[one.passage])
        fate = Fate(tone=one.tone, title=f"{one.number}. {one.short}", text=one.says)
        png = moments.finish(seen.key, fate) if seen is not None else None
        name = f"passage-{one.number:05d}.png"
        if png is not None:
            write_whole(folder / name, png)
            written.add(name)
        passages.append(replace(one, picture=f"{PICTURES}/{name}" if png is not None else None))
    for old in folder.glob("passage-*.png"):
        if old.name not in written:
            old.unlink()
    return replace(report, passages=passages)


def _length_s(clip: Path) -> float | None:
    """Return how long the clip says it is, for the progress bar; None if it does not."""
    try:
        with av.open(str(clip)) as container:
            return container.duration / 1e6 if container.duration else None
    except av.FFmpegError:
        return None


def _json(report: WhyReport) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=2)
