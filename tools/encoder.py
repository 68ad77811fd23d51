"""Transformer encoders as ONNX graphs, written node by node: torch is not needed for that."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

MICROSOFT = "com.microsoft"
"""The domain of onnxruntime's own operators."""


class Graph:
    """Collects nodes and constants; every method returns the name of the value it made."""

    def __init__(self, opset: int = 17, ir_version: int = 8) -> None:
        self._opset = opset
        self._ir_version = ir_version
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Apply an operator that has one output."""
        name = f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, value: ArrayLike, kind: type[np.generic] = np.float32) -> str:
        """Hold an array."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=kind), name))
        return name

    def integers(self, *values: int) -> str:
        """Hold whole numbers, such as axes and shapes."""
        return self.constant(values, np.int64)

    def floats(self, value: str) -> str:
        """Make numbers floating-point ones."""
        return self.op("Cast", value, to=TensorProto.FLOAT)

    def nibbles(self, values: NDArray[np.uint8]) -> str:
        """Hold numbers from 0 to 15, of which there are an even number in each row, in 4 bits each."""
        name = f"constant_{len(self.constants)}"
        packed = values[:, 0::2] | (values[:, 1::2] << 4)
        self.constants.append(
            helper.make_tensor(name, TensorProto.UINT4, values.shape, packed.astype(np.uint8).tobytes(), raw=True)
        )
        return name

    def finish(self, inputs: Sequence[str], result: str, output: str, shape: Sequence[str | int]) -> onnx.ModelProto:
        """Close the graph: inputs are int64 of shape (batch, tokens), the output is `result` under another name."""
        self.nodes.append(helper.make_node("Identity", [result], [output]))
        graph = helper.make_graph(
            self.nodes,
            "model",
            [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in inputs],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
            self.constants,
        )
        opsets = [helper.make_opsetid("", self._opset)]
        if any(node.domain for node in self.nodes):
            opsets.append(helper.make_opsetid(MICROSOFT, 1))
        return helper.make_model(graph, opset_imports=opsets, ir_version=self._ir_version)


class Encoder(ABC):
    """A post-norm encoder as BERT's; where its numbers come from is for the classes below."""

    def __init__(self, graph: Graph, hidden: int, heads: int, feed_forward: int) -> None:
        self.graph = graph
        self.hidden = hidden
        self.heads = heads
        self.feed_forward = feed_forward

    @abstractmethod
    def weights(self, place: str, inner: int, outer: int) -> tuple[ArrayLike, ArrayLike]:
        """Return a matrix of shape (inner, outer), and what is added to its product."""

    @abstractmethod
    def norm_weights(self, place: str) -> tuple[ArrayLike, ArrayLike, float]:
        """Return scale, shift and epsilon of a layer norm."""

    def layer(self, value: str, bias: str, place: str) -> str:
        """Apply one layer; `bias` is what `attention_bias` gives."""
        attended = self.graph.op("Add", self._attention(value, bias, place), value)
        value = self.norm(attended, f"{place}.attention.norm")
        return self.norm(self.graph.op("Add", self._feed_forward(value, place), value), f"{place}.norm")

    def attention_bias(self) -> str:
        """Return what keeps the padding of a batch out of sight."""
        graph = self.graph
        mask = graph.floats(graph.op("Unsqueeze", "attention_mask", graph.integers(1, 2)))
        hidden = graph.op("Sub", graph.constant(1), mask)
        return graph.op("Mul", hidden, graph.constant(np.finfo(np.float32).min))

    def linear(self, value: str, place: str, inner: int, outer: int) -> str:
        """Apply a linear layer."""
        weights, shift = self.weights(place, inner, outer)
        return self.graph.op(
            "Add", self.graph.op("MatMul", value, self.graph.constant(weights)), self.graph.constant(shift)
        )

    def norm(self, value: str, place: str) -> str:
        """Apply a layer norm."""
        scale, shift, epsilon = self.norm_weights(place)
        return self.graph.op(
            "LayerNormalization",
            value,
            self.graph.constant(scale),
            self.graph.constant(shift),
            axis=-1,
            epsilon=epsilon,
        )

    def _attention(self, value: str, bias: str, place: str) -> str:
        graph, hidden = self.graph, self.hidden
        query, key, content = (
            self._split_heads(self.linear(value, f"{place}.{part}", hidden, hidden), order)
            for part, order in (("query", (0, 2, 1, 3)), ("key", (0, 2, 3, 1)), ("value", (0, 2, 1, 3)))
        )
        scores = graph.op("Div", graph.op("MatMul", query, key), graph.constant(math.sqrt(hidden // self.heads)))
        weights = graph.op("Softmax", graph.op("Add", scores, bias), axis=-1)
        mixed = graph.op("Transpose", graph.op("MatMul", weights, content), perm=(0, 2, 1, 3))
        return self.linear(
            graph.op("Reshape", mixed, graph.integers(0, 0, hidden)), f"{place}.attention", hidden, hidden
        )

    def _split_heads(self, value: str, order: tuple[int, ...]) -> str:
        shape = self.graph.integers(0, 0, self.heads, self.hidden // self.heads)
        return self.graph.op("Transpose", self.graph.op("Reshape", value, shape), perm=order)

    def _feed_forward(self, value: str, place: str) -> str:
        graph = self.graph
        wide = self.linear(value, f"{place}.wide", self.hidden, self.feed_forward)
        error = graph.op("Erf", graph.op("Div", wide, graph.constant(math.sqrt(2))))
        doubled = graph.op("Mul", wide, graph.op("Add", error, graph.constant(1)))
        return self.linear(
            graph.op("Mul", doubled, graph.constant(0.5)), f"{place}.narrow", self.feed_forward, self.hidden
        )
