"""Parameters and multiply-adds of an architecture, counted on the meta device by parts that are cached; it knows no formulas.

MACs are what PyTorch's `FlopCounterMode` counts, halved: multiply-adds of convolutions, linear layers and matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.architecture import Architecture
from search_spaces.network import cost_parts

_known: dict[Hashable, tuple[int, int]] = {}


def count(architecture: Architecture) -> dict[str, float]:
    """`params` and `macs` (of one image) of the architecture; exact, and fast once its blocks have been seen.

    Raises:
        ValueError: the architecture cannot be built.
    """
    parts = _parts(architecture)
    return {"params": float(sum(params for params, _ in parts)), "macs": float(sum(macs for _, macs in parts))}


def macs_by_stage(architecture: Architecture) -> list[int]:
    """MACs of the stem, of each stage and of the head, in order of execution."""
    macs = [macs for _, macs in _parts(architecture)]
    blocks = iter(macs[1:-1])
    return [macs[0], *(sum(next(blocks) for _ in range(stage.depth)) for stage in architecture.stages), macs[-1]]


def _parts(architecture: Architecture) -> list[tuple[int, int]]:
    parts = []
    for key, build, shape in cost_parts(architecture):
        if key not in _known:
            _known[key] = measure(build, shape)
        parts.append(_known[key])
    return parts


def measure(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> tuple[int, int]:
    """Parameters and MACs of one module for one input shape, by a forward pass without data."""
    with torch.device("meta"):
        module = build().eval()
    params = sum(p.numel() for p in module.parameters())
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        _without_elementwise(module)(torch.empty(shape, device="meta"))
    return params, counter.get_total_flops() // 2


def _without_elementwise(module: nn.Module) -> nn.Module:
    """The module without batch norms and activations: they have no multiply-adds that are counted, and take two thirds of the time."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d | nn.ReLU | nn.SiLU):
            setattr(module, name, nn.Identity())
        else:
            _without_elementwise(child)
    return module
