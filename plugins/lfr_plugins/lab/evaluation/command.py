"""`lfr-kernel evaluate`: how well a profile recognises whom it should, and leaves everybody else alone."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
import platformdirs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from lfr_kernel.api import (
    LfrError,
    find_photos,
    load_profile,
    parse_profile,
    read_photograph,
    recognition_settings,
)
from lfr_plugins.lab.evaluation.assembly import Inputs, assemble
from lfr_plugins.lab.evaluation.bluelist import blue_list_report
from lfr_plugins.lab.evaluation.bluelist_inputs import BlueListError, read_blue_list
from lfr_plugins.lab.evaluation.bluelist_prose import show_blue_list
from lfr_plugins.lab.evaluation.clips import watch_clips
from lfr_plugins.lab.evaluation.following import stages_of
from lfr_plugins.lab.evaluation.observation import Models, observe
from lfr_plugins.lab.evaluation.protocol import ProtocolError, read_about, read_protocol
from lfr_plugins.lab.evaluation.report import ModelFacts
from lfr_plugins.lab.evaluation.screen import show
from lfr_plugins.lab.evaluation.store import Store
from lfr_plugins.lab.evaluation.views import VIEWS
from lfr_plugins.lab.evaluation.writing import expect_writeable, write, write_blue_list
from lfr_plugins.models.store import find_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lfr_kernel.api import Profile, Registry

__all__ = ["evaluate"]

DEFAULT: dict[str, Any] = {
    "name": "default",
    "permit": "demo",
    "cameras": [{"name": "none", "options": {"url": "none.mp4"}}],
    "watchlist": {"images": "."},
}
"""What is evaluated without a profile: the built-in plugins with their defaults. Nothing of it is ever opened."""


class WrongInputError(click.ClickException):
    """What was asked for cannot be evaluated."""

    exit_code = 2


@click.command(
    epilog="""\b
A protocol is a CSV file with the columns path, identity and role (watchlist, filler, mated, nonmated), and if need be
passage, start_s and end_s for clips, and group_… for what people said of themselves.

\b
Examples:
  lfr-kernel evaluate lfw-protocol.csv                       the built-in pipeline with its defaults
  lfr-kernel evaluate mine.csv --for van.toml --out new      as van.toml sets it, for the length of its list
  lfr-kernel evaluate mine.csv --for van.toml --against old  … and compare, person by person, with an earlier one
  lfr-kernel evaluate --for van.toml                         the protocol that van.toml names in [basis]
  lfr-kernel evaluate --blue-list plan.csv --alerts alerts.jsonl --run run.json
                                                             people seeded into the crowd of a finished deployment

