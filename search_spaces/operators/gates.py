"""Channel and spatial gates that PiX is compared with: squeeze-and-excite and CBAM."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate that the image decides: (N, C, H, W) -> (N, C, H, W).

    GAP, 1×1 with bias, activation, 1×1 with bias, sigmoid. Costs 2·C·hidden multiply-adds an image.
    Squeeze-and-Excitation Networks (Hu et al., CVPR 2018), equations 2–4.
    """

    def __init__(self, channels: int, hidden: int, *, activation: str = "relu") -> None:
        super().__init__()
        if hidden < 1:
            raise ValueError(f"squeeze-and-excite needs one hidden unit or more, got {hidden}: raise its ratio")
        self.activation = activation
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The map that the class describes."""
        hidden = self.reduce(x.mean((2, 3), keepdim=True))
        hidden = F.silu(hidden) if self.activation == "swish" else F.relu(hidden)
        return x * torch.sigmoid(self.expand(hidden))


class CBAM(nn.Module):
    """Scales channels, then pixels: (N, C, H, W) -> (N, C, H, W).

    The channel gate is sigmoid(MLP(GAP) + MLP(global maximum)), the pixel gate sigmoid(k×k convolution of the mean and the
    maximum over channels). Costs 4·C·hidden multiply-adds an image and 2·k² a pixel.
    CBAM (Woo et al., ECCV 2018), equations 2 and 3.
    """

    def __init__(self, channels: int, hidden: int, *, kernel: int = 7) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.expand = nn.Linear(hidden, channels, bias=False)
        self.spatial = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The map that the class describes."""
        mean, largest = x.mean((2, 3)), x.amax((2, 3))
        gate = self.expand(F.relu(self.reduce(mean))) + self.expand(F.relu(self.reduce(largest)))
        x = x * torch.sigmoid(gate)[:, :, None, None]
        pixels = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), 1)
        return x * torch.sigmoid(self.spatial(pixels))
