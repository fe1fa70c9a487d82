"""Spatial multiplexing without gradients: every part read from the input and written to the output in one native pass, rearranging nothing."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from search_spaces.kernels.convolution import PLAIN, FusedConv, empty_strided_map, native_depthwise
from search_spaces.kernels.dispatch import channels_last


class Layer(Protocol):
    """What is asked of a spatial multiplexing: its parts are convolutions, or in the inference form convolutions with activation."""

    sizes: list[int]
    scales: tuple[int, ...]
    kernels: tuple[int, ...]
    stride: int
    parts: nn.ModuleList
    __dict__: dict[str, Any]


def fast_multiplex(layer: Layer, x: Tensor) -> Tensor | None:
    """The layer's output, (N, C, H, W) -> (N, C, ⌈H/stride⌉, ⌈W/stride⌉), or None on a GPU, in NCHW and under gradients."""
    if x.is_cuda or not channels_last(x) or x.is_contiguous() or x.shape[1] != sum(layer.sizes):
        return None
    convs = [part.conv if isinstance(part, FusedConv) else part for part in layer.parts]
    if not all(_is_plain(conv) for conv in convs):
        return None
    if torch.is_grad_enabled() and (x.requires_grad or any(conv.weight.requires_grad for conv in convs)):
        return None
    y = empty_strided_map(x, layer.stride)
    names = [part.activation if isinstance(part, FusedConv) else "none" for part in layer.parts]
    first, relu = 0, set(names) == {"relu"}
    for (taps, bias), kernel, scale in zip(_packed(layer, convs), layer.kernels, layer.scales, strict=True):
        native_depthwise(x, y, taps, bias, kernel=kernel, stride=layer.stride, relu=relu, first=first, scale=scale)
        first += len(bias)
    if relu or set(names) == {"none"}:
        return y
    return PLAIN[names[0]](y, inplace=True)


def _is_plain(conv: nn.Module) -> bool:
    return (
        type(conv) is nn.Conv2d
        and conv.weight.is_cpu
        and conv.weight.dtype is torch.float32
        and not conv._forward_hooks
        and not conv._forward_pre_hooks
    )


def _packed(layer: Layer, convs: list[Any]) -> list[tuple[Tensor, Tensor]]:
    """Weights of each part by tap, (1 or 4, k·k, channels a run), and its bias (size,); made again when a weight has changed."""
    tensors = [tensor for conv in convs for tensor in (conv.weight, conv.bias) if tensor is not None]
    state = [(tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version) for tensor in tensors]
    known = layer.__dict__.get("_taps")
    if known is None or known[0] != state:
        made = []
        for conv, size, scale in zip(convs, layer.sizes, layer.scales, strict=True):
            phases = 4 if scale < 0 else 1
            taps = conv.weight.detach().reshape(phases, -1, conv.weight[0].numel()).transpose(1, 2).contiguous()
            # Pixels of a patch are convolved as channels, and have the same bias; quarters of the channels likewise.
            bias = torch.zeros(size) if conv.bias is None else conv.bias.detach()
            made.append((taps, bias[:size].contiguous() if scale <= 0 else bias.repeat(size // len(bias))))
        known = layer.__dict__["_taps"] = (state, made)
    found: list[tuple[Tensor, Tensor]] = known[1]
    return found
