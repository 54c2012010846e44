"""The same function in operators that the CPU is quick at.

ONNX Runtime computes PRelu one element at a time, with a branch that mixed signs mispredict: in MobileFaceNet that is
most of the time. Written as `slope * x + (1 - slope) * relu(x)` it is three operators that use the whole vector
unit. The weights and what is computed with them stay the same (to rounding, some 1e-7), so the card's digest is still
that of the file.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.external_data_helper import uses_external_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["has_external_data", "without_prelu"]


def has_external_data(weights: bytes) -> bool:
    """Return whether a model keeps some of its tensors in other files.

    Args:
        weights: an ONNX model.

    Raises:
        google.protobuf.message.DecodeError: `weights` is no ONNX model.
    """
    model = onnx.load_model_from_string(weights)
    nodes = chain(model.graph.node, *(function.node for function in model.functions))
    return any(map(uses_external_data, chain(_initializers(model.graph), _tensors_of(nodes))))


def _initializers(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)


def _tensors_of(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    """Yield every tensor that nodes hold, branches and loop bodies included."""
    for attribute in (one for node in nodes for one in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from _initializers(graph)
            yield from _tensors_of(graph.node)


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
