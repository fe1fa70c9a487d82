"""The one training loop: a network, data and a recipe become weights and an accuracy; it knows no search and no files."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluators.training import augment
from evaluators.training.data import Data, Part
from evaluators.training.recipe import Recipe
from search_spaces.operators.dynamic_shuffle import set_binarised, shuffle_regulariser

EVALUATION_BATCH = 256


class DivergedError(Exception):
    """The training loss became infinite or not a number."""


class TimedOutError(Exception):
    """The deadline passed before training ended."""


@dataclass(frozen=True)
class Trained:
    """What training came to; the weights are in the network. `loss` is the mean training loss of the last epoch."""

    accuracy: float
    loss: float
    epochs: int
    train_seconds: float
    evaluate_seconds: float


def train(
    network: nn.Module, data: Data, recipe: Recipe, *, seed: int, resolution: int, deadline: float | None = None
) -> Trained:
    """Trains in place on the data's device and measures accuracy on the validation part.

    Everything random is drawn from `seed`; on a CPU the result is a function of network, data, recipe and seed.

    Args:
        network: (N, C, H, W) -> (N, classes), on the data's device.
        data: the data set, on its device.
        recipe: how to train.
        seed: of the order of the images and of augmentation.
        resolution: height and width to which the images are resized.
        deadline: `time.monotonic()` after which training is given up.

    Raises:
        DivergedError: the loss became non-finite.
        TimedOutError: the deadline passed.
    """
    data = data.at(resolution)
    start = time.monotonic()
    device = data.train.images.device
    network.to(memory_format=torch.channels_last)
    generator = torch.Generator(device).manual_seed(seed)
    optimiser = torch.optim.SGD(
        _groups(network, recipe.weight_decay),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
        fused=True,
    )
    averaged = _average_of(network, recipe.ema)
    steps_an_epoch = max(1, len(data.train) // recipe.batch_size)
    steps, step, mean_loss = recipe.epochs * steps_an_epoch, 0, math.nan
    set_binarised(network, False)
    for _ in range(recipe.epochs):
        network.train()
        order = torch.randperm(len(data.train), device=device, generator=generator)
        total = torch.zeros((), device=device)
        for batch in order[: steps_an_epoch * recipe.batch_size].split(recipe.batch_size):
            progress = step / steps
            if progress >= recipe.binarise_from > (step - 1) / steps:
                set_binarised(network, True)
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate * _schedule(progress, recipe.warmup)
            images, targets = _batch(data, data.train, batch, recipe, generator)
            with _autocast(device):
                loss = _loss(network(images), targets, recipe) + recipe.shuffle_weight * progress * shuffle_regulariser(
                    network
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            if recipe.clip:
                nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
            optimiser.step()
            if averaged is not None:
                averaged.update_parameters(network)
            total += loss.detach()
            step += 1
        mean_loss = float(total) / steps_an_epoch
        if not math.isfinite(mean_loss):
            raise DivergedError(f"the training loss became {mean_loss} in {step} of {steps} steps")
        if deadline is not None and time.monotonic() > deadline:
            raise TimedOutError(f"{step} of {steps} steps were done when the time was up")
    if averaged is not None:
        network.load_state_dict(averaged.module.state_dict())
    set_binarised(network, True)
    if recipe.recalibrate:
        recalibrate(network, data, batches=recipe.recalibrate, batch_size=EVALUATION_BATCH)
    trained = time.monotonic()
    accuracy = evaluate(network, data, data.validation)
    return Trained(accuracy, mean_loss, recipe.epochs, trained - start, time.monotonic() - trained)


@torch.no_grad()
def evaluate(network: nn.Module, data: Data, part: Part) -> float:
    """The share of a part's images that the network, in eval mode, puts in the right class."""
    network.eval()
    correct = torch.zeros((), device=part.images.device)
    for images, labels in zip(part.images.split(EVALUATION_BATCH), part.labels.split(EVALUATION_BATCH), strict=True):
        with _autocast(images.device):
            correct += (network(normalise(images, data)).argmax(1) == labels).sum()
    return float(correct) / len(part)


@torch.no_grad()
def recalibrate(network: nn.Module, data: Data, *, batches: int, batch_size: int) -> None:
    """Takes the statistics of every batch norm anew, as plain averages over some training batches.

    After few steps the running averages lag behind the weights, which costs a short training most of its rank fidelity.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d) and m.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    network.train()
    for images in data.train.images.split(batch_size)[:batches]:
        network(normalise(images, data))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def normalise(images: Tensor, data: Data) -> Tensor:
    """(N, C, H, W) uint8 -> float32 of zero mean and unit variance over the train part, channels last."""
    return ((images.float() - data.mean) / data.std).contiguous(memory_format=torch.channels_last)


def _batch(data: Data, part: Part, index: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    images, labels = part.images[index], part.labels[index]
    scale = data.resolution / 32
    if recipe.flip and data.flips:
        images = augment.flip(images, generator)
    if recipe.crop:
        images = augment.crop(images, generator, pixels=max(1, round(recipe.crop * scale)))
    batch = normalise(images, data)
    if recipe.cutout:
        batch = augment.cutout(batch, generator, pixels=max(1, round(recipe.cutout * scale)))
    if recipe.mixup:
        targets = F.one_hot(labels, data.classes).float()
        return augment.mixup(batch, targets, generator, alpha=recipe.mixup)
    return batch, labels


def _loss(logits: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
    return F.cross_entropy(logits.float(), targets, label_smoothing=recipe.label_smoothing)


def _schedule(progress: float, warmup: float) -> float:
    """The learning rate as a fraction of its peak: linear warm-up, then half a cosine to zero (Loshchilov & Hutter 2017)."""
    if progress < warmup:
        return (progress + 0.01) / (warmup + 0.01)
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay on matrices and filters only: biases and batch norms are left free."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    free = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]


def _average_of(network: nn.Module, decay: float) -> torch.optim.swa_utils.AveragedModel | None:
    if not decay:
        return None
    return torch.optim.swa_utils.AveragedModel(
        copy.deepcopy(network), multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay), use_buffers=True
    )


def _autocast(device: torch.device) -> torch.autocast:
    """bf16 on a GPU; on a CPU it costs more than it saves (measured: 2.4 times the time of float32)."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")
