"""Shapes, operators, and the four costs of each; it knows no report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.operators.channel_shuffle import ChannelShuffle
from search_spaces.operators.dynamic_shuffle import DynamicShuffle, StaticDynamicShuffle
from search_spaces.operators.gates import CBAM, SqueezeExcite
from search_spaces.operators.muxconv import ChannelMultiplexBlock, SpatialMultiplex
from search_spaces.operators.pix import PiX
from search_spaces.operators.pointwise import Pointwise

# network, channels in, channels out of the squeezing 1×1 convolution, side of the feature map at 224 pixels
SHAPES = (
    ("ResNet-50", 256, 64, 56),
    ("ResNet-50", 512, 128, 28),
    ("ResNet-50", 1024, 256, 14),
    ("ResNet-50", 2048, 512, 7),
    ("MobileNetV2", 144, 24, 56),
    ("MobileNetV2", 192, 32, 28),
    ("MobileNetV2", 384, 64, 14),
    ("MobileNetV2", 576, 96, 14),
    ("MobileNetV2", 960, 160, 7),
)

# operators that squeeze C_in channels to C_out, and operators that keep C_in
SQUEEZING: dict[str, Callable[[int, int], nn.Module]] = {
    "1×1 convolution": Pointwise,
    "1×1, 4 groups": partial(Pointwise, groups=4),
    "PiX": lambda c_in, c_out: PiX(c_in, zeta=c_in // c_out),
    "static-dynamic shuffle": StaticDynamicShuffle,
}
KEEPING: dict[str, Callable[[int], nn.Module]] = {
    "1×1 convolution": lambda c: Pointwise(c, c),
    "1×1, 4 groups": lambda c: Pointwise(c, c, groups=4),
    "static-dynamic shuffle": lambda c: StaticDynamicShuffle(c, c),
    "dynamic shuffle": partial(DynamicShuffle, groups=2),
    "fixed shuffle": lambda c: ChannelShuffle(2),
    "depthwise 3×3": partial(SpatialMultiplex, kernels=(3,), scales=(0,)),
    "mixed kernels 3, 5, 7": partial(SpatialMultiplex, kernels=(3, 5, 7), scales=(0, 0, 0)),
    "spatial multiplexing": partial(SpatialMultiplex, kernels=(3, 3, 3, 3), scales=(-1, 0, 0, 1)),
    "channel multiplexing": partial(ChannelMultiplexBlock, expansion=1.0, group_width=2),
    "PiX gate": partial(PiX, zeta=1),
    "squeeze-excite": lambda c: SqueezeExcite(c, c // 16),
    "CBAM": lambda c: CBAM(c, c // 16),
}


@dataclass(frozen=True)
class Cost:
    """One operator at one shape; bytes are what its eager operations read and write in float32, for one image."""

    network: str
    role: str
    operator: str
    c_in: int
    c_out: int
    side: int
    params: int
    macs: int
    megabytes_moved: float
    latency_ms: float
    latency_channels_last_ms: float


class BytesMoved(TorchDispatchMode):
    """Adds up the tensors that operations read and write; views move nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs the operation and counts it."""
        result = func(*args, **(kwargs or {}))
        view = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        if not view:
            leaves = torch.utils._pytree.tree_leaves((args, kwargs, result))
            self.total += sum(leaf.numel() * leaf.element_size() for leaf in leaves if isinstance(leaf, Tensor))
        return result


def cases() -> Iterator[tuple[str, str, str, int, int, int, Callable[[], nn.Module]]]:
    """Every shape with every operator that it can take."""
    for network, c_in, c_out, side in SHAPES:
        for name, squeeze in SQUEEZING.items():
            yield network, "squeeze", name, c_in, c_out, side, partial(squeeze, c_in, c_out)
        for name, keep in KEEPING.items():
            yield network, "keep", name, c_in, c_in, side, partial(keep, c_in)


def measure(seconds: float) -> Iterator[Cost]:
    """The costs of every case, one image, evaluation; `seconds` of timing for each layout."""
    for network, role, name, c_in, c_out, side, make in cases():
        torch.manual_seed(0)
        module = make().eval()
        x = torch.randn(1, c_in, side, side)
        with torch.no_grad():
            counter, moved = FlopCounterMode(display=False), BytesMoved()
            with counter:
                module(x)
            with moved:
                module(x)
            first = latency_ms(module, x, seconds)
            last = torch.channels_last
            second = latency_ms(module.to(memory_format=last), x.contiguous(memory_format=last), seconds)
        params = sum(p.numel() for p in module.parameters())
        macs = counter.get_total_flops() // 2
        yield Cost(network, role, name, c_in, c_out, side, params, macs, moved.total / 1e6, first, second)


def latency_ms(module: nn.Module, x: Tensor, seconds: float) -> float:
    """Median of one forward pass on one thread."""
    timer = Timer("module(x)", globals={"module": module, "x": x}, num_threads=1)
    return timer.blocked_autorange(min_run_time=seconds).median * 1e3
