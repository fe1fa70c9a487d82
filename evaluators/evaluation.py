"""One evaluation: an architecture, a recipe and a seed become scores, or a failure of a named kind; it knows no search.

What enters and leaves is plain data, so that an evaluation can run in any process.
"""

from __future__ import annotations

import logging
import os
import resource
import socket
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, Protocol

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """What to evaluate. `phase` is `train`, which may run beside others, or `time`, which needs the device to itself.

    `weights` is the file that keeps the trained weights, `None` to drop them; `timeout` is in seconds, 0 for none.
    `alone` says that nothing else is on the device, so that all of its memory may be taken. Where a recipe has rungs, `until` is the
    epoch at which this job ends, and `after` the one at which the last job of the same trial ended; 0 means the end and the start.
    """

    number: int
    phase: Literal["train", "time"]
    architecture: Mapping[str, Any]
    recipe: Mapping[str, Any]
    seed: int
    weights: str | None = None
    timeout: float = 0.0
    alone: bool = False
    after: int = 0
    until: int = 0

    @property
    def checkpoint(self) -> str | None:
        """The file of the state between two jobs of a training, beside the weights."""
        return None if self.weights is None else checkpoint_of(self.weights)


@dataclass(frozen=True)
class Outcome:
    """What an evaluation came to: scores, or a failure kind and its message. `details` are seconds, memory and the like."""

    number: int
    phase: Literal["train", "time"]
    scores: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None
    message: str = ""


def checkpoint_of(weights: str) -> str:
    """Where the state between two jobs of a training lies, by where its weights go."""
    return f"{weights}.state"


class Evaluator(Protocol):
    """Lives in one worker and holds what is loaded once: data and device."""

    def run(self, evaluation: Evaluation) -> Outcome:
        """Evaluates; failures are returned, not raised."""
        ...


@dataclass(frozen=True)
class EvaluatorSpec:
    """How a worker makes its evaluator: `target` is `module:callable`, called with `options`; plain data."""

    target: str
    options: Mapping[str, Any]

    def make(self) -> Evaluator:
        """The evaluator, in this process."""
        module, name = self.target.split(":")
        evaluator: Evaluator = getattr(import_module(module), name)(**self.options)
        return evaluator


def failed(evaluation: Evaluation, error: BaseException) -> Outcome:
    """The outcome of an exception: its kind, and its message with the place it came from."""
    kind = "error"
    names = {base.__name__ for base in type(error).__mro__}
    if names & {"OutOfMemoryError", "MemoryError"} or "DefaultCPUAllocator: can't allocate memory" in str(error):
        kind = "out_of_memory"
    elif "DivergedError" in names:
        kind = "diverged"
    elif "TimedOutError" in names:
        kind = "timed_out"
    elif "InfeasibleError" in names:
        kind = "infeasible"
    frame = traceback.extract_tb(error.__traceback__)[-1:] if kind == "error" else []
    place = f" ({os.path.basename(frame[0].filename)}:{frame[0].lineno})" if frame else ""
    text = " ".join(str(error).split())[:500] or type(error).__name__
    message = f"{type(error).__name__}: {text}{place}" if kind == "error" else text
    return Outcome(evaluation.number, evaluation.phase, failure=kind, message=message)


class InfeasibleError(Exception):
    """The architecture cannot be built for this input."""


