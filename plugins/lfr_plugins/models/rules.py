"""Which parts of a card must fit which: one rule a function, each over the raw data, so that all can be judged."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import TYPE_CHECKING, Any

from lfr_kernel.api import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CELL", "ROLES", "verify_card"]

CELL = 32
"""Sides of a picture are multiples of this where a model leaves them open, px."""
PER_TASK = {
    "detection": ("head", "levels", "smallest_face_px"),
    "embedding": ("dimension", "crop_size", "landmark_template", "is_normalised"),
}
OPTIONAL = {"detection": ("keypoints", "nms_overlap"), "embedding": ()}
INPUTS = {"detection": "pictures", "embedding": "crops"}
ROLES = {
    "retinaface": ("boxes", "scores", "landmarks"),
    "scrfd": ("boxes", "scores", "landmarks"),
    "yunet": ("boxes", "classes", "objects", "landmarks"),
}
"""The outputs that each head needs; `retinaface` once, the others once a level."""
WIDTHS = {"boxes": (4,), "scores": (1, 2), "landmarks": (10,), "classes": (1,), "objects": (1,)}
CHANNELS = 3
RANK = 4


def verify_card(data: dict[str, Any]) -> list[Problem]:
    """Return what does not fit in a card, whatever else is wrong with it."""
    task = data.get("task")
    if not isinstance(task, str) or task not in PER_TASK:
        return list(_file(data))
    rules = [_file(data), _keys(data, task), _input(data, task), _outputs(data, task)]
    rules += [_levels(data), _keypoints(data)] if task == "detection" else [_embedding(data)]
    return [problem for rule in rules for problem in rule]


def _file(data: dict[str, Any]) -> Iterator[Problem]:
    """The weights lie beside the card, under its name: a card cannot point anywhere else."""
    name, file = data.get("name"), data.get("file")
    if isinstance(name, str) and isinstance(file, str) and file != f"{name}.onnx":
        yield Problem("file", f"expected '{name}.onnx', the weights beside the card, got {file!r}")


def _keys(data: dict[str, Any], task: str) -> Iterator[Problem]:
    for key in PER_TASK[task]:
        if key not in data:
            yield Problem(key, f'missing: a card with task = "{task}" must state it')
    (other,) = set(PER_TASK) - {task}
    for key in (*PER_TASK[other], *OPTIONAL[other]):
        if key in data:
            yield Problem(key, f'expected nothing here: it belongs to task = "{other}", and this card has "{task}"')


def _input(data: dict[str, Any], task: str) -> Iterator[Problem]:
    inputs = _tensors(data, "inputs")
    if "inputs" in data and len(inputs) != 1:
        yield Problem("inputs", f"expected one input, got {len(inputs)}")
        return
    for path, tensor in inputs:
        if tensor.get("role", INPUTS[task]) != INPUTS[task]:
            yield Problem(f"{path}.role", f"expected {INPUTS[task]!r}, got {tensor['role']!r}")
        shape = _shape(tensor)
        if shape is None:
            continue
        if len(shape) != RANK or shape[1] != CHANNELS:
            yield Problem(f"{path}.shape", f"expected [batch, {CHANNELS}, height, width], got {shape}")
        elif task == "detection" and (isinstance(shape[0], int) and shape[0] != 1):
            yield Problem(f"{path}.shape", f"expected a batch of 1 or an open one, got {shape[0]}")
        elif task == "detection" and isinstance(shape[2], int) != isinstance(shape[3], int):
            yield Problem(f"{path}.shape", f"expected height and width both fixed or both open, got {shape[2:]}")
        elif task == "embedding" and (size := data.get("crop_size")) != shape[:1:-1] and isinstance(size, list):
            yield Problem(f"{path}.shape", f"expected height and width of crop_size {size}, got {shape[2:]}")


def _outputs(data: dict[str, Any], task: str) -> Iterator[Problem]:
    """There is exactly one output for everything that the head decodes, with as many numbers an anchor as it takes."""
    head = data.get("head")
    if "outputs" not in data or (task == "detection" and not (isinstance(head, str) and head in ROLES)):
        return
    wanted, whose = _wanted(data, task)
    outputs = [(path, one) for path, one in _tensors(data, "outputs") if one.get("role") is not None]
    found = Counter((str(one["role"]), _stride(one)) for _, one in outputs)
    for role, stride in wanted:
        if found[role, stride] != 1:
            count = found[role, stride] or "none"
            yield Problem("outputs", f"expected one output with {_called(role, stride)} for {whose}, got {count}")
    for path, one in outputs:
        role, stride = str(one["role"]), _stride(one)
        if (role, stride) not in wanted:
            there = "; ".join(_called(*each) for each in wanted)
            yield Problem(path, f"expected an output that {whose} takes ({there}), got {_called(role, stride)}")
            continue
        widths = (data.get("dimension"),) if role == "template" else WIDTHS[role]
        shape = _shape(one)
        if shape and isinstance(shape[-1], int) and isinstance(widths[0], int) and shape[-1] not in widths:
            last = " or ".join(str(width) for width in widths)
            yield Problem(f"{path}.shape", f"expected {last} at its end ({role}), got {shape}")


def _wanted(data: dict[str, Any], task: str) -> tuple[list[tuple[str, int | None]], str]:
    if task == "embedding":
        return [("template", None)], "an embedder"
    head = data["head"]
    strides: list[int | None] = [None]
    if head != "retinaface":
        strides = [_stride(one) for _, one in _tensors(data, "levels")]
    return list(product(ROLES[head], strides)), f"head {head!r}"


def _called(role: str, stride: int | None) -> str:
    return f"role = {role!r}" + ("" if stride is None else f" and stride = {stride}")


def _levels(data: dict[str, Any]) -> Iterator[Problem]:
    """The grids cover a picture evenly."""
    shape = next((_shape(tensor) for _, tensor in _tensors(data, "inputs")), None) or []
    fixed = [side for side in shape[2:] if isinstance(side, int)]
    seen: set[int] = set()
    if "levels" in data and not _tensors(data, "levels"):
        yield Problem("levels", "expected one [[levels]] table or more, got none")
    for path, level in _tensors(data, "levels"):
        stride, anchors = _stride(level), level.get("anchors")
        if stride is not None and stride > 0:
            if stride in seen:
                yield Problem(f"{path}.stride", f"expected a stride that no other level has, got {stride}")
            seen.add(stride)
            for side in fixed or [CELL]:
                if side % stride:
                    yield Problem(f"{path}.stride", f"expected a divisor of {side}, a picture's side, got {stride}")
        if data.get("head") == "yunet" and isinstance(anchors, list) and len(anchors) > 1:
            yield Problem(f"{path}.anchors", f"expected one anchor a cell for head 'yunet', got {len(anchors)}")


def _keypoints(data: dict[str, Any]) -> Iterator[Problem]:
    given = data.get("keypoints")
    if isinstance(given, list) and len({str(one) for one in given}) != len(given):
        yield Problem("keypoints", f"expected each of the five once, got {given}")


def _embedding(data: dict[str, Any]) -> Iterator[Problem]:
    size, template = data.get("crop_size"), data.get("landmark_template")
    if not isinstance(size, list) or not _numbers(size, 2) or not isinstance(template, list):
        return
    for number, point in enumerate(template):
        if _numbers(point, 2) and not all(0 <= at <= side for at, side in zip(point, size, strict=True)):
            yield Problem(f"landmark_template[{number}]", f"expected a point within crop_size {size}, got {point}")


def _numbers(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(isinstance(one, int | float) for one in value)


def _stride(table: dict[str, Any]) -> int | None:
    stride = table.get("stride")
    return stride if isinstance(stride, int) else None


def _shape(tensor: dict[str, Any]) -> list[Any] | None:
    shape = tensor.get("shape")
    return shape if isinstance(shape, list) else None


def _tensors(data: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
    """Return (key path, table) of each entry of a list of tables, as far as it is one."""
    found = data.get(key)
    entries = found if isinstance(found, list) else []
    return [(f"{key}[{number}]", one) for number, one in enumerate(entries) if isinstance(one, dict)]
