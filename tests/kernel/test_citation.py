"""A cited report is the one that was cited, or nothing starts; and which settings a report is held to."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from lfr_kernel.api import (
    API_VERSION,
    DetectorPlugin,
    NoConfig,
    Registry,
    TrackerPlugin,
    load_profile,
    most_looks,
    recognition_settings,
)
from lfr_kernel.citation import CitationError, read_cited, rests_on
from lfr_kernel.governance.basis import NO_REPORT
from lfr_kernel.plugins import Installed
from lfr_kernel.profile import BasisSection
from lfr_plugins.models import load_card

if TYPE_CHECKING:
    from lfr_kernel.profile import Profile

COVERS = {
    "report_class": "operational",
    "data": "yard, two days in March",
    "detector": "d" * 64,
    "embedder": "e" * 64,
    "listed": 20,
    "looks": 16,
    "target_fpir": 0.005,
    "threshold": 0.55,
    "settings": {},
}


def report(folder: Path, content: bytes | None = None, **changes: Any) -> BasisSection:
    """Write a report.json and cite it."""
    path = folder / "report.json"
    known = json.dumps({"title": "Yard", "covers": COVERS | changes, "tpir": [0.9, 0.95]}).encode()
    path.write_bytes(known if content is None else content)
    return BasisSection(report=str(path), digest=hashlib.sha256(path.read_bytes()).hexdigest())


def test_no_report_is_no_evidence_and_no_error() -> None:
    assert read_cited(BasisSection()) is None
    assert read_cited(BasisSection(protocol="people.csv", target_fpir=0.001)) is None


def test_a_cited_report_is_read_and_its_other_parts_are_left_to_people(tmp_path: Path) -> None:
    cited = read_cited(report(tmp_path))
    assert cited is not None
    assert (cited.report_class, cited.listed, cited.threshold) == ("operational", 20, 0.55)


def test_the_digest_may_be_written_in_capitals(tmp_path: Path) -> None:
    section = report(tmp_path)
    assert section.digest is not None
    assert read_cited(BasisSection(report=section.report, digest=section.digest.upper())) == read_cited(section)


def test_the_folder_of_the_user_may_be_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_cited(BasisSection(report="~/report.json", digest=report(tmp_path).digest)) is not None


def test_one_changed_byte_is_another_report(tmp_path: Path) -> None:
    section = report(tmp_path)
    changed = report(tmp_path, threshold=0.54)
    with pytest.raises(CitationError) as error:
        read_cited(BasisSection(report=section.report, digest=section.digest))
    assert str(error.value) == (
        f"evaluation report {section.report}: expected SHA-256 {section.digest}, which [basis] cites, got "
        f"{changed.digest}; put the report back that was cited, or read this one and cite its digest"
    )
    assert error.value.is_permanent


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"covers": 1}',
        b'{"threshold": 0.55}',
        b"\xff\xfe",
        b'{"\xff": 1}',
        b"[" * 100_000,
        json.dumps({"covers": COVERS | {"listed": -1}}).encode(),
        json.dumps({"covers": COVERS | {"by_night": False}}).encode(),
    ],
)
def test_what_is_no_report(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(CitationError, match=r"expected a report\.json as `lfr-kernel evaluate` writes it, got somethi"):
        read_cited(report(tmp_path, content))


def test_a_report_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CitationError, match=r"nowhere\.json: expected the file that \[basis\] cites, found none there"):
        read_cited(BasisSection(report=str(tmp_path / "nowhere.json"), digest="0" * 64))
    os.mkfifo(tmp_path / "pipe")
    for name in ("", "pipe"):
        with pytest.raises(CitationError, match="found something that is not a file; correct the path"):
            read_cited(BasisSection(report=str(tmp_path / name), digest="0" * 64))


def test_a_report_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    section = report(tmp_path)
    monkeypatch.setattr(Path, "read_bytes", refuse)  # the tests may run as root, whom nothing is refused
    with pytest.raises(CitationError, match=r"it cannot be read \(Permission denied\)"):
        read_cited(section)


# ---- which settings count -------------------------------------------------------------------------------------------


class Inner(Struct, frozen=True, forbid_unknown_fields=True):
    share: float = 0.25
    note: str | None = None


class FinderConfig(Struct, frozen=True, forbid_unknown_fields=True):
    side: int = 640
    norm: Literal["l1", "l2"] = "l2"
    device: str = "cpu"
    threads: Annotated[Annotated[int, Meta(extra={"recognition": False})], Meta(ge=1)] = 1
    key: str = ""
    sizes: tuple[int, ...] = (16, 32)
    inner: Inner = Inner()
    plugin: bool = False


class FollowerConfig(Struct, frozen=True, forbid_unknown_fields=True):
    patience: int = 3


def _create(*_: Any) -> Any:
    raise AssertionError("settings are read without making anything")


@pytest.fixture(scope="module")
def registry() -> Registry:
    own = [
        DetectorPlugin(name="finder", api=API_VERSION, config=FinderConfig, create=_create),
        TrackerPlugin(name="follower", api=API_VERSION, config=FollowerConfig, create=_create),
        TrackerPlugin(name="plain", api=API_VERSION, config=NoConfig, create=_create),
    ]
    return Registry([*Registry.discover(), *(Installed(plugin=one) for one in own)])


def profile(registry: Registry, folder: Path, text: str = "") -> Profile:
    path = folder / "yard.toml"
    path.write_text(
        'name = "yard"\npermit = "demo"\n[[cameras]]\nname = "front"\noptions = { url = "x.mp4" }\n'
        f'[watchlist]\nimages = "people"\nthreshold = 0.55\n{text}',
        encoding="utf-8",
    )
    return load_profile(path, registry)[0]


def test_the_settings_of_the_built_in_pipeline(registry: Registry, tmp_path: Path) -> None:
    settings = recognition_settings(profile(registry, tmp_path))
    assert settings == {
        "detector": "onnx",
        "detector.card": load_card("retinaface_mnet025").use_digest(),
        "detector.confidence": 0.6,
        "detector.longest_side": 640,
        "detector.max_faces": 128,
        "early_margin": 0.06,
        "embedder": "onnx",
        "embedder.card": load_card("mobilefacenet").use_digest(),
        "enrolment.min_confidence": 0.8,
        "enrolment.min_face_px": 48.0,
        "enrolment.min_frontality": 0.1,
        "enrolment.min_openness": 0.4,
        "enrolment.min_sharpness": 0.2,
        "mirror_live": True,
        "tracker": "passage",
        "tracker.every_face": False,
        "tracker.min_confidence": 0.6,
        "tracker.min_face_px": 32.0,
        "tracker.min_frontality": 0.02,
        "tracker.min_openness": 0.0,
        "tracker.min_sharpness": 0.15,
    }
    assert list(settings) == sorted(settings)


def test_cameras_sinks_and_the_machine_have_no_say(registry: Registry, tmp_path: Path) -> None:
    other = "[tracker]\noptions = { lost_after_s = 2, max_probes = 3 }\n[runtime]\ndrain_s = 1\n"
    other += '[[sinks]]\nplugin = "console"'
    assert recognition_settings(profile(registry, tmp_path, other)) == recognition_settings(profile(registry, tmp_path))


def test_options_are_flattened_and_those_without_a_say_left_out(registry: Registry, tmp_path: Path) -> None:
    options = '[detector]\nplugin = "finder"\noptions = { device = "cuda:1", threads = 8, inner = { share = 0.5 } }'
    settings = recognition_settings(profile(registry, tmp_path, options))
    found = {name: value for name, value in settings.items() if name.startswith("detector")}
    sizes = found.pop("detector.sizes")
    assert found == {
        "detector": "finder",
        "detector.inner.share": 0.5,
        "detector.norm": "l2",
        "detector.plugin": False,
        "detector.side": 640,
    }
    assert sizes == f"sha256:{hashlib.sha256(b'[16,32]').hexdigest()[:16]}"


def test_free_text_counts_and_is_not_shown(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for secret in ("hunter2", "hunter3"):
        monkeypatch.setenv("LFR_TEST_SECRET", secret)
        text = '[detector]\nplugin = "finder"\noptions = { key = "${env:LFR_TEST_SECRET}" }'
        found.append(recognition_settings(profile(registry, tmp_path, text))["detector.key"])
    assert "hunter" not in str(found)
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("tracker", "looks"),
    [
        ("", 16),
        ("options = { max_probes = 5 }", 5),
        ("options = { max_probes = 5, every_face = true }", None),
        ('plugin = "follower"', None),
        ('plugin = "plain"', None),
    ],
)
def test_how_many_looks_a_tracker_takes(tracker: str, looks: int | None, registry: Registry, tmp_path: Path) -> None:
    assert most_looks(profile(registry, tmp_path, f"[tracker]\n{tracker}")) == looks


# ---- both together --------------------------------------------------------------------------------------------------


def test_a_profile_is_held_to_the_report_it_cites(registry: Registry, tmp_path: Path) -> None:
    settings = recognition_settings(profile(registry, tmp_path))
    section = report(tmp_path, settings=settings)
    assert section.digest is not None
    cite = f'[basis]\nreport = "${{here}}/report.json"\ndigest = "{section.digest.upper()}"\n'
    models: dict[str, Any] = {"detector": "d" * 64, "embedder": "e" * 64}
    good = profile(registry, tmp_path, cite)
    cited = read_cited(good.basis)
    basis = rests_on(good, cited, listed=20, **models)
    assert (basis.state, basis.report, basis.report_class) == ("covered", section.digest, "operational")
    assert rests_on(good, cited, listed=21, **models).reasons == ("list of 21, tested with 20",)
    assert rests_on(good, cited, listed=None, detector=None, embedder="f" * 64).reasons == (
        "embedder ffffffff…, tested with eeeeeeee…",
    )
    other = profile(
        registry, tmp_path, cite + "target_fpir = 0.002\n[tracker]\noptions = { max_probes = 17, min_face_px = 20 }"
    )
    assert rests_on(other, cited, listed=1, **models).reasons == (
        "17 looks, tested with 16",
        "FPIR 0.002 wanted, tested for 0.005",
        "tracker.min_face_px 20.0, tested with 32.0",
    )
    assert rests_on(profile(registry, tmp_path), None, listed=1, **models) is NO_REPORT
