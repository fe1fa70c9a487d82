"""A convolution with its bias, activation and residual in one call, its weights packed once; for inference only."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.kernels.dispatch import eager_on_cpu, usable
from search_spaces.kernels.library import LIBRARY
from search_spaces.kernels.winograd import is_winograd, transformed, winograd

# Activation: oneDNN's name and numbers, and the plain function.
ACTIVATIONS: dict[str, tuple[str, list[float]]] = {
    "none": ("none", []),
    "relu": ("relu", []),
    "relu6": ("hardtanh", [0.0, 6.0]),
    "swish": ("swish", []),
    "hardswish": ("hardswish", []),
}
PLAIN = {"relu": F.relu, "relu6": F.relu6, "swish": F.silu, "hardswish": F.hardswish}


def empty_strided_map(x: Tensor, stride: int) -> Tensor:
    """Room for a map (N, C, ⌈H/stride⌉, ⌈W/stride⌉) in channels-last, of x (N, C, H, W)."""
    height, width = (-(-side // stride) for side in x.shape[2:])
    return torch.empty((*x.shape[:2], height, width), memory_format=torch.channels_last)


def native_depthwise(
    x: Tensor,
    y: Tensor,
    taps: Tensor,
    bias: Tensor,
    *,
    kernel: int,
    stride: int,
    relu: bool,
    first: int = 0,
    scale: int = 0,
    paired: bool = False,
) -> None:
    """Writes the channels of y from `first` on, as many as `bias` has, from those of x; see multiplex.h for the weights by tap.

    Both maps are usable (see dispatch) and channels-last.
    """
    assert LIBRARY is not None
    batch, channels, height, width = x.shape
    LIBRARY.nas_multiplex(
        x.data_ptr(),
        taps.data_ptr(),
        bias.data_ptr(),
        y.data_ptr(),
        batch,
        height,
        width,
        channels,
        first,
        len(bias),
        kernel,
        stride,
        scale,
        paired,
        relu,
        torch.get_num_threads(),
    )


class FusedConv(nn.Module):
    """k×k convolution with bias, activation: (N, C_in, H, W) -> (N, C_out, ⌈H/stride⌉, ⌈W/stride⌉), and a residual on request.

    Eagerly on a CPU it is one call on channels-last maps, of the native library for 3×3 of stride 1 (see winograd.py) and of oneDNN for
    the rest, with weights packed at the first call; elsewhere the same in plain PyTorch, which is also what compiling and exporting see.

    Args:
        conv: its weights are taken over and are not to be trained any more.
        activation: none, relu, relu6, swish or hardswish.
    """

    def __init__(self, conv: nn.Conv2d, activation: str = "none") -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
        self.conv = conv.requires_grad_(False)
        self.activation = activation
        self._is_winograd = is_winograd(conv)
        self._packed: Tensor | None = None
        self._transformed: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor, residual: Tensor | None = None, then: str = "none") -> Tensor:
        """The convolution of x, activated; with a residual, which is added, `then` (none or relu) is what follows the sum."""
        if not eager_on_cpu(x) or (torch.is_grad_enabled() and x.requires_grad):
            return self._plainly(x, residual, then)
        assert residual is None or self.activation == "none"
        x = x.contiguous(memory_format=torch.channels_last)
        if residual is not None:
            residual = residual.contiguous(memory_format=torch.channels_last)
        if LIBRARY is not None and self._is_winograd:
            return self._natively(x, residual, then)
        if torch.backends.mkldnn.is_available():
            return self.by_onednn(x, residual, then)
        return self._plainly(x, residual, then)

    def _natively(self, x: Tensor, residual: Tensor | None, then: str) -> Tensor:
        conv, activation = self.conv, then if residual is not None else self.activation
        if self._transformed is None or self._transformed[0].device != x.device:
            bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach().contiguous()
            self._transformed = transformed(conv.weight.detach()), bias
        y = winograd(x, *self._transformed, residual, relu=activation == "relu")
        return y if activation in {"none", "relu"} else PLAIN[activation](y, inplace=True)

    def by_onednn(self, x: Tensor, residual: Tensor | None = None, then: str = "none") -> Tensor:
        """As `forward`, by oneDNN: x and residual are float32, channels-last and on the CPU."""
        conv = self.conv
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
            unary = None if then == "none" else then
            y = torch.ops.mkldnn._convolution_pointwise.binary(
                x, residual, self._packed, *geometry, "add", 1.0, unary, [], ""
            )
        return y

    def _plainly(self, x: Tensor, residual: Tensor | None, then: str) -> Tensor:
        y: Tensor = self.conv(x)
        if self.activation != "none":
            y = PLAIN[self.activation](y)
        if residual is not None:
            y = y + residual
        return F.relu(y) if then == "relu" else y

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None, "_transformed": None}  # they are made again

    def extra_repr(self) -> str:
        """The activation of the printed module."""
        return f"activation={self.activation}"


class PairedConv(nn.Module):
    """A convolution of two channels a group: (N, C, H, W) -> (N, C, ⌈H/stride⌉, ⌈W/stride⌉), as one native pass where it can be.

    oneDNN's grouped convolution reaches a fiftieth of the processor's speed at this width. Elsewhere it is the convolution itself.

    Args:
        conv: C in, C out, C/2 groups, see `is_paired`; its weights are taken over.
        activation: none, relu, relu6, swish or hardswish.
    """

    def __init__(self, conv: nn.Conv2d, activation: str = "none") -> None:
        super().__init__()
        self.whole = FusedConv(conv, activation)
        self._taps: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of x, activated."""
        if x.is_cuda or not usable(x) or (torch.is_grad_enabled() and x.requires_grad):
            return self.whole(x)  # type: ignore[no-any-return]
        conv, activation = self.whole.conv, self.whole.activation
        if self._taps is None:
            self._taps = _paired_taps(conv)
        x = x.contiguous(memory_format=torch.channels_last)
        stride = conv.stride[0]
        y = empty_strided_map(x, stride)
        native_depthwise(
            x, y, *self._taps, kernel=conv.kernel_size[0], stride=stride, paired=True, relu=activation == "relu"
        )
        return y if activation in {"none", "relu"} else PLAIN[activation](y, inplace=True)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_taps": None}  # they are made again


def is_paired(conv: nn.Conv2d) -> bool:
    """Whether each group of a convolution maps two channels to two, by an odd kernel that keeps the map's size but for the stride."""
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    square = conv.kernel_size == (kernel, kernel) and conv.stride == (stride, stride) and conv.dilation == (1, 1)
    same = kernel % 2 == 1 and conv.padding == (kernel // 2, kernel // 2)
    return conv.in_channels == conv.out_channels == 2 * conv.groups and square and same


def _paired_taps(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Weights by tap, (k·k, 2, C): of the channel itself and of the other of its pair; and the bias (C,)."""
    channels = torch.arange(conv.in_channels)
    weight = conv.weight.detach()
    pair = torch.stack([weight[channels, channels % 2], weight[channels, 1 - channels % 2]])  # (2, C, k, k)
    bias = torch.zeros(len(channels)) if conv.bias is None else conv.bias.detach().contiguous()
    return pair.flatten(2).permute(2, 0, 1).contiguous(), bias
