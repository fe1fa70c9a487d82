"""What is told beside a front's scores: how sure each member is, and what was measured again; it knows no table and no page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nas.archive import Archive
from nas.confidence import confidence
from nas.latencies.remeasure import measured
from nas.run import RunFolder

UNKNOWN_IMAGES = 1000  # validation images of a table's authors, who seldom say


@dataclass(frozen=True)
class Beside:
    """By key of an architecture: the probability of being non-dominated, and latencies measured whole by objective."""

    confidence: Mapping[str, float] = field(default_factory=dict)
    measured: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)


def beside(folder: RunFolder, archive: Archive) -> Beside:
    """What a run's folder and archive tell beside the scores."""
    return Beside(
        confidence(archive.trials, archive.objectives, images=images_of(folder.read_environment())),
        measured(folder.path),
    )


def images_of(environment: Mapping[str, Any]) -> int:
    """The number of validation images of a run."""
    data = environment.get("data")
    images = data.get("validation") if isinstance(data, Mapping) else None
    return images if isinstance(images, int) and images > 0 else UNKNOWN_IMAGES
