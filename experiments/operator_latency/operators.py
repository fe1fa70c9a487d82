"""Plain and fast operators, what they replace, and a copy of the same bytes, at the shapes of known networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from experiments.operator_latency.clock import medians
from search_spaces.kernels.convolution import FusedConv
from search_spaces.kernels.dispatch import plain_operators, usable
from search_spaces.kernels.pix import pix_forward
from search_spaces.kernels.shuffle import pooled
from search_spaces.operators.channel_shuffle import channel_shuffle
from search_spaces.operators.dynamic_shuffle import DynamicShuffle, StaticDynamicShuffle
from search_spaces.operators.muxconv import SpatialMultiplex
from search_spaces.operators.pix import PiX

# channels in, channels out, pixels a side
PIX = {
    "ResNet-50": (
        (64, 64, 56),
        (256, 64, 56),
        (256, 128, 56),
        (512, 128, 28),
        (512, 256, 28),
        (1024, 256, 14),
        (1024, 512, 14),
        (2048, 512, 7),
    ),
    "MobileNetV2": ((144, 24, 56), (192, 32, 28), (384, 64, 14), (576, 96, 14), (960, 160, 7)),
    "spaces": ((32, 8, 32), (64, 16, 16), (128, 32, 8)),
}
# of ResNet-50, also at four times the batch: maps leave the caches
LARGE = ((256, 64, 56), (512, 128, 28), (1024, 256, 14))
SHUFFLES = {
    "ShuffleNet V2": ((116, 28), (232, 14), (464, 7)),
    "spaces": ((64, 16), (128, 28), (256, 28), (512, 14)),
}
# channels, pixels a side, kernels, scales, stride
MULTIPLEXES = {
    "MUXNet-m": ((96, 56, (3, 5, 7), (0, 0, 0), 2), (160, 28, (3, 5, 7, 9), (0, 0, 0, 0), 2)),
    "spaces": (
        (64, 32, (3, 3), (-1, 0), 1),
        (64, 32, (3, 3), (-1, 1), 1),
        (128, 16, (3, 5), (-1, 0), 1),
        (192, 8, (5, 5), (-1, 0), 1),
    ),
}
# channels, pixels a side
CONVOLUTIONS = {
    "ResNet-50": ((64, 56), (128, 28), (256, 14), (512, 7)),
    "spaces": ((32, 32), (64, 16), (128, 8)),
}
LAYOUTS = {"NCHW": torch.contiguous_format, "channels-last": torch.channels_last}


@dataclass(frozen=True)
class Timing:
    """One way of computing one operator at one shape; `limit_ms` is a copy of its input's and output's bytes.

    Backward, these are counted twice: dL/dy is read and dL/dx written.
    """

    operator: str
    network: str
    shape: str
    layout: str
    direction: str
    way: str
    ms: float
    limit_ms: float
    gigabytes_a_second: float


def timings(*, batch: int, turns: int, device: torch.device) -> Iterator[Timing]:
    """Every operator at every shape."""
    for network, shapes in PIX.items():
        for c_in, c_out, side in shapes:
            for layout in LAYOUTS:
                yield from _pix(network, (c_in, c_out, side), layout, batch=batch, turns=turns, device=device)
    for large in LARGE:
        for layout in LAYOUTS:
            note = f", batch {4 * batch}"
            yield from _pix("ResNet-50", large, layout, note, batch=4 * batch, turns=turns, device=device)
    for network, places in SHUFFLES.items():
        for channels, side in places:
            for layout in LAYOUTS:
                yield from _shuffle(network, channels, side, layout, batch=batch, turns=turns, device=device)
    for network, layers in MULTIPLEXES.items():
        for layer in layers:
            for layout in LAYOUTS:
                yield from _multiplex(network, layer, layout, batch=batch, turns=turns, device=device)
    if device.type == "cpu":
        for network, places in CONVOLUTIONS.items():
            for channels, side in places:
                yield from _convolution(network, channels, side, batch=batch, turns=turns)


def _pix(
    network: str,
    shape: tuple[int, int, int],
    layout: str,
    note: str = "",
    *,
    batch: int,
    turns: int,
    device: torch.device,
) -> Iterator[Timing]:
    c_in, c_out, side = shape
    torch.manual_seed(0)
    form = LAYOUTS[layout]
    x = torch.randn(batch, c_in, side, side, device=device).contiguous(memory_format=form)
    grad = torch.randn(batch, c_out, side, side, device=device).contiguous(memory_format=form)
    pix = PiX(c_in, zeta=c_in // c_out).to(device)
    conv = nn.Conv2d(c_in, c_out, 1, bias=False).to(device, memory_format=form)
    ways = {"fast": (pix, False), "plain": (pix, True), "1×1 convolution": (conv, False)}
    yield from _both(
        "PiX", network, f"{c_in}→{c_out} at {side}²{note}", layout, ways, x, grad, turns=turns, device=device
    )


def _shuffle(
    network: str, channels: int, side: int, layout: str, *, batch: int, turns: int, device: torch.device
) -> Iterator[Timing]:
    torch.manual_seed(0)
    form = LAYOUTS[layout]
    x = torch.randn(batch, channels, side, side, device=device).contiguous(memory_format=form)
    dynamic = DynamicShuffle(channels, groups=2).eval().to(device)
    static = StaticDynamicShuffle(channels, channels).eval().to(device)
    conv = nn.Conv2d(channels, channels, 1, bias=False).to(device, memory_format=form)
    ways: dict[str, Callable[[], object]] = {
        "fast": lambda: dynamic(x),
        "plain": _plainly(lambda: dynamic(x)),
        "fixed shuffle + generator": lambda: (channel_shuffle(x, 2), dynamic.generator(x)),
        "static-dynamic": lambda: static(x),
        "1×1 convolution": lambda: conv(x),
    }
    with torch.no_grad():
        yield from _measured(
            "dynamic shuffle",
            network,
            f"{channels} at {side}²",
            layout,
            "forward",
            ways,
            2 * x.numel(),
            turns=turns,
            device=device,
        )


def _multiplex(
    network: str,
    layer: tuple[int, int, tuple[int, ...], tuple[int, ...], int],
    layout: str,
    *,
    batch: int,
    turns: int,
    device: torch.device,
) -> Iterator[Timing]:
    channels, side, kernels, scales, stride = layer
    torch.manual_seed(0)
    form = LAYOUTS[layout]
    x = torch.randn(batch, channels, side, side, device=device).contiguous(memory_format=form)
    mixed = SpatialMultiplex(channels, kernels=kernels, scales=scales, stride=stride).eval().to(device)
    kernel = max(kernels)
    conv = nn.Conv2d(channels, channels, kernel, stride=stride, padding=kernel // 2, groups=channels, bias=False)
    conv = conv.to(device, memory_format=form)
    ways: dict[str, Callable[[], object]] = {
        "fast": lambda: mixed(x),
        "plain": _plainly(lambda: mixed(x)),
        "depthwise, largest kernel": lambda: conv(x),
    }
    shape = f"{channels} at {side}², k {_short(kernels)}, scales {_short(scales)}, stride {stride}"
    size = x.numel() + x.numel() // stride**2
    with torch.no_grad():
        yield from _measured(
            "spatial multiplexing", network, shape, layout, "forward", ways, size, turns=turns, device=device
        )


def _short(numbers: tuple[int, ...]) -> str:
    return " ".join(str(number) for number in numbers)


def _convolution(network: str, channels: int, side: int, *, batch: int, turns: int) -> Iterator[Timing]:
    """As `optimise` makes it: weights are packed, ReLU is part of the call."""
    torch.manual_seed(0)
    x = torch.randn(batch, channels, side, side).contiguous(memory_format=torch.channels_last)
    fused = FusedConv(nn.Conv2d(channels, channels, 3, padding=1), "relu")
    ways: dict[str, Callable[[], object]] = {"fast": lambda: fused(x), "oneDNN": lambda: fused.by_onednn(x)}
    with torch.inference_mode():
        yield from _measured(
            "3×3 convolution of the inference form",
            network,
            f"{channels} at {side}²",
            "channels-last",
            "forward",
            ways,
            2 * x.numel(),
            turns=turns,
            device=x.device,
        )


def _both(
    operator: str,
    network: str,
    shape: str,
    layout: str,
    ways: dict[str, tuple[nn.Module, bool]],
    x: Tensor,
    grad: Tensor,
    *,
    turns: int,
    device: torch.device,
) -> Iterator[Timing]:
    forward: dict[str, Callable[[], object]] = {}
    both: dict[str, Callable[[], object]] = {}
    leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
    for way, (module, plain) in ways.items():

        def run(module: nn.Module = module) -> Tensor:
            with torch.no_grad():
                y: Tensor = module(x)
            return y

        def train(module: nn.Module = module) -> object:
            return torch.autograd.grad(module(leaf), [leaf, *module.parameters()], grad)

        forward[way], both[way] = (_plainly(run), _plainly(train)) if plain else (run, train)
    if isinstance(layer := ways["fast"][0], PiX) and usable(x) and x.is_cpu:
        weight, known = layer.context.weight.detach(), x.mean((2, 3))
        forward["pooling alone"] = lambda: pooled(x)
        forward["the rest alone"] = lambda: pix_forward(x, weight, zeta=layer.zeta, tau=layer.tau, z=known)
    size = x.numel() + grad.numel()
    yield from _measured(operator, network, shape, layout, "forward", forward, size, turns=turns, device=device)
    yield from _measured(
        operator, network, shape, layout, "forward + backward", both, 2 * size, turns=turns, device=device
    )


def _measured(
    operator: str,
    network: str,
    shape: str,
    layout: str,
    direction: str,
    ways: dict[str, Callable[[], object]],
    elements: int,
    *,
    turns: int,
    device: torch.device,
) -> Iterator[Timing]:
    source = torch.randn(elements // 2, device=device)
    to = torch.empty_like(source)
    ways = {**ways, "copy, fresh": source.clone}  # an operator allocates its output too
    found = medians({"copy": lambda: to.copy_(source), **ways}, turns=turns, device=device)
    for way, ms in found.items():
        yield Timing(operator, network, shape, layout, direction, way, ms, found["copy"], elements * 4e-6 / ms)


def _plainly(function: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        with plain_operators():
            return function()

    return run
