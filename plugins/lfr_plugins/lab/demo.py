"""`lfr-kernel demo`: see it work, with no network and nothing to configure."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lfr_kernel.api import PermanentError, run_profile
from lfr_plugins.lab.walkpast import render

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["demo"]

LISTED = "obama.jpg"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end; the rest goes to stderr.")
@click.pass_context
def demo(ctx: click.Context, *, as_json: bool) -> None:
    """Render a walk-past, list one man, and watch him being recognised.

    Four passages of three people: two of Barack Obama, whose other photograph is listed, one each of Joe Biden and
    Eileen Collins, who are not. Leaves the clip, the profile, the alerts and a picture of each alert in ./lfr-demo/.
    """
    state: dict[str, Any] = ctx.obj
    folder = Path("lfr-demo")
    console = Console(stderr=True)
    profile = _set_the_stage(folder, console)
    code = run_profile(profile, state["registry"], duration_s=None, as_json=as_json, debug=state["debug"])
    _say_what_is_there(folder, console)
    ctx.exit(code)


def _set_the_stage(folder: Path, console: Console) -> Path:
    """Write clip, photograph and profile into `folder`, and clear the alerts of an earlier run. Return the profile."""
    try:
        (folder / "watchlist").mkdir(parents=True, exist_ok=True)
        (folder / "alerts.jsonl").unlink(missing_ok=True)
        shutil.rmtree(folder / "alerts", ignore_errors=True)
        _copy(files("lfr_plugins.lab") / "portraits" / LISTED, folder / "watchlist" / LISTED)
        _copy(_profile(), folder / "demo.toml")
        columns = (TextColumn("rendering a walk-past"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("", total=1.0)
            render(folder / "walk-past.mp4", progress=lambda share: progress.update(task, completed=share))
    except OSError as error:
        raise PermanentError(
            f"cannot write {error.filename or folder}: {error.strerror}; run the demo in a folder you may write to"
        ) from error
    return folder / "demo.toml"


def _profile() -> Traversable:
    """Return profiles/demo.toml: beside this file where installed, in its own room in a checkout."""
    installed = files("lfr_plugins.lab") / "demo.toml"
    if installed.is_file():
        return installed
    return Path(__file__).resolve().parents[3] / "profiles" / "demo.toml"


def _copy(source: Traversable, target: Path) -> None:
    with as_file(source) as path:
        shutil.copyfile(path, target)


def _say_what_is_there(folder: Path, console: Console) -> None:
    console.print(f"\nleft in ./{folder}/:", style="bold", highlight=False)
    for name, what in (
        ("walk-past.mp4", "the clip"),
        ("demo.toml", f"the profile; change it and run  lfr-kernel --profile {folder}/demo.toml"),
        ("watchlist/", "the one listed photograph"),
        ("alerts.jsonl", "the alerts, one JSON object a line"),
        ("alerts/", "a picture of each alert: probe, listed photograph, similarity and threshold"),
    ):
        console.print(f"  {name:<15} {what}", highlight=False, soft_wrap=True)
