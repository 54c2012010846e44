"""Messages cannot be changed, say nothing of whom they show, and what they hold is never encoded."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import msgspec
import numpy as np
import pytest

from lfr_kernel import messages
from lfr_kernel.messages import (
    Alert,
    Biometric,
    BiometricErasedError,
    Expire,
    Faces,
    Frame,
    Match,
    Passage,
    Probe,
    ProbeRequest,
    Recall,
)

STRUCTS = sorted(
    (
        one
        for one in vars(messages).values()
        if isinstance(one, type) and issubclass(one, msgspec.Struct) and one is not msgspec.Struct
    ),
    key=lambda one: one.__name__,
)
FACE = 201
"""A value of pixels and numbers that would be seen in any text that shows them."""


def biometric(*shape: int) -> Biometric:
    return Biometric(np.full(shape, FACE, np.uint8))


class PictureOfSomebody:
    size = (4, 4)

    def rgb(self, width: int, height: int) -> Any:
        return np.full((height, width, 3), FACE, np.uint8)

    def patch(self, affine: Any, size: tuple[int, int]) -> Any:  # noqa: ARG002  (a contract)
        return np.full((size[1], size[0], 3), FACE, np.uint8)

    def __repr__(self) -> str:
        return "somebody"


TIMES = {"captured_at_ns": 1, "captured_monotonic_ns": 2}
HOLDERS: list[Any] = [
    Frame(camera="front", sequence=7, picture=PictureOfSomebody(), stream_ns=3, **TIMES),
    Faces(
        camera="front",
        sequence=7,
        missed=0,
        picture=PictureOfSomebody(),
        stream_ns=3,
        boxes=np.full((1, 4), FACE, np.float32),
        landmarks=np.full((1, 5, 2), FACE, np.float32),
        confidences=np.ones(1, np.float32),
        crops=biometric(1, 4, 4, 3),
        **TIMES,
    ),
    ProbeRequest(
        passage="p-1", number=0, camera="front", crop=biometric(4, 4, 3), quality=0.5, box=(FACE,) * 4, **TIMES
    ),
    Probe(
        passage="p-1",
        number=0,
        camera="front",
        template=biometric(8),
        crop=biometric(4, 4, 3),
        quality=0.5,
        box=(FACE,) * 4,
        embedded_monotonic_ns=4,
        **TIMES,
    ),
    Match(
        passage="p-1",
        camera="front",
        person="somebody",
        entry=0,
        generation=1,
        similarity=0.7,
        threshold=0.6,
        faces=2,
        quality=0.5,
        box=(FACE,) * 4,
        crop=biometric(4, 4, 3),
        **TIMES,
    ),
]


@pytest.mark.parametrize("kind", STRUCTS)
def test_messages_are_frozen_named_and_told_apart(kind: type[msgspec.Struct]) -> None:
    config = kind.__struct_config__
    assert config.frozen
    assert config.tag == kind.__name__
    if kind.__struct_fields__:
        with pytest.raises(TypeError, match="Extra positional arguments provided"):
            kind(*kind.__struct_fields__)
    assert not any(re.search(r"\bdict\b", str(annotation)) for annotation in kind.__annotations__.values())


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable type: 'Expire'"):
        Expire(before_ns=1).before_ns = 2  # type: ignore[misc]


@pytest.mark.parametrize("message", HOLDERS, ids=lambda one: type(one).__name__)
def test_what_holds_pixels_shows_none_and_compares_by_identity(message: Any) -> None:
    for text in (repr(message), str(message), f"{message}"):
        assert str(FACE) not in text
        assert "somebody" not in text
        assert "array" not in text
    assert message == message  # noqa: PLR0124  (identity)
    assert message != copy.copy(message)
    assert not type(message).__struct_config__.eq


@pytest.mark.parametrize("message", HOLDERS, ids=lambda one: type(one).__name__)
def test_what_holds_pixels_is_never_encoded(message: Any) -> None:
    for encode in (msgspec.json.encode, msgspec.msgpack.encode):
        with pytest.raises(TypeError):
            encode(message)


@pytest.mark.parametrize("message", HOLDERS[1:], ids=lambda one: type(one).__name__)
def test_what_holds_a_face_is_never_pickled(message: Any) -> None:
    with pytest.raises(TypeError, match="a Biometric is never encoded, pickled or copied"):
        pickle.dumps(message)


def test_whatever_holds_biometrics_can_be_erased() -> None:
    for kind in STRUCTS:
        if "Biometric" in kind.__annotations__.values():
            assert callable(getattr(kind, "erase", None)), kind


def test_a_biometric_is_overwritten_when_it_is_erased() -> None:
    array = np.full((2, 3), FACE, np.uint8)
    owner = Biometric(array)
    assert owner.array is array
    assert repr(owner) == "<Biometric uint8[2, 3]>"
    owner.erase()
    owner.erase()
    assert not array.any()
    assert owner.is_erased
    assert repr(owner) == "<Biometric erased>"
    with pytest.raises(BiometricErasedError, match="this crop or template was erased; nobody may use it any more"):
        _ = owner.array


def test_a_biometric_is_never_encoded_pickled_or_copied() -> None:
    owner = biometric(2)
    for encode in (msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins):
        with pytest.raises(TypeError):
            encode(owner)
    for carry in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="a Biometric is never encoded, pickled or copied"):
            carry(owner)


def test_erasing_a_message_erases_all_that_it_holds() -> None:
    probe = HOLDERS[3]
    template, crop = probe.template.array, probe.crop.array
    fresh = Probe(**{name: getattr(probe, name) for name in probe.__struct_fields__})
    fresh.erase()
    assert not template.any()
    assert not crop.any()


def test_what_leaves_the_process_can_be_encoded() -> None:
    alert = Alert(
        id="a",
        passage="p-1",
        camera="front",
        person="somebody",
        similarity=0.7,
        threshold=0.6,
        faces=2,
        quality=0.5,
        box=(1.0, 2.0, 3.0, 4.0),
        alerted_at_ns=5,
        alerted_monotonic_ns=6,
        model="digest",
        evidence="e",
        permit="demo",
        basis="NO REPORT",
        **TIMES,
    )
    assert msgspec.json.decode(msgspec.json.encode(alert), type=Alert) == alert
    kinds = Recall | Expire | Passage
    assert msgspec.json.decode(msgspec.json.encode(Recall(person="x")), type=kinds) == Recall(person="x")
