"""What the training loop costs over a hand-written minimal one: the same network, images, steps and mathematics, in turns.

    python -m experiments.training_overhead [--rounds 9] [--networks 3]

The minimal loop is what one would type for this recipe alone: SGD with momentum and decay, cosine with warm-up, label smoothing,
clipping, over tensors in memory. Both do the same steps from the same weights; each round runs one after the other, in changing
order, and the median of the rounds' ratios of processor time is printed. The target is 1.05.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from evaluators.counts import count
from evaluators.training.data import Data, Part
from evaluators.training.datasets import load
from evaluators.training.recipe import PROXY, Recipe
from evaluators.training.train import schedule, train
from search_spaces.catalogue import SPACES
from search_spaces.network import build


def minimal(network: nn.Module, data: Data, recipe: Recipe) -> None:
    """A loop for this one recipe, without checks, options or statistics."""
    network.to(memory_format=torch.channels_last).train()
    decayed = [p for p in network.parameters() if p.ndim > 1]
    free = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": free, "weight_decay": 0.0}]
    optimiser = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True, fused=True)
    images, labels, size = data.train.images, data.train.labels, recipe.batch_size
    steps = recipe.epochs * (len(labels) // size)
    step = 0
    for _ in range(recipe.epochs):
        order = torch.randperm(len(labels))
        for i in range(0, len(labels) - size + 1, size):
            rows = order[i : i + size]
            x = ((images[rows].float() - data.mean) / data.std).contiguous(memory_format=torch.channels_last)
            loss = F.cross_entropy(network(x), labels[rows], label_smoothing=recipe.label_smoothing)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate * schedule(step / steps, recipe.warmup)
            optimiser.step()
            step += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--space", choices=SPACES, default="pix")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = load("digits", train_images=320)
    # One image to be evaluated on, and none to recalibrate on: those are no part of the loop.
    data = replace(data, validation=Part(data.validation.images[:1], data.validation.labels[:1]), _resized={})
    recipe = replace(PROXY, epochs=1, recalibrate=0)
    space = SPACES[options.space](channels=1, resolution=32, classes=10)
    generator = np.random.default_rng(0)
    everything = []
    for number in range(options.networks):
        architecture = space.decode(space.sample(generator))
        torch.manual_seed(number)
        fresh = build(architecture)
        at = data.at(architecture.resolution)
        ratios = []
        for i in range(options.rounds + 1):
            seconds = {}
            for kind in ("ours", "minimal") if i % 2 else ("minimal", "ours"):
                network = copy.deepcopy(fresh)
                start = time.process_time()
                if kind == "ours":
                    train(network, at, recipe, seed=i, resolution=architecture.resolution)
                else:
                    minimal(network, at, recipe)
                seconds[kind] = time.process_time() - start
            if i:  # the first round warms up
                ratios.append(seconds["ours"] / seconds["minimal"])
        everything += ratios
        macs = count(architecture)["macs"] / 1e6
        print(
            f"{architecture.resolution}px, {macs:.1f} M MACs: ratio {statistics.median(ratios):.3f} of {seconds['minimal']:.2f} s",
            flush=True,
        )
    lower, median, upper = statistics.quantiles(everything, n=4)
    print(
        f"training overhead: ratio {median:.3f}, quartiles {lower:.3f} … {upper:.3f}, {len(everything)} pairs (target 1.05)"
    )


if __name__ == "__main__":
    main()
