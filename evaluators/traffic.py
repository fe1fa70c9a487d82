"""What a module does, as a few numbers that its latency depends on, from a forward pass without data; it knows no clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from search_spaces.kernels.winograd import suits

MATRIX = {"convolution", "addmm", "mm", "bmm"}
FREE = {
    "view",
    "_unsafe_view",
    "t",
    "transpose",
    "expand",
    "detach",
    "unsqueeze",
    "squeeze",
    "slice",
    "select",
    "permute",
    "split",
}
FEATURES = (
    "operations",
    "convolutions",
    "dense_macs",
    "winograd_macs",
    "pointwise_macs",
    "grouped_macs",
    "elements",
    "elementwise_elements",
    "weights",
)


def traffic(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> dict[str, float]:
    """The `FEATURES` of one forward pass: calls of operations, of convolutions and matrix products, multiply-adds by kind,
    elements read and written, those of elementwise operations, and weights.
    """
    with torch.device("meta"):
        module = build().eval()
    log = _Log()
    with log, torch.no_grad():
        module(torch.empty(shape, device="meta"))
    return log.sums


class _Log(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sums = dict.fromkeys(FEATURES, 0.0)

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        out = function(*arguments, **(options or {}))
        name = function.overloadpacket.__name__
        if name in FREE:
            return out
        inputs = [a for a in torch.utils._pytree.tree_leaves(arguments) if isinstance(a, Tensor)]
        outputs = [o for o in torch.utils._pytree.tree_leaves(out) if isinstance(o, Tensor)]
        elements = float(sum(t.numel() for t in (*inputs, *outputs)))
        self.sums["operations"] += 1
        self.sums["elements"] += elements
        if name not in MATRIX:
            self.sums["elementwise_elements"] += elements
            return out
        self.sums["convolutions"] += 1
        if name == "convolution":
            weight = inputs[1]
            self.sums["weights"] += weight.numel()
            macs = outputs[0].numel() * math.prod(weight.shape[1:])
            self.sums[f"{_kind(weight, arguments)}_macs"] += macs
        else:
            self.sums["pointwise_macs"] += outputs[0].numel() * inputs[-1].shape[-2]
        return out


def _kind(weight: Tensor, arguments: Any) -> str:
    """What sort of convolution takes a weight; "winograd" is what the inference form gives to a faster kernel of its own on a CPU."""
    _, _, _, stride, padding, dilation, _, _, groups = arguments
    if groups > 1:
        return "grouped"
    if weight.shape[2] == 1:
        return "pointwise"
    return "winograd" if suits(weight, stride, padding, dilation, groups) else "dense"
