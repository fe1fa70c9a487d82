"""The backends by name; each opens its library on first use."""

from __future__ import annotations

from typing import Protocol

from evaluators.evaluation import Evaluation, EvaluatorSpec, Outcome


class Workers(Protocol):
    """Runs evaluations; it knows no trial, no algorithm and no store."""

    @property
    def capacity(self) -> int:
        """How many evaluations may be under way now; it may change, and be 0 for a while."""
        ...

    def submit(self, evaluation: Evaluation) -> None:
        """Starts an evaluation; the caller keeps at most `capacity` of them under way."""
        ...

    def wait(self, seconds: float) -> list[Outcome]:
        """Outcomes that have come in, waiting up to `seconds` for the first."""
        ...

    def close(self) -> None:
        """Ends the workers and whatever they still do."""
        ...


class Opener(Protocol):
    """How a backend is opened: `gpus` is the number of GPUs to share among the workers, 0 for CPU.

    `address` names a cluster to join, whose size decides where `workers` is 0; `folder` must be seen from every node.
    """

    def __call__(self, spec: EvaluatorSpec, *, workers: int, gpus: int, address: str = "", folder: str = "") -> Workers:
        """Open workers that make their evaluators by `spec`."""
        ...


def _in_process(spec: EvaluatorSpec, *, workers: int, gpus: int, address: str = "", folder: str = "") -> Workers:
    from nas.workers.in_process import InProcess

    return InProcess(spec)


def _ray(spec: EvaluatorSpec, *, workers: int, gpus: int, address: str = "", folder: str = "") -> Workers:
    from nas.workers.on_ray import OnRay

    return OnRay(spec, workers=workers, gpus=gpus, address=address or None, folder=folder)


BACKENDS: dict[str, Opener] = {"ray": _ray, "in_process": _in_process}
