"""Decides at run time whether a native kernel stands in for a plain operator; it knows no operator.

A module's `forward` is replaced after its class statement, so that the class's source stays the plain specification: it is what an
export copies, what compiling, exporting and tracing see, and what runs wherever a kernel cannot.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from search_spaces.kernels.library import LIBRARY

_enabled = os.environ.get("NAS_KERNELS", "1") != "0"


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


def eager_on_cpu(x: Tensor) -> bool:
    """Whether x (N, C, H, W) is float32 on the CPU, in eager mode with nobody watching.

    Compiling, exporting and tracing need operations that they know; modes (counting multiply-adds, fake tensors), functional
    transforms and autocast have to see every operation.
    """
    if torch.compiler.is_compiling():
        return False
    return (
        _enabled
        and type(x) is Tensor
        and x.dtype is torch.float32
        and x.is_cpu
        and x.dim() == 4
        and x.numel() > 0
        and not torch._C._is_tracing()
        and not torch._C._len_torch_dispatch_stack()
        and torch._C._functorch.peek_interpreter_stack() is None
        and forward_ad._current_level < 0
        and not torch.is_autocast_enabled("cpu")
    )


def usable(x: Tensor) -> bool:
    """Whether native kernels may read x: the library is there and x is dense, and see `eager_on_cpu`."""
    return (
        eager_on_cpu(x)
        and LIBRARY is not None
        and (x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last))
    )


def channels_last(x: Tensor) -> bool:
    """Whether the channels of a pixel lie side by side, as `like_layout` sees it."""
    return x.is_contiguous(memory_format=torch.channels_last)


def is_plain_linear(layer: nn.Module, width: int) -> bool:
    """Whether a layer computes W·z and nothing else, with dense float32 weights on the CPU and nobody hooked in."""
    if type(layer) is not nn.Linear or layer.bias is not None or layer._forward_hooks or layer._forward_pre_hooks:
        return False
    weight = layer.weight
    return (
        type(weight) in {nn.Parameter, Tensor}
        and weight.dtype is torch.float32
        and weight.is_cpu
        and weight.is_contiguous()
        and layer.in_features == width
    )


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
            y = fast(self, x)
        if y is not None:
            return y
        return plain(self, x)

    name = "forward"
    setattr(module, name, forward)
