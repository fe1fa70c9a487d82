"""Dynamic shuffle in evaluation on a GPU: one gather that finds its order itself, from the generator's logits; nothing goes to the host."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from search_spaces.kernels.gpu.layout import empty_like, strides, tiles


@triton.jit
def shuffle(  # type: ignore[no-untyped-def]
    x, logits, y, channels, pixels, groups, matrices, x_image, x_channel, x_pixel,
    A: tl.constexpr, B: tl.constexpr, ROW_A: tl.constexpr, ROW_B: tl.constexpr,
    CHANNELS: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """Computes y[n, j·G + g] = x[n, g·A·B + α(i)·B + β(k)] for j = i·B + k, where α and β are the largest of a row of logits, the first
    of equal ones.
    """
    image = tl.program_id(2).to(tl.int64)
    to = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    real = to < channels
    group, within = to % groups, to // groups
    own = tl.where(matrices > 1, group, 0)  # matrices is G, or 1 where groups share them
    row = image * matrices * (A * A + B * B)
    entry = tl.arange(0, ROW_A)[None, :]
    place = row + (own * A * A + (within // B) * A)[:, None] + entry
    first = tl.load(logits + place, mask=real[:, None] & (entry < A), other=float("-inf"))
    left = tl.minimum(tl.argmax(first.to(tl.float32), 1), A - 1)
    entry = tl.arange(0, ROW_B)[None, :]
    place = row + matrices * A * A + (own * B * B + (within % B) * B)[:, None] + entry
    second = tl.load(logits + place, mask=real[:, None] & (entry < B), other=float("-inf"))
    right = tl.minimum(tl.argmax(second.to(tl.float32), 1), B - 1)
    source = (group * A * B + left * B + right)[None, :]
    pixel = (tl.program_id(0) * PIXELS + tl.arange(0, PIXELS))[:, None]
    inside = real[None, :] & (pixel < pixels)
    values = tl.load(x + image * x_image + source * x_channel + pixel * x_pixel, mask=inside)
    tl.store(y + image * x_image + to[None, :] * x_channel + pixel * x_pixel, values, mask=inside)


def shuffled(x: Tensor, logits: Tensor, *, groups: int, matrices: int, a: int, b: int) -> Tensor:
    """The permuted map (N, C, H, W) of x and the generator's logits (N, matrices·(a² + b²))."""
    y = empty_like(x, x.shape[1], x.dtype)
    grid, (tall, wide) = tiles(y, members=4)
    shuffle[grid](
        x, logits.contiguous(), y, x.shape[1], x.shape[2] * x.shape[3], groups, matrices, *strides(x),
        A=a, B=b, ROW_A=triton.next_power_of_2(a), ROW_B=triton.next_power_of_2(b), CHANNELS=wide, PIXELS=tall,
    )  # fmt: skip
    return y
