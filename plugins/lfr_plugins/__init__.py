"""The built-in plugins, registered through the same entry point as anybody's.

Only light config modules are imported here; each `create` imports its plugin when it is first needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfr_kernel.api import (
    API_VERSION,
    AnchorPlugin,
    CameraPlugin,
    CommandPlugin,
    DetectorPlugin,
    EmbedderPlugin,
    IndexPlugin,
    RetentionPlugin,
    SinkPlugin,
    TrackerPlugin,
    hookimpl,
)
from lfr_plugins.anchors.config import FileAnchorConfig, PrintAnchorConfig
from lfr_plugins.cameras.config import AvConfig, ImagesConfig
from lfr_plugins.detectors.config import OnnxDetectorConfig
from lfr_plugins.embedders.config import OnnxEmbedderConfig
from lfr_plugins.retention.config import DurationsConfig
from lfr_plugins.sinks.config import JsonlConfig, PicturesConfig, WebhookConfig
from lfr_plugins.trackers.config import PassageConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

    from lfr_kernel.api import (
        AlertSink,
        AnchorSink,
        Camera,
        Detector,
        Embedder,
        Index,
        Plugin,
        Retention,
        SinkContext,
        StillCodec,
        Tracker,
    )

__all__ = ["lfr_plugins"]


def _av(config: AvConfig) -> Camera:
    from lfr_plugins.cameras.av_camera import AvCamera  # noqa: PLC0415

    return AvCamera(config)


def _images(config: ImagesConfig) -> Camera:
    from lfr_plugins.cameras.images import ImagesCamera  # noqa: PLC0415

    return ImagesCamera(config)


def _stills() -> StillCodec:
    from lfr_plugins.cameras.stills import JpegStills  # noqa: PLC0415

    return JpegStills()


def _onnx_detector(config: OnnxDetectorConfig) -> Detector:
    from lfr_plugins.detectors.onnx_detector import OnnxDetector  # noqa: PLC0415

    return OnnxDetector(config)


def _passage(config: PassageConfig) -> Tracker:
    from lfr_plugins.trackers.passage import PassageTracker  # noqa: PLC0415

    return PassageTracker(config)


def _onnx_embedder(config: OnnxEmbedderConfig) -> Embedder:
    from lfr_plugins.embedders.onnx_embedder import OnnxEmbedder  # noqa: PLC0415

    return OnnxEmbedder(config)


def _usearch(config: Any) -> Index:
    from lfr_plugins.indexes.usearch_index import UsearchIndex  # noqa: PLC0415

    return UsearchIndex(config)


def _durations(config: DurationsConfig) -> Retention:
    from lfr_plugins.retention.durations import Durations  # noqa: PLC0415

    return Durations(config)


def _bench() -> click.Command:
    from lfr_plugins.lab.bench import bench  # noqa: PLC0415

    return bench


def _console(config: Any, context: SinkContext) -> AlertSink:
    from lfr_plugins.sinks.console import ConsoleSink  # noqa: PLC0415

    return ConsoleSink(config, context)


def _jsonl(config: JsonlConfig, context: SinkContext) -> AlertSink:
    from lfr_plugins.sinks.jsonl import JsonlSink  # noqa: PLC0415

    return JsonlSink(config, context)


def _pictures(config: PicturesConfig, context: SinkContext) -> AlertSink:
    from lfr_plugins.sinks.pictures import PicturesSink  # noqa: PLC0415

    return PicturesSink(config, context)


def _webhook(config: WebhookConfig, context: SinkContext) -> AlertSink:
    from lfr_plugins.sinks.webhook import WebhookSink  # noqa: PLC0415

    return WebhookSink(config, context)


def _protection(config: PicturesConfig | WebhookConfig) -> str | None:
    return config.protection


def _file_anchors(config: FileAnchorConfig) -> AnchorSink:
    from lfr_plugins.anchors.file import FileAnchors  # noqa: PLC0415

    return FileAnchors(config)


def _printed_anchors(config: PrintAnchorConfig) -> AnchorSink:
    from lfr_plugins.anchors.printed import PrintedAnchors  # noqa: PLC0415

    return PrintedAnchors(config)


def _demo() -> click.Command:
    from lfr_plugins.lab.demo import demo  # noqa: PLC0415

    return demo


def _evaluate() -> click.Command:
    from lfr_plugins.lab.evaluation.command import evaluate  # noqa: PLC0415

    return evaluate


def _why() -> click.Command:
    from lfr_plugins.lab.why import why  # noqa: PLC0415

    return why


def _models() -> click.Command:
    from lfr_plugins.models.command import models  # noqa: PLC0415

    return models


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
            stills=_stills,
        ),
        DetectorPlugin(
            name="onnx",
            api=API_VERSION,
            summary="RetinaFace, SCRFD or YuNet, as a model's card has it; one is bundled",
            config=OnnxDetectorConfig,
            create=_onnx_detector,
        ),
        TrackerPlugin(
            name="passage",
            api=API_VERSION,
            summary="follows people by motion and face size; chooses the faces worth embedding",
            config=PassageConfig,
            create=_passage,
        ),
        EmbedderPlugin(
            name="onnx",
            api=API_VERSION,
            summary="templates in the style of ArcFace, as a model's card has it; one is bundled",
            config=OnnxEmbedderConfig,
            create=_onnx_embedder,
        ),
        IndexPlugin(
            name="usearch",
            api=API_VERSION,
            summary="exact cosine search over a matrix that can be erased row by row",
            create=_usearch,
        ),
        SinkPlugin(
            name="console",
            api=API_VERSION,
            summary="alerts as they come, on stderr, for people",
            create=_console,
        ),
        SinkPlugin(
            name="jsonl",
            api=API_VERSION,
            summary="alerts in a file, one JSON object a line, each written once",
            config=JsonlConfig,
            create=_jsonl,
        ),
        SinkPlugin(
            name="pictures",
            api=API_VERSION,
            summary="a PNG of each alert: probe and listed photograph side by side (needs evidence = true)",
            config=PicturesConfig,
            create=_pictures,
            protects=_protection,
        ),
        SinkPlugin(
            name="webhook",
            api=API_VERSION,
            summary="alerts posted to a server as JSON over HTTPS; with evidence = true their pictures, too",
            config=WebhookConfig,
            create=_webhook,
            protects=_protection,
        ),
        AnchorPlugin(
            name="file",
            api=API_VERSION,
            summary="anchors of the audit in a file on another medium, one a line",
            config=FileAnchorConfig,
            create=_file_anchors,
        ),
        AnchorPlugin(
            name="print",
            api=API_VERSION,
            summary="anchors of the audit on stderr, as a line and a QR code",
            config=PrintAnchorConfig,
            create=_printed_anchors,
        ),
        RetentionPlugin(
            name="durations",
            api=API_VERSION,
            summary="fixed durations by class of record, within the kernel's ceilings",
            config=DurationsConfig,
            create=_durations,
        ),
        CommandPlugin(
            name="demo",
            api=API_VERSION,
            summary="render a walk-past, list one man, and see him recognised",
            create=_demo,
        ),
        CommandPlugin(
            name="bench",
            api=API_VERSION,
            summary="measure speed, delay and memory over a video",
            create=_bench,
        ),
        CommandPlugin(
            name="evaluate",
            api=API_VERSION,
            summary="measure recognition by people, and recommend a threshold",
            create=_evaluate,
        ),
        CommandPlugin(
            name="why",
            api=API_VERSION,
            summary="explain passage by passage where people are lost in a clip",
            create=_why,
        ),
        CommandPlugin(
            name="models",
            api=API_VERSION,
            summary="list, show, add and verify the models that stages can use",
            create=_models,
        ),
    ]
