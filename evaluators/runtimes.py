"""What runs a network's forward pass when it is timed: PyTorch eagerly, compiled, or onnxruntime; it knows no clock.

Each takes the network's inference form, which is what a user would deploy: batch norm costs nothing there.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.inference import optimise

OPSET = 20
Run = Callable[[], None]


def _torch(network: nn.Module, x: Tensor) -> Run:
    """Eager, channels-last, which is what the operators are fastest in."""
    network = optimise(network).to(memory_format=torch.channels_last)
    return _pass(network, x.contiguous(memory_format=torch.channels_last))


def _compiled(network: nn.Module, x: Tensor) -> Run:
    """`torch.compile` with its own settings; the first call takes seconds to minutes."""
    network = optimise(network).to(memory_format=torch.channels_last)
    return _pass(torch.compile(network), x.contiguous(memory_format=torch.channels_last))


def _pass(network: Callable[[Tensor], Any], x: Tensor) -> Run:
    def run() -> None:
        with torch.inference_mode():
            network(x)
        if x.device.type == "cuda":
            torch.cuda.synchronize(x.device)

    return run


def _onnxruntime(network: nn.Module, x: Tensor) -> Run:
    """The exported graph in onnxruntime, with as many threads as PyTorch has.

    Raises:
        ValueError: onnxruntime here cannot use the device.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    provider = "CUDAExecutionProvider" if x.device.type == "cuda" else "CPUExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        raise ValueError(f"onnxruntime has no {provider} here: install onnxruntime-gpu, or time on the CPU")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(_exported(network, x), options, providers=[provider])
    binding = session.io_binding()
    images = onnxruntime.OrtValue.ortvalue_from_numpy(x.cpu().numpy(), x.device.type, x.device.index or 0)
    binding.bind_ortvalue_input(session.get_inputs()[0].name, images)
    for output in session.get_outputs():
        binding.bind_output(output.name, x.device.type)
    return lambda: session.run_with_iobinding(binding)


def _exported(network: nn.Module, x: Tensor) -> bytes:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(
            optimise(network).cpu().to(memory_format=torch.contiguous_format),
            (x.cpu().contiguous(),),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


RUNTIMES: dict[str, Callable[[nn.Module, Tensor], Run]] = {
    "torch": _torch,
    "torch.compile": _compiled,
    "onnxruntime": _onnxruntime,
}
