"""What can be set on the built-in sinks. Importing this module loads neither OpenCV nor rich nor httpx."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from msgspec import Meta, Struct

from lfr_kernel.api import fingerprint_of, recipient_of

__all__ = ["JsonlConfig", "PicturesConfig", "WebhookConfig"]


class JsonlConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Options of the sink `jsonl`."""

    path: Annotated[
        str, Meta(min_length=1, description="the file that gets one JSON object an alert; folders are made as needed")
    ]


class PicturesConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Options of the sink `pictures`."""

    folder: Annotated[
        str,
        Meta(
            min_length=1,
            description="where one PNG an alert goes; needs `details = true` and `evidence = true` for this sink",
        ),
    ]
    recipient: Annotated[
        str | None,
        Meta(
            title="64 hexadecimal digits",
            description="public key that each picture is sealed to before it is written, as `lfr-kernel recipient "
            "show` prints it: ALERT.png.sealed, which only `lfr-kernel recipient open` with the private key makes a "
            "picture again",
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.recipient is not None:
            recipient_of(self.recipient)

    @property
    def protection(self) -> str | None:
        """What protects the pictures; see `SinkPlugin.protects`."""
        return None if self.recipient is None else f"sealed to key {fingerprint_of(recipient_of(self.recipient))}"


class WebhookConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Options of the sink `webhook`. Prints no address and no token."""

    url: Annotated[
        str,
        Meta(
            min_length=1,
            description="where each alert is posted to as JSON: https://…; http:// only to this machine itself",
        ),
    ]
    token: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="bearer token that it is sent with; write ${env:NAME} and keep it out of the profile"),
    ] = None
    ca: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="PEM file of the authorities that may certify the server; those of the system if not given"),
    ] = None
    certificate: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="PEM file of a client certificate, to be known by; needs `key`"),
    ] = None
    key: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="PEM file of the private key of that certificate, not encrypted, readable by its owner only"),
    ] = None
    timeout_s: Annotated[
        float,
        Meta(ge=0.1, le=10.0, description="seconds that connecting, sending and the answer may each take"),
    ] = 3.0

    def __post_init__(self) -> None:
        parts = self._parts()
        if parts.username is not None or parts.password is not None:
            raise ValueError("url: expected an address without a name or password in it; use token")
        if parts.fragment:
            raise ValueError("url: expected an address without a # part: it would not be sent")
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            raise ValueError("url: expected https://…; http:// is for this machine itself (127.0.0.1, ::1, localhost)")
        if not (self.token or "").isascii() or not (self.token or "").isprintable() or " " in (self.token or ""):
            raise ValueError("token: expected printable ASCII without spaces")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: expected both or neither")
        if parts.scheme == "http" and (self.ca or self.certificate):
            raise ValueError("ca, certificate and key are for https://…")

    def __repr__(self) -> str:
        return f"WebhookConfig(timeout_s={self.timeout_s})"

    def _parts(self) -> SplitResult:
        expected = "url: expected an address such as https://example.org/alerts"
        try:
            parts = urlsplit(self.url)
            has_place = bool(parts.hostname) and parts.port != 0
        except ValueError:  # its text may quote the address
            raise ValueError(expected) from None
        if parts.scheme not in {"http", "https"} or not has_place or not self.url.isprintable() or " " in self.url:
            raise ValueError(expected)
        return parts

    @property
    def place(self) -> str:
        """Host and port, for messages: the rest of the address may be a secret."""
        return self._parts().netloc

    @property
    def is_encrypted(self) -> bool:
        """Whether it goes over TLS."""
        return self._parts().scheme == "https"

    @property
    def protection(self) -> str | None:
        """What protects what is sent; see `SinkPlugin.protects`."""
        return f"over TLS to {self.place}" if self.is_encrypted else None


def is_loopback(host: str) -> bool:
    """Return whether what is sent to a host cannot leave this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
