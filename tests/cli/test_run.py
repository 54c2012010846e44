"""`lfr-kernel --profile`: what it prints where, and how it ends."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ENDLESS = "frames = 0, realtime = true"


def test_a_run_prints_one_json_object_and_nothing_else_on_stdout(lfr: Callable[..., Any], board: Any) -> None:
    result = lfr("--profile", board.profile, "--json")
    assert result.code == 0
    summary = result.json
    assert summary["ended"] == "input_ended"
    assert summary["profile"] == "board"
    assert summary["permit"].startswith("demo")
    assert summary["passages"] == {"seen": 1, "alerted": 1, "not_matched": 0, "lost": {}, "open": 0}
    lived = summary["biometric_residency_ms"]
    assert lived["count"] > 25
    assert 0 < lived["p50"] <= lived["p95"] <= lived["max"] < lived["bound"] == 300_000
    assert (lived["live"], lived["oldest"], lived["over_bound"]) == (0, None, 0)
    assert summary["frames"] == {"read": 25, "processed": 25, "dropped": {}}
    assert summary["faces"] == 25
    assert summary["fps"] > 0
    (alert,) = summary["alerts"]
    assert alert["person"] == "board"
    assert alert["camera"] == "front"
    assert alert["similarity"] >= alert["threshold"] == 0.62
    assert alert["box"] == [100.0, 60.0, 220.0, 180.0]
    assert re.fullmatch(r"[0-9a-f]{16}", alert["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", alert["captured_at"])
    for name in ("capture_to_alert", "capture_to_embedding"):
        latency = summary["latency_ms"][name]
        assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
    for actor in summary["actors"].values():
        assert actor["state"] == "stopped"
        assert actor["restarts"] == 0
        for inlet in actor["inlets"]:
            assert inlet["queued"] == 0
            assert inlet["received"] == inlet["handled"] + sum(inlet["dropped"].values())
    assert "ALERT front: may be board\n" in result.err


def test_the_external_stages_did_the_work(lfr: Callable[..., Any], board: Any) -> None:
    alert = lfr("-p", board.profile, "--json").json["alerts"][0]
    kept = json.loads((board.folder / "loudest.json").read_text(encoding="utf-8"))
    assert kept["id"] == alert["id"]
    assert kept["similarity"] == pytest.approx(alert["similarity"], abs=1e-4)


def test_without_json_it_prints_tables_that_fit_80_columns(lfr: Callable[..., Any], board: Any) -> None:
    (board.folder / "watchlist" / "board.png").rename(
        board.folder / "watchlist" / "maximilian-von-und-zu-checkerboard-the-younger-of-the-two.png"
    )
    result = lfr("-p", board.profile)
    assert result.code == 0
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "board: all input was read"
    assert "1 seen = 1 alerted + 0 not matched + 0 lost" in result.out
    person = lines[-2].partition("front")[2].strip() + lines[-1].strip()
    assert person == "maximilian-von-und-zu-checkerboard-the-younger-of-the-two"


def test_duration_stops_a_run_without_an_end(lfr: Callable[..., Any], board: Any) -> None:
    board.write(board.profile.read_text(encoding="utf-8").replace("frames = 25", ENDLESS))
    result = lfr("-p", board.profile, "--duration", "0.3", "--json")
    assert result.code == 0
    assert result.json["ended"] == "duration"
    assert 0.3 <= result.json["duration_s"] < 3
    passages = result.json["passages"]
    assert passages["seen"] == passages["alerted"] + passages["not_matched"] + sum(passages["lost"].values()) == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--duration", "0"], "Invalid value for '--duration'"),
        (["--duration", "soon"], "Invalid value for '--duration'"),
        (["--speed", "2"], "No such option '--speed'"),
        (["run"], "No such command 'run'"),
        (["-p", "x.toml", "plugins"], "--profile runs a profile; 'plugins' is a command of its own"),
        (["-p", "no-such.toml"], "no-such.toml: expected a TOML file, found none there; check the path"),
        (["check"], "Missing argument 'PROFILE'"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_reason(arguments: list[str], problem: str, lfr: Callable[..., Any]) -> None:
    result = lfr(*arguments)
    assert result.code == 2
    assert not result.out
    assert problem in result.err
    assert "Traceback" not in result.err


def test_nothing_to_do_prints_the_help_and_ends_with_2(lfr: Callable[..., Any]) -> None:
    result = lfr()
    assert result.code == 2
    assert "Exit codes:" in result.out


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_each_command_in_one_whole_line(option: str, lfr: Callable[..., Any]) -> None:
    result = lfr(option)
    assert result.code == 0
    commands = result.out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert any(re.fullmatch(r"  check +Find every mistake in a profile before you run it\.", line) for line in commands)
    assert not [line for line in commands if line.endswith("...") or not line.startswith("  ") or line[2] == " "]


def test_version(lfr: Callable[..., Any]) -> None:
    result = lfr("--version")
    assert result.code == 0
    assert re.fullmatch(r"lfr-kernel, version \d+\.\d+\.\d+\n", result.out)


NOISY = """
from lfr_kernel.api import *

