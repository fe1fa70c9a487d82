"""`python -m experiments.operator_latency`: times operators and networks, and writes tables, a plot and the README."""

from __future__ import annotations

import argparse
from pathlib import Path


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.operator_latency",
        description="Time plain and fast operators against what they replace and a copy of their bytes; takes some ten minutes.",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (cpu)")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch (1)")
    parser.add_argument("--batch", type=int, default=8, help="of the operators (8)")
    parser.add_argument("--turns", type=int, default=15, help="of timing, interleaved (15)")
    parser.add_argument(
        "--batches",
        type=int,
        nargs="*",
        default=[1, 32],
        help="of the networks (1 32); others are kept as measured before",
    )
    parser.add_argument("--networks-only", action="store_true", help="keep the operators as measured before")
    parser.add_argument("--network-turns", type=int, default=5, help="of timing networks (5)")
    parser.add_argument("--compiled", action="store_true", help="also time networks under torch.compile; minutes each")
    parser.add_argument("--to", type=Path, default=Path(__file__).parent, help="folder for the results (this one)")
    options = parser.parse_args()

    import torch

    from evaluators.memory import keep_freed_memory
    from experiments.operator_latency.networks import pairs
    from experiments.operator_latency.operators import timings
    from experiments.operator_latency.report import write

    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    options.to.mkdir(parents=True, exist_ok=True)
    networks = list(
        pairs(batches=tuple(options.batches), turns=options.network_turns, compiled=options.compiled, device=device)
    )
    keep_freed_memory()  # for operators, as trainings do: else page faults of their outputs are what is timed
    measured = () if options.networks_only else timings(batch=options.batch, turns=options.turns, device=device)
    operators = list(measured)
    write(operators, networks, options.to, batch=options.batch)
    print(f"wrote {options.to / 'README.md'}")


if __name__ == "__main__":
    main()
