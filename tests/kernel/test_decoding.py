"""Every mistake at once, with its place; nothing is ever raised."""

from __future__ import annotations

import datetime as dt
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from lfr_kernel.decoding import Problem, decode, describe_type, help_of, join_path, shown, struct_of, suggest
from lfr_kernel.profile import Profile
from lfr_kernel.redaction import Filled


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Inner(Struct, frozen=True, forbid_unknown_fields=True):
    size: Annotated[int, Meta(ge=1, le=8, description="how big")]
    weight: Annotated[float, Meta(gt=0)] = 1.0


class Outer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    title: Annotated[str, Meta(min_length=1)]
    items: Annotated[tuple[Inner, ...], Meta(min_length=1, max_length=2)] = ()
    first: Inner | None = None
    mode: Literal["fast", "slow"] = "fast"
    colour: Colour = Colour.RED
    pairs: dict[str, int] = {}
    names: list[str] = []
    both: str | tuple[str, ...] = ""
    note: Annotated[str | None, Meta(description="outer")] = None
    code: Annotated[str, Meta(pattern=r"^[a-z]+\Z", title="lower-case letters")] = "a"
    on: bool = False


class Strict(Struct, frozen=True):
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"expected low <= high, got {self.low} > {self.high}")


class Grumpy(Struct, frozen=True):
    size: int = 0

    def __post_init__(self) -> None:
        raise KeyError


def read(kind: Any, data: Any) -> tuple[Any, list[str]]:
    problems: list[Problem] = []
    value = decode(kind, data, "", problems.append)
    return value, [str(problem) for problem in problems]


def test_good_data_becomes_structs() -> None:
    value, problems = read(
        Outer,
        {
            "title": "t",
            "items": [{"size": 1}, {"size": 8, "weight": 2}],
            "first": {"size": 3},
            "mode": "slow",
            "colour": "blue",
            "pairs": {"a": 1},
            "names": ["x"],
            "both": ["y"],
            "note": "n",
            "code": "abc",
            "on": True,
        },
    )
    assert not problems
    assert value == Outer(
        title="t",
        items=(Inner(size=1), Inner(size=8, weight=2.0)),
        first=Inner(size=3),
        mode="slow",
        colour=Colour.BLUE,
        pairs={"a": 1},
        names=["x"],
        both=("y",),
        note="n",
        code="abc",
        on=True,
    )


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({}, "title: missing, expected text, not empty"),
        ({"title": ""}, "title: expected text, not empty, got ''"),
        ({"title": 5}, "title: expected text, not empty, got 5"),
        ({"title": "t", "items": 3}, "items: expected a list of tables, not empty, 2 at most, got 3"),
        ({"title": "t", "items": []}, "items: expected a list of tables, not empty, 2 at most, got []"),
        (
            {"title": "t", "items": [{"size": 1}] * 3},
            "items: expected a list of tables, not empty, 2 at most, got [a ta",
        ),
        ({"title": "t", "items": [5]}, "items[0]: expected a table, got 5"),
        ({"title": "t", "items": [{}]}, "items[0].size: missing, expected an integer from 1 to 8"),
        ({"title": "t", "first": {"size": 9}}, "first.size: expected an integer from 1 to 8, got 9"),
        ({"title": "t", "first": {"size": True}}, "first.size: expected an integer from 1 to 8, got true"),
        ({"title": "t", "first": {"size": 1.0}}, "first.size: expected an integer from 1 to 8, got 1.0"),
        ({"title": "t", "first": {"size": 10**30}}, "first.size: expected an integer from 1 to 8, got 1000000"),
        (
            {"title": "t", "first": {"size": 1, "weight": float("inf")}},
            "first.weight: expected a number above 0, got inf",
        ),
        ({"title": "t", "first": {"size": 1, "weight": 0}}, "first.weight: expected a number above 0, got 0"),
        ({"title": "t", "mode": "fsat"}, "mode: expected 'fast' or 'slow', got 'fsat' (did you mean 'fast'?)"),
        ({"title": "t", "mode": 1}, "mode: expected 'fast' or 'slow', got 1"),
        ({"title": "t", "colour": "bleu"}, "colour: expected 'red' or 'blue', got 'bleu' (did you mean 'blue'?)"),
        ({"title": "t", "pairs": {"a b": "x"}}, "pairs.\"a b\": expected an integer, got 'x'"),
        ({"title": "t", "pairs": []}, "pairs: expected a table of integers, got []"),
        ({"title": "t", "names": ["a", 2]}, "names[1]: expected text, got 2"),
        ({"title": "t", "both": 5}, "both: expected text or a list of text, got 5"),
        ({"title": "t", "note": 5}, "note: expected text, optional, got 5"),
        ({"title": "t", "code": "A"}, "code: expected lower-case letters, got 'A'"),
        ({"title": "t", "code": "a\n"}, "code: expected lower-case letters, got 'a\\n'"),
        ({"title": "t", "on": "yes"}, "on: expected true or false, got 'yes'"),
        ({"title": "t", "first": dt.date(2026, 1, 2)}, "first: expected a table, got 2026-01-02"),
        ({"title": "t", "mod": 1}, "mod: unknown key, expected one of: title, items, first, mode, colour, pairs"),
        ([], "expected a table, got []"),
    ],
)
def test_a_mistake_says_where_what_was_expected_and_what_came(data: Any, problem: str) -> None:
    value, problems = read(Outer, data)
    assert value is None
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_all_mistakes_come_at_once() -> None:
    value, problems = read(Outer, {"modes": 1, "items": [{"size": 0}, {"weight": -1}], "on": 1})
    assert value is None
    assert [problem.split(":")[0] for problem in problems] == [
        "modes",
        "title",
        "items[0].size",
        "items[1].size",
        "items[1].weight",
        "on",
    ]
    assert problems[0].endswith("(did you mean 'mode'?)")