class Noisy:
    def __init__(self, config, context):
        print("made by a plugin")

    async def deliver(self, alert):
        print("delivered by a plugin")

    async def expire(self, before_ns):
        return 0

    async def close(self):
        print("closed by a plugin")

@hookimpl
def lfr_plugins():
    return [SinkPlugin(name="noisy", api=1, create=Noisy)]
"""


def test_what_plugins_print_does_not_end_up_in_the_json(lfr: Callable[..., Any], board: Any) -> None:
    board.site.distribution("lfr-noisy", NOISY)
    board.write(board.profile.read_text(encoding="utf-8") + '\n[[sinks]]\nplugin = "noisy"\n')
    result = lfr("-p", board.profile, "--json")
    assert result.json["sinks"]["noisy"]["delivered"] == 1
    assert "delivered by a plugin" in result.err
    assert "delivered by a plugin" in lfr("-p", board.profile).out


FAILING = """
from lfr_kernel.api import *
from lfr_checkerboard.faces import Middle

class Failing(Middle):
    def detect(self, picture):
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls > 3:
            raise PermanentError("the licence of rtsp://operator:hunter2@licences has run out")
        return super().detect(picture)

@hookimpl
def lfr_plugins():
    return [DetectorPlugin(name="failing", api=1, create=Failing)]
"""


def test_a_stage_that_fails_for_good_fails_the_run_and_still_sums_up(lfr: Callable[..., Any], board: Any) -> None:
    board.site.distribution("lfr-failing", FAILING)
    board.write(board.profile.read_text(encoding="utf-8").replace('"middle"', '"failing"'))
    result = lfr("-p", board.profile, "--json")
    assert result.code == 1
    assert result.json["ended"].startswith("failed: detector: the licence of rtsp://***@licences has run out")
    assert "error: detector: the licence of rtsp://***@licences has run out\n" in result.err
    assert "Traceback" not in result.err
    assert "hunter2" not in result.out + result.err
    table = lfr("-p", board.profile)
    assert table.code == 1
    assert "stages that failed" in table.out
    assert "hunter2" not in table.out + table.err


BROKEN = """
from lfr_kernel.api import *

def broken(config):
    raise ValueError("hunter2 is no good")

@hookimpl
def lfr_plugins():
    return [DetectorPlugin(name="broken", api=1, create=broken)]