class TrainingEvaluator:
    """Trains by a recipe and times networks of one data set on one device; the data are loaded once."""

    def __init__(
        self,
        *,
        dataset: str,
        data_dir: str | None = None,
        skip_broken: bool = False,
        train_images: int = 0,
        checksum: str = "",
        device: str = "cpu",
        threads: int = 1,
        share: float = 1.0,
    ) -> None:
        import torch

        from evaluators.training.datasets import load

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cpu":
            torch.set_num_threads(threads)
        elif share < 1:
            torch.cuda.set_per_process_memory_fraction(share)
        self._share = share
        self._device = torch.device(device)
        self._data = load(dataset, data_dir=data_dir, skip_broken=skip_broken, train_images=train_images).to(
            self._device
        )
        if checksum and self._data.checksum != checksum:
            raise ValueError(
                f"the data set {dataset!r} has checksum {self._data.checksum} on this worker and {checksum} on the driver: "
                "give every node the same files"
            )

    def run(self, evaluation: Evaluation) -> Outcome:
        """Evaluates; failures are returned, not raised."""
        try:
            return self._train(evaluation) if evaluation.phase == "train" else self._time(evaluation)
        except Exception as error:
            logger.debug("trial %d failed", evaluation.number, exc_info=True)
            return failed(evaluation, error)
        finally:
            self._free_memory()

    def _free_memory(self) -> None:
        """What the allocator keeps of an evaluation goes back to the device, where others share it."""
        if self._device.type == "cuda" and self._share < 1:
            import torch

            torch.cuda.empty_cache()

    def _train(self, evaluation: Evaluation) -> Outcome:
        import torch
        from safetensors.torch import save

        from evaluators.counts import macs_by_stage
        from evaluators.training.recipe import Recipe
        from evaluators.training.train import train

        start = time.monotonic()
        torch.manual_seed(evaluation.seed)
        if self._device.type == "cuda":
            if self._share < 1:
                torch.cuda.set_per_process_memory_fraction(1.0 if evaluation.alone else self._share)
            torch.cuda.reset_peak_memory_stats(self._device)
        network, architecture = self._build(evaluation)
        state: dict[str, torch.Tensor] = {}
        trained = train(
            network,
            self._data,
            Recipe.from_json(evaluation.recipe),
            seed=evaluation.seed,
            resolution=architecture.resolution,
            deadline=start + evaluation.timeout if evaluation.timeout else None,
            start=_state_before(evaluation),
            until=evaluation.until or None,
            on_epoch=lambda epoch: state.update(epoch.state()) if epoch.number == evaluation.until else None,
        )
        if evaluation.until:
            if evaluation.checkpoint is not None:
                write_atomically(evaluation.checkpoint, save(state))
        elif evaluation.weights is not None:
            tensors = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
            write_atomically(evaluation.weights, save(tensors))
        return Outcome(
            evaluation.number,
            "train",
            scores={"accuracy": trained.accuracy},
            details={
                "seconds": {
                    "train": round(trained.train_seconds, 3),
                    "evaluate": round(trained.evaluate_seconds, 3),
                    "total": round(time.monotonic() - start, 3),
                },
                "loss": trained.loss,
                "macs_by_stage": macs_by_stage(architecture),
                "worker": f"{socket.gethostname()}:{os.getpid()}",
                "epochs": trained.epochs,
                "peak_memory_mb": round(self._peak_memory_mb(), 1),
            },
        )

    def _time(self, evaluation: Evaluation) -> Outcome:
        from evaluators.latency import measure_latency

        start = time.monotonic()
        network, architecture = self._build(evaluation)
        shape = (1, architecture.channels, architecture.resolution, architecture.resolution)
        latency = measure_latency(network, shape, device=self._device)
        return Outcome(
            evaluation.number,
            "time",
            scores={"latency_ms": latency.median_ms},
            details={
                "latency": {
                    "lower_ms": latency.lower_ms,
                    "upper_ms": latency.upper_ms,
                    "repeats": latency.repeats,
                    "repeat_error": round(latency.repeat_error, 4),
                    "disturbed": round(latency.disturbed, 3),
                    "device": str(self._device),
                    "batch_size": 1,
                },
                "seconds": {"time": round(time.monotonic() - start, 3)},
            },
        )

    def _build(self, evaluation: Evaluation) -> tuple[Any, Any]:
        from search_spaces.architecture import Architecture
        from search_spaces.network import build

        try:
            architecture = Architecture.from_json(evaluation.architecture)
            return build(architecture).to(self._device), architecture
        except ValueError as error:
            raise InfeasibleError(str(error)) from error

    def _peak_memory_mb(self) -> float:
        import torch

        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _state_before(evaluation: Evaluation) -> dict[str, Any] | None:
    """The state that the last job of the same trial left; `None` where it is lost, and the training begins anew, to the same end."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not evaluation.after or evaluation.checkpoint is None:
        return None
    try:
        state: dict[str, Any] = load_file(evaluation.checkpoint)
    except (OSError, SafetensorError):
        logger.warning(
            "trial %d is trained from its start: its state at epoch %d is lost", evaluation.number, evaluation.after
        )
        return None
    return state if int(state["epoch"]) == evaluation.after else None


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file whole or not at all: to a neighbour first, synced, then renamed."""
    neighbour = f"{os.fspath(path)}.{os.getpid()}.part"
    with open(neighbour, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(neighbour, path)
