"""What a profile would run: what is digested and signed is what was loaded."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.planning import plan_of
from lfr_kernel.plugins import Registry
from lfr_kernel.profile import ProfileError, load_profile

if TYPE_CHECKING:
    from pathlib import Path

PROFILE = """
name = "spring"
permit = "authority"
[[cameras]]
name = "gate"
plugin = "av"
options = { url = "${env:GATE}" }
[watchlist]
file = "spring.lfrlist"
threshold = 0.64
[[anchors]]
plugin = "print"
[governance]
vault = "vault"
pack = "demo"
start = "sealed"
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GATE", "rtsp://192.0.2.7/")
    file = tmp_path / "profile.toml"
    file.write_text(PROFILE, encoding="utf-8")
    return file


def test_the_digest_is_of_the_file_that_was_loaded(path: Path) -> None:
    registry = Registry.discover()
    profile, _ = load_profile(path, registry)
    plan = plan_of(profile, path, registry)
    assert plan.profile_digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (plan.profile, plan.threshold, plan.cameras) == ("spring", 0.64, ("gate",))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.64", "0.6"),
        ('name = "gate"', 'name = "yard"'),
        ("spring.lfrlist", "other.lfrlist"),
        ('start = "sealed"', 'start = "operator-unlock"'),
        ("${env:GATE}", "rtsp://192.0.2.8/"),
    ],
)
def test_a_profile_that_changes_between_being_loaded_and_being_digested_is_refused(
    path: Path, old: str, new: str
) -> None:
    registry = Registry.discover()
    profile, _ = load_profile(path, registry)
    assert old in PROFILE
    path.write_text(PROFILE.replace(old, new), encoding="utf-8")
    with pytest.raises(RefusedError, match=r"profile\.toml was changed while it was read: start again"):
        plan_of(profile, path, registry)


def test_a_comment_changes_nothing_but_the_digest(path: Path) -> None:
    registry = Registry.discover()
    profile, _ = load_profile(path, registry)
    path.write_bytes(b"\xef\xbb\xbf# later\r\n" + PROFILE.encode())
    assert plan_of(profile, path, registry).profile_digest == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"name = ", "expected TOML, got a syntax error"),
        (b"\xff", "expected UTF-8 text, got something else from byte 0"),
        (b'name = "spring"', r"cameras"),
    ],
)
def test_a_profile_that_is_none_any_more_is_refused_as_one_is_at_the_start(
    path: Path, content: bytes, text: str
) -> None:
    registry = Registry.discover()
    profile, _ = load_profile(path, registry)
    path.write_bytes(content)
    with pytest.raises(ProfileError, match=text):
        plan_of(profile, path, registry)
