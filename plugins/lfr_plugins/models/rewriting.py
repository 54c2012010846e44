"""The same function in operators that the CPU is quick at.

ONNX Runtime computes PRelu one element at a time, with a branch that mixed signs mispredict: in MobileFaceNet that is
most of the time. Written as `slope * x + (1 - slope) * relu(x)` it is three operators that use the whole vector
unit. The weights and what is computed with them stay the same (to rounding, some 1e-7), so the card's digest is still
that of the file.
"""

from __future__ import annotations

from itertools import chain

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.external_data_helper import uses_external_data

__all__ = ["has_external_data", "without_prelu"]


def has_external_data(weights: bytes) -> bool:
    """Return whether a model keeps some of its tensors in other files.

    Args:
        weights: an ONNX model.

    Raises:
        google.protobuf.message.DecodeError: `weights` is no ONNX model.
    """
    graph = onnx.load_model_from_string(weights).graph
    constants = (one.t for node in graph.node for one in node.attribute if one.HasField("t"))
    return any(uses_external_data(tensor) for tensor in chain(graph.initializer, constants))


def without_prelu(weights: bytes) -> bytes:
    """Return the model with every PRelu whose slope is a constant written in plain arithmetic.

    Args:
        weights: an ONNX model.

    Returns:
        An ONNX model that computes the same; `weights` itself if there was nothing to do.

    Raises:
        google.protobuf.message.DecodeError: `weights` is no ONNX model.
    """
    model = onnx.load_model_from_string(weights)
    slopes = {one.name: one for one in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type == "PRelu" and node.input[1] in slopes:
            slope = numpy_helper.to_array(slopes[node.input[1]])
            rest = f"{node.output[0]}/one_minus_slope"
            model.graph.initializer.append(numpy_helper.from_array(np.subtract(1, slope, dtype=slope.dtype), rest))
            nodes += _plain(node.input[0], node.input[1], rest, node.output[0])
        else:
            nodes.append(node)
    if len(nodes) == len(model.graph.node):
        return weights
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    rewritten: bytes = model.SerializeToString()
    return rewritten


def _plain(x: str, slope: str, one_minus_slope: str, y: str) -> list[onnx.NodeProto]:
    positive, above, below = (f"{y}/{part}" for part in ("positive", "above", "below"))
    return [
        helper.make_node("Relu", [x], [positive]),
        helper.make_node("Mul", [positive, one_minus_slope], [above]),
        helper.make_node("Mul", [x, slope], [below]),
        helper.make_node("Add", [above, below], [y]),
    ]
