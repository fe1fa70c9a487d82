"""The forms in which a network is handed over, how each is written and run, and the check that it computes what the network computes.

A program and a graph are written from the network's inference form, whose batch norms are folded and which is plain operations
wherever it is exported. Knows torch, ONNX and the inference form only.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas.errors import UserError
from search_spaces.inference import optimise

TOLERANCE = 1e-4
OPSET = 20
Answer = Callable[[Tensor], Tensor]


class MismatchError(Exception):
    """A form of the network gives other logits than the network."""


def write_onnx(network: nn.Module, images: Tensor, path: Path) -> None:
    """Exports with a dynamic batch: input `images`, output `logits`."""
    import logging

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            optimise(network),
            (images[:2],),
            str(path),
            input_names=["images"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            external_data=False,
            verbose=False,
        )


def write_program(network: nn.Module, images: Tensor, path: Path) -> None:
    """Exports a `torch.export` program with a dynamic batch, to be opened with `torch.export.load`."""
    with warnings.catch_warnings(action="ignore"):
        program = torch.export.export(
            optimise(network), (images[:2].contiguous(),), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},)
        )
        torch.export.save(program, str(path))


def write_torchscript(network: nn.Module, program: Path, images: Tensor, path: Path) -> None:
    """Traces a TorchScript module, for programs that cannot load anything newer.

    The tracer stumbles over some operators that have a backward pass of their own; then the exported program is traced in place
    of the network, which fixes the batch size where an operator reshapes by it.

    Raises:
        UserError: no trace answers batches of other sizes as the network does.
    """
    sources: list[Callable[[], nn.Module]] = [lambda: network, lambda: torch.export.load(str(program)).module()]
    for source in sources:
        with warnings.catch_warnings(action="ignore"), torch.no_grad():
            try:
                traced = torch.jit.trace(source(), images[:2].contiguous(), check_trace=False)
                if relative_difference(traced(images), network(images)) <= TOLERANCE:
                    traced.save(str(path))
                    return
            except (RuntimeError, IndexError):
                continue
    raise UserError("--torchscript: the tracer cannot follow this network's operators: leave it out, and use model.pt2")


@torch.no_grad()
def source_module(folder: Path) -> nn.Module:
    """What `model.py` of a folder builds with the weights beside it, imported afresh from the file."""
    specification = importlib.util.spec_from_file_location(f"exported_{abs(hash(folder))}", folder / "model.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    network: nn.Module = module.load(folder / "weights.safetensors")
    return network


def program_module(folder: Path) -> nn.Module:
    """The exported program of a folder, loaded back."""
    with warnings.catch_warnings(action="ignore"):
        return torch.export.load(str(folder / "model.pt2")).module()


def torchscript_module(folder: Path) -> nn.Module:
    """The TorchScript module of a folder, loaded back."""
    with warnings.catch_warnings(action="ignore"):
        module: nn.Module = torch.jit.load(str(folder / "model.torchscript.pt"))
    return module


def onnx_answer(path: Path, *, threads: int = 0) -> Answer:
    """What onnxruntime computes on the CPU."""
    session = onnx_session(path, threads=threads)

    def answer(images: Tensor) -> Tensor:
        (logits,) = session.run(None, {"images": images.numpy()})
        return torch.from_numpy(logits)

    return answer


def onnx_session(path: Path, *, threads: int = 0) -> Any:
    """An onnxruntime session on the CPU that sends no telemetry."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


# How each form is opened: a folder -> images (N, C, H, W), normalised, to logits (N, classes).
FORMS: Mapping[str, Callable[[Path], Answer]] = {
    "model.py": source_module,
    "model.pt2": program_module,
    "model.torchscript.pt": torchscript_module,
    "model.onnx": lambda folder: onnx_answer(folder / "model.onnx", threads=torch.get_num_threads()),
    "model.int8.onnx": lambda folder: onnx_answer(folder / "model.int8.onnx", threads=torch.get_num_threads()),
}


@torch.no_grad()
def logits_of(form: str, folder: Path, images: Tensor) -> Tensor:
    """What a form of a folder computes."""
    return FORMS[form](folder)(images.contiguous())


def relative_difference(logits: Tensor, reference: Tensor) -> float:
    """The largest difference over the largest logit."""
    return float((logits - reference).abs().max() / reference.abs().max().clamp_min(1e-12))


def check(form: str, logits: Tensor, reference: Tensor) -> float:
    """The relative difference of a form's logits.

    Raises:
        MismatchError: it is above 1e-4, or not a number.
    """
    difference = relative_difference(logits, reference)
    if not difference <= TOLERANCE:
        raise MismatchError(
            f"{form} differs from the network by {difference:.2e} of its largest logit, more than {TOLERANCE:g}"
        )
    return difference
