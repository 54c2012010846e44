"""Secrets stay out of everything that is shown."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.redaction import MASK, Filled, Redactor


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("rtsp://user:pass@camera/stream", "rtsp://***@camera/stream"),
        ("rtsp://user:p@ss/w?rd@camera/stream", "rtsp://***@camera/stream"),
        ("http://camera/stream?user=admin&pwd=1", "http://camera/stream?***"),
        ("'http://a:b@c?d=e', 'http://f:g@h'", "'http://***@c?***', 'http://***@h'"),
        ("did you mean rtsp://camera? yes", "did you mean rtsp://camera? yes"),
        ("/videos/a@b.mp4", "/videos/a@b.mp4"),
        ("", ""),
    ],
)
def test_what_a_url_would_show_is_masked(text: str, masked: str) -> None:
    assert Redactor()(text) == masked


def test_known_secrets_are_masked_longest_first_and_as_urls_spell_them() -> None:
    redact = Redactor(["hunter", "hunter2", "p@ss word", "a%2Fb", ""])
    assert redact("hunter2 and hunter") == "*** and ***"
    assert redact("p@ss word, p%40ss%20word") == "***, ***"
    assert redact("a%2Fb and a/b") == "*** and ***"


def test_one_or_two_characters_are_no_secret() -> None:
    assert Redactor(["1", "ab"])("1 ab 11 cab") == "1 ab 11 cab"


def test_structures_are_masked_text_by_text_so_that_they_stay_valid() -> None:
    redact = Redactor(["640", 'qu"ote'])
    facts = {"width": 640, "text": 'x 640 qu"ote', "list": ["640", 1.5, None, True], 640: {"deep": ("640",)}}
    masked = redact.mask(facts)
    assert masked == {"width": 640, "text": "x *** ***", "list": [MASK, 1.5, None, True], MASK: {"deep": [MASK]}}
    assert json.loads(json.dumps(masked)) == masked


def test_log_lines_are_masked_in_every_fact() -> None:
    class Secretive:
        def __repr__(self) -> str:
            return "Secretive(hunter2)"

    event = {"event": "hunter2", "facts": ["hunter2"], "what": Secretive(), "n": 3}
    masked = Redactor(["hunter2"]).processor(None, "info", event)
    assert masked == {"event": MASK, "facts": [MASK], "what": "Secretive(***)", "n": 3}


def test_filled_in_text_prints_as_written_and_is_what_it_stands_for() -> None:
    text = Filled("hunter2", "${env:PASSWORD}")
    assert text == "hunter2"
    assert repr(text) == "'${env:PASSWORD}'"
    assert repr([text]) == "['${env:PASSWORD}']"
    for twin in (pickle.loads(pickle.dumps(text)), copy.deepcopy(text)):  # noqa: S301  (our own bytes)
        assert (str(twin), repr(twin)) == ("hunter2", repr(text))


@given(st.text(min_size=3).filter(lambda text: "*" not in text), st.text(), st.text())
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    assert secret not in Redactor([secret])(before + secret + after)
