"""Decides at run time whether a kernel stands in for a plain operator; it knows no operator.

A module's `forward` is replaced after its class statement, so that the class's source stays the plain specification: it is what an
export copies, what compiling, exporting and tracing see, and what runs wherever a kernel cannot.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from search_spaces.kernels.library import LIBRARY

T = TypeVar("T")
log = logging.getLogger(__name__)

GPU_TYPES = {torch.float32, torch.bfloat16, torch.float16}
MOST_IMAGES = 65535  # in the third dimension of a grid
_enabled = os.environ.get("NAS_KERNELS", "1") != "0"
_gpu = importlib.util.find_spec("triton") is not None


def available() -> bool:
    """Whether the native library was built and is not switched off (`NAS_KERNELS=0`, or within `plain_operators`)."""
    return LIBRARY is not None and _enabled


@contextmanager
def plain_operators() -> Iterator[None]:
    """Within it every operator runs as plain PyTorch."""
    global _enabled  # noqa: PLW0603 - one switch for the process
    before, _enabled = _enabled, False
    try:
        yield
    finally:
        _enabled = before


def eager(x: Tensor) -> bool:
    """Whether x (N, C, H, W) is a tensor in eager mode with nobody watching.

    Compiling, exporting and tracing need operations that they know; modes (counting multiply-adds, fake tensors) and functional
    transforms have to see every operation.
    """
    if torch.compiler.is_compiling():
        return False
    return (
        _enabled
        and type(x) is Tensor
        and x.dim() == 4
        and x.numel() > 0
        and not torch._C._is_tracing()
        and not torch._C._len_torch_dispatch_stack()
        and torch._C._functorch.peek_interpreter_stack() is None
        and forward_ad._current_level < 0
    )


def eager_on_cpu(x: Tensor) -> bool:
    """Whether x (N, C, H, W) is float32 on the CPU without autocast, and see `eager`."""
    return x.is_cpu and x.dtype is torch.float32 and not torch.is_autocast_enabled("cpu") and eager(x)


def usable(x: Tensor) -> bool:
    """Whether kernels may read x: they are there, x is dense and in eager mode, in float32 on the CPU or in up to 32 bits on a GPU."""
    if x.is_cuda:
        return _gpu and x.dtype in GPU_TYPES and x.shape[0] <= MOST_IMAGES and eager(x) and is_dense(x)
    return LIBRARY is not None and eager_on_cpu(x) and is_dense(x)


def is_dense(x: Tensor) -> bool:
    """Whether the values of x lie without gaps, in NCHW or channels-last."""
    return x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)


def channels_last(x: Tensor) -> bool:
    """Whether the channels of a pixel lie side by side, as `like_layout` sees it."""
    return x.is_contiguous(memory_format=torch.channels_last)


def is_plain_linear(layer: nn.Module, x: Tensor) -> bool:
    """Whether a layer computes W·GAP(x) and nothing else, with dense weights beside x, on a CPU in float32, and nobody hooked in."""
    if type(layer) is not nn.Linear or layer.bias is not None or layer._forward_hooks or layer._forward_pre_hooks:
        return False
    weight = layer.weight
    return (
        type(weight) in {nn.Parameter, Tensor}
        and weight.dtype in (GPU_TYPES if x.is_cuda else {torch.float32})
        and weight.device == x.device
        and weight.is_contiguous()
        and layer.in_features == x.shape[1]
    )


def on_gpu(x: Tensor, compute: Callable[[], T]) -> T | None:
    """What kernels compute on the GPU of x; None, and no further attempt in this process, where they cannot be compiled or launched."""
    global _gpu  # noqa: PLW0603 - one switch for the process
    try:
        with torch.cuda.device_of(x):
            return compute()
    except torch.OutOfMemoryError:
        raise
    except Exception as problem:  # whatever a compiler or driver raises: the plain code does not need it
        _gpu = False
        log.warning("the GPU kernels are given up, plain PyTorch runs in their place: %s", problem)
        return None


Fast = Callable[[Any, Tensor], Tensor | None]


def with_fast_path(module: type[nn.Module], fast: Fast, *, compiled: Fast | None = None) -> None:
    """Makes `fast(self, x)` stand in for `module.forward` where x is usable; where it returns None the plain forward runs.

    `compiled` likewise stands in where a graph is compiled for this machine, though not exported to others.
    """
    plain = module.forward

    @functools.wraps(plain)
    def forward(self: Any, x: Tensor) -> Any:
        y: Tensor | None = None
        if torch.compiler.is_compiling():
            if compiled is not None and not torch.compiler.is_exporting():
                y = compiled(self, x)
        elif usable(x):
            y = on_gpu(x, lambda: fast(self, x)) if x.is_cuda else fast(self, x)
        if y is not None:
            return y
        return plain(self, x)

    name = "forward"
    setattr(module, name, forward)
