"""Lines of a protocol that speak of clips: times, regions, and who can be told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lfr_plugins.lab.evaluation.protocol import Protocol, ProtocolError, read_protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADER = "path,identity,role,start_s,end_s,x0,y0,x1,y1"
ADA = "a.mp4,ada,mated,1,5,0,0,100,100"
BOB = "a.mp4,bob,nonmated,2,4,100,0,200.5,100"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Protocol]:
    for name in ("ada.png", "a.mp4", "b.mp4"):
        (tmp_path / name).write_text("content")

    def call(*lines: str, header: str = HEADER) -> Protocol:
        path = tmp_path / "truth.csv"
        path.write_text("\n".join((header, "ada.png,ada,watchlist" + "," * (header.count(",") - 2), *lines)))
        return read_protocol(path)

    return call


def test_times_and_regions_are_read(read: Callable[..., Protocol]) -> None:
    _, ada, bob = read(ADA, BOB).rows
    assert (ada.is_clip, ada.start_s, ada.end_s, ada.region) == (True, 1.0, 5.0, (0.0, 0.0, 100.0, 100.0))
    assert bob.region == (100.0, 0.0, 200.5, 100.0)


def test_a_region_is_not_needed_where_nobody_else_is(read: Callable[..., Protocol]) -> None:
    header = "path,identity,role,start_s,end_s"
    protocol = read("a.mp4,ada,mated,1,5", "a.mp4,bob,nonmated,5,6", "b.mp4,bob,nonmated,1,5", header=header)
    assert [one.region for one in protocol.rows] == [None] * 4


@pytest.mark.parametrize(
    ("region", "got"),
    [
        ("0,0,100,", "0, 0, 100, nothing"),
        (",,,100", "nothing, nothing, nothing, 100"),
        ("100,0,100,100", "100, 0, 100, 100"),
        ("0,100,100,50", "0, 100, 100, 50"),
        ("0,0,wide,100", "0, 0, wide, 100"),
        ("0,0,inf,100", "0, 0, inf, 100"),
        ("nan,0,100,100", "nan, 0, 100, 100"),
    ],
)
def test_regions_are_whole(read: Callable[..., Protocol], region: str, got: str) -> None:
    with pytest.raises(ProtocolError, match="1 mistake\n") as caught:
        read(f"a.mp4,ada,mated,1,5,{region}", "b.mp4,bob,nonmated,1,5,,,,")
    expected = "line 3: expected x0, y0, x1, y1 in px, all four or none, x0 below x1 and y0 below y1, got "
    assert expected + got in str(caught.value)


def test_regions_go_with_clips_only(read: Callable[..., Protocol], tmp_path: Path) -> None:
    (tmp_path / "b.png").write_text("content")
    with pytest.raises(ProtocolError, match=r"line 4: x0, y0, x1, y1 go with clips \(.*\), got b\.png"):
        read(ADA, "b.png,bob,nonmated,,,0,0,10,10")


def test_two_people_at_once_need_a_region(read: Callable[..., Protocol]) -> None:
    with pytest.raises(ProtocolError, match=r"line 3: ada is to be seen in a\.mp4 while line 4 has bob there; say wh"):
        read("a.mp4,ada,mated,3,5,,,,", "a.mp4,bob,nonmated,2,4,,,,")
    assert len(read("a.mp4,ada,mated,3,5,,,,", BOB).rows) == 3


def test_nobody_is_there_twice_at_a_time(read: Callable[..., Protocol]) -> None:
    with pytest.raises(ProtocolError, match=r"line 4: ada .* while line 3 has the same person there; write one line"):
        read(ADA, "a.mp4,ada,mated,4,6,200,0,300,100", BOB)


def test_all_mistakes_come_at_once(read: Callable[..., Protocol]) -> None:
    with pytest.raises(ProtocolError, match="3 mistakes") as caught:
        read("a.mp4,ada,mated,5,1,,,,", "b.mp4,bob,nonmated,1,5,0,0,9,", "b.mp4,eve,nonmated,2,3,,,,")
    assert [f"line {number}: " in str(caught.value) for number in (2, 3, 4, 5)] == [False, True, True, True]


def test_unknown_columns_are_told_what_there_is(read: Callable[..., Protocol]) -> None:
    with pytest.raises(ProtocolError, match="unknown column 'left'; expected passage, start_s, end_s, x0, y0, x1, y1"):
        read(header="path,identity,role,left")
