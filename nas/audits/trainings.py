"""The finished trainings of an audit that is under way, a line each, so that one that was broken off goes on; it knows no statistics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluators.evaluation import Evaluation, Outcome


class Trainings:
    """A file of finished trainings of one data set: recalled by architecture, recipe, seed and images; failures are tried again."""

    def __init__(self, path: Path, *, data: Mapping[str, Any]) -> None:
        self._path, self._data = path, data
        self._known: dict[str, tuple[float, float]] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                row = json.loads(line)
                self._known[row["training"]] = (float(row["accuracy"]), float(row["seconds"]))
            except (ValueError, KeyError, TypeError):
                continue  # a line torn by a crash: that training is done again

    def recall(self, evaluation: Evaluation) -> tuple[float, float] | None:
        """Accuracy and seconds of a training that is done, `None` of one that is not."""
        return self._known.get(self._name(evaluation))

    def keep(self, evaluation: Evaluation, outcome: Outcome) -> tuple[float, float]:
        """Writes a finished training down; returns its accuracy and seconds."""
        found = float(outcome.scores["accuracy"]), float(outcome.details["seconds"]["total"])
        self._path.parent.mkdir(parents=True, exist_ok=True)
        row = {"training": self._name(evaluation), "accuracy": found[0], "seconds": found[1]}
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" * self._torn() + json.dumps(row) + "\n")
        return found

    def done(self) -> None:
        """The audit is written: what was kept for going on is dropped, so that the next one trains anew."""
        self._path.unlink(missing_ok=True)

    def _torn(self) -> bool:
        text = self._path.read_bytes()[-1:] if self._path.exists() else b""
        return text not in (b"", b"\n")

    def _name(self, evaluation: Evaluation) -> str:
        parts = [evaluation.architecture, evaluation.recipe, evaluation.seed, self._data]
        return json.dumps(parts, sort_keys=True, separators=(",", ":"))
