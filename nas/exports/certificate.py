"""The certificate of an export: every form measured anew on the test part, timed in turns, counted and weighed.

What is measured is what lies in the folder: each form is opened from its files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evaluators.latency import measure_in_turns
from evaluators.training.data import Data
from evaluators.training.train import normalise
from nas.environment import environment
from nas.exports.forms import FORMS
from nas.exports.onnx_macs import onnx_macs

BATCH = 256
TURNS = 20
FILES = {"model.py": ("model.py", "weights.safetensors")}


def certify(folder: Path, *, forms: Sequence[str], data: Data, macs: int, card: Mapping[str, Any]) -> dict[str, Any]:
    """Measures the forms in a folder, and writes `CERTIFICATE.md` and `certificate.json` there; what the latter holds.

    Args:
        folder: the export.
        forms: names of `FORMS` that it holds.
        data: at the network's resolution, on the CPU.
        macs: counted from the architecture, which every form is compared with.
        card: what the export is about.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        answers = {form: FORMS[form](folder) for form in forms}
        image = normalise(data.test.images[:1], data).contiguous()
        with torch.inference_mode():
            latencies = measure_in_turns([_pass(answers[form], image) for form in forms], turns=TURNS)
        rows = {
            form: {
                "accuracy": accuracy_of(answers[form], data),
                "latency_ms": {
                    "median": round(latency.median_ms, 4),
                    "lower": round(latency.lower_ms, 4),
                    "upper": round(latency.upper_ms, 4),
                    "repeats": latency.repeats,
                },
                "macs": _macs(form, folder, answers[form], image),
                "bytes": sum((folder / name).stat().st_size for name in FILES.get(form, (form,))),
                "sha256": {
                    name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES.get(form, (form,))
                },
            }
            for form, latency in zip(forms, latencies, strict=True)
        }
    finally:
        torch.set_num_threads(threads)
    about = environment()
    certificate = {
        "key": card["key"],
        "weights": card["weights"],
        "picked": card["picked"],
        "seed": card["seed"],
        "data": {**card["data"], "part": "test", "images": len(data.test)},
        "macs_of_architecture": macs,
        "latency_is": "of one image on one CPU thread, median and 95 % interval, all forms timed in turns",
        "forms": rows,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": about["command"],
        "versions": {"nas": about["nas"], "python": about["python"], **about["packages"]},
        "git": about["git"],
        "machine": {name: about[name] for name in ("system", "processor", "cores")},
    }
    (folder / "certificate.json").write_text(
        json.dumps(certificate, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "CERTIFICATE.md").write_text(as_text(certificate), encoding="utf-8")
    return certificate


def accuracy_of(answer: Any, data: Data) -> float:
    """The share of the test images that a form puts in the right class."""
    correct = 0
    with torch.inference_mode():
        for images, labels in data.test.batches(BATCH):
            correct += int((answer(normalise(images, data).contiguous()).argmax(1) == labels).sum())
    return correct / len(data.test)


def as_text(certificate: Mapping[str, Any]) -> str:
    """The certificate as Markdown."""
    lines = [
        f"# Certificate of {certificate['key']}",
        "",
        f"Measured {certificate['measured']} on the test part of {certificate['data']['name']} "
        f"({certificate['data']['images']} images that neither the search nor the training has seen), from the files in this folder.",
        "",
        "| form | test accuracy | latency of one image | MACs | size | SHA-256 |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for form, row in certificate["forms"].items():
        latency = row["latency_ms"]
        digests = ", ".join(f"{digest[:12]}…" for digest in row["sha256"].values())
        lines.append(
            f"| {form} | {100 * row['accuracy']:.2f} % "
            f"| {latency['median']:.3g} ms ({latency['lower']:.3g}–{latency['upper']:.3g}) "
            f"| {row['macs']:,} | {row['bytes']:,} bytes | {digests} |"
        )
    versions = ", ".join(f"{name} {version}" for name, version in certificate["versions"].items() if version)
    machine = certificate["machine"]
    lines += [
        "",
        f"- Latency is {certificate['latency_is']}; {machine['processor']}, {machine['system']}.",
        f"- MACs are multiply-adds of one image, counted in each form; the architecture has {certificate['macs_of_architecture']:,}.",
        f"- Weights: {certificate['weights']['of']}. Seed {certificate['seed']}. "
        f"Picked: {certificate['picked']}. Data checksum {certificate['data']['checksum']}.",
        f"- Versions: {versions}; git {certificate['git']}.",
        f"- Command: `{certificate['command']}`",
        "",
    ]
    return "\n".join(lines)


def _pass(answer: Any, image: Tensor) -> Any:
    return lambda: answer(image)


def _macs(form: str, folder: Path, answer: Any, image: Tensor) -> int:
    """Counted in what the form executes."""
    from torch.utils.flop_counter import FlopCounterMode

    if form.endswith(".onnx"):
        return onnx_macs(folder / form)
    assert isinstance(answer, nn.Module)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        answer(image)
    return int(counter.get_total_flops() // 2)
