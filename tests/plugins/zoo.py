"""Small models that are made on the spot, each a real ONNX graph with a card: what they compute can be foretold."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from lfr_kernel.cli.settings import toml_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto

STRIDES = (8, 16, 32)
WIDTHS = {"scores": 1, "boxes": 4, "landmarks": 10}
TEMPLATE = [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
LARGE = {"pixels": {"order": "RGB", "mean": [127.5, 127.5, 127.5], "scale": 128.0}}


def serialised(graph: GraphProto) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    found: bytes = model.SerializeToString()
    return found


def a_card(weights: bytes, **facts: Any) -> dict[str, Any]:
    """Return what every card needs, and `facts`; None takes a key away."""
    name = facts.get("name", "small")
    card: dict[str, Any] = {
        "name": name,
        "file": f"{name}.onnx",
        "sha256": hashlib.sha256(weights).hexdigest(),
        "summary": "A small model for tests.",
        "licence": "CC0-1.0",
        "use": "any",
        "origin": "Made by the test.",
        "limits": ["It recognises nobody."],
        "training": {"data": "None.", "provenance": "None."},
        "accuracy": [],
    }
    return {key: value for key, value in (card | LARGE | facts).items() if value is not None}


def as_toml(card: dict[str, Any]) -> str:
    return "".join(f"{key} = {toml_of(value)}\n" for key, value in card.items())


def put(folder: Path, card: dict[str, Any], weights: bytes, *, reference: str | None = None) -> str:
    """Put a model into a store as if it had been added; return its name."""
    folder.mkdir(parents=True, exist_ok=True)
    name: str = card["name"]
    (folder / f"{name}.toml").write_text(as_toml(card), encoding="utf-8")
    (folder / f"{name}.onnx").write_bytes(weights)
    if reference is not None:
        (folder / f"{name}.licence").write_text(f"{reference}\n", encoding="utf-8")
    return name


def tensor(name: str, shape: list[int | str], role: str | None, stride: int | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "dtype": "float32", "shape": shape, "meaning": "see zoo.py"}
    return found | ({} if role is None else {"role": role}) | ({} if stride is None else {"stride": stride})


# --- SCRFD: one convolution a level and output, over cells that do not overlap


def scrfd(seed: int = 0, *, size: tuple[int, int] | None = None, anchors: int = 2, rank: int = 2) -> bytes:
    """Return a detector whose scores are how red a cell is, and whose boxes and landmarks are a random function of it.

    Args:
        seed: of boxes and landmarks.
        size: (width, height) of its input; open when None.
        anchors: a cell.
        rank: of its outputs: 2 for [A, n], as InsightFace exports them, 3 for [1, A, n].
    """
    rng = np.random.default_rng(seed)
    nodes: list[NodeProto] = []
    constants, outputs = [], []
    for stride in STRIDES:
        for role, width in WIDTHS.items():
            name, channels = f"{role}_{stride}", anchors * width
            kernel = np.zeros((channels, 3, stride, stride), np.float32)
            if role == "scores":
                # The second anchor of a cell is less sure than the first: 0.9 of it.
                bias = np.full(channels, 0.5, np.float32) * 0.9 ** np.arange(channels, dtype=np.float32)
                kernel[:, 0] = (0.5 * 0.9 ** np.arange(channels) / stride**2)[:, None, None]
            else:
                low, high = (1.0, 3.0) if role == "boxes" else (-1.0, 1.0)
                bias = rng.uniform(low, high, channels).astype(np.float32)
                kernel[:, 1] = (rng.uniform(-0.3, 0.3, channels) / stride**2)[:, None, None]
            shape = np.array([-1, width] if rank == 2 else [1, -1, width], np.int64)
            constants += [
                numpy_helper.from_array(kernel, f"{name}/kernel"),
                numpy_helper.from_array(bias.astype(np.float32), f"{name}/bias"),
                numpy_helper.from_array(shape, f"{name}/shape"),
            ]
            nodes += [
                helper.make_node(
                    "Conv", ["input", f"{name}/kernel", f"{name}/bias"], [f"{name}/map"], strides=[stride, stride]
                ),
                helper.make_node("Transpose", [f"{name}/map"], [f"{name}/rows"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"{name}/rows", f"{name}/shape"], [name]),
            ]
            declared = [f"A{stride}", width] if rank == 2 else [1, f"A{stride}", width]
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, declared))
    width_height = ["H", "W"] if size is None else [size[1], size[0]]
    pictures = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, *width_height])
    return serialised(helper.make_graph(nodes, "scrfd", [pictures], outputs, initializer=constants))


def scrfd_card(
    weights: bytes, *, size: tuple[int, int] | None = None, anchors: int = 2, **facts: Any
) -> dict[str, Any]:
    sides: list[int | str] = ["H", "W"] if size is None else [size[1], size[0]]
    outputs = [
        tensor(f"{role}_{stride}", [f"A{stride}", width], role, stride)
        for stride in STRIDES
        for role, width in WIDTHS.items()
    ]
    own: dict[str, Any] = {
        "task": "detection",
        "head": "scrfd",
        "smallest_face_px": 10,
        "levels": [{"stride": one, "anchors": [2 * one, 4 * one][:anchors]} for one in STRIDES],
        "inputs": [tensor("input", [1, 3, *sides], "pictures")],
        "outputs": outputs,
    }
    return a_card(weights, **(own | facts))


# --- YuNet, whose weights lie in the shared folder


def yunet_card(weights: bytes, **facts: Any) -> dict[str, Any]:
    names = {"classes": ("cls", 1), "objects": ("obj", 1), "boxes": ("bbox", 4), "landmarks": ("kps", 10)}
    own: dict[str, Any] = {
        "name": "yunet_n",
        "task": "detection",
        "head": "yunet",
        "smallest_face_px": 10,
        "pixels": {"order": "BGR", "mean": [0, 0, 0], "scale": 1},
        "levels": [{"stride": stride, "anchors": [stride]} for stride in STRIDES],
        "inputs": [tensor("input", ["B", 3, "H", "W"], "pictures")],
        "outputs": [
            tensor(f"{name}_{stride}", ["B", f"A{stride}", width], role, stride)
            for role, (name, width) in names.items()
            for stride in STRIDES
        ],
    }
    return a_card(weights, **(own | facts))


# --- an embedder in the style of ArcFace: a linear function of sixteen patches, of any length


def arcface(*, batch: int | str = "B", dimension: int = 16, bias: float = 0.5, is_normalised: bool = False) -> bytes:
    """Return an embedder whose templates are a random linear function of the mean colours of 4 x 4 patches."""
    rng = np.random.default_rng(3)
    matrix = rng.normal(0, 2, (48, dimension)).astype(np.float32)
    constants = [
        numpy_helper.from_array(matrix, "matrix"),
        numpy_helper.from_array(np.full(dimension, bias, np.float32), "bias"),
    ]
    nodes = [
        helper.make_node("AveragePool", ["data"], ["pooled"], kernel_shape=[28, 28], strides=[28, 28]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix", "bias"], ["raw" if is_normalised else "fc1"]),
    ]
    if is_normalised:
        nodes.append(helper.make_node("LpNormalization", ["raw"], ["fc1"], axis=1, p=2))
    crops = helper.make_tensor_value_info("data", TensorProto.FLOAT, [batch, 3, 112, 112])
    output = helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [batch, dimension])
    return serialised(helper.make_graph(nodes, "arcface", [crops], [output], initializer=constants))


def arcface_card(weights: bytes, *, batch: int | str = "B", dimension: int = 16, **facts: Any) -> dict[str, Any]:
    own: dict[str, Any] = {
        "task": "embedding",
        "dimension": dimension,
        "is_normalised": False,
        "crop_size": [112, 112],
        "landmark_template": TEMPLATE,
        "inputs": [tensor("data", [batch, 3, 112, 112], "crops")],
        "outputs": [tensor("fc1", [batch, dimension], "template")],
    }
    return a_card(weights, **(own | facts))


def noise(seed: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return coarse and fine noise, of which no two cells are alike, uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 216, (-(-size[1] // 8), -(-size[0] // 8), 3), np.uint8)
    fine = rng.integers(0, 40, (size[1], size[0], 3), np.uint8)
    return np.ascontiguousarray(coarse.repeat(8, axis=0).repeat(8, axis=1)[: size[1], : size[0]] + fine)
