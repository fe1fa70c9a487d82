"""What full training came to, as files of a run: `trained/KEY/LABEL/result.json` with weights and logs beside it; it knows no torch.

A result is labelled by its recipe and is never mixed with the scores of the search, which are of another recipe and another part.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluators.evaluation import write_atomically
from nas.run import RunFolder


@dataclass(frozen=True)
class Result:
    """One architecture trained by one recipe with one or more seeds. `about` is all that `result.json` holds."""

    folder: Path
    about: dict[str, Any]

    @property
    def key(self) -> str:
        """The architecture's key."""
        return str(self.about["key"])

    @property
    def label(self) -> str:
        """The recipe's label."""
        return str(self.about["label"])

    @property
    def accuracies(self) -> list[float]:
        """Test accuracy, one of each seed."""
        return [float(seed["test_accuracy"]) for seed in self.about["seeds"]]

    @property
    def weights(self) -> Path:
        """The weights of the first seed: not of the best, which the test part would have chosen."""
        return self.folder / f"seed-{self.about['seeds'][0]['seed']}.safetensors"

    def __str__(self) -> str:
        return spread(self.accuracies)


def folder_of(run: RunFolder, *, key: str, label: str) -> Path:
    """Where the result of a key and a recipe lies."""
    return run.path / "trained" / key / label


def write_result(folder: Path, about: dict[str, Any]) -> Result | None:
    """Writes `result.json`; the seeds are those whose files lie in the folder and that ended well; `None` without one."""
    ends = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("seed-*.json")]
    seeds = sorted(({**end, "history": None} for end in ends if "test_accuracy" in end), key=lambda end: end["seed"])
    if not seeds:
        return None
    for end in seeds:
        del end["history"]
    accuracies = [seed["test_accuracy"] for seed in seeds]
    summary = {
        "mean": statistics.fmean(accuracies),
        "std": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        "seeds": len(accuracies),
    }
    about = {**about, "test_accuracy": summary, "seeds": seeds}
    write_atomically(folder / "result.json", (json.dumps(about, indent=2, ensure_ascii=False) + "\n").encode())
    return Result(folder, about)


def read_results(run: RunFolder) -> list[Result]:
    """All results of a run, the latest last; a folder whose training has not ended has none yet."""
    found = []
    for file in (run.path / "trained").glob("*/*/result.json"):
        try:
            about = json.loads(file.read_text(encoding="utf-8"))
            result = Result(file.parent, about)
            if result.accuracies and result.key and result.label:
                found.append((str(about.get("finished", "")), result))
        except (ValueError, KeyError, TypeError, OSError):
            continue
    return [result for _, result in sorted(found, key=lambda pair: (pair[0], str(pair[1].folder)))]


def result_of(run: RunFolder, *, key: str) -> Result | None:
    """The latest result of an architecture, `None` where it has not been trained."""
    results = [result for result in read_results(run) if result.key == key]
    return results[-1] if results else None


def spread(accuracies: Sequence[float]) -> str:
    """Accuracies as `98.61 ± 0.12 % (3 seeds)`: mean and sample standard deviation."""
    mean = 100 * statistics.fmean(accuracies)
    if len(accuracies) == 1:
        return f"{mean:.2f} % (1 seed)"
    return f"{mean:.2f} ± {100 * statistics.stdev(accuracies):.2f} % ({len(accuracies)} seeds)"
