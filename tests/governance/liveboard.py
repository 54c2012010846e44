"""A live camera, as a plugin: the external plugin's checkerboard, shown a few times and then not any more."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from lfr_checkerboard.camera import Checkerboard
from lfr_checkerboard.config import CheckerboardConfig

from lfr_kernel.api import API_VERSION, CameraPlugin, hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfr_kernel.api import NoConfig, Pace, Plugin, Reading

FRAMES = 5
FRAME_S = 0.01


class LiveBoard:
    """Shows the board five times and then nothing: as long as it runs, the same happens in every run."""

    pace: Pace = "live"

    def __init__(self, config: NoConfig) -> None:
        del config
        self._board = Checkerboard(CheckerboardConfig(frames=0))
        self._left = FRAMES
        self._never = threading.Event()

    def open(self) -> None:
        self._board.open()

    def read(self) -> Reading | None:
        self._never.wait(FRAME_S)
        if not self._left:
            return None
        self._left -= 1
        return self._board.read()

    def close(self) -> None:
        self._board.close()


@hookimpl
def lfr_plugins() -> Sequence[Plugin]:
    return [
        CameraPlugin(name="liveboard", api=API_VERSION, summary="a live checkerboard, for tests", create=LiveBoard),
    ]
