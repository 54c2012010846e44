"""Model cards: what a weights file is, where it comes from, what it was measured to do, and where it fails."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from lfr_kernel.api import PermanentError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["Card", "Figure", "Pixels", "Tensor", "Training", "built_in", "load_card"]

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Point = tuple[float, float]


class Tensor(Struct, frozen=True, forbid_unknown_fields=True):
    """One input or output of a model."""

    name: str
    dtype: Literal["float32"]
    shape: tuple[int | str, ...]
    """Fixed sizes as numbers, others by name."""
    meaning: str


class Pixels(Struct, frozen=True, forbid_unknown_fields=True):
    """How pixels become numbers: (value - mean) / scale."""

    order: Literal["RGB", "BGR"]
    mean: tuple[float, float, float]
    """One a channel, in `order`, for values from 0 to 255."""
    scale: float


class Training(Struct, frozen=True, forbid_unknown_fields=True):
    """What a model was made from."""

    data: str
    provenance: str


class Figure(Struct, frozen=True, forbid_unknown_fields=True):
    """One accuracy."""

    by: Literal["published", "measured"]
    on: str
    """Data set and protocol."""
    metric: str
    value: float


class Card(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known about one weights file."""

    name: str
    file: str
    """The weights, in the same folder as the card."""
    sha256: Digest
    """Of the weights, hexadecimal."""
    task: Literal["detection", "embedding"]
    summary: str
    licence: str
    """SPDX identifier."""
    origin: str
    pixels: Pixels
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    training: Training
    accuracy: tuple[Figure, ...]
    limits: tuple[str, ...]
    dimension: int | None = None
    """Of an embedding: the length of a template."""
    crop_size: tuple[int, int] | None = None
    """Of an embedding: (width, height) of its crops, px."""
    landmark_template: tuple[Point, Point, Point, Point, Point] | None = None
    """Of an embedding: where the five landmarks lie in a crop, px."""


def built_in() -> Traversable:
    """Return the folder of the built-in weights and cards, wherever the package is installed."""
    return files("lfr_plugins.models")


def load_card(name: str, *, folder: Traversable | None = None) -> Card:
    """Read `<name>.toml`.

    Args:
        name: such as `mobilefacenet`.
        folder: where to look; the built-in models when None.

    Raises:
        PermanentError: there is no such card, or it cannot be understood; the text says what is wrong with it.
    """
    path = (folder or built_in()) / f"{name}.toml"
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Card)
    except FileNotFoundError as error:
        raise PermanentError(
            f"model {name!r} has no card: expected {path}; give the name of a model that is installed, or reinstall "
            "lfr-kernel if this is a built-in one"
        ) from error
    except msgspec.DecodeError as error:
        raise PermanentError(f"the card {path} of model {name!r} cannot be read: {error}; correct it") from error
