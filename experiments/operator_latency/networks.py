"""Whole networks in evaluation: as they are, in their inference form, with plain operators and compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from experiments.operator_latency.clock import samples
from search_spaces.inference import InPortions, optimise
from search_spaces.kernels.dispatch import plain_operators
from search_spaces.published import build

PAIRS = (
    ("pix_resnet50", "resnet50"),
    ("pix_resnet101", "resnet101"),
    ("pix_resnet152", "resnet152"),
    ("shufflenet_v2_x1_0_dynamic", "shufflenet_v2_x1_0"),
    ("muxnet_m", "mobilenet_v3_large (torchvision)"),
    ("muxnet_m", "efficientnet_b0 (torchvision)"),
)
DEEP = {"pix_resnet101", "pix_resnet152"}  # at batch 1 only: at 32 they take minutes and say the same
MODES = ("NCHW, plain", "NCHW", "channels-last, plain", "channels-last", "inference form", "compiled")


@dataclass(frozen=True)
class PairTiming:
    """One network and the one that it is compared with, in one mode at one batch size.

    The ratio is the median over turns, in which one follows the other: a processor that slows down for a while slows both.
    """

    network: str
    other: str
    mode: str
    batch: int
    ms: float
    other_ms: float
    ratio: float


def pairs(*, batches: tuple[int, ...], turns: int, compiled: bool, device: torch.device) -> Iterator[PairTiming]:
    """Every pair in every mode; all modes of a pair are timed in turns."""
    for batch in batches:
        x = torch.randn(batch, 3, 224, 224, device=device)
        for name, other in PAIRS:
            if batch > 1 and name in DEEP:
                continue
            runs: dict[str, Callable[[], object]] = {}
            for mode in MODES if compiled else MODES[:-1]:
                for one in (name, other):
                    runs[f"{one}|{mode}"] = _run(_network(one).to(device), mode, x)
            found = samples(runs, turns=turns, device=device, again=batch == 1)
            for mode in MODES if compiled else MODES[:-1]:
                own, others = found[f"{name}|{mode}"], found[f"{other}|{mode}"]
                ratio = median(a / b for a, b in zip(own, others, strict=True))
                yield PairTiming(name, other, mode, batch, median(own), median(others), ratio)


def _network(name: str) -> nn.Module:
    torch.manual_seed(0)
    bare = name.removesuffix(" (torchvision)")
    if bare == name:
        return build(name).eval()
    import torchvision

    network: nn.Module = torchvision.models.get_model(bare, weights=None)
    return network.eval()


def _run(network: nn.Module, mode: str, x: Tensor) -> Callable[[], object]:
    if not mode.startswith("NCHW"):
        network, x = network.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    if mode == "inference form":
        form = optimise(network)
        network = (
            form if isinstance(form, InPortions) else InPortions(form)
        )  # torchvision's are not to be at a disadvantage
    call: Callable[[Tensor], object] = torch.compile(network) if mode == "compiled" else network

    def run() -> object:
        with torch.inference_mode():
            return call(x)

    def plain() -> object:
        with plain_operators():
            return run()

    return plain if mode.endswith("plain") else run
