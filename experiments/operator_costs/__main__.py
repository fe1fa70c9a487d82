"""`python -m experiments.operator_costs`: measures every operator and writes table, plot and README."""

from __future__ import annotations

import argparse
from pathlib import Path


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.operator_costs",
        description="Measure params, MACs, bytes moved and latency of each operator; takes about two minutes.",
    )
    parser.add_argument(
        "--seconds", type=float, default=0.2, help="of timing for each operator, shape and layout (0.2)"
    )
    parser.add_argument("--to", type=Path, default=Path(__file__).parent, help="folder for the results (this one)")
    options = parser.parse_args()

    import torch
    from rich.progress import track

    from experiments.operator_costs.measure import cases, measure
    from experiments.operator_costs.report import write

    torch.set_num_threads(1)
    options.to.mkdir(parents=True, exist_ok=True)
    total = sum(1 for _ in cases())
    write(list(track(measure(options.seconds), total=total, description="operators")), options.to)
    print(f"wrote {options.to / 'README.md'}")


if __name__ == "__main__":
    main()
