"""Searches with and without early stopping, side by side, and their README; a search that was run before is not run again.

    python -m experiments.early_stopping [--setting digits|fashion-mnist] [--data-dir DIR] [--seeds 3] [--runs FOLDER]

Both searches of a seed have the same recipe and rungs; one of them stops nothing and has a budget of trials, the other goes on until
it has trained half of the epochs that the first has trained. Hypervolumes are measured in the same frame.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from experiments.early_stopping.plot import plot
from nas import open_run, search
from nas.archive import Archive
from nas.members import front, hypervolume
from nas.problem import Trial
from nas.promotion import curve, epochs_trained

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
COMMON = {"space": "pix", "epochs": "1,2,6", "backend": "in_process"}
SETTINGS: dict[str, dict[str, Any]] = {
    "digits": {"dataset": "digits", "limit": "macs<=3M", "budget": 60},
    "fashion-mnist": {"dataset": "fashion-mnist", "train_images": 2000, "limit": "macs<=1M", "budget": 50},
}
STEP = 5  # trials by which the budget of a search grows until its epochs are spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--setting", choices=[*SETTINGS], action="append", help="may be repeated; digits alone otherwise"
    )
    parser.add_argument("--data-dir", default="", help="folder with torchvision's FashionMNIST/")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", default="runs/early_stopping", help="where the searches are kept, and gone on with")
    wanted = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for setting in wanted.setting or ["digits"]:
        results[setting] = [seed_of(setting, seed, wanted.data_dir, Path(wanted.runs)) for seed in range(wanted.seeds)]
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        plot(results, HERE / "curves.png")
        (HERE / "README.md").write_text((HERE / "ABOUT.md").read_text() + "".join(map(table, results.items())))


def seed_of(setting: str, seed: int, data_dir: str, runs: Path) -> dict[str, Any]:
    """Both searches of a seed: what they came to, and by which epochs."""
    options = {**COMMON, **SETTINGS[setting], "data_dir": data_dir, "seed": seed}
    whole = searched(runs / f"{setting}-{seed}-all-to-the-end", {**options, "stop_below": 0.0})
    folder, epochs = runs / f"{setting}-{seed}-stopped-at-rungs", whole.recipe["epochs"]
    stopped = searched(folder, options)
    while epochs_trained(stopped.trials, epochs) * 2 < epochs_trained(whole.trials, epochs):
        stopped = searched(folder, {**options, "budget": stopped.spent + STEP})
    ways = {"all to the end": progress(whole), "stopped at rungs": progress(stopped)}
    limit = ways["all to the end"][-1]["epochs"] // 2
    half = [row for row in ways["stopped at rungs"] if row["epochs"] <= limit][-1]
    return {
        "seed": seed,
        "whole": ways["all to the end"][-1],
        "same trials": ways["stopped at rungs"][options["budget"] - 1],
        "half the epochs": half,
        "curves": {name: [[row["epochs"], row["hypervolume"]] for row in rows] for name, rows in ways.items()},
    }


def searched(folder: Path, options: dict[str, Any]) -> Archive:
    """A search that is finished, be it run now, gone on with, or run before."""
    if not (folder / "environment.json").exists():
        search(out=folder, **options)
    elif open_run(folder).archive.spent < options["budget"]:
        search(resume=folder, budget=options["budget"])
    return open_run(folder).archive


def progress(archive: Archive) -> list[dict[str, Any]]:
    """After each trial: epochs trained so far, what became of the trials, and the hypervolume."""
    rows: list[dict[str, Any]] = []
    for n in range(1, archive.spent + 1):
        trials = archive.trials[:n]
        rows.append(
            {
                "trials": n,
                "epochs": epochs_trained(trials, archive.recipe["epochs"]),
                "finished": sum(trial.state == "finished" for trial in trials),
                "stopped": {str(rung): stopped_at(trials, rung) for rung in archive.recipe["rungs"]},
                "front": len(front(trials, archive.objectives)),
                "hypervolume": hypervolume(trials, archive.objectives, frame=archive.frame) or 0.0,
            }
        )
    return rows


def stopped_at(trials: list[Trial], rung: int) -> int:
    """How many trials were stopped at a rung."""
    return sum(trial.state == "pruned" and int(curve(trial)[-1]["epoch"]) == rung for trial in trials)


def table(setting: tuple[str, list[dict[str, Any]]]) -> str:
    """One setting as Markdown, with the medians of the ratios."""
    name, seeds = setting
    options = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in {**COMMON, **SETTINGS[name]}.items())
    lines = [
        f"\n## {name}\n",
        f"`{options}`\n",
        "| seed | search | trials | epochs | finished | stopped at each rung | front | hypervolume |",
        "| ---: | --- | ---: | ---: | ---: | --- | ---: | ---: |",
    ]
    names = {
        "whole": "all to the end",
        "same trials": "stopped, as many trials",
        "half the epochs": "stopped, half the epochs",
    }
    for seed in seeds:
        for key, said in names.items():
            row = seed[key]
            stopped = ", ".join(f"{n} at {rung}" for rung, n in row["stopped"].items())
            lines.append(
                f"| {seed['seed']} | {said} | {row['trials']} | {row['epochs']} | {row['finished']} | {stopped} "
                f"| {row['front']} | {row['hypervolume']:.4f} |"
            )
    for key in ("same trials", "half the epochs"):
        ratios = {what: [seed[key][what] / seed["whole"][what] for seed in seeds] for what in ("hypervolume", "epochs")}
        said = ", ".join(
            f"{what} {statistics.median(some):.3f} ({min(some):.3f} to {max(some):.3f})"
            for what, some in ratios.items()
        )
        lines.append(f"\n{names[key].capitalize()}, over all to the end, median of {len(seeds)} seeds (range): {said}.")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
