"""The forms in which a network is handed over, and the check that each computes what the network computes. Knows torch and ONNX only."""

from __future__ import annotations

import importlib.util
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

TOLERANCE = 1e-4
OPSET = 20


class MismatchError(Exception):
    """A form of the network gives other logits than the network."""


def write_onnx(network: nn.Module, images: Tensor, path: Path) -> None:
    """Exports with a dynamic batch: input `images`, output `logits`."""
    import logging

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            network,
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


@torch.no_grad()
def logits_of_source(folder: Path, images: Tensor) -> Tensor:
    """What `model.py` of a folder computes with the weights beside it, imported afresh from the file."""
    specification = importlib.util.spec_from_file_location(f"exported_{abs(hash(folder))}", folder / "model.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    logits: Tensor = module.load(folder / "weights.safetensors")(images)
    return logits


def logits_of_onnx(path: Path, images: Tensor) -> Tensor:
    """What onnxruntime computes on the CPU."""
    session = onnx_session(path)
    (logits,) = session.run(None, {"images": images.numpy()})
    return torch.from_numpy(logits)


def onnx_session(path: Path, *, threads: int = 0) -> Any:
    """An onnxruntime session on the CPU that sends no telemetry."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


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
