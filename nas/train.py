"""`python -m nas.train RUN --pick knee`: trains chosen networks by the full recipe and measures them on the test part, once."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from nas.errors import INTERRUPTED, UserError, run_command
from nas.options import add_arguments
from nas.pick_flag import add_pick
from nas.training.options import TrainConfig, label_of, read_options

EXAMPLES = """examples:
  python -m nas.train runs/pix-digits-1 --pick knee
  python -m nas.train runs/pix-digits-1 --pick knee --pick best:accuracy --seeds 3
  python -m nas.train runs/pix-digits-1 --pick "prefer:accuracy>=0.95,macs" --samples 8   # tunes the recipe first
  python -m nas.train runs/pix-digits-1 --pick best:macs --distil --epochs 30

A file for --config holds the options as keys, and values of the recipe in a table [override]. What a kill interrupts goes on
when the same command is given again.
"""


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_command("nas train", _command, arguments)


def _command(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m nas.train",
        description="Train chosen networks by the full recipe on all but the test part, and measure them there, once a seed.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="run folder")
    add_pick(parser)
    parser.add_argument("--config", metavar="FILE.toml", help="options from a file; flags override them")
    add_arguments(parser, TrainConfig)
    given = vars(parser.parse_args(arguments))
    run, rules, file = given.pop("run"), given.pop("pick") or ["knee"], given.pop("config")
    config, recipe = read_options(given, file)

    from nas.archive import Archive
    from nas.members import members
    from nas.pick import pick_all
    from nas.run import RunFolder

    folder = RunFolder.open(run)
    archive = Archive.open(run)
    if archive.recipe["name"] == "table":
        raise UserError(f"the run {run!r} looked its scores up in a table: it has no networks to train")
    picks = pick_all(rules, archive.front(), members(archive.trials), archive.objectives)
    for one in picks:
        print(f"{one.member.trial.key}: {one.reason}")
    print(
        f"recipe {label_of(config, recipe)}: {recipe.epochs} epochs on train and validation part, {config.seeds} seed(s)"
    )
    return _train(run, folder, archive, picks, config, recipe)


def _train(run: str, folder: Any, archive: Any, picks: Any, config: TrainConfig, recipe: Any) -> int:
    from nas.console import open_console
    from nas.plan import cores, find_device
    from nas.report.table import trained_table
    from nas.training.full import Course, train_picks

    device, gpus = find_device(config.device)
    course = Course(folder, archive, config, recipe, device, gpus, config.workers or gpus or cores())
    try:
        results, failures = train_picks(course, picks)
    except KeyboardInterrupt:
        print("\nnas train: interrupted; the same command goes on from the last states", file=sys.stderr)
        return INTERRUPTED
    if results:
        console = open_console()
        console.print()
        console.print(trained_table(results))
        for result in results:
            print(f"wrote {result.folder}")
        print(
            f"{'take away':>12}: python -m nas.export {run} --pick key:{results[0].key[:8]} --weights trained --to DIR"
        )
        print(f"{'look':>12}: tensorboard --logdir {folder.path / 'trained'}")
    for sentence in failures:
        print(f"nas train: {sentence}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
