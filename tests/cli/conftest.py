"""What the tests of the command line share: calling it in this process or another, and plugins made up on the spot."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from calling import Result

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator

EXTERNAL = Path(__file__).resolve().parent.parent / "external_plugin"
CALL = (sys.executable, "-c", "from lfr_kernel.cli import script; script()")
PATIENCE_S = 60


class Process:
    """The command line in a process of its own."""

    def __init__(self, *arguments: object, cwd: Path, path: list[Path], **environment: str) -> None:
        """Start it with `path` on its module search path."""
        self.popen = subprocess.Popen(  # noqa: S603  (our own command)
            [*CALL, *(str(one) for one in arguments)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.seen: list[str] = []
        """Lines of stderr that were read."""

    def wait_for(self, text: str) -> None:
        """Read stderr up to the line that holds `text`."""
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            self.seen.append(line)
            if text in line:
                return
        pytest.fail(f"it ended without saying {text!r}: {''.join(self.seen)}")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.popen.send_signal(number)

    def result(self) -> Result:
        """Wait for its end."""
        out, err = self.popen.communicate(timeout=PATIENCE_S)
        return Result(self.popen.returncode, out, "".join(self.seen) + err)


class Site:
    """A folder on the module search path into which distributions with plugins can be put, as if installed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.path = [folder]
        self._monkeypatch = monkeypatch
        monkeypatch.syspath_prepend(str(folder))

    def distribution(self, name: str, source: str, *, version: str = "1.2.3", entry: str | None = None) -> str:
        """Install a distribution of one module whose text is `source`; return its entry point's module."""
        module = name.replace("-", "_")
        (self.folder / f"{module}.py").write_text(source, encoding="utf-8")
        self.entry_point(name, version, entry or module)
        return module

    def entry_point(self, name: str, version: str, value: str) -> None:
        """Install nothing but the metadata of a distribution."""
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[lfr_kernel.plugins]\n{name} = {value}\n", encoding="utf-8")
        importlib.invalidate_caches()

    def checkerboard(self) -> None:
        """Install the external plugin from the tree."""
        self._monkeypatch.syspath_prepend(str(EXTERNAL))
        self.path.append(EXTERNAL)
        self.entry_point("lfr-checkerboard", "0.1.0", "lfr_checkerboard")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Return an empty site; what was imported from it is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    before = set(sys.modules)
    yield Site(folder, monkeypatch)
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and (Path(file).is_relative_to(folder) or Path(file).is_relative_to(EXTERNAL)):
            del sys.modules[name]


class Board(NamedTuple):
    """A profile whose every stage with a model is the external plugin's, and the folder that it lies in."""

    folder: Path
    profile: Path
    site: Site

    def write(self, text: str) -> Path:
        """Replace the profile."""
        self.profile.write_text(text, encoding="utf-8")
        return self.profile


BOARD_PROFILE = """
name = "board"
permit = "demo"

[[cameras]]
name = "front"
plugin = "checkerboard"
options = { frames = 25 }

[watchlist]
images = "${here}/watchlist"

[detector]
plugin = "middle"

[embedder]
plugin = "thumbnail"

[tracker]
options = { min_sharpness = 0 }

[[sinks]]
plugin = "loudest"
details = true
options = { path = "${here}/loudest.json" }
"""


@pytest.fixture
def board(tmp_path: Path, site: Site) -> Board:
    """Return a small, fast profile that raises exactly one alert, on the person called `board`."""
    cv2 = pytest.importorskip("cv2")
    site.checkerboard()
    camera = importlib.import_module("lfr_checkerboard.camera")
    config = importlib.import_module("lfr_checkerboard.config")
    watchlist = tmp_path / "watchlist"
    watchlist.mkdir()
    picture = camera.Checkerboard(config.CheckerboardConfig()).read().picture
    assert cv2.imwrite(str(watchlist / "board.png"), picture.rgb(*picture.size))
    found = Board(tmp_path, tmp_path / "board.toml", site)
    found.write(BOARD_PROFILE)
    return found


@pytest.fixture
def spawn(board: Board) -> Iterator[Callable[..., Process]]:
    """Start the command line in a process of its own, in the folder of the board; it is killed after the test."""
    started: list[Process] = []

    def start(*arguments: object, **environment: str) -> Process:
        started.append(Process(*arguments, cwd=board.folder, path=board.site.path, **environment))
        return started[-1]

    yield start
    for process in started:
        process.popen.kill()
        process.popen.communicate()
