"""What page faults cost a training step on a CPU: freed memory kept by the process or returned to the system, as glibc does by itself.

    python -m experiments.freed_memory [--rounds 5]

Each round starts one process of either kind; ratios of processor time are medians over rounds.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from evaluators.memory import keep_freed_memory
from search_spaces.catalogue import SPACES
from search_spaces.network import build

NETWORKS = ("mobilenet_v2", "resnet18", "mixed", "pix")
BATCH, SIDE, STEPS = 64, 32, 4


def make(name: str) -> nn.Module:
    """A network for images of 32 pixels: torchvision's, which halve their maps twice less here, or a random one of a space."""
    if name in SPACES:
        space = SPACES[name](channels=3, resolution=SIDE, classes=10)
        return build(space.decode(space.sample(np.random.default_rng(0))))
    network: nn.Module = getattr(torchvision.models, name)(num_classes=10)
    if name == "resnet18":
        network.conv1, network.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    else:
        network.features[0][0].stride = network.features[2].conv[1][0].stride = (1, 1)
    return network


def step_times(kept: bool) -> dict[str, dict[str, float]]:
    """Seconds of processor time and page faults of a step, by network."""
    torch.set_num_threads(1)
    if kept and not keep_freed_memory():
        raise SystemExit("this C library cannot be told to keep memory")
    found = {}
    for name in NETWORKS:
        torch.manual_seed(0)
        network = make(name).to(memory_format=torch.channels_last)
        optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
        images = torch.randn(BATCH, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
        labels, seconds = torch.randint(10, (BATCH,)), []
        for step in range(STEPS + 2):
            if step == 2:
                before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            start = time.thread_time()
            optimiser.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimiser.step()
            seconds.append(time.thread_time() - start)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        found[name] = {"seconds": statistics.median(seconds[2:]), "faults": faults / STEPS}
    found["peak"] = {"MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    return found


def main() -> None:
    """Runs the processes and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["kept", "returned"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        print(json.dumps(step_times(args.only == "kept")))
        return
    rounds = []
    for _ in range(args.rounds):
        here = {}
        for kind in ("returned", "kept"):
            command = [sys.executable, "-m", "experiments.freed_memory", "--only", kind]
            here[kind] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rounds.append(here)
    print(f"{'network':14s} {'returned, ms':>13s} {'kept, ms':>9s} {'ratio':>6s} {'faults a step':>22s}")
    for name in NETWORKS:
        ms = {kind: 1e3 * statistics.median(r[kind][name]["seconds"] for r in rounds) for kind in rounds[0]}
        faults = {kind: statistics.median(r[kind][name]["faults"] for r in rounds) for kind in rounds[0]}
        ratio = statistics.median(r["kept"][name]["seconds"] / r["returned"][name]["seconds"] for r in rounds)
        change = f"{faults['returned']:.0f} → {faults['kept']:.0f}"
        print(f"{name:14s} {ms['returned']:13.0f} {ms['kept']:9.0f} {ratio:6.2f} {change:>22s}")
    peak = {kind: statistics.median(r[kind]["peak"]["MB"] for r in rounds) for kind in rounds[0]}
    print(f"peak of the process: {peak['returned']:.0f} → {peak['kept']:.0f} MB")


if __name__ == "__main__":
    main()
