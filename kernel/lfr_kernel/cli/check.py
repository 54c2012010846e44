"""`lfr-kernel check P`: find mistakes before a run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

from lfr_kernel.citation import read_cited, rests_on
from lfr_kernel.cli.errors import text_of
from lfr_kernel.cli.printing import printable
from lfr_kernel.cli.registry import registry_of
from lfr_kernel.cli.timing import detector_ms, embedder_ms
from lfr_kernel.enrolment import find_photos
from lfr_kernel.governance.deployment.opening import permit_of, permitted, working_copy
from lfr_kernel.governance.deployment.register import deployments
from lfr_kernel.governance.instant import read_clocks
from lfr_kernel.governance.lists.file import ListFile
from lfr_kernel.governance.permit import issue_builtin
from lfr_kernel.governance.standing import Stage
from lfr_kernel.governance.vault import Vault
from lfr_kernel.models import SHOWN_DIGITS
from lfr_kernel.outgoing import outgoing_of
from lfr_kernel.planning import plan_of, vault_of
from lfr_kernel.profile import load_profile
from lfr_kernel.runtime import PassingError
from lfr_kernel.session import Session
from lfr_kernel.wiring import connect, nodes_of, render

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lfr_kernel.governance.permit import PermitIssuer
    from lfr_kernel.plugins import Registry
    from lfr_kernel.profile import CameraSection, EmbedderSection, Profile, SinkSection, StageSection
    from lfr_kernel.redaction import Redactor
    from lfr_kernel.stages.camera import Camera, Pace, Reading
    from lfr_kernel.stages.detector import Detector
    from lfr_kernel.stages.embedder import Embedder

__all__ = ["check"]

FIRST_PICTURE_TRIES = 20
USUAL_SIZE = (1920, 1080)


@click.command(short_help="Find every mistake in a profile before you run it.")
@click.argument("profile", type=click.Path())
@click.option("--graph", is_flag=True, help="Print the graph with policies and lanes.")
@click.option("--live", is_flag=True, help="Load and time the models and open the cameras, too.")
@click.pass_context
def check(ctx: click.Context, profile: str, *, graph: bool, live: bool) -> None:
    """Check a profile: every mistake at once, with file, key path, what was expected and what came."""
    registry = registry_of(ctx)
    loaded, redactor = load_profile(Path(profile), registry)
    checks = _Checks(loaded, Path(profile), registry, redactor)
    paces: dict[str, Pace] | None = checks.look("permit", checks.permit)
    for sink in loaded.sinks:
        checks.look("sink", partial(checks.sink, sink))
    listed: int | None = checks.look("watchlist", checks.watchlist)
    if paces is not None:
        checks.look("graph", partial(checks.graph, paces, is_shown=graph))
    models = checks.live() if live else (None, None)
    checks.look("basis", partial(checks.basis, listed, *models))
    if not checks.code:
        checks.say("ok", "nothing wrong found" if live else "nothing wrong found; --live opens models and cameras too")
    ctx.exit(checks.code)


class _Checks:
    """Looks at one thing after the other, so that what is wrong with one does not hide the next."""

    def __init__(self, profile: Profile, path: Path, registry: Registry, redactor: Redactor) -> None:
        self.code = 0
        self._profile = profile
        self._path = path
        self._registry = registry
        self._redact = redactor
        self._console = Console(highlight=False)
        self.say("profile", f"{profile.name}: cameras {len(profile.cameras)}, sinks {len(profile.sinks)}")

    def say(self, what: str, text: str, style: str = "green") -> None:
        self._console.print(
            Text.assemble((f"{printable(self._redact(what)):>10}  ", style), self._redact(text)), soft_wrap=True
        )

    def look(self, what: str, at: Callable[[], Any], code: int = 2) -> Any:
        """Return what `at` returns; if it fails, say so, remember the exit code and return None."""
        try:
            return at()
        except Exception as error:  # noqa: BLE001  (shown beside the other mistakes)
            self.say(what, text_of(error), "bold red")
            self.code = max(self.code, code)
            return None

    def permit(self) -> dict[str, Pace]:
        if self._profile.governance is None:
            return self._permit(issue_builtin)
        plan = plan_of(self._profile, self._path, self._registry)
        with Vault.open(vault_of(self._profile), clocks=read_clocks) as vault:
            return self._permit(lambda _kind, paces: permit_of(permitted(vault, plan, paces), plan))

    def _permit(self, issue: PermitIssuer) -> dict[str, Pace]:
        session = Session(self._profile, self._registry, issue=issue)
        paces = session.check_permit()
        self.say("permit", str(session.permit))
        return paces

    def sink(self, section: SinkSection) -> None:
        """Say what leaves by a sink, and how it is protected."""
        outgoing = outgoing_of(section, self._registry)
        self.say("sink", f"{section.title}: {printable(str(outgoing))}", "yellow" if outgoing.is_bare else "green")

    def watchlist(self) -> int:
        watchlist = self._profile.watchlist
        if watchlist.file is not None:
            return self._sealed(Path(watchlist.file).expanduser())
        photos = find_photos(watchlist.images or ())
        people = len({photo.person for photo in photos})
        self.say("watchlist", f"people {people}, photographs {len(photos)}, threshold {watchlist.threshold:.2f}")
        return people

    def _sealed(self, path: Path) -> int:
        """Look at a sealed list where it lies: in the vault, once its deployment is open."""
        with Vault.open(vault_of(self._profile), clocks=read_clocks) as vault:
            opened = [one for one in deployments(vault.database) if one.source == str(path.absolute())]
            copies = [working_copy(vault, one) for one in opened if one.stage is Stage.OPEN]
        listed = ListFile.open(copies[0] if copies else path)
        listed.verify_public()
        people, photographs = listed.header.counts.people, listed.header.rows
        self.say(
            "watchlist",
            f"sealed, people {people}, photographs {photographs}, reviews {len(listed.reviews)}, threshold "
            f"{self._profile.watchlist.threshold:.2f}",
        )
        return people

    def basis(self, listed: int | None, detector: str | None, embedder: str | None) -> None:
        cited = read_cited(self._profile.basis)
        basis = rests_on(self._profile, cited, detector=detector, embedder=embedder, listed=listed)
        unseen = ("models", detector is None or embedder is None), ("the watchlist", listed is None)
        missed = " and ".join(name for name, is_unseen in unseen if is_unseen)
        self.say("basis", basis.heading, "green" if basis.state == "covered" and not missed else "yellow")
        for reason in (*basis.reasons, *basis.notes, *([f"not looked at: {missed}"] if missed and cited else [])):
            self.say("", printable(reason), "yellow")

    def graph(self, paces: dict[str, Pace], *, is_shown: bool) -> None:
        nodes = nodes_of(self._profile, paces)
        edges = connect(nodes)
        if is_shown:
            self._console.print(Text(f"\n{render(nodes, edges)}\n"), soft_wrap=True)

    def live(self) -> tuple[str | None, str | None]:
        """Load the models and open the cameras; return the digests of detector and embedder."""
        detector: Detector | None = self.look("detector", self._detector, code=1)
        embedder: Embedder | None = self.look("embedder", self._embedder, code=1)
        sizes = [self.look(one.name, partial(self._camera, one, detector), code=1) for one in self._profile.cameras]
        if detector is not None:
            # Each size once; where no camera shows one, a usual one.
            known = list(dict.fromkeys(size for size in sizes if size is not None)) or [USUAL_SIZE]
            self.look("speed", partial(self._time_detector, detector, known), code=1)
            detector.close()
        if embedder is not None:
            self.look("speed", partial(self._time_embedder, embedder), code=1)
            embedder.close()
        return None if detector is None else detector.digest, None if embedder is None else embedder.digest

    def _detector(self) -> Detector:
        section = self._profile.detector
        detector: Detector = self._registry.get("detector", section.plugin).create(section.options)
        self.say(
            "detector",
            f"{section.plugin}, model {detector.digest[:SHOWN_DIGITS]}…, {_device(detector.device, section)}",
        )
        return detector

    def _embedder(self) -> Embedder:
        section = self._profile.embedder
        embedder: Embedder = self._registry.get("embedder", section.plugin).create(section.options)
        self.say(
            "embedder",
            f"{section.plugin}, model {embedder.digest[:SHOWN_DIGITS]}…, {_device(embedder.device, section)}, "
            f"{embedder.dimension} numbers a face",
        )
        return embedder

    def _time_detector(self, detector: Detector, sizes: Sequence[tuple[int, int]]) -> None:
        for size in sizes:
            text = f"{detector_ms(detector, size):.1f} ms a picture of {size[0]}x{size[1]}"
            self.say("speed", f"detector on {detector.device}: {text}")

    def _time_embedder(self, embedder: Embedder) -> None:
        batch = "a face" if embedder.batch_size == 1 else f"a batch of {embedder.batch_size} faces"
        self.say("speed", f"embedder on {embedder.device}: {embedder_ms(embedder):.1f} ms {batch}")

    def _camera(self, section: CameraSection, detector: Detector | None) -> tuple[int, int]:
        camera: Camera = self._registry.get("camera", section.plugin).create(section.options)
        reading = _first(camera)
        if reading is None:
            raise PassingError("opened, but no picture came")
        width, height = reading.picture.size
        smallest = ""
        if detector is not None:
            pixels = detector.smallest_face_px(width, height)
            smallest = f"; the smallest face that can be found: {pixels:.0f} px wide"
        self.say(section.name, f"{width}x{height}, {camera.pace}{smallest}")
        return width, height


def _device(used: str, section: StageSection | EmbedderSection) -> str:
    """Return on what a model runs, and what was asked for where its plugin asks."""
    asked = getattr(section.options, "device", None)
    return f"on {used}" if asked is None else f"on {used} (asked for: {asked})"


def _first(camera: Camera) -> Reading | None:
    try:
        camera.open()
        tries = (camera.read() for _ in range(FIRST_PICTURE_TRIES))
        return next((one for one in tries if one is not None), None)
    finally:
        camera.close()
