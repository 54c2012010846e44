"""Cards: what they say of the bundled models, and that every mistake in one is named at once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.api import PermanentError
from lfr_plugins.models import load_card
from lfr_plugins.models.cards import CardError, built_in, read_card
from lfr_plugins.models.rules import verify_card
from plugins import zoo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = ["mobilefacenet", "retinaface_mnet025"]
DETECTOR, EMBEDDER = zoo.scrfd_card(b"weights"), zoo.arcface_card(b"weights")


@pytest.mark.parametrize("name", NAMES)
def test_a_card_describes_the_weights_beside_it(name: str) -> None:
    card = load_card(name)
    assert card.name == name
    assert hashlib.sha256((built_in() / card.file).read_bytes()).hexdigest() == card.sha256
    assert card.licence in {"MIT", "Apache-2.0"}
    assert card.use == "any"
    assert card.limits
    assert {one.by for one in card.accuracy} <= {"published", "measured"}
    assert all(0 < one.value <= 1 for one in card.accuracy)


def test_the_embedders_card_says_that_its_training_data_was_withdrawn() -> None:
    training = load_card("mobilefacenet").training
    assert "MS-Celeb-1M" in training.data
    assert "withdrew" in training.provenance
    assert "without asking" in training.provenance


def test_a_missing_card_is_named() -> None:
    with pytest.raises(PermanentError, match=r"model 'nothing' has no card: expected .*nothing\.toml"):
        load_card("nothing")


def test_a_card_in_a_file_of_another_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(zoo.as_toml(DETECTOR), encoding="utf-8")
    with pytest.raises(CardError, match=r"other\.toml: name: expected 'other', that of the file, got 'small'"):
        load_card("other", folder=tmp_path)


def test_reading_a_card_does_not_import_the_runtime() -> None:
    program = (
        "import sys; from lfr_plugins.models import load_card; load_card('mobilefacenet');"
        "sys.exit('onnxruntime' in sys.modules or 'cv2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603  (our own text)


def mistakes(card: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(CardError) as error:
        read_card(zoo.as_toml(card).encode(), "small.toml")
    for problem in error.value.problems:
        assert f"small.toml: {problem}" in str(error.value)
    return error.value.problems


def without(card: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in card.items() if key not in keys}


def outputs(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> dict[str, Any]:
    return DETECTOR | {"outputs": change([dict(one) for one in DETECTOR["outputs"]])}


def test_good_cards_have_no_mistakes() -> None:
    for card in (DETECTOR, EMBEDDER, zoo.yunet_card(b"weights")):
        assert verify_card(card) == []
        assert read_card(zoo.as_toml(card).encode(), "small.toml").name == card["name"]


@pytest.mark.parametrize(
    ("card", "problem"),
    [
        (DETECTOR | {"emotion": True}, "emotion: unknown key, expected one of: name, file"),
        (DETECTOR | {"sha256": "X"}, "sha256: expected a SHA-256: 64 hexadecimal digits in lower case, got 'X'"),
        (DETECTOR | {"use": "reserch-only"}, "(did you mean 'research-only'?)"),
        (DETECTOR | {"file": "../../etc/shadow"}, "file: expected 'small.onnx', the weights beside the card, got '../"),
        (DETECTOR | {"limits": []}, "limits: expected a list of text, not empty"),
        (without(EMBEDDER, "dimension"), 'dimension: missing: a card with task = "embedding" must state it'),
        (without(EMBEDDER, "is_normalised"), "is_normalised: missing"),
        (without(DETECTOR, "head"), 'head: missing: a card with task = "detection" must state it'),
        (without(DETECTOR, "smallest_face_px"), "smallest_face_px: missing"),
        (DETECTOR | {"dimension": 9}, 'dimension: expected nothing here: it belongs to task = "embedding"'),
        (EMBEDDER | {"nms_overlap": 0.4}, "nms_overlap: expected nothing here"),
        (
            outputs(lambda all_: all_[1:]),
            "outputs: expected one output with role = 'scores' and stride = 8 for head 'scrfd', got none",
        ),
        (
            outputs(lambda all_: [*all_, all_[0] | {"name": "again"}]),
            "outputs: expected one output with role = 'scores' and stride = 8 for head 'scrfd', got 2",
        ),
        (
            outputs(lambda all_: [*all_, zoo.tensor("x", ["A", 1], "objects", 8)]),
            "outputs[9]: expected an output that head 'scrfd' takes (role = 'boxes' and stride = 8; ",
        ),
        (
            outputs(lambda all_: [all_[0], all_[1] | {"shape": ["A8", 5]}, *all_[2:]]),
            "outputs[1].shape: expected 4 at its end (boxes), got ['A8', 5]",
        ),
        (
            DETECTOR | {"head": "retinaface"},
            "outputs: expected one output with role = 'boxes' for head 'retinaface', got",
        ),
        (DETECTOR | {"levels": []}, "levels: expected one [[levels]] table or more, got none"),
        (
            DETECTOR | {"levels": [{"stride": 12, "anchors": [1]}, *DETECTOR["levels"][1:]]},
            "levels[0].stride: expected a divisor of 32, a picture's side, got 12",
        ),
        (
            zoo.scrfd_card(b"", size=(320, 200)),
            "levels[1].stride: expected a divisor of 200, a picture's side, got 16",
        ),
        (
            DETECTOR | {"levels": [*DETECTOR["levels"], {"stride": 8, "anchors": [1]}]},
            "levels[3].stride: expected a stride that no other level has, got 8",
        ),
        (
            zoo.yunet_card(b"", levels=[{"stride": one, "anchors": [1, 2]} for one in zoo.STRIDES]),
            "levels[0].anchors: expected one anchor a cell for head 'yunet', got 2",
        ),
        (DETECTOR | {"keypoints": ["nose"] * 5}, "keypoints: expected each of the five once, got ['nose', "),
        (
            DETECTOR | {"inputs": [zoo.tensor("input", [1, "H", "W", 3], "pictures")]},
            "inputs[0].shape: expected [batch, 3, height, width], got [1, 'H', 'W', 3]",
        ),
        (
            DETECTOR | {"inputs": [zoo.tensor("input", [2, 3, "H", "W"], "pictures")]},
            "inputs[0].shape: expected a batch of 1 or an open one, got 2",
        ),
        (
            DETECTOR | {"inputs": [zoo.tensor("input", [1, 3, 640, "W"], "pictures")]},
            "inputs[0].shape: expected height and width both fixed or both open, got [640, 'W']",
        ),
        (DETECTOR | {"inputs": []}, "inputs: expected one input, got 0"),
        (
            EMBEDDER | {"inputs": [zoo.tensor("data", ["B", 3, 160, 112], "crops")]},
            "inputs[0].shape: expected height and width of crop_size [112, 112], got [160, 112]",
        ),
        (EMBEDDER | {"dimension": 512}, "outputs[0].shape: expected 512 at its end (template), got ['B', 16]"),
        (
            EMBEDDER | {"landmark_template": [*zoo.TEMPLATE[:4], [300, 92.2]]},
            "landmark_template[4]: expected a point within crop_size [112, 112], got [300, 92.2]",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(card: dict[str, Any], problem: str) -> None:
    assert any(problem in one for one in mistakes(card)), mistakes(card)


def test_mistakes_of_both_kinds_come_at_once() -> None:
    card = without(EMBEDDER, "dimension", "licence") | {"use": "all", "file": "x.onnx", "is_normalized": True}
    every = mistakes(card)
    found = "\n".join(every)
    for path in ("dimension: missing", "licence: missing", "use: expected 'any' or", "file: expected", "is_normalized"):
        assert path in found
    assert len(every) == 5


def test_what_is_no_toml_is_one_mistake() -> None:
    for text in (b"name = ", b"\xff\xfe", b"[[pixels"):
        with pytest.raises(CardError, match=r"1 mistake\n  small\.toml: expected TOML, got a syntax error"):
            read_card(text, "small.toml")


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 700) | st.floats() | st.sampled_from(["scrfd", "boxes", "nose", ""]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(list(zoo.tensor("", [], "x", 1))), inner)
    ),
    max_leaves=8,
)


@given(
    card=st.sampled_from([DETECTOR, EMBEDDER]),
    changes=st.dictionaries(st.sampled_from(sorted({*DETECTOR, *EMBEDDER})), anything, max_size=4),
)
def test_the_rules_judge_whatever_they_are_given(card: dict[str, Any], changes: dict[str, Any]) -> None:
    for problem in verify_card(card | changes):
        assert problem.path
        assert problem.text


def test_how_a_model_is_used_is_part_of_it_and_what_is_told_about_it_is_not() -> None:
    card = load_card("mobilefacenet")
    same = msgspec.structs.replace(card, summary="another summary", limits=("none known",))
    other = msgspec.structs.replace(card, pixels=msgspec.structs.replace(card.pixels, order="BGR"))
    assert same.use_digest() == card.use_digest() != other.use_digest()


def test_a_card_must_say_what_the_licence_allows() -> None:
    text = (built_in() / "mobilefacenet.toml").read_text(encoding="utf-8").replace('use = "any"\n', "")
    with pytest.raises(CardError, match="use: missing"):
        read_card(text.encode(), "mine.toml")
