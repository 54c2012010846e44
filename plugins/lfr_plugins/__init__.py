"""The built-in plugins, registered through the same entry point as anybody's.

Only light config modules are imported here; each `create` imports its plugin when it is first needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfr_kernel.api import (
    API_VERSION,
    CameraPlugin,
    DetectorPlugin,
    EmbedderPlugin,
    IndexPlugin,
    RetentionPlugin,
    SinkPlugin,
    TrackerPlugin,
    hookimpl,
)
from lfr_plugins.cameras.config import AvConfig, ImagesConfig
from lfr_plugins.detectors.config import RetinaFaceConfig
from lfr_plugins.retention.config import DurationsConfig
from lfr_plugins.trackers.config import PassageConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfr_kernel.api import (
        Camera,
        Detector,
        Embedder,
        Index,
        Plugin,
        Retention,
        Tracker,
    )

__all__ = ["lfr_plugins"]


def _av(config: AvConfig) -> Camera:
    from lfr_plugins.cameras.av_camera import AvCamera  # noqa: PLC0415

    return AvCamera(config)


def _images(config: ImagesConfig) -> Camera:
    from lfr_plugins.cameras.images import ImagesCamera  # noqa: PLC0415

    return ImagesCamera(config)


def _retinaface(config: RetinaFaceConfig) -> Detector:
    from lfr_plugins.detectors.retinaface import RetinaFace  # noqa: PLC0415

    return RetinaFace(config)


def _passage(config: PassageConfig) -> Tracker:
    from lfr_plugins.trackers.passage import PassageTracker  # noqa: PLC0415

    return PassageTracker(config)


def _mobilefacenet(config: Any) -> Embedder:
    from lfr_plugins.embedders.mobilefacenet import MobileFaceNet  # noqa: PLC0415

    return MobileFaceNet(config)


def _usearch(config: Any) -> Index:
    from lfr_plugins.indexes.usearch_index import UsearchIndex  # noqa: PLC0415

    return UsearchIndex(config)


def _durations(config: DurationsConfig) -> Retention:
    from lfr_plugins.retention.durations import Durations  # noqa: PLC0415

    return Durations(config)


@hookimpl
def lfr_plugins() -> Sequence[Plugin]:
    """Declare the built-ins."""
    return [
        CameraPlugin(
            name="av",
            api=API_VERSION,
            summary="video files, RTSP and HTTP streams, devices (FFmpeg)",
            config=AvConfig,
            create=_av,
        ),
        CameraPlugin(
            name="images",
            api=API_VERSION,
            summary="still photographs: a file or a folder",
            config=ImagesConfig,
            create=_images,
        ),
        DetectorPlugin(
            name="retinaface",
            api=API_VERSION,
            summary="RetinaFace with a MobileNet 0.25 backbone; weights bundled",
            config=RetinaFaceConfig,
            create=_retinaface,
        ),
        TrackerPlugin(
            name="passage",
            api=API_VERSION,
            summary="follows people by motion and face size; chooses the faces worth embedding",
            config=PassageConfig,
            create=_passage,
        ),
        EmbedderPlugin(
            name="mobilefacenet",
            api=API_VERSION,
            summary="MobileFaceNet, 192 numbers a face; weights bundled",
            create=_mobilefacenet,
        ),
        IndexPlugin(
            name="usearch",
            api=API_VERSION,
            summary="exact cosine search over a matrix that can be erased row by row",
            create=_usearch,
        ),
        RetentionPlugin(
            name="durations",
            api=API_VERSION,
            summary="fixed durations by class of record, within the kernel's ceilings",
            config=DurationsConfig,
            create=_durations,
        ),
    ]
