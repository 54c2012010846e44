"""An example of a plugin for lfr-kernel: a whole pipeline over a checkerboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfr_checkerboard.config import CheckerboardConfig, LoudestConfig
from lfr_kernel.api import (
    CameraPlugin,
    CommandPlugin,
    DetectorPlugin,
    EmbedderPlugin,
    SinkPlugin,
    hookimpl,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

    from lfr_kernel.api import AlertSink, Camera, Detector, Embedder, NoConfig, Plugin, SinkContext

__all__ = ["lfr_plugins"]

API = 1
"""The API version this was written for: a literal of one's own, so that a newer kernel can refuse it."""


def _camera(config: CheckerboardConfig) -> Camera:
    from lfr_checkerboard.camera import Checkerboard  # noqa: PLC0415  (when it is first needed)

    return Checkerboard(config)


def _detector(config: NoConfig) -> Detector:
    from lfr_checkerboard.faces import Middle  # noqa: PLC0415

    return Middle(config)


def _embedder(config: NoConfig) -> Embedder:
    from lfr_checkerboard.faces import Thumbnail  # noqa: PLC0415

    return Thumbnail(config)


def _sink(config: LoudestConfig, context: SinkContext) -> AlertSink:
    from lfr_checkerboard.loudest import Loudest  # noqa: PLC0415

    return Loudest(config, context)


def _hello() -> click.Command:
    from lfr_checkerboard.hello import hello  # noqa: PLC0415

    return hello


@hookimpl
def lfr_plugins() -> Sequence[Plugin]:
    """Declare what is here. Called at every start, so it imports nothing heavy."""
    return [
        CameraPlugin(
            name="checkerboard",
            api=API,
            summary="a checkerboard, for tests",
            config=CheckerboardConfig,
            create=_camera,
        ),
        DetectorPlugin(
            name="middle", api=API, summary="takes the middle of every picture for a face", create=_detector
        ),
        EmbedderPlugin(
            name="thumbnail", api=API, summary="64 numbers a face: an 8 x 8 picture of it", create=_embedder
        ),
        SinkPlugin(
            name="loudest",
            api=API,
            summary="a file that holds the alert of the highest similarity",
            config=LoudestConfig,
            create=_sink,
        ),
        CommandPlugin(name="hello", api=API, summary="say hello", create=_hello),
    ]
