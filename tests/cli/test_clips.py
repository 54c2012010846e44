"""What the built-in pipeline says of real footage: whom it must name, whom it must not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

PROFILE = """
name = "clip"
permit = "demo"
[[cameras]]
name = "clip"
options = {{ url = '{clip}' }}
[watchlist]
images = ['{people}', '{others}']
"""
ON_STAGE = {"lin-manuel-miranda", "alex-lacamoire"}
IN_THE_HOUSE = {"obama", "obama2", "obama3"}


@pytest.fixture
def watch(lfr: Callable[..., Any], shared: Callable[[str], Path], tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Run a clip against everybody there is a photograph of; check the books; return the summary."""

    def run(name: str) -> dict[str, Any]:
        profile = tmp_path / "clip.toml"
        text = PROFILE.format(clip=shared(f"media/{name}"), people=shared("media/watchlist"), others=shared("demo"))
        profile.write_text(text, encoding="utf-8")
        result = lfr("-p", profile, "--json")
        assert result.code == 0, result.err
        summary: dict[str, Any] = result.json
        passages, frames = summary["passages"], summary["frames"]
        assert passages["seen"] == passages["alerted"] + passages["not_matched"] + sum(passages["lost"].values())
        assert frames["read"] == frames["processed"]
        assert summary["watchlist"]["people"] == 7
        assert not summary["watchlist"]["rejected"]
        return summary

    return run


def test_the_singer_is_named_and_nobody_who_is_not_in_the_room(watch: Callable[[str], dict[str, Any]]) -> None:
    summary = watch("white-house-stage-360p.mp4")
    assert summary["frames"]["read"] == 275
    named = {alert["person"] for alert in summary["alerts"]}
    assert "lin-manuel-miranda" in named
    assert named <= ON_STAGE | IN_THE_HOUSE


def test_nobody_is_named_where_nobody_listed_walks(watch: Callable[[str], dict[str, Any]]) -> None:
    summary = watch("london-crowd-1080p.mp4")
    assert summary["frames"]["read"] == 105
    assert summary["passages"]["seen"] > 0
    assert summary["alerts"] == []
    assert summary["passages"]["alerted"] == 0
