"""What the built-in cameras can be told. Imports nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Iterator  # noqa: TC003  (msgspec resolves annotations at run time)
from typing import Annotated, Final
from urllib.parse import parse_qsl, unquote

from msgspec import Meta, Struct

__all__ = ["DEVICE_FORMATS", "AvConfig", "ImagesConfig", "is_live", "mask_text", "mask_url"]

DEVICE_FORMATS: Final = frozenset(
    {
        "android_camera",
        "avfoundation",
        "bktr",
        "decklink",
        "dshow",
        "fbdev",
        "gdigrab",
        "iec61883",
        "kmsgrab",
        "libdc1394",
        "v4l2",
        "vfwcap",
        "video4linux2",
        "x11grab",
        "xcbgrab",
    }
)
"""FFmpeg's names for capture devices: https://ffmpeg.org/ffmpeg-devices.html."""


_USER_IN_URL: Final = re.compile(r"(?<=://)[^\s/'\"]*@")
_QUERY_IN_URL: Final = re.compile(r"(?<=://)([^\s?'\"]*\?)[^\s'\"]*")
_SHORTEST_SECRET: Final = 3
"""Shorter passwords would be blotted out of the middle of words."""


class AvConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A video file, a network stream or a capture device."""

    url: Annotated[
        str,
        Meta(
            min_length=1,
            description="a file, rtsp://, http:// and the like, or with `format` a device such as /dev/video0; "
            "a relative path starts at the working directory",
        ),
    ]
    format: Annotated[
        str | None,
        Meta(description="FFmpeg's name of the input format, needed for devices (v4l2, avfoundation, dshow)"),
    ] = None
    options: Annotated[
        dict[str, str],
        Meta(description="passed to FFmpeg as they are, for example { rtsp_transport = 'udp' }"),
    ] = {}
    loop: Annotated[bool, Meta(description="files: start again at the end")] = False
    realtime: Annotated[
        bool,
        Meta(description="files: play at their own speed, dropping what is late, instead of reading every frame"),
    ] = False
    timeout_s: Annotated[
        float,
        Meta(
            ge=0.1,
            le=120,
            description="network and devices: how long to wait for the connection, for the stream's description, "
            "and for each picture",
        ),
    ] = 10.0

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"AvConfig({fields})"

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:  # type: ignore[override]
        yield "url", mask_url(self.url)
        yield "format", self.format
        yield "options", dict.fromkeys(self.options, "***")
        yield "loop", self.loop
        yield "realtime", self.realtime
        yield "timeout_s", self.timeout_s


class ImagesConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Still pictures, shown one after the other."""

    path: Annotated[
        str,
        Meta(
            min_length=1,
            description="a picture, or a folder of them (jpg, png, webp, bmp, tif; by name)",
        ),
    ]
    seconds: Annotated[
        float,
        Meta(gt=0, le=86400, description="how far apart the pictures are on the time line"),
    ] = 1.0


def is_live(config: AvConfig) -> bool:
    """Say whether the source is a stream or a device, which cannot be read again, rather than a file."""
    scheme, separator, _ = config.url.partition("://")
    return config.format in DEVICE_FORMATS or (bool(separator) and scheme.lower() != "file")


def mask_url(url: str) -> str:
    """Return `url` without user, password and query, for messages.

    Everything up to the last `@` goes, since passwords hold unescaped `/`, `?` and `@` in practice.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    if "@" in rest:
        rest = "***@" + rest.rpartition("@")[2]
    address, question, _ = rest.partition("?")
    return f"{scheme}://{address}{'?***' if question else ''}"


def mask_text(text: str, url: str) -> str:
    """Return `text`, which FFmpeg wrote, without the secrets of `url` or of any other URL in it."""
    text = text.replace(url, mask_url(url))
    rest = url.partition("://")[2]
    user = rest.rpartition("@")[0]
    password, query = user.partition(":")[2], rest.rpartition("@")[2].partition("?")[2]
    secrets = {user, password, query, *(value for _, value in parse_qsl(query))}
    secrets |= {unquote(secret) for secret in secrets}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return _QUERY_IN_URL.sub(r"\1***", _USER_IN_URL.sub("***@", text))
