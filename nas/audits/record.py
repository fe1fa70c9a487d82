"""Where audits lie and what the last one says of a search; it knows no training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluators.evaluation import write_atomically

FOLDER = Path("runs") / "audits"
LENGTH = {"epochs": 0, "rungs": []}  # one audit tells of a recipe at several lengths
FORMAT = 1


def path_of(space: str, dataset: str, recipe: str, *, folder: Path = FOLDER) -> Path:
    """The file of the last audit of a space, data set and recipe."""
    stem = f"{space}-{dataset}-{recipe}".replace(":", "-").replace("/", "_").strip("._-")[-100:]
    return folder / f"{stem}.json"


def write(audit: Mapping[str, Any], path: Path) -> None:
    """Writes an audit whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(audit, indent=2) + "\n").encode())


def sentence(
    space: str, dataset: str, *, checksum: str, recipe: Mapping[str, Any], train_images: int = 0, folder: Path = FOLDER
) -> str:
    """One line on how far the proxy can be believed: the last audit of this space, data set and recipe, or that there is none."""
    advice = f"python -m nas.audit --space {space} --dataset {dataset}"
    none = f"nobody has checked this proxy against longer training: {advice}"
    try:
        audit = json.loads(path_of(space, dataset, str(recipe["name"]), folder=folder).read_text(encoding="utf-8"))
        if audit["format"] != FORMAT:
            return none
        same = {**audit["recipe"], **LENGTH} == {**recipe, **LENGTH}
        if not same or audit["data"]["checksum"] != checksum or audit["train_images"] != train_images:
            return f"the last audit was of another recipe or other images: {advice}"
        rung = audit["rungs"].get(str(recipe["epochs"]))
        if rung is None:
            return f"the last audit had rungs of {', '.join(audit['rungs'])} epochs, not {recipe['epochs']}: {advice} --rungs {recipe['epochs']}"
        return (
            f"audit of {audit['date']}: {recipe['epochs']} epochs rank {audit['networks']} networks as {audit['epochs']} do with "
            f"Kendall τ {rung['tau']:.2f} ({rung['tau_best_quarter']:.2f} in the best quarter; noise ceiling {audit['ceiling']:.2f})"
        )
    except FileNotFoundError:
        return none
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"the last audit cannot be read: {advice}"
