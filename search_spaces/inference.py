"""The inference form of a network: the same function with fewer passes over memory; it knows no search and trains nothing."""

from __future__ import annotations

import copy
from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from search_spaces.hosts.bottleneck import BasicBlock, Bottleneck
from search_spaces.kernels.convolution import FusedConv, PairedConv, is_paired
from search_spaces.kernels.dispatch import eager_on_cpu
from search_spaces.kernels.shuffle import FixedShuffle
from search_spaces.network import Network
from search_spaces.operators.channel_shuffle import ChannelShuffle
from search_spaces.operators.conv_norm import ConvNorm
from search_spaces.operators.muxconv import InvertedResidual, SpatialMultiplex

ACTIVATION_NAMES: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.SiLU: "swish",
    nn.Hardswish: "hardswish",
}
PORTION = 2 * 224 * 224  # pixels of input a thread that go through a network together: 2 images of ImageNet's size


def optimise(network: nn.Module) -> nn.Module:
    """A copy of a network for inference: (N, channels, H, W) -> (N, classes), equal to 1e-5 of its largest output.

    Batch norm is folded into the convolution before it, in torchvision's networks as well, and bias, activation and residual
    become part of that convolution's call; fixed shuffles are one gather. PiX and dynamic shuffle need nothing: in evaluation
    they run as one pass and one gather already. On a CPU the copy runs best on channels-last input, in eager mode under
    `torch.inference_mode()`; a large batch goes through a `Network` in portions, see `InPortions`. It compiles and exports to ONNX
    as plain operations. Weights are not to be changed afterwards.
    """
    optimised = copy.deepcopy(network).eval().requires_grad_(False)
    with torch.no_grad():
        rebuilt = _rebuilt(optimised)
    return InPortions(rebuilt) if isinstance(network, Network) else rebuilt


def _rebuilt(module: nn.Module) -> nn.Module:
    if _is_conv_norm(module):
        return _folded(module)
    if isinstance(module, ChannelShuffle):
        return FixedShuffle(module.groups)
    if isinstance(module, nn.Sequential) and len(module) > 1 and isinstance(module[0], SpatialMultiplex):
        return _folded_parts(module)
    for name, child in list(module.named_children()):
        setattr(module, name, _rebuilt(child))
    if isinstance(module, Bottleneck | BasicBlock) and isinstance(module.gate, nn.Identity):
        return FusedResidual(module)
    if isinstance(module, InvertedResidual) and module.residual and isinstance(module.project, FusedConv):
        return FusedInvertedResidual(module)
    return module


def _is_conv_norm(module: nn.Module) -> TypeGuard[nn.Sequential]:
    """Whether a module is a convolution and its batch norm, with an activation or none, as torchvision writes them too."""
    if isinstance(module, ConvNorm):
        return True
    children = list(module.children()) if isinstance(module, nn.Sequential) else []
    if len(children) not in {2, 3} or type(children[0]) is not nn.Conv2d or type(children[1]) is not nn.BatchNorm2d:
        return False
    return isinstance(children[0].padding, tuple) and children[0].padding_mode == "zeros"


def _folded(layers: nn.Sequential) -> nn.Module:
    conv, norm, *rest = layers.children()
    names = [ACTIVATION_NAMES.get(type(layer)) for layer in rest]
    if not (isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and len(rest) <= 1) or None in names:
        return layers
    folded, activation = fuse_conv_bn_eval(conv, norm), names[0] or "none" if names else "none"
    return PairedConv(folded, activation) if is_paired(folded) else FusedConv(folded, activation)


def _folded_parts(layers: nn.Sequential) -> nn.Module:
    """Spatial multiplexing, batch norm, activation: each part takes its channels of the norm, unless one is of scale +1.

    There a convolution's channel goes to several channels of the norm; such a layer stays as it is.
    """
    mixed, norm, *rest = layers.children()
    names = [ACTIVATION_NAMES.get(type(layer)) for layer in rest]
    assert isinstance(mixed, SpatialMultiplex)
    if not isinstance(norm, nn.BatchNorm2d) or len(rest) > 1 or None in names or 1 in mixed.scales:
        return layers
    start = 0
    for i, (size, scale) in enumerate(zip(mixed.sizes, mixed.scales, strict=True)):
        conv = mixed.parts[i]
        assert isinstance(conv, nn.Conv2d)
        part = _part_of(norm, start, size, copies=4 if scale < 0 else 1)
        mixed.parts[i] = FusedConv(fuse_conv_bn_eval(conv, part), names[0] or "none" if names else "none")
        start += size
    return mixed


def _part_of(norm: nn.BatchNorm2d, start: int, size: int, *, copies: int) -> nn.BatchNorm2d:
    """The norm of some channels, repeated for each pixel of a patch."""
    part = nn.BatchNorm2d(size * copies, eps=norm.eps).to(norm.weight).eval()
    for into, source in zip(
        (part.weight, part.bias, part.running_mean, part.running_var),
        (norm.weight, norm.bias, norm.running_mean, norm.running_var),
        strict=True,
    ):
        assert into is not None and source is not None
        into.copy_(source[start : start + size].repeat(copies))
    return part


class InPortions(nn.Module):
    """A network that takes a large batch eagerly on a CPU a few images at a time.

    Its maps then stay in the cache, and glibc does not return them to the system after every layer. Its images must not depend on
    each other, as none do in evaluation. Everywhere else it is the network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """The network's output: (N, C, H, W) -> (N, classes)."""
        if not eager_on_cpu(x):
            return self.network(x)  # type: ignore[no-any-return]
        images = max(1, torch.get_num_threads() * PORTION // (x.shape[2] * x.shape[3]))
        if x.shape[0] <= images:
            return self.network(x)  # type: ignore[no-any-return]
        return torch.cat([self.network(portion) for portion in x.split(images)])


class FusedResidual(nn.Module):
    """A `Bottleneck` or `BasicBlock` without a gate: its last convolution adds the shortcut and takes ReLU in one call."""

    def __init__(self, block: Bottleneck | BasicBlock) -> None:
        super().__init__()
        if isinstance(block, Bottleneck):
            self.body = nn.Sequential(block.squeeze, block.conv, block.prune)
            self.last = block.expand
        else:
            self.body = nn.Sequential(block.first, block.downscale)
            self.last = block.second
        self.shortcut = block.shortcut

    def forward(self, x: Tensor) -> Tensor:
        """The block's map."""
        y = self.body(x)
        if isinstance(self.last, FusedConv):
            return self.last(y, self.shortcut(x), "relu")  # type: ignore[no-any-return]
        return F.relu(self.last(y) + self.shortcut(x))


class FusedInvertedResidual(nn.Module):
    """An `InvertedResidual` with a residual, which its projection adds in the same call."""

    def __init__(self, block: InvertedResidual) -> None:
        super().__init__()
        self.body = nn.Sequential(block.expand, block.depthwise, block.gate)
        self.project = block.project

    def forward(self, x: Tensor) -> Tensor:
        """The block's map."""
        y: Tensor = self.project(self.body(x), x)
        return y
