"""What an export says of itself: `card.json` for programs, `README.md` as a model card for people and for model hubs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.training.results import Result


def make_card(
    archive: Any, picked: Any, about: Mapping[str, Any], *, rule: str, result: Result | None
) -> dict[str, Any]:
    """The facts of an export: scores and the recipe that they are of, weights, data, input, versions."""
    member = picked.member
    weights = {"kind": "search", "of": f"the search, by the {archive.recipe['name']} recipe on the train part"}
    if result is not None:
        weights = {
            "kind": "trained",
            "of": f"nas.train, by the recipe {result.label} on train and validation part",
            "label": result.label,
            "test_accuracy": result.about["test_accuracy"],
        }
    return {
        "key": member.trial.key,
        "picked": rule,
        "reason": picked.reason,
        "scores": dict(member.scores),
        "scores_are": f"of the {archive.recipe['name']} recipe, on the validation part",
        "objectives": [vars(objective) for objective in archive.objectives],
        "weights": weights,
        "recipe": archive.recipe if result is None else result.about["recipe"],
        "seed": member.trial.seed if result is None else result.about["seeds"][0]["torch_seed"],
        "trial": member.trial.number,
        "data": {**about["data"], "name": dataset_name(about)},
        "space": about["space"]["name"],
        "input": {
            "name": "images",
            "layout": "NCHW",
            "dtype": "float32",
            "normalise": "(pixel − mean) / std, pixels 0…255",
        },
        "versions": {"nas": about["nas"], "python": about["python"], **about["packages"]},
        "git": about["git"],
    }


def dataset_name(about: Mapping[str, Any]) -> str:
    """The data set's name; of a folder, its last part only, for paths are nobody's business."""
    name = str(about["data"]["name"])
    return Path(name.removeprefix("folder:")).name if name.startswith("folder:") else name


def model_card(
    card: Mapping[str, Any], architecture: Any, *, forms: Sequence[str], certificate: Mapping[str, Any] | None
) -> str:
    """`README.md` with the front matter that huggingface_hub reads."""
    accuracy = certificate["forms"]["model.py"]["accuracy"] if certificate else None
    title = f"{card['data']['name']}-{architecture.key[:8]}"
    scores = "".join(
        f"| {name} | {f'{value:,.0f}' if value >= 1000 else f'{value:.6g}'} |\n"
        for name, value in card["scores"].items()
    )
    size = architecture.resolution
    measured = (
        f"Test accuracy {100 * accuracy:.2f} %, measured on {certificate['data']['images']} images: see CERTIFICATE.md."
        if accuracy is not None and certificate
        else "Not measured on the test part: export with `--certify` to have that."
    )
    form_words = {
        "model.py": "`model.py` with `weights.safetensors`: standalone PyTorch source",
        "model.pt2": '`model.pt2`: `torch.export.load("model.pt2").module()`',
        "model.torchscript.pt": "`model.torchscript.pt`: `torch.jit.load`",
        "model.onnx": "`model.onnx`: float32, dynamic batch, input `images`, output `logits`",
        "model.int8.onnx": "`model.int8.onnx`: the same in 8-bit integers, calibrated on training images",
    }
    listing = "".join(f"- {form_words[form]}\n" for form in forms)
    return f"""---
library_name: pytorch
pipeline_tag: image-classification
tags:
- image-classification
- neural-architecture-search
datasets:
- {_quoted(card["data"]["name"])}
metrics:
- accuracy
{_model_index(title, card, accuracy)}---

# {title}

An image classifier found by neural architecture search in the space `{card["space"]}`: {architecture}.

{measured}

## Use

```python
import torch
from model import CLASS_NAMES, load, normalise

network = load("weights.safetensors")
images = torch.zeros(1, {architecture.channels}, {size}, {size}, dtype=torch.uint8)  # 0 to 255
with torch.no_grad():
    print(CLASS_NAMES[int(network(normalise(images)).argmax())])
```

`python model.py IMAGE …` classifies image files.

{listing}
## How it was made

- Picked as `{card["picked"]}`: {card["reason"]}.
- Weights of {card["weights"]["of"]}.
- Data: {card["data"]["name"]}, checksum {card["data"]["checksum"]}; {card["data"]["train"]} train, {card["data"]["validation"]} validation,
  {card["data"]["test"]} test images; {architecture.classes} classes.

| score of the search | value |
| --- | ---: |
{scores}
These scores are {card["scores_are"]}: they rank architectures, and do not promise an accuracy.
"""


def _model_index(title: str, card: Mapping[str, Any], accuracy: float | None) -> str:
    if accuracy is None:
        return ""
    name = _quoted(card["data"]["name"])
    return f"""model-index:
- name: {_quoted(title)}
  results:
  - task:
      type: image-classification
    dataset:
      name: {name}
      type: {name}
      split: test
    metrics:
    - type: accuracy
      value: {accuracy:.6f}
"""


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)
