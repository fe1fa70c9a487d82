"""One full training, described by plain data, in the process of whoever calls it; it knows no Ray.

After every epoch it tells its figures and offers its state, from which the same job goes on exactly where it was.
"""

from __future__ import annotations

import contextlib
import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from evaluators.evaluation import write_atomically
from evaluators.training.data import Data, Part
from evaluators.training.datasets import load
from evaluators.training.distil import Teacher
from evaluators.training.recipe import Recipe
from evaluators.training.state import Epoch
from evaluators.training.train import DivergedError, train
from search_spaces.architecture import Architecture
from search_spaces.network import Network, build

Metrics = dict[str, Any]
Tell = Callable[[Metrics, Callable[[], dict[str, Tensor]] | None], None]


@dataclass(frozen=True)
class Job:
    """One training. `final` trains on all but the test part and measures that once; else the validation part is the judge.

    `weights` is where to begin, empty for fresh weights; `teacher` an architecture and `teacher_weights` its weights, empty for
    none; `folder` is where the result goes and `name` what it is called there.
    """

    name: str
    key: str
    architecture: Mapping[str, Any]
    recipe: Mapping[str, Any]
    seed: int
    replicate: int
    final: bool
    data: Mapping[str, Any]
    folder: str
    device: str = "cpu"
    weights: str = ""
    teacher: Mapping[str, Any] | None = None
    teacher_weights: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def run(job: Job, tell: Tell, *, history: list[Metrics], start: Mapping[str, Tensor] | None) -> None:
    """Trains. `history` is what was told before `start` was taken; it is told again, so that a scheduler knows all of it.

    Its end is written to `NAME.json`, and a job that has one trains no more. A final job leaves `NAME.safetensors` too. A diverged
    training is told as a `failure`, not raised.
    """
    file = Path(job.folder) / f"{job.name}.json"
    if file.exists():
        end = json.loads(file.read_text(encoding="utf-8"))
        for metrics in [*end["history"], {"epoch": len(end["history"]), **_brief(end)}]:
            tell(metrics, None)
        return
    for metrics in history:
        tell(metrics, None)
    told = list(history)
    with _log(job, after=len(told)) as log:
        end = _train(job, functools.partial(_on_epoch, job, tell, told, log), start)
        if "test_accuracy" in end:
            log.add_scalar("accuracy/test", end["test_accuracy"], len(told))
    end |= {"recipe": dict(job.recipe), "history": told}
    write_atomically(file, (json.dumps(end, indent=2) + "\n").encode())
    tell({"epoch": len(told), **_brief(end)}, None)


def _brief(end: Metrics) -> Metrics:
    """What is told of an end: a scheduler needs a number in place of the accuracy of a failed one."""
    names = ("accuracy", "test_accuracy", "failure", "message", "seconds")
    brief = {name: end[name] for name in names if name in end}
    return {"accuracy": 0.0, **brief} if "failure" in end else brief


@contextlib.contextmanager
def _log(job: Job, *, after: int) -> Iterator[Any]:
    """A writer of TensorBoard's files; what an earlier attempt wrote after epoch `after` is struck out."""
    from tensorboardX import SummaryWriter

    folder = Path(job.folder) / "tensorboard" / job.name
    writer = SummaryWriter(str(folder), purge_step=after + 1 if folder.exists() else None, flush_secs=30)
    try:
        yield writer
    finally:
        writer.close()


def _on_epoch(job: Job, tell: Tell, told: list[Metrics], log: Any, epoch: Epoch) -> None:
    metrics: Metrics = {"epoch": epoch.number, "loss": round(epoch.loss, 6)}
    if not job.final:
        metrics["accuracy"] = epoch.accuracy()
        log.add_scalar("accuracy/validation", metrics["accuracy"], epoch.number)
    log.add_scalar("loss/train", epoch.loss, epoch.number)
    log.add_scalar("learning_rate", epoch.learning_rate, epoch.number)
    told.append(metrics)
    tell(metrics, epoch.state if epoch.number < epoch.epochs else None)


def _train(job: Job, on_epoch: Callable[[Epoch], None], start: Mapping[str, Tensor] | None) -> Metrics:
    from safetensors.torch import load_file, save

    device = torch.device(job.device)
    if device.type == "cpu":
        torch.set_num_threads(1)
    data = load_once(json.dumps(dict(job.data), sort_keys=True), job.device)
    data = whole(data) if job.final else data
    architecture = Architecture.from_json(job.architecture)
    torch.manual_seed(job.seed)
    network = build(architecture)
    if job.weights:
        network.load_state_dict(load_file(job.weights))
    began = time.monotonic()
    try:
        trained = train(
            network.to(device),
            data,
            Recipe.from_json(job.recipe),
            seed=job.seed,
            resolution=architecture.resolution,
            teacher=_teacher(job, device),
            start=start,
            on_epoch=on_epoch,
        )
    except DivergedError as error:
        return {"failure": "diverged", "message": str(error)}
    end = {
        "seed": job.replicate,
        "torch_seed": job.seed,
        "epochs": trained.epochs,
        "resumed_after": int(start["epoch"]) if start is not None else 0,
        "seconds": round(time.monotonic() - began, 2),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
    }
    if not job.final:
        return {**end, "accuracy": trained.accuracy}
    tensors = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    write_atomically(Path(job.folder) / f"{job.name}.safetensors", save(tensors))
    return {**end, "test_accuracy": trained.accuracy}


@functools.lru_cache(maxsize=2)
def load_once(options: str, device: str) -> Data:
    """The data of a worker, kept for its next job.

    Raises:
        ValueError: they are not those that the run was made with.
    """
    wanted = json.loads(options)
    checksum = wanted.pop("checksum")
    data = load(**wanted).to(torch.device(device))
    if data.checksum != checksum:
        raise ValueError(f"the data set {wanted['name']!r} has checksum {data.checksum} on this worker, not {checksum}")
    return data


def whole(data: Data) -> Data:
    """The data with train and validation part as one to train on, and the test part as what is measured in the end."""
    first, second = data.train, data.validation
    if isinstance(first.images, Tensor) and isinstance(second.images, Tensor):
        images: Any = torch.cat([first.images, second.images])
    else:
        images = replace(first.images, files=(*first.images.files, *second.images.files))  # type: ignore[type-var, union-attr]
    return replace(
        data, train=Part(images, torch.cat([first.labels, second.labels])), validation=data.test, _resized={}
    )


def _teacher(job: Job, device: torch.device) -> Teacher | None:
    from safetensors.torch import load_file

    if job.teacher is None:
        return None
    architecture = Architecture.from_json(job.teacher)
    network: Network = build(architecture)
    network.load_state_dict(load_file(job.teacher_weights))
    network = network.to(device).eval()
    size = (architecture.resolution, architecture.resolution)

    def logits(images: Tensor) -> Tensor:
        if images.shape[-2:] != size:
            images = F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
        answer: Tensor = network(images.contiguous(memory_format=torch.channels_last))
        return answer

    return Teacher(logits)