"""


def test_a_plugin_that_cannot_be_created_is_named_and_has_a_traceback_with_debug_only(
    lfr: Callable[..., Any], board: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LFR_TEST_SECRET", "hunter2")
    board.site.distribution("lfr-broken", BROKEN)
    text = board.profile.read_text(encoding="utf-8").replace('"middle"', '"broken"')
    board.write(text.replace('"${here}/loudest.json"', '"${here}/${env:LFR_TEST_SECRET}"'))
    result = lfr("-p", board.profile, "--json")
    assert result.code == 2
    assert not result.out
    assert "plugin 'broken' of lfr-broken" in result.err
    assert "could not be created: ValueError: *** is no good\n" in result.err
    assert "Traceback" not in result.err
    debug = lfr("--debug", "-p", board.profile)
    assert "Traceback (most recent call last)" in debug.err
    assert "hunter2" not in result.err + debug.err


def test_secrets_are_masked_in_the_summary(
    lfr: Callable[..., Any], board: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A secret that is also a number in the summary must not make it invalid.
    monkeypatch.setenv("LFR_TEST_SECRET", "240")
    monkeypatch.setenv("LFR_TEST_NAME", "board")
    text = board.profile.read_text(encoding="utf-8").replace("loudest.json", "${env:LFR_TEST_SECRET}")
    board.write(text.replace('name = "board"', 'name = "${env:LFR_TEST_NAME}"'))
    result = lfr("-p", board.profile, "--json")
    assert result.json["profile"] == "***"
    assert result.json["cameras"]["front"]["height"] == 240
    assert "board" not in result.out + result.err


@pytest.mark.parametrize(
    ("folder", "code", "problem"),
    [
        ("empty", 1, "watchlist folder {here}/empty holds no photograph"),
        ("missing", 1, "watchlist folder {here}/missing does not exist; see [watchlist] images"),
        ("board.toml", 1, "watchlist {here}/board.toml is a file, expected a folder of photographs"),
        ("zero", 1, "watchlist photograph {here}/zero/nobody.jpg is empty (0 bytes)"),
        ("damaged", 1, "watchlist photograph {here}/damaged/nobody.png: picture {here}/damaged/nobody.png cannot be"),
    ],
)
def test_a_watchlist_that_cannot_be_made(
    folder: str, code: int, problem: str, lfr: Callable[..., Any], board: Any
) -> None:
    for name in ("empty", "zero", "damaged"):
        (board.folder / name).mkdir()
    (board.folder / "zero" / "nobody.jpg").touch()
    picture = (board.folder / "watchlist" / "board.png").read_bytes()
    (board.folder / "damaged" / "nobody.png").write_bytes(picture[:60])
    board.write(board.profile.read_text(encoding="utf-8").replace("${here}/watchlist", "${here}/" + folder))
    result = lfr("-p", board.profile)
    assert result.code == code
    assert not result.out
    assert "error: " + problem.format(here=board.folder) in result.err
    assert "Traceback" not in result.err


def test_a_watchlist_folder_that_may_not_be_read(
    lfr: Callable[..., Any], board: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path  # noqa: PLC0415

    folder = board.folder / "watchlist"
    iterdir = Path.iterdir

    def refuse(path: Path) -> Any:
        if path == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)  # the tests may run as root, whom nothing is refused
    result = lfr("-p", board.profile)
    assert result.code == 1
    assert f"error: watchlist folder {folder} cannot be read: Permission denied" in result.err


def facts_of(err: str, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def test_each_model_is_named_with_its_device_when_it_is_loaded_and_in_the_summary(
    lfr: Callable[..., Any], board: Any
) -> None:
    result = lfr("-p", board.profile, "--json")
    models = result.json["models"]
    assert {stage: (one["plugin"], one["device"]) for stage, one in models.items()} == {
        "detector": ("middle", "cpu"),
        "embedder": ("thumbnail", "cpu"),
    }
    assert models["embedder"]["digest"] == result.json["watchlist"]["model"]
    loaded = facts_of(result.err, "model_loaded")
    assert [(one["stage"], one["plugin"], one["device"], one["level"]) for one in loaded] == [
        ("detector", "middle", "cpu", "info"),
        ("embedder", "thumbnail", "cpu", "info"),
    ]
    for one in loaded:
        assert one["model"] == models[one["stage"]]["digest"][:12]
    table = lfr("-p", board.profile).out
    assert f"detector              middle, model {models['detector']['digest'][:12]}, on cpu " in table


NO_DEVICE = """
from lfr_kernel.api import *
from lfr_checkerboard.faces import Middle

class Old(Middle):
    def __init__(self, config):
        super().__init__(config)
        del self.device

@hookimpl
def lfr_plugins():
    return [DetectorPlugin(name="old", api=1, create=Old)]
"""


def test_a_detector_that_does_not_say_on_what_it_runs_is_named(lfr: Callable[..., Any], board: Any) -> None:
    board.site.distribution("lfr-old", NO_DEVICE)
    board.write(board.profile.read_text(encoding="utf-8").replace('"middle"', '"old"'))
    result = lfr("-p", board.profile)
    assert result.code == 2
    assert "detector plugin 'old' of lfr-old 1.2.3 does not keep its contract: 'Old' object has no attribute 'd" in (
        result.err
    )


CHANGING = """
import hashlib
from lfr_kernel.api import *
from lfr_checkerboard.faces import Thumbnail

class Changing(Thumbnail):
    made = closed = 0

    def __init__(self, config):
        super().__init__(config)
        Changing.made += 1
        self.digest = hashlib.sha256(b"%d" % {changes}).hexdigest()
        self.calls = 0

    def embed(self, crops, out):
        self.calls += 1
        if Changing.made == 1 and self.calls > 3:
            raise RuntimeError("hiccup")
        super().embed(crops, out)

    def close(self):
        Changing.closed += 1

@hookimpl
def lfr_plugins():
    return [EmbedderPlugin(name="changing", api=1, create=Changing)]
"""


@pytest.mark.parametrize("changes", [True, False])
def test_a_restart_must_come_back_with_the_model_that_the_watchlist_was_made_with(
    changes: bool,  # noqa: FBT001  (a parameter of the test)
    lfr: Callable[..., Any],
    board: Any,
) -> None:
    board.site.distribution("lfr-changing", CHANGING.format(changes="Changing.made" if changes else "1"))
    board.write(board.profile.read_text(encoding="utf-8").replace('"thumbnail"', '"changing"'))
    result = lfr("-p", board.profile, "--json")
    if not changes:
        assert result.code == 0
        assert result.json["actors"]["embedder"]["restarts"] == 1
        return
    assert result.code == 1
    assert "the embedder's model changed during the run: it was " in result.err
    assert "Traceback" not in result.err
    assert result.json["models"]["embedder"]["digest"] == result.json["watchlist"]["model"]
    module = __import__("lfr_changing")
    assert module.Changing.closed == module.Changing.made == 2
