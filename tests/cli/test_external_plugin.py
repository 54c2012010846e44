"""A plugin from outside, from source to alert: wheels are built, installed into a fresh environment, and run there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
EXTERNAL = ROOT / "tests" / "external_plugin"
PATIENCE_S = 300


def _call(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that sees nothing of this process's module search path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_", "COV_"))}
    return subprocess.run(  # noqa: S603  (our own commands)
        [str(one) for one in command],
        cwd=cwd,
        env={**kept, "PYTHONNOUSERSITE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=PATIENCE_S,
    )


def _done(*command: object, cwd: Path) -> str:
    ran = _call(*command, cwd=cwd)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def _wheel(project: Path, into: Path) -> Path:
    """Build a wheel without a network: with the hatchling that is installed here."""
    before = set(into.glob("*.whl"))
    _done(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", into, cwd=project)
    (wheel,) = set(into.glob("*.whl")) - before
    return wheel


class Environment:
    """A fresh virtual environment without a network, into which wheels can be put."""

    def __init__(self, folder: Path) -> None:
        _done(sys.executable, "-m", "venv", folder, cwd=folder.parent)
        scripts = "Scripts" if os.name == "nt" else "bin"
        self.python = folder / scripts / "python"
        self.lfr = folder / scripts / "lfr-kernel"
        self.site = Path(
            _done(self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
        )
        self.folder = folder

    def install(self, *wheels: Path) -> None:
        """Install wheels and nothing else."""
        options = ("--no-index", "--no-deps", "--force-reinstall", "--quiet")
        _done(self.python, "-m", "pip", "install", *options, *wheels, cwd=self.folder)

    def lend_dependencies(self) -> None:
        """Let it find numpy and the like where this process finds them, after everything of its own.

        A path in a .pth file is searched for modules; the .pth files in it are not read, so that an editable
        lfr-kernel there stays out of sight.
        """
        folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        (self.site / "lent.pth").write_text("\n".join(sorted(folders)) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("fresh")
    wheels = folder / "wheels"
    wheels.mkdir()
    fresh = Environment(folder / "environment")
    fresh.install(_wheel(ROOT, wheels), _wheel(_copy(folder / "plugin"), wheels))
    fresh.lend_dependencies()
    return fresh


def _copy(target: Path, edit: Callable[[str], str] = lambda text: text) -> Path:
    """Copy the plugin's source, with `edit` done to its declaration."""
    shutil.copytree(EXTERNAL, target, ignore=shutil.ignore_patterns("__pycache__"))
    declaration = target / "lfr_checkerboard" / "__init__.py"
    declaration.write_text(edit(declaration.read_text(encoding="utf-8")), encoding="utf-8")
    return target


PROFILE = """
name = "board"
permit = "demo"
[[cameras]]
name = "front"
plugin = "checkerboard"
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
PHOTOGRAPH = """
import sys
import cv2
from lfr_checkerboard.camera import Checkerboard
from lfr_checkerboard.config import CheckerboardConfig

picture = Checkerboard(CheckerboardConfig()).read().picture
assert cv2.imwrite(sys.argv[1], picture.rgb(*picture.size))
"""


@pytest.fixture
def profile(environment: Environment, tmp_path: Path) -> Path:
    pytest.importorskip("cv2")
    (tmp_path / "watchlist").mkdir()
    _done(environment.python, "-c", PHOTOGRAPH, tmp_path / "watchlist" / "board.png", cwd=tmp_path)
    path = tmp_path / "board.toml"
    path.write_text(PROFILE, encoding="utf-8")
    return path


def test_both_come_from_their_wheels(environment: Environment, tmp_path: Path) -> None:
    names = "lfr_kernel, lfr_plugins, lfr_checkerboard"
    text = f"import {names}; print(*(one.__file__ for one in ({names})))"
    for file in _done(environment.python, "-c", text, cwd=tmp_path).split():
        assert Path(file).is_relative_to(environment.site)


def test_it_runs_in_place_of_the_built_in_stages(environment: Environment, profile: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ran = _call(environment.lfr, "--profile", profile, "--json", cwd=elsewhere)
    assert ran.returncode == 0, ran.stderr
    summary = json.loads(ran.stdout)
    assert summary["ended"] == "input_ended"
    assert summary["frames"] == {"read": 25, "processed": 25, "dropped": {}}
    assert summary["passages"] == {"seen": 1, "alerted": 1, "not_matched": 0, "lost": {}, "open": 0}
    (alert,) = summary["alerts"]
    assert (alert["person"], alert["camera"]) == ("board", "front")
    assert json.loads((tmp_path / "loudest.json").read_text(encoding="utf-8"))["id"] == alert["id"]


def test_it_is_listed_and_its_command_is_there(environment: Environment, tmp_path: Path) -> None:
    found = json.loads(_done(environment.lfr, "plugins", "--json", cwd=tmp_path))
    origins = {(one["stage"], one["name"]): (one["distribution"], one["version"]) for one in found}
    assert origins["detector", "middle"] == ("lfr-checkerboard", "0.1.0")
    assert origins["detector", "onnx"][0] == "lfr-kernel"
    assert _done(environment.lfr, "hello", cwd=tmp_path) == "hello, world, from lfr-checkerboard\n"


def test_a_mistake_in_its_options_names_it(environment: Environment, profile: Path) -> None:
    text = profile.read_text(encoding="utf-8").replace(
        'plugin = "checkerboard"', 'plugin = "checkerboard"\noptions.frame = 1'
    )
    profile.write_text(text, encoding="utf-8")
    ran = _call(environment.lfr, "check", profile, cwd=profile.parent)
    assert ran.returncode == 2
    assert (
        "cameras[0].options.frame: unknown key, expected one of: frames, square_px, realtime (did you mean 'frames'?) "
        "(camera plugin 'checkerboard' of lfr-checkerboard 0.1.0)" in ran.stderr
    )


def test_one_written_for_another_api_version_is_refused(
    environment: Environment, profile: Path, tmp_path: Path
) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    today = _wheel(_copy(tmp_path / "today"), wheels)
    environment.install(
        _wheel(_copy(tmp_path / "tomorrow", lambda text: text.replace("API = 1", "API = 99")), tmp_path)
    )
    try:
        ran = _call(environment.lfr, "--profile", profile, "--json", cwd=tmp_path)
    finally:
        environment.install(today)
    assert ran.returncode == 2
    assert not ran.stdout
    assert ran.stderr.startswith(
        "error: camera plugin 'checkerboard' of lfr-checkerboard 0.1.0 was written for API version 99; "
        "this kernel has 1: install a version of it that fits\n"
    )
    assert "Traceback" not in ran.stderr
