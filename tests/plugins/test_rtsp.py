"""A camera against a real RTSP server, which needs GStreamer for the system's Python."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lfr_kernel.api import PassingError
from lfr_plugins.cameras.av_camera import AvCamera
from lfr_plugins.cameras.config import AvConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[[int], AbstractContextManager[subprocess.Popen[str]]]

PYTHON = Path("/usr/bin/python3")
NEEDED = "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0')"
TIMEOUT_S = 2.0
MARGIN_S = 3.0
"""FFmpeg may wait twice: for the packet, and for the answer to its farewell."""


@contextmanager
def serving(script: Path, clip: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    command = [str(PYTHON), str(script), str(clip), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603  (our own script)
        try:
            assert server.stdout is not None
            assert server.stdout.readline().strip() == "ready"
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="module")
def start(shared: Callable[[str], Path]) -> Start:
    """Return a function that serves the stage clip at a port, as a context."""
    script, clip = shared("tools/rtsp_server.py"), shared("media/white-house-stage-360p.mp4")
    if not PYTHON.exists():
        pytest.skip("needs the system's Python at /usr/bin/python3")
    if subprocess.run([str(PYTHON), "-c", NEEDED], capture_output=True, check=False).returncode:  # noqa: S603  (our own code)
        pytest.skip(f"needs GStreamer's RTSP server and its Python bindings; see {script.name}")
    return lambda port: serving(script, clip, port)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def camera_at(port: int, path: str = "cam") -> AvCamera:
    return AvCamera(AvConfig(url=f"rtsp://guard:s3cret@127.0.0.1:{port}/{path}", timeout_s=TIMEOUT_S))


def read_some(camera: AvCamera, count: int) -> list[int]:
    positions: list[int] = []
    while len(positions) < count:
        reading = camera.read()
        if reading is not None:
            assert reading.picture.size == (640, 360)
            assert reading.picture.rgb(64, 36).any()
            positions.append(reading.position_ns)
    return positions


def failure_of(camera: AvCamera) -> str:
    """Read until it fails for the time being; return what it says."""
    with pytest.raises(PassingError) as caught:
        read_some(camera, sys.maxsize)
    assert "s3cret" not in f"{caught.value} {caught.value!r}"
    assert caught.value.__context__ is None
    return str(caught.value)


def test_pictures_come_over_tcp_in_order(start: Start, port: int) -> None:
    camera = camera_at(port)
    assert camera.pace == "live"
    with start(port):
        camera.open()
        positions = read_some(camera, 60)
        camera.close()
    assert positions == sorted(set(positions))


def test_a_server_that_dies_is_noticed_and_its_successor_is_read(start: Start, port: int) -> None:
    camera = camera_at(port)
    with start(port) as server:
        camera.open()
        read_some(camera, 5)
        server.kill()
        began = time.monotonic()
        error = failure_of(camera)
    assert time.monotonic() - began < TIMEOUT_S + MARGIN_S
    assert f"camera rtsp://***@127.0.0.1:{port}/cam" in error
    camera.close()
    with pytest.raises(PassingError, match="Connection refused"):
        camera.open()
    camera.close()
    with start(port):
        camera.open()
        assert len(read_some(camera, 5)) == 5
        camera.close()


def test_a_server_that_falls_silent_is_given_up_in_time(start: Start, port: int) -> None:
    camera = camera_at(port)
    with start(port) as server:
        camera.open()
        read_some(camera, 5)
        server.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        error = failure_of(camera)
        assert time.monotonic() - began < TIMEOUT_S + MARGIN_S
        assert "no answer within 2 s" in error
        began = time.monotonic()
        camera.close()
        with pytest.raises(PassingError, match="no answer within 2 s"):
            camera.open()
        assert time.monotonic() - began < 2 * TIMEOUT_S + MARGIN_S
        camera.close()


def test_a_refused_connection_is_passing_and_tells_no_password(port: int) -> None:
    with pytest.raises(
        PassingError, match=r"rtsp://\*\*\*@127\.0\.0\.1:\d+/cam cannot be read: Connection refused"
    ) as caught:
        camera_at(port).open()
    assert "s3cret" not in f"{caught.value} {caught.value!r}"


def test_a_path_that_the_server_does_not_know_is_passing(start: Start, port: int) -> None:
    with start(port), pytest.raises(PassingError, match="404"):
        camera_at(port, "elsewhere").open()
