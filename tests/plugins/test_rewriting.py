from __future__ import annotations

from collections import Counter
from importlib.resources import files

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from lfr_plugins.models.rewriting import without_prelu


def run(weights: bytes, **inputs: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(weights, providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, inputs)[0]
    return result


def prelu(slope: np.ndarray | None) -> bytes:
    """A model of one PRelu over [1, 3, 4, 5]; its slope is a constant, or an input where None."""
    shape = [1, 3, 4, 5]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    constants = []
    if slope is None:
        inputs.append(helper.make_tensor_value_info("slope", TensorProto.FLOAT, [3, 1, 1]))
    else:
        constants = [numpy_helper.from_array(slope.astype(np.float32), "slope")]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        [helper.make_node("PRelu", ["x", "slope"], ["y"])], "g", inputs, [output], initializer=constants
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    serialised: bytes = model.SerializeToString()
    return serialised


def operators(weights: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_model_from_string(weights).graph.node)


@given(st.lists(st.floats(-10, 10, width=32), min_size=3, max_size=3), st.integers(0, 2**32 - 1))
def test_it_computes_what_prelu_computes(slopes: list[float], seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(1, 3, 4, 5)).astype(np.float32)
    slope = np.array(slopes, np.float32).reshape(3, 1, 1)
    expected = np.where(x > 0, x, slope * x)
    np.testing.assert_allclose(run(without_prelu(prelu(slope)), x=x), expected, rtol=1e-5, atol=2e-5)


def test_no_prelu_with_a_constant_slope_is_left() -> None:
    assert operators(without_prelu(prelu(np.ones((3, 1, 1))))) == {"Relu": 1, "Mul": 2, "Add": 1}


def test_a_slope_that_is_an_input_is_left_alone() -> None:
    weights = prelu(None)
    assert without_prelu(weights) is weights


def test_the_bundled_embedder_gives_the_same_templates() -> None:
    weights = (files("lfr_plugins.models") / "mobilefacenet.onnx").read_bytes()
    rewritten = without_prelu(weights)
    assert "PRelu" not in operators(rewritten)
    crops = np.random.default_rng(1).uniform(-1, 1, size=(1, 3, 112, 112)).astype(np.float32)
    np.testing.assert_allclose(run(rewritten, input=crops), run(weights, input=crops), atol=2e-6)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(DecodeError):
        without_prelu(b"\xff not a model")
