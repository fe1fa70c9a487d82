"""A convolution with its bias, activation and residual in one oneDNN call, its weights packed once; for inference only."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.kernels.dispatch import eager_on_cpu

# Activation: oneDNN's name and numbers, and the plain function.
ACTIVATIONS: dict[str, tuple[str, list[float]]] = {
    "none": ("none", []),
    "relu": ("relu", []),
    "relu6": ("hardtanh", [0.0, 6.0]),
    "swish": ("swish", []),
}


class FusedConv(nn.Module):
    """k×k convolution with bias, activation: (N, C_in, H, W) -> (N, C_out, ⌈H/stride⌉, ⌈W/stride⌉), and a residual on request.

    Eagerly on a CPU it is one call of oneDNN on channels-last maps, with weights packed at the first call; elsewhere the same in
    plain PyTorch, which is also what compiling and exporting see.

    Args:
        conv: its weights are taken over and are not to be trained any more.
        activation: none, relu, relu6 or swish.
    """

    def __init__(self, conv: nn.Conv2d, activation: str = "none") -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
        self.conv = conv.requires_grad_(False)
        self.activation = activation
        self._packed: Tensor | None = None

    def forward(self, x: Tensor, residual: Tensor | None = None, then: str = "none") -> Tensor:
        """The convolution of x, activated; with a residual, which is added, `then` (none or relu) is what follows the sum."""
        conv = self.conv
        if not (eager_on_cpu(x) and torch.backends.mkldnn.is_available()) or (
            torch.is_grad_enabled() and x.requires_grad
        ):
            return self._plainly(x, residual, then)
        x = x.contiguous(memory_format=torch.channels_last)
        if self._packed is None or self._packed.device != x.device:
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(
                conv.weight.detach(), conv.padding, conv.stride, conv.dilation, conv.groups, list(x.shape)
            )
        geometry = (conv.bias, conv.padding, conv.stride, conv.dilation, conv.groups)
        y: Tensor
        if residual is None:
            name, numbers = ACTIVATIONS[self.activation]
            y = torch.ops.mkldnn._convolution_pointwise(x, self._packed, *geometry, name, numbers, "")
        else:
            assert self.activation == "none"
            residual = residual.contiguous(memory_format=torch.channels_last)
            unary = None if then == "none" else then
            y = torch.ops.mkldnn._convolution_pointwise.binary(
                x, residual, self._packed, *geometry, "add", 1.0, unary, [], ""
            )
        return y

    def _plainly(self, x: Tensor, residual: Tensor | None, then: str) -> Tensor:
        y: Tensor = self.conv(x)
        if self.activation != "none":
            y = F.silu(y) if self.activation == "swish" else F.relu(y) if self.activation == "relu" else F.relu6(y)
        if residual is not None:
            y = y + residual
        return F.relu(y) if then == "relu" else y

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None}  # packed weights belong to a process; they are made again

    def extra_repr(self) -> str:
        """The activation of the printed module."""
        return f"activation={self.activation}"
