"""A server for tests that takes alerts over HTTPS, and answers as it is told to."""

from __future__ import annotations

import ssl
from collections import deque
from contextlib import contextmanager
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["Post", "Receiver", "receiving"]

CHUNK = b"x" * 65536


class Post(NamedTuple):
    """What came."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    def parts(self) -> dict[str, tuple[str, bytes]]:
        """Return (content type, content) of each part of a form, by name."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        message = message_from_bytes(head + self.body)
        parts: Any = message.get_payload()
        return {
            str(part.get_param("name", header="content-disposition")): (
                part.get_content_type(),
                part.get_payload(decode=True),
            )
            for part in parts
        }


class Receiver:
    """What came, and what is answered: the next of `answers`, and `usual` once there are no more."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.answers: deque[int] = deque()
        self.usual: Callable[[Post], int] = lambda _: 201
        self.location: str | None = None
        self.is_endless = False
        self.sent = 0
        """Bytes of endless bodies that the other side took, or that were on their way."""
        self.port = 0
        self.scheme = "https"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/alerts"


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            post = Post(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            status = receiver.answers.popleft() if receiver.answers else receiver.usual(post)
            receiver.posts.append(post)
            self.send_response(status)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.send_header("Content-Length", str(1 << 40 if receiver.is_endless else 0))
            self.end_headers()
            while receiver.is_endless:
                try:
                    receiver.sent += self.wfile.write(CHUNK)
                except OSError:
                    self.close_connection = True
                    return

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name in the base class)
            """Say nothing."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what some tests are about."""


@contextmanager
def receiving(certificate: tuple[Path, Path] | None, *, clients: Path | None = None) -> Iterator[Receiver]:
    """Take posts in a thread.

    Args:
        certificate: PEM files of the server's certificate and key; None: plain HTTP.
        clients: PEM file of the authority that clients must be certified by; None: anybody may post.
    """
    receiver = Receiver()
    server = _Server(("127.0.0.1", 0), _handler(receiver))
    receiver.port = server.server_address[1]
    if certificate is None:
        receiver.scheme = "http"
    else:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*certificate)
        if clients is not None:
            tls.verify_mode = ssl.CERT_REQUIRED
            tls.load_verify_locations(clients)
        # The handshake belongs to the connection's own thread: one that fails holds nobody up.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