Exit codes: 0 a report was written, 1 it failed, 2 wrong usage, protocol or profile."""
)
@click.argument("protocol", type=click.Path(path_type=Path), required=False)
@click.option("--for", "profile_path", type=click.Path(path_type=Path), help="Evaluate what this profile would do.")
@click.option("--images", type=click.Path(path_type=Path, file_okay=False), help="Where the protocol's paths start.")
@click.option("--about", type=click.Path(path_type=Path), help="TOML: name, source, and what this data flatters.")
@click.option("--target", type=click.FloatRange(1e-6, 0.5), help="FPIR to recommend a threshold for.")
@click.option("--list-size", type=click.IntRange(1), help="People on the list that the threshold is for.")
@click.option("--against", type=click.Path(path_type=Path, file_okay=False), help="Compare with this evaluation.")
@click.option("--choices", is_flag=True, help="Try other ways to use the same faces, too.")
@click.option("--blue-list", type=click.Path(path_type=Path), help="CSV of planned passages of a finished deployment.")
@click.option("--alerts", type=click.Path(path_type=Path), help="… with the alerts.jsonl of that deployment")
@click.option("--run", "run_json", type=click.Path(path_type=Path), help="… and with the summary that --json printed.")
@click.option("--out", type=click.Path(path_type=Path), default="evaluation", show_default=True, help="Folder for it.")
@click.option("--cache", type=click.Path(path_type=Path), help="File that remembers what was seen, with templates.")
@click.option("--no-cache", is_flag=True, help="Remember nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print report.json on stdout; the rest goes to stderr.")
@click.pass_context
def evaluate(
    ctx: click.Context,
    *,
    protocol: Path | None,
    profile_path: Path | None,
    images: Path | None,
    about: Path | None,
    target: float | None,
    list_size: int | None,
    against: Path | None,
    choices: bool,
    blue_list: Path | None,
    alerts: Path | None,
    run_json: Path | None,
    out: Path,
    cache: Path | None,
    no_cache: bool,
    as_json: bool,
) -> None:
    """Measure recognition on a protocol of listed, mated and non-mated people.

    Runs the plugins and the mathematics of a run over photographs and clips, on all cores, and writes a report that a
    critical reader can take apart: report.json, report.md, report.html, plots and scores.csv. People are the unit.
    What was seen on a photograph is remembered, so an interrupted evaluation goes on where it stopped.
    """
    registry: Registry = ctx.obj["registry"]
    console = Console(stderr=True, highlight=False)
    if blue_list is not None or alerts is not None or run_json is not None:
        if blue_list is None or alerts is None or run_json is None or protocol is not None:
            raise click.UsageError("a blue list takes --blue-list, --alerts and --run, all three, and no protocol")
        try:
            found = blue_list_report(read_blue_list(blue_list, alerts, run_json))
        except BlueListError as error:
            raise WrongInputError(str(error)) from error
        digest = write_blue_list(found, out)
        if as_json:
            click.echo((out / "report.json").read_bytes(), nl=False)
        show_blue_list(found, digest, out, Console(highlight=False, stderr=as_json))
        return
    profile = _profile(profile_path, registry)
    path = protocol or _named(profile, profile_path)
    store_path = None if no_cache else cache or _default_cache()
    try:
        read = read_protocol(path, images)
        described = read_about(about, path)
        expect_writeable(out)
        size = list_size or _listed(profile, profile_path, console)
        with (
            _models(profile, registry, tuple(VIEWS) if choices else ()) as (models, facts),
            Store(store_path) as store,
            _progress(console) as progress,
        ):
            photographs = [row for row in read.rows if not row.is_clip]
            clips = [row for row in read.rows if row.is_clip]
            seen = observe([row.path for row in photographs], models, store, progress=progress("photographs"))
            stages = stages_of(profile, registry, models.detector, models.embedder)
            watched = watch_clips(clips, stages, store, progress=_of_clips(progress)) if clips else {}
        inputs = Inputs(
            protocol=read,
            about=described,
            profile=profile,
            detector=facts[0],
            embedder=facts[1],
            photographs=photographs,
            seen=seen,
            views=models.views,
            in_clips=clips,
            watched=watched,
            target=target or profile.basis.target_fpir,
            list_size=size,
        )
        with console.status("counting people …"):
            evaluated = assemble(inputs, against=against, with_choices=choices)
            digest = write(evaluated, out)
    except ProtocolError as error:
        raise WrongInputError(str(error)) from error
    if as_json:
        click.echo((out / "report.json").read_bytes(), nl=False)  # as it is, whatever the terminal's encoding
    show(evaluated.report, digest, out, Console(highlight=False, stderr=as_json))


def _profile(path: Path | None, registry: Registry) -> Profile:
    if path is not None:
        return load_profile(path, registry)[0]
    return parse_profile(DEFAULT, registry, source="the defaults", here=Path.cwd())[0]


def _named(profile: Profile, path: Path | None) -> Path:
    if path is None:
        raise click.UsageError("name a protocol (a CSV file), or a profile that names one: --for PROFILE")
    if profile.basis.protocol is None:
        raise click.UsageError(f"{path} names no protocol; write one into [basis] protocol, or name it here")
    return Path(profile.basis.protocol).expanduser()


def _listed(profile: Profile, path: Path | None, console: Console) -> int | None:
    """Return how many people the profile lists; None without a profile, or where its photographs are not here."""
    if path is None:
        return None
    if profile.watchlist.images is None:
        sealed = "the profile's list is sealed, and its length is not looked up here; state it with --list-size"
        console.print(Text(sealed, "yellow"), soft_wrap=True)
        return None
    try:
        return len({photo.person for photo in find_photos(profile.watchlist.images)})
    except LfrError as error:
        unknown = f"the length of the profile's list is not known ({error}); state it with --list-size"
        console.print(Text(unknown, "yellow"), soft_wrap=True)
        return None


@contextmanager
def _models(
    profile: Profile, registry: Registry, views: tuple[str, ...]
) -> Iterator[tuple[Models, tuple[ModelFacts, ModelFacts]]]:
    """Yield the models of a profile; they are closed afterwards."""
    reader = registry.get("camera", profile.watchlist.reader)
    detector = registry.get("detector", profile.detector.plugin).create(profile.detector.options)
    try:
        embedder = registry.get("embedder", profile.embedder.plugin).create(profile.embedder.options)
        try:
            settings = {
                name: value
                for name, value in recognition_settings(profile).items()
                if name.partition(".")[0] in {"detector", "embedder"}
            }
            models = Models(
                read=lambda path: read_photograph(path, reader),
                detector=detector,
                embedder=embedder,
                settings=msgspec.json.encode(settings, order="sorted").decode(),
                views=views,
            )
            yield (
                models,
                (
                    _facts(profile.detector, detector.digest),
                    _facts(profile.embedder, embedder.digest),
                ),
            )
        finally:
            embedder.close()
    finally:
        detector.close()


def _facts(section: Any, digest: str) -> ModelFacts:
    """Return which model a stage has, and what its card says that it was trained on."""
    name = getattr(section.options, "model", None)
    card = find_model(name).card if isinstance(name, str) else None
    trained_on = card.training.data if card is not None and card.sha256 == digest else ""
    return ModelFacts(plugin=section.plugin, model=card.name if card else "", sha256=digest, trained_on=trained_on)


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Yield a function that returns what shows the progress of something; nothing is shown without a terminal."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:

        def shown(what: str) -> Callable[[int, int], None]:
            task = bars.add_task(what, total=None)
            return lambda done, of: bars.update(task, completed=done, total=of)

        yield shown


def _of_clips(
    progress: Callable[[str], Callable[[int, int], None]],
) -> Callable[[float, int, int], None]:
    """Return what shows the progress of clips: how many are done of how many, and no promise about the rest."""
    shown = progress("clips")
    return lambda _seconds, done, of: shown(done, of)


def _default_cache() -> Path:
    return platformdirs.user_cache_path("lfr-kernel") / "evaluate.sqlite"
