"""The built-in cameras: what they read, and what they say when they cannot."""

from __future__ import annotations

import gc
import http.server
import io
import os
import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import msgspec
import numpy as np
import pytest
from av.video.stream import VideoStream

from lfr_kernel.api import EndOfInput, LfrError, PassingError, PermanentError, Reading
from lfr_plugins.cameras import av_camera
from lfr_plugins.cameras.av_camera import AvCamera
from lfr_plugins.cameras.config import AvConfig, ImagesConfig, mask_text, mask_url
from lfr_plugins.cameras.images import ImagesCamera, read_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

RATE = 25
SIZE = (64, 48)
IS_ROOT = hasattr(os, "getuid") and os.getuid() == 0
NOBODY = 65534


def grey_frames(count: int) -> Iterator[av.VideoFrame]:
    for number in range(count):
        pixels = np.full((SIZE[1], SIZE[0], 3), 20 + number * 3 % 200, np.uint8)
        pixels[number % SIZE[1]] = 255
        frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
        frame.pts = number
        yield frame


def write_video(
    target: Path | io.BytesIO,
    count: int = 30,
    *,
    container: str = "mp4",
    rotation: int = 0,
    options: dict[str, str] | None = None,
) -> None:
    with av.open(target, "w", format=container, options=options or {"movflags": "faststart"}) as output:
        stream = output.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.gop_size = 10
        if rotation:
            stream.set_display_rotation(rotation)
        for frame in grey_frames(count):
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


def camera_of(url: Path | str, **settings: object) -> AvCamera:
    return AvCamera(msgspec.convert({"url": str(url), **settings}, AvConfig))


def read_all(camera: AvCamera | ImagesCamera) -> list[Reading]:
    camera.open()
    readings: list[Reading] = []
    try:
        while True:
            reading = camera.read()
            assert reading is not None
            readings.append(reading)
    except EndOfInput:
        return readings
    finally:
        camera.close()


def drained(camera: AvCamera) -> tuple[int, LfrError | EndOfInput]:
    """Open and read until it ends or fails; return how many pictures came, and why no more do."""
    count = 0
    try:
        camera.open()
        while True:
            count += camera.read() is not None
    except (LfrError, EndOfInput) as error:
        return count, error
    finally:
        camera.close()


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    write_video(path)
    return path


def test_a_file_is_read_to_its_end_in_order(video: Path) -> None:
    readings = read_all(camera_of(video))
    assert [reading.position_ns for reading in readings] == [number * 40_000_000 for number in range(30)]
    assert {reading.picture.size for reading in readings} == {SIZE}
    levels = [int(np.median(reading.picture.rgb(*SIZE))) for reading in readings]
    assert levels == pytest.approx([20 + number * 3 % 200 for number in range(30)], abs=6)


def test_the_end_stays_the_end_until_it_is_opened_again(video: Path) -> None:
    camera = camera_of(video)
    assert len(read_all(camera)) == len(read_all(camera)) == 30
    camera.open()
    for _ in range(30):
        camera.read()
    for _ in range(2):
        with pytest.raises(EndOfInput):
            camera.read()
    camera.close()


def test_pictures_outlive_their_camera(video: Path) -> None:
    readings = read_all(camera_of(video))
    assert int(np.median(readings[5].picture.rgb(*SIZE))) == pytest.approx(35, abs=6)


def test_the_london_clip_has_its_frames(shared: Callable[[str], Path]) -> None:
    readings = read_all(camera_of(shared("media/london-crowd-1080p.mp4")))
    positions = [reading.position_ns for reading in readings]
    assert len(readings) == 105
    assert positions == sorted(set(positions))
    assert {reading.picture.size for reading in readings} == {(1920, 1080)}


def test_a_looped_file_goes_on(video: Path) -> None:
    camera = camera_of(video, loop=True)
    camera.open()
    positions = [reading.position_ns for reading in (camera.read() for _ in range(95)) if reading]
    camera.close()
    assert positions == [number % 30 * 40_000_000 for number in range(95)]


def test_a_looped_file_that_is_replaced_by_a_broken_one_ends_for_good(video: Path) -> None:
    camera = camera_of(video, loop=True)
    camera.open()
    for _ in range(30):
        camera.read()
    video.write_bytes(b"")
    with pytest.raises(PermanentError, match=r"clip\.mp4 is empty \(0 bytes\)"):
        camera.read()
    camera.close()


