"""`lfr-kernel check P`: find mistakes before a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

from lfr_kernel.enrolment import find_photos
from lfr_kernel.profile import load_profile
from lfr_kernel.runtime import describe
from lfr_kernel.session import Session
from lfr_kernel.wiring import connect, nodes_of, render

if TYPE_CHECKING:
    from lfr_kernel.plugins import Registry
    from lfr_kernel.profile import CameraSection
    from lfr_kernel.redaction import Redactor
    from lfr_kernel.stages.camera import Camera
    from lfr_kernel.stages.detector import Detector

__all__ = ["check"]

FIRST_PICTURE_TRIES = 20


@click.command()
@click.argument("profile", type=click.Path())
@click.option("--graph", is_flag=True, help="Print the graph with policies and lanes.")
@click.option("--live", is_flag=True, help="Load the models and open the cameras, too.")
@click.pass_obj
def check(state: dict[str, Any], profile: str, *, graph: bool, live: bool) -> None:
    """Check a profile: every mistake at once, with file, key path, what was expected and what came."""
    registry: Registry = state["registry"]
    loaded, redactor = load_profile(Path(profile), registry)
    session = Session(loaded, registry)
    paces = session.check_permit()
    nodes = nodes_of(loaded, paces)
    edges = connect(nodes)
    console = Console()
    _say(console, "profile", f"{loaded.name}: {len(loaded.cameras)} cameras, {len(loaded.sinks)} sinks")
    _say(console, "permit", str(session.permit))
    photos = find_photos(loaded.watchlist.images)
    people = len({photo.person for photo in photos})
    _say(
        console, "watchlist", f"{people} people, {len(photos)} photographs, threshold {loaded.watchlist.threshold:.2f}"
    )
    if graph:
        console.print()
        console.print(Text(render(nodes, edges)))
    if live and not _check_live(console, registry, loaded, redactor):
        raise click.exceptions.Exit(1)
    _say(console, "ok", "nothing wrong found" if live else "nothing wrong found; --live opens models and cameras too")


def _say(console: Console, what: str, text: str, style: str = "green") -> None:
    console.print(Text.assemble((f"{what:>10}  ", style), text), soft_wrap=True)


def _check_live(console: Console, registry: Registry, profile: Any, redactor: Redactor) -> bool:
    detector = registry.get("detector", profile.detector.plugin).create(profile.detector.options)
    _say(console, "detector", f"{profile.detector.plugin}, model {detector.digest[:12]}…")
    embedder = registry.get("embedder", profile.embedder.plugin).create(profile.embedder.options)
    _say(console, "embedder", f"{profile.embedder.plugin}, model {embedder.digest[:12]}…, {embedder.dimension} numbers")
    is_good = all([_check_camera(console, registry, camera, detector, redactor) for camera in profile.cameras])
    detector.close()
    embedder.close()
    return is_good


def _check_camera(
    console: Console, registry: Registry, section: CameraSection, detector: Detector, redactor: Redactor
) -> bool:
    camera: Camera = registry.get("camera", section.plugin).create(section.options)
    try:
        camera.open()
        tries = (camera.read() for _ in range(FIRST_PICTURE_TRIES))
        reading = next((one for one in tries if one is not None), None)
    except Exception as error:  # noqa: BLE001  (shown beside those of the other cameras)
        _say(console, section.name, redactor(describe(error)), "red")
        return False
    finally:
        camera.close()
    if reading is None:
        _say(console, section.name, "opened, but no picture came", "red")
        return False
    width, height = reading.picture.size
    smallest = detector.smallest_face_px(width, height)
    _say(
        console,
        section.name,
        f"{width}x{height}, {camera.pace}; the smallest face that can be found: {smallest:.0f} px",
    )
    return True
