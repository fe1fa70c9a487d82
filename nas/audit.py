"""`python -m nas.audit`: does the short training of a search rank networks as a long one does? And which rung is cheapest?"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from nas.audits.config import AuditConfig
from nas.errors import INTERRUPTED, UserError, run_command
from nas.options import add_arguments, resolve

EXAMPLES = """examples:
  python -m nas.audit --space pix --dataset digits --networks 12
  python -m nas.audit --space mixed --dataset cifar10 --data-dir DIR --train-images 8000 --rungs 2,6 --epochs 30
  python -m nas.audit runs/pix-digits-1                  # networks that the run has evaluated, its recipe and data
"""


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_command("nas audit", _command, arguments)


def _command(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m nas.audit",
        description="Train a spread of networks briefly and long, and tell how well the short training ranks them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", nargs="?", help="run whose networks, data and recipe are audited")
    add_arguments(parser, AuditConfig)
    given = vars(parser.parse_args(arguments))
    run = given.pop("run")

    from pathlib import Path

    from nas.audits.config import base_of
    from nas.audits.record import path_of, write
    from nas.audits.study import networks_of, study
    from nas.audits.trainings import Trainings
    from nas.plan import prepare

    if run is not None:
        fixed = sorted({*given} & {"space", "dataset", "data_dir", "train_images", "recipe", "skip_broken", "limit"})
        if fixed:
            raise UserError(f"an audit of a run takes its --{fixed[0].replace('_', '-')} from the run: leave it out")
    config = resolve(AuditConfig, given, base=base_of(run) if run is not None else None)
    plan = prepare(config.search())
    if plan.recipe.name == "table":
        raise UserError("a table of trained networks has no proxy to audit: give a space that is trained")
    paths = [path_of(config.space, config.dataset, config.recipe, folder=Path(config.to))]
    images = {
        "checksum": plan.data["checksum"],
        "train_images": config.train_images,
        "resolution": plan.data["resolution"],
    }
    trainings = Trainings(paths[0].with_suffix(".trainings.jsonl"), data=images)
    try:
        audit = study(config, plan, networks_of(config, plan, run=run), trainings=trainings, report=_progress)
    except KeyboardInterrupt:
        print("\nnas audit: interrupted; the same command goes on from the trainings that are done", file=sys.stderr)
        return INTERRUPTED
    show(audit)
    if run is not None:
        paths.append(Path(run) / "audit.json")
    for path in paths:
        write(audit, path)
    trainings.done()
    print("wrote " + ", ".join(map(str, paths)))
    return 0


def _progress(done: int, trainings: int, seconds: float) -> None:
    from nas.progress import clock

    left = seconds / done * (trainings - done)
    print(f"{done}/{trainings} trainings · {clock(seconds)} gone · about {clock(left)} left", flush=True)


def show(audit: dict[str, Any]) -> None:
    """Prints an audit: a table of rungs and counts, then what it is measured against."""
    from rich.table import Table

    from nas.console import open_console

    console = open_console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in (
        "ranked by",
        "Kendall τ",
        "90 % interval",
        f"best {audit['best_quarter']}",
        "seed noise",
        "seconds a trial",
    ):
        table.add_column(column, justify="left" if column == "ranked by" else "right")
    for name, row in {**audit["rungs"], **audit["counts"]}.items():
        trained = name in audit["rungs"]
        table.add_row(
            f"{name} epoch{'s' if name != '1' else ''}" if trained else name,
            f"{row['tau']:.2f}",
            f"{row['tau_lower']:.2f} … {row['tau_upper']:.2f}",
            f"{row['tau_best_quarter']:.2f}",
            f"{100 * row['seed_noise']:.2f} %" if trained else "",
            f"{row['seconds']:.1f}" if trained else "0",
        )
    console.print(table)
    console.print(
        f"\nreference: {audit['epochs']} epochs, mean of {audit['seeds']} seeds, {audit['reference_seconds']:.1f} s a trial, seed noise "
        f"{100 * audit['reference_noise']:.2f} %, accuracies {100 * audit['worst']:.1f} … {100 * audit['best']:.1f} %",
        markup=False,
        soft_wrap=True,
    )
    console.print(f"noise ceiling (one seed of the reference against another): τ {audit['ceiling']:.2f}")
    found = audit["cheapest"]
    console.print(
        f"cheapest rung with τ ≥ {audit['wanted']:g}: " + (f"{found} epochs" if found else "none; give longer --rungs"),
        markup=False,
    )


if __name__ == "__main__":
    sys.exit(main())
