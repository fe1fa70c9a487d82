"""Dynamic shuffle in evaluation: pooling, the generator's two small layers, then index and gather as native calls."""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.kernels.dispatch import channels_last, usable
from search_spaces.kernels.library import LIBRARY


class Generator(Protocol):
    """What is asked of a generator of matrices."""

    reduce: nn.Linear
    expand: nn.Linear
    left: tuple[int, int]
    right: tuple[int, int]
    matrices: int


class Layer(Protocol):
    """What is asked of a dynamic shuffle."""

    channels: int
    groups: int
    training: bool
    exact: bool
    generator: Any


def fast_shuffle(layer: Layer, x: Tensor) -> Tensor | None:
    """The layer's output (N, C, H, W) -> (N, C, H, W), or None in training, under gradients and with exact assignment."""
    if layer.training or layer.exact or x.shape[1] != layer.channels:
        return None
    if torch.is_grad_enabled() and x.requires_grad:
        return None
    with torch.no_grad():
        if x.is_cuda:
            return _on_gpu(layer, x)
        return gather(x, order(layer, pooled(x)))


def _on_gpu(layer: Layer, x: Tensor) -> Tensor:
    from search_spaces.kernels.gpu.shuffle import shuffled  # Triton takes a second, and is not everywhere

    generator: Generator = layer.generator
    logits = generator.expand(F.relu(generator.reduce(x.mean((2, 3)))))
    a, b = generator.left[1], generator.right[1]
    return shuffled(x, logits, groups=layer.groups, matrices=generator.matrices, a=a, b=b)


def pooled(x: Tensor) -> Tensor:
    """GAP: (N, C, H, W) -> (N, C), x usable (see dispatch)."""
    assert LIBRARY is not None
    batch, channels, height, width = x.shape
    z = torch.empty((batch, channels))
    last = channels_last(x)
    LIBRARY.nas_pool(x.data_ptr(), z.data_ptr(), batch, channels, height * width, last, torch.get_num_threads())
    return z


def order(layer: Layer, z: Tensor) -> Tensor:
    """Which channel of the input each channel of the output takes, from GAP(x): (N, C) -> (N, C)."""
    assert LIBRARY is not None
    generator: Generator = layer.generator
    logits = generator.expand(F.relu(generator.reduce(z))).contiguous()
    index = torch.empty((z.shape[0], layer.channels), dtype=torch.int64)
    a, b = generator.left[1], generator.right[1]
    LIBRARY.nas_order(logits.data_ptr(), index.data_ptr(), z.shape[0], layer.groups, generator.matrices, a, b)
    return index


def gather(x: Tensor, index: Tensor) -> Tensor:
    """y[n, c] = x[n, index[n, c]]: (N, C, H, W), int64 (N, C') in [0, C) -> (N, C', H, W); one read and one write."""
    assert LIBRARY is not None
    batch, channels, height, width = x.shape
    out, last = index.shape[1], channels_last(x)
    layout = torch.channels_last if last else torch.contiguous_format
    y = torch.empty((batch, out, height, width), memory_format=layout)
    threads = torch.get_num_threads()
    LIBRARY.nas_gather(
        x.data_ptr(), index.data_ptr(), y.data_ptr(), batch, channels, out, height * width, last, threads
    )
    return y


class MixingLayer(Protocol):
    """What is asked of a static-dynamic shuffle."""

    c_in: int
    c_out: int
    groups: int
    left: Tensor
    right: Tensor
    generator: Any


def fast_mix(layer: MixingLayer, x: Tensor) -> Tensor | None:
    """The static-dynamic shuffle of a channels-last map without gradients, or None: in NCHW the batched products are faster."""
    if x.is_cuda or not channels_last(x) or x.is_contiguous() or x.shape[1] != layer.c_in:
        return None
    if torch.is_grad_enabled() and (x.requires_grad or layer.left.requires_grad):
        return None
    assert LIBRARY is not None
    generator: Generator = layer.generator
    batch, _, height, width = x.shape
    logits = generator.expand(F.relu(generator.reduce(pooled(x))))
    sizes = [generator.matrices * rows * columns for rows, columns in (generator.left, generator.right)]
    soft_left, soft_right = logits.split(sizes, 1)
    left = layer.left + soft_left.reshape(batch, generator.matrices, *generator.left).softmax(-1)
    right = layer.right + soft_right.reshape(batch, generator.matrices, *generator.right).softmax(-1)
    y = torch.empty((batch, layer.c_out, height, width), memory_format=torch.channels_last)
    (rows, a), (columns, b) = generator.left, generator.right
    LIBRARY.nas_kronecker(
        x.data_ptr(),
        left.data_ptr(),
        right.data_ptr(),
        y.data_ptr(),
        batch,
        layer.groups,
        a,
        b,
        rows,
        columns,
        height * width,
        torch.get_num_threads(),
    )
    return y


class FixedShuffle(nn.Module):
    """The fixed channel shuffle for inference, a gather where it can be: (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Channel g·c + j becomes channel j·groups + g."""
        if x.is_cpu and usable(x) and not (torch.is_grad_enabled() and x.requires_grad):
            order = torch.arange(x.shape[1]).view(self.groups, -1).t().flatten()
            return gather(x, order.expand(x.shape[0], -1).contiguous())
        grid = x.reshape(x.shape[0], self.groups, -1, *x.shape[2:])
        return grid.transpose(1, 2).flatten(1, 2)
