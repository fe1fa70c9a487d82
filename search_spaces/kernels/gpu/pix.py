"""PiX on a GPU: pooling and two small products by PyTorch, the picking and its gradient by one Triton kernel each.

One kernel serves both layouts: a tile is (pixels, subsets, members), whose strides are those of the map, so that Triton lets
neighbouring threads read what lies side by side: pixels in NCHW, members and then subsets in channels-last. Sums are in float32 and
in a fixed order, whatever the type of the map.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from search_spaces.kernels.dispatch import channels_last
from search_spaces.kernels.gpu.layout import empty_like, strides, tiles

SPLIT = 4096  # pixels that one program of the backward pass sums up


@triton.jit
def pick(  # type: ignore[no-untyped-def]
    x, p, y, index, channels, subsets, pixels, tau,
    x_image, x_channel, x_pixel, y_image, y_subset, y_pixel,
    ZETA: tl.constexpr, MEMBERS: tl.constexpr, SUBSETS: tl.constexpr, PIXELS: tl.constexpr, INDEXED: tl.constexpr,
):  # fmt: skip
    """Computes y = p · (maximum where p < tau, else mean) of each subset, and which member was the first largest."""
    image = tl.program_id(2).to(tl.int64)
    pixel = (tl.program_id(0) * PIXELS + tl.arange(0, PIXELS))[:, None, None]
    subset = (tl.program_id(1) * SUBSETS + tl.arange(0, SUBSETS))[None, :, None]
    member = tl.arange(0, MEMBERS)[None, None, :]
    channel = subset * ZETA + member
    real = (member < ZETA) & (channel < channels) & (pixel < pixels)
    values = tl.load(x + image * x_image + channel * x_channel + pixel * x_pixel, mask=real, other=float("-inf"))
    values = values.to(tl.float32)
    nan = values != values  # noqa: PLR0124
    lost = tl.max(nan.to(tl.int32), 2) > 0
    largest = tl.where(lost, float("nan"), tl.max(tl.where(nan, float("-inf"), values), 2))
    hit = tl.where(lost[:, :, None], nan, values == largest[:, :, None])
    first = tl.min(tl.where(hit, member, MEMBERS), 2)
    total = tl.sum(tl.where(real, values, 0.0), 2)
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)[:, None]
    subset = tl.program_id(1) * SUBSETS + tl.arange(0, SUBSETS)[None, :]
    inside = (subset < subsets) & (pixel < pixels)
    gate = tl.load(p + image * subsets + subset, mask=subset < subsets, other=0.0)
    count = tl.maximum(tl.minimum(channels - subset * ZETA, ZETA), 1).to(tl.float32)
    value = gate * tl.where(gate < tau, tl.where(inside, largest, 0.0), total / count)
    place = image * y_image + subset * y_subset + pixel * y_pixel
    tl.store(y + place, value.to(y.dtype.element_ty), mask=inside)
    if INDEXED:
        tl.store(index + place, first.to(tl.uint8), mask=inside)


@triton.jit
def dot(  # type: ignore[no-untyped-def]
    grad, y, sums, subsets, pixels, splits, y_image, y_subset, y_pixel,
    SUBSETS: tl.constexpr, PIXELS: tl.constexpr, SPLIT: tl.constexpr,
):  # fmt: skip
    """Σ of dL/dy · y over a split of the pixels, for each image and subset: sums (N, splits, K)."""
    split, image = tl.program_id(0), tl.program_id(2).to(tl.int64)
    subset = tl.program_id(1) * SUBSETS + tl.arange(0, SUBSETS)[None, :]
    total = tl.zeros((PIXELS, SUBSETS), tl.float32)
    for start in range(0, tl.minimum(SPLIT, pixels - split * SPLIT), PIXELS):
        pixel = split * SPLIT + start + tl.arange(0, PIXELS)[:, None]
        place = image * y_image + subset * y_subset + pixel * y_pixel
        inside = (subset < subsets) & (pixel < pixels)
        one = tl.load(grad + place, mask=inside, other=0.0).to(tl.float32)
        total += one * tl.load(y + place, mask=inside, other=0.0).to(tl.float32)
    place = (image * splits + split) * subsets + tl.program_id(1) * SUBSETS + tl.arange(0, SUBSETS)
    tl.store(sums + place, tl.sum(total, 0), mask=tl.program_id(1) * SUBSETS + tl.arange(0, SUBSETS) < subsets)


@triton.jit
def spread(  # type: ignore[no-untyped-def]
    grad, p, index, grad_z, grad_x, channels, subsets, pixels, tau,
    x_image, x_channel, x_pixel, y_image, y_subset, y_pixel,
    ZETA: tl.constexpr, MEMBERS: tl.constexpr, SUBSETS: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """dL/dx: p·dL/dy at the member picked, or its share at all members mixed, and dL/dGAP everywhere."""
    image = tl.program_id(2).to(tl.int64)
    pixel = (tl.program_id(0) * PIXELS + tl.arange(0, PIXELS))[:, None, None]
    subset = (tl.program_id(1) * SUBSETS + tl.arange(0, SUBSETS))[None, :, None]
    member = tl.arange(0, MEMBERS)[None, None, :]
    channel = subset * ZETA + member
    real = (member < ZETA) & (channel < channels)
    inside = (subset < subsets) & (pixel < pixels)
    gate = tl.load(p + image * subsets + subset, mask=subset < subsets, other=0.0)
    place = image * y_image + subset * y_subset + pixel * y_pixel
    scaled = gate * tl.load(grad + place, mask=inside, other=0.0).to(tl.float32)
    first = tl.load(index + place, mask=inside, other=0).to(tl.int32)
    count = tl.maximum(tl.minimum(channels - subset * ZETA, ZETA), 1).to(tl.float32)
    share = tl.where(gate < tau, tl.where(first == member, scaled, 0.0), scaled / count)
    pooled = tl.load(grad_z + image * channels + channel, mask=real, other=0.0)
    place = image * x_image + channel * x_channel + pixel * x_pixel
    tl.store(grad_x + place, (share + pooled).to(grad_x.dtype.element_ty), mask=real & (pixel < pixels))


def pix_forward(
    x: Tensor, weight: Tensor, *, zeta: int, tau: float, indexed: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Computes y (N, K, H, W) like x, z = GAP(x) (N, C) and p (N, K) in float32, and where asked for the member picked, (N, K, H, W) bytes."""
    with torch.autocast(x.device.type, enabled=False):
        z = x.mean((2, 3), dtype=torch.float32)
        p = torch.sigmoid_(z @ weight.float().t())
    y = empty_like(x, weight.shape[0], x.dtype)
    index = empty_like(x, weight.shape[0], torch.uint8) if indexed else None
    members = triton.next_power_of_2(zeta)
    grid, (tall, wide) = tiles(y, members=members)
    pick[grid](
        x, p, y, y if index is None else index, *_sizes(x, weight), tau, *strides(x), *strides(y),
        ZETA=zeta, MEMBERS=members, SUBSETS=wide, PIXELS=tall, INDEXED=indexed,
    )  # fmt: skip
    return y, z, p, index


