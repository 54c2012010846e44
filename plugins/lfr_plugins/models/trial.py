"""Does a model do what its card says? Its names and shapes, and one inference on an input that is always the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lfr_kernel.api import PermanentError, describe
from lfr_plugins.models.rules import CELL
from lfr_plugins.models.sessions import open_session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import onnxruntime as ort  # type: ignore[import-untyped]
    from numpy.typing import NDArray

    from lfr_plugins.models.cards import Card, Tensor

__all__ = ["try_model"]

PICTURE = (10 * CELL, 6 * CELL)
"""(width, height) in px of what a detector is tried on, where its model leaves that open."""
LENGTH_TOLERANCE = 1e-2
FLOAT = "tensor(float)"


def try_model(card: Card, weights: bytes, source: str) -> None:
    """Load a model on the CPU and run it once.

    Args:
        card: what it should be.
        weights: an ONNX model.
        source: the file, for messages.

    Raises:
        PermanentError: it cannot be loaded, cannot be run, or is not what the card says; the text lists every
            difference.
    """
    session, _ = open_session(weights, source, device="cpu")
    mistakes = list(_declared("inputs", card.inputs, session.get_inputs()))
    mistakes += _declared("outputs", card.outputs, session.get_outputs())
    if not mistakes:
        mistakes += _run(card, session)
    if mistakes:
        raise PermanentError(
            f"{source} is not what the card of model {card.name!r} says:\n"
            + "\n".join(f"  {one}" for one in mistakes)
            + "\n  correct the card, or give the weights that it describes"
        )


def _declared(what: str, stated: Sequence[Tensor], found: Sequence[Any]) -> Iterator[str]:
    """Compare names, types and fixed sizes with what the model declares."""
    by_name = {one.name: one for one in found}
    if what == "inputs" and len(found) != len(stated):
        yield f"inputs: expected {len(stated)}, the model has {len(found)}: {', '.join(map(repr, by_name))}"
    for number, tensor in enumerate(stated):
        path, actual = f"{what}[{number}]", by_name.get(tensor.name)
        if actual is None:
            yield f"{path}.name: expected {tensor.name!r}, the model has {', '.join(map(repr, by_name))}"
            continue
        if actual.type != FLOAT:
            yield f"{path}.dtype: expected float32, the model has {actual.type}"
        shape = actual.shape
        if shape and not _may_be(tensor.shape, shape):
            yield f"{path}.shape: expected {list(tensor.shape)}, the model has {shape}"


def _may_be(stated: Sequence[int | str], declared: Sequence[Any]) -> bool:
    """Return whether a declared shape can be the stated one: what either leaves open is left to the run."""
    return len(stated) == len(declared) and all(
        not (isinstance(size, int) and isinstance(want, int)) or size == want
        for want, size in zip(stated, declared, strict=True)
    )


def _run(card: Card, session: ort.InferenceSession) -> Iterator[str]:
    (wanted,) = card.inputs
    tensor = _input(wanted)
    names = [one.name for one in card.outputs]
    try:
        outputs: list[NDArray[np.float32]] = session.run(names, {wanted.name: tensor})
    except Exception as error:  # noqa: BLE001  (ONNX Runtime's exceptions share no base class but Exception)
        yield f"inputs[0].shape: the model cannot be run on {list(tensor.shape)}: {describe(error)}"
        return
    known: dict[str, int] = {}
    for path, stated, array in [
        ("inputs[0]", wanted, tensor),
        *((f"outputs[{number}]", one, outputs[number]) for number, one in enumerate(card.outputs)),
    ]:
        if not _agree(stated.shape, array.shape, known):
            sizes = ", ".join(f"{name} = {size}" for name, size in known.items())
            yield f"{path}.shape: expected {list(stated.shape)} ({sizes}), got {list(array.shape)} from a run"
        elif not np.isfinite(array).all():
            yield f"{path}: expected finite numbers, got others from a run"
    for number, one in enumerate(card.outputs):
        if one.role == "template":
            yield from _template(f"outputs[{number}]", card, outputs[number])
        elif one.role is not None:
            yield from _anchors(f"outputs[{number}]", card, one, outputs[number], tensor.shape)


def _input(wanted: Tensor) -> NDArray[np.float32]:
    """Return noise of the stated shape, always the same."""
    sizes = (1, 3, PICTURE[1], PICTURE[0])
    shape = [size if isinstance(size, int) else usual for size, usual in zip(wanted.shape, sizes, strict=True)]
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def _agree(stated: Sequence[int | str], shape: Sequence[int], known: dict[str, int]) -> bool:
    """Return whether a shape is the stated one, where a name is the same size everywhere."""
    return len(stated) == len(shape) and all(
        size == (want if isinstance(want, int) else known.setdefault(want, size))
        for want, size in zip(stated, shape, strict=True)
    )


def _template(path: str, card: Card, array: NDArray[np.float32]) -> Iterator[str]:
    if array.shape[-1] != card.dimension:
        yield f"dimension: expected {card.dimension}, {path} has {array.shape[-1]} from a run"
        return
    lengths = np.linalg.norm(array, axis=-1)
    if card.is_normalised and not (np.abs(lengths - 1) <= LENGTH_TOLERANCE).all():
        yield f"is_normalised: expected templates of length 1, got {lengths.max():.4g} from a run; set it to false"
    if not (lengths > 0).all():
        yield f"{path}: expected a template, got zeros from a run"


def _anchors(path: str, card: Card, one: Tensor, array: NDArray[np.float32], picture: Sequence[int]) -> Iterator[str]:
    """There is a row for each anchor of the level, or of all levels."""
    wanted = sum(
        (picture[2] // level.stride) * (picture[3] // level.stride) * len(level.anchors)
        for level in card.levels
        if one.stride in {None, level.stride}
    )
    rows = array.size // array.shape[-1] if array.ndim and array.shape[-1] else 0
    if rows != wanted:
        yield (
            f"{path}: expected {wanted} anchors in a picture of {picture[3]}x{picture[2]}, as [[levels]] make them, "
            f"got {rows} from a run"
        )
