"""PiX as one native call forward and one backward: pooling, probabilities and the picking, in blocks that stay in the cache.

On a GPU the same steps are kernels of `search_spaces.kernels.gpu`.

Forward reads x twice, the second time from the cache where an image fits, and writes y. With gradients it also writes which member
was picked, one byte a value of y. Backward reads dL/dy, y and that byte, never x:

    dL/dlogit[n, k] = (1 − p) · Σ over pixels of dL/dy · y, since y = p · chosen
    dL/dx = p · dL/dy at the picked member, p/|subset| · dL/dy at all mixed ones, and (Wᵀ dL/dlogit)/(H·W) everywhere.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import register_flop_formula

from search_spaces.kernels.dispatch import available, channels_last, is_plain_linear, on_gpu
from search_spaces.kernels.library import LIBRARY

MOST_MEMBERS = 256  # of a subset: the picked one is noted in a byte
MOST_ON_GPU = 64  # of a subset, all of which a thread block holds in registers


class Layer(Protocol):
    """What is asked of a PiX layer."""

    channels: int
    zeta: int
    tau: float
    context: nn.Linear


def fast_pix(layer: Layer, x: Tensor) -> Tensor | None:
    """The layer's output (N, C, H, W) -> (N, ⌈C/ζ⌉, H, W), or None where the kernel does not apply."""
    if x.shape[1] != layer.channels or layer.zeta > (MOST_ON_GPU if x.is_cuda else MOST_MEMBERS):
        return None
    if not is_plain_linear(layer.context, x):
        return None
    weight = layer.context.weight
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        y: Tensor = FusedPiX.apply(x, weight, layer.zeta, layer.tau)
        return y
    return pix_forward(x, weight, zeta=layer.zeta, tau=layer.tau)[0]


