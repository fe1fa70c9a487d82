"""Convolution, batch norm and activation in a row: what every block is made of besides its operator."""

from __future__ import annotations

from torch import nn


def activation_named(name: str) -> nn.Module:
    """The activation `relu`, `relu6`, `swish` or `none` as a module.

    Raises:
        ValueError: another name.
    """
    if name == "relu":
        return nn.ReLU(inplace=True)
    if name == "relu6":
        return nn.ReLU6(inplace=True)
    if name == "swish":
        return nn.SiLU()
    if name == "none":
        return nn.Identity()
    raise ValueError(f"activation must be relu, relu6, swish or none, got {name!r}")


class ConvNorm(nn.Sequential):
    """k×k convolution without bias, batch norm, activation: (N, C_in, H, W) -> (N, C_out, ⌈H/stride⌉, ⌈W/stride⌉).

    Costs k²·C_in·C_out/groups multiply-adds an output pixel.

    Raises:
        ValueError: the kernel is even, or the groups do not divide both numbers of channels.
    """

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 1, *, stride: int = 1, groups: int = 1, activation: str = "none"
    ) -> None:
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {kernel}")
        if groups < 1 or c_in % groups or c_out % groups:
            raise ValueError(f"groups must divide the channels in and out, got {groups} groups of {c_in} -> {c_out}")
        conv = nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
        layers: list[nn.Module] = [conv, nn.BatchNorm2d(c_out)]
        if activation != "none":
            layers.append(activation_named(activation))
        super().__init__(*layers)
