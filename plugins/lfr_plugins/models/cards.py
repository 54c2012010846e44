"""Model cards: what a weights file is, where it comes from, what it may be used for, and where it fails.

A card is all that the plugins `onnx` know of a model: how pixels become numbers, what its outputs mean, how they are
decoded. `lfr_plugins.models.rules` says which parts of a card must fit which.
"""

from __future__ import annotations

import hashlib
import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from lfr_kernel.api import PermanentError, Problem, decode
from lfr_plugins.models.rules import verify_card

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["Card", "CardError", "Figure", "Level", "Pixels", "Tensor", "Training", "built_in", "load_card", "read_card"]

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}\Z", title="1 to 64 lower-case letters, digits, - and _")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", title="a SHA-256: 64 hexadecimal digits in lower case")]
Text = Annotated[str, Meta(min_length=1)]
Positive = Annotated[float, Meta(gt=0)]
Size = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0.05, le=0.95)]
Point = tuple[float, float]
Role = Literal["pictures", "crops", "boxes", "scores", "landmarks", "classes", "objects", "template"]
Keypoint = Literal["left_eye", "right_eye", "nose", "left_mouth", "right_mouth"]


class CardError(PermanentError, ValueError):
    """A card cannot be used; the text lists every mistake with file and key path."""

    problems: tuple[str, ...]
    """Each mistake: key path, what was expected, what came."""

    def __init__(self, source: str, problems: list[str]) -> None:
        self.problems = tuple(problems)
        count = f"{len(problems)} mistakes" if len(problems) > 1 else "1 mistake"
        super().__init__(f"{source}: {count}\n" + "\n".join(f"  {source}: {problem}" for problem in problems))


class Tensor(Struct, frozen=True, forbid_unknown_fields=True):
    """One input or output of a model."""

    name: Text
    dtype: Literal["float32"]
    shape: tuple[Size | Text, ...]
    """Fixed sizes as numbers, others by name; the same name is the same size."""
    meaning: Text
    role: Role | None = None
    """What the plugin takes it for; an output without a role is not used."""
    stride: Size | None = None
    """Of an output that belongs to one level: which one, by its stride."""


class Pixels(Struct, frozen=True, forbid_unknown_fields=True):
    """How pixels become numbers: (value - mean) / scale."""

    order: Literal["RGB", "BGR"]
    mean: tuple[float, float, float]
    """One a channel, in `order`, for values from 0 to 255."""
    scale: Positive


class Level(Struct, frozen=True, forbid_unknown_fields=True):
    """One grid of anchors that a detector lays over a picture."""

    stride: Size
    """From one cell to the next, px of the picture that the model sees."""
    anchors: Annotated[tuple[Positive, ...], Meta(min_length=1, title="the sides of the anchors of one cell, px")]
    """Their sides in px, in the order of the output. Boxes of `retinaface` are relative to them; of `scrfd` and `yunet`
    only their number counts, since their boxes are measured in strides."""


class Training(Struct, frozen=True, forbid_unknown_fields=True):
    """What a model was made from."""

    data: Text
    provenance: Text


class Figure(Struct, frozen=True, forbid_unknown_fields=True):
    """One accuracy."""

    by: Literal["published", "measured"]
    on: Text
    """Data set and protocol."""
    metric: Text
    value: float


class Card(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known about one weights file."""

    name: Name
    file: Text
    """The weights, in the same folder as the card: `<name>.onnx`."""
    sha256: Digest
    """Of the weights, hexadecimal."""
    task: Literal["detection", "embedding"]
    summary: Text
    licence: Text
    """SPDX identifier, or the name of the licence."""
    use: Literal["any", "non-commercial", "research-only"]
    """What the licence allows. What is not `any` is loaded only with a reference to a licence of one's own."""
    origin: Text
    pixels: Pixels
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    training: Training
    accuracy: tuple[Figure, ...]
    limits: Annotated[tuple[Text, ...], Meta(min_length=1)]
    head: Literal["retinaface", "scrfd", "yunet"] | None = None
    """Of a detector: how its outputs are decoded."""
    levels: tuple[Level, ...] = ()
    """Of a detector: its grids of anchors, in the order of the output."""
    keypoints: tuple[Keypoint, Keypoint, Keypoint, Keypoint, Keypoint] = (
        "left_eye",
        "right_eye",
        "nose",
        "left_mouth",
        "right_mouth",
    )
    """Of a detector: the order of its landmarks; left and right are those of the image."""
    nms_overlap: Share = 0.4
    """Of a detector: intersection over union above which the weaker of two boxes is dropped."""
    smallest_face_px: Positive | None = None
    """Of a detector: width of the smallest face it finds in the picture that it sees, px."""
    dimension: Size | None = None
    """Of an embedder: the length of a template."""
    crop_size: tuple[Size, Size] | None = None
    """Of an embedder: (width, height) of its crops, px."""
    landmark_template: tuple[Point, Point, Point, Point, Point] | None = None
    """Of an embedder: where the five landmarks lie in a crop, px."""
    is_normalised: bool | None = None
    """Of an embedder: whether the model's output has length 1; if not, the plugin sees to it."""

    def use_digest(self) -> str:
        """Return a short digest of how the model is used, which is as much a part of it as its weights."""
        told = {name: value for name, value in msgspec.to_builtins(self).items() if name not in _ABOUT}
        return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()[:16]


_ABOUT = frozenset({"name", "file", "sha256", "summary", "licence", "use", "origin", "training", "accuracy", "limits"})
"""What a card says of a model without any say in what it computes."""


def built_in() -> Traversable:
    """Return the folder of the built-in weights and cards, wherever the package is installed."""
    return files("lfr_plugins.models")


def load_card(name: str, *, folder: Traversable | None = None) -> Card:
    """Read `<name>.toml`.

    Args:
        name: such as `mobilefacenet`.
        folder: where to look; the built-in models when None.

    Raises:
        PermanentError: there is no such card.
        CardError: it cannot be used; every mistake is named.
    """
    path = (folder or built_in()) / f"{name}.toml"
    try:
        card = read_card(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        raise PermanentError(
            f"model {name!r} has no card: expected {path}; give the name of a model that is installed, or reinstall "
            "lfr-kernel if this is a built-in one"
        ) from error
    except OSError as error:
        raise PermanentError(f"the card {path} of model {name!r} cannot be read: {error.strerror or error}") from error
    if card.name != name:
        raise CardError(str(path), [f"name: expected {name!r}, that of the file, got {card.name!r}"])
    return card


def read_card(text: bytes, source: str) -> Card:
    """Understand a card.

    Args:
        text: TOML.
        source: the file, for messages.

    Raises:
        CardError: it cannot be used; every mistake is named.
    """
    try:
        data: dict[str, Any] = tomllib.loads(text.decode("utf-8-sig"))
    except ValueError as error:  # of UTF-8, or of TOML
        raise CardError(source, [f"expected TOML, got a syntax error: {error}"]) from error
    problems: list[Problem] = []
    card: Card | None = decode(Card, data, "", problems.append)
    # The rules judge the raw data: it can be judged where the rest is wrong, so that all mistakes come at once.
    known = {problem.path for problem in problems}
    problems += [problem for problem in verify_card(data) if problem.path not in known]
    if problems or card is None:
        raise CardError(source, [str(problem) for problem in problems])
    return card
