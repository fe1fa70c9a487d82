"""A newcomer's path, timed: a folder of own images, a search, an export, and onnxruntime on one of the images."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.images import write_digits

LONGEST_SECONDS = 600


@pytest.mark.slow
def test_from_own_images_to_onnxruntime(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import onnxruntime
    from PIL import Image

    files = write_digits(tmp_path / "my-images", each=60)
    start = time.monotonic()
    seconds: dict[str, float] = {}

    def type_in(name: str, *arguments: str) -> str:
        before = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        seconds[name] = time.monotonic() - before
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    images = "folder:my-images"
    type_in("search", "nas.search", "--space", "pix", "--dataset", images, "--budget", "12", "--out", "runs/mine")
    type_in("export", "nas.export", "runs/mine", "--pick", "best:accuracy", "--to", "exported", "--certify")

    folder = tmp_path / "exported"
    card = json.loads((folder / "card.json").read_text())
    size = json.loads((folder / "architecture.json").read_text())["input"]["resolution"]
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    right = 0
    for file in files[::10]:
        pixels = np.asarray(Image.open(file).resize((size, size)), dtype=np.float32)[None, None]
        (logits,) = session.run(None, {"images": (pixels - card["data"]["mean"][0]) / card["data"]["std"][0]})
        right += card["data"]["class_names"][int(logits.argmax())] == file.parent.name
    seconds["all"] = time.monotonic() - start
    with capsys.disabled():
        words = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
        print(f"\nfrom own images to onnxruntime: {words}; {right} of {len(files[::10])} right")
    assert right > 0.7 * len(files[::10])
    assert seconds["all"] < LONGEST_SECONDS
    certificate = json.loads((folder / "certificate.json").read_text())
    assert certificate["forms"]["model.onnx"]["accuracy"] > 0.6
    spoken = subprocess.run(
        [sys.executable, "model.py", str(files[0])], cwd=folder, capture_output=True, text=True, check=True
    )
    assert str(files[0]) in spoken.stdout
