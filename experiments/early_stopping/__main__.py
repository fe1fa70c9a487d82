"""Searches with and without early stopping, side by side, and their README; a search that was run before is not run again.

    python -m experiments.early_stopping [--setting digits|fashion-mnist] [--data-dir DIR] [--seeds 3] [--runs FOLDER]

Both searches of a seed have the same budget, recipe and rungs; one of them stops nothing. Hypervolumes are measured in the same frame.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from nas import open_run, search
from nas.archive import Archive
from nas.promotion import curve

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
COMMON = {"space": "pix", "epochs": "1,2,6", "backend": "in_process"}
SETTINGS: dict[str, dict[str, Any]] = {
    "digits": {"dataset": "digits", "limit": "macs<=3M", "budget": 60},
    "fashion-mnist": {"dataset": "fashion-mnist", "train_images": 2000, "limit": "macs<=1M", "budget": 50},
}
WAYS = {"all to the end": {"stop_below": 0.0}, "stopped at rungs": {}}


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
        rows = []
        for seed in range(wanted.seeds):
            for way, more in WAYS.items():
                options = {**COMMON, **SETTINGS[setting], "data_dir": wanted.data_dir, "seed": seed, **more}
                folder = Path(wanted.runs) / f"{setting}-{seed}-{way.replace(' ', '-')}"
                if not (folder / "environment.json").exists():
                    search(out=folder, **options)
                elif open_run(folder).archive.spent < options["budget"]:
                    search(resume=folder)
                rows.append({"seed": seed, "way": way, **figures(open_run(folder).archive)})
        results[setting] = rows
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        (HERE / "README.md").write_text((HERE / "ABOUT.md").read_text() + "".join(map(table, results.items())))


def figures(archive: Archive) -> dict[str, Any]:
    """Epochs trained, hypervolume, and what became of the trials."""
    epochs = archive.recipe["epochs"]
    pruned = [int(curve(trial)[-1]["epoch"]) for trial in archive.having("pruned")]
    seconds = sum(trial.details.get("seconds", {}).get("total", 0.0) for trial in archive.trials)
    return {
        "epochs": epochs * archive.count("finished") + sum(pruned),
        "of": epochs * archive.spent,
        "seconds": round(seconds),
        "finished": archive.count("finished"),
        "stopped": {str(rung): pruned.count(rung) for rung in archive.recipe["rungs"]},
        "front": len(archive.front()),
        "hypervolume": archive.hypervolume(),
    }


def table(setting: tuple[str, list[dict[str, Any]]]) -> str:
    """One setting as Markdown, with the medians of the ratios."""
    name, rows = setting
    options = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in {**COMMON, **SETTINGS[name]}.items())
    lines = [
        f"\n## {name}\n",
        f"`{options}`\n",
        "| seed | way | epochs | seconds | finished | stopped at each rung | front | hypervolume |",
        "| ---: | --- | ---: | ---: | ---: | --- | ---: | ---: |",
    ]
    for row in rows:
        stopped = ", ".join(f"{n} at {rung}" for rung, n in row["stopped"].items())
        lines.append(
            f"| {row['seed']} | {row['way']} | {row['epochs']} of {row['of']} | {row['seconds']} | {row['finished']} | {stopped} "
            f"| {row['front']} | {row['hypervolume']:.4f} |"
        )
    whole, less = ([row for row in rows if row["way"] == way] for way in WAYS)
    volumes = [b["hypervolume"] / a["hypervolume"] for a, b in zip(whole, less, strict=True)]
    epochs = [b["epochs"] / a["epochs"] for a, b in zip(whole, less, strict=True)]
    seconds = [b["seconds"] / a["seconds"] for a, b in zip(whole, less, strict=True)]
    said = ", ".join(
        f"{what} {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        for what, ratios in (("hypervolume", volumes), ("epochs", epochs), ("seconds", seconds))
    )
    return "\n".join([*lines, f"\nStopped over all to the end, median of {len(whole)} seeds (range): {said}.\n"])


if __name__ == "__main__":
    main()