def pix_backward(
    grad: Tensor,
    x: Tensor,
    kept: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    *,
    zeta: int,
    tau: float,
) -> tuple[Tensor, Tensor]:
    """Computes dL/dx (N, C, H, W) and dL/dW (K, C) from dL/dy and the W, y, z, p and index of the forward pass."""
    weight, y, z, p, index = kept
    grad = grad.contiguous(memory_format=torch.channels_last if channels_last(x) else torch.contiguous_format)
    subsets, pixels, members = weight.shape[0], x.shape[2] * x.shape[3], triton.next_power_of_2(zeta)
    grid, (tall, wide) = tiles(y, members=members)
    splits = triton.cdiv(pixels, SPLIT)
    sums = torch.empty((x.shape[0], splits, subsets), device=x.device)
    dot[(splits, *grid[1:])](
        grad, y, sums, subsets, pixels, splits, *strides(y), SUBSETS=wide, PIXELS=tall, SPLIT=SPLIT
    )  # fmt: skip
    with torch.autocast(x.device.type, enabled=False):
        logit = (1 - p) * sums.sum(1)
        grad_w, grad_z = logit.t() @ z, (logit @ weight.float()) / pixels
    grad_x = empty_like(x, x.shape[1], x.dtype)
    spread[grid](
        grad, p, index, grad_z, grad_x, *_sizes(x, weight), tau, *strides(x), *strides(y),
        ZETA=zeta, MEMBERS=members, SUBSETS=wide, PIXELS=tall,
    )  # fmt: skip
    return grad_x, grad_w.to(weight.dtype)


def _sizes(x: Tensor, weight: Tensor) -> tuple[int, int, int]:
    return x.shape[1], weight.shape[0], x.shape[2] * x.shape[3]
