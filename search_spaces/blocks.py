"""The blocks that a stage can choose, by mixer name; each maps (N, C_in, H, W) to (N, C_out, ⌈H/stride⌉, ⌈W/stride⌉)."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from torch import nn

from search_spaces.architecture import OptionValue, Stage
from search_spaces.hosts.bottleneck import BasicBlock, Bottleneck
from search_spaces.hosts.shuffle_unit import ShuffleUnit, ShuffleUnitV2
from search_spaces.operators.muxconv import ChannelMultiplexBlock, InvertedResidual


def pix(
    c_in: int, c_out: int, *, stride: int, kernel: int = 3, zeta: int = 4, tau: float = 0.5, gate: str = "none"
) -> nn.Module:
    """A bottleneck squeezed by PiX."""
    return Bottleneck(c_in, c_out, stride=stride, kernel=kernel, zeta=zeta, squeeze="pix", tau=tau, gate=gate)


def conv1x1(
    c_in: int,
    c_out: int,
    *,
    stride: int,
    kernel: int = 3,
    zeta: int = 4,
    tau: float = 0.5,
    prune: int = 1,
    gate: str = "none",
) -> nn.Module:
    """The same bottleneck squeezed by a 1×1 convolution; `prune` puts PiX before the expanding one, `gate` a gate after it."""
    return Bottleneck(c_in, c_out, stride=stride, kernel=kernel, zeta=zeta, tau=tau, prune=prune, gate=gate)


def basic(
    c_in: int, c_out: int, *, stride: int, kernel: int = 3, zeta: int = 1, tau: float = 0.5, gate: str = "none"
) -> nn.Module:
    """A basic residual block; `zeta` above 1 puts PiX between its convolutions, `gate` a gate after them."""
    return BasicBlock(c_in, c_out, stride=stride, kernel=kernel, zeta=zeta, tau=tau, gate=gate)


def shuffle(
    c_in: int, c_out: int, *, stride: int, kernel: int = 3, groups: int = 2, shuffle: str = "fixed"
) -> nn.Module:
    """A ShuffleNet V1 unit with a fixed, dynamic or static-dynamic shuffle."""
    return ShuffleUnit(c_in, c_out, stride=stride, kernel=kernel, groups=groups, shuffle=shuffle)


def shuffle_v2(c_in: int, c_out: int, *, stride: int, kernel: int = 3, shuffle: str = "fixed") -> nn.Module:
    """A ShuffleNet V2 unit with a fixed, dynamic or static-dynamic shuffle."""
    return ShuffleUnitV2(c_in, c_out, stride=stride, kernel=kernel, shuffle=shuffle)


def inverted_residual(
    c_in: int,
    c_out: int,
    *,
    stride: int,
    kernels: tuple[int, ...] = (3,),
    scales: tuple[int, ...] = (0,),
    expansion: float = 6.0,
    squeeze: float = 0.0,
    activation: str = "relu",
) -> nn.Module:
    """An inverted residual with a depthwise convolution of one or several kernels and scales."""
    return InvertedResidual(
        c_in,
        c_out,
        kernels=kernels,
        scales=scales,
        stride=stride,
        expansion=expansion,
        squeeze=squeeze,
        activation=activation,
    )


def mux(
    c_in: int,
    c_out: int,
    *,
    stride: int,
    kernels: tuple[int, ...] = (3,),
    scales: tuple[int, ...] = (0,),
    ratio: float = 0.5,
    expansion: float = 6.0,
    squeeze: float = 0.0,
    activation: str = "relu",
) -> nn.Module:
    """Channel multiplexing where width and resolution stay, else a plain inverted residual.

    The inner convolution has groups of 2 channels, as published, where it has one kernel and the hidden channels are even.
    """
    if stride != 1 or c_in != c_out:
        return InvertedResidual(
            c_in,
            c_out,
            kernels=kernels,
            scales=scales,
            stride=stride,
            expansion=expansion,
            squeeze=squeeze,
            activation=activation,
        )
    paired = len(kernels) == 1 and set(scales) == {0} and int(int(ratio * c_in) * expansion) % 2 == 0
    return ChannelMultiplexBlock(
        c_in,
        ratio=ratio,
        kernels=kernels,
        scales=scales,
        expansion=expansion,
        squeeze=squeeze,
        activation=activation,
        group_width=2 if paired else 1,
    )


BLOCKS: dict[str, Callable[..., nn.Module]] = {
    "pix": pix,
    "conv1x1": conv1x1,
    "basic": basic,
    "shuffle": shuffle,
    "shuffle_v2": shuffle_v2,
    "mux": mux,
    "inverted_residual": inverted_residual,
}


def make_block(stage: Stage, c_in: int, *, stride: int) -> nn.Module:
    """One block of a stage.

    Raises:
        ValueError: no mixer of that name, no such option, a value of the wrong type, or one that the block cannot take.
    """
    if stage.mixer not in BLOCKS:
        raise ValueError(f"mixer must be one of {', '.join(BLOCKS)}; got {stage.mixer!r}")
    known = inspect.signature(BLOCKS[stage.mixer]).parameters
    for name, value in stage.options:
        if name not in known or name in {"c_in", "c_out", "stride"}:
            options = ", ".join(name for name in known if name not in {"c_in", "c_out", "stride"})
            raise ValueError(f"mixer {stage.mixer!r} has the options {options}; got {name!r}")
        if not _fits(value, known[name].default):
            wanted = type(known[name].default).__name__
            raise ValueError(f"option {name!r} of mixer {stage.mixer!r} must be of type {wanted}, got {value!r}")
    return BLOCKS[stage.mixer](c_in, stage.width, stride=stride, **dict(stage.options))


def _fits(value: OptionValue, default: object) -> bool:
    return type(value) is type(default) or (isinstance(default, float) and type(value) is int)
