"""The real pipeline on the frames of a folder: in the process of a test, or, run as a script, in one of its own.

As a script it prints the outcome of the one passage as soon as there is one, and `quiet` after five more seconds in
which nothing came. Then it lives on until its stdin ends. With `careless` it erases nothing, so that whoever searches
its memory can see that the search finds what is there.
"""

from __future__ import annotations

import ctypes
import math
import sys
import threading
import weakref
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import msgspec
import numpy as np
from msgspec import Struct

from lfr_kernel import session as session_module
from lfr_kernel.api import API_VERSION, CameraPlugin, Outcome, Reading, parse_profile
from lfr_kernel.memory import PR_SET_DUMPABLE
from lfr_kernel.messages import Biometric
from lfr_kernel.plugins import Installed, Registry
from lfr_kernel.session import Listener, Session
from lfr_kernel.stages import idle
from lfr_plugins.cameras.picture import RgbPicture

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lfr_kernel.api import Alert, Pace

QUIET_S = 5.0
M_MMAP_THRESHOLD = -3
LET_GO_S = 0.5


class FramesConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the frames are: uint8 [H, W, 3] RGB, named by their position in ms."""

    folder: str


class QuietCamera:
    """A live camera that shows each frame once, and then nothing any more.

    It shows the next one when nobody holds the one before, so that none is dropped and every run sees the same.
    """

    pace: Pace = "live"

    def __init__(self, config: FramesConfig) -> None:
        self._left = deque(sorted(Path(config.folder).glob("*.npy"), key=lambda one: int(one.stem)))
        self._let_go = threading.Event()
        self._let_go.set()
        self._never = threading.Event()

    def open(self) -> None:
        """Do nothing."""

    def read(self) -> Reading | None:
        """Return the next frame once the last one is gone."""
        if not self._left:
            self._never.wait(LET_GO_S)
            return None
        if not self._let_go.wait(LET_GO_S):
            return None
        path = self._left.popleft()
        self._let_go.clear()
        picture = RgbPicture(np.load(path))
        weakref.finalize(picture, self._let_go.set)
        return Reading(picture=picture, position_ns=int(path.stem) * 1_000_000)

    def close(self) -> None:
        """Do nothing."""


async def play(frames: Path, listed: Path, ended: Callable[[Outcome], Awaitable[None]]) -> Outcome:
    """Run the pipeline until the first passage has its outcome and `ended`, called with it, has returned."""
    outcomes: list[Outcome] = []
    settled = anyio.Event()

    def fact(what: Alert | Outcome) -> None:
        if isinstance(what, Outcome):
            outcomes.append(what)
            settled.set()

    camera = CameraPlugin(name="frames", api=API_VERSION, config=FramesConfig, create=QuietCamera)
    registry = Registry([*Registry.discover(), Installed(plugin=camera, distribution="the tests", version="0")])
    data: dict[str, Any] = {
        "name": "outside",
        "permit": "development",
        "cameras": [{"name": "door", "plugin": "frames", "options": {"folder": str(frames)}}],
        "watchlist": {"images": str(listed)},
        "runtime": {"compute_threads": 2},
    }
    profile, _ = parse_profile(data, registry, source="outside", here=frames)
    session = Session(profile, registry, listener=Listener(fact=fact))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.run)
        await settled.wait()
        await ended(outcomes[0])
        session.stop("seen")
    return outcomes[0]


def erase_nothing() -> None:
    """Turn off whatever overwrites anything: owners let go only, freed memory stays as it is, and so do buffers.

    What owners let go of is given to nobody else, or it would depend on the load of the machine whether it is found.
    """
    left: list[object] = []

    def let_go(self: Biometric) -> None:
        if self._array is not None:
            left.append(self._array)
        self._array = None

    Biometric.erase = let_go  # type: ignore[method-assign]
    session_module.harden = lambda: ()  # type: ignore[attr-defined]
    idle.IDLE_S = math.inf  # type: ignore[misc]


async def _announce(outcome: Outcome) -> None:
    _say(msgspec.json.encode(outcome).decode())
    await anyio.sleep(QUIET_S)
    if sys.platform == "linux":
        # Else nobody but root could look.
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    _say("quiet")
    await anyio.to_thread.run_sync(sys.stdin.read)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(frames: str, listed: str, *how: str) -> None:
    """Run as a script."""
    if sys.platform == "linux":
        # Pictures come and go outside of the heap, lest they overwrite by chance what was freed there.
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 18)
    if "careless" in how:
        erase_nothing()
    anyio.run(play, Path(frames), Path(listed), _announce)


if __name__ == "__main__":
    main(*sys.argv[1:])
