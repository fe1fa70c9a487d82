"""What is told beside a front's scores: how sure each member is, what was measured again and trained in full; it knows no page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.archive import Archive
from nas.confidence import confidence, deviation, noise_of
from nas.latencies.remeasure import measured
from nas.members import members
from nas.run import RunFolder
from nas.training.results import Result, read_results

UNKNOWN_IMAGES = 1000  # validation images of a table's authors, who seldom say


@dataclass(frozen=True)
class Beside:
    """By key of an architecture: the probability of being non-dominated, the standard deviation of one training by objective, and
    latencies measured whole by objective; and the results of full training. `basis` says in words where the deviations are from.
    """

    confidence: Mapping[str, float] = field(default_factory=dict)
    deviations: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    basis: str = ""
    measured: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    trained: Sequence[Result] = ()


def beside(folder: RunFolder, archive: Archive) -> Beside:
    """What a run's folder and archive tell beside the scores."""
    images = images_of(folder.read_environment())
    noise = noise_of(archive.trials, archive.objectives, images=images)
    noisy = [objective for objective in archive.objectives if objective.name in noise.factors]
    return Beside(
        confidence(archive.trials, archive.objectives, images=images),
        {m.trial.key: {o.name: deviation(m, o, noise) for o in noisy} for m in members(archive.trials)},
        f"{noise.images} validation images"
        + (f" and {noise.repeats} repeated training{'s' * (noise.repeats > 1)}" if noise.repeats else ""),
        measured(folder.path),
        read_results(folder),
    )


def images_of(environment: Mapping[str, Any]) -> int:
    """The number of validation images of a run."""
    data = environment.get("data")
    images = data.get("validation") if isinstance(data, Mapping) else None
    return images if isinstance(images, int) and images > 0 else UNKNOWN_IMAGES
