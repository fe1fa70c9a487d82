"""How a kernel walks over a feature map in either layout; it knows no operator."""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from search_spaces.kernels.dispatch import channels_last

TILE = 4096  # values that a program reads


def empty_like(x: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
    """An empty map (N, channels, H, W) in the layout of x (N, C, H, W)."""
    shape = (x.shape[0], channels, *x.shape[2:])
    layout = torch.channels_last if channels_last(x) else torch.contiguous_format
    return torch.empty(shape, dtype=dtype, device=x.device, memory_format=layout)


def strides(x: Tensor) -> tuple[int, int, int]:
    """From one image, channel and pixel to the next; the tensor's own strides say anything where a dimension is one."""
    pixels = x.shape[2] * x.shape[3]
    return (x.shape[1] * pixels, 1, x.shape[1]) if channels_last(x) else (x.shape[1] * pixels, pixels, 1)


def tiles(y: Tensor, *, members: int) -> tuple[tuple[int, int, int], tuple[int, int]]:
    """The grid (pixels, channels, images) that covers a map, and a tile's pixels and channels: long where memory is contiguous.

    For each value of y a program reads `members` values.
    """
    channels, pixels, values = y.shape[1], y.shape[2] * y.shape[3], max(TILE // members, 32)
    if channels_last(y):
        wide = min(triton.next_power_of_2(channels), 128, values)
        tall = min(triton.next_power_of_2(pixels), values // wide)
    else:
        tall = min(triton.next_power_of_2(pixels), values)
        wide = min(triton.next_power_of_2(channels), values // tall)
    return (triton.cdiv(pixels, tall), triton.cdiv(channels, wide), y.shape[0]), (tall, wide)
