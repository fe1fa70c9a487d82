"""Writes an export: a folder with every form of one network, each opened again and compared, whole or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluators.training.data import Data
from evaluators.training.train import evaluate, normalise
from nas.exports.card import dataset_name, make_card, model_card
from nas.exports.forms import check, logits_of, relative_difference, write_onnx, write_program, write_torchscript
from nas.exports.int8 import write_int8
from nas.exports.rebuild import find_weights, load_data, rebuild
from nas.exports.source import model_source

CHECKED_IMAGES = 64
CALIBRATION_IMAGES = 512


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What an export holds besides source, weights, program and ONNX; `weights` is auto, search or trained."""

    weights: str = "auto"
    torchscript: bool = False
    int8: bool = False
    certify: bool = False


def export(folder: Any, archive: Any, picked: Any, target: Path, *, rule: str, wishes: Wishes) -> dict[str, Any]:
    """Writes all forms to a new folder; returns the card.

    Raises:
        UserError: weights or data of the run are missing or damaged.
        MismatchError: a form does not compute what the network computes.
    """
    member = picked.member
    path, result = find_weights(folder, member, which=wishes.weights)
    network, architecture = rebuild(member.trial.architecture, path)
    about = folder.read_environment()
    data = load_data(folder, about["data"]).at(architecture.resolution)
    card = make_card(archive, picked, about, rule=rule, result=result)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        (part / "architecture.json").write_text(json.dumps(architecture.to_json(), indent=2) + "\n", encoding="utf-8")
        shutil.copyfile(path, part / "weights.safetensors")
        title = f"Network {architecture.key}, found in the space {card['space']} on {dataset_name(about)}."
        (part / "model.py").write_text(model_source(architecture, title=title, data=about["data"]), encoding="utf-8")
        card["checks"] = write_forms(network, data, part, wishes=wishes)
        if result is None:  # fully trained weights have seen the validation part: it would tell nothing
            card["accuracy_again"] = evaluate(network, data, data.validation)
        certificate = _certify(part, network, data, architecture, card) if wishes.certify else None
        (part / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        text = model_card(card, architecture, forms=list(card["checks"]), certificate=certificate)
        (part / "README.md").write_text(text, encoding="utf-8")
        shutil.rmtree(part / "__pycache__", ignore_errors=True)
        part.chmod(0o755)
        if target.exists():
            target.rmdir()
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return card if certificate is None else {**card, "certificate": certificate}


def write_forms(network: Any, data: Data, folder: Path, *, wishes: Wishes) -> dict[str, dict[str, Any]]:
    """Writes the forms beside `model.py`, opens each again and compares; what the comparisons came to, by form.

    Raises:
        MismatchError: a form other than the quantised one differs by more than 1e-4.
    """
    images = normalise(data.validation.images[:CHECKED_IMAGES], data)
    with torch.no_grad():
        reference: Tensor = network(images)
    write_onnx(network, images, folder / "model.onnx")
    write_program(network, images, folder / "model.pt2")
    forms = ["model.py", "model.pt2", "model.onnx"]
    if wishes.torchscript:
        write_torchscript(network, folder / "model.pt2", images, folder / "model.torchscript.pt")
        forms.insert(2, "model.torchscript.pt")
    checks: dict[str, dict[str, Any]] = {}
    for form in forms:
        difference = check(form, logits_of(form, folder, images), reference)
        checks[form] = {"relative_difference": difference, "images": len(images)}
    if wishes.int8:
        rows = torch.linspace(0, len(data.train) - 1, min(len(data.train), CALIBRATION_IMAGES)).long()
        write_int8(folder / "model.onnx", folder / "model.int8.onnx", normalise(data.train.images[rows], data))
        logits = logits_of("model.int8.onnx", folder, images)
        checks["model.int8.onnx"] = {
            "relative_difference": relative_difference(logits, reference),
            "images": len(images),
            "same_class": float((logits.argmax(1) == reference.argmax(1)).float().mean()),
        }
    return checks


def _certify(folder: Path, network: Any, data: Data, architecture: Any, card: dict[str, Any]) -> dict[str, Any]:
    from evaluators.counts import count
    from nas.exports.certificate import certify

    macs = int(count(architecture)["macs"])
    return certify(folder, forms=list(card["checks"]), data=data, macs=macs, card=card)