@pytest.mark.parametrize(
    ("settings", "pace"),
    [
        ({"url": "clip.mp4"}, "unpaced"),
        ({"url": "clip.mp4", "realtime": True}, "realtime"),
        ({"url": "file:///tmp/clip.mp4"}, "unpaced"),
        ({"url": "C:\\clips\\clip.mp4"}, "unpaced"),
        ({"url": "rtsp://camera/1"}, "live"),
        ({"url": "HTTPS://camera/1.mp4", "realtime": True}, "live"),
        ({"url": "udp://0.0.0.0:5000"}, "live"),
        ({"url": "/dev/video0", "format": "v4l2"}, "live"),
        ({"url": "clip.264", "format": "h264"}, "unpaced"),
    ],
)
def test_the_pace_follows_the_kind_of_source(settings: dict[str, object], pace: str) -> None:
    assert AvCamera(msgspec.convert(settings, AvConfig)).pace == pace


def test_paths_may_be_relative_start_at_home_or_be_a_file_url(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(video.parent)
    monkeypatch.setenv("HOME", str(video.parent))
    monkeypatch.setenv("USERPROFILE", str(video.parent))
    for url in ("clip.mp4", "~/clip.mp4", video.as_uri()):
        assert len(read_all(camera_of(url))) == 30


def test_a_raw_stream_without_time_stamps_gets_them_from_its_rate(tmp_path: Path) -> None:
    path = tmp_path / "clip.m4v"
    write_video(path, container="m4v")
    positions = [reading.position_ns for reading in read_all(camera_of(path, format="m4v"))]
    assert len(positions) == 30
    assert positions == sorted(set(positions))


@pytest.mark.skipif(not hasattr(VideoStream, "set_display_rotation"), reason="needs PyAV 18 to write such a film")
@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_a_film_taken_with_a_turned_telephone_is_upright(tmp_path: Path, rotation: int) -> None:
    path = tmp_path / "turned.mp4"
    write_video(path, 3, rotation=rotation)
    picture = read_all(camera_of(path))[0].picture
    line = picture.rgb(*picture.size).min(axis=2) > 200
    where = {90: line[:, 0], -90: line[:, -1], 180: line[-1]}[rotation]
    assert picture.size == (SIZE if rotation == 180 else SIZE[::-1])
    assert where.mean() > 0.9
    assert line.sum() <= 2 * len(where)


def test_what_an_edit_list_cuts_away_is_no_damage(shared: Callable[[str], Path], tmp_path: Path) -> None:
    path = tmp_path / "edited.mp4"
    options = {"avoid_negative_ts": "disabled", "use_editlist": "1"}
    with av.open(shared("media/white-house-stage-360p.mp4")) as source, av.open(path, "w", options=options) as output:
        stream = source.streams.video[0]
        copy = output.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.pts is not None and packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - 50000, packet.dts - 50000, copy
                output.mux(packet)
    readings = read_all(camera_of(path))
    assert 100 < len(readings) < 275


# What cannot be read


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("zero.mp4", b"", r"is empty \(0 bytes\); expected a video"),
        ("text.mp4", b"no video at all\n" * 200, "Invalid data found .* no video, or truncated or damaged"),
        ("text.txt", b"no video at all\n" * 200, "no moving picture"),
        ("noise.bin", bytes(range(256)) * 40, "cannot be read: .*video"),
    ],
)
def test_a_file_that_is_no_video(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(PermanentError, match=message) as caught:
        camera_of(path).open()
    assert name in str(caught.value)


def test_a_sound_file_has_no_moving_picture(tmp_path: Path) -> None:
    path = tmp_path / "sound.mkv"
    with av.open(path, "w") as output:
        stream = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    with pytest.raises(PermanentError, match=r"sound\.mkv .*no moving picture"):
        camera_of(path).open()


def test_a_missing_file_a_folder_and_an_impossible_name(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"absent\.mp4 cannot be opened: there is no such file"):
        camera_of(tmp_path / "absent.mp4").open()
    with pytest.raises(PermanentError, match="is a folder; expected a video file"):
        camera_of(tmp_path).open()
    with pytest.raises(PermanentError, match="cannot be opened"):
        camera_of("a\0b").open()
    with pytest.raises(PermanentError, match="there is no such file"):
        camera_of("~nobody-has-this-name/clip.mp4").open()


def test_an_unknown_format_is_permanent(video: Path) -> None:
    with pytest.raises(PermanentError, match=r"cannot be opened: .*'nonsense'"):
        camera_of(video, format="nonsense").open()


AS_NOBODY = """
import os, sys
from pathlib import Path
from lfr_kernel.api import PermanentError
from lfr_plugins.cameras.av_camera import AvCamera
from lfr_plugins.cameras.config import AvConfig
from lfr_plugins.cameras.images import read_picture
if os.getuid() == 0:
    os.setgid(NOBODY)
    os.setuid(NOBODY)
for attempt in (lambda: AvCamera(AvConfig(url=sys.argv[1])).open(), lambda: read_picture(Path(sys.argv[1]))):
    try:
        attempt()
    except PermanentError as error:
        print(error)
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs POSIX permissions")
def test_a_file_that_may_not_be_read_says_so(video: Path) -> None:
    for folder in video.parents:
        if IS_ROOT and folder.is_relative_to(video.parents[2]):
            folder.chmod(0o755)
    video.chmod(0)
    code = AS_NOBODY.replace("NOBODY", str(NOBODY))
    done = subprocess.run([sys.executable, "-c", code, str(video)], capture_output=True, text=True, check=True)  # noqa: S603  (our own code)
    said = done.stdout.splitlines()
    assert len(said) == 2
    assert all("ermission denied; let the account that runs this read it" in line for line in said)


# Truncated and damaged files


@pytest.mark.parametrize("container", ["mp4", "matroska"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_a_truncated_file_gives_what_it_has_and_then_says_so(tmp_path: Path, container: str, share: float) -> None:
    whole, path = tmp_path / "whole", tmp_path / "short"
    write_video(whole, 100, container=container)
    data = whole.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    for loop in (False, True):
        count, error = drained(camera_of(path, loop=loop))
        assert 5 < count < 95
        assert isinstance(error, PermanentError)
        assert re.search(rf"short ends early: {count} (of 100 )?frames could be read; .* truncated", str(error))
    assert len(read_all(camera_of(whole))) == 100


def test_a_file_that_ends_before_its_first_picture(tmp_path: Path, video: Path) -> None:
    data = video.read_bytes()
    path = tmp_path / "short.mp4"
    path.write_bytes(data[: data.index(b"mdat") + 12])
    assert "holds no picture" in str(drained(camera_of(path))[1])


@pytest.mark.parametrize("size", [1, 100, 5_000, 60_000, 300_000, 590_000, 604_700, 604_720, 610_000])
def test_the_stage_clip_cut_off_anywhere_is_refused(shared: Callable[[str], Path], tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(shared("media/white-house-stage-360p.mp4").read_bytes()[:size])
    _, error = drained(camera_of(path))
    assert isinstance(error, PermanentError)
    assert str(path) in str(error)


def test_a_packet_that_was_overwritten_is_reported_at_the_end(shared: Callable[[str], Path], tmp_path: Path) -> None:
    data = bytearray(shared("media/white-house-stage-360p.mp4").read_bytes())
    data[300_000:330_000] = bytes(30_000)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    count, error = drained(camera_of(path))
    assert 200 < count <= 275
    assert isinstance(error, PermanentError)
    assert f"ends early: {count} of 275 frames could be read" in str(error)


# Life cycle


def test_close_may_come_at_any_time_and_twice(video: Path) -> None:
    camera = camera_of(video)
    camera.close()
    camera.open()
    camera.read()
    camera.close()
    camera.close()
    with pytest.raises(PassingError, match="is not open"):
        camera.read()


def test_nothing_is_left_open(video: Path, tmp_path: Path) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("counts open files in /proc")
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(video.read_bytes()[:-500])
    sound = tmp_path / "text.txt"
    sound.write_text("text\n" * 100)

    def use() -> None:
        for path in (video, broken, sound, tmp_path / "absent"):
            camera = camera_of(path)
            try:
                camera.open()
                camera.open()
                camera.read()
            except LfrError:
                pass
            camera.close()
        looped = camera_of(video, loop=True)
        looped.open()
        for _ in range(70):
            looped.read()
        looped.close()

    use()
    before, threads = len(list(descriptors.iterdir())), len(list(Path("/proc/self/task").iterdir()))
    for _ in range(10):
        use()
    gc.collect()  # PyAV 17 ties containers and streams into a knot
    assert len(list(descriptors.iterdir())) == before
    assert len(list(Path("/proc/self/task").iterdir())) <= threads


# Live streams


class Server:
    """An HTTP server that sends what it is given, one piece after the other, and can be told to go silent."""

    def __init__(self, pieces: list[bytes], *, status: int = 200, hangs: bool = False) -> None:
        released = self.released = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(sum(map(len, pieces)) + hangs))
                self.end_headers()
                try:
                    for piece in pieces:
                        self.wfile.write(piece)
                    self.wfile.flush()
                    if hangs:
                        released.wait(30)
                except OSError:
                    pass

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://user:s3cr%20et@127.0.0.1:{self._server.server_port}/live.ts?token=t0ken"

    def stop(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def serving(pieces: list[bytes], *, status: int = 200, hangs: bool = False) -> Iterator[Server]:
    server = Server(pieces, status=status, hangs=hangs)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def broadcast() -> bytes:
    """Four seconds of MPEG-TS."""
    buffer = io.BytesIO()
    write_video(buffer, 100, container="mpegts")
    return buffer.getvalue()


def assert_keeps_secrets(error: BaseException) -> None:
    told = f"{error} {error!r}"
    for secret in ("s3cr", "user:", "t0ken"):
        assert secret not in told
    assert error.__context__ is None  # FFmpeg's own error has the URL as it is


def test_a_stream_that_ends_may_come_back(broadcast: bytes) -> None:
    with serving([broadcast]) as server:
        count, error = drained(camera_of(server.url, timeout_s=5))
    assert count == 100
    assert isinstance(error, PassingError)
    assert str(error).endswith("/live.ts?***: the stream ended")
    assert_keeps_secrets(error)


def test_a_stream_that_falls_silent_is_given_up_within_its_time(broadcast: bytes) -> None:
    with serving([broadcast], hangs=True) as server:
        count, error = drained(camera_of(server.url, timeout_s=0.5))
    assert count > 90
    assert isinstance(error, PassingError)
    assert "no answer within 0.5 s" in str(error)
    assert_keeps_secrets(error)


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for scheme in ("rtsp", "http"):
            camera = camera_of(f"{scheme}://user:s3cret@127.0.0.1:{listener.getsockname()[1]}/x", timeout_s=0.3)
            with pytest.raises(PassingError, match=r"://\*\*\*@127.* no answer within 0.3 s") as caught:
                camera.open()
            assert_keeps_secrets(caught.value)


def test_a_corrupt_stretch_is_skipped(broadcast: bytes) -> None:
    damaged = bytearray(broadcast)
    middle = len(damaged) // 2 // 188 * 188
    for start in range(middle, middle + 6 * 188, 188):
        damaged[start + 20 : start + 188] = bytes(168)
    with serving([bytes(damaged)]) as server:
        count, error = drained(camera_of(server.url, timeout_s=5))
    assert count > 60
    assert "the stream ended" in str(error)


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_a_server_that_refuses_may_change_its_mind(status: int) -> None:
    with serving([b""], status=status) as server:
        _, error = drained(camera_of(server.url, timeout_s=5))
    assert isinstance(error, PassingError)
    assert_keeps_secrets(error)


def test_nonsense_from_a_server_is_passing() -> None:
    with serving([b"<html>please log in</html>" * 100]) as server:
        _, error = drained(camera_of(server.url, timeout_s=5))
    assert isinstance(error, PassingError)
    assert_keeps_secrets(error)


def test_a_refused_connection_is_passing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(PassingError, match=r"\*\*\*@127\.0\.0\.1:\d+/x cannot be read: Connection refused") as caught:
        camera_of(f"http://user:s3cret@127.0.0.1:{port}/x", timeout_s=2).open()
    assert_keeps_secrets(caught.value)


@pytest.mark.skipif(not any("v4l2" in name for name in av.formats_available), reason="needs Video4Linux")
def test_a_device_that_is_unplugged_may_come_back() -> None:
    with pytest.raises(PassingError, match=r"camera /dev/no-such-camera cannot be read: No such file"):
        camera_of("/dev/no-such-camera", format="v4l2").open()


def test_a_protocol_that_ffmpeg_lacks_is_permanent() -> None:
    with pytest.raises(PermanentError, match=r"camera carrier://\*\*\*@pigeon/1 .*Protocol not found") as caught:
        camera_of("carrier://user:s3cret@pigeon/1").open()
    assert_keeps_secrets(caught.value)


class Clock:
    """Stands in for the time module; a second passes with every packet."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class Pictureless:
    """A source that sends packets without pictures."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def take(self) -> None:
        return None

    def decode(self) -> bool:
        self._clock.now += 0.6
        return True

    def close(self) -> None:
        pass


def test_a_live_source_without_pictures_returns_none_and_fails_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(av_camera, "time", clock)
    camera = camera_of("rtsp://camera/1", timeout_s=3)
    monkeypatch.setattr(camera, "_opened", lambda: Pictureless(clock))
    camera.open()
    assert [camera.read(), camera.read()] == [None, None]
    with pytest.raises(PassingError, match="sends data, but no picture for 3 s"):
        camera.read()
    camera.close()
    camera.open()
    assert camera.read() is None


def test_closing_while_a_read_is_blocked_ends_it_safely(broadcast: bytes) -> None:
    with serving([broadcast], hangs=True) as server:
        camera = camera_of(server.url, timeout_s=1)
        camera.open()
        is_near_the_end, outcome = threading.Event(), []

        def read_on() -> None:
            count = 0
            try:
                while True:
                    count += camera.read() is not None
                    if count > 95:
                        is_near_the_end.set()
            except LfrError as error:
                outcome.append(error)

        reader = threading.Thread(target=read_on)
        reader.start()
        assert is_near_the_end.wait(10)
        camera.close()
        camera.close()
        reader.join(10)
    assert not reader.is_alive()
    assert isinstance(outcome[0], PassingError)
    assert camera._source is None


def test_closing_while_another_thread_decodes_is_safe(video: Path) -> None:
    for _ in range(30):
        camera = camera_of(video, loop=True)
        camera.open()
        is_reading = threading.Event()

        def read_on(camera: AvCamera = camera, is_reading: threading.Event = is_reading) -> None:
            with suppress(PassingError):
                for _ in iter(camera.read, None):
                    is_reading.set()

        reader = threading.Thread(target=read_on)
        reader.start()
        assert is_reading.wait(10)
        camera.close()
        reader.join(10)
        assert not reader.is_alive()
        assert camera._source is None


def test_closing_while_an_open_is_blocked_leaves_nothing_open(
    broadcast: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving([broadcast]) as server:
        camera = camera_of(server.url, timeout_s=5)
        opened = camera._opened

        def closed_meanwhile() -> object:
            source = opened()
            camera.close()
            return source

        monkeypatch.setattr(camera, "_opened", closed_meanwhile)
        with pytest.raises(PassingError, match="was closed while it was being opened"):
            camera.open()
        assert camera._source is None


# Secrets


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("rtsp://user:pw@host:554/a", "rtsp://***@host:554/a"),
        ("rtsp://user@host/a", "rtsp://***@host/a"),
        ("rtsp://host/a", "rtsp://host/a"),
        ("http://host/a?user=x&pwd=y", "http://host/a?***"),
        ("rtsp://u:p/w?@#@host/a?b=c", "rtsp://***@host/a?***"),
        ("/var/clips/a@b.mp4", "/var/clips/a@b.mp4"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, masked: str) -> None:
    assert mask_url(url) == masked
    config = AvConfig(url=url, options={"headers": "Authorization: Basic abc"})
    assert masked in repr(config)
    assert "Basic" not in repr(config)
    assert dict(config.__rich_repr__())["url"] == masked


def test_foreign_text_is_shown_without_secrets() -> None:
    url = "rtsp://admin:p%40ss@host/1?key=k123"
    text = "tcp://admin:p%40ss@host:554?timeout=0 p@ss k123 rtsp://other:word@elsewhere/2"
    assert mask_text(text, url) == "tcp://***@host:554?*** *** *** rtsp://***@elsewhere/2"


@pytest.mark.parametrize(
    "settings", [{}, {"url": ""}, {"url": "x", "timeout_s": 0}, {"url": "x", "speed": 2}, {"url": "x", "loop": "yes"}]
)
def test_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(settings, AvConfig)


def test_the_settings_import_nothing_heavy() -> None:
    code = "import lfr_plugins.cameras.config, sys; print([n for n in ('av', 'cv2') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  (our own code)
    assert done.stdout.strip() == "[]"


# Stills


def write_still(path: Path, level: int = 100, size: tuple[int, int] = (30, 20)) -> Path:
    pixels = np.full((size[1], size[0], 3), (level, 40, 200), np.uint8)
    path.write_bytes(encoded(pixels, path.suffix))
    return path


def encoded(rgb: NDArray[np.uint8], suffix: str) -> bytes:
    is_done, data = cv2.imencode(suffix, rgb[..., ::-1])
    assert is_done
    return bytes(data.tobytes())


def test_a_folder_is_shown_by_name_and_once(tmp_path: Path) -> None:
    for name, level in (("b.jpg", 20), ("a.PNG", 10), ("c.webp", 30), ("ünï.bmp", 50), ("d.tif", 40)):
        write_still(tmp_path / name, level)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "folder.jpg").mkdir()
    camera = ImagesCamera(ImagesConfig(path=str(tmp_path), seconds=0.5))
    assert camera.pace == "unpaced"
    readings = read_all(camera)
    assert [reading.position_ns for reading in readings] == [number * 500_000_000 for number in range(5)]
    levels = [int(reading.picture.rgb(4, 4)[..., 0].mean()) for reading in readings]
    assert levels == pytest.approx([10, 20, 30, 40, 50], abs=6)
    with pytest.raises(EndOfInput):
        camera.read()


def test_one_file_is_one_picture(tmp_path: Path) -> None:
    readings = read_all(ImagesCamera(ImagesConfig(path=str(write_still(tmp_path / "a.png")))))
    assert [reading.picture.size for reading in readings] == [(30, 20)]
    np.testing.assert_array_equal(readings[0].picture.rgb(30, 20)[0, 0], (100, 40, 200))


def test_a_bad_picture_is_named_when_its_turn_comes(tmp_path: Path) -> None:
    write_still(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"")
    camera = ImagesCamera(ImagesConfig(path=str(tmp_path)))
    camera.open()
    camera.read()
    with pytest.raises(PermanentError, match=r"b\.jpg is empty \(0 bytes\)"):
        camera.read()
    camera.close()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif"])
def test_a_truncated_picture_is_refused(tmp_path: Path, suffix: str) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(pixels, suffix)
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(PermanentError, match=rf"cut\{suffix} cannot be decoded"):
        read_picture(path)


def test_pictures_that_are_missing_or_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"absent\.jpg cannot be read: there is no such file"):
        read_picture(tmp_path / "absent.jpg")
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(PermanentError, match=r"text\.jpg cannot be decoded: .* JPEG, PNG"):
        read_picture(tmp_path / "text.jpg")
    with pytest.raises(PermanentError, match="cannot be read"):
        read_picture(tmp_path)
    with pytest.raises(PermanentError, match="there is no such file or folder"):
        ImagesCamera(ImagesConfig(path=str(tmp_path / "absent"))).open()
    (tmp_path / "empty").mkdir()
    with pytest.raises(PermanentError, match=r"holds no picture; expected files ending in \.bmp"):
        ImagesCamera(ImagesConfig(path=str(tmp_path / "empty"))).open()


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Insert an EXIF segment with one entry."""
    tiff = b"II*\0" + (8).to_bytes(4, "little") + (1).to_bytes(2, "little")
    tiff += (0x0112).to_bytes(2, "little") + (3).to_bytes(2, "little") + (1).to_bytes(4, "little")
    tiff += orientation.to_bytes(4, "little") + bytes(4)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


def test_a_photograph_is_turned_upright_by_its_exif_orientation(tmp_path: Path) -> None:
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, :16] = 255
    path = tmp_path / "turned.jpg"
    path.write_bytes(with_orientation(encoded(pixels, ".jpg"), 6))
    picture = read_picture(path)
    assert picture.size == (32, 64)
    upright = picture.rgb(32, 64)
    assert upright[:12].mean() > 240
    assert upright[20:].mean() < 15


def test_grey_transparent_and_deep_pictures_become_rgb(tmp_path: Path) -> None:
    for name, pixels in (
        ("grey.png", np.full((8, 9), 77, np.uint8)),
        ("clear.png", np.full((8, 9, 4), 77, np.uint8)),
        ("deep.png", np.full((8, 9, 3), 77 * 257, np.uint16)),
    ):
        path = tmp_path / name
        is_done, data = cv2.imencode(".png", pixels)
        assert is_done
        path.write_bytes(data.tobytes())
        np.testing.assert_array_equal(read_picture(path).rgb(9, 8), np.full((8, 9, 3), 77))
