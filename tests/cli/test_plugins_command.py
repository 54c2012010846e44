"""`lfr-kernel plugins`, and commands that come from plugins."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


def test_plugins_as_json(lfr: Callable[..., Any], board: Any) -> None:
    assert board
    result = lfr("plugins", "--json")
    assert result.code == 0
    found = {(one["stage"], one["name"]): one for one in json.loads(result.out)}
    camera = found["camera", "checkerboard"]
    assert (camera["distribution"], camera["version"]) == ("lfr-checkerboard", "0.1.0")
    assert camera["options"][0] == {
        "name": "frames",
        "type": "an integer at least 0",
        "required": False,
        "default": 25,
        "help": "how many pictures there are; 0: no end",
    }
    assert found["camera", "av"]["distribution"] == "lfr-kernel"
    assert {stage for stage, _ in found} >= {"camera", "detector", "tracker", "embedder", "index", "retention"}


def test_plugins_are_listed_with_one_aligned_row_an_option(lfr: Callable[..., Any], board: Any) -> None:
    assert board
    result = lfr("plugins")
    assert result.code == 0
    lines = [line.rstrip() for line in result.out.splitlines()]
    assert max(map(len, lines)) <= 80
    start = lines.index("  checkerboard  a checkerboard, for tests  [lfr-checkerboard 0.1.0]")
    assert lines[start + 1 : start + 6] == [
        "      frames     25     how many pictures there are; 0: no end (an integer at",
        "                        least 0)",
        "      square_px  20     side of a square of the board (an integer from 4 to 128)",
        "      realtime   false  25 pictures a second instead of as many as can be taken",
        "                        (true or false)",
    ]
    assert "      url        required  " in result.out
    assert "\x1b" not in result.out


def test_a_command_of_a_plugin(lfr: Callable[..., Any], board: Any) -> None:
    assert board
    assert lfr("hello", "--name", "you").out == "hello, you, from lfr-checkerboard\n"
    assert re.search(r"^  hello +say hello$", lfr("--help").out, re.MULTILINE)
    assert lfr("hello", "--nam").code == 2


COMMAND = """
import click
from lfr_kernel.api import *

@click.command()
def greet():
    pass

def fail():
    raise RuntimeError("no licence")

@hookimpl
def lfr_plugins():
    return [CommandPlugin(name={name!r}, api={api}, create={create})]
"""


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        (("greet", 1, "fail"), "command plugin 'greet' of lfr-greet 1.2.3 cannot be made: RuntimeError: no licence"),
        (
            ("greet", 1, "lambda: None"),
            "command plugin 'greet' of lfr-greet 1.2.3: expected `create` to return a click.",
        ),
        (
            ("greet", 7, "lambda: greet"),
            "command plugin 'greet' of lfr-greet 1.2.3 was written for API version 7; this k",
        ),
    ],
)
def test_a_command_that_cannot_be_used(
    declared: tuple[str, int, str], problem: str, lfr: Callable[..., Any], site: Any
) -> None:
    name, api, create = declared
    site.distribution("lfr-greet", COMMAND.format(name=name, api=api, create=create))
    result = lfr(name)
    assert result.code == 2
    assert result.err.startswith(f"error: {problem}")
    assert not result.out
    assert "Traceback" not in result.err