def pix_forward(
    x: Tensor, weight: Tensor, *, zeta: int, tau: float, z: Tensor | None = None, indexed: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Computes y (N, K, H, W), z = GAP(x) (N, C), p (N, K) and, where asked for, the member picked (N·K·H·W bytes in the order of y).

    Args:
        x: usable (see dispatch), (N, C, H, W).
        weight: W, (K, C).
        zeta: channels a subset.
        tau: below it a subset is picked from.
        z: GAP(x) where the layer before has it already.
        indexed: whether the member picked is needed, for the backward pass.
    """
    if x.is_cuda:
        from search_spaces.kernels.gpu.pix import pix_forward as compute  # Triton takes a second, and is not everywhere

        on_device: tuple[Tensor, Tensor, Tensor, Tensor | None] = compute(
            x, weight, zeta=zeta, tau=tau, indexed=indexed
        )
        return on_device
    assert LIBRARY is not None
    batch, channels, height, width = x.shape
    subsets, last = weight.shape[0], channels_last(x)
    layout = torch.channels_last if last else torch.contiguous_format
    y = torch.empty((batch, subsets, height, width), memory_format=layout)
    known = z is not None
    if z is None:
        z = torch.empty((batch, channels))
    p = torch.empty((batch, subsets))
    index = torch.empty(y.numel(), dtype=torch.uint8) if indexed and zeta > 1 else None
    LIBRARY.nas_pix_forward(
        x.data_ptr(),
        weight.data_ptr(),
        z.data_ptr(),
        p.data_ptr(),
        y.data_ptr(),
        None if index is None else index.data_ptr(),
        batch,
        channels,
        height * width,
        zeta,
        tau,
        last,
        known,
        torch.get_num_threads(),
    )
    return y, z, p, index


def compiled_pix(layer: Layer, x: Tensor) -> Tensor | None:
    """The layer's output as one operation of a compiled graph, or None: in training, on a GPU, and where the kernel does not apply.

    What Inductor makes of the plain code for a CPU takes far longer to compile and to run. On a GPU it can fuse it well itself.
    """
    weight = layer.context.weight
    if not available() or not (x.is_cpu and weight.is_cpu) or x.dim() != 4 or x.shape[1] != layer.channels:
        return None
    if layer.zeta > MOST_MEMBERS or type(layer.context) is not nn.Linear or layer.context.bias is not None:
        return None
    if x.dtype is not torch.float32 or weight.dtype is not torch.float32 or torch.is_autocast_enabled("cpu"):
        return None
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return None
    y: Tensor = pix_operation(x, weight, layer.zeta, layer.tau)
    return y


@torch.library.custom_op(
    "nas::pix",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor x, Tensor weight, int zeta, float tau) -> Tensor",
)
def pix_operation(x: Tensor, weight: Tensor, zeta: int, tau: float) -> Tensor:
    """`pix_forward` for compiled graphs: (N, C, H, W), (K, C) -> (N, K, H, W) in the layout of x."""
    if x.numel() == 0:
        empty: Tensor = _like(x, weight)
        return empty
    if not channels_last(x):
        x = x.contiguous()
    y: Tensor = pix_forward(x, weight.contiguous(), zeta=zeta, tau=tau)[0]
    return y


@pix_operation.register_fake
def _like(x: Tensor, weight: Tensor, zeta: int = 0, tau: float = 0) -> Tensor:
    layout = torch.channels_last if channels_last(x) else torch.contiguous_format
    shape = (x.shape[0], weight.shape[0], *x.shape[2:])
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)


@register_flop_formula(torch.ops.nas.pix)
def _flops(x: tuple[int, ...], weight: tuple[int, ...], *_: Any, **__: Any) -> int:
    return 2 * x[0] * weight[0] * weight[1]


class FusedPiX(torch.autograd.Function):
    """The layer and its gradient; a gradient that is to be differentiated again is made of plain operations."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, zeta: int, tau: float) -> Tensor:
        """(N, C, H, W), (K, C) -> (N, K, H, W)."""
        y, z, p, index = pix_forward(x, weight, zeta=zeta, tau=tau, indexed=True)
        ctx.save_for_backward(x, weight, y, z, p, index)
        ctx.zeta, ctx.tau = zeta, tau
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """dL/dx and dL/dW."""
        x, weight, y, z, p, index = ctx.saved_tensors
        if torch.is_grad_enabled():
            again = differentiable_pix(x, weight, zeta=ctx.zeta, tau=ctx.tau)
            wanted = [t for t, need in zip((x, weight), ctx.needs_input_grad, strict=False) if need]
            found = iter(torch.autograd.grad(again, wanted, grad, create_graph=True))
            first = next(found) if ctx.needs_input_grad[0] else None
            return first, next(found, None), None, None
        if x.is_cuda:
            grads = on_gpu(x, lambda: gpu_backward(grad, x, (weight, y, z, p, index), zeta=ctx.zeta, tau=ctx.tau))
            return *(grads or plain_backward(grad, x, weight, zeta=ctx.zeta, tau=ctx.tau)), None, None
        grad_w = torch.empty_like(weight) if ctx.needs_input_grad[1] else None
        kept, last = (weight, y, z, p, index), channels_last(x)
        return pix_backward(grad, kept, grad_w, zeta=ctx.zeta, tau=ctx.tau, last=last), grad_w, None, None


def gpu_backward(
    grad: Tensor, x: Tensor, kept: tuple[Tensor, Tensor, Tensor, Tensor, Tensor], *, zeta: int, tau: float
) -> tuple[Tensor, Tensor]:
    """dL/dx and dL/dW by `search_spaces.kernels.gpu`."""
    from search_spaces.kernels.gpu.pix import pix_backward as compute

    found: tuple[Tensor, Tensor] = compute(grad, x, kept, zeta=zeta, tau=tau)
    return found


def plain_backward(grad: Tensor, x: Tensor, weight: Tensor, *, zeta: int, tau: float) -> tuple[Tensor, Tensor]:
    """dL/dx and dL/dW by plain operations, of which the forward pass is done again."""
    with torch.enable_grad():
        leaves = x.detach().requires_grad_(), weight.detach().requires_grad_()
        of_x, of_w = torch.autograd.grad(differentiable_pix(*leaves, zeta=zeta, tau=tau), leaves, grad)
    return of_x, of_w


def pix_backward(
    grad: Tensor,
    kept: tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None],
    grad_w: Tensor | None,
    *,
    zeta: int,
    tau: float,
    last: bool,
) -> Tensor:
    """Computes dL/dx (N, C, H, W), in channels-last if x was, and dL/dW (K, C) into `grad_w`.

    They come from dL/dy and the W, y, z, p and index of the forward pass.
    """
    assert LIBRARY is not None
    weight, y, z, p, index = kept
    (batch, _, height, width), channels = y.shape, weight.shape[1]
    layout = torch.channels_last if last else torch.contiguous_format
    grad = grad.contiguous(memory_format=layout)
    grad_x = torch.empty((batch, channels, height, width), memory_format=layout)
    logit = torch.empty_like(p)
    LIBRARY.nas_pix_backward(
        grad.data_ptr(),
        y.data_ptr(),
        z.data_ptr(),
        p.data_ptr(),
        weight.data_ptr(),
        None if index is None else index.data_ptr(),
        logit.data_ptr(),
        grad_x.data_ptr(),
        None if grad_w is None else grad_w.data_ptr(),
        batch,
        channels,
        height * width,
        zeta,
        tau,
        last,
        torch.get_num_threads(),
    )
    return grad_x


def differentiable_pix(x: Tensor, weight: Tensor, *, zeta: int, tau: float) -> Tensor:
    """The layer of operations that can be differentiated any number of times."""
    p = torch.sigmoid(x.mean((2, 3)).to(weight.dtype) @ weight.t())[:, :, None, None]
    chosen = []
    for k, part in enumerate(x.split(zeta, 1)):
        first = part.detach().argmax(1, keepdim=True)
        chosen.append(torch.where(p[:, k : k + 1] < tau, part.gather(1, first), part.mean(1, keepdim=True)))
    return p.to(x.dtype) * torch.cat(chosen, 1)
