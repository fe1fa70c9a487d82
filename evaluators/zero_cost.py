"""Scores of an untrained network that need one batch or none; it knows no search, and promises no more than its rank correlation.

Each takes a freshly initialised network and leaves its weights as they were. More is meant to be better. As features of a predictor
they have to earn their place against plain parameters and MACs, which cost nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluators.training.data import Data
from evaluators.training.train import normalise
from search_spaces.architecture import Architecture
from search_spaces.network import build

BATCH = 64
RECTIFIERS = (nn.ReLU, nn.ReLU6)


def synflow(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The logarithm of Σ |θ · ∂R/∂θ|, every weight made positive, of an image of ones (Tanaka et al. 2020, eq. 3).

    In eval mode a fresh batch norm is the identity. It needs no data and takes the shape of `images` (N, C, H, W) alone.
    """
    signs = {name: tensor.sign() for name, tensor in network.named_parameters()}
    network = network.eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    try:
        ones = torch.ones_like(images[:1])
        with torch.enable_grad():
            total = network(ones).double().sum()
            gradients = torch.autograd.grad(total, [*network.parameters()], allow_unused=True)
        pairs = zip(network.parameters(), gradients, strict=True)
        flow = sum((p.detach() * g).double().abs().sum() for p, g in pairs if g is not None)
        return float(torch.as_tensor(flow).clamp_min(1e-300).log())
    finally:
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.mul_(signs[name])


def grad_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Σ over parameters of ‖∂L/∂θ‖₂ for cross-entropy on one batch (Abdelfattah et al. 2021, section 3.2).

    Images (N, C, H, W) normalised, labels (N,).
    """
    with _statistics_kept(network.train()), torch.enable_grad():
        loss = F.cross_entropy(network(images), labels)
        gradients = torch.autograd.grad(loss, [*network.parameters()], allow_unused=True)
    return float(sum(g.norm() for g in gradients if g is not None))


def naswot(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The logarithm of |det K|, with K the number of rectifiers on which two images agree (Mellor et al. 2021, eq. 2).

    Images (N, C, H, W) normalised. 0 for a network without rectifiers.
    """
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64, device=images.device)

    def count(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        codes = (output.detach().flatten(1) > 0).double()
        kernel.add_(codes @ codes.T + (1 - codes) @ (1 - codes).T)

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, RECTIFIERS)]
    try:
        with _statistics_kept(network.train()), torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return float(torch.linalg.slogdet(kernel).logabsdet) if hooks else 0.0


@contextmanager
def _statistics_kept(network: nn.Module) -> Iterator[None]:
    """A pass in training mode leaves the running statistics of batch norms as they were."""
    before = [(buffer, buffer.clone()) for buffer in network.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, old in before:
                buffer.copy_(old)


ZERO_COST: dict[str, Callable[[nn.Module, Tensor, Tensor], float]] = {
    "synflow": synflow,
    "grad_norm": grad_norm,
    "naswot": naswot,
}


class Scorer:
    """Scores of freshly initialised networks by name, on one batch of a data set and on the CPU; `seconds` is what they cost."""

    def __init__(self, names: Sequence[str], data: Data) -> None:
        """
        Raises:
            ValueError: a score that there is not.
        """
        unknown = sorted(set(names) - set(ZERO_COST))
        if unknown:
            raise ValueError(f"scores of untrained networks are {', '.join(ZERO_COST)}, got {unknown[0]!r}")
        self._scores = [ZERO_COST[name] for name in names]
        self._data = data.limited(BATCH, seed=0)
        self.seconds, self.networks = 0.0, 0

    def __call__(self, architecture: Architecture) -> list[float]:
        """The scores in the order of the names, NaN where the network cannot be built; the global generator stays as it was."""
        start = time.process_time()
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                network = build(architecture)
                at = self._data.at(architecture.resolution)
                images, labels = next(at.train.batches(BATCH))
                return [score(network, normalise(images, at), labels) for score in self._scores]
        except ValueError:
            return [math.nan] * len(self._scores)
        finally:
            self.seconds += time.process_time() - start
            self.networks += 1
