"""Multiply-adds of an ONNX file, from its own nodes and shapes: convolutions, matrix products and their quantised kin."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any


def onnx_macs(path: Path) -> int:
    """Multiply-adds for a batch of one.

    Raises:
        ValueError: the shape of a counted node cannot be inferred.
    """
    import onnx

    model = onnx.load(str(path))
    for given in model.graph.input:
        given.type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]  # shapes of the symbolic batch
    for put in model.graph.output:
        put.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        shapes[value.name] = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    return sum(_of_node(node, shapes) for node in graph.node)


def _of_node(node: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    if node.op_type not in {"Conv", "MatMul", "Gemm", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"}:
        return 0
    second = node.input[3] if node.op_type.startswith("QLinear") else node.input[1]
    weight, out = shapes.get(second, ()), shapes.get(node.output[0], ())
    if not weight or not out or not all(out):
        raise ValueError(f"the shape of {node.op_type} {node.name!r} is not known")
    if "Conv" in node.op_type:
        return math.prod(out) * math.prod(weight[1:])
    if node.op_type == "Gemm":
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        return math.prod(out) * (weight[1] if transposed else weight[0])
    return math.prod(out) * weight[-2]
