"""The one training loop: a network, data and a recipe become weights and an accuracy; it knows no search and no files."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluators.memory import keep_freed_memory
from evaluators.training import augment
from evaluators.training.average import WeightAverage
from evaluators.training.data import Data, Part
from evaluators.training.distil import Teacher
from evaluators.training.randaugment import randaugment
from evaluators.training.recipe import Recipe
from evaluators.training.state import Epoch, restore, state_of
from search_spaces.operators.dynamic_shuffle import DynamicShuffle, set_binarised, shuffle_regulariser

EVALUATION_BATCH = 256
CHECK_STEPS = 64  # a check of the loss waits for the device: on a GPU, not after every step


class DivergedError(Exception):
    """The training loss, or what the trained network puts out, became infinite or not a number."""


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


def train(  # noqa: PLR0915 - the one loop, read from top to bottom
    network: nn.Module,
    data: Data,
    recipe: Recipe,
    *,
    seed: int,
    resolution: int,
    deadline: float | None = None,
    teacher: Teacher | None = None,
    start: Mapping[str, Tensor] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    until: int | None = None,
) -> Trained:
    """Trains in place on the data's device and measures accuracy on the validation part; the process keeps freed memory from then on.

    Everything random is drawn from `seed`; on a CPU the result is a function of network, data, recipe and seed.

    Args:
        network: (N, C, H, W) -> (N, classes), on the data's device.
        data: the data set, on its device.
        recipe: how to train.
        seed: of the order of the images and of augmentation.
        resolution: height and width to which the images are resized.
        deadline: `time.monotonic()` after which training is given up.
        teacher: whose logits are learnt beside the labels.
        start: the state after an earlier epoch of the same training, from which it goes on.
        on_epoch: is called after every epoch; what it raises ends the training.
        until: the epoch after which to end early, though the schedules are those of the whole recipe. The accuracy is that of weights
            made ready as at the end, from which no training can go on: that needs the state which `on_epoch` was offered.

    Raises:
        DivergedError: the loss became non-finite.
        TimedOutError: the deadline passed.
    """
    keep_freed_memory()
    data = data.at(resolution)
    began = time.monotonic()
    device = data.train.labels.device
    network.to(memory_format=torch.channels_last)
    generator = torch.Generator(device).manual_seed(seed)
    optimiser = _optimiser(network, recipe)
    average = WeightAverage(network, decay=recipe.ema) if recipe.ema else None
    parameters = list(network.parameters())
    shuffles = any(isinstance(module, DynamicShuffle) for module in network.modules())
    steps_an_epoch = max(1, len(data.train) // recipe.batch_size)
    steps, step, mean_loss = recipe.epochs * steps_an_epoch, 0, math.nan
    averages = average.tensors if average is not None else []
    done = restore(start, network, optimiser, generator, average=averages) if start is not None else 0
    step = done * steps_an_epoch
    set_binarised(network, step > 0 and (step - 1) / steps >= recipe.binarise_from)
    last = recipe.epochs if until is None else until
    for number in range(done + 1, last + 1):
        network.train()
        order = torch.randperm(len(data.train), device=device, generator=generator)[
            : steps_an_epoch * recipe.batch_size
        ]
        total, first = torch.zeros((), device=device), step
        for images, labels in data.train.batches(recipe.batch_size, order=order):
            progress = step / steps
            if shuffles and progress >= recipe.binarise_from > (step - 1) / steps:
                set_binarised(network, True)
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate * schedule(progress, recipe.warmup)
            batch, targets = _augmented(images, labels, data, recipe, generator)
            with _autocast(device):
                logits = network(batch)
            loss = F.cross_entropy(logits.float(), targets, label_smoothing=recipe.label_smoothing)
            if teacher is not None:
                loss = teacher.mix(loss, logits, batch)
            if shuffles:
                loss = loss + recipe.shuffle_weight * progress * shuffle_regulariser(network)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            if recipe.clip:
                nn.utils.clip_grad_norm_(parameters, recipe.clip)
            optimiser.step()
            if average is not None:
                average.update()
            total += loss.detach()
            step += 1
            if step % CHECK_STEPS == 0:
                _check(total, step, steps)
            if deadline is not None and time.monotonic() > deadline:
                raise TimedOutError(f"{step} of {steps} steps were done when the time was up")
        _check(total, step, steps)
        mean_loss = float(total) / max(1, step - first)
        if on_epoch is not None:
            rate = float(optimiser.param_groups[0]["lr"])
            accuracy_now = partial(_accuracy_now, network, average, data)
            state = partial(state_of, network, optimiser, generator, average=averages, epoch=number)
            on_epoch(Epoch(number, recipe.epochs, mean_loss, rate, accuracy_now, state))
    if average is not None:
        average.put()
    if last == recipe.epochs:  # an early look takes the permutations as they are trained now
        set_binarised(network, True)
    if recipe.recalibrate:
        recalibrate(network, data, batches=recipe.recalibrate, generator=generator)
    trained = time.monotonic()
    accuracy = evaluate(network, data, data.validation)
    return Trained(accuracy, mean_loss, last, trained - began, time.monotonic() - trained)


def _accuracy_now(network: nn.Module, average: WeightAverage | None, data: Data) -> float:
    with average.lent() if average is not None else nullcontext():
        return evaluate(network, data, data.validation)


@torch.no_grad()
def evaluate(network: nn.Module, data: Data, part: Part) -> float:
    """The share of a part's images that the network, in eval mode, puts in the right class.

    Raises:
        DivergedError: an output is infinite or not a number.
    """
    network.eval()
    correct = torch.zeros((), device=part.labels.device)
    finite = torch.ones((), dtype=torch.bool, device=part.labels.device)
    seen = 0
    for images, labels in part.batches(EVALUATION_BATCH):
        with _autocast(images.device):
            logits = network(normalise(images, data))
        finite &= logits.isfinite().all()
        correct += (logits.argmax(1) == labels).sum()
        seen += len(labels)
    if not finite:
        raise DivergedError("the network's outputs are not finite: its weights ran away in training")
    return float(correct) / seen


@torch.no_grad()
def recalibrate(network: nn.Module, data: Data, *, batches: int, generator: torch.Generator) -> None:
    """Takes the statistics of every batch norm anew, as plain averages over some training batches drawn at random.

    After few steps the running averages lag behind the weights, which costs a short training most of its rank fidelity.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    order = torch.randperm(len(data.train), device=data.train.labels.device, generator=generator)
    # Batches of one size, since a plain average would weigh a small last one like the others.
    size = min(EVALUATION_BATCH, len(order))
    whole = min(batches, len(order) // size) * size
    network.train()
    for images, _ in data.train.batches(size, order=order[:whole]):
        with _autocast(images.device):
            network(normalise(images, data))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def normalise(images: Tensor, data: Data) -> Tensor:
    """(N, C, H, W) uint8 -> float32 of zero mean and unit variance over the train part, channels last."""
    return ((images.float() - data.mean) / data.std).contiguous(memory_format=torch.channels_last)


def _augmented(
    images: Tensor, labels: Tensor, data: Data, recipe: Recipe, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Normalised images and targets: labels (N,), or shares of classes (N, classes) after mixup."""
    scale = data.resolution / 32
    if recipe.randaugment:
        images = randaugment(images, generator, operations=recipe.randaugment)
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


def _check(total: Tensor, step: int, steps: int) -> None:
    if not math.isfinite(float(total)):
        raise DivergedError(f"the training loss became {float(total)} within {step} of {steps} steps")


def schedule(progress: float, warmup: float) -> float:
    """The learning rate as a fraction of its peak: linear warm-up, then half a cosine to zero (Loshchilov & Hutter 2017)."""
    if progress < warmup:
        return (progress + 0.01) / (warmup + 0.01)
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def _optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD in one fused kernel; weight decay on matrices and filters only: biases and batch norms are left free."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    free = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.SGD(
        groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=True
    )


def _autocast(device: torch.device) -> torch.autocast:
    """bf16 on a GPU; on a CPU it costs more than it saves (measured: 2.4 times the time of float32)."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")
