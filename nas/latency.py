"""`python -m nas.latency`: the latency table of this device, built from the space itself and checked on networks it has not seen."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import UserError, run_command
from nas.options import add_arguments, at_least, one_of, option, resolve
from search_spaces.catalogue import SPACES

EXAMPLES = """examples:
  python -m nas.latency --space pix --to cpu.json
  python -m nas.latency --space mixed --dataset cifar10 --data-dir DIR --device cuda --batch-size 32 --to gpu.json
  python -m nas.latency --space pix --runtime onnxruntime --blocks 60 --to ort.json
  python -m nas.search --space pix --objectives accuracy,latency_ms --latency-table cpu.json
"""
RUNTIMES = ("torch", "torch.compile", "onnxruntime")


@dataclass(frozen=True)
class LatencyConfig:
    """What is timed and how."""

    space: str = option("pix", "search space", metavar="NAME", check=one_of(lambda: SPACES), group="what")
    dataset: str = option("digits", "data set, for its image size and classes", metavar="NAME", group="what")
    data_dir: str = option("", "folder in which the data set lies", metavar="DIR", group="what")
    device: str = option("cpu", "cpu or cuda", metavar="NAME", check=one_of(("cpu", "cuda")), group="how")
    runtime: str = option(
        "torch", "torch, torch.compile or onnxruntime", metavar="NAME", check=one_of(RUNTIMES), group="how"
    )
    threads: int = option(1, "threads on the CPU", metavar="N", check=at_least(1), group="how")
    batch_size: int = option(1, "images a pass", metavar="N", check=at_least(1), group="how")
    blocks: int = option(
        0,
        "blocks to be timed, 0 for 300 in torch, 40 compiled, 80 in onnxruntime",
        metavar="N",
        check=at_least(0),
        group="how",
    )
    networks: int = option(
        24,
        "whole networks that it is checked on, and as many that it is fitted to",
        metavar="N",
        check=at_least(4),
        group="how",
    )
    turns: int = option(12, "times that each is returned to", metavar="N", check=at_least(4), group="how")
    name: str = option(
        "",
        "the table's name, in objectives as latency_ms@NAME (default: that of its file)",
        metavar="NAME",
        group="how",
    )
    seed: int = option(0, "seed of the sample", metavar="N", check=at_least(0), group="how")


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_command("nas latency", _command, arguments)


def _command(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m nas.latency",
        description="Time the blocks of a space on this device, so that a search knows the latency of every network beforehand.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--to", metavar="FILE", required=True, help="file to be written, JSON")
    add_arguments(parser, LatencyConfig)
    given = vars(parser.parse_args(arguments))
    target = Path(given.pop("to"))
    config = resolve(LatencyConfig, given)
    if not target.parent.is_dir():
        raise UserError(f"--to needs a folder that exists, and {str(target.parent)!r} is none: make it first")

    from evaluators.evaluation import write_atomically
    from nas.latencies.build import build_table

    table = build_table(config, name=config.name or target.stem, report=lambda text: print(text, flush=True))
    write_atomically(target, (json.dumps(table.to_json()) + "\n").encode())
    _print(table.check)
    print(f"wrote {target}: {len(table.entries)} blocks")
    return 0


def _print(check: Any) -> None:
    print(
        f"{check['networks']} networks that the table has not seen, {check['least_ms']:.3g} to {check['most_ms']:.3g} ms:"
    )
    print(f"  median error {100 * check['median_error']:.1f} % (nine in ten within {100 * check['error_90']:.1f} %)")
    print(
        f"  Kendall τ {check['tau']:.3f} (the measurement with itself, even and odd turns: {check['tau_ceiling']:.3f})"
    )
    print(
        f"  repeat error of the measurement {100 * check['repeat_error']:.1f} %, turns disturbed {100 * check['disturbed']:.0f} %"
    )
    if check["repeat_error"] > 0.03:
        print("  the machine is not quiet (repeat error above 3 %): measure again when nothing else runs on it")


if __name__ == "__main__":
    sys.exit(main())
