"""The two built-in sinks of anchors, and how a profile names them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lfr_kernel.api import PassingError, Registry, parse_profile
from lfr_kernel.profile import ProfileError
from lfr_kernel.testing.conformance import check_anchors
from lfr_plugins.anchors.config import FileAnchorConfig, PrintAnchorConfig
from lfr_plugins.anchors.file import FileAnchors
from lfr_plugins.anchors.printed import PrintedAnchors

if TYPE_CHECKING:
    from lfr_kernel.api import Profile

LINE = f"lfr-anchor 1 van-7 12 {'ab' * 32} 2026-03-01T10:00:00Z"


def file_sink(path: Path) -> FileAnchors:
    return FileAnchors(FileAnchorConfig(path=str(path)))


def test_the_file_keeps_the_contract_and_writes_each_line_once(tmp_path: Path) -> None:
    path = tmp_path / "anchors.txt"
    check_anchors(lambda: file_sink(path), delivered=lambda: path.read_text(encoding="utf-8").splitlines())


def test_a_torn_line_stays_on_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "anchors.txt"
    path.write_text(LINE[:30], encoding="utf-8")
    file_sink(path).deliver(LINE)
    file_sink(path).deliver(LINE)
    assert path.read_text(encoding="utf-8") == f"{LINE[:30]}\n{LINE}\n"


def test_a_line_without_its_end_was_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "anchors.txt"
    path.write_text(LINE, encoding="utf-8")
    file_sink(path).deliver(LINE)
    assert path.read_text(encoding="utf-8") == f"{LINE}\n{LINE}\n"


def test_a_medium_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "stick" / "anchors.txt"
    with pytest.raises(PassingError, match=r"the anchor was not taken \(No such file or directory\); is the medium"):
        file_sink(path).deliver(LINE)
    assert not path.parent.exists()


def test_print_shows_the_line_and_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    check_anchors(lambda: PrintedAnchors(PrintAnchorConfig(qr=False)))
    capsys.readouterr()
    PrintedAnchors(PrintAnchorConfig(qr=False)).deliver(LINE)
    assert capsys.readouterr() == ("", f"{LINE}\n")
    PrintedAnchors(PrintAnchorConfig()).deliver(LINE)
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[0]) == ("", LINE)
    assert len(err.splitlines()) > 20


def test_print_without_a_screen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "closed").open("w") as closed:
        pass
    monkeypatch.setattr("sys.stderr", closed)
    with pytest.raises(PassingError, match=r"cannot print anchors, stderr is gone"):
        PrintedAnchors(PrintAnchorConfig()).deliver(LINE)


def profile(*anchors: dict[str, Any]) -> Profile:
    data = {
        "name": "van",
        "permit": "demo",
        "cameras": [{"name": "front", "options": {"url": "clip.mp4"}}],
        "watchlist": {"images": "listed"},
        "anchors": list(anchors),
    }
    return parse_profile(data, Registry.discover(), source="van.toml", here=Path())[0]


def test_a_profile_names_its_sinks_of_anchors() -> None:
    found = profile({"plugin": "file", "options": {"path": "/media/stick/anchors.txt"}}, {"plugin": "print"})
    assert [(one.title, one.options) for one in found.anchors] == [
        ("file", FileAnchorConfig(path="/media/stick/anchors.txt")),
        ("print", PrintAnchorConfig(qr=True)),
    ]
    assert profile().anchors == ()


def test_mistakes_in_the_sinks_of_anchors_come_all_at_once() -> None:
    with pytest.raises(ProfileError) as raised:
        profile({"plugin": "prin"}, {"plugin": "file"}, {"plugin": "print"}, {"plugin": "print"})
    text = str(raised.value)
    assert "anchors[0].plugin: expected an installed anchor plugin, one of: file, print; got 'prin'" in text
    assert "anchors[1].options.path" in text
    assert "anchors[3].name: expected a name that anchors[2] does not have, got 'print'" in text
