"""The sink `webhook`: alerts to a server, as JSON over HTTPS, with their pictures where the profile says so."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from lfr_kernel.api import LfrError, PassingError, PermanentError
from lfr_plugins.sinks.wording import fields_of

if TYPE_CHECKING:
    from lfr_kernel.api import Evidence, Notice, SinkContext
    from lfr_plugins.sinks.config import WebhookConfig

__all__ = ["KNOWN_ALREADY", "WebhookSink"]

KNOWN_ALREADY = 409
"""What a server answers that has this alert."""
_REDIRECTS = range(300, 400)
_REFUSALS = range(400, 500)
_LATER = frozenset({408, 425, 429})
"""Refusals that pass: too slow, too early, too many (RFC 9110, 8470, 6585)."""
_SETTINGS = frozenset({401, 403, 404})
"""Refusals of whoever sends, or of the address, and not of the alert: they pass once somebody has set it right."""


class WebhookSink:
    """Posts each notice to one address. Keeps nothing; a server tells a notice it has by its `Idempotency-Key`.

    Each is sent on a connection of its own, so that nothing depends on what a server left of the one before. Of an
    answer the status counts; its body is not read. No redirect is followed, and no proxy of the environment is used:
    what leaves goes where the profile says.
    """

    def __init__(self, config: WebhookConfig, context: SinkContext) -> None:
        """Read the certificates; nothing is sent yet.

        Raises:
            PermanentError: the address cannot be one, or one of the files cannot be read or is something else.
        """
        for name in ("httpx", "httpcore"):
            # Both log what was sent where, and an address may hold a secret.
            logging.getLogger(name).setLevel(logging.WARNING)
        self._place = config.place
        self._context = context
        try:
            self._url = httpx.URL(config.url)
        except httpx.InvalidURL:  # its text may quote the address
            raise PermanentError(f"{self._place}: the rest of this address cannot be one; see url") from None
        self._bearer = {} if config.token is None else {"Authorization": f"Bearer {config.token}"}
        self._client = httpx.AsyncClient(
            verify=_tls(config),
            timeout=config.timeout_s,
            limits=httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )

    async def deliver(self, notice: Notice) -> None:
        """Post one notice; return once the server has it: any 2xx says so, and 409 that it has it already.

        Pictures go with it as parts `probe` and `listed` of a form, beside `notice`; where they have been erased
        meanwhile the notice goes alone.

        Raises:
            PassingError: the server is away, too slow, busy or failing, its certificate does not hold, or it does not
                know the sender or the address.
            PermanentError: it refuses this alert, or sends it elsewhere.
        """
        headers = {"Idempotency-Key": notice.id, **self._bearer}
        body = msgspec.json.encode(fields_of(notice))
        content: dict[str, Any] = {"content": body}
        if pictures := await self._pictures(notice):
            parts = {name: (f"{name}.png", png, "image/png") for name, png in pictures.items()}
            content = {"files": {"notice": ("notice.json", body, "application/json"), **parts}}
        else:
            headers["Content-Type"] = "application/json"
        try:
            async with self._client.stream("POST", self._url, headers=headers, **content) as answer:
                error = self._refusal(answer.status_code)
        except httpx.TimeoutException as timeout:
            why = f"{self._place} did not answer in time ({type(timeout).__name__}); it is tried again"
            raise PassingError(why) from None
        except (httpx.HTTPError, OSError) as failure:  # errors of TLS after the handshake come as they are
            # Not as it is, nor as a cause: it may quote the address, or what the server said.
            raise PassingError(f"{self._place} cannot be reached: {_reason(failure)}; it is tried again") from None
        if error is not None:
            raise error

    async def expire(self, before_ns: int) -> int:
        """Nothing is kept here: what the server has is the server's to delete."""
        del before_ns
        return 0

    async def close(self) -> None:
        """Close the client; more than once does no harm."""
        await self._client.aclose()

    async def _pictures(self, notice: Notice) -> dict[str, bytes]:
        """Return the pictures of an alert as PNG, where this sink may see them and they are there."""
        pictures: dict[str, bytes] = {}
        if self._context.pictures and notice.alert is not None:
            try:
                evidence = self._context.evidence(notice.alert.evidence)
            except KeyError:
                return {}  # erased already: that there is an alert is still worth knowing
            await self._context.run_blocking(lambda: pictures.update(_encoded(evidence)))
        return pictures

    def _refusal(self, status: int) -> LfrError | None:
        """Return what a status means: None that the server has the alert."""
        if httpx.codes.is_success(status) or status == KNOWN_ALREADY:
            return None
        if status in _REDIRECTS:
            return PermanentError(
                f"{self._place} answers {status} and points elsewhere, which is not followed: put the address that it "
                "points to into the profile"
            )
        if status in _SETTINGS:
            return PassingError(
                f"{self._place} answers {status}: it takes nothing from this sender at this address, so check url, "
                "token and certificate in the profile, and what the server lets in; it is tried again"
            )
        if status in _REFUSALS and status not in _LATER:
            return PermanentError(f"{self._place} refuses the alert with {status}; see its own log for why")
        return PassingError(f"{self._place} answers {status}; it is tried again")


def _tls(config: WebhookConfig) -> ssl.SSLContext:
    """Return how to speak TLS: the server's name and certificate are always verified. Raises PermanentError."""
    # Not ssl.create_default_context, which writes session keys to wherever SSLKEYLOGFILE points.
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if config.ca is None:
            tls.load_default_certs()
        else:
            tls.load_verify_locations(cafile=config.ca)
    except (OSError, ValueError) as error:
        raise PermanentError(
            f"{config.ca}: expected a PEM file of certificate authorities, got: {_os_reason(error)}"
        ) from error
    if config.certificate is not None:
        try:
            # An encrypted key is refused: nobody is there to type its password.
            tls.load_cert_chain(config.certificate, config.key, password=lambda: "")
        except (OSError, ValueError) as error:
            raise PermanentError(
                f"{config.certificate} with key {config.key}: expected PEM files of a certificate and its key, not "
                f"encrypted, got: {_os_reason(error)}"
            ) from error
    return tls


def _os_reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _reason(failure: BaseException) -> str:
    """Return why a server cannot be reached: what TLS or the system say, else the kind of failure."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate does not hold: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return f"TLS: {cause.reason.replace('_', ' ').lower()}"
        if isinstance(cause, socket.gaierror):
            return "its name cannot be looked up"
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
        cause = cause.__cause__ or cause.__context__
    return type(failure).__name__


def _encoded(evidence: Evidence) -> dict[str, bytes]:
    """Return both pictures as PNG. Raises PermanentError."""
    import cv2  # noqa: PLC0415  (only where pictures leave)

    encoded = {}
    for name, picture in (("probe", evidence.probe), ("listed", evidence.listed)):
        is_done, png = cv2.imencode(".png", picture[..., ::-1])
        if not is_done:
            raise PermanentError(f"the picture {name} cannot be encoded as PNG")
        encoded[name] = png.tobytes()
    return encoded
