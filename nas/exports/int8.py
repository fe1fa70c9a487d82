"""An ONNX file in 8-bit integers: onnxruntime's static quantisation, calibrated on real images."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

BATCH = 64


def write_int8(source: Path, path: Path, images: Tensor) -> None:
    """Quantises weights by channel and activations by the range that they take on `images` (N, C, H, W), normalised."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches: Iterator[Tensor] = iter(images.split(BATCH))

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._batches, None)
            return None if batch is None else {"images": batch.contiguous().numpy()}

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory() as place, warnings.catch_warnings(action="ignore"):
            prepared = Path(place) / "prepared.onnx"
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantize_static(str(prepared), str(path), Reader(), per_channel=True)
    finally:
        logging.disable(before)
