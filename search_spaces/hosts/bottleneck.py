"""The residual bottleneck and the basic residual block, with PiX in its four uses and the gates that it is compared with."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.conv_norm import ConvNorm
from search_spaces.operators.gates import CBAM, SqueezeExcite
from search_spaces.operators.pix import PiX


def gate_named(name: str, channels: int, *, tau: float = 0.5) -> nn.Module:
    """A gate on the channels before a residual is added: none, se, cbam or pix (ζ = 1).

    Raises:
        ValueError: another name.
    """
    if name == "none":
        return nn.Identity()
    if name == "se":
        return SqueezeExcite(channels, max(1, channels // 16))
    if name == "cbam":
        return CBAM(channels, max(1, channels // 16))
    if name == "pix":
        return PiX(channels, zeta=1, tau=tau)
    raise ValueError(f"gate must be none, se, cbam or pix, got {name!r}")


def shortcut(c_in: int, c_out: int, stride: int) -> nn.Module:
    """What a residual block adds: its input, or a 1×1 projection with batch norm where the shape changes."""
    return nn.Identity() if stride == 1 and c_in == c_out else ConvNorm(c_in, c_out, stride=stride)


class Bottleneck(nn.Module):
    """Squeeze, k×k convolution, 1×1 expand, residual: (N, C_in, H, W) -> (N, C_out, ⌈H/stride⌉, ⌈W/stride⌉).

    The squeeze to about C_out/ζ channels is a 1×1 convolution with batch norm and ReLU (ResNet, CVPR 2016) or PiX in the
    place of all three (CVPR 2024, "fast channel squeezing"), which then takes subsets of max(1, C_in // mid) channels.

    Args:
        c_in: channels in.
        c_out: channels out.
        stride: of the k×k convolution.
        kernel: its size, odd.
        zeta: C_out over the middle channels.
        squeeze: conv1x1 or pix.
        tau: threshold of every PiX in the block.
        prune: above 1, PiX with this ζ stands before the expanding convolution, whose input is cut to match (CVPR 2024,
            "dynamic channel pruning").
        gate: none, se, cbam or pix, on the channels out (CVPR 2024, "better representation").

    Raises:
        ValueError: a name is unknown, or a number out of its range.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        stride: int,
        kernel: int = 3,
        zeta: int = 4,
        squeeze: str = "conv1x1",
        tau: float = 0.5,
        prune: int = 1,
        gate: str = "none",
    ) -> None:
        super().__init__()
        if zeta < 1 or prune < 1:
            raise ValueError(f"zeta and prune divide channels and must be 1 or more, got {zeta} and {prune}")
        if squeeze not in {"conv1x1", "pix"}:
            raise ValueError(f"squeeze must be conv1x1 or pix, got {squeeze!r}")
        mid = max(1, c_out // zeta)
        squeezed = mid
        self.squeeze: nn.Module
        if squeeze == "pix":
            self.squeeze = PiX(c_in, zeta=max(1, c_in // mid), tau=tau)
            squeezed = self.squeeze.out_channels
        else:
            self.squeeze = ConvNorm(c_in, mid, activation="relu")
        self.conv = ConvNorm(squeezed, mid, kernel, stride=stride, activation="relu")
        self.prune = PiX(mid, zeta=min(prune, mid), tau=tau) if prune > 1 else nn.Identity()
        self.expand = ConvNorm(-(-mid // min(prune, mid)), c_out)
        self.gate = gate_named(gate, c_out, tau=tau)
        self.shortcut = shortcut(c_in, c_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """The map that the class describes."""
        y: Tensor = self.gate(self.expand(self.prune(self.conv(self.squeeze(x)))))
        return F.relu(y + self.shortcut(x))


class BasicBlock(nn.Module):
    """Two k×k convolutions with a residual: (N, C_in, H, W) -> (N, C_out, ⌈H/stride⌉, ⌈W/stride⌉).

    With ζ above 1 PiX stands between them, so that the second sees C_out/ζ channels (CVPR 2024, "network downscaling").

    Args:
        c_in: channels in.
        c_out: channels out.
        stride: of the first convolution.
        kernel: size of both, odd.
        zeta: of PiX between them, 1 for none.
        tau: threshold of every PiX in the block.
        gate: none, se, cbam or pix, on the channels out.

    Raises:
        ValueError: a name is unknown, or a number out of its range.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        stride: int,
        kernel: int = 3,
        zeta: int = 1,
        tau: float = 0.5,
        gate: str = "none",
    ) -> None:
        super().__init__()
        self.first = ConvNorm(c_in, c_out, kernel, stride=stride, activation="relu")
        self.downscale = PiX(c_out, zeta=zeta, tau=tau) if zeta != 1 else nn.Identity()
        self.second = ConvNorm(-(-c_out // zeta), c_out, kernel)
        self.gate = gate_named(gate, c_out, tau=tau)
        self.shortcut = shortcut(c_in, c_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """The map that the class describes."""
        y: Tensor = self.gate(self.second(self.downscale(self.first(x))))
        return F.relu(y + self.shortcut(x))