def test_a_rule_of_the_struct_itself_is_a_mistake_like_any_other() -> None:
    assert read(Strict, {"low": 2, "high": 1}) == (None, ["expected low <= high, got 2 > 1"])
    assert read(Grumpy, {}) == (None, ["KeyError"])


def test_a_struct_without_fields_expects_nothing() -> None:
    class Empty(Struct, frozen=True):
        pass

    assert read(Empty, {"speed": 1}) == (None, ["speed: unknown key, expected nothing here"])


def test_a_long_value_is_cut_and_a_secret_in_it_is_not_cut_in_half() -> None:
    long = "rtsp://operator:" + "p" * 100 + "@camera"
    _, problems = read(Outer, {"title": "t", "on": long})
    assert problems == ["on: expected true or false, got 'rtsp://***@camera'"]
    assert len(shown("x" * 1000)) == 80


def test_text_that_was_filled_in_is_shown_as_it_was_written_and_decoded_as_plain_text() -> None:
    secret = Filled("hunter2", "${env:PASSWORD}")
    assert read(Outer, {"title": "t", "mode": secret})[1] == ["mode: expected 'fast' or 'slow', got '${env:PASSWORD}'"]
    value, _ = read(Outer, {"title": secret, "names": [secret], "pairs": {}, "both": [secret]})
    assert type(value.title) is str
    assert {type(one) for one in (*value.names, *value.both)} == {str}
    assert value.title == "hunter2"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (str, "text"),
        (str | None, "text, optional"),
        (Annotated[int | None, Meta(ge=2)], "an integer at least 2, optional"),
        (dict[str, str], "a table of text"),
        (dict[str, Inner], "a table of tables"),
        (dict, "a table"),
        (tuple[str, ...], "a list of text"),
        (list[int], "a list of integers"),
        (str | tuple[str, ...], "text or a list of text"),
        (Literal["a", "b"], "'a' or 'b'"),
        (Colour, "'red' or 'blue'"),
        (Inner, "a table"),
        (bool, "true or false"),
        (Annotated[float, Meta(ge=0.1, le=2678400)], "a number from 0.1 to 2678400"),
        (Annotated[float, Meta(gt=0, le=86400)], "a number above 0, at most 86400"),
        (Annotated[int, Meta(lt=5, multiple_of=2)], "an integer below 5, a multiple of 2"),
        (Annotated[str, Meta(min_length=2, max_length=4)], "text, 2 characters at least, 4 characters at most"),
        (Annotated[str, Meta(pattern="^a")], "text that matches ^a"),
        (Annotated[Any, Meta(title="a folder")], "a folder"),
        (dt.datetime, "a date and time"),
        (Any, "anything"),
        (bytes, "bytes"),
    ],
)
def test_types_are_described_as_people_write_them(kind: Any, text: str) -> None:
    assert describe_type(kind) == text


def test_help_is_what_the_annotations_say_outermost_first() -> None:
    size = Annotated[int, Meta(description="in px")]
    assert help_of(Annotated[size, Meta(description="of the square")]) == "of the square; in px"
    assert help_of(int) == ""


def test_small_helpers() -> None:
    assert join_path("", "a") == "a"
    assert join_path("a", "b.c") == 'a."b.c"'
    assert suggest("treshold", ["images", "threshold"]) == " (did you mean 'threshold'?)"
    assert suggest("zzz", ["images"]) == ""
    assert struct_of(tuple[Inner, ...]) is Inner
    assert struct_of(Annotated[list[Inner] | None, Meta(min_length=1)]) is Inner
    assert struct_of(dict[str, Inner]) is None


SCALARS = (
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.datetimes()
    | st.dates()
    | st.times()
    | st.sampled_from(["demo", "av", "front", "rtsp://a:b@c/d?e=f"])
)
KEYS = st.text(max_size=8) | st.sampled_from(
    [*Profile.__struct_fields__, *Outer.__struct_fields__, "plugin", "options", "images", "threshold", "size"]
)
TOML = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)


@given(st.sampled_from([Outer, Profile, Inner, str | None, dict[str, int], tuple[Inner, ...], list[float]]), TOML)
def test_whatever_comes_is_decoded_or_noted_and_never_raised(kind: Any, data: Any) -> None:
    problems: list[Problem] = []
    value = decode(kind, data, "here", problems.append)
    assert (value is None) == bool(problems)
    assert all(problem.path.startswith("here") and problem.text for problem in problems)
