"""`python -m nas.bench`: our algorithms against pymoo's and Optuna's on tabular benchmarks, without any training."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas.benchmarks.summary import Summary
    from nas.benchmarks.tabular import Benchmark

DEFAULT = "surrogate,nsga2,random,pymoo-nsga2-20,pymoo-nsga2-50,optuna-nsga2,optuna-tpe"
EXAMPLES = """examples:
  python -m nas.bench --table nasbench_macro.csv --objectives accuracy:max,macs:min
  python -m nas.bench --table nasbench_macro.csv --objectives accuracy:max,params:min,macs:min \\
      --algorithms surrogate,nsga3,optuna-tpe --evaluations 200 --seeds 5 --json bench.json --png bench.png
  python -m nas.bench --table devices.csv --objectives accuracy:max,energy:min --timed energy --scale front
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        benchmark, names = _checked(options)
    except ValueError as error:
        print(f"nas.bench: {error}", file=sys.stderr)
        return 2
    try:
        _bench(benchmark, names, options)
    except KeyboardInterrupt:
        print("nas.bench: interrupted; nothing was written", file=sys.stderr)
        return 130
    return 0


def _checked(options: argparse.Namespace) -> tuple[Benchmark, list[str]]:
    from nas.benchmarks.tabular import Benchmark, objectives_of
    from search_spaces.table import read_table

    names = _known(options.algorithms)
    for path in (options.json, options.png):
        if path is not None and not path.parent.is_dir():
            raise ValueError(f"the folder of an output file must exist, got {str(path)!r}: make it first")
    table = read_table(options.table)
    objectives = objectives_of(options.objectives, table=table, trained=options.trained, timed=options.timed)
    return Benchmark(table, objectives, scale=options.scale), names


def _bench(benchmark: Benchmark, names: Sequence[str], options: argparse.Namespace) -> None:
    from nas.benchmarks.picture import draw
    from nas.benchmarks.summary import rows_of, text_table

    summaries = [_run(benchmark, name, options) for name in names]
    asked = f"{benchmark.table.name}: {options.objectives}, {options.seeds} seeds, {len(benchmark)} architectures"
    print(f"{asked}\n{text_table(summaries, evaluations=options.evaluations)}")
    if options.json is not None:
        options.json.write_text(json.dumps(rows_of(summaries), indent=2) + "\n", encoding="utf-8")
    if options.png is not None:
        draw(summaries, options.png, title=asked)


def _run(benchmark: Benchmark, name: str, options: argparse.Namespace) -> Summary:
    from nas.benchmarks.replay import replay
    from nas.benchmarks.summary import summarise

    replays = []
    for seed in range(options.seeds):
        _progress(f"{name}: seed {seed + 1} of {options.seeds}")
        replays.append(replay(benchmark, name, evaluations=options.evaluations, seed=seed, workers=options.workers))
    _progress("")
    return summarise(benchmark, name, replays, evaluations=options.evaluations)


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)


def _known(text: str) -> list[str]:
    from difflib import get_close_matches

    from nas.algorithms.catalogue import ALGORITHMS
    from nas.benchmarks.baselines import BASELINES

    offered = [*ALGORITHMS, *BASELINES]
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise ValueError(f"--algorithms needs one or more of {', '.join(offered)}")
    for name in names:
        if name not in offered:
            near = get_close_matches(name, offered, n=1)
            hint = f"did you mean {near[0]}?" if near else f"use some of {', '.join(offered)}"
            raise ValueError(f"there is no algorithm {name!r}: {hint}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nas.bench",
        description="Compares search algorithms on a table of networks that were trained before: "
        "how many trainings does each need to find the exact front?",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--table", type=Path, required=True, metavar="FILE", help="complete CSV: genes x_*, metrics")
    parser.add_argument("--objectives", default="accuracy:max,macs:min", help="metric:goal,… (default: %(default)s)")
    parser.add_argument("--algorithms", default=DEFAULT, metavar="A,B,…", help="default: %(default)s; also optuna-gp")
    parser.add_argument("--evaluations", type=_positive, default=300, help="a run's budget (default: %(default)s)")
    parser.add_argument("--seeds", type=_positive, default=10, help="runs of each algorithm (default: %(default)s)")
    parser.add_argument(
        "--trained", type=_names, default=(), metavar="M,…", help="objectives known after training only"
    )
    parser.add_argument("--timed", type=_names, default=(), metavar="M,…", help="objectives known after timing only")
    parser.add_argument("--workers", type=_positive, default=1, help="trials in flight; baselines take 1")
    parser.add_argument(
        "--scale",
        choices=("table", "front"),
        default="table",
        help="hypervolume in units of the whole table, or of the exact front alone (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the numbers")
    parser.add_argument("--png", type=Path, metavar="OUT", help="write the plot")
    return parser


def _positive(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more, got {text!r}")
    return number


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


if __name__ == "__main__":
    sys.exit(main())
